//! Errors by class: all configurations, then by each of their parameters.

use std::collections::BTreeMap;

use longhaul_core::units::Probability;
use longhaul_core::validation::{ConfigurationRecord, GroupRecord};

use longhaul_statistics::quantile::quantile_of;

/// A parameter in the unit of its classes.
type Parameter = fn(&ConfigurationRecord) -> f64;

/// Classes of one parameter: everything up to each bound, then the rest. A bound of zero is a class of its own.
struct Scale {
    by: &'static str,
    unit: &'static str,
    bounds: &'static [f64],
    of: Parameter,
}

const SCALES: [Scale; 5] = [
    Scale {
        by: "loss",
        unit: " %",
        bounds: &[0.0, 0.1, 1.0, 5.0],
        of: |c| c.parameters.loss_parts as f64 / (Probability::PARTS / 100) as f64,
    },
    Scale {
        by: "jitter",
        unit: " ms",
        bounds: &[0.0, 1.0, 10.0],
        of: |c| c.parameters.jitter_ns as f64 / 1e6,
    },
    Scale {
        by: "streams",
        unit: "",
        bounds: &[1.0, 4.0, 16.0],
        of: |c| f64::from(c.parameters.streams),
    },
    Scale {
        by: "RTT",
        unit: " ms",
        bounds: &[10.0, 50.0, 100.0, 200.0],
        of: |c| c.parameters.rtt_ns as f64 / 1e6,
    },
    Scale {
        by: "size",
        unit: " MB",
        bounds: &[0.1, 1.0, 10.0],
        of: |c| c.parameters.bytes as f64 / 1e6,
    },
];

impl Scale {
    /// Number and name of a configuration's class.
    fn class(&self, configuration: &ConfigurationRecord) -> (usize, String) {
        let value = (self.of)(configuration);
        let unit = self.unit;
        match self.bounds.iter().position(|bound| value <= *bound) {
            Some(0) if self.bounds[0] == 0.0 => (0, "none".to_owned()),
            Some(place) => (place, format!("≤ {}{unit}", self.bounds[place])),
            None => (
                self.bounds.len(),
                format!("> {}{unit}", self.bounds[self.bounds.len() - 1]),
            ),
        }
    }
}

/// All configurations, then the classes by controller, loss, jitter, streams, round trip, size and buffers.
pub fn groups(configurations: &[ConfigurationRecord]) -> Vec<GroupRecord> {
    let mut groups = vec![group("all", "all", &configurations.iter().collect::<Vec<_>>())];
    let mut add = |by: &str, class: &dyn Fn(&ConfigurationRecord) -> (usize, String)| {
        let mut classes: BTreeMap<(usize, String), Vec<&ConfigurationRecord>> = BTreeMap::new();
        for configuration in configurations {
            classes
                .entry(class(configuration))
                .or_default()
                .push(configuration);
        }
        groups.extend(
            classes
                .iter()
                .map(|((_, name), members)| group(by, name, members)),
        );
    };
    add("controller", &|c| (0, c.parameters.controller.clone()));
    add("loss law", &|c| (0, c.parameters.loss_model.clone()));
    for scale in &SCALES {
        add(scale.by, &|c| scale.class(c));
    }
    add("buffers", &|c| (0, c.parameters.buffers.clone()));
    groups
}

fn group(by: &str, class: &str, members: &[&ConfigurationRecord]) -> GroupRecord {
    let modelled: Vec<&ConfigurationRecord> = members
        .iter()
        .copied()
        .filter(|c| c.simulated.is_some())
        .collect();
    let random: Vec<&ConfigurationRecord> = modelled.iter().copied().filter(|c| c.random).collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let errors = |of: &[&ConfigurationRecord], error: fn(&ConfigurationRecord) -> Option<f64>, q| {
        finite(quantile_of(of.iter().map(|c| magnitude(error(c))).collect(), q))
    };
    let noise = |q| quantile_of(random.iter().map(|c| c.measured_noise).collect(), q);
    let worst = modelled
        .iter()
        .max_by(|a, b| magnitude(a.error).total_cmp(&magnitude(b.error)));
    let inside = |of: fn(&ConfigurationRecord) -> Option<bool>| {
        count(random.iter().filter(|c| of(c) == Some(true)).count())
    };
    GroupRecord {
        by: by.to_owned(),
        class: class.to_owned(),
        configurations: count(modelled.len()),
        not_modelled: count(members.len() - modelled.len()),
        median_error: errors(&modelled, |c| c.error, 0.5),
        p90_error: errors(&modelled, |c| c.error, 0.9),
        worst_error: worst.and_then(|c| c.error),
        first_quartile_error: errors(&random, |c| c.first_quartile_error, 0.5),
        third_quartile_error: errors(&random, |c| c.third_quartile_error, 0.5),
        random: count(random.len()),
        inside: inside(|c| c.inside),
        inside_narrow: inside(|c| c.inside_narrow),
        noise_median: noise(0.5),
        noise_p90: noise(0.9),
    }
}

/// The size of an error. What did not finish is further off than any number.
pub fn magnitude(error: Option<f64>) -> f64 {
    error.map_or(f64::INFINITY, f64::abs)
}

/// A figure that exists.
pub fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}
