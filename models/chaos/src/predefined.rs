//! Five experiments to begin with.

use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use crate::impact::Impact;
use crate::kind::{Direction, Kind};
use crate::law::Law;
use crate::plan::{Spec, Timing};
use crate::recovery::{Gradual, Recovery};

/// Partition, latency, loss, bandwidth and clock skew. Each strikes in any second with a probability, for minutes.
/// `target` says for the name of each what it strikes.
pub fn experiments<T>(mut target: impl FnMut(&str) -> T) -> Vec<Spec<T>> {
    let gradual = Recovery::Gradual(Gradual::default());
    let partition = Kind::Partition(Direction::Both);
    let latency = Impact::High.magnitudes().latency();
    let loss = Impact::Medium.magnitudes().loss();
    let bandwidth = Impact::Medium.magnitudes().bandwidth();
    let skew = Impact::Low.magnitudes().clock_skew();
    let table = [
        ("Network Partition", partition, 10, 1, Recovery::Immediate),
        ("High Latency", latency, 20, 5, gradual),
        ("Packet Loss", loss, 30, 3, gradual),
        ("Bandwidth Degradation", bandwidth, 25, 10, gradual),
        ("Clock Skew", skew, 15, 5, Recovery::Automatic),
    ];
    let spec = |(name, kind, percent, minutes, recovery): (&str, _, _, u64, _)| Spec {
        name: name.to_owned(),
        target: target(name),
        kind,
        timing: Timing::Probabilistic {
            every: Span::from_s(1),
            probability: Probability::from_ratio(percent, 100).unwrap_or(Probability::ZERO),
            duration: Some(Law::Constant(Span::from_s(60 * minutes))),
        },
        recovery,
        recover_at: Vec::new(),
    };
    table.into_iter().map(spec).collect()
}
