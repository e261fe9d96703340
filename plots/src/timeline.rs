//! Quantities over time, with bands for faults.

use crate::axis::Axis;
use crate::chart::{Entry, Key, LABEL, Plane, SMALL, clipped, label, reference_entries, reference_stroke};
use crate::drawing::Anchor;
use crate::font;
use crate::palette::{INK, Look, Marker, VERMILLION, look};
use crate::sheet::Stroke;
use crate::{About, Drawing, PlotError, Quantity, Reference, Where};

/// How strongly faults tint the plot.
const TINT: f64 = 0.16;
/// Lines with at most so many points carry markers.
const MARKED: usize = 40;

/// How many times as high as everything measured a bound may be to count for the height of the plot.
const NEAR: f64 = 1.5;

/// A plot of quantities over time.
#[derive(Clone, PartialEq, Debug)]
pub struct Timeline {
    /// Title and caption.
    pub about: About,
    /// The time, such as `virtual time (s)`.
    pub x: Quantity,
    /// What the lines show.
    pub y: Quantity,
    /// The lines.
    pub lines: Vec<Line>,
    /// When something was broken.
    pub faults: Vec<Fault>,
    /// Bounds and targets.
    pub references: Vec<Reference>,
    /// From when to when, so that several plots can be laid below each other; the range of the values if none.
    pub span: Option<(f64, f64)>,
}

/// A line of a timeline.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Line {
    /// For the legend.
    pub name: String,
    /// Time and value, in order of time.
    pub points: Vec<(f64, f64)>,
    /// Time, lower and upper end of an interval; empty if there is none.
    pub band: Vec<(f64, f64, f64)>,
    /// Whether a value holds until the next one.
    pub steps: bool,
    /// Times at which there should be a value and is none, in order. The line is broken there, and a cross at the foot of
    /// the plot keeps the place.
    pub gaps: Vec<f64>,
    /// Where values leave every scale: the line ends, and an arrow goes up from there.
    pub unbounded: Option<f64>,
    /// What theory says of this line, dashed in its colour.
    pub bounds: Vec<Bound>,
}

/// A curve that belongs to a line.
#[derive(Clone, PartialEq, Debug)]
pub struct Bound {
    /// For the legend, where it stands once for all lines that have a bound of this name.
    pub name: String,
    /// Time and value, in order of time.
    pub points: Vec<(f64, f64)>,
}

/// A time in which something was broken, drawn as a band, or as a line if it has no length.
#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    /// When it began.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// What it was.
    pub name: String,
}

/// Draws a timeline.
///
/// # Errors
/// If there is no point, a value cannot be drawn, or a line goes back in time.
pub fn draw(plot: &Timeline) -> Result<Drawing, PlotError> {
    check(plot)?;
    let points = || plot.lines.iter().flat_map(|line| &line.points);
    if points().next().is_none() {
        return Err(plot.about.empty());
    }
    let band_of = |line: &Line| -> Vec<(f64, f64, f64)> {
        let possible = |&(x, low, high): &(f64, f64, f64)| {
            let (low, high) = plot.y.possible((low, high));
            (x, low, high)
        };
        line.band.iter().map(possible).collect()
    };
    let without = |line: &Line| line.gaps.clone().into_iter().chain(line.unbounded);
    let xs = points()
        .map(|point| point.0)
        .chain(plot.lines.iter().flat_map(without))
        .chain(plot.references.iter().flat_map(Reference::xs));
    let x = match plot.span {
        Some((from, to)) => Axis::over([from, to].into_iter(), plot.x.scale),
        None => Axis::over(xs, plot.x.scale),
    };
    let ys = points()
        .map(|point| point.1)
        .chain(
            plot.lines
                .iter()
                .flat_map(band_of)
                .flat_map(|(_, low, high)| [low, high]),
        )
        .chain(plot.references.iter().flat_map(Reference::ys));
    let ys: Vec<f64> = ys.collect();
    // A bound far above everything measured would press that flat.
    let most = ys.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let near = curves(plot).flat_map(|(_, points)| points).map(|point| point.1);
    let near: Vec<f64> = near.filter(|y| *y <= most * NEAR).collect();
    let y = Axis::over(ys.into_iter().chain(near), plot.y.scale).with_zero();
    let floor = (y.low == 0.0).then_some(0.0);
    let mut y = y.padded(0.06);
    // Nothing lies below zero.
    y.low = floor.unwrap_or(y.low);

    let marked = |line: &Line| line.points.len() <= MARKED;
    let entry = |(index, line): (usize, &Line)| {
        let key = if marked(line) {
            Key::Marked(look(index))
        } else {
            Key::Line(look(index))
        };
        (line.name.clone(), key)
    };
    let mut legend: Vec<Entry> = plot.lines.iter().enumerate().map(entry).collect();
    legend.extend(reference_entries(&plot.references));
    let names = bound_names(plot);
    for (index, name) in names.iter().enumerate() {
        let key = Key::Reference(plot.references.len() + index);
        legend.push((format!("{name}, of each line"), key));
    }
    if !plot.faults.is_empty() {
        legend.push(("fault".to_owned(), Key::Box(VERMILLION, TINT)));
    }
    let lows = plot.lines.iter().flat_map(|line| &line.band).map(|band| band.1);
    let mut about = plot.about.clone();
    about.remarks.extend(plot.y.cut_off(lows));
    if plot.lines.iter().any(|line| !line.gaps.is_empty()) {
        about = about.remark("Crosses at the foot: nothing to draw there");
    }
    let mut beyond: Vec<&str> = Vec::new();
    for (name, points) in curves(plot) {
        let unseen = clipped(points, (&x, &y)).is_empty();
        if unseen && !points.is_empty() && !beyond.contains(&name) {
            beyond.push(name);
        }
    }
    if !beyond.is_empty() {
        about = about.remark(format!(
            "Wholly or for some lines beyond the picture: {}",
            beyond.join(", ")
        ));
    }
    let plane = Plane::new(&about, &legend, (&plot.x, x), (&plot.y, y))?;
    faults(&plane, &plot.faults, 3)?;
    for (index, line) in plot.lines.iter().enumerate() {
        let look = look(index);
        // A marked point without an interval has none, though its neighbours have.
        let bare = line
            .points
            .iter()
            .map(|point| point.0)
            .filter(|x| marked(line) && !line.band.iter().any(|band| band.0 == *x));
        let breaks: Vec<f64> = line.gaps.iter().copied().chain(bare).collect();
        for piece in pieces(&band_of(line), |band| band.0, &breaks) {
            if let [(x, low, high)] = piece {
                plane.sheet.role("interval", Some(index), Some(line.name.clone()));
                error_bar(&plane, (*x, *low, *high), look)?;
            } else {
                plane.sheet.role("band", Some(index), Some(line.name.clone()));
                plane.band(piece, look.colour, 0.2)?;
            }
        }
        for piece in pieces(&line.points, |point| point.0, &line.gaps) {
            plane.sheet.role("series", Some(index), Some(line.name.clone()));
            match piece {
                [alone] if !marked(line) => plane.sheet.marker(plane.at(*alone), 2.0, look)?,
                [_] => {}
                _ => plane.line(&course(piece, line.steps), Stroke::of(look))?,
            }
        }
        for bound in &line.bounds {
            let place = names.iter().position(|name| *name == bound.name);
            let tip = format!("{}: {}", line.name, bound.name);
            plane.sheet.role("bound", Some(index), Some(tip));
            let stroke = Stroke {
                colour: look.colour,
                ..reference_stroke(plot.references.len() + place.unwrap_or(0))
            };
            for piece in clipped(&bound.points, (&plane.x, &plane.y)) {
                plane.line(&piece, stroke)?;
            }
        }
        arrow(&plane, line, index)?;
        if marked(line) {
            for &point in &line.points {
                let tip = format!(
                    "{}: {} at {}",
                    line.name,
                    plot.y.value(point.1),
                    plot.x.value(point.0)
                );
                plane.sheet.role("point", Some(index), Some(tip));
                plane.sheet.marker(plane.at(point), 3.0, look)?;
            }
        }
        plane.sheet.no_role();
    }
    crosses(&plane, plot)?;
    plane.references(&plot.references)?;
    Ok(plane.sheet.finish())
}

/// Names of the bounds of lines, each once.
fn bound_names(plot: &Timeline) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for bound in plot.lines.iter().flat_map(|line| &line.bounds) {
        if !names.contains(&bound.name.as_str()) {
            names.push(&bound.name);
        }
    }
    names
}

/// All curves that theory draws, of all lines together and of single ones.
fn curves(plot: &Timeline) -> impl Iterator<Item = (&str, &[(f64, f64)])> {
    let common = plot
        .references
        .iter()
        .filter_map(|reference| match &reference.at {
            Where::Curve(points) => Some((reference.name.as_str(), &points[..])),
            Where::Horizontal(_) | Where::Vertical(_) => None,
        });
    let own = plot.lines.iter().flat_map(|line| &line.bounds);
    common.chain(own.map(|bound| (bound.name.as_str(), &bound.points[..])))
}

/// What lies between breaks, in order.
fn pieces<'a, T>(items: &'a [T], x: impl Fn(&T) -> f64, breaks: &[f64]) -> Vec<&'a [T]> {
    let apart = |a: &T, b: &T| breaks.iter().any(|at| x(a) < *at && *at < x(b));
    items.chunk_by(|a, b| !apart(a, b)).collect()
}

/// The interval of a point that has no neighbours to make a band with.
fn error_bar(plane: &Plane, (x, low, high): (f64, f64, f64), look: Look) -> Result<(), PlotError> {
    let ((x, bottom), (_, top)) = (plane.at((x, low)), plane.at((x, high)));
    let stroke = Stroke {
        width: 1.4,
        ..Stroke::thin(look.colour)
    };
    plane.sheet.line(&[(x, bottom), (x, top)], stroke)?;
    for y in [bottom, top] {
        plane.sheet.line(&[(x - 4.0, y), (x + 4.0, y)], stroke)?;
    }
    Ok(())
}

/// From the end of a line up and out of the plot: its values are at least those of the end.
fn arrow(plane: &Plane, line: &Line, index: usize) -> Result<(), PlotError> {
    let Some(from) = line.unbounded else {
        return Ok(());
    };
    let look = Look {
        marker: Marker::Triangle,
        ..look(index)
    };
    let tip = format!("{}: from here on without an upper limit", line.name);
    plane.sheet.role("unbounded", Some(index), Some(tip));
    let level = line.points.last().map_or(plane.y.low, |point| point.1);
    let (x, y) = plane.at((from, level));
    let top = plane.frame.1 + 5.0;
    let begin = line.points.last().map(|&point| plane.at(point));
    let course: Vec<(f64, f64)> = begin.into_iter().chain([(x, y), (x, top)]).collect();
    let stroke = Stroke {
        width: 1.4,
        dash: &[2.0, 3.0],
        ..Stroke::thin(look.colour)
    };
    plane.sheet.line(&course, stroke)?;
    plane.sheet.marker((x, top), 4.0, look)
}

/// Where values are missing, above each other where several lines have none.
fn crosses(plane: &Plane, plot: &Timeline) -> Result<(), PlotError> {
    for (index, line) in plot.lines.iter().enumerate() {
        for &gap in &line.gaps {
            let others = plot.lines[..index].iter();
            let below = others.filter(|other| other.gaps.contains(&gap)).count();
            let (x, foot) = plane.at((gap, plane.y.low));
            // Lines without end would leave the plot.
            let y = (foot - 7.0 - 10.0 * below as f64).max(plane.frame.1 + 7.0);
            let tip = format!("{}: nothing at {}", line.name, plot.x.value(gap));
            plane.sheet.role("gap", Some(index), Some(tip));
            let look = Look {
                marker: Marker::Cross,
                ..look(index)
            };
            plane.sheet.marker((x, y), 3.5, look)?;
        }
    }
    plane.sheet.no_role();
    Ok(())
}

/// The points of a line, with a corner before each where a value holds.
fn course(points: &[(f64, f64)], steps: bool) -> Vec<(f64, f64)> {
    if !steps {
        return points.to_vec();
    }
    let mut course = Vec::with_capacity(points.len() * 2);
    for &(x, y) in points {
        if let Some(&(_, before)) = course.last() {
            course.push((x, before));
        }
        course.push((x, y));
    }
    course
}

fn check(plot: &Timeline) -> Result<(), PlotError> {
    plot.about.limit(
        plot.lines
            .iter()
            .map(|line| line.points.len().max(line.band.len()).max(line.gaps.len()))
            .sum(),
    )?;
    let inconsistent = |what: &str, reason: &str| PlotError::Inconsistent {
        what: what.to_owned(),
        reason: reason.to_owned(),
    };
    for line in &plot.lines {
        for &(x, y) in &line.points {
            plot.x.check(&line.name, x)?;
            plot.y.check(&line.name, y)?;
        }
        for &(x, low, high) in &line.band {
            plot.x.check(&line.name, x)?;
            plot.y.check(&line.name, low)?;
            plot.y.check(&line.name, high)?;
            if low > high {
                return Err(inconsistent(&line.name, "an interval ends below its beginning"));
            }
        }
        for bound in &line.bounds {
            for &(x, y) in &bound.points {
                plot.x.check(&bound.name, x)?;
                plot.y.check(&bound.name, y)?;
            }
        }
        for x in line.gaps.iter().copied().chain(line.unbounded) {
            plot.x.check(&line.name, x)?;
        }
        if line.points.windows(2).any(|pair| pair[1].0 < pair[0].0) {
            return Err(inconsistent(&line.name, "time goes back"));
        }
    }
    for fault in &plot.faults {
        plot.x.check(&fault.name, fault.from)?;
        plot.x.check(&fault.name, fault.to)?;
        if fault.to < fault.from {
            return Err(inconsistent(&fault.name, "ends before it begins"));
        }
    }
    if let Some((from, to)) = plot.span {
        plot.x.check(&plot.about.title, from)?;
        plot.x.check(&plot.about.title, to)?;
        if to < from {
            return Err(inconsistent(&plot.about.title, "the span ends before it begins"));
        }
    }
    plot.references
        .iter()
        .try_for_each(|reference| reference.check(&plot.x, &plot.y))
}

/// Bands over the whole height, with their names in so many lines at the top where there is room, three at most.
pub(crate) fn faults(plane: &Plane, faults: &[Fault], most_rows: usize) -> Result<(), PlotError> {
    let frame = plane.frame;
    let seen = |fault: &Fault| fault.to >= plane.x.low && fault.from <= plane.x.high;
    let ends = |fault: &Fault| {
        let (left, _) = plane.at((fault.from, plane.y.low));
        let (right, _) = plane.at((fault.to, plane.y.low));
        (left, right)
    };
    for (index, fault) in faults.iter().enumerate().filter(|(_, fault)| seen(fault)) {
        let (left, right) = ends(fault);
        plane.sheet.role("fault", Some(index), Some(fault.name.clone()));
        if right - left >= 1.0 {
            plane
                .sheet
                .rect((left, frame.1, right, frame.3), VERMILLION, TINT)?;
        } else {
            let stroke = Stroke {
                opacity: 0.6,
                ..Stroke::thin(VERMILLION)
            };
            plane.sheet.line(&[(left, frame.1), (left, frame.3)], stroke)?;
        }
    }
    // Over all bands, so that none tints the name of another.
    for (index, fault) in faults.iter().enumerate().filter(|(_, fault)| seen(fault)) {
        let (left, right) = ends(fault);
        plane.sheet.role("fault-name", Some(index), None);
        let middle = f64::midpoint(left, right);
        let name = font::shorten(&fault.name, SMALL, 220.0);
        let rows = [0.75, 2.0, 3.25].map(|row| frame.1 + row * LABEL);
        let mut places = Vec::new();
        for &y in rows.iter().take(most_rows) {
            places.push(((middle, y), Anchor::Middle));
            places.push(((left + 3.0, y), Anchor::Start));
            places.push(((right - 3.0, y), Anchor::End));
        }
        plane.sheet.text_somewhere(
            &label(name, (0.0, 0.0), Anchor::Middle, SMALL, INK),
            &places,
            frame,
            true,
        )?;
    }
    plane.sheet.no_role();
    Ok(())
}
