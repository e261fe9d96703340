//! Which axes matter: the design of a study, and what its points say. The methods are those of `longhaul-statistics`.
//!
//! The outcome at a point is the mean of its replications, which share their seeds with all other points; a factorial
//! works each replication out by itself. A point without a mean, because a run of it failed or did not get to its end,
//! leaves the whole metric without an answer: a design with holes shows something else.

use longhaul_core::random::{Stream, Streams};
use longhaul_statistics::{Interval, Morris, Sobol, TwoLevel};
use serde::{Deserialize, Serialize};

use crate::columns::{Cell, Column, Kind};
use crate::entry::Known;
use crate::estimate::{LEVEL, in_unit};
use crate::rows::RunRow;
use crate::schema::{Sensitivity, Sweep};
use crate::summary::{PointSummary, unit_name};

/// Resamples behind the intervals of Sobol's indices.
const RESAMPLES: usize = 1_000;

/// What the names of pictures of studies begin with.
pub const PICTURES: [&str; 2] = ["sensitivity-", "screening-"];

/// What a study found: an entry of `summary.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Findings {
    /// `morris`, `sobol` or `factorial`.
    pub design: String,
    /// Points of the design.
    pub points: u64,
    /// Runs of each.
    pub replications: u64,
    /// In the order of the sweep's file.
    pub metrics: Vec<MetricFindings>,
}

/// What a study found about a metric.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MetricFindings {
    /// Its name.
    pub metric: String,
    /// `ns`, `bytes`, `bit/s`, `share` or `number`.
    pub unit: String,
    /// Why there is no answer.
    pub problem: Option<String>,
    /// In the order of the axes; of a factorial main effects first.
    pub effects: Vec<Effect>,
}

/// What an axis does, or several together.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Effect {
    /// The axes; several in an interaction.
    pub axes: Vec<String>,
    /// `mu_star`, `mu` or `sigma` of Morris, in the metric's unit over the whole range of the axis; `first_order` or `total`
    /// of Sobol, shares of the variance; `effect` (low to high, in the metric's unit) or `share` (of the variation) of a
    /// factorial.
    pub measure: String,
    /// Its value.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Trajectories, rows or replications behind the interval.
    pub n: Option<u64>,
    /// How the interval was found.
    pub method: Option<String>,
}

impl Effect {
    fn of(axes: &[String], measure: &str, interval: &Interval) -> Effect {
        Effect {
            axes: axes.to_vec(),
            measure: measure.to_owned(),
            value: interval.estimate,
            low: Some(interval.low),
            high: Some(interval.high),
            n: Some(interval.n as u64),
            method: Some(interval.method.name().to_owned()),
        }
    }

    fn plain(axes: &[String], measure: &str, value: f64) -> Effect {
        Effect {
            axes: axes.to_vec(),
            measure: measure.to_owned(),
            value,
            low: None,
            high: None,
            n: None,
            method: None,
        }
    }

    /// The axes in one text: `rtt`, or `rtt × loss`.
    pub fn name(&self) -> String {
        self.axes.join(" × ")
    }
}

/// The points of a design in the unit cube, in order; `None` if all combinations of values are meant.
pub fn coordinates(sensitivity: Sensitivity, axes: usize) -> Option<Vec<Vec<f64>>> {
    match sensitivity {
        Sensitivity::Morris { .. } => morris(sensitivity, axes).map(|design| design.points().to_vec()),
        Sensitivity::Sobol { .. } => sobol(sensitivity, axes).map(|design| design.points().to_vec()),
        Sensitivity::Factorial => None,
    }
}

fn stream(seed: u64, purpose: &str) -> Stream {
    Streams::new(seed, 0).stream("sensitivity", purpose)
}

fn morris(sensitivity: Sensitivity, axes: usize) -> Option<Morris> {
    let Sensitivity::Morris {
        trajectories,
        levels,
        seed,
    } = sensitivity
    else {
        return None;
    };
    let design = Morris::new(axes, levels, trajectories, &mut stream(seed, "morris"));
    Some(design.expect("a design whose size was checked"))
}

fn sobol(sensitivity: Sensitivity, axes: usize) -> Option<Sobol> {
    let Sensitivity::Sobol { samples, seed } = sensitivity else {
        return None;
    };
    let design = Sobol::new(axes, samples, &mut stream(seed, "sobol"));
    Some(design.expect("a design whose size was checked"))
}

/// What the points of a study gave, as they come.
pub struct Study<'s> {
    sweep: &'s Sweep,
    sensitivity: Sensitivity,
    points: u64,
    replications: u64,
    /// For each measure: the outcome at each point, and how many points have none.
    measures: Vec<Outcomes>,
}

#[derive(Clone, Default)]
struct Outcomes {
    /// Means, or the values of all replications one after the other.
    values: Vec<f64>,
    holes: u64,
}

impl<'s> Study<'s> {
    /// Of a sweep that asks for one.
    pub fn of(sweep: &'s Sweep) -> Option<Study<'s>> {
        Some(Study {
            sweep,
            sensitivity: sweep.sensitivity?,
            points: 0,
            replications: 0,
            measures: vec![Outcomes::default(); sweep.measures.len()],
        })
    }

    /// Adds a point, in the order of their numbers.
    pub fn point(&mut self, summary: &PointSummary, runs: &[RunRow]) {
        self.points += 1;
        self.replications = summary.replications;
        let rows: Vec<Vec<Known>> = match self.sensitivity {
            Sensitivity::Factorial => runs.iter().map(|run| run.values(self.sweep)).collect(),
            _ => Vec::new(),
        };
        for (index, outcomes) in self.measures.iter_mut().enumerate() {
            let Some(mean) = summary.metrics[index].mean else {
                outcomes.holes += 1;
                continue;
            };
            if rows.is_empty() {
                outcomes.values.push(mean);
                continue;
            }
            let unit = self.sweep.measures[index].metric.unit();
            outcomes
                .values
                .extend(rows.iter().filter_map(|values| match values[index] {
                    Known::Exact(value) => Some(in_unit(unit, value)),
                    Known::AtLeast(_) | Known::AtMost(_) | Known::Missing => None,
                }));
        }
    }

    /// What all points say; `None` if some of them are elsewhere, in other parts of the sweep.
    pub fn finish(self) -> Option<Findings> {
        let axes: Vec<String> = self.sweep.axes().map(|axis| axis.name.clone()).collect();
        if self.points != self.sensitivity.points(axes.len()) as u64 {
            return None;
        }
        let metrics = self.sweep.measures.iter().zip(&self.measures).map(|(measure, outcomes)| {
            let found = match outcomes.holes {
                0 => self.effects(&axes, &outcomes.values, &measure.name),
                holes => Err(format!(
                    "{holes} of {} points have no mean: runs failed, gave no value or did not get to their end",
                    self.points
                )),
            };
            let (effects, problem) = match found {
                Ok(effects) => (effects, None),
                Err(problem) => (Vec::new(), Some(problem)),
            };
            MetricFindings {
                metric: measure.name.clone(),
                unit: unit_name(measure.metric.unit()).to_owned(),
                problem,
                effects,
            }
        });
        Some(Findings {
            design: self.sensitivity.name().to_owned(),
            points: self.points,
            replications: self.replications,
            metrics: metrics.collect(),
        })
    }

    fn effects(&self, axes: &[String], values: &[f64], measure: &str) -> Result<Vec<Effect>, String> {
        let own = |factor: usize| std::slice::from_ref(&axes[factor]);
        if let Some(design) = morris(self.sensitivity, axes.len()) {
            let found = design.effects(values, LEVEL).map_err(|error| error.to_string())?;
            let effects = found.iter().flat_map(|effect| {
                let of = own(effect.factor);
                let sigma = match &effect.sigma_interval {
                    Some(interval) => Effect::of(of, "sigma", interval),
                    None => Effect::plain(of, "sigma", effect.sigma),
                };
                [
                    Effect::of(of, "mu_star", &effect.mu_star),
                    Effect::plain(of, "mu", effect.mu),
                    sigma,
                ]
            });
            return Ok(effects.collect());
        }
        if let (Some(design), Sensitivity::Sobol { seed, .. }) =
            (sobol(self.sensitivity, axes.len()), self.sensitivity)
        {
            let mut bootstrap = stream(seed, &format!("bootstrap of {measure}"));
            let found = design.indices(values, LEVEL, RESAMPLES, &mut bootstrap);
            let found = found.map_err(|error| error.to_string())?;
            let effects = found.iter().flat_map(|indices| {
                let of = own(indices.factor);
                [
                    Effect::of(of, "first_order", &indices.first_order),
                    Effect::of(of, "total", &indices.total),
                ]
            });
            return Ok(effects.collect());
        }
        let design = TwoLevel::new(axes.len()).map_err(|error| error.to_string())?;
        let replications = values.len() >> axes.len();
        // The last axis changes fastest in a sweep, the first one in the standard order.
        let responses: Vec<&[f64]> = (0..1usize << axes.len())
            .map(|standard| {
                let point = (0..axes.len()).fold(0, |point, axis| point << 1 | (standard >> axis & 1));
                &values[point * replications..(point + 1) * replications]
            })
            .collect();
        let found = design
            .effects(&responses, LEVEL)
            .map_err(|error| error.to_string())?;
        let effects = found.iter().flat_map(|effect| {
            let of: Vec<String> = effect
                .factors
                .iter()
                .map(|factor| axes[*factor].clone())
                .collect();
            let share = effect.share.map(|share| Effect::plain(&of, "share", share));
            [Some(Effect::of(&of, "effect", &effect.effect)), share]
        });
        Ok(effects.flatten().collect())
    }
}

/// The columns of `sensitivity.csv`.
pub fn columns() -> Vec<Column> {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
    };
    vec![
        column("metric", Kind::Text),
        column("unit", Kind::Text),
        column("axes", Kind::Text),
        column("measure", Kind::Text),
        column("value", Kind::Real),
        column("low", Kind::Real),
        column("high", Kind::Real),
        column("n", Kind::Unsigned),
        column("method", Kind::Text),
    ]
}

/// The rows of `sensitivity.csv`.
pub fn cells(findings: &Findings) -> impl Iterator<Item = Vec<Cell>> {
    findings.metrics.iter().flat_map(|metric| {
        metric.effects.iter().map(|effect| {
            // Shares of a variance have no unit.
            let unit = match effect.measure.as_str() {
                "first_order" | "total" | "share" => "share",
                _ => &metric.unit,
            };
            let real = |real: Option<f64>| real.map_or(Cell::Null, Cell::Real);
            vec![
                Cell::Text(metric.metric.clone()),
                Cell::Text(unit.to_owned()),
                Cell::Text(effect.name()),
                Cell::Text(effect.measure.clone()),
                Cell::Real(effect.value),
                real(effect.low),
                real(effect.high),
                effect.n.map_or(Cell::Null, Cell::Unsigned),
                effect.method.clone().map_or(Cell::Null, Cell::Text),
            ]
        })
    })
}
