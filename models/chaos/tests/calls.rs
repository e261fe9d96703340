//! Faults of single calls, and what ends an experiment.

use longhaul_chaos::injector::Counters;
use longhaul_chaos::{Bound, CallFault, Guard, Injected, Injector, Side};
use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{ByteSize, Probability};

use crate::histories::{ms, percent};

fn random() -> Stream {
    Streams::new(5, 0).stream("calls", "chaos")
}

#[test]
fn an_injector_that_is_off_does_nothing() {
    let mut random = random();
    let before = random.clone().u64();
    let mut injector = Injector::default();
    injector.probability = Probability::ONE;
    assert!(!injector.enabled);
    assert!((0..1000).all(|_| injector.check(&mut random).is_empty()));
    assert_eq!(injector.counters(), Counters::default());
    assert_eq!(random.u64(), before);
}

#[test]
fn a_certain_fault_strikes_at_every_check() {
    let mut random = random();
    let latency = CallFault::Latency {
        least: ms(50),
        most: ms(100),
    };
    let mut injector = Injector::new(Probability::ONE, vec![latency]);
    let mut delays = Vec::new();
    for _ in 0..1000 {
        let [Injected::Delay(delay)] = injector.check(&mut random)[..] else {
            panic!("a delay");
        };
        assert!((ms(50)..=ms(100)).contains(&delay));
        delays.push(delay);
    }
    assert!(delays.iter().any(|delay| *delay < ms(55)) && delays.iter().any(|delay| *delay > ms(95)));
    let counters = injector.counters();
    assert_eq!(
        (counters.checks, counters.injections, counters.spared),
        (1000, 1000, 0)
    );
    let error = CallFault::Error {
        rate: Probability::ONE,
    };
    let mut injector = Injector::new(Probability::ONE, vec![error]);
    assert!((0..100).all(|_| injector.check(&mut random) == [Injected::Error]));
    assert_eq!(injector.counters().injections, 100);
}

#[test]
fn what_does_not_fire_is_not_counted_as_an_injection() {
    let mut random = random();
    let mut injector = Injector::new(percent(50), vec![CallFault::Error { rate: percent(10) }]);
    let fired = (0..10_000)
        .filter(|_| !injector.check(&mut random).is_empty())
        .count() as u64;
    let counters = injector.counters();
    assert_eq!((counters.checks, counters.injections), (10_000, fired));
    // Five in a hundred, and 45 chosen in vain.
    assert!(
        fired.abs_diff(500) < 90 && counters.spared.abs_diff(4500) < 200,
        "{counters:?}"
    );
}

#[test]
fn faults_can_come_together_and_none_is_preferred() {
    let mut random = random();
    let all = CallFault::All(vec![
        CallFault::Leak(ByteSize::from_mib(1)),
        CallFault::Disk(ByteSize::from_mib(2)),
        CallFault::Cpu {
            duration: ms(3),
            threads: 4,
        },
        CallFault::Partition(ms(5)),
        CallFault::Panic {
            rate: Probability::ONE,
        },
    ]);
    let mut injector = Injector::new(Probability::ONE, vec![all, CallFault::Timeout(Span::from_s(5))]);
    let together = [
        Injected::Leak(ByteSize::from_mib(1)),
        Injected::Disk(ByteSize::from_mib(2)),
        Injected::Cpu {
            duration: ms(3),
            threads: 4,
        },
        Injected::Partition(ms(5)),
        Injected::Panic,
    ];
    let mut timeouts = 0;
    for _ in 0..1000 {
        let injected = injector.check(&mut random);
        if injected == [Injected::Timeout(Span::from_s(5))] {
            timeouts += 1;
        } else {
            assert_eq!(injected, together);
        }
    }
    assert!((400..600).contains(&timeouts));
}

#[test]
fn a_value_that_stays_beyond_its_bound_ends_the_experiment_once() {
    let bound = Bound {
        metric: "errors".to_owned(),
        side: Side::Above,
        limit: 0.05,
        span: Span::from_s(3),
    };
    let mut guard = Guard::new(vec![bound]);
    let mut observe = |s, metric, value| {
        guard
            .observe(Instant::ZERO + Span::from_s(s), metric, value)
            .cloned()
    };
    assert_eq!(observe(0, "errors", 0.05), None);
    assert_eq!(observe(1, "errors", 0.9), None);
    // Back within it: the time begins anew.
    assert_eq!(observe(3, "errors", 0.01), None);
    assert_eq!(observe(4, "errors", 0.9), None);
    assert_eq!(observe(5, "latency", 99.0), None);
    assert_eq!(observe(6, "errors", f64::NAN), None);
    let abort = observe(7, "errors", 0.06).expect("three seconds beyond it");
    assert_eq!(
        (abort.bound, abort.since, abort.at),
        (
            0,
            Instant::ZERO + Span::from_s(4),
            Instant::ZERO + Span::from_s(7)
        )
    );
    assert_eq!(observe(8, "errors", 0.9), None);
    assert!(guard.abort().is_some());
}

#[test]
fn a_guard_without_bounds_lets_everything_pass() {
    let mut guard = Guard::default();
    assert_eq!(guard.observe(Instant::ZERO, "errors", 1.0), None);
}
