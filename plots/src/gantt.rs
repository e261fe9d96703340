//! Rows of segments over time: migrations with their rounds, or states of policies and paths.

use crate::axis::Axis;
use crate::chart::{Entry, Key, Plane, SMALL, label, page};
use crate::drawing::Anchor;
use crate::font;
use crate::palette::{COLOURS, Colour, INK, MUTED, PAPER, VERMILLION};
use crate::sheet::Stroke;
use crate::timeline::{Fault, faults};
use crate::{About, Drawing, PlotError, Quantity, Scale};

/// Most rows that can be read.
const MOST_ROWS: usize = 200;
/// Height of a row in pixels.
const ROW: f64 = 26.0;

/// A plot of rows. Its height follows from their number.
#[derive(Clone, PartialEq, Debug)]
pub struct Gantt {
    /// Title and caption; of the size only the width counts.
    pub about: About,
    /// The time.
    pub x: Quantity,
    /// What segments may be, by the number of their kind.
    pub kinds: Vec<Kind>,
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// When something was broken.
    pub faults: Vec<Fault>,
    /// From when to when; the range of the segments if none.
    pub span: Option<(f64, f64)>,
}

/// What a segment is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kind {
    /// For the legend.
    pub name: String,
    /// How it looks.
    pub tone: Tone,
}

/// How segments look: apart in lightness as well as in colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// Before and after: pale.
    Quiet,
    /// The usual.
    Normal,
    /// Another usual.
    Other,
    /// A third.
    Third,
    /// What hurts: a guest that stands still, a path that is down.
    Alarm,
}

impl Tone {
    fn fill(self) -> (Colour, f64) {
        match self {
            Tone::Quiet => (MUTED, 0.25),
            Tone::Normal => (COLOURS[5], 0.85),
            Tone::Other => (COLOURS[2], 0.75),
            Tone::Third => (COLOURS[4], 0.6),
            Tone::Alarm => (VERMILLION, 1.0),
        }
    }
}

/// A row.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Row {
    /// At its left.
    pub name: String,
    /// In order of time, one after the other.
    pub segments: Vec<Segment>,
    /// Moments worth a mark, with what happened then.
    pub marks: Vec<(f64, String)>,
}

/// A time in which something was so.
#[derive(Clone, PartialEq, Debug)]
pub struct Segment {
    /// When it began.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// An index of [`Gantt::kinds`].
    pub kind: usize,
    /// Inside it, where there is room.
    pub label: String,
    /// What a pointer over it tells.
    pub tip: String,
}

/// Draws rows of segments.
///
/// # Errors
/// If there is no segment, one ends before it begins or is of no kind, or there are more than 200 rows.
pub fn draw(plot: &Gantt) -> Result<Drawing, PlotError> {
    check(plot)?;
    let segments = || plot.rows.iter().flat_map(|row| &row.segments);
    let times = segments().flat_map(|segment| [segment.from, segment.to]);
    let x = match plot.span {
        Some((from, to)) => Axis::over([from, to].into_iter(), Scale::Linear),
        None => Axis::over(times, Scale::Linear),
    };
    let used = |kind: usize| segments().any(|segment| segment.kind == kind);
    let mut legend: Vec<Entry> = plot
        .kinds
        .iter()
        .enumerate()
        .filter(|(kind, _)| used(*kind))
        .map(|(_, kind)| {
            (
                kind.name.clone(),
                Key::Box(kind.tone.fill().0, kind.tone.fill().1),
            )
        })
        .collect();
    if !plot.faults.is_empty() {
        legend.push(("fault".to_owned(), Key::Box(VERMILLION, 0.16)));
    }
    // What title, legend, axis and caption take: found out by laying them out once.
    let mut about = plot.about.clone();
    about.size.1 = 2_000.0;
    let (_, inner) = page(&about, &legend)?;
    let around = 2_000.0 - (inner.3 - inner.1) + 45.0;
    about.size.1 = around + ROW * plot.rows.len() as f64 + if plot.faults.is_empty() { 0.0 } else { 16.0 };

    let (sheet, mut inner) = page(&about, &legend)?;
    if !plot.faults.is_empty() {
        inner.1 += 16.0;
    }
    let names: Vec<String> = plot.rows.iter().map(|row| row.name.clone()).collect();
    let y = Axis {
        low: 0.0,
        high: plot.rows.len() as f64,
        scale: Scale::Linear,
        ticks: Vec::new(),
        marks: false,
    };
    let x_of = Quantity {
        scale: Scale::Linear,
        ..plot.x.clone()
    };
    let mut plane = Plane::within(sheet, inner, (&x_of, x), (&Quantity::default(), y), Some(&names))?;
    let rows = plane.frame;
    // Names of faults stand above the rows.
    if !plot.faults.is_empty() {
        plane.frame.1 -= 16.0;
    }
    faults(&plane, &plot.faults, 1)?;
    plane.frame = rows;
    for (index, row) in plot.rows.iter().enumerate() {
        let high = (plot.rows.len() - index) as f64;
        for segment in &row.segments {
            one(&plane, plot, index, segment, high)?;
        }
        for (at, what) in &row.marks {
            if !plane.x.contains(*at) {
                continue;
            }
            let (x, top) = plane.at((*at, high - 0.06));
            plane.sheet.role(
                "mark",
                Some(index),
                Some(format!("{what} at {}", x_of.value(*at))),
            );
            plane.sheet.fill(
                &[(x - 3.5, top - 1.0), (x + 3.5, top - 1.0), (x, top + 5.0)],
                INK,
                1.0,
            )?;
        }
    }
    plane.sheet.no_role();
    Ok(plane.sheet.finish())
}

fn one(plane: &Plane, plot: &Gantt, row: usize, segment: &Segment, high: f64) -> Result<(), PlotError> {
    if segment.to < plane.x.low || segment.from > plane.x.high {
        return Ok(());
    }
    let (left, top) = plane.at((segment.from, high - 0.16));
    let (right, bottom) = plane.at((segment.to, high - 0.84));
    // A stop of a millisecond in an hour must be seen.
    let right = right.max(left + 1.0);
    let kind = &plot.kinds[segment.kind];
    let (colour, opacity) = kind.tone.fill();
    plane.sheet.role("segment", Some(row), Some(segment.tip.clone()));
    plane.sheet.rect((left, top, right, bottom), colour, opacity)?;
    if right - left > 3.0 {
        plane.sheet.outline(
            (left, top, right, bottom),
            Stroke {
                opacity: 0.9,
                ..Stroke::thin(PAPER)
            },
        )?;
    }
    let ink = if kind.tone == Tone::Alarm { PAPER } else { INK };
    let fits = font::width(&segment.label, SMALL) + 6.0 <= right - left;
    if fits && !segment.label.is_empty() {
        let middle = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        let places = [(middle, Anchor::Middle)];
        plane.sheet.role("inside", Some(row), None);
        let text = label(&segment.label, middle, Anchor::Middle, SMALL, ink);
        plane
            .sheet
            .text_somewhere(&text, &places, (left, top - 4.0, right, bottom + 4.0), true)?;
    }
    Ok(())
}

fn check(plot: &Gantt) -> Result<(), PlotError> {
    plot.about.limit(
        plot.rows
            .iter()
            .map(|row| row.segments.len() + row.marks.len())
            .sum(),
    )?;
    if plot.rows.len() > MOST_ROWS {
        return Err(PlotError::TooLarge {
            what: plot.about.title.clone(),
            limit: format!("{MOST_ROWS} rows"),
        });
    }
    if plot.rows.iter().all(|row| row.segments.is_empty()) {
        return Err(plot.about.empty());
    }
    let time = Quantity::default();
    let inconsistent = |what: &str, reason: String| PlotError::Inconsistent {
        what: what.to_owned(),
        reason,
    };
    for row in &plot.rows {
        for segment in &row.segments {
            time.check(&row.name, segment.from)?;
            time.check(&row.name, segment.to)?;
            if segment.to < segment.from {
                return Err(inconsistent(
                    &row.name,
                    format!("{} ends before it begins", segment.tip),
                ));
            }
            if segment.kind >= plot.kinds.len() {
                return Err(inconsistent(
                    &row.name,
                    format!("there is no kind {}", segment.kind),
                ));
            }
        }
        row.marks
            .iter()
            .try_for_each(|(at, what)| time.check(what, *at))?;
    }
    for fault in &plot.faults {
        time.check(&fault.name, fault.from)?;
        time.check(&fault.name, fault.to)?;
    }
    Ok(())
}
