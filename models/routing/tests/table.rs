//! The route table over time: hold-down, margins, make before break, flapping, subscribers, and what must hold whatever
//! happens.

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_routing::{
    Builder, Change, Command, Intent, IntentId, LinkState, Missed, Objective, Policy, Reason, RouteTable,
    Router, Step, Topology,
};

/// A ring of regions with chords, all links in both directions.
fn ring(regions: usize) -> Topology {
    let mut builder = Builder::new();
    let name = |region: usize| format!("r{:02}", region % regions);
    for region in 0..regions {
        builder.region(&name(region)).expect("a new region");
    }
    for region in 0..regions {
        for (step, ms) in [(1, 10), (3, 28)] {
            let state = LinkState::idle(Span::from_ms(ms), BitRate::from_bits_per_s(1_000_000_000));
            let (a, b) = (name(region), name(region + step));
            builder.link(&a, &b, "", state, &[]).expect("a new link");
            builder.link(&b, &a, "", state, &[]).expect("a new link");
        }
    }
    builder.build()
}

fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

/// A table with its wakes, so that tests only say what happens when.
struct Driver {
    table: RouteTable,
    wake: Option<Instant>,
    changes: Vec<Change>,
}

impl Driver {
    fn new(topology: Topology, policy: Policy) -> Driver {
        let mut driver = Driver {
            table: RouteTable::new(topology, policy),
            wake: None,
            changes: Vec::new(),
        };
        driver.input(Instant::ZERO, Input::Start);
        driver
    }

    fn input(&mut self, now: Instant, input: Input<Command>) {
        self.table.handle(now, input);
        loop {
            match self.table.poll() {
                Output::Event(change) => self.changes.push(change),
                Output::WakeAt { at, .. } => {
                    assert!(at > now, "a wake that is over");
                    self.wake = Some(at);
                    break;
                }
                _ => {
                    self.wake = None;
                    break;
                }
            }
        }
    }

    /// Lets time pass, with all wakes.
    fn until(&mut self, now: Instant) {
        while let Some(at) = self.wake.filter(|at| *at <= now) {
            self.input(at, Input::Wake);
        }
    }

    fn tell(&mut self, now: Instant, command: Command) {
        self.until(now);
        self.input(now, Input::Command(command));
    }

    fn steps(&self) -> Vec<(u64, Step)> {
        let ms = |change: &Change| change.at.as_ns() / 1_000_000;
        self.changes
            .iter()
            .map(|change| (ms(change), change.step))
            .collect()
    }
}

fn intent(topology: &Topology, from: &str, to: &str) -> Intent {
    Intent {
        from: topology.region(from).expect("a region"),
        to: topology.region(to).expect("a region"),
        objective: Objective::Latency,
    }
}

fn quiet() -> Policy {
    Policy {
        period: None,
        ..Policy::default()
    }
}

#[test]
fn a_better_route_is_made_before_the_old_one_is_broken() {
    let topology = ring(8);
    let link = topology.find_link("r00", "r01", "").expect("a link");
    let slow = LinkState {
        latency: Span::from_ms(80),
        ..*topology.state(link)
    };
    let mut driver = Driver::new(topology.clone(), quiet());
    driver.tell(
        at_ms(0),
        Command::Intend(IntentId(0), intent(&topology, "r00", "r01")),
    );
    // Within the hold-down nothing moves, at its end the better route is installed, a second later the old one goes.
    driver.tell(at_ms(1_000), Command::LinkChanged(link, slow));
    assert_eq!(driver.steps(), [(0, Step::Install)]);
    driver.until(at_ms(60_500));
    assert_eq!(driver.steps()[1..], [(60_000, Step::Reroute)]);
    assert_eq!(driver.changes[1].reason, Reason::HoldDownOver);
    assert_eq!(
        driver.table.draining(IntentId(0)).count(),
        1,
        "both are installed"
    );
    driver.until(at_ms(100_000));
    assert_eq!(driver.steps()[2..], [(61_000, Step::Release)]);
    assert_eq!(driver.changes[2].old, driver.changes[1].old);
    assert_eq!(driver.table.draining(IntentId(0)).count(), 0);
}

#[test]
fn what_is_hardly_better_is_left_alone() {
    let topology = ring(8);
    let link = topology.find_link("r00", "r01", "").expect("a link");
    let other = topology.find_link("r00", "r03", "").expect("a link");
    let mut driver = Driver::new(topology.clone(), quiet());
    driver.tell(
        at_ms(0),
        Command::Intend(IntentId(0), intent(&topology, "r00", "r03")),
    );
    let before = driver
        .table
        .installed(IntentId(0))
        .expect("a route")
        .links
        .clone();
    assert_eq!(before, [other], "28 ms instead of 30");
    // 27 ms over three links is better by less than a tenth.
    let faster = LinkState {
        latency: Span::from_ms(7),
        ..*topology.state(link)
    };
    driver.tell(at_ms(100_000), Command::LinkChanged(link, faster));
    driver.tell(at_ms(200_000), Command::Optimise);
    assert_eq!(driver.changes.len(), 1);
    let fast = LinkState {
        latency: Span::from_ms(1),
        ..*topology.state(link)
    };
    driver.tell(at_ms(300_000), Command::LinkChanged(link, fast));
    assert_eq!(driver.steps()[1..], [(300_000, Step::Reroute)]);
}

#[test]
fn a_flapping_link_is_left_alone_until_it_settles() {
    let topology = ring(8);
    let link = topology.find_link("r00", "r01", "").expect("a link");
    let mut driver = Driver::new(topology.clone(), quiet());
    driver.tell(
        at_ms(0),
        Command::Intend(IntentId(0), intent(&topology, "r00", "r01")),
    );
    // Ten minutes of five seconds down, five seconds up.
    for flap in 0..60 {
        driver.tell(at_ms(1_000 + flap * 10_000), Command::LinkFailed(link));
        driver.tell(at_ms(6_000 + flap * 10_000), Command::LinkRecovered(link));
    }
    assert_eq!(driver.steps(), [(0, Step::Install), (1_000, Step::Failover)]);
    driver.until(at_ms(1_000_000));
    // The last recovery was at 596 s.
    assert_eq!(
        driver.steps()[2..],
        [(656_000, Step::Reroute), (657_000, Step::Release)]
    );
}

#[test]
fn a_region_goes_down_with_its_links_and_comes_back() {
    let topology = ring(8);
    let region = topology.region("r01").expect("a region");
    let mut driver = Driver::new(topology.clone(), quiet());
    driver.tell(
        at_ms(0),
        Command::Intend(IntentId(0), intent(&topology, "r00", "r02")),
    );
    driver.tell(
        at_ms(0),
        Command::Intend(IntentId(1), intent(&topology, "r00", "r01")),
    );
    driver.tell(at_ms(10), Command::RegionFailed(region));
    let route = driver.table.installed(IntentId(0)).expect("a way round");
    assert!(!route.regions(driver.table.topology()).contains(&region));
    assert_eq!(driver.table.installed(IntentId(1)), None);
    driver.tell(at_ms(20), Command::RegionRecovered(region));
    assert!(driver.table.installed(IntentId(1)).is_some(), "restored at once");
    driver.until(at_ms(120_000));
    let best = driver.table.installed(IntentId(0)).expect("a route");
    assert!(
        best.regions(driver.table.topology()).contains(&region),
        "and the other moved back"
    );
}

#[test]
fn subscribers_read_in_order_and_learn_what_they_missed() {
    let topology = ring(8);
    let link = topology.find_link("r00", "r01", "").expect("a link");
    let policy = Policy {
        history: 4,
        wait_to_restore: Span::ZERO,
        hold_down: Span::ZERO,
        overlap: Span::ZERO,
        ..quiet()
    };
    let mut driver = Driver::new(topology.clone(), policy);
    let (early, idle) = {
        let history = driver.table.history_mut();
        (history.subscribe(), history.subscribe())
    };
    driver.tell(
        at_ms(0),
        Command::Intend(IntentId(0), intent(&topology, "r00", "r01")),
    );
    let mut seen = Vec::new();
    for flap in 1..=3 {
        driver.tell(at_ms(flap * 10), Command::LinkFailed(link));
        driver.tell(at_ms(flap * 10 + 5), Command::LinkRecovered(link));
        driver.until(at_ms(flap * 10 + 6));
        while let Some(change) = driver.table.history_mut().read(early).expect("nothing missed") {
            seen.push(change.clone());
        }
    }
    assert_eq!(seen, driver.changes);
    assert!(
        seen.iter()
            .zip(0..)
            .all(|(change, number)| change.sequence == number)
    );
    let missed = driver.changes.len() as u64 - 4;
    assert_eq!(driver.table.history_mut().read(idle), Err(Missed(missed)));
    let next = driver.table.history_mut().read(idle).expect("what is kept");
    assert_eq!(next.map(|change| change.sequence), Some(missed));
    assert!(driver.table.history_mut().unsubscribe(idle));
    assert_eq!(driver.table.history_mut().read(idle), Ok(None));
}

#[test]
fn whatever_happens_installed_routes_work_and_no_reachable_intent_is_without() {
    for seed in 0..20 {
        let topology = ring(10);
        let mut driver = Driver::new(topology.clone(), Policy::default());
        let mut random = Streams::new(seed, 0).stream("table", "events");
        let regions: Vec<_> = topology.regions().collect();
        for (id, &from) in (0..).zip(&regions) {
            let to = regions[(from.index() + 4) % regions.len()];
            let objective = if id % 2 == 0 {
                Objective::Latency
            } else {
                Objective::Widest
            };
            driver.tell(
                at_ms(0),
                Command::Intend(IntentId(id), Intent { from, to, objective }),
            );
        }
        let mut now = 0;
        for _ in 0..200 {
            now += random.below(20_000);
            let link = longhaul_routing::LinkId(random.below(topology.link_count() as u64) as u32);
            let region = regions[random.below(10) as usize];
            let changed = LinkState {
                latency: Span::from_ms(1 + random.below(100)),
                utilisation: Probability::from_ratio(random.below(100), 100).expect("a percentage"),
                ..*topology.state(link)
            };
            let command = match random.below(12) {
                0..4 => Command::LinkFailed(link),
                4..8 => Command::LinkRecovered(link),
                8..10 => Command::LinkChanged(link, changed),
                10 => Command::RegionFailed(region),
                _ => Command::RegionRecovered(region),
            };
            driver.tell(at_ms(now), command);
            let mut fresh = Router::new(driver.table.topology().clone());
            for (id, intent) in driver.table.intents() {
                let possible = fresh.compute(intent.from, intent.to, &intent.objective).is_ok();
                let installed = driver.table.installed(id);
                assert_eq!(installed.is_some(), possible, "seed {seed}, {now} ms");
                assert!(installed.is_none_or(|route| route.usable(driver.table.topology())));
                assert!(
                    driver
                        .table
                        .draining(id)
                        .all(|route| route.usable(driver.table.topology()))
                );
            }
        }
        // Left alone, everything that works comes up again and routes become the best within the margin.
        let links: Vec<_> = topology.links().collect();
        for region in &regions {
            driver.tell(at_ms(now), Command::RegionRecovered(*region));
        }
        for link in links {
            driver.tell(at_ms(now), Command::LinkRecovered(link));
        }
        driver.until(at_ms(now + 600_000));
        let topology = driver.table.topology().clone();
        let mut fresh = Router::new(topology.clone());
        for (id, intent) in driver.table.intents() {
            let best = fresh
                .compute(intent.from, intent.to, &intent.objective)
                .expect("a route");
            let installed = driver.table.installed(id).expect("a route");
            let value = |route: &longhaul_routing::Route| route.value(&topology, &intent.objective);
            assert!(!value(&best).improves(value(installed), Policy::default().margin));
        }
        // Voluntary moves of one intent are a minute apart from any other change of it.
        for (place, change) in driver.changes.iter().enumerate() {
            if change.step != Step::Reroute {
                continue;
            }
            let earlier = driver.changes[..place].iter().rev();
            let moved = |step| matches!(step, Step::Install | Step::Failover | Step::Reroute);
            let mut same = earlier.filter(|other| other.intent == change.intent && moved(other.step));
            let before = same.next().expect("an installation");
            assert!(change.at - before.at >= Span::from_s(60), "seed {seed}");
        }
    }
}
