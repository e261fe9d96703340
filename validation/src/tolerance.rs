//! Declared tolerances, written `median=3%,p90=12%`, and whether a comparison keeps them.

use std::fmt;
use std::str::FromStr;

use longhaul_core::record::{Fidelity, Verdict};
use longhaul_core::validation::{ConfigurationRecord, ToleranceRecord};
use thiserror::Error;

use crate::groups::{finite, magnitude};
use longhaul_statistics::quantile::quantile_of;

/// Largest bound that can be declared: an error of a hundredfold.
const LARGEST_PERCENT: f64 = 10_000.0;

/// What can be declared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// Median of the absolute errors of all configurations.
    Median,
    /// 90th percentile of the same.
    P90,
    /// Largest of the same.
    Worst,
    /// Largest absolute error of a configuration in which chance plays no part.
    Clean,
    /// Share of the lossy configurations whose measured median lies inside the simulated quartiles, each moved
    /// outwards by a tenth of itself. At least so much is wanted.
    Inside,
}

impl Measure {
    /// All of them, in the order in which they are judged.
    pub const ALL: [Measure; 5] = [
        Measure::Median,
        Measure::P90,
        Measure::Worst,
        Measure::Clean,
        Measure::Inside,
    ];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Median => "median",
            Measure::P90 => "p90",
            Measure::Worst => "worst",
            Measure::Clean => "clean",
            Measure::Inside => "inside",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Measure::Median => "median error",
            Measure::P90 => "90th percentile of the errors",
            Measure::Worst => "largest error",
            Measure::Clean => "largest error without loss and jitter",
            Measure::Inside => "lossy: measured median inside the simulated quartiles ± 10 %",
        }
    }

    /// Whether it looks at this configuration.
    fn regards(self, configuration: &ConfigurationRecord) -> bool {
        configuration.simulated.is_some()
            && match self {
                Measure::Median | Measure::P90 | Measure::Worst => true,
                Measure::Clean => !configuration.random,
                Measure::Inside => configuration.parameters.loss_parts > 0,
            }
    }

    fn judge(self, bound: f64, configurations: &[ConfigurationRecord]) -> Option<ToleranceRecord> {
        let regarded: Vec<&ConfigurationRecord> = configurations.iter().filter(|c| self.regards(c)).collect();
        let errors = || regarded.iter().map(|c| magnitude(c.error)).collect();
        let value = match self {
            Measure::Median => quantile_of(errors(), 0.5),
            Measure::P90 => quantile_of(errors(), 0.9),
            Measure::Worst | Measure::Clean => quantile_of(errors(), 1.0),
            Measure::Inside => {
                let inside = regarded.iter().filter(|c| c.inside == Some(true)).count();
                (!regarded.is_empty()).then(|| inside as f64 / regarded.len() as f64)
            }
        }?;
        let at_least = self == Measure::Inside;
        let holds = if at_least { value >= bound } else { value <= bound };
        Some(ToleranceRecord {
            name: self.name().to_owned(),
            what: self.what().to_owned(),
            configurations: u32::try_from(regarded.len()).unwrap_or(u32::MAX),
            value: finite(Some(value)),
            bound,
            at_least,
            verdict: if holds { Verdict::Pass } else { Verdict::Fail },
        })
    }
}

/// A bound for some of the measures, as fractions.
#[derive(Clone, PartialEq, Debug)]
pub struct Tolerances {
    bounds: Vec<(Measure, f64)>,
}

impl Tolerances {
    /// What the simulator promises: `median=3%,p90=12%,clean=3%,inside=90%` at packet fidelity, and
    /// `median=8%,p90=25%` at flow fidelity, there for transfers of at least ten round trips.
    pub fn promised(fidelity: Fidelity) -> Tolerances {
        let bounds = match fidelity {
            Fidelity::Packet => vec![
                (Measure::Median, 0.03),
                (Measure::P90, 0.12),
                (Measure::Clean, 0.03),
                (Measure::Inside, 0.9),
            ],
            Fidelity::Flow => vec![(Measure::Median, 0.08), (Measure::P90, 0.25)],
        };
        Tolerances { bounds }
    }
}

/// Why a text declares no tolerances.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ToleranceError {
    /// Not `NAME=…`.
    #[error("`{0}` is not a tolerance; write for example `median=3%`")]
    Form(String),
    /// Nothing of this name.
    #[error("there is no tolerance `{name}`; there are {}", Measure::ALL.map(Measure::name).join(", "))]
    Unknown {
        /// As written.
        name: String,
    },
    /// Declared twice.
    #[error("`{0}` is declared twice")]
    Repeated(String),
    /// Not a percentage, or an impossible one.
    #[error(
        "`{0}` is not a percentage from 0% to {LARGEST_PERCENT}%; write for example `3%`, or `none` to leave it out"
    )]
    Bound(String),
}

/// What a user declares over the defaults: bounds, and measures to leave out.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Declared(Vec<(Measure, Option<f64>)>);

impl Declared {
    /// The defaults with what was declared in place of theirs.
    pub fn over(&self, defaults: Tolerances) -> Tolerances {
        let mut tolerances = defaults;
        for (measure, bound) in &self.0 {
            tolerances.bounds.retain(|(known, _)| known != measure);
            tolerances.bounds.extend(bound.map(|bound| (*measure, bound)));
        }
        tolerances
            .bounds
            .sort_by_key(|(measure, _)| Measure::ALL.iter().position(|known| known == measure));
        tolerances
    }
}

impl FromStr for Declared {
    type Err = ToleranceError;

    /// Reads `median=3%,p90=12%,worst=none`.
    fn from_str(text: &str) -> Result<Declared, ToleranceError> {
        let mut declared: Vec<(Measure, Option<f64>)> = Vec::new();
        for part in text.split(',') {
            let shown = || part.trim().chars().take(40).collect::<String>();
            let (name, bound) = part
                .split_once('=')
                .ok_or_else(|| ToleranceError::Form(shown()))?;
            let (name, bound) = (name.trim(), bound.trim());
            let measure = Measure::ALL.into_iter().find(|measure| measure.name() == name);
            let measure = measure.ok_or_else(|| ToleranceError::Unknown {
                name: name.chars().take(40).collect(),
            })?;
            if declared.iter().any(|(known, _)| *known == measure) {
                return Err(ToleranceError::Repeated(name.to_owned()));
            }
            let bound = match bound {
                "none" => None,
                percent => Some(fraction(percent).ok_or_else(|| ToleranceError::Bound(shown()))?),
            };
            declared.push((measure, bound));
        }
        Ok(Declared(declared))
    }
}

/// A percentage such as `3%` or `2.5 %` as a fraction.
fn fraction(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?.trim_end();
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let percent: f64 = number.parse().ok().filter(|_| plain)?;
    (0.0..=LARGEST_PERCENT)
        .contains(&percent)
        .then_some(percent / 100.0)
}

impl fmt::Display for Tolerances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .bounds
            .iter()
            .map(|(measure, bound)| format!("{}={}%", measure.name(), bound * 100.0))
            .collect();
        f.write_str(&parts.join(","))
    }
}

impl Tolerances {
    /// The bound of a measure, if one is declared.
    pub fn bound(&self, measure: Measure) -> Option<f64> {
        let mut bounds = self.bounds.iter();
        bounds
            .find(|(known, _)| *known == measure)
            .map(|(_, bound)| *bound)
    }

    /// What became of each. A tolerance that regards no configuration of the table is left out.
    pub fn judge(&self, configurations: &[ConfigurationRecord]) -> Vec<ToleranceRecord> {
        self.bounds
            .iter()
            .filter_map(|(measure, bound)| measure.judge(*bound, configurations))
            .collect()
    }
}

/// The verdict over all: nothing judged is no pass.
pub fn overall(tolerances: &[ToleranceRecord]) -> Verdict {
    if tolerances.is_empty() {
        Verdict::Inconclusive
    } else if tolerances.iter().all(|t| t.verdict == Verdict::Pass) {
        Verdict::Pass
    } else {
        Verdict::Fail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_replaces_its_default_and_nothing_else() {
        let packet = || Tolerances::promised(Fidelity::Packet);
        let read = |text: &str| text.parse::<Declared>().map(|d| d.over(packet()).to_string());
        assert_eq!(packet().to_string(), "median=3%,p90=12%,clean=3%,inside=90%");
        assert_eq!(read("p90=20%").unwrap(), "median=3%,p90=20%,clean=3%,inside=90%");
        assert_eq!(
            read("worst = 2.5 %, inside=none").unwrap(),
            "median=3%,p90=12%,worst=2.5%,clean=3%"
        );
        assert_eq!(read("median=none,p90=none,clean=none,inside=none").unwrap(), "");
    }

    #[test]
    fn what_is_no_percentage_is_refused() {
        for wrong in [
            "",
            "median",
            "median=",
            "median=3",
            "median=-3%",
            "median=NaN%",
            "median=inf%",
            "median=%",
            "mean=3%",
            "median=3%,median=4%",
            "median=3%,",
            "p90=10001%",
            "p90=1e2%",
            "p90=1.2.3%",
        ] {
            assert!(wrong.parse::<Declared>().is_err(), "{wrong}");
        }
    }
}
