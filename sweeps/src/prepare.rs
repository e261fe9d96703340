//! A sweep and its scenario together: whether all values of all axes fit, before anything runs.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longhaul_scenarios::diagnose::{Diagnostic, Diagnostics, Place, Sink};
use longhaul_scenarios::metric::Subject;
use longhaul_scenarios::schema::{Scenario, Scope};
use longhaul_scenarios::source::{self, ReadError, Source};
use longhaul_scenarios::{Loaded, library, load, overrides, suggest, theory};
use thiserror::Error;

use crate::decode::SweepFile;
use crate::plots::laws_of;
use crate::points::{Points, PointsError, Setter};
use crate::schema::{AxisValue, MOST_REPLICATIONS, PlotKind, Sweep};
use crate::seeds::RunSeeds;

/// Why a sweep cannot run.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// No text of the scenario.
    #[error("the scenario of the sweep: {0}")]
    Scenario(#[from] ReadError),
    /// Mistakes in the sweep, or in its scenario.
    #[error(transparent)]
    Mistakes(#[from] Diagnostics),
    /// All combinations of two sources are too many.
    #[error(
        "{samples} samples of each of two sources are {runs} runs of every point; at most {MOST_REPLICATIONS} are possible"
    )]
    Combinations {
        /// Of each source.
        samples: u32,
        /// Runs of a point.
        runs: u64,
    },
}

/// A sweep that can run.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The sweep.
    pub sweep: Sweep,
    /// The text of its file.
    pub text: String,
    /// The text of its scenario.
    pub source: Source,
    /// Canonical text of the scenario with the changes that all points share: of the first point if the scenario
    /// is complete only with the axes.
    pub base: String,
    /// The seeds of that scenario: those of points that have no valid one.
    pub seeds: RunSeeds,
    /// Whether more points than the limit are allowed.
    pub any_number: bool,
}

/// Reads the scenario of a sweep and tries every value of every axis.
///
/// # Errors
/// Axes that name no field or set what the scenario refuses, metrics that nothing gives a value, too many points.
pub fn prepare(file: &SweepFile, any_number: bool) -> Result<Prepared, PrepareError> {
    let sweep = &file.sweep;
    let source = scenario_source(&file.base_dir, &sweep.scenario)?;
    let runs = u64::from(sweep.runs());
    if runs > MOST_REPLICATIONS {
        let samples = sweep.replications;
        return Err(PrepareError::Combinations { samples, runs });
    }
    let mut sink = Sink::default();
    let points = match Points::of(sweep, any_number) {
        Ok(points) => points,
        Err(error) => {
            let (place, path) = match error {
                PointsError::Nothing => (file.where_place, "where"),
                PointsError::TooMany { .. } | PointsError::TooManyCombinations { .. } => {
                    (file.axes_place, "axes")
                }
            };
            sink.push(Diagnostic::error(place, path, error.to_string()));
            return Err(Diagnostics::new(Arc::clone(&file.texts), sink).into());
        }
    };
    overlaps(file, &source, &points, &mut sink);
    let first = try_values(file, &source, &points, &mut sink)?;
    if let Some(first) = &first {
        measures(file, &first.scenario, &mut sink);
        clients(file, &first.scenario, &mut sink);
        laws(file, &source, &points, &first.scenario, &mut sink);
    }
    let (true, Some(first)) = (sink.is_empty(), first) else {
        return Err(Diagnostics::new(Arc::clone(&file.texts), sink).into());
    };
    let base = load(&source, &sweep.set, None).unwrap_or(first);
    Ok(Prepared {
        sweep: sweep.clone(),
        text: file.text.clone(),
        source,
        seeds: RunSeeds::of(&base.scenario),
        base: base.canonical,
        any_number,
    })
}

impl Prepared {
    /// The points.
    ///
    /// # Panics
    /// Never: they were counted before.
    pub fn points(&self) -> Points<'_> {
        Points::of(&self.sweep, self.any_number).expect("counted before")
    }

    /// The scenario of a point, with a sample of what is uncertain.
    ///
    /// # Errors
    /// If these values, each of which is allowed, are not allowed together.
    pub fn load(&self, points: &Points, point: u64, sample: u32) -> Result<Loaded, Diagnostics> {
        load(
            &self.source,
            &points.overrides(point, &self.sweep.draws(sample)).0,
            None,
        )
    }
}

fn scenario_source(base_dir: &Path, name: &str) -> Result<Source, ReadError> {
    if library::find(name).is_some() {
        return source::open(name);
    }
    let path = base_dir.join(name);
    match source::read_file(&path) {
        Err(ReadError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(ReadError::Unknown {
                what: "scenario",
                asked: path.display().to_string(),
                suggestion: library::nearest(name),
            })
        }
        result => result,
    }
}

/// Whatever sets fields, by its name and where its paths stand; `None` of what all points share.
fn named(sweep: &Sweep, setter: Setter) -> Option<(&str, Place)> {
    match setter {
        Setter::Shared => None,
        Setter::Axis(index) => sweep
            .axes()
            .nth(index)
            .map(|axis| (axis.name.as_str(), axis.place)),
        Setter::Uncertain(index) => {
            let field = sweep.uncertain.get(index);
            field.map(|field| (field.name.as_str(), field.place))
        }
    }
}

/// Refuses axes and uncertain fields that set the same field, or one of which sets something around what the other sets: the
/// tables would show values that never ran. Paths are compared by where they lead, since a field has several spellings.
fn overlaps(file: &SweepFile, source: &Source, points: &Points, sink: &mut Sink) {
    let (overrides, setters) = points.overrides(0, &file.sweep.draws(0));
    let targets = overrides::targets(source, &overrides);
    let path = |index: usize| overrides[index].split('=').next().unwrap_or_default();
    let named = |index: usize| named(&file.sweep, setters[index]);
    for later in 0..overrides.len() {
        let (Some((name, place)), Some(target)) = (named(later), &targets[later]) else {
            continue;
        };
        let uncertain = matches!(setters[later], Setter::Uncertain(_));
        let (noun, nouns) = if uncertain {
            ("field", "fields")
        } else {
            ("axis", "axes")
        };
        for (earlier, other) in targets.iter().enumerate().take(later) {
            let Some(other) = other else {
                continue;
            };
            let shared = target.len().min(other.len());
            if target[..shared] != other[..shared] {
                continue;
            }
            let (one, two) = (path(earlier), path(later));
            let set = match target.len().cmp(&other.len()) {
                Ordering::Equal if one == two => format!("`{two}`"),
                Ordering::Equal => format!("one field, as `{one}` and as `{two}`"),
                Ordering::Less => format!("`{one}`: `{two}` is all of it"),
                Ordering::Greater => format!("`{two}`: `{one}` is all of it"),
            };
            let error = match named(earlier) {
                Some(_) if setters[earlier] == setters[later] => {
                    Diagnostic::error(place, two, format!("the {noun} `{name}` twice sets {set}"))
                }
                Some((other, first)) => {
                    let both = format!("the {nouns} `{other}` and `{name}` both set {set}");
                    Diagnostic::error(place, two, both).related(first, "first here")
                }
                // An axis may vary a part of what all points share; all of it, and that would be for nothing.
                None if target.len() <= other.len() => Diagnostic::error(
                    file.set_places[earlier],
                    one,
                    format!("this is without effect: the {noun} `{name}` sets `{two}`"),
                )
                .related(place, "here"),
                None => continue,
            };
            sink.push(error);
        }
    }
}

/// Loads, for every row of every group, the first point that has it, and that of the first point with the extremes of what is
/// uncertain; gives the scenario of the first point.
fn try_values(
    file: &SweepFile,
    source: &Source,
    points: &Points,
    sink: &mut Sink,
) -> Result<Option<Loaded>, PrepareError> {
    let mut seen: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); file.sweep.groups.len()];
    let all: usize = file.sweep.groups.iter().map(crate::schema::Group::rows).sum();
    let (mut rows_seen, mut reported, mut first) = (0, BTreeSet::new(), None);
    for point in 0..points.len() {
        let mut fresh = false;
        for (seen, row) in seen.iter_mut().zip(points.rows(point)) {
            if seen.insert(row) {
                fresh = true;
                rows_seen += 1;
            }
        }
        // The first point counts even without axes.
        if !fresh && point > 0 {
            continue;
        }
        let draws = file.sweep.draws(0);
        match try_point(file, source, points, (point, &draws), &mut reported, sink)? {
            Some(loaded) if point == 0 => first = Some(loaded),
            _ => {}
        }
        if rows_seen == all || sink.is_full() {
            break;
        }
    }
    for (index, field) in file.sweep.uncertain.iter().enumerate() {
        for value in field.space.extremes(field.place) {
            let mut draws = file.sweep.draws(0);
            draws[index] = value;
            try_point(file, source, points, (0, &draws), &mut reported, sink)?;
        }
    }
    Ok(first)
}

/// Loads a point with these values of what is uncertain, or says what is wrong with it.
fn try_point(
    file: &SweepFile,
    source: &Source,
    points: &Points,
    run: (u64, &[AxisValue]),
    reported: &mut BTreeSet<(Setter, String)>,
    sink: &mut Sink,
) -> Result<Option<Loaded>, PrepareError> {
    let (point, draws) = run;
    let mistakes = match load(source, &points.overrides(point, draws).0, None) {
        Ok(loaded) => return Ok(Some(loaded)),
        Err(mistakes) => mistakes,
    };
    // What is wrong with the scenario by itself is told in the scenario's own terms.
    if let Err(own) = load(source, &file.sweep.set, None)
        && own.items().iter().all(|item| item.place.text == 0)
        && own
            .items()
            .iter()
            .any(|item| mistakes.items().iter().any(|other| alike(item, other)))
    {
        return Err(own.into());
    }
    blame(file, points, run, &mistakes, reported, sink);
    Ok(None)
}

fn alike(one: &Diagnostic, other: &Diagnostic) -> bool {
    (&one.path, &one.message) == (&other.path, &other.message)
}

/// Turns the mistakes of a point's scenario into mistakes of the axes or uncertain fields that made them.
fn blame(
    file: &SweepFile,
    points: &Points,
    (point, draws): (u64, &[AxisValue]),
    mistakes: &Diagnostics,
    reported: &mut BTreeSet<(Setter, String)>,
    sink: &mut Sink,
) {
    let (overrides, setters) = points.overrides(point, draws);
    let values = points.values(point);
    for item in mistakes.items() {
        let index = usize::from(item.place.text).checked_sub(1);
        let setter = index.map_or(Setter::Shared, |index| setters[index]);
        // A path that leads nowhere does so with every value, a value that is refused is one of many.
        let path = index.and_then(|index| {
            let (path, _) = overrides[index].split_once('=')?;
            ((item.place.start as usize) < path.len()).then_some(path)
        });
        let message = match (path, index) {
            (Some(path), _) => format!("`{}`: {}", path.trim(), item.message),
            (None, Some(index)) => format!("`{}`: {}", overrides[index], item.message),
            (None, None) => format!("with {}: {}", points.describe(point), item.message),
        };
        let key = format!("{} {}", item.path, item.message);
        if !reported.insert((setter, key)) {
            continue;
        }
        let value = match setter {
            Setter::Shared => None,
            Setter::Axis(index) => values.get(index).map(|value| value.place),
            Setter::Uncertain(index) => draws.get(index).map(|value| value.place),
        };
        let place = match (named(&file.sweep, setter).zip(value), index) {
            (Some(((_, paths), _)), _) if path.is_some() => paths,
            (Some((_, value)), _) => value,
            (None, Some(index)) => file.set_places[index],
            (None, None) => file.scenario_place,
        };
        let mut error = Diagnostic::error(place, &*item.path, message);
        error.help.clone_from(&item.help);
        sink.push(error);
    }
}

/// Whether the clients are there whose latencies are to be drawn.
fn clients(file: &SweepFile, scenario: &Scenario, sink: &mut Sink) {
    let names = Subject::Client.names(scenario);
    for (index, plot) in file.sweep.plots.iter().enumerate() {
        let PlotKind::Tail { client, .. } = &plot.kind else {
            continue;
        };
        if !names.contains(client) {
            let mut error = Diagnostic::error(
                file.scenario_place,
                format!("plots[{index}].client"),
                format!("no client is named `{client}`"),
            );
            error.help = suggest::help(client, names.iter().map(String::as_str));
            sink.push(error);
        }
    }
}

/// Points that are looked through for one to which a law applies: with and without loss, say.
const MOST_TRIED: u64 = 64;

/// Whether the laws that are to be drawn say anything, at one point at least.
fn laws(file: &SweepFile, source: &Source, points: &Points, first: &Scenario, sink: &mut Sink) {
    for (index, plot) in file.sweep.plots.iter().enumerate() {
        let PlotKind::Line { y, .. } = &plot.kind else {
            continue;
        };
        let Some(measure) = file.sweep.measures.iter().find(|measure| measure.name == *y) else {
            continue;
        };
        for law in laws_of(&plot.kind) {
            let Err(why) = theory::bound(law, measure.metric, &measure.scope, first) else {
                continue;
            };
            let elsewhere = (1..points.len().min(MOST_TRIED)).any(|point| {
                let loaded = load(source, &points.overrides(point, &[]).0, None);
                loaded
                    .is_ok_and(|it| theory::bound(law, measure.metric, &measure.scope, &it.scenario).is_ok())
            });
            if !elsewhere {
                let message = format!("{} is no bound of `{y}`: {why}", law.name());
                let path = format!("plots[{index}].bound");
                sink.push(Diagnostic::error(file.scenario_place, path, message));
            }
        }
    }
}

/// Whether something gives each metric a value.
fn measures(file: &SweepFile, scenario: &Scenario, sink: &mut Sink) {
    for ((index, measure), place) in file.sweep.measures.iter().enumerate().zip(&file.measure_places) {
        let subject = measure.metric.subject();
        let (what, names) = (subject.noun(), subject.names(scenario));
        let path = format!("metrics[{index}]");
        if names.is_empty() {
            let message = format!("nothing gives this metric a value: there is no {what}");
            sink.push(Diagnostic::error(*place, path, message));
        } else if let Scope::Only(name) = &measure.scope
            && !names.contains(name)
        {
            let mut error = Diagnostic::error(
                *place,
                format!("{path}.scope"),
                format!("no {what} is named `{name}`"),
            );
            error.help = suggest::help(name, names.iter().map(String::as_str));
            sink.push(error);
        }
    }
}

/// What the files that a scenario names are relative to.
pub fn files_of(prepared: &Prepared) -> PathBuf {
    prepared.source.base_dir.clone()
}
