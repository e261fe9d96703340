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
    /// Values of z along which a contour is drawn, by name.
    pub bounds: Vec<(String, f64)>,
}

/// A point of a sweep.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Cell {
    /// What came out.
    Value(f64),
    /// What came out, but too little of it to tell on which side of the bound it is: hatched.
    Inconclusive(f64),
    /// The run failed: a cross.
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

/// Draws cells, darker for more, with contours between the middles of neighbouring cells.
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
        about = about.remark(format!("Crossed: {} failed", grouped(failed)));
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
        contour(&sheet, plot, &grid, *bound, contour_look(index))?;
    }
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
        Cell::Failed => "failed".to_owned(),
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
    if let (Some(value), Some(share)) = (cell.value(), share) {
        let text = crate::axis::short(value);
        let fits = font::width(&text, SMALL) < right - left - 6.0 && bottom - top > SMALL * 1.5;
        if fits && !matches!(cell, Cell::Inconclusive(_)) {
            let colour = if share > 0.4 { PAPER } else { INK };
            sheet.text(&label(text, middle, Anchor::Middle, SMALL, colour))?;
        }
    }
    sheet.no_role();
    Ok(())
}

/// Marching squares over the middles of the cells: pieces of the line on which z would have the value, between neighbours
/// that all have one.
fn contour(sheet: &Sheet, plot: &HeatMap, grid: &Grid, bound: f64, look: Look) -> Result<(), PlotError> {
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
            for pair in crossings.chunks_exact(2) {
                sheet.line(
                    pair,
                    Stroke {
                        width: 5.0,
                        opacity: 0.8,
                        ..Stroke::thin(PAPER)
                    },
                )?;
                sheet.line(
                    pair,
                    Stroke {
                        width: 2.4,
                        ..Stroke::of(look)
                    },
                )?;
            }
        }
    }
    sheet.no_role();
    Ok(())
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
