//! What edges decide, carried out and held against the truth.

use longhaul_core::time::Instant;
use longhaul_net::network::Network;
use longhaul_net::routing::LinkId;
use longhaul_net::way::Way;
use longhaul_sdwan::judge::shortfall;
use longhaul_sdwan::score::Attributes;
use longhaul_sdwan::{Event, Why};

use super::{Overlays, index, truth};
use crate::schema::Scenario;

/// Traffic of an edge that went to another path, all of it at one moment.
pub(super) struct Switch {
    pub(super) at: Instant,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) why: Why,
    pub(super) flows: u64,
    /// When a link of the old path failed, if that was why.
    pub(super) failed_at: Option<Instant>,
    pub(super) detected_at: Option<Instant>,
    pub(super) landed_at: Option<Instant>,
}

/// What was compared with the truth.
#[derive(Clone, Copy, Default)]
pub(super) struct Decisions {
    pub(super) samples: u64,
    pub(super) wrong: u64,
}

impl Overlays {
    /// Follows what an edge reports. What changes the way of a flow comes back: the flow, and its way.
    pub fn observe(
        &mut self,
        now: Instant,
        event: &Event,
        failed_at: impl Fn(LinkId) -> Option<Instant>,
    ) -> Option<(u64, Way)> {
        match event {
            Event::PathUp { path, .. } => {
                self.ends[index(*path)].up.start(now);
            }
            Event::PathDown { path, .. } => {
                let end = &mut self.ends[index(*path)];
                end.up.stop(now);
                end.downs += 1;
                end.down_at = Some(now);
            }
            Event::Measured(report) => self.ends[index(report.path)].report = Some(**report),
            Event::Assigned { flow, path, .. } => return self.put(*flow, Some(index(*path)), None),
            Event::Moved { flow, from, to, why } => {
                let switch = self.switch(now, index(*from), index(*to), *why, failed_at);
                return self.put(*flow, Some(index(*to)), Some(switch));
            }
            Event::NoPath { flow, .. } => return self.put(*flow, None, None),
            Event::Switched { .. } | Event::Rate { .. } | Event::Expired { .. } => {}
        }
        None
    }

    fn put(&mut self, flow: u64, on: Option<usize>, switch: Option<usize>) -> Option<(u64, Way)> {
        let crossing = self.crossings.get_mut(&flow)?;
        let before = std::mem::replace(&mut crossing.on, on);
        crossing.switch = switch;
        let to = on.or(before).map(|end| self.ends[end].end.to)?;
        Some((flow, self.way_of(flow, to)))
    }

    /// The switch of this moment between two path ends.
    fn switch(
        &mut self,
        now: Instant,
        from: usize,
        to: usize,
        why: Why,
        failed_at: impl Fn(LinkId) -> Option<Instant>,
    ) -> usize {
        let same = |switch: &Switch| (switch.at, switch.from, switch.to) == (now, from, to);
        // Those of one moment are the last ones.
        let mut recent = self
            .switches
            .iter()
            .enumerate()
            .rev()
            .take_while(|(_, switch)| switch.at == now);
        let found = recent.find(|(_, switch)| same(switch)).map(|(place, _)| place);
        let place = found.unwrap_or_else(|| {
            let old = &self.ends[from];
            let died = why == Why::Died;
            let links = old.links.iter().chain(&old.back);
            self.switches.push(Switch {
                at: now,
                from,
                to,
                why,
                flows: 0,
                failed_at: links.filter_map(|link| failed_at(*link)).max().filter(|_| died),
                detected_at: old.down_at.filter(|_| died),
                landed_at: None,
            });
            self.switches.len() - 1
        });
        self.switches[place].flows += 1;
        place
    }

    /// Payload of a flow has arrived over the path that it was put on last.
    pub fn land(&mut self, now: Instant, flow: u64) {
        let switch = self
            .crossings
            .get_mut(&flow)
            .and_then(|crossing| crossing.switch.take());
        if let Some(switch) = switch {
            self.switches[switch].landed_at.get_or_insert(now);
        }
    }

    /// Compares every flow's path with the best that there would be, as it really is.
    pub fn judge(&mut self, now: Instant, scenario: &Scenario, network: &Network) {
        if self.crossings.is_empty() {
            return;
        }
        let truths: Vec<_> = (self.ends.iter())
            .map(|end| {
                let path = &scenario.overlays[end.end.overlay].paths[end.end.path];
                let links: Vec<LinkId> = end.links.iter().chain(&end.back).copied().collect();
                truth::attributes(scenario, network, path, &links, now)
            })
            .collect();
        for crossing in self.crossings.values() {
            let Some(on) = crossing.on else { continue };
            let end = &self.ends[on].end;
            let rivals = (0..self.ends.len()).filter(|&place| {
                let other = &self.ends[place].end;
                (other.overlay, other.from, other.to) == (end.overlay, end.from, end.to)
            });
            let working = rivals.filter_map(|place| Some((place, truths[place]?)));
            let (places, paths): (Vec<usize>, Vec<Attributes>) = working.unzip();
            // Where no path works, none is wrong.
            if paths.is_empty() {
                continue;
            }
            let used = places.iter().position(|&place| place == on);
            let margin = f64::from(scenario.overlays[end.overlay].wrong_by);
            let decisions = &mut self.decisions[end.overlay];
            decisions.samples += 1;
            decisions.wrong += u64::from(shortfall(&paths, used, &crossing.objective) > margin);
        }
    }
}
