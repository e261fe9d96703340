//! What all plots with axes have in common: title, legend, axes, grid, caption, reference lines.

use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;

use crate::PlotError;
use crate::axis::{Axis, Quantity, below, beside};
use crate::board::{Board, UNITS};
use crate::drawing::{Anchor, Frame, Text};
use crate::font;
use crate::palette::{Colour, GRID, INK, Look, MUTED};
use crate::sheet::{Rect, Sheet, Stroke, units};

pub(crate) const TITLE: f64 = 15.0;
pub(crate) const LABEL: f64 = 12.0;
pub(crate) const SMALL: f64 = 11.0;
/// Room around everything.
pub(crate) const MARGIN: f64 = 12.0;
/// Most points, cells or rows of one plot; a picture cannot show more.
pub(crate) const MOST: usize = 200_000;

/// What a plot says about itself.
#[derive(Clone, PartialEq, Debug)]
pub struct About {
    /// Over the plot.
    pub title: String,
    /// How many values went into it.
    pub n: u64,
    /// Values of what: `samples of one run`, `replications`.
    pub of: String,
    /// What the drawn intervals are: `95 % t interval of the mean`. Without one the caption says that there is none.
    pub interval: Option<String>,
    /// More sentences for the caption.
    pub remarks: Vec<String>,
    /// Width and height in pixels.
    pub size: (f64, f64),
}

impl About {
    /// A plot of 760 by 400 pixels without intervals.
    pub fn new(title: impl Into<String>, n: u64, of: impl Into<String>) -> About {
        About {
            title: title.into(),
            n,
            of: of.into(),
            interval: None,
            remarks: Vec::new(),
            size: (760.0, 400.0),
        }
    }

    /// With an interval.
    #[must_use]
    pub fn interval(mut self, interval: impl Into<String>) -> About {
        self.interval = Some(interval.into());
        self
    }

    /// With one more sentence in the caption.
    #[must_use]
    pub fn remark(mut self, remark: impl Into<String>) -> About {
        self.remarks.push(remark.into());
        self
    }

    /// With another size in pixels.
    #[must_use]
    pub fn size(mut self, width: f64, height: f64) -> About {
        self.size = (width, height);
        self
    }

    fn caption(&self) -> String {
        let interval = self
            .interval
            .as_ref()
            .map_or_else(|| "no interval".to_owned(), |text| format!("interval: {text}"));
        let mut caption = format!("n = {} {}; {interval}.", grouped(self.n), self.of);
        for remark in &self.remarks {
            caption.push(' ');
            caption.push_str(remark.trim_end_matches('.'));
            caption.push('.');
        }
        caption
    }

    pub(crate) fn empty(&self) -> PlotError {
        PlotError::Empty {
            what: self.title.clone(),
        }
    }

    pub(crate) fn limit(&self, count: usize) -> Result<(), PlotError> {
        if count > MOST {
            return Err(PlotError::TooLarge {
                what: self.title.clone(),
                limit: format!("{MOST} values; thin them out before"),
            });
        }
        Ok(())
    }
}

/// A line that theory draws: a bandwidth-delay product, Mathis' bound, a maximal flow, light in fibre, a target.
#[derive(Clone, PartialEq, Debug)]
pub struct Reference {
    /// For the legend.
    pub name: String,
    /// Where it is.
    pub at: Where,
}

/// Where a reference line is.
#[derive(Clone, PartialEq, Debug)]
pub enum Where {
    /// At this y.
    Horizontal(f64),
    /// At this x.
    Vertical(f64),
    /// Through these points, with rising x.
    Curve(Vec<(f64, f64)>),
}

impl Reference {
    pub(crate) fn check(&self, x: &Quantity, y: &Quantity) -> Result<(), PlotError> {
        match &self.at {
            Where::Horizontal(at) => y.check(&self.name, *at),
            Where::Vertical(at) => x.check(&self.name, *at),
            Where::Curve(points) => points.iter().try_for_each(|point| {
                x.check(&self.name, point.0)?;
                y.check(&self.name, point.1)
            }),
        }
    }

    pub(crate) fn xs(&self) -> Vec<f64> {
        match &self.at {
            Where::Horizontal(_) | Where::Curve(_) => Vec::new(),
            Where::Vertical(at) => vec![*at],
        }
    }

    pub(crate) fn ys(&self) -> Vec<f64> {
        match &self.at {
            Where::Horizontal(at) => vec![*at],
            Where::Vertical(_) | Where::Curve(_) => Vec::new(),
        }
    }
}

/// How an entry of the legend looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Line(Look),
    Marked(Look),
    Point(Look),
    Box(Colour, f64),
    Reference(usize),
}

pub(crate) type Entry = (String, Key);

/// Dashes of reference lines, which are grey.
const REFERENCES: [&[f64]; 4] = [&[1.5, 2.5], &[8.0, 2.5, 1.5, 2.5], &[12.0, 4.0], &[4.0, 4.0]];

pub(crate) fn reference_stroke(index: usize) -> Stroke {
    Stroke {
        colour: MUTED,
        opacity: 1.0,
        width: 1.4,
        dash: REFERENCES[index % REFERENCES.len()],
    }
}

pub(crate) fn reference_entries(references: &[Reference]) -> impl Iterator<Item = Entry> + '_ {
    let entry = |(index, reference): (usize, &Reference)| (reference.name.clone(), Key::Reference(index));
    references.iter().enumerate().map(entry)
}

pub(crate) fn label(
    text: impl Into<String>,
    at: (f64, f64),
    anchor: Anchor,
    size: f64,
    colour: Colour,
) -> Text {
    Text {
        text: text.into(),
        at,
        anchor,
        upwards: false,
        size,
        colour,
    }
}

/// Title, legend and caption on a new sheet, and the room that is left.
pub(crate) fn page(about: &About, legend: &[Entry]) -> Result<(Sheet, Rect), PlotError> {
    let (width, height) = about.size;
    let sheet = Sheet::new(&about.title, width, height)?;
    let room = width - 2.0 * MARGIN;
    let mut top = MARGIN;
    sheet.role("title", None, None);
    for line in font::wrap(&about.title, TITLE, room).iter().take(2) {
        sheet.text(&label(
            line,
            (MARGIN, top + TITLE * 0.6),
            Anchor::Start,
            TITLE,
            INK,
        ))?;
        top += TITLE * 1.3;
    }
    sheet.no_role();
    top = keys(&sheet, legend, top + 2.0)?;
    let caption = font::wrap(&about.caption(), SMALL, room);
    let mut bottom = height - MARGIN + 3.0 - caption.len() as f64 * SMALL * 1.35;
    let inner = (MARGIN, top + 4.0, width - MARGIN, bottom - 4.0);
    sheet.role("caption", None, None);
    for line in caption {
        sheet.text(&label(
            line,
            (MARGIN, bottom + SMALL * 0.6),
            Anchor::Start,
            SMALL,
            MUTED,
        ))?;
        bottom += SMALL * 1.35;
    }
    sheet.no_role();
    if inner.3 - inner.1 < 40.0 || inner.2 - inner.0 < 80.0 {
        return Err(PlotError::TooLarge {
            what: about.title.clone(),
            limit: format!("{width} × {height} pixels leave no room beside title, legend and caption"),
        });
    }
    Ok((sheet, inner))
}

/// Writes the legend row by row and returns where it ends.
fn keys(sheet: &Sheet, legend: &[Entry], top: f64) -> Result<f64, PlotError> {
    const SAMPLE: f64 = 26.0;
    const ROW: f64 = LABEL * 1.45;
    let right = sheet.width - MARGIN;
    let (mut x, mut y) = (MARGIN, top + ROW / 2.0);
    for (name, key) in legend {
        let name = font::shorten(name, LABEL, 260.0_f64.min(right - MARGIN - SAMPLE - 6.0));
        let taken = SAMPLE + 6.0 + font::width(&name, LABEL);
        if x > MARGIN && x + taken > right {
            x = MARGIN;
            y += ROW;
        }
        sheet.role("key", None, None);
        let ends = [(x, y), (x + SAMPLE, y)];
        let middle = (x + SAMPLE / 2.0, y);
        match key {
            Key::Line(look) => sheet.line(&ends, Stroke::of(*look))?,
            Key::Marked(look) => {
                sheet.line(&ends, Stroke::of(*look))?;
                sheet.marker(middle, 3.2, *look)?;
            }
            Key::Point(look) => sheet.marker(middle, 4.0, *look)?,
            Key::Box(colour, opacity) => {
                let place = (x + 6.0, y - 5.0, x + SAMPLE - 4.0, y + 5.0);
                sheet.rect(place, *colour, *opacity)?;
                sheet.outline(
                    place,
                    Stroke {
                        opacity: 0.6,
                        ..Stroke::thin(MUTED)
                    },
                )?;
            }
            Key::Reference(index) => sheet.line(&ends, reference_stroke(*index))?,
        }
        sheet.text(&label(name, (x + SAMPLE + 6.0, y), Anchor::Start, LABEL, INK))?;
        sheet.no_role();
        x += taken + 18.0;
    }
    Ok(if legend.is_empty() { top } else { y + ROW / 2.0 })
}

/// A plane with two axes on a sheet.
pub(crate) struct Plane {
    pub sheet: Sheet,
    pub x: Axis,
    pub y: Axis,
    /// The area between the axes.
    pub frame: Rect,
    area: DrawingArea<Board, Cartesian2d<Axis, Axis>>,
}

impl Plane {
    /// Axes with grid, marks and labels.
    pub fn new(
        about: &About,
        legend: &[Entry],
        (x_of, x): (&Quantity, Axis),
        (y_of, y): (&Quantity, Axis),
    ) -> Result<Plane, PlotError> {
        let (sheet, inner) = page(about, legend)?;
        Plane::within(sheet, inner, (x_of, x), (y_of, y), None)
    }

    /// The same in a part of a sheet. With `rows`, the left side has these labels, from top to bottom, instead of marks.
    pub fn within(
        sheet: Sheet,
        inner: Rect,
        (x_of, x): (&Quantity, Axis),
        (y_of, y): (&Quantity, Axis),
        rows: Option<&[String]>,
    ) -> Result<Plane, PlotError> {
        let bottom = inner.3 - SMALL * 1.5 - LABEL * 1.6;
        let top = inner.1 + 4.0;
        let y = y.marked(bottom - top, below(SMALL));
        let y_labels = rows.map_or_else(|| y.labels(), <[String]>::to_vec);
        let widest = y_labels
            .iter()
            .map(|text| font::width(text, SMALL))
            .fold(0.0, f64::max);
        let widest = widest.min((inner.2 - inner.0) * 0.35);
        let y_name = if rows.is_some() { 0.0 } else { LABEL * 1.5 };
        let left = inner.0 + y_name + widest + 9.0;
        // The last label is centred on the end of the axis.
        let x = x.marked(inner.2 - 16.0 - left, beside(SMALL));
        let x_labels = x.labels();
        let last = x_labels.last().map_or(0.0, |text| font::width(text, SMALL) / 2.0);
        let overhang = x
            .ticks
            .last()
            .map_or(0.0, |&tick| last - (1.0 - x.place(tick)) * (inner.2 - left));
        let frame = (left, top, inner.2 - overhang.max(4.0), bottom);
        let (width, height) = (frame.2 - frame.0, frame.3 - frame.1);

        let column = |tick: f64| frame.0 + x.place(tick) * width;
        let line = |tick: f64| frame.3 - y.place(tick) * height;
        for (&tick, text) in x.ticks.iter().zip(&x_labels) {
            let at = column(tick);
            sheet.role("grid-x", None, None);
            sheet.line(&[(at, frame.1), (at, frame.3)], Stroke::thin(GRID))?;
            sheet.role("tick-x", None, None);
            sheet.line(&[(at, frame.3), (at, frame.3 + 4.0)], Stroke::thin(INK))?;
            sheet.text(&label(
                text,
                (at, frame.3 + 5.0 + SMALL * 0.75),
                Anchor::Middle,
                SMALL,
                INK,
            ))?;
        }
        let share = height / y_labels.len().max(1) as f64;
        for (index, text) in y_labels.iter().enumerate() {
            let at = match rows {
                Some(_) => frame.1 + (index as f64 + 0.5) * share,
                None => line(y.ticks[index]),
            };
            if rows.is_none() {
                sheet.role("grid", None, None);
                sheet.line(&[(frame.0, at), (frame.2, at)], Stroke::thin(GRID))?;
                sheet.role("tick-y", None, None);
                sheet.line(&[(frame.0 - 4.0, at), (frame.0, at)], Stroke::thin(INK))?;
            }
            let text = font::shorten(text, SMALL, widest);
            sheet.role("tick-y", None, None);
            sheet.text(&label(text, (frame.0 - 7.0, at), Anchor::End, SMALL, INK))?;
        }
        sheet.role("axis", None, None);
        sheet.line(
            &[(frame.0, frame.1), (frame.0, frame.3), (frame.2, frame.3)],
            Stroke::thin(INK),
        )?;
        let middle = f64::midpoint(frame.0, frame.2);
        let text = font::shorten(&x_of.label(), LABEL, width);
        sheet.text(&label(
            text,
            (middle, inner.3 - LABEL * 0.7),
            Anchor::Middle,
            LABEL,
            INK,
        ))?;
        if rows.is_none() {
            let text = font::shorten(&y_of.label(), LABEL, height);
            let at = (inner.0 + LABEL * 0.7, f64::midpoint(frame.1, frame.3));
            sheet.text(&Text {
                upwards: true,
                ..label(text, at, Anchor::Middle, LABEL, INK)
            })?;
        }
        sheet.no_role();
        sheet.frame(Frame {
            left: frame.0,
            top: frame.1,
            width,
            height,
            x: (x.low, x.high),
            y: (y.low, y.high),
            x_log: x.scale == crate::Scale::Log,
            y_log: y.scale == crate::Scale::Log,
        });
        let pixels = (units(frame.0)..units(frame.2), units(frame.3)..units(frame.1));
        let coordinates = Cartesian2d::<Axis, Axis>::new(x.clone(), y.clone(), pixels);
        let area = sheet.root.apply_coord_spec(coordinates);
        Ok(Plane {
            sheet,
            x,
            y,
            frame,
            area,
        })
    }

    /// The same without marks on the horizontal axis, whose labels the caller writes: it shows things, not numbers.
    pub fn unmarked(
        sheet: Sheet,
        inner: Rect,
        x_of: &Quantity,
        mut x: Axis,
        y: (&Quantity, Axis),
    ) -> Result<Plane, PlotError> {
        x.marks = false;
        Plane::within(sheet, inner, (x_of, x), y, None)
    }

    /// Where values lie, in pixels.
    pub fn at(&self, point: (f64, f64)) -> (f64, f64) {
        let (x, y) = self.area.map_coordinate(&point);
        (f64::from(x) / UNITS, f64::from(y) / UNITS)
    }

    /// A line through values.
    pub fn line(&self, points: &[(f64, f64)], stroke: Stroke) -> Result<(), PlotError> {
        let pixels: Vec<(f64, f64)> = points.iter().map(|&point| self.at(point)).collect();
        self.sheet.line(&pixels, stroke)
    }

    /// The area between two lines, in order of x.
    pub fn band(&self, band: &[(f64, f64, f64)], colour: Colour, opacity: f64) -> Result<(), PlotError> {
        let lower = band.iter().map(|&(x, low, _)| self.at((x, low)));
        let upper = band.iter().rev().map(|&(x, _, high)| self.at((x, high)));
        let outline: Vec<(f64, f64)> = lower.chain(upper).collect();
        self.sheet.fill(&outline, colour, opacity)
    }

    /// A short stroke across a curve: something was watched until there.
    pub fn stroke_across(&self, at: (f64, f64), colour: Colour) -> Result<(), PlotError> {
        let (x, y) = self.at(at);
        let stroke = Stroke {
            width: 1.6,
            ..Stroke::thin(colour)
        };
        self.sheet.line(&[(x, y - 4.5), (x, y + 4.5)], stroke)
    }

    pub fn references(&self, references: &[Reference]) -> Result<(), PlotError> {
        for (index, reference) in references.iter().enumerate() {
            self.sheet
                .role("reference", Some(index), Some(reference.name.clone()));
            let pieces = match &reference.at {
                Where::Horizontal(y) if self.y.contains(*y) => {
                    vec![vec![(self.x.low, *y), (self.x.high, *y)]]
                }
                Where::Vertical(x) if self.x.contains(*x) => vec![vec![(*x, self.y.low), (*x, self.y.high)]],
                Where::Horizontal(_) | Where::Vertical(_) => Vec::new(),
                Where::Curve(points) => clipped(points, (&self.x, &self.y)),
            };
            for piece in pieces {
                self.line(&piece, reference_stroke(index))?;
            }
            self.sheet.no_role();
        }
        Ok(())
    }
}

/// The pieces of a curve that lie between the ends of both axes, cut off where it leaves them.
pub(crate) fn clipped(points: &[(f64, f64)], (x, y): (&Axis, &Axis)) -> Vec<Vec<(f64, f64)>> {
    let even = |axis: &Axis, value: f64| match axis.scale {
        crate::Scale::Linear => value,
        crate::Scale::Log => libm::log(value),
    };
    let back = |axis: &Axis, place: f64| match axis.scale {
        crate::Scale::Linear => place,
        crate::Scale::Log => libm::exp(place),
    };
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    for pair in points.windows(2) {
        let [from, to] = [pair[0], pair[1]].map(|(a, b)| (even(x, a), even(y, b)));
        // Liang and Barsky (1984): the part of the way from one to the other that lies inside.
        let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
        for (axis, at, step) in [(x, from.0, to.0 - from.0), (y, from.1, to.1 - from.1)] {
            for (step, room) in [
                (-step, at - even(axis, axis.low)),
                (step, even(axis, axis.high) - at),
            ] {
                if step == 0.0 && room < 0.0 {
                    leave = -1.0;
                } else if step < 0.0 {
                    enter = enter.max(room / step);
                } else if step > 0.0 {
                    leave = leave.min(room / step);
                }
            }
        }
        if enter >= leave {
            continue;
        }
        let along = |share: f64| {
            let (a, b) = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            (back(x, a), back(y, b))
        };
        let ends = [(enter, 0.0, pair[0]), (leave, 1.0, pair[1])];
        let [begin, end] =
            ends.map(|(share, whole, point)| if share == whole { point } else { along(share) });
        match pieces.last_mut() {
            Some(piece) if piece.last() == Some(&begin) => piece.push(end),
            _ => pieces.push(vec![begin, end]),
        }
    }
    pieces
}

/// `12,345`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scale;

    #[test]
    fn a_curve_is_cut_off_where_it_leaves_the_axes() {
        let axis = Axis::over([1.0, 10.0].into_iter(), Scale::Linear);
        let curve = [
            (1.0, 20.0),
            (3.0, 0.0),
            (5.0, 5.0),
            (6.0, 5.0),
            (8.0, 30.0),
            (9.0, 30.0),
        ];
        let pieces = clipped(&curve, (&axis, &axis));
        assert_eq!(
            pieces,
            [
                vec![(2.0, 10.0), (2.9, 1.0)],
                vec![(3.4, 1.0), (5.0, 5.0), (6.0, 5.0), (6.4, 10.0)],
            ]
        );
        assert!(clipped(&[(1.0, 20.0), (9.0, 11.0)], (&axis, &axis)).is_empty());
        let log = Axis::over([1.0, 100.0].into_iter(), Scale::Log);
        let cut = clipped(&[(1.0, 1.0), (100.0, 1e4)], (&log, &log));
        assert!(
            (cut[0][1].0 - 10.0).abs() < 1e-9 && (cut[0][1].1 - 100.0).abs() < 1e-9,
            "{cut:?}"
        );
    }
}
