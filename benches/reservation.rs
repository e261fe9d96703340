//! What a reservation costs on a network of 100 links that holds 100,000 of them: reserving and releasing on paths of
//! one to five links, asking what is left, admission by path search, and preemption. Times are processor time where the kernel tells it, medians of
//! seven runs.

#![allow(missing_docs, reason = "a program, not a library")]

mod support;

use std::hint::black_box;

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_reservation::{Calendar, Demand, Priority, ReservationId};
use longhaul_routing::{Builder, LinkId, LinkState, RegionId, Topology};
use support::{Stopwatch, median};

const RUNS: usize = 7;
const HELD: usize = 100_000;
const DAY_S: u64 = 86_400;

/// Fifty regions in a ring, links of 100 Gbit/s in both directions.
fn ring() -> Topology {
    let mut builder = Builder::new();
    for region in 0..50 {
        builder.region(&format!("r{region:02}")).expect("a new region");
    }
    for region in 0..50 {
        let (from, to) = (format!("r{region:02}"), format!("r{:02}", (region + 1) % 50));
        let state = LinkState::idle(Span::from_ms(5), BitRate::from_bits_per_s(100_000_000_000));
        builder.link(&from, &to, "", state, &[]).expect("a new link");
        builder.link(&to, &from, "", state, &[]).expect("a new link");
    }
    builder.build()
}

/// A demand within the next 30 days of at most a day, and one to five links of the ring.
fn draw(random: &mut Stream, topology: &Topology) -> (Demand, Vec<LinkId>) {
    let start = Instant::ZERO + Span::from_s(random.below(30 * DAY_S));
    let demand = Demand {
        flow: String::new(),
        rate: BitRate::from_bits_per_s(1_000_000 * (1 + random.below(1_000))),
        when: start..start + Span::from_s(1 + random.below(DAY_S)),
        priority: Priority(random.below(8) as u8),
    };
    let forward = random.below(2) == 0;
    let mut here = random.below(50) as u32;
    let mut links = Vec::new();
    for _ in 0..=random.below(5) {
        let next = (here + if forward { 1 } else { 49 }) % 50;
        let leaving = topology.leaving(RegionId(here));
        let (_, link) = leaving
            .iter()
            .find(|(far, _)| *far == RegionId(next))
            .expect("a ring");
        links.push(*link);
        here = next;
    }
    (demand, links)
}

/// Nanoseconds per call of `work` on prepared demands, in the median.
fn per_call(demands: &[(Demand, Vec<LinkId>)], mut work: impl FnMut(&Demand, &[LinkId])) -> f64 {
    let run = |work: &mut dyn FnMut(&Demand, &[LinkId])| {
        let watch = Stopwatch::start();
        for (demand, links) in demands {
            work(demand, links);
        }
        watch.elapsed_ns() / demands.len() as f64
    };
    median((0..RUNS).map(|_| run(&mut work)).collect())
}

fn main() {
    let topology = ring();
    let mut random = Streams::new(1, 0).stream("bench", "reservations");
    let mut calendar = Calendar::new(&topology, Probability::ZERO);
    let watch = Stopwatch::start();
    let mut refused = 0;
    while calendar.len() < HELD {
        let (demand, links) = draw(&mut random, &topology);
        refused += usize::from(calendar.reserve(Instant::ZERO, demand, &links).is_err());
    }
    let per_link = topology.links().map(|link| calendar.count(link)).sum::<usize>() / topology.link_count();
    println!(
        "{HELD} reservations on {} links ({per_link} on each), {refused} refused: filled in {:.2} s",
        topology.link_count(),
        watch.elapsed_ns() / 1e9
    );
    let demands: Vec<_> = (0..10_000).map(|_| draw(&mut random, &topology)).collect();
    let mut made: Vec<Option<ReservationId>> = vec![None; demands.len()];
    let mut reserve = Vec::new();
    let mut release = Vec::new();
    for _ in 0..RUNS {
        let watch = Stopwatch::start();
        for (slot, (demand, links)) in made.iter_mut().zip(&demands) {
            *slot = calendar.reserve(Instant::ZERO, demand.clone(), links).ok();
        }
        reserve.push(watch.elapsed_ns() / demands.len() as f64);
        let granted = made.iter().flatten().count();
        let watch = Stopwatch::start();
        for id in made.iter_mut().filter_map(Option::take) {
            calendar.release(Instant::ZERO, id).expect("a reservation");
        }
        release.push(watch.elapsed_ns() / granted as f64);
        assert_eq!(calendar.len(), HELD);
    }
    let ask = per_call(&demands, |demand, links| {
        black_box(calendar.available(links[0], &demand.when));
    });
    let month = Instant::ZERO..Instant::ZERO + Span::from_s(31 * DAY_S);
    let ask_month = per_call(&demands, |_, links| {
        black_box(calendar.available(links[0], &month));
    });
    println!("{:>9.0} ns to reserve, three links in the mean", median(reserve));
    println!("{:>9.0} ns to release", median(release));
    println!(
        "{ask:>9.0} ns to ask what a link has left during an interval, {ask_month:.0} ns for all 31 days"
    );
    let some: Vec<_> = demands.iter().take(1_000).cloned().collect();
    let admit = per_call(&some, |demand, links| {
        let (from, to) = (
            topology.link(links[0]).from,
            topology.link(links[links.len() - 1]).to,
        );
        let admitted = calendar.admit(Instant::ZERO, &topology, from, to, demand.clone());
        if let Ok(admission) = admitted {
            calendar
                .release(Instant::ZERO, admission.id)
                .expect("a reservation");
        }
    });
    println!(
        "{:>9.1} us to find the best path that has the rate, reserve and release",
        admit / 1e3
    );
    // A hundred times the usual rate, so that many must displace others.
    let urgent: Vec<_> = demands.into_iter().take(500).collect();
    let mut victims = 0;
    let preempt = per_call(&urgent, |demand, links| {
        let rate = BitRate::from_bits_per_s(demand.rate.as_bits_per_s() * 100);
        let demand = Demand {
            rate,
            priority: Priority(8),
            ..demand.clone()
        };
        if let Ok(done) = calendar.reserve_preempting(Instant::ZERO, demand, links) {
            victims += done.victims.len();
            // Puts things back, so that every call finds the same.
            calendar.release(Instant::ZERO, done.id).expect("a reservation");
            for victim in done.victims {
                calendar
                    .reserve(Instant::ZERO, victim.demand, &victim.links)
                    .expect("what was held before");
            }
        }
    });
    println!(
        "{:>9.1} us to preempt and put back, {:.1} victims in the mean",
        preempt / 1e3,
        victims as f64 / (RUNS * urgent.len()) as f64
    );
}
