//! Mistakes in demands that show only between items.

use std::collections::BTreeMap;

use crate::decode::Decoded;
use crate::schema::{Method, Objective};

use super::Report;

/// Everything about demands.
pub fn demands(decoded: &Decoded, report: &mut Report) {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for (index, demand) in &decoded.demands.good {
        if let Some(first) = known.insert(demand.name(), *index) {
            let message = format!("demands[{first}] has the same ends: add the rates up");
            report.error(&format!("demands[{index}].to"), message);
        }
    }
    let Some((first, _)) = decoded.demands.good.first() else {
        return;
    };
    for (index, link) in &decoded.links.good {
        if link.rate.constant().is_none() || !link.changes.is_empty() {
            let message = "demands are spread over links whose rate does not change".to_owned();
            report.error(&format!("links[{index}].rate"), message);
        }
    }
    let routed = decoded.engineering.is_some_and(|it| it.method == Method::Routed);
    let widest = decoded
        .routing
        .is_some_and(|it| it.objective == Objective::Widest);
    if routed && widest {
        let message = "demands do not follow widest routes: choose another objective or method".to_owned();
        report.error(&format!("demands[{first}]"), message);
    }
}
