//! The plots of a report.

mod policies;
mod whole;

use longhaul_core::record::RunRecord;
use longhaul_core::record::outage::{Outage, together};
use longhaul_plots::distribution::Function;
use longhaul_plots::gantt::{self, Gantt, Kind, Row, Segment, Tone};
use longhaul_plots::timeline::{self, Fault, Line, Timeline};
use longhaul_plots::{About, Drawing, PlotError, Quantity, Reference, Where};

use self::whole::{Whole, latencies, map_of, tail, waits};
use super::events::Phase;
use super::load::Story;
use super::series::{FRAMES, PARTS, Track};
use crate::human;

/// Rows of the migrations' chart.
const ROWS: usize = 60;

/// Why the age of epochs goes on rising after a failure, and the table's does not.
const AFTER_A_KILL: &str =
    "The age goes on rising once the source is killed; the table's recovery points end there";

/// A plot on the page.
pub(super) struct Figure {
    pub drawing: Drawing,
    /// For a pointer: the lines of a plot over time, in the unit of its axis.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
    pub unit: &'static str,
    /// Whether its horizontal axis is the time of the run, so that all such plots are looked at together.
    pub over_time: bool,
}

/// Plots by the part of the page that they stand in.
#[derive(Default)]
pub(super) struct Figures {
    pub timeline: Vec<Figure>,
    pub migrations: Vec<Figure>,
    pub links: Vec<Figure>,
    pub tails: Vec<Figure>,
    pub map: Option<Drawing>,
}

/// A scale of units: how many of the base unit, and the name.
type Units = [(f64, &'static str)];

const BITS: &Units = &[
    (1.0, "bit/s"),
    (1e3, "kbit/s"),
    (1e6, "Mbit/s"),
    (1e9, "Gbit/s"),
    (1e12, "Tbit/s"),
];
const BYTES: &Units = &[(1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB")];
const TIMES: &Units = &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];
const NUMBERS: &Units = &[(1.0, "")];

/// What the lines of one plot have in common.
struct Group<'a> {
    title: &'a str,
    metric: &'static str,
    /// What the axis shows.
    quantity: &'a str,
    /// From the file's number to the base unit.
    factor: f64,
    units: &'static Units,
    /// What a reader has to know.
    remark: Option<&'static str>,
}

impl Figures {
    /// All that the records have values for. A plot that cannot be drawn is left out and its reason noted.
    pub fn of(story: &Story, notes: &mut Vec<String>) -> Figures {
        let mut figures = Figures::default();
        let mut add = |list: &mut Vec<Figure>, figure: Result<Figure, PlotError>| match figure {
            Ok(figure) => list.push(figure),
            Err(PlotError::Empty { .. }) => {}
            Err(error) => notes.push(format!("a plot is left out: {error}")),
        };
        let group = |title, metric, quantity, factor, units| Group {
            title,
            metric,
            quantity,
            factor,
            units,
            remark: None,
        };
        let links = &story.record.links;
        let of_link = |track: &&Track| links.iter().any(|link| link.name == track.entity);
        let rates = group(
            "Throughput of the fullest links",
            "delivered_bytes",
            "throughput",
            8.0,
            BITS,
        );
        add(
            &mut figures.links,
            over_time(story, &rates, of_link, capacities(&story.record)),
        );
        // Their peaks in the tables are those of every moment.
        let at_samples = |group| Group {
            remark: Some("Values at the moments of sampling; between them there may have been more"),
            ..group
        };
        let queues = at_samples(group(
            "Queues of the fullest links",
            "queue_bytes",
            "queued",
            1.0,
            BYTES,
        ));
        let queued = |track: &&Track| of_link(track) && track.points.iter().any(|point| point.1 > 0.0);
        add(&mut figures.links, over_time(story, &queues, queued, Vec::new()));

        let all = |_: &&Track| true;
        let moved = |track: &&Track| track.points.iter().any(|point| point.1 > 0.0);
        let received = group("Goodput of transfers", "received_bytes", "goodput", 8.0, BITS);
        add(
            &mut figures.timeline,
            over_time(story, &received, all, Vec::new()),
        );
        let datagrams = group(
            "Datagrams received",
            "received_datagrams",
            "datagrams per second",
            1.0,
            NUMBERS,
        );
        add(
            &mut figures.timeline,
            over_time(story, &datagrams, moved, Vec::new()),
        );
        let killed = story.events.outages.iter().any(|of| of.what.ends_with("killed"));
        let age = Group {
            remark: killed.then_some(AFTER_A_KILL),
            ..group(
                "Age of the newest complete epoch",
                "recovery_point_ns",
                "recovery point",
                1.0,
                TIMES,
            )
        };
        add(
            &mut figures.timeline,
            over_time(story, &age, all, targets(&story.record)),
        );
        let backlog = group(
            "Backlog of replications",
            "backlog_bytes",
            "to be sent",
            1.0,
            BYTES,
        );
        add(
            &mut figures.timeline,
            over_time(story, &backlog, moved, Vec::new()),
        );
        let waiting = at_samples(group(
            "Changes that wait for peers",
            "waiting_changes",
            "waiting changes",
            1.0,
            NUMBERS,
        ));
        add(
            &mut figures.timeline,
            over_time(story, &waiting, moved, Vec::new()),
        );
        let rtts = group(
            "Round trips of paths, by probes",
            "rtt_mean_ns",
            "mean round trip",
            1.0,
            TIMES,
        );
        add(&mut figures.timeline, over_time(story, &rtts, all, Vec::new()));
        let in_time = group(
            "Requests that succeeded in time",
            "requests_succeeded",
            "requests per second",
            1.0,
            NUMBERS,
        );
        add(&mut figures.timeline, over_time(story, &in_time, all, Vec::new()));
        let attempts = group(
            "Attempts of clients",
            "attempts",
            "attempts per second",
            1.0,
            NUMBERS,
        );
        let retried = |track: &&Track| {
            let client = story
                .record
                .clients
                .iter()
                .find(|client| client.name == track.entity);
            client.is_some_and(|client| client.attempts > client.started)
        };
        add(
            &mut figures.timeline,
            over_time(story, &attempts, retried, Vec::new()),
        );
        let waiting_requests = at_samples(group(
            "Requests that wait at servers",
            "requests_queued",
            "waiting requests",
            1.0,
            NUMBERS,
        ));
        add(
            &mut figures.timeline,
            over_time(story, &waiting_requests, moved, Vec::new()),
        );
        add(&mut figures.timeline, policies::strips(story));
        add(&mut figures.timeline, states(story));

        add(&mut figures.migrations, migrations(story));
        let left = group(
            "Memory not yet handed to the connections",
            "remaining_bytes",
            "remaining",
            1.0,
            BYTES,
        );
        add(&mut figures.migrations, over_time(story, &left, all, Vec::new()));
        let speed = group(
            "Bandwidth of migrations",
            "bandwidth_bits_per_s",
            "bandwidth",
            1.0,
            BITS,
        );
        add(
            &mut figures.migrations,
            over_time(story, &speed, moved, Vec::new()),
        );

        for (metric, title, quantity) in [
            (
                "recovery_point_ns",
                "Age of the newest complete epoch",
                "recovery point",
            ),
            (
                "rtt_mean_ns",
                "Round trips of paths, by probes",
                "mean round trip",
            ),
        ] {
            let references = if metric == "recovery_point_ns" {
                targets(&story.record)
            } else {
                Vec::new()
            };
            let remark = (killed && metric == "recovery_point_ns").then_some(AFTER_A_KILL);
            for function in [Function::Cdf, Function::Ccdf] {
                let what = Whole {
                    title,
                    quantity,
                    function,
                    remark,
                };
                add(&mut figures.tails, tail(story, metric, what, &references));
            }
        }
        add(&mut figures.tails, latencies(story));
        for function in [Function::Cdf, Function::Ccdf] {
            add(&mut figures.tails, waits(story, function));
        }
        figures.map = match map_of(story) {
            Ok(drawing) => Some(drawing),
            Err(PlotError::Empty { .. }) => None,
            Err(error) => {
                notes.push(format!("the map is left out: {error}"));
                None
            }
        };
        figures
    }
}

/// The largest unit that leaves a whole.
fn unit_for(units: &'static Units, most: f64) -> (f64, &'static str) {
    units
        .iter()
        .rev()
        .find(|(size, _)| most >= *size)
        .copied()
        .unwrap_or(units[0])
}

/// The unit in which people count a run of this length, and its seconds.
pub(super) fn clock(story: &Story) -> (f64, &'static str) {
    const MINUTE: u64 = 60_000_000_000;
    match story.record.simulated_ns {
        0..=600_000_000_000 => (1.0, "s"),
        ns if ns <= 300 * MINUTE => (60.0, "min"),
        ns if ns <= 10 * 24 * 60 * MINUTE => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    }
}

fn time_axis(story: &Story) -> Quantity {
    Quantity::linear("simulated time", clock(story).1)
}

/// Nanoseconds in the unit of the axis.
fn place(story: &Story, ns: u64) -> f64 {
    ns as f64 / 1e9 / clock(story).0
}

fn span(story: &Story) -> (f64, f64) {
    (0.0, place(story, story.record.simulated_ns))
}

pub(super) fn faults(story: &Story) -> Vec<Fault> {
    let fault = |of: &Outage| Fault {
        from: place(story, of.from_ns),
        to: place(story, of.to_ns),
        name: of.what.clone(),
    };
    together(&story.events.outages).iter().map(fault).collect()
}

/// A name with an arrow instead of `->`.
fn arrowed(name: &str) -> String {
    human::printable(&name.replace("->", " → "))
}

/// What a caption says where not all that have a quantity are drawn.
fn left_out(story: &Story, metric: &str, drawn: usize) -> Option<String> {
    let all = story.series.entities(metric);
    ((drawn as u64) < all).then(|| format!("{drawn} of {all} are drawn"))
}

/// What a caption says of lines that were thinned out.
fn thinned(tracks: &[&Track]) -> Option<String> {
    let thinned = tracks.iter().any(|track| (track.points.len() as u64) < track.n);
    thinned.then(|| {
        format!(
            "Thinned out to the first, lowest, highest and last value of each of {PARTS} parts of the run"
        )
    })
}

/// Lines of one quantity over the time of the run; references are in the base unit.
fn over_time(
    story: &Story,
    group: &Group<'_>,
    which: impl Fn(&&Track) -> bool,
    references: Vec<(String, f64)>,
) -> Result<Figure, PlotError> {
    let tracks: Vec<&Track> = story.series.of(group.metric).filter(which).collect();
    if tracks.iter().all(|track| track.n < 2) {
        // One value is no course; tables have what became of it.
        let what = group.title.to_owned();
        return Err(PlotError::Empty { what });
    }
    let scaled = |track: &&Track| {
        track
            .points
            .iter()
            .map(|point| point.1 * group.factor)
            .fold(0.0, f64::max)
    };
    let most = tracks.iter().map(scaled).fold(0.0, f64::max);
    let (size, unit) = unit_for(group.units, most);
    let (second, _) = clock(story);
    let lines: Vec<Line> = tracks
        .iter()
        .map(|track| Line {
            name: arrowed(&track.entity),
            points: track
                .points
                .iter()
                .map(|&(at, value)| (at / second, value * group.factor / size))
                .collect(),
            ..Line::default()
        })
        .collect();
    let n = tracks.iter().map(|track| track.n).sum();
    let mut about = About::new(group.title, n, "samples of one run");
    about.remarks.extend(left_out(story, group.metric, tracks.len()));
    about.remarks.extend(thinned(&tracks));
    about.remarks.extend(group.remark.map(str::to_owned));
    let reference = |(name, at): (String, f64)| Reference {
        name,
        at: Where::Horizontal(at / size),
    };
    // A bound far above everything would press the lines flat.
    let near = |reference: &(String, f64)| reference.1 <= most * 4.0;
    let plot = Timeline {
        about,
        x: time_axis(story),
        y: Quantity::linear(group.quantity, unit),
        lines,
        faults: faults(story),
        references: references.into_iter().filter(near).map(reference).collect(),
        span: Some(span(story)),
    };
    let drawing = timeline::draw(&plot)?;
    let lines = plot
        .lines
        .into_iter()
        .map(|line| (line.name, line.points))
        .collect();
    Ok(Figure {
        drawing,
        lines,
        unit,
        over_time: true,
    })
}

/// Rates of links as bounds, if few different ones.
fn capacities(record: &RunRecord) -> Vec<(String, f64)> {
    let mut rates: Vec<u64> = record
        .links
        .iter()
        .filter_map(|link| link.rate_bits_per_s)
        .collect();
    rates.sort_unstable();
    rates.dedup();
    if rates.len() > 3 {
        return Vec::new();
    }
    rates
        .into_iter()
        .map(|rate| (format!("link rate {}", human::rate(rate)), rate as f64))
        .collect()
}

fn targets(record: &RunRecord) -> Vec<(String, f64)> {
    let target = |of: &longhaul_core::record::ReplicationRecord| {
        let name = format!(
            "target of {}: {}",
            human::printable(&of.name),
            human::span(of.rpo_target_ns)
        );
        (name, of.rpo_target_ns as f64)
    };
    record.replications.iter().take(3).map(target).collect()
}

/// Which paths of overlays were up, as strips.
fn states(story: &Story) -> Result<Figure, PlotError> {
    let rows: Vec<Row> = story
        .series
        .of("path_up")
        .map(|track| {
            let end = span(story).1;
            let mut segments: Vec<Segment> = Vec::new();
            for (index, &(from, up)) in track.points.iter().enumerate() {
                let from = from / clock(story).0;
                let to = track
                    .points
                    .get(index + 1)
                    .map_or(end, |next| next.0 / clock(story).0)
                    .max(from);
                let kind = usize::from(up == 0.0);
                match segments.last_mut() {
                    Some(last) if last.kind == kind => last.to = to,
                    _ => segments.push(Segment {
                        from,
                        to,
                        kind,
                        label: String::new(),
                        tip: String::new(),
                    }),
                }
            }
            for segment in &mut segments {
                let word = ["up", "down"][segment.kind];
                segment.label = word.to_owned();
                let unit = clock(story).1;
                segment.tip = format!(
                    "{word} from {:.3} {unit} to {:.3} {unit}, as sampled",
                    segment.from, segment.to
                );
            }
            Row {
                name: arrowed(&track.entity),
                segments,
                marks: Vec::new(),
            }
        })
        .collect();
    let kind = |name: &str, tone| Kind {
        name: name.to_owned(),
        tone,
    };
    let n = story.series.of("path_up").map(|track| track.n).sum();
    let mut about = About::new("Paths of overlays", n, "samples of one run");
    about.remarks.extend(left_out(story, "path_up", rows.len()));
    let plot = Gantt {
        about,
        x: time_axis(story),
        kinds: vec![kind("up", Tone::Normal), kind("down", Tone::Alarm)],
        rows,
        faults: faults(story),
        span: Some(span(story)),
    };
    Ok(strip(gantt::draw(&plot)?))
}

fn strip(drawing: Drawing) -> Figure {
    Figure {
        drawing,
        lines: Vec::new(),
        unit: "",
        over_time: true,
    }
}

/// Migrations with their rounds.
fn migrations(story: &Story) -> Result<Figure, PlotError> {
    let rows: Vec<Row> = story
        .record
        .migrations
        .iter()
        .take(ROWS)
        .filter_map(|migration| {
            let course = story.events.courses.get(&migration.name)?;
            let segments = course
                .phases
                .iter()
                .map(|&(from, to, phase)| segment(story, from, to, phase))
                .collect();
            let marks = course
                .moments
                .iter()
                .map(|(at, what)| (place(story, *at), what.clone()))
                .collect();
            Some(Row {
                name: human::printable(&migration.name),
                segments,
                marks,
            })
        })
        .collect();
    let kind = |name: &str, tone| Kind {
        name: name.to_owned(),
        tone,
    };
    let mut about = About::new(
        "Migrations and their rounds",
        story.record.migrations.len() as u64,
        "migrations of one run",
    );
    if story.record.migrations.len() > ROWS {
        about = about.remark(format!("The first {ROWS} are drawn"));
    }
    let plot = Gantt {
        about,
        x: time_axis(story),
        kinds: vec![
            kind("setup", Tone::Quiet),
            kind("round of copying", Tone::Normal),
            kind("guest stands still", Tone::Alarm),
            kind("runs there, pages follow", Tone::Other),
            kind("connection lost", Tone::Third),
        ],
        rows,
        faults: faults(story),
        span: Some(span(story)),
    };
    Ok(strip(gantt::draw(&plot)?))
}

fn segment(story: &Story, from_ns: u64, to_ns: u64, phase: Phase) -> Segment {
    let (kind, label, what) = match phase {
        Phase::Setup => (0, "setup".to_owned(), "setup".to_owned()),
        Phase::Round(number) => (1, number.to_string(), format!("round {number}")),
        Phase::Stopped => (2, "stop".to_owned(), "guest stands still".to_owned()),
        Phase::Postcopy => (
            3,
            "post-copy".to_owned(),
            "runs at the destination, pages follow".to_owned(),
        ),
        Phase::Interrupted => (4, "lost".to_owned(), "connection lost".to_owned()),
    };
    Segment {
        from: place(story, from_ns),
        to: place(story, to_ns),
        kind,
        label,
        tip: format!(
            "{what}: {} from {}",
            human::span(to_ns - from_ns),
            human::span(from_ns)
        ),
    }
}

/// When each look of the map is, in the unit of the axes: its middle.
pub(super) fn look_times(story: &Story) -> Vec<f64> {
    let end = span(story).1;
    (0..FRAMES)
        .map(|look| end * (look as f64 + 0.5) / FRAMES as f64)
        .collect()
}
