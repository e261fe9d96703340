//! The table of the paths of overlays and the remarks under it.

use longhaul_core::record::{
    DiscoveryRecord, OverlayRecord, PathMtuRecord, PathRecord, RunRecord, SwitchRecord, TunnelRecord,
};

use super::Note;
use super::tables::{or_missing, route};
use crate::human::{self, printable};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// Switches of an overlay that are told one by one.
const MOST_SWITCHES: usize = 5;

/// One row per path and direction.
pub(super) fn paths(record: &RunRecord) -> Table {
    let rows = record.overlays.iter().flat_map(|overlay| {
        let row = |path: &PathRecord| {
            vec![
                format!("{}/{}", printable(&overlay.name), printable(&path.name)),
                route(&path.from, &path.to),
                human::share(path.up_ns, record.simulated_ns),
                human::count(path.downs),
                or_missing(path.rtt_mean_ns.map(human::span)),
                or_missing(path.rtt_stddev_ns.map(human::span)),
                or_missing(
                    path.probe_loss_parts
                        .map(|parts| human::share(parts, 1_000_000_000_000)),
                ),
                or_missing(
                    path.score_millis
                        .map(|millis| format!("{:.1}", millis as f64 / 1e3)),
                ),
                or_missing(path.measured_bits_per_s.map(human::rate)),
            ]
        };
        overlay.paths.iter().map(row)
    });
    Table {
        columns: vec![
            ("path", Left),
            ("route", Left),
            ("up", Right),
            ("downs", Right),
            ("RTT", Right),
            ("sd", Right),
            ("loss", Right),
            ("score", Right),
            ("measured", Right),
        ],
        name_column: 0,
        rows: rows.collect(),
    }
}

/// Switches, decisions and what watching costs.
pub(super) fn overlay_notes(record: &RunRecord) -> Vec<Note> {
    record.overlays.iter().flat_map(notes_of).collect()
}

fn notes_of(overlay: &OverlayRecord) -> Vec<Note> {
    let name = printable(&overlay.name);
    let mut notes = Vec::new();
    let mut note = |status, text: String| {
        notes.push(Note {
            status,
            text: format!("{name}: {text}"),
        });
    };
    for switch in overlay.switches.iter().take(MOST_SWITCHES) {
        note("switch", switch_text(switch));
    }
    if let Some(more) = overlay
        .switches
        .len()
        .checked_sub(MOST_SWITCHES)
        .filter(|more| *more > 0)
    {
        note("switches", format!("{more} more"));
    }
    for path in &overlay.paths {
        if let Some(tunnel) = &path.tunnel {
            note("tunnel", tunnel_text(path, tunnel));
        }
        if let Some(found) = &path.path_mtu {
            note("path MTU", path_mtu_text(path, found));
        }
    }
    if let Some(text) = discovery_text(overlay) {
        note("discovery", text);
    }
    if overlay.decision_samples > 0 {
        let (wrong, all) = (overlay.wrong_decision_samples, overlay.decision_samples);
        let text = format!(
            "wrong in {} of {} samples ({})",
            human::count(wrong),
            human::count(all),
            human::share(wrong, all)
        );
        note("decisions", text);
    }
    let sum = |of: fn(&longhaul_core::record::EdgeRecord) -> u64| overlay.edges.iter().map(of).sum::<u64>();
    note(
        "watching",
        format!(
            "{} probes, {} BFD messages and {} trains, {} in all; {} flaps",
            human::count(sum(|edge| edge.probes_sent)),
            human::count(sum(|edge| edge.control_sent)),
            human::count(sum(|edge| edge.trains_sent)),
            human::bytes(sum(|edge| edge.bytes_sent)),
            human::count(sum(|edge| edge.flaps)),
        ),
    );
    notes
}

fn tunnel_text(path: &PathRecord, tunnel: &TunnelRecord) -> String {
    let mut text = format!("{} {}: ", printable(&path.name), route(&path.from, &path.to));
    text += &match tunnel.established_ns {
        Some(ns) => format!("up after {}", human::span(ns)),
        None => "never up".to_owned(),
    };
    let counts = [
        (tunnel.downs, "times down"),
        (tunnel.rekeys, "renewals of keys"),
        (tunnel.retransmissions, "messages again"),
        (tunnel.failures, "handshakes given up"),
        (tunnel.refused, "datagrams refused"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        text += &format!(", {} {what}", human::count(count));
    }
    text
}

/// How the sites have found each other, if they had to.
fn discovery_text(overlay: &OverlayRecord) -> Option<String> {
    let edges: Vec<&DiscoveryRecord> = overlay
        .edges
        .iter()
        .filter_map(|edge| edge.discovery.as_ref())
        .collect();
    if edges.is_empty() {
        return None;
    }
    let believed = edges.iter().filter(|edge| edge.believed_by_others);
    let times: Option<Vec<u64>> = believed.map(|edge| edge.complete_ns).collect();
    let mut text = match times.and_then(|times| times.into_iter().max()) {
        Some(ns) => format!("everybody known after {}", human::span(ns)),
        None => "not everybody known to the end".to_owned(),
    };
    let sum = |of: fn(&DiscoveryRecord) -> u64| edges.iter().copied().map(of).sum::<u64>();
    text += &format!(
        "; {} announcements and {} passed on, {}",
        human::count(sum(|edge| edge.announced)),
        human::count(sum(|edge| edge.relayed)),
        human::bytes(sum(|edge| edge.bytes_sent))
    );
    let counts = [
        (sum(|edge| edge.refused_malformed), "were none"),
        (sum(|edge| edge.refused_unknown), "came from unknown sites"),
        (sum(|edge| edge.refused_signature), "had a wrong signature"),
        (sum(|edge| edge.refused_time), "were too old"),
        (sum(|edge| edge.refused_replayed), "came again"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        text += &format!("; {} {what}", human::count(count));
    }
    match sum(|edge| edge.expired) {
        0 => {}
        1 => text += "; a site fell silent",
        count => text += &format!("; {} times a site fell silent", human::count(count)),
    }
    Some(text)
}

fn path_mtu_text(path: &PathRecord, found: &PathMtuRecord) -> String {
    let mut text = format!("{} {}: ", printable(&path.name), route(&path.from, &path.to));
    text += &match found.found_ns {
        Some(ns) => format!("{} B, first found after {}", found.plpmtu_bytes, human::span(ns)),
        None => format!("{} B, not found to the end", found.plpmtu_bytes),
    };
    text += &format!(
        ", {} B inside; {} probes",
        found.inner_mtu_bytes,
        human::count(found.probes_sent)
    );
    let counts = [
        (found.black_holes, "black hole", "black holes"),
        (
            found.base_losses,
            "time without even the base",
            "times without even the base",
        ),
        (found.refused, "datagram refused", "datagrams refused"),
    ];
    for (count, one, several) in counts {
        match count {
            0 => {}
            1 => text += &format!(", 1 {one}"),
            count => text += &format!(", {} {several}", human::count(count)),
        }
    }
    text
}

fn switch_text(switch: &SwitchRecord) -> String {
    let mut text = format!(
        "at {} in {}, to {} from {} to {} ({}, {})",
        human::span(switch.at_ns),
        printable(&switch.from),
        printable(&switch.to),
        printable(&switch.old_path),
        printable(&switch.new_path),
        match switch.why.as_str() {
            "Died" => "it died",
            "Poor" => "it was poor",
            "Better" => "a better one",
            "FailBack" => "it is back",
            other => other,
        },
        match switch.flows {
            1 => "1 flow".to_owned(),
            flows => format!("{} flows", human::count(flows)),
        },
    );
    let after =
        |what: &str, ns: Option<u64>| ns.map_or(String::new(), |ns| format!("; {what} {}", human::span(ns)));
    text += &after("failure known after", switch.detection_ns);
    text += &after("left after", switch.decision_ns);
    text += &after("first byte after", switch.first_byte_ns);
    text
}
