//! What is doubtful about overlays and streams of datagrams.

use longhaul_core::time::Span;
use longhaul_net::routing::RegionId;

use super::Lint;
use crate::diagnose::approximate;
use crate::schema::Overlay;

/// Bytes of Ethernet, IP and UDP headers.
const HEADER_BYTES: u64 = 42;

impl Lint<'_> {
    pub(super) fn datagrams(&mut self) {
        let scenario = self.scenario;
        for (index, stream) in scenario.datagrams.iter().enumerate() {
            let at = format!("datagrams[{index}]");
            let path = self.path(&stream.from, &stream.to);
            let bytes = u64::from(stream.payload_bytes) + HEADER_BYTES;
            if path.rate.time_for(bytes) > stream.interval {
                let message = format!(
                    "a frame of {bytes} bytes every {} is more than the {} of the path from `{}` to `{}`",
                    stream.interval, path.rate, stream.from, stream.to
                );
                self.warn(&at, message);
            }
            self.ends_in_time(&at, stream.at, stream.duration);
        }
    }

    pub(super) fn overlays(&mut self) {
        let scenario = self.scenario;
        for (index, overlay) in scenario.overlays.iter().enumerate() {
            for (place, path) in overlay.paths.iter().enumerate() {
                let mut round_trip = Span::ZERO;
                if path.via.is_none() {
                    round_trip = self.path(&path.ends.0, &path.ends.1).round_trip;
                }
                for (from, to) in path.hops() {
                    for (from, to) in [(from, to), (to, from)] {
                        let mut links = scenario.links.iter();
                        let link =
                            links.position(|link| (link.from.as_str(), link.to.as_str()) == (from, to));
                        let link = link.expect("the check found the link");
                        self.carrying.insert(link);
                        round_trip = round_trip.saturating_add(scenario.links[link].delay);
                    }
                }
                if round_trip >= overlay.probes.timeout {
                    let round_trip = approximate(round_trip);
                    let message = format!(
                        "an answer takes {round_trip} at least over `{}`, so that every probe counts as lost after {}",
                        path.name, overlay.probes.timeout
                    );
                    self.warn(&format!("overlays[{index}].paths[{place}]"), message);
                }
            }
            self.is_crossed(index, overlay);
        }
    }

    /// An overlay that nothing crosses only watches itself.
    fn is_crossed(&mut self, index: usize, overlay: &Overlay) {
        let region = |name: &str| self.graph.region(name).expect("a checked reference");
        let crossed = |(one, other): (RegionId, RegionId)| self.pairs.contains(&(one, other));
        // The pairs of routed paths stand among the others, so what moves is looked at by name.
        let scenario = self.scenario;
        let moves = (scenario
            .transfers
            .iter()
            .map(|it| (it.from.as_str(), it.to.as_str())))
        .chain(
            scenario
                .datagrams
                .iter()
                .map(|it| (it.from.as_str(), it.to.as_str())),
        );
        let direct = moves.into_iter().any(|(from, to)| overlay.joins(from, to));
        let others = !(scenario.migrations.is_empty()
            && scenario.replications.is_empty()
            && scenario.federations.is_empty());
        let pairs = overlay
            .pairs()
            .into_iter()
            .map(|(one, other)| (region(one), region(other)));
        if !(direct || others && pairs.into_iter().any(crossed)) {
            self.warn(
                &format!("overlays[{index}]"),
                "nothing moves between two regions that it joins".to_owned(),
            );
        }
    }
}
