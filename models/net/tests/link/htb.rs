//! HTB: classes get their rates, borrow up to their ceilings, and share what is left by priority and quantum.

use std::sync::Arc;

use crate::support::{Drive, FULL, PLAIN, Probe, mbit};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::ByteSize;
use longhaul_net::link::{Link, LinkError, LinkSpec, Queue, QueueLimit};
use longhaul_net::queue::{Htb, HtbClass, QueueError};

const SECONDS: u64 = 4;

fn htb(rate: u64, classes: &[HtbClass]) -> Htb {
    Htb {
        rate: mbit(rate),
        burst: ByteSize::from_bytes(1_600),
        classes: classes.to_vec(),
        default_class: classes[0].class,
    }
}

fn spec(htb: Htb) -> LinkSpec {
    LinkSpec {
        queue: Queue::Htb(Arc::new(htb)),
        rate: mbit(1_000),
        delay: Span::ZERO,
        ..PLAIN
    }
}

fn class(number: u8, rate: u64, ceil: u64) -> HtbClass {
    HtbClass::new(number, mbit(rate), mbit(ceil))
}

/// What each class gets, in Mbit/s, when it offers so much: (class, Mbit/s).
fn shares(htb: Htb, offered: &[(u8, u64)]) -> Vec<f64> {
    let mut drive = Drive::new(&spec(htb));
    let mut offers: Vec<(u64, u8)> = vec![];
    for &(class, rate) in offered {
        let distance = mbit(rate).time_for(FULL.into()).as_ns();
        offers.extend((0..SECONDS * 1_000_000_000 / distance).map(|i| (i * distance, class)));
    }
    offers.sort_unstable();
    for (ns, class) in offers {
        let _ = drive.offer(
            Instant::from_ns(ns),
            Probe {
                class,
                ..Probe::default()
            },
            FULL,
        );
    }
    drive.link.check();
    let share = |&(class, _): &(u8, u64)| {
        let frames = drive
            .out
            .iter()
            .filter(|(_, packet)| packet.class == class)
            .count();
        frames as f64 * f64::from(FULL) * 8.0 / 1e6 / SECONDS as f64
    };
    offered.iter().map(share).collect()
}

fn close(measured: &[f64], expected: &[f64]) {
    for (m, e) in measured.iter().zip(expected) {
        assert!((m - e).abs() < 0.01 * e + 0.02, "{measured:?} for {expected:?}");
    }
}

#[test]
fn saturated_classes_get_their_rates() {
    let classes = [class(1, 30, 100), class(2, 70, 100)];
    close(&shares(htb(100, &classes), &[(1, 200), (2, 200)]), &[30.0, 70.0]);
}

#[test]
fn what_a_class_does_not_use_is_lent_up_to_the_ceiling() {
    let classes = [class(1, 30, 100), class(2, 70, 100)];
    close(&shares(htb(100, &classes), &[(1, 200), (2, 10)]), &[90.0, 10.0]);
    let capped = [class(1, 30, 50), class(2, 70, 100)];
    close(&shares(htb(100, &capped), &[(1, 200), (2, 10)]), &[50.0, 10.0]);
    close(&shares(htb(100, &capped), &[(1, 200)]), &[50.0]);
}

#[test]
fn the_smallest_priority_number_borrows_first() {
    let first = HtbClass {
        priority: 0,
        ..class(1, 20, 100)
    };
    let second = HtbClass {
        priority: 1,
        ..class(2, 20, 100)
    };
    close(
        &shares(htb(100, &[first, second]), &[(1, 200), (2, 200)]),
        &[80.0, 20.0],
    );
}

#[test]
fn equals_borrow_in_proportion_to_their_quanta() {
    let small = HtbClass {
        quantum: 2_000,
        ..class(1, 10, 100)
    };
    let large = HtbClass {
        quantum: 6_000,
        ..class(2, 10, 100)
    };
    // 80 Mbit/s to lend, a quarter and three quarters.
    close(
        &shares(htb(100, &[small, large]), &[(1, 200), (2, 200)]),
        &[30.0, 70.0],
    );
}

#[test]
fn guarantees_above_the_root_are_kept() {
    // As in Linux: a class within its rate does not ask its parent.
    let classes = [class(1, 60, 60), class(2, 60, 60)];
    close(&shares(htb(100, &classes), &[(1, 200), (2, 200)]), &[60.0, 60.0]);
}

#[test]
fn unknown_classes_go_to_the_default() {
    let classes = [class(1, 30, 30), class(2, 70, 70)];
    close(&shares(htb(100, &classes), &[(77, 200)]), &[30.0]);
}

#[test]
fn a_burst_passes_at_the_speed_of_the_link() {
    let bursty = HtbClass {
        burst: ByteSize::from_bytes(10 * u64::from(FULL)),
        cburst: ByteSize::from_bytes(10 * u64::from(FULL)),
        ..class(1, 1, 1)
    };
    let mut drive = Drive::new(&spec(htb(100, &[bursty])));
    for id in 0..20 {
        let _ = drive.offer(
            Instant::ZERO,
            Probe {
                id,
                ..Probe::default()
            },
            FULL,
        );
    }
    drive.run(Instant::MAX);
    let wire = mbit(1_000).time_for(FULL.into());
    // Ten frames empty the bucket and an eleventh may overdraw it; the others wait for tokens.
    assert_eq!(drive.out[10].0, Instant::ZERO + wire * 11);
    let pace = mbit(1).time_for(FULL.into());
    for pair in drive.out[11..].windows(2) {
        assert!((pair[1].0 - pair[0].0).as_ns().abs_diff(pace.as_ns()) <= 1);
    }
    // One event per frame in the end, and few on the way.
    assert!(drive.executed < 80, "{}", drive.executed);
}

#[test]
fn impossible_classes_are_refused() {
    let refused = |htb: Htb| {
        let link = Link::<Probe>::new(&spec(htb), "a->b", &Streams::new(1, 0));
        match link.unwrap_err() {
            LinkError::Queue(error) => error,
            other => panic!("{other}"),
        }
    };
    let good = class(1, 10, 20);
    assert_eq!(refused(htb(100, &[good, good])), QueueError::Classes);
    let mut none = htb(100, &[good]);
    none.classes.clear();
    assert_eq!(refused(none), QueueError::Classes);
    assert_eq!(refused(htb(100, &[class(1, 0, 20)])), QueueError::NoRate(1));
    assert_eq!(
        refused(htb(100, &[class(1, 20, 10)])),
        QueueError::CeilBelowRate(1)
    );
    let limit = QueueLimit::Inside(3);
    assert_eq!(
        refused(htb(100, &[HtbClass { limit, ..good }])),
        QueueError::LimitInside(1)
    );
    assert_eq!(
        refused(htb(100, &[HtbClass { quantum: 0, ..good }])),
        QueueError::NoQuantum(1)
    );
    let empty = ByteSize::default();
    assert_eq!(
        refused(htb(100, &[HtbClass { burst: empty, ..good }])),
        QueueError::NoBurst(1)
    );
    assert_eq!(refused(htb(0, &[good])), QueueError::EmptyRoot);
    let lost = Htb {
        default_class: 9,
        ..htb(100, &[good])
    };
    assert_eq!(refused(lost), QueueError::NoDefaultClass(9));
}
