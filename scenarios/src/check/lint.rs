//! Doubts: what can run but probably does not show what its author wants to see.

mod federations;
mod guests;
mod migrations;
mod overlays;
mod replications;
mod services;

use std::collections::BTreeSet;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize};
use longhaul_net::routing::{Graph, RegionId};

use crate::decode::most_bytes;
use crate::diagnose::{Diagnostic, Sink, approximate};
use crate::path::locate;
use crate::replay::records::unmeasured;
use crate::schema::{
    Amount, Carrier, Controller, Fault, Jitter, Link, Loss, Objective, Queue, Scenario, Scope, Tcp,
};
use crate::syntax::Node;

use super::routes::{graph, route};
use super::{already, chaos, faults};

/// Stands for a recorded rate, of which nothing is known here but that it is finite.
const UNKNOWN_RATE: BitRate = BitRate::from_bits_per_s(u64::MAX);

/// Reports to `sink`, as warnings, what is doubtful about a scenario without mistakes, whose tree is `root`.
/// `concrete` is the scenario with the faults that strike, as drawn with its own seed; `link_entries` and `fault_entries` have the index in the file of each of its links and faults.
pub fn lint(
    root: &Node,
    scenario: &Scenario,
    concrete: &Scenario,
    link_entries: &[usize],
    fault_entries: &[usize],
    sink: &mut Sink,
) {
    let graph = graph(scenario.regions.iter(), scenario.links.iter(), scenario.routing)
        .expect("a scenario without mistakes");
    let mut lint = Lint {
        root,
        scenario,
        link_entries,
        graph,
        sink,
        carrying: BTreeSet::new(),
        pairs: BTreeSet::new(),
    };
    lint.migrations();
    lint.transfers();
    lint.replications();
    lint.federations();
    lint.datagrams();
    lint.overlays();
    lint.services();
    lint.reservations();
    lint.demands();
    lint.faults(concrete, fault_entries);
    lint.costs();
    lint.links();
    lint.regions();
    lint.guests();
    lint.assertions();
    lint.abort_conditions();
    lint.margins();
    lint.transport();
    lint.controllers();
}

struct Lint<'a> {
    root: &'a Node,
    scenario: &'a Scenario,
    link_entries: &'a [usize],
    graph: Graph,
    sink: &'a mut Sink,
    /// Indices of the links that some route uses.
    carrying: BTreeSet<usize>,
    /// Where packets go, and from where.
    pairs: BTreeSet<(RegionId, RegionId)>,
}

/// What a route offers.
struct Path {
    rate: BitRate,
    round_trip: Span,
}

impl Lint<'_> {
    fn warn(&mut self, path: &str, message: String) {
        self.sink
            .push(Diagnostic::error(locate(self.root, path), path, message).warning());
    }

    /// Whether the file says something at this path.
    fn written(&self, list: &str, index: usize, fields: &[&str]) -> bool {
        let item = self.root.field(list).and_then(|list| list.items().get(index));
        fields
            .iter()
            .fold(item, |node, field| node.and_then(|node| node.field(field)))
            .is_some()
    }

    /// The route there and back. Notes that its links carry something.
    fn path(&mut self, from: &str, to: &str) -> Path {
        let there = route(&self.graph, from, to).expect("checked to be reachable");
        let back = route(&self.graph, to, from).expect("checked to be reachable");
        let index = |id: &longhaul_net::routing::LinkId| id.0 as usize;
        self.carrying
            .extend(there.links.iter().chain(&back.links).map(index));
        let ends = [from, to].map(|name| self.graph.region(name).expect("a checked reference"));
        if self.scenario.routing.multipath {
            self.share(ends[0], ends[1]);
            self.share(ends[1], ends[0]);
        }
        self.pairs.extend([(ends[1], ends[0]), (ends[0], ends[1])]);
        let rates = there.links.iter().map(|id| {
            let rate = self.scenario.links[index(id)].rate.mean();
            rate.unwrap_or(UNKNOWN_RATE)
        });
        Path {
            rate: rates.min().expect("a route between two regions has links"),
            round_trip: there.latency.saturating_add(back.latency),
        }
    }

    /// Notes that all links of equally good routes carry something.
    fn share(&mut self, from: RegionId, to: RegionId) {
        let hops = self.graph.equal_next_hops(to, |_| true);
        let (mut reached, mut waiting) = (BTreeSet::from([from]), vec![from]);
        while let Some(here) = waiting.pop() {
            for &link in &hops[here.0 as usize] {
                self.carrying.insert(link.0 as usize);
                let next = self.graph.far_end(link);
                if reached.insert(next) {
                    waiting.push(next);
                }
            }
        }
    }

    fn transfers(&mut self) {
        for (index, transfer) in self.scenario.transfers.iter().enumerate() {
            let path = self.path(&transfer.from, &transfer.to);
            let carrier = transfer.carrier;
            let window = carrier
                .amst()
                .map_or(u64::MAX, |transport| transport.window.as_bytes());
            let flight = in_flight(carrier.most_streams(), carrier.tcp()).min(window);
            let (most, least) = match transfer.amount {
                Amount::Size(size) => (size.as_bytes(), path.rate.time_for(size.as_bytes())),
                Amount::Duration(duration) => (path.rate.bytes_in(duration), duration),
            };
            // A transfer that fits in what may be in flight is not held up by it.
            if flight < most {
                let field = if carrier.amst().is_some() {
                    "transport"
                } else {
                    "streams"
                };
                self.fills(&format!("transfers[{index}].{field}"), flight, &path);
            }
            self.ends_in_time(&format!("transfers[{index}]"), transfer.at, least);
        }
    }

    fn fills(&mut self, at: &str, flight: u64, path: &Path) {
        if let Some(most) = BitRate::of(flight, path.round_trip)
            && most < path.rate
            && path.rate < UNKNOWN_RATE
        {
            let message = format!(
                "cannot fill its path: {} in flight over a round trip of {} make {} Mbit/s at most, and the path carries {}",
                ByteSize::from_bytes(flight),
                path.round_trip,
                most.as_bits_per_s() / 1_000_000,
                path.rate
            );
            self.warn(at, message);
        }
    }

    fn ends_in_time(&mut self, at: &str, start: Span, least: Span) {
        let end = start.saturating_add(least);
        if end > self.scenario.horizon {
            let (end, horizon) = (approximate(end), self.scenario.horizon);
            self.warn(
                at,
                format!("cannot end before {end}, and the run ends at {horizon}"),
            );
        }
    }

    fn faults(&mut self, concrete: &Scenario, entries: &[usize]) {
        faults::detours(concrete, &self.graph, &self.pairs, &mut self.carrying);
        if self.scenario.route_control.is_some() {
            self.carrying.extend(0..self.scenario.links.len());
        }
        let mut doubts = faults::doubts(self.scenario, &self.carrying);
        doubts.extend(chaos::doubts(self.scenario, &self.carrying));
        for (fault, field, message) in doubts {
            let path = format!("faults[{}]{field}", entries[fault]);
            let doubt = Diagnostic::error(locate(self.root, &path), &*path, message).warning();
            // Both directions of a symmetric entry are doubtful together; one message is enough.
            if !already(self.sink, &doubt) {
                self.sink.push(doubt);
            }
        }
        let mut faults = self.scenario.faults.iter();
        let fails = faults.any(Fault::cuts_links);
        let changes = concrete.links.iter().any(|link| !link.changes.is_empty());
        match self.scenario.route_control {
            None if !fails && self.root.field("reroute_after").is_some() => {
                let message = "no link fails, so this has no effect".to_owned();
                self.warn("reroute_after", message);
            }
            Some(_) if !fails && !changes => {
                let message = "no link fails or changes, so no route does".to_owned();
                self.warn("route_control", message);
            }
            _ => {}
        }
    }

    /// What is reserved may lie on any path; nothing is reserved for nobody's sake.
    fn reservations(&mut self) {
        let scenario = self.scenario;
        if scenario.reservations.is_empty() {
            if self.root.field("headroom").is_some() {
                self.warn(
                    "headroom",
                    "nothing is reserved, so this has no effect".to_owned(),
                );
            }
            return;
        }
        self.carrying.extend(0..scenario.links.len());
        let transfers = scenario.transfers.iter().map(|it| &it.reservation);
        let mut names = transfers
            .chain(scenario.datagrams.iter().map(|it| &it.reservation))
            .flatten();
        if names.next().is_none() {
            let message = "no transfer or stream has a reservation, so that none changes what happens";
            self.warn("reservations", message.to_owned());
        }
    }

    /// What is spread over the network may lie on any link.
    fn demands(&mut self) {
        if !self.scenario.demands.is_empty() {
            self.carrying.extend(0..self.scenario.links.len());
        } else if self.root.field("engineering").is_some() {
            let message = "there are no demands, so this has no effect".to_owned();
            self.warn("engineering", message);
        }
    }

    /// Costs that nobody counts, and routes by costs that nobody gave.
    fn costs(&mut self) {
        let counts = match self.scenario.routing.objective {
            Objective::Cost => true,
            Objective::Balanced(weights) => weights.cost > 0,
            Objective::Latency | Objective::Widest => false,
        };
        let dear = self.scenario.links.iter().position(|link| link.cost > 0);
        match dear {
            Some(link) if !counts => {
                let path = format!("links[{}].cost", self.link_entries[link]);
                self.warn(&path, "routes count no costs, so this has no effect".to_owned());
            }
            None if counts => {
                let message = "routes count costs, and no link has one".to_owned();
                self.warn("routing.objective", message);
            }
            _ => {}
        }
    }

    fn links(&mut self) {
        for (index, link) in self.scenario.links.iter().enumerate() {
            let at = format!("links[{}]", self.link_entries[index]);
            // What holds for one direction of a symmetric entry mostly holds for the other; once is enough.
            let back = index > 0 && self.link_entries[index - 1] == self.link_entries[index];
            let carries = self.carrying.contains(&index);
            if back && carries == self.carrying.contains(&(index - 1)) {
                continue;
            }
            if carries {
                self.parameters(&at, link);
            } else {
                self.warn(
                    &at,
                    format!("no route uses the link from `{}` to `{}`", link.from, link.to),
                );
            }
        }
    }

    fn parameters(&mut self, at: &str, link: &Link) {
        let queue = most_bytes(&link.queue);
        // One nanosecond less than the round trip, which may be odd and was cut in halves.
        let round_trip = (link.delay * 2).saturating_sub(Span::from_ns(1));
        let product = link.rate.mean().map_or(0, |rate| rate.bytes_in(round_trip));
        // A discipline keeps its queue short on purpose.
        if queue < product && matches!(link.queue, Queue::Fifo(_)) {
            let message = format!(
                "a queue of {} is shorter than what the link carries in a round trip, {} kB: a single connection \
                 cannot keep it busy",
                ByteSize::from_bytes(queue),
                product / 1_000
            );
            self.warn(&format!("{at}.queue"), message);
        }
        let jitter = match link.jitter {
            Jitter::None | Jitter::Measured { .. } => Span::ZERO,
            Jitter::Normal(spread)
            | Jitter::Pareto(spread)
            | Jitter::ParetoNormal(spread)
            | Jitter::Table { spread, .. } => spread.mean,
            Jitter::Uniform { max } => max,
        };
        if link.reorder && link.jitter == Jitter::None {
            let message = "without jitter no frame overtakes another".to_owned();
            self.warn(&format!("{at}.reorder"), message);
        }
        if jitter > link.delay {
            let message = format!("a jitter of {jitter} on a propagation delay of {}", link.delay);
            self.warn(&format!("{at}.jitter"), message);
        }
        if let Loss::GilbertElliott { mean, .. } = link.loss
            && mean.as_parts() == 0
        {
            self.warn(
                &format!("{at}.loss"),
                "nothing is lost, so `burst` has no effect".to_owned(),
            );
        }
    }

    fn regions(&mut self) {
        let scenario = self.scenario;
        for (index, region) in scenario.regions.iter().enumerate() {
            let mut ends = self.carrying.iter().flat_map(|&link| {
                let link = &scenario.links[link];
                [&link.from, &link.to]
            });
            let replicas = scenario.services.iter().flat_map(|service| &service.replicas);
            let mut here = scenario
                .vms
                .iter()
                .map(|vm| &vm.region)
                .chain(scenario.clients.iter().map(|client| &client.region))
                .chain(replicas);
            if !ends.any(|end| *end == region.name) && !here.any(|here| *here == region.name) {
                self.warn(
                    &format!("regions[{index}]"),
                    format!("nothing happens in `{}`", region.name),
                );
            }
        }
    }

    /// A margin that no replay can judge is never a pass.
    fn margins(&mut self) {
        let margins = self.scenario.replay.iter().flat_map(|replay| &replay.margins);
        for (index, margin) in margins.enumerate() {
            if let Some(why) = unmeasured(margin.metric) {
                self.warn(
                    &format!("replay.margins[{index}].metric"),
                    format!("never comparable: {why}"),
                );
            }
        }
    }

    fn abort_conditions(&mut self) {
        if !self.scenario.abort_when.is_empty() && self.scenario.faults.is_empty() {
            let message = "no fault strikes, so there is none to end, but for those of a hunt".to_owned();
            self.warn("abort_when", message);
        }
    }

    fn assertions(&mut self) {
        for (index, assertion) in self.scenario.assertions.iter().enumerate() {
            let samples = match assertion.scope {
                Scope::Only(_) => 1,
                Scope::All => assertion.metric.subject().names(self.scenario).len(),
            };
            let needed = assertion.statistic.least_samples();
            if samples < needed {
                let message = format!("always inconclusive: wants {needed} samples, there are {samples}");
                self.warn(&format!("assertions[{index}].statistic"), message);
            }
        }
    }

    /// Settings of TCP that its controller does not look at.
    fn controllers(&mut self) {
        let scenario = self.scenario;
        let migrations = scenario.migrations.iter().map(|m| m.transport.tcp).enumerate();
        let transfers = scenario.transfers.iter().map(|t| t.carrier).enumerate();
        let migrations =
            migrations.map(|(i, tcp)| ("migrations", i, &["transport", "tcp", "hystart"][..], tcp));
        let transfers = transfers.map(|(i, carrier)| match carrier {
            Carrier::Plain { tcp, .. } => ("transfers", i, &["tcp", "hystart"][..], tcp),
            Carrier::Amst(transport) => (
                "transfers",
                i,
                &["transport", "tcp", "hystart"][..],
                transport.tcp,
            ),
        });
        let replications = scenario.replications.iter().map(|r| r.transport.tcp).enumerate();
        let replications =
            replications.map(|(i, tcp)| ("replications", i, &["transport", "tcp", "hystart"][..], tcp));
        let federations = scenario.federations.iter().map(|f| f.tcp).enumerate();
        let federations = federations.map(|(i, tcp)| ("federations", i, &["tcp", "hystart"][..], tcp));
        let services = scenario.services.iter().map(|s| s.tcp).enumerate();
        let services = services.map(|(i, tcp)| ("services", i, &["tcp", "hystart"][..], tcp));
        let clients = scenario.clients.iter().map(|c| c.tcp).enumerate();
        let clients = clients.map(|(i, tcp)| ("clients", i, &["tcp", "hystart"][..], tcp));
        let all = migrations
            .chain(transfers)
            .chain(replications)
            .chain(federations)
            .chain(services)
            .chain(clients);
        for (list, index, fields, tcp) in all {
            if tcp.controller == Controller::Reno && self.written(list, index, fields) {
                self.warn(
                    &format!("{list}[{index}].{}", fields.join(".")),
                    "Reno has no HyStart, so `hystart` has no effect".to_owned(),
                );
            }
        }
    }

    /// Settings for all that goes by AMST, which nothing takes.
    fn transport(&mut self) {
        let scenario = self.scenario;
        let transfers = scenario.transfers.iter().enumerate();
        let by_amst: Vec<usize> = transfers
            .filter(|(_, transfer)| transfer.carrier.amst().is_some())
            .map(|(index, _)| index)
            .collect();
        for field in ["streams", "chunk", "window", "patience"] {
            let overridden = |list, index| self.written(list, index, &["transport", field]);
            let migrations = (0..scenario.migrations.len()).all(|index| overridden("migrations", index));
            let replications =
                (0..scenario.replications.len()).all(|index| overridden("replications", index));
            let transfers = by_amst.iter().all(|&index| overridden("transfers", index));
            let written = self
                .root
                .field("transport")
                .and_then(|transport| transport.field(field));
            if written.is_some() && migrations && replications && transfers {
                let whose = "no migration, replication or transfer takes this from here";
                self.warn(&format!("transport.{field}"), whose.to_owned());
            }
        }
    }
}

/// Bytes that so many connections may have in flight.
fn in_flight(streams: u32, tcp: Tcp) -> u64 {
    u64::from(streams) * tcp.send_buffer.min(tcp.receive_buffer).as_bytes()
}
