//! Demands at work: which links carry them, and what of them arrives.
//!
//! A demand is traffic of many, so it is not simulated packet by packet: what it puts on a link is background traffic there
//! (see [`longhaul_net::background`]), which takes room in the queue and time of the serialiser from everything else. What
//! arrives of it is reckoned: of what is offered to a link, one that is down carries nothing, and another as much as its
//! rate allows, of each demand the same share.

use std::collections::BTreeMap;

use longhaul_core::record::DemandRecord;
use longhaul_core::schedule::{Class, Schedule, TimerId};
use longhaul_core::time::Instant;
use longhaul_core::units::{BitRate, Probability};
use longhaul_engine::Engine;
use longhaul_net::background::{Arrivals, Background};
use longhaul_net::link::LinkSpec;
use longhaul_net::network::Network;
use longhaul_net::routing::LinkId as NetworkLinkId;
use longhaul_routing::{Demands as Matrix, LinkId, RegionId, Spf, equal_next_hops, next_hop};
use longhaul_te::{Allocation, TeError, min_max_utilisation, survive, tunnels};
use serde_json::json;

use super::assertions::Sample;
use super::faults::Happened;
use super::scene::{ENGINEER, SCENE};
use crate::planning::Planning;
use crate::schema::{Method, Scenario};

/// What the demands are made of, to the routers' queues: full frames.
const FRAME_BYTES: u32 = 1_514;

/// Rounds of reckoning after which loads that still swing are taken as they are.
const MOST_ROUNDS: usize = 100;

/// Makes room for demands in a link's background traffic.
pub fn room(scenario: &Scenario, mut spec: LinkSpec) -> LinkSpec {
    if !scenario.demands.is_empty() {
        spec.background.get_or_insert(Background {
            rate: BitRate::from_bits_per_s(0),
            frame_bytes: FRAME_BYTES,
            arrivals: Arrivals::Poisson,
            class: 0,
        });
    }
    spec
}

/// The sample that a demand gives a metric.
pub fn of_demand(demand: &DemandRecord) -> Sample {
    match demand.offered_bytes {
        0 => Sample::Missing,
        offered => Sample::Exact(
            u64::try_from(
                u128::from(demand.arrived_bytes) * u128::from(Probability::PARTS) / u128::from(offered),
            )
            .expect("no more arrives than is offered"),
        ),
    }
}

/// The demands of a run.
pub struct Demands {
    planning: Planning,
    /// Background traffic of the links' own, by the scenario's order.
    own: Vec<u64>,
    /// Which links carry, and which the routers use, by the scenario's order.
    up: Vec<bool>,
    usable: Vec<bool>,
    courses: Vec<Course>,
    /// What is sent of each demand, and what arrives, bit/s.
    rates: Vec<(f64, f64)>,
    /// The same since the start, in bits.
    sent: Vec<(f64, f64)>,
    /// Since when the rates are these.
    since: Instant,
    /// The highest utilisation since the start.
    peak: f64,
    /// When they are spread anew.
    timer: Option<TimerId>,
}

/// How a demand crosses the network.
enum Course {
    /// Parts of it along paths; less than one in all where it is not granted in full.
    Paths(Vec<(Vec<LinkId>, f64)>),
    /// From each region, the farthest first, to the next ones in equal parts.
    Hops(Vec<(RegionId, Vec<(RegionId, LinkId)>)>),
}

impl Course {
    /// Sends `rate` from `from`; each link is offered what is left and `passes` a share of it on. Returns what arrives.
    fn send(
        &self,
        (from, to): (RegionId, RegionId),
        rate: f64,
        passes: impl Fn(LinkId) -> f64,
        mut offer: impl FnMut(LinkId, f64),
    ) -> f64 {
        match self {
            Course::Paths(paths) => {
                let mut arrived = 0.0;
                for (links, share) in paths {
                    let mut left = rate * share;
                    for link in links {
                        offer(*link, left);
                        left *= passes(*link);
                    }
                    arrived += left;
                }
                arrived
            }
            Course::Hops(regions) => {
                let mut passing: BTreeMap<RegionId, f64> = BTreeMap::from([(from, rate)]);
                for (here, hops) in regions {
                    let Some(amount) = passing.remove(here) else {
                        continue;
                    };
                    let part = amount / hops.len() as f64;
                    for (far, link) in hops {
                        offer(*link, part);
                        *passing.entry(*far).or_default() += part * passes(*link);
                    }
                }
                passing.remove(&to).unwrap_or(0.0)
            }
        }
    }
}

impl Demands {
    /// The demands of a scenario, spread over the whole network.
    ///
    /// # Errors
    /// If the method finds no solution.
    pub fn new(scenario: &Scenario) -> Result<Demands, TeError> {
        let links = scenario.links.len();
        let own = scenario.links.iter();
        let own = own.map(|link| link.background.as_ref().map_or(0, |it| it.rate.as_bits_per_s()));
        let mut demands = Demands {
            planning: Planning::of(scenario),
            own: own.collect(),
            up: vec![true; links],
            usable: vec![true; links],
            courses: Vec::new(),
            rates: vec![(0.0, 0.0); scenario.demands.len()],
            sent: vec![(0.0, 0.0); scenario.demands.len()],
            since: Instant::ZERO,
            peak: 0.0,
            timer: None,
        };
        demands.courses = demands.spread(scenario)?;
        Ok(demands)
    }

    /// Puts them on the links, at the start.
    pub fn begin(&mut self, scenario: &Scenario, network: &mut Network) -> Happened {
        self.load(Instant::ZERO, scenario, network)
    }

    /// What carries and what the routers use may have changed.
    pub fn links_changed(
        &mut self,
        engine: &mut Engine,
        scenario: &Scenario,
        up: &[bool],
        usable: &[bool],
        network: &mut Network,
    ) -> Option<Happened> {
        let (moved, rerouted) = (self.up != up, self.usable != usable);
        if scenario.demands.is_empty() || !(moved || rerouted) {
            return None;
        }
        self.up.copy_from_slice(up);
        self.usable.copy_from_slice(usable);
        match scenario.engineering.method {
            Method::Routed if rerouted => {
                self.courses = self.spread(scenario).expect("routes need no solver");
            }
            Method::Routed => {}
            _ if moved => {
                self.cancel(engine);
                let at = engine.now().saturating_add(scenario.engineering.reaction);
                self.timer = Some(engine.schedule_timer(at, Class::World, SCENE, SCENE, ENGINEER));
            }
            _ => return None,
        }
        Some(self.load(engine.now(), scenario, network))
    }

    /// Spreads them anew.
    pub fn react(&mut self, now: Instant, scenario: &Scenario, network: &mut Network) -> Happened {
        self.timer = None;
        match self.spread(scenario) {
            Ok(courses) => self.courses = courses,
            // A controller without an answer leaves things as they are.
            Err(error) => {
                let detail = json!({ "why": error.to_string() }).to_string();
                return ("demands".to_owned(), "NotSpread", detail);
            }
        }
        self.load(now, scenario, network)
    }

    /// Nobody waits for it any more.
    pub fn cancel(&mut self, engine: &mut Engine) {
        if let Some(timer) = self.timer.take() {
            engine.cancel(timer);
        }
    }

    /// Reckons what the links are offered, and lets them carry it.
    fn load(&mut self, now: Instant, scenario: &Scenario, network: &mut Network) -> Happened {
        self.account(now);
        let planning = &self.planning;
        let capacity = |link| planning.topology.state(link).capacity.as_bits_per_s() as f64;
        let offered = |passes: &dyn Fn(LinkId) -> f64| {
            let mut loads: Vec<f64> = (planning.topology.links())
                .map(|link| self.own[planning.place(link)] as f64)
                .collect();
            let mut rates = Vec::new();
            for (demand, course) in scenario.demands.iter().zip(&self.courses) {
                let region = |name: &str| planning.topology.region(name).expect("a region");
                let (ends, rate) = (
                    (region(&demand.from), region(&demand.to)),
                    demand.rate.as_bits_per_s() as f64,
                );
                let offer = |link: LinkId, part| loads[link.index()] += part;
                rates.push((rate, course.send(ends, rate, passes, offer)));
            }
            (loads, rates)
        };
        let up = |link| self.up[planning.place(link)];
        // Links that lie behind a full one get no more than it lets through, and may then not be full themselves.
        let mut passes: Vec<f64> = (planning.topology.links())
            .map(|link| f64::from(u8::from(up(link))))
            .collect();
        let mut reckoned = offered(&|link| passes[link.index()]);
        for _ in 0..MOST_ROUNDS {
            let next = planning
                .topology
                .links()
                .map(|link| match reckoned.0[link.index()] {
                    _ if !up(link) => 0.0,
                    load if load > capacity(link) => capacity(link) / load,
                    _ => 1.0,
                });
            let next: Vec<f64> = next.collect();
            if next == passes {
                break;
            }
            passes = next;
            reckoned = offered(&|link| passes[link.index()]);
        }
        let (loads, rates) = reckoned;
        let mut busiest: Option<(f64, LinkId)> = None;
        for link in planning.topology.links() {
            let place = planning.place(link);
            let load = loads[link.index()];
            let name = NetworkLinkId(place as u32);
            network.set_background_rate(now, name, BitRate::from_bits_per_s(load as u64));
            let utilisation = if load == 0.0 { 0.0 } else { load / capacity(link) };
            if up(link) && busiest.is_none_or(|(known, _)| utilisation > known) {
                busiest = Some((utilisation, link));
            }
        }
        self.rates = rates;
        let (utilisation, link) = busiest.unzip();
        let utilisation = utilisation.unwrap_or(0.0);
        self.peak = self.peak.max(utilisation);
        let arriving: f64 = self.rates.iter().map(|(_, arriving)| arriving).sum();
        let offered: f64 = self.rates.iter().map(|(offered, _)| offered).sum();
        let detail = json!({
            "offered_bits_per_s": offered as u64,
            "arriving_bits_per_s": arriving as u64,
            "highest_utilisation_ppm": (utilisation * 1e6) as u64,
            "busiest_link": link.map(|link| scenario.links[planning.place(link)].name()),
        });
        ("demands".to_owned(), "Spread", detail.to_string())
    }

    /// Adds what has been sent since the rates are these.
    fn account(&mut self, now: Instant) {
        let seconds = now.saturating_since(self.since).as_ns() as f64 / 1e9;
        self.since = now;
        for (sum, rate) in self.sent.iter_mut().zip(&self.rates) {
            sum.0 += rate.0 * seconds;
            sum.1 += rate.1 * seconds;
        }
    }

    /// How the demands cross the network as its links are known to be.
    fn spread(&self, scenario: &Scenario) -> Result<Vec<Course>, TeError> {
        let planning = &self.planning;
        let region = |name: &str| planning.topology.region(name).expect("a region of the scenario");
        let ends = scenario.demands.iter();
        let ends: Vec<(RegionId, RegionId)> = ends.map(|it| (region(&it.from), region(&it.to))).collect();
        if scenario.engineering.method == Method::Routed {
            return Ok(ends.iter().map(|(_, to)| self.routed(scenario, *to)).collect());
        }
        let allocation = self.engineered(scenario)?;
        let wanted = planning.demands(scenario);
        let course = |(from, to): &(RegionId, RegionId)| {
            let mut found = wanted.iter();
            let found = found.find(|(a, b, _)| (a, b) == (from, to));
            let (_, _, rate) = found.expect("a demand");
            let shares = allocation.shares(*from, *to).iter();
            Course::Paths(
                shares
                    .map(|share| (share.links.clone(), share.rate / rate))
                    .collect(),
            )
        };
        Ok(ends.iter().map(course).collect())
    }

    fn routed(&self, scenario: &Scenario, to: RegionId) -> Course {
        let topology = &self.planning.topology;
        let weights = self.planning.weights(scenario, |place| self.usable[place]);
        let weights = weights.expect("the check found an objective that is a sum");
        let mut spf = Spf::new();
        spf.run(topology, &weights, to);
        let (distances, order) = spf.ordered();
        let hops = |here: RegionId| -> Vec<(RegionId, LinkId)> {
            if scenario.routing.multipath {
                equal_next_hops(topology, &weights, distances, here).collect()
            } else {
                let link = next_hop(topology, &weights, distances, here);
                link.map(|link| (topology.link(link).to, link))
                    .into_iter()
                    .collect()
            }
        };
        let regions = order.iter().rev().filter(|here| **here != to);
        let regions = regions.map(|&here| (here, hops(here)));
        Course::Hops(regions.filter(|(_, hops)| !hops.is_empty()).collect())
    }

    /// The rates on paths that the chosen method finds, over the links that carry.
    fn engineered(&self, scenario: &Scenario) -> Result<Allocation, TeError> {
        let planning = &self.planning;
        let whole = planning.without_background();
        let topology = &whole;
        let mut left = whole.clone();
        for (place, up) in self.up.iter().enumerate() {
            left.set_link_up(planning.link(place), *up);
        }
        let wanted = planning.demands(scenario);
        let reachable = |from: RegionId, to: RegionId| {
            let mut spf = Spf::new();
            let weights = left.weights(longhaul_routing::Metric::Latency);
            spf.run(&left, weights, to)[from.index()].is_finite()
        };
        let mut demands = Matrix::new();
        for (from, to, rate) in wanted.iter().filter(|(from, to, _)| reachable(*from, *to)) {
            demands.add(from, to, rate);
        }
        match scenario.engineering.method {
            Method::Survive { failures, paths } => {
                // The paths are kept: what a failure leaves of them goes on with what is set aside there.
                let weights = topology.weights(longhaul_routing::Metric::Latency);
                let tunnels = tunnels(topology, weights, &wanted, paths);
                survive(topology, &wanted, &tunnels, failures).map(|grant| {
                    let mut rates = Allocation::new();
                    for (from, to, shares) in grant.allocation.pairs() {
                        let granted = grant.granted.iter().find(|(a, b, _)| (*a, *b) == (from, to));
                        let granted = granted.map_or(0.0, |(_, _, rate)| rate);
                        let alive = |links: &[LinkId]| links.iter().all(|link| left.usable(*link));
                        let usable: f64 = (shares.iter().filter(|share| alive(&share.links)))
                            .map(|share| share.rate)
                            .sum();
                        for share in shares.iter().filter(|share| alive(&share.links) && usable > 0.0) {
                            let rate = granted.min(usable) * share.rate / usable;
                            rates.add(from, to, share.links.clone(), rate);
                        }
                    }
                    rates
                })
            }
            _ => min_max_utilisation(&left, &demands).map(|optimum| optimum.flows.paths(&left, &demands)),
        }
    }

    /// The records.
    pub fn records(&mut self, scenario: &Scenario, now: Instant) -> Vec<DemandRecord> {
        self.account(now);
        let record = |(demand, sent): (&crate::schema::Demand, &(f64, f64))| DemandRecord {
            name: demand.name(),
            from: demand.from.clone(),
            to: demand.to.clone(),
            rate_bits_per_s: demand.rate.as_bits_per_s(),
            offered_bytes: (sent.0 / 8.0) as u64,
            arrived_bytes: (sent.1 / 8.0) as u64,
        };
        scenario.demands.iter().zip(&self.sent).map(record).collect()
    }
}
