//! From the overlays at the end of a run to their records.

use longhaul_core::record::{DiscoveryRecord, EdgeRecord, OverlayRecord, PathRecord, SwitchRecord};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::routing::RegionId;
use longhaul_sdwan::Counters;

use super::decisions::Switch;
use super::{Overlays, PathEnd};
use crate::schema::Scenario;

/// What an edge has done.
pub struct EdgeFigures {
    /// By itself.
    pub counters: Counters,
    /// To find the others.
    pub discovery: Option<DiscoveryRecord>,
}

/// The record of an overlay; `figures` are those of its edges, in their order.
pub fn overlay_record(
    scenario: &Scenario,
    overlays: &Overlays,
    index: usize,
    figures: Vec<EdgeFigures>,
    now: Instant,
) -> OverlayRecord {
    let spec = &scenario.overlays[index];
    let edges = spec.sites().into_iter().zip(figures);
    let own = |end: &&PathEnd| end.end.overlay == index;
    let switches = overlays.switches.iter();
    let decisions = overlays.decisions[index];
    OverlayRecord {
        name: spec.name.clone(),
        edges: edges.map(|(region, figures)| edge(region, figures)).collect(),
        paths: overlays
            .ends
            .iter()
            .filter(own)
            .map(|end| path(scenario, end, now))
            .collect(),
        switches: switches
            .filter(|switch| overlays.ends[switch.from].end.overlay == index)
            .map(|it| switch(scenario, overlays, it))
            .collect(),
        decision_samples: decisions.samples,
        wrong_decision_samples: decisions.wrong,
    }
}

fn edge(region: &str, EdgeFigures { counters, discovery }: EdgeFigures) -> EdgeRecord {
    EdgeRecord {
        region: region.to_owned(),
        switches: counters.switches,
        moved_flows: counters.moved_flows,
        flaps: counters.flaps,
        probes_sent: counters.probes_sent,
        control_sent: counters.control_sent,
        trains_sent: counters.trains_sent,
        bytes_sent: counters.bytes_sent,
        train_bytes_sent: counters.train_bytes_sent,
        discovery,
    }
}

fn path(scenario: &Scenario, end: &PathEnd, now: Instant) -> PathRecord {
    let region = |id: RegionId| scenario.regions[id.0 as usize].name.clone();
    let report = end.report.as_ref();
    PathRecord {
        name: end.name.clone(),
        from: region(end.end.from),
        to: region(end.end.to),
        up_ns: end.up.total(now).as_ns(),
        downs: end.downs,
        rtt_mean_ns: report.and_then(|report| report.rtt_mean).map(Span::as_ns),
        rtt_stddev_ns: report.and_then(|report| report.rtt_stddev).map(Span::as_ns),
        jitter_ns: report
            .and_then(|report| report.jitter_rfc3550_ns)
            .map(|ns| ns.round() as u64),
        probe_loss_parts: report.and_then(|report| report.loss).map(Probability::as_parts),
        score_millis: report.map(|report| (report.score * 1_000.0).round() as u64),
        measured_bits_per_s: report
            .and_then(|report| report.measured_rate)
            .map(BitRate::as_bits_per_s),
        tunnel: end.tunnel.as_ref().map(|tunnel| tunnel.standing.record()),
        path_mtu: end.probed.as_ref().map(|probed| probed.record.clone()),
    }
}

fn switch(scenario: &Scenario, overlays: &Overlays, switch: &Switch) -> SwitchRecord {
    let (old, new) = (&overlays.ends[switch.from], &overlays.ends[switch.to]);
    let region = |id: RegionId| scenario.regions[id.0 as usize].name.clone();
    let since = |start: Option<Instant>, end: Option<Instant>| Some((end? - start?).as_ns());
    let start = switch.failed_at.or(Some(switch.at));
    SwitchRecord {
        from: region(old.end.from),
        to: region(old.end.to),
        old_path: old.name.clone(),
        new_path: new.name.clone(),
        why: format!("{:?}", switch.why),
        flows: switch.flows,
        at_ns: switch.at.as_ns(),
        detection_ns: since(switch.failed_at, switch.detected_at),
        decision_ns: since(switch.failed_at, Some(switch.at)),
        first_byte_ns: since(start, switch.landed_at),
    }
}
