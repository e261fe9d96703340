//! What the health gate has to know about a scenario and its simulated runs.

use longhaul_core::record::RunRecord;
use longhaul_core::units::Probability;
use longhaul_replay::health::{Facts, LinkFacts};

use crate::schema::{Link, Loss, Scenario};

/// The facts of a scenario that is replayed so many times, with so many steps in its timeline.
pub fn facts(scenario: &Scenario, replications: u32, steps: usize, simulated: &[RunRecord]) -> Facts {
    let rates = scenario.links.iter().flat_map(|link| {
        let changed = link.changes.iter().filter_map(|step| step.rate);
        link.rate.mean().into_iter().chain(changed)
    });
    Facts {
        replications,
        largest_rate_bits_per_s: rates.max().map_or(0, |rate| rate.as_bits_per_s()),
        steps,
        links: (0..scenario.links.len())
            .map(|index| link_facts(&scenario.links[index], index, simulated))
            .collect(),
    }
}

fn link_facts(link: &Link, index: usize, simulated: &[RunRecord]) -> LinkFacts {
    let changed = link.changes.iter().filter_map(|step| step.loss);
    let laws: Vec<Loss> = std::iter::once(link.loss).chain(changed).collect();
    let means = || laws.iter().map(|law| mean_and_burst(*law).0);
    let dropped = |run: &RunRecord| {
        let packets = run.links.get(index)?.packets?;
        Some(packets.queue_dropped_packets + packets.early_dropped_packets)
    };
    LinkFacts {
        name: link.name(),
        loss_parts: (means().min().unwrap_or(0), means().max().unwrap_or(0)),
        burst: laws.iter().map(|law| mean_and_burst(*law).1).max().unwrap_or(1),
        simulated_queue_drops: simulated.iter().filter_map(dropped).sum(),
    }
}

/// The mean of a law in parts of 10^12, and how many frames it loses in a row.
fn mean_and_burst(law: Loss) -> (u64, u32) {
    match law {
        Loss::None => (0, 1),
        Loss::Independent(mean) => (Probability::as_parts(mean), 1),
        Loss::GilbertElliott { mean, burst_packets } => (mean.as_parts(), burst_packets),
        Loss::TwoState {
            mean, stay_packets, ..
        } => (mean.as_parts(), stay_packets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::compare::tests::{loaded, run};

    #[test]
    fn the_largest_rate_and_the_whole_range_of_losses_over_time_count() {
        let loaded = loaded(&[
            r#"links[0].changes=[(at: "1 s", rate: "30 Mbit/s", loss: GilbertElliott(mean: "3 %", burst: 4)), (at: "2 s", loss: None)]"#,
        ]);
        let mut simulated = run(&loaded);
        simulated.links[1].packets.as_mut().unwrap().queue_dropped_packets = 7;
        let facts = facts(&loaded.scenario, 3, 2, &[simulated.clone(), simulated]);
        assert_eq!(facts.largest_rate_bits_per_s, 30_000_000);
        assert_eq!((facts.replications, facts.steps), (3, 2));
        let found: Vec<_> = facts
            .links
            .iter()
            .map(|link| {
                (
                    link.name.as_str(),
                    link.loss_parts,
                    link.burst,
                    link.simulated_queue_drops,
                )
            })
            .collect();
        assert_eq!(
            found,
            [("a->b", (0, 30_000_000_000), 4, 0), ("b->a", (0, 0), 1, 14)]
        );
    }
}
