//! What may fail together, and how often.

use std::collections::BTreeMap;

use longhaul_core::units::Probability;
use longhaul_routing::{GroupId, LinkId, Topology};

/// Enumerations end here.
const MAX_SCENARIOS: usize = 2_000_000;

/// Some shared-risk groups are down and all others work.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// The groups that are down, ascending; empty if all work.
    pub down: Vec<GroupId>,
    /// Probability of just this.
    pub probability: f64,
}

impl Scenario {
    /// The links that are down, ascending.
    pub fn links(&self, topology: &Topology) -> Vec<LinkId> {
        let mut links: Vec<LinkId> = self
            .down
            .iter()
            .flat_map(|group| topology.group(*group).iter().copied())
            .collect();
        links.sort_unstable();
        links.dedup();
        links
    }
}

/// Failures that are thought of, the likeliest first.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenarios {
    list: Vec<Scenario>,
    covered: f64,
}

impl Scenarios {
    /// All combinations of at most `failures` groups that are down, each on its own with the probability given, which are
    /// at least as likely as `cutoff`. Groups without a probability never fail.
    ///
    /// Beyond two million scenarios the enumeration ends; [`Scenarios::covered`] tells what is missing.
    pub fn new(risks: &BTreeMap<GroupId, Probability>, failures: usize, cutoff: f64) -> Scenarios {
        let risks = risks.iter().map(|(group, risk)| (*group, risk.as_f64()));
        let mut risks: Vec<(GroupId, f64)> = risks.filter(|(_, risk)| *risk > 0.0).collect();
        // By falling probability: behind a group that makes a combination too unlikely all others do so too.
        risks.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut found = Scenarios {
            list: Vec::new(),
            covered: 0.0,
        };
        found.extend(&risks, &mut Vec::new(), 0, failures, cutoff);
        let order = |a: &Scenario, b: &Scenario| {
            b.probability
                .total_cmp(&a.probability)
                .then_with(|| a.down.cmp(&b.down))
        };
        found.list.sort_by(order);
        found.covered = found.list.iter().map(|scenario| scenario.probability).sum();
        found
    }

    /// Adds the combination whose members are given by their places, and all that have further members from `next` on.
    fn extend(
        &mut self,
        risks: &[(GroupId, f64)],
        down: &mut Vec<usize>,
        next: usize,
        failures: usize,
        cutoff: f64,
    ) {
        // A product in one order, so that equal combinations have equal bits.
        let mut probability = 1.0;
        for (place, (_, risk)) in risks.iter().enumerate() {
            probability *= if down.contains(&place) { *risk } else { 1.0 - risk };
        }
        if self.list.len() == MAX_SCENARIOS {
            return;
        }
        if probability >= cutoff {
            let mut groups: Vec<GroupId> = down.iter().map(|place| risks[*place].0).collect();
            groups.sort_unstable();
            self.list.push(Scenario {
                down: groups,
                probability,
            });
        }
        if failures == 0 {
            return;
        }
        for place in next..risks.len() {
            let (_, risk) = risks[place];
            // One more failure multiplies by risk / (1 − risk), which is below one for all that follow if it is for this one.
            if risk < 0.5 && probability * risk / (1.0 - risk) < cutoff * (1.0 - 1e-9) {
                break;
            }
            down.push(place);
            self.extend(risks, down, place + 1, failures - 1, cutoff);
            down.pop();
        }
    }

    /// The scenarios, the likeliest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Scenario> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Probability that one of them is the case.
    pub fn covered(&self) -> f64 {
        self.covered
    }
}
