//! The metrics of overlays.

use longhaul_core::record::{DiscoveryRecord, EdgeRecord, OverlayRecord, SwitchRecord};

use crate::run::assertions::{Sample, quotient};
use crate::schema::{MILLIONTHS, Metric};

/// The sample that an overlay gives a metric.
pub fn of_overlay(metric: Metric, overlay: &OverlayRecord, end_ns: u64) -> Sample {
    let sum = |of: fn(&EdgeRecord) -> u64| overlay.edges.iter().map(of).sum::<u64>();
    let number = |count: u64| Sample::Exact(count.saturating_mul(MILLIONTHS));
    let failed = |switch: &&SwitchRecord| switch.decision_ns.is_some();
    let longest = |of: fn(&SwitchRecord) -> Sample| {
        let samples = overlay.switches.iter().filter(failed).map(of);
        samples.fold(Sample::Missing, Sample::longer)
    };
    let edges = || overlay.edges.iter().filter_map(|edge| edge.discovery.as_ref());
    let found = || overlay.paths.iter().filter_map(|path| path.path_mtu.as_ref());
    match metric {
        Metric::OverlaySwitches => number(overlay.switches.len() as u64),
        Metric::OverlayFlaps => number(sum(|edge| edge.flaps)),
        Metric::OverlayDetectionTime => {
            longest(|switch| switch.detection_ns.map_or(Sample::Missing, Sample::Exact))
        }
        // Flows that had nothing to send, or that ended, do not land.
        Metric::OverlayFailoverTime => {
            longest(|switch| switch.first_byte_ns.map_or(Sample::Missing, Sample::Exact))
        }
        Metric::OverlayWrongDecisions => {
            const PARTS: u64 = longhaul_core::units::Probability::PARTS;
            quotient(overlay.wrong_decision_samples, overlay.decision_samples, PARTS)
        }
        Metric::OverlayPathMtu => {
            let least = found().map(|found| found.plpmtu_bytes).min();
            least.map_or(Sample::Missing, Sample::Exact)
        }
        Metric::OverlayPathMtuTime => found()
            .map(|found| found.found_ns.map_or(Sample::AtLeast(end_ns), Sample::Exact))
            .fold(Sample::Missing, Sample::longer),
        // A site in whom nobody believes is told nothing.
        Metric::OverlayDiscoveryTime => edges()
            .filter(|edge| edge.believed_by_others)
            .map(|edge| edge.complete_ns.map_or(Sample::AtLeast(end_ns), Sample::Exact))
            .fold(Sample::Missing, Sample::longer),
        Metric::OverlayRefusedAnnouncements => match edges().count() {
            0 => Sample::Missing,
            _ => number(edges().map(DiscoveryRecord::refused).sum()),
        },
        _ => Sample::Exact(sum(|edge| edge.bytes_sent)),
    }
}
