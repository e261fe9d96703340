//! A quantity over two axes of a sweep, and where a bound runs through them.

use crate::axis::{Axis, below};
use crate::chart::{Entry, Key, LABEL, SMALL, grouped, label, page};
use crate::drawing::{Anchor, Text};
use crate::font;
use crate::palette::{BLANK, COLOURS, INK, Look, MUTED, PAPER, heat, look};
use crate::sheet::{Sheet, Stroke};
use crate::{About, Drawing, PlotError, Quantity};

/// Most cells.
const MOST_CELLS: usize = 40_000;

/// A plot of cells.
#[derive(Clone, PartialEq, Debug)]
pub struct HeatMap {
    /// Title and caption.
    pub about: About,
    /// The horizontal axis.
    pub x: Quantity,
    /// The labels of its columns.
    pub columns: Vec<String>,
    /// The vertical axis.
    pub y: Quantity,
    /// The labels of its rows, from the bottom to the top.
    pub rows: Vec<String>,
    /// What the cells show.
    pub z: Quantity,
    /// A list for every row, with a cell for every column.
    pub cells: Vec<Vec<Cell>>,
    /// Whether columns and rows both have an order, so that something lies between neighbours.
    pub ordered: bool,
    /// Values of z, by name, along which a contour is drawn through the middles of cells; without an order along the edges between
    /// cells on both sides.
    pub bounds: Vec<(String, f64)>,
}

/// A point of a sweep.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Cell {
    /// What came out.
    Value(f64),
    /// What came out, but too little of it to tell on which side of the bound it is: hatched.
    Inconclusive(f64),
    /// Nothing came out, since runs failed or did not finish: a cross.
    Failed,
    /// Not run.
    Missing,
}

impl Cell {
    fn value(self) -> Option<f64> {
        match self {
            Cell::Value(value) | Cell::Inconclusive(value) => Some(value),
            Cell::Failed | Cell::Missing => None,
        }
    }
}

/// Where the cells lie.
struct Grid {
    left: f64,
    bottom: f64,
    width: f64,
    height: f64,
}

impl Grid {
    fn corner(&self, column: f64, row: f64) -> (f64, f64) {
        (self.left + column * self.width, self.bottom - row * self.height)
    }
}

/// Draws cells, darker for more, with contours between neighbouring cells, and numbers in all of them if all have room.
///
/// # Errors
/// If no cell has a value, a value cannot be drawn, or the rows are not equally long.
pub fn draw(plot: &HeatMap) -> Result<Drawing, PlotError> {
    check(plot)?;
    let values = || plot.cells.iter().flatten().filter_map(|cell| cell.value());
    if values().next().is_none() {
        return Err(plot.about.empty());
    }
    let mut legend: Vec<Entry> = Vec::new();
    for (index, (name, _)) in plot.bounds.iter().enumerate() {
        legend.push((name.clone(), Key::Line(contour_look(index))));
    }
    let mut about = plot.about.clone();
    let count = |of: fn(&Cell) -> bool| plot.cells.iter().flatten().filter(|cell| of(cell)).count() as u64;
    let failed = count(|cell| matches!(cell, Cell::Failed));
    let unsure = count(|cell| matches!(cell, Cell::Inconclusive(_)));
    if unsure > 0 {
        about = about.remark(format!("Hatched: {} inconclusive", grouped(unsure)));
    }
    if failed > 0 {
        about = about.remark(format!("Crossed: {} failed or did not finish", grouped(failed)));
    }
    let (sheet, inner) = page(&about, &legend)?;
    let scale = Axis::over(values(), plot.z.scale);
    let widest = |labels: &[String]| {
        labels
            .iter()
            .map(|text| font::width(text, SMALL))
            .fold(0.0, f64::max)
    };
    let left = inner.0 + LABEL * 1.5 + widest(&plot.rows).min(120.0) + 8.0;
    let (bottom, top) = (inner.3 - SMALL * 1.5 - LABEL * 1.6, inner.1 + 4.0);
    let right = colour_bar(&sheet, &plot.z, &scale, (inner.2, top, bottom))?;
    let grid = Grid {
        left,
        bottom,
        width: (right - left) / plot.columns.len() as f64,
        height: (bottom - top) / plot.rows.len() as f64,
    };
    for (row, cells) in plot.cells.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            one(&sheet, plot, &scale, &grid, (column, row), *cell)?;
        }
    }
    for (index, (name, bound)) in plot.bounds.iter().enumerate() {
        sheet.role("contour", Some(index), Some(name.clone()));
        let look = contour_look(index);
        let pieces = match plot.ordered {
            true => contour(plot, &grid, *bound),
            false => border(plot, &grid, *bound),
        };
        for (width, opacity, colour) in [(5.0, 0.8, PAPER), (2.4, 1.0, look.colour)] {
            for piece in &pieces {
                let stroke = Stroke {
                    opacity,
                    width,
                    ..Stroke::thin(colour)
                };
                sheet.line(piece, stroke)?;
            }
        }
        sheet.no_role();
    }
    numbers(&sheet, plot, &scale, &grid)?;
    axes(&sheet, plot, &grid, inner.0)?;
    Ok(sheet.finish())
}

fn contour_look(index: usize) -> Look {
    Look {
        colour: [COLOURS[6], COLOURS[2], COLOURS[3]][index % 3],
        dash: &[],
        ..look(index)
    }
}

fn check(plot: &HeatMap) -> Result<(), PlotError> {
    let inconsistent = |reason: String| PlotError::Inconsistent {
        what: plot.about.title.clone(),
        reason,
    };
    if plot.cells.len() != plot.rows.len() {
        return Err(inconsistent(format!(
            "{} labels for {} rows",
            plot.rows.len(),
            plot.cells.len()
        )));
    }
    if let Some(row) = plot.cells.iter().find(|row| row.len() != plot.columns.len()) {
        return Err(inconsistent(format!(
            "{} labels for {} columns",
            plot.columns.len(),
            row.len()
        )));
    }
    if plot.rows.len() * plot.columns.len() > MOST_CELLS {
        return Err(PlotError::TooLarge {
            what: plot.about.title.clone(),
            limit: format!("{MOST_CELLS} cells"),
        });
    }
    for value in plot.cells.iter().flatten().filter_map(|cell| cell.value()) {
        plot.z.check(&plot.about.title, value)?;
    }
    plot.bounds
        .iter()
        .try_for_each(|(name, bound)| plot.z.check(name, *bound))
}

/// What colours mean, at the right edge; returns where the cells may end.
fn colour_bar(
    sheet: &Sheet,
    z: &Quantity,
    scale: &Axis,
    (edge, top, bottom): (f64, f64, f64),
) -> Result<f64, PlotError> {
    const STEPS: u32 = 24;
    let marks = scale.clone().marked(bottom - top, below(SMALL));
    let labels = marks.labels();
    let widest = labels
        .iter()
        .map(|text| font::width(text, SMALL))
        .fold(0.0, f64::max);
    let name = edge - LABEL * 0.7;
    let bar = edge - LABEL * 1.6 - widest - 6.0;
    sheet.role("key", None, None);
    for step in 0..STEPS {
        let share = |step: u32| bottom - (bottom - top) * f64::from(step) / f64::from(STEPS);
        let colour = heat((f64::from(step) + 0.5) / f64::from(STEPS));
        sheet.rect((bar - 14.0, share(step + 1), bar, share(step)), colour, 1.0)?;
    }
    sheet.role("tick-z", None, None);
    for (&tick, text) in marks.ticks.iter().zip(&labels) {
        let at = bottom - (bottom - top) * marks.place(tick);
        sheet.line(&[(bar, at), (bar + 3.0, at)], Stroke::thin(INK))?;
        sheet.text(&label(text, (bar + 5.0, at), Anchor::Start, SMALL, INK))?;
    }
    let text = font::shorten(&z.label(), LABEL, bottom - top);
    let at = (name, f64::midpoint(top, bottom));
    sheet.role("axis", None, None);
    sheet.text(&Text {
        upwards: true,
        ..label(text, at, Anchor::Middle, LABEL, INK)
    })?;
    sheet.no_role();
    Ok(bar - 14.0 - 14.0)
}

fn one(
    sheet: &Sheet,
    plot: &HeatMap,
    scale: &Axis,
    grid: &Grid,
    (column, row): (usize, usize),
    cell: Cell,
) -> Result<(), PlotError> {
    let (left, bottom) = grid.corner(column as f64, row as f64);
    let (right, top) = grid.corner(column as f64 + 1.0, row as f64 + 1.0);
    let said = match cell {
        Cell::Value(value) => plot.z.value(value),
        Cell::Inconclusive(value) => format!("{}, inconclusive", plot.z.value(value)),
        Cell::Failed => "failed or did not finish".to_owned(),
        Cell::Missing => "not run".to_owned(),
    };
    let tip = format!(
        "{}: {}, {}: {}: {said}",
        plot.x.name, plot.columns[column], plot.y.name, plot.rows[row]
    );
    sheet.role("cell", Some(row * plot.columns.len() + column), Some(tip));
    let share = cell.value().map(|value| scale.place(value));
    sheet.rect((left, top, right, bottom), share.map_or(BLANK, heat), 1.0)?;
    sheet.role("mark", None, None);
    let middle = (f64::midpoint(left, right), f64::midpoint(top, bottom));
    match cell {
        Cell::Failed => {
            let s = (right - left).min(bottom - top) * 0.25;
            let stroke = Stroke {
                width: 1.6,
                ..Stroke::thin(INK)
            };
            sheet.line(
                &[(middle.0 - s, middle.1 - s), (middle.0 + s, middle.1 + s)],
                stroke,
            )?;
            sheet.line(
                &[(middle.0 - s, middle.1 + s), (middle.0 + s, middle.1 - s)],
                stroke,
            )?;
        }
        Cell::Inconclusive(_) => {
            // From the lower left upwards, at distances of six pixels.
            let (width, height) = (right - left, bottom - top);
            let mut along = 6.0;
            while along < width + height {
                let from = (left + (along - height).max(0.0), top + along.min(height));
                let to = (left + along.min(width), top + (along - width).max(0.0));
                sheet.line(
                    &[from, to],
                    Stroke {
                        opacity: 0.6,
                        ..Stroke::thin(PAPER)
                    },
                )?;
                along += 6.0;
            }
        }
        Cell::Value(_) | Cell::Missing => {}
    }
    sheet.no_role();
    Ok(())
}

/// The values in their cells, over contours and hatches, which break off beneath them; in all cells or in none.
fn numbers(sheet: &Sheet, plot: &HeatMap, scale: &Axis, grid: &Grid) -> Result<(), PlotError> {
    let rows = plot.cells.iter().enumerate();
    let cells = rows.flat_map(|(row, cells)| {
        let cells = cells.iter().enumerate();
        cells.filter_map(move |(column, cell)| Some((column, row, cell.value()?)))
    });
    let texts: Vec<(Text, f64)> = cells
        .map(|(column, row, value)| {
            let at = grid.corner(column as f64 + 0.5, row as f64 + 0.5);
            let share = scale.place(value);
            let colour = if share > 0.4 { PAPER } else { INK };
            let text = label(crate::axis::short(value), at, Anchor::Middle, SMALL, colour);
            (text, share)
        })
        .collect();
    let fits = |(text, _): &(Text, f64)| {
        font::width(&text.text, SMALL) < grid.width - 6.0 && grid.height > SMALL * 1.5
    };
    if !texts.iter().all(fits) {
        return Ok(());
    }
    let hatched = |cell: &Cell| matches!(cell, Cell::Inconclusive(_));
    let crossed = !plot.bounds.is_empty() || plot.cells.iter().flatten().any(hatched);
    sheet.role("number", None, None);
    for (text, share) in texts {
        if crossed {
            let (left, top, right, bottom) = text.bounds();
            sheet.rect((left - 2.0, top, right + 2.0, bottom), heat(share), 1.0)?;
        }
        sheet.text(&text)?;
    }
    sheet.no_role();
    Ok(())
}

/// The edges between cells on both sides of the value.
fn border(plot: &HeatMap, grid: &Grid, bound: f64) -> Vec<[(f64, f64); 2]> {
    let at = |column: usize, row: usize| {
        let value = plot.cells.get(row)?.get(column)?.value()?;
        Some(value < bound)
    };
    let apart =
        |one: Option<bool>, other: Option<bool>| one.zip(other).is_some_and(|(one, other)| one != other);
    let mut pieces = Vec::new();
    for row in 0..plot.rows.len() {
        for column in 0..plot.columns.len() {
            let (x, y) = (column as f64, row as f64);
            let here = at(column, row);
            if apart(here, at(column + 1, row)) {
                pieces.push([grid.corner(x + 1.0, y), grid.corner(x + 1.0, y + 1.0)]);
            }
            if apart(here, at(column, row + 1)) {
                pieces.push([grid.corner(x, y + 1.0), grid.corner(x + 1.0, y + 1.0)]);
            }
        }
    }
    pieces
}

/// Marching squares over the middles of the cells: pieces of the line on which z would have the value, between neighbours
/// that all have one.
fn contour(plot: &HeatMap, grid: &Grid, bound: f64) -> Vec<[(f64, f64); 2]> {
    let mut pieces = Vec::new();
    let place = |value: f64| match plot.z.scale {
        crate::Scale::Linear => value - bound,
        crate::Scale::Log => libm::log(value / bound),
    };
    for row in 0..plot.rows.len().saturating_sub(1) {
        for column in 0..plot.columns.len().saturating_sub(1) {
            let corners = [(0, 0), (1, 0), (1, 1), (0, 1)];
            let values: Vec<f64> = corners
                .iter()
                .filter_map(|&(right, up)| plot.cells[row + up][column + right].value().map(place))
                .collect();
            if values.len() < 4 {
                continue;
            }
            let mut crossings = Vec::new();
            for edge in 0..4 {
                let (here, there) = (values[edge], values[(edge + 1) % 4]);
                if (here < 0.0) != (there < 0.0) {
                    let share = here / (here - there);
                    let ((x0, y0), (x1, y1)) = (corners[edge], corners[(edge + 1) % 4]);
                    let between = |a: usize, b: usize| a as f64 + (b as f64 - a as f64) * share;
                    let x = column as f64 + 0.5 + between(x0, x1);
                    let y = row as f64 + 0.5 + between(y0, y1);
                    crossings.push(grid.corner(x, y));
                }
            }
            // Two, or four of a saddle, whose neighbours in order belong together.
            pieces.extend(crossings.chunks_exact(2).map(|pair| [pair[0], pair[1]]));
        }
    }
    pieces
}

fn axes(sheet: &Sheet, plot: &HeatMap, grid: &Grid, edge: f64) -> Result<(), PlotError> {
    let every = |count: usize, room: f64, need: f64| {
        ((need / room.max(1e-9)).ceil().max(1.0) as usize).min(count.max(1))
    };
    let widest = |labels: &[String]| {
        labels
            .iter()
            .map(|text| font::width(text, SMALL))
            .fold(0.0, f64::max)
    };
    let room = grid.left - edge - LABEL * 1.5 - 8.0;
    let by = every(plot.rows.len(), grid.height, SMALL * 1.3);
    for (row, text) in plot.rows.iter().enumerate().step_by(by) {
        let (x, y) = grid.corner(0.0, row as f64 + 0.5);
        sheet.role("tick-y", Some(row), Some(text.clone()));
        let text = font::shorten(text, SMALL, room);
        sheet.text(&label(text, (x - 6.0, y), Anchor::End, SMALL, INK))?;
    }
    let longest = widest(&plot.columns).min(110.0);
    let by = every(plot.columns.len(), grid.width, longest + 8.0);
    for (column, text) in plot.columns.iter().enumerate().step_by(by) {
        let (x, y) = grid.corner(column as f64 + 0.5, 0.0);
        sheet.role("tick-x", Some(column), Some(text.clone()));
        let text = font::shorten(text, SMALL, longest);
        sheet.text(&label(text, (x, y + SMALL), Anchor::Middle, SMALL, INK))?;
    }
    sheet.role("axis", None, None);
    let (left, bottom) = grid.corner(0.0, 0.0);
    let (right, top) = grid.corner(plot.columns.len() as f64, plot.rows.len() as f64);
    sheet.outline((left, top, right, bottom), Stroke::thin(MUTED))?;
    let at = (f64::midpoint(left, right), bottom + SMALL * 1.6 + LABEL * 0.8);
    let text = font::shorten(&plot.x.label(), LABEL, right - left);
    sheet.text(&label(text, at, Anchor::Middle, LABEL, INK))?;
    let text = font::shorten(&plot.y.label(), LABEL, bottom - top);
    let at = (edge + LABEL * 0.7, f64::midpoint(top, bottom));
    sheet.text(&Text {
        upwards: true,
        ..label(text, at, Anchor::Middle, LABEL, INK)
    })?;
    sheet.no_role();
    Ok(())
}
