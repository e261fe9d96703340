//! Plots of the whole run: distributions over its samples, and the map.

use longhaul_core::record::{ClientRecord, QuantileRecord};
use longhaul_plots::distribution::{self, Band, Distributions, Function, Set};
use longhaul_plots::map::{self, Link, Node, Topology};
use longhaul_plots::timeline::{self, Line, Timeline};
use longhaul_plots::{About, Drawing, PlotError, Quantity, Reference, Where};

use super::super::load::Story;
use super::super::series::Track;
use super::{Figure, TIMES, arrowed, unit_for};
use crate::human;

/// Regions up to which a map is drawn.
const REGIONS: usize = 300;
/// Clients whose latencies are drawn.
const CLIENTS: usize = 8;
/// Fewest values of which a distribution is drawn.
const FEWEST: u64 = 20;

/// What a distribution shows.
#[derive(Clone, Copy)]
pub(super) struct Whole<'a> {
    pub title: &'a str,
    /// On the axis.
    pub quantity: &'a str,
    pub function: Function,
    /// What a reader has to know.
    pub remark: Option<&'a str>,
}

/// The distribution of a quantity over the samples of a run.
pub(super) fn tail(
    story: &Story,
    metric: &str,
    what: Whole<'_>,
    references: &[(String, f64)],
) -> Result<Figure, PlotError> {
    let tracks: Vec<&Track> = story
        .series
        .of(metric)
        .filter(|track| track.n >= FEWEST)
        .collect();
    let sets = tracks
        .iter()
        .map(|track| (arrowed(&track.entity), track.values.clone()))
        .collect();
    let every = tracks.iter().map(|track| track.every).max().unwrap_or(1);
    distributed(what, sets, every, references)
}

/// How long a byte that comes now would wait in the queue of a link: its bytes over the rate.
pub(super) fn waits(story: &Story, function: Function) -> Result<Figure, PlotError> {
    let tracks: Vec<&Track> = story
        .series
        .of("queue_bytes")
        .filter(|track| track.n >= FEWEST)
        .collect();
    let sets = tracks
        .iter()
        .filter_map(|track| {
            let link = story.record.links.iter().find(|link| link.name == track.entity)?;
            let rate = link.rate_bits_per_s.filter(|rate| *rate > 0)? as f64;
            let values: Vec<f64> = track.values.iter().map(|bytes| bytes * 8e9 / rate).collect();
            values
                .iter()
                .any(|value| *value > 0.0)
                .then(|| (arrowed(&track.entity), values))
        })
        .collect();
    let every = tracks.iter().map(|track| track.every).max().unwrap_or(1);
    let what = Whole {
        title: "Wait in queues: queued bytes over the rate",
        quantity: "wait",
        function,
        remark: None,
    };
    distributed(what, sets, every, &[])
}

/// How long requests took, by how many took longer: quantiles of all requests of each client, of which those without an answer
/// are the slowest.
pub(super) fn latencies(story: &Story) -> Result<Figure, PlotError> {
    let unanswered = |of: &ClientRecord| QuantileRecord::one_in(of.started, of.unanswered());
    let clients = || {
        let clients = story.record.clients.iter();
        clients.filter(|of| !of.request_quantiles.is_empty() || unanswered(of).is_some())
    };
    let most = clients()
        .flat_map(|of| &of.request_quantiles)
        .map(|quantile| quantile.value_ns as f64)
        .fold(0.0, f64::max);
    let (size, unit) = unit_for(TIMES, most);
    let lines = clients().take(CLIENTS).map(|of| Line {
        name: arrowed(&of.name),
        points: of
            .request_quantiles
            .iter()
            .map(|quantile| {
                let one_in = QuantileRecord::one_in_beyond(quantile.share_parts);
                (one_in, quantile.value_ns as f64 / size)
            })
            .collect(),
        unbounded: unanswered(of),
        ..Line::default()
    });
    let lines: Vec<Line> = lines.collect();
    let n = clients().take(CLIENTS).map(|of| of.started).sum();
    let mut about = About::new("Latency of requests: tail", n, "requests of one run")
        .remark("Requests of one run depend on each other, so a band would promise too much")
        .remark("Quantiles beyond which there are fewer than ten requests are left out")
        .size(600.0, 380.0);
    if lines.iter().any(|line| line.unbounded.is_some()) {
        about = about.remark("Arrow up: one request in so many has no answer");
    }
    let drawing = timeline::draw(&Timeline {
        about,
        x: Quantity::log("one request in so many takes longer", ""),
        y: Quantity::linear("latency", unit),
        lines,
        faults: Vec::new(),
        references: Vec::new(),
        span: None,
    })?;
    Ok(Figure {
        drawing,
        lines: Vec::new(),
        unit,
        over_time: false,
    })
}

fn distributed(
    what: Whole<'_>,
    sets: Vec<(String, Vec<f64>)>,
    every: u64,
    references: &[(String, f64)],
) -> Result<Figure, PlotError> {
    let Whole {
        title,
        quantity,
        function,
        remark,
    } = what;
    let most = sets
        .iter()
        .flat_map(|set| set.1.iter().copied())
        .fold(0.0, f64::max);
    let (size, unit) = unit_for(TIMES, most);
    let n = sets.iter().map(|set| set.1.len() as u64).sum();
    let mut about = About::new(
        format!(
            "{title}: {}",
            if function == Function::Cdf {
                "CDF"
            } else {
                "tail (CCDF)"
            }
        ),
        n,
        "samples of one run",
    )
    .remark("Samples of one run depend on each other, so a band would promise too much")
    .size(600.0, 380.0);
    about.remarks.extend(remark.map(str::to_owned));
    if every > 1 {
        about = about.remark(format!("Every {every}th sample was kept"));
    }
    let set = |(name, values): (String, Vec<f64>)| Set {
        name,
        values: values.into_iter().map(|value| value / size).collect(),
        beyond: 0,
        band: Band::None,
        estimated: None,
    };
    let near = |reference: &&(String, f64)| reference.1 <= most * 4.0;
    let drawing = distribution::draw(&Distributions {
        about,
        x: Quantity::linear(quantity, unit),
        function,
        sets: sets.into_iter().map(set).collect(),
        references: references
            .iter()
            .filter(near)
            .map(|(name, at)| Reference {
                name: name.clone(),
                at: Where::Vertical(at / size),
            })
            .collect(),
    })?;
    Ok(Figure {
        drawing,
        lines: Vec::new(),
        unit,
        over_time: false,
    })
}

/// Regions and links, as full as they were over all.
pub(super) fn map_of(story: &Story) -> Result<Drawing, PlotError> {
    let links = &story.record.links;
    let ends = |name: &str| {
        name.split_once("->")
            .map(|(from, to)| (from.to_owned(), to.to_owned()))
    };
    // Regions without links are worth no place, and an unreadable scenario costs the coordinates alone.
    let mut names: Vec<String> = Vec::new();
    for (from, to) in links.iter().filter_map(|link| ends(&link.name)) {
        for name in [from, to] {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.len() > REGIONS {
            return Err(PlotError::TooLarge {
                what: "Regions and links".to_owned(),
                limit: format!("{REGIONS} regions"),
            });
        }
    }
    let located = |name: &str| {
        let place = story.outline.regions.iter().find(|place| place.name == name)?;
        place.location.map(|location| (location.lat, location.lon))
    };
    let drawn: Vec<Link> = links
        .iter()
        .filter_map(|link| {
            let (from, to) = ends(&link.name)?;
            // As the table has it.
            let share = link.busy_ns as f64 / link.active_ns.max(1) as f64;
            Some(Link {
                name: format!("{} → {}", human::printable(&from), human::printable(&to)),
                from: names.iter().position(|name| *name == from)?,
                to: names.iter().position(|name| *name == to)?,
                utilisation: Some(share.min(1.0)),
                down: false,
            })
        })
        .collect();
    if drawn.len() != links.len() {
        return Err(PlotError::Inconsistent {
            what: "Regions and links".to_owned(),
            reason: "a link's name is not `from->to`".to_owned(),
        });
    }
    let about = About::new("Regions and links", links.len() as u64, "links of one run")
        .remark("Utilisation of each link from its first frame to its last")
        .size(760.0, if names.len() < 3 { 240.0 } else { 430.0 });
    map::draw(&Topology {
        about,
        nodes: names
            .iter()
            .map(|name| Node {
                name: human::printable(name),
                place: located(name),
            })
            .collect(),
        links: drawn,
    })
}
