//! Acceptance cases 12 to 14 on the example of three regions, and the rules around them.

use longhaul_core::time::Instant;
use longhaul_core::units::{BitRate, Probability};
use longhaul_reservation::{Calendar, ExtendError, Gone, Priority, ReservationId, ReserveError};
use longhaul_routing::{LinkId, Topology};

use crate::{at, demand, example, mbit};

fn link(topology: &Topology, from: &str, to: &str) -> LinkId {
    topology.find_link(from, to, "").expect("a link")
}

/// The example without headroom, its link from us-east to eu-west and the one from there to ap-south.
fn calendar() -> (Calendar, LinkId, LinkId) {
    let topology = example();
    let first = link(&topology, "us-east", "eu-west");
    let second = link(&topology, "eu-west", "ap-south");
    (Calendar::new(&topology, Probability::ZERO), first, second)
}

#[test]
fn a_reservation_is_counted_extended_and_released() {
    let (mut calendar, first, _) = calendar();
    let id = calendar
        .reserve(at(0), demand("backup", 100, 0, 600, 5), &[first])
        .unwrap();
    assert_eq!(calendar.get(at(0), id).unwrap().demand.rate, mbit(100));
    let totals = calendar.totals(at(0));
    assert_eq!(
        (totals.capacity, totals.reserved, totals.available),
        (mbit(2_700), mbit(100), mbit(2_600))
    );
    // 700 + 640 + 675, less what is reserved.
    assert_eq!((totals.reservable, totals.background), (mbit(1_915), mbit(685)));
    assert_eq!((totals.active, totals.scheduled), (1, 0));
    calendar.extend(at(10), id, at(900)).unwrap();
    assert_eq!(calendar.get(at(899), id).unwrap().demand.when.end, at(900));
    calendar.release(at(20), id).unwrap();
    assert_eq!(calendar.get(at(20), id), Err(Gone::NotFound(id)));
    assert_eq!(calendar.release(at(20), id), Err(Gone::NotFound(id)));
    assert_eq!(calendar.totals(at(20)).reserved, BitRate::from_bits_per_s(0));
    assert!(calendar.is_empty() && calendar.next_expiry().is_none());
}

#[test]
fn a_path_is_reserved_on_all_links_or_on_none() {
    let (mut calendar, first, second) = calendar();
    let path = [first, second];
    calendar
        .reserve(at(0), demand("a", 200, 0, 600, 5), &path)
        .unwrap();
    let totals = calendar.totals(at(0));
    assert_eq!((totals.reserved, totals.active), (mbit(400), 1));
    let refused = calendar.reserve(at(0), demand("b", 476, 0, 600, 5), &path);
    let Err(ReserveError::Shortage(shortage)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((shortage.link, shortage.available), (second, mbit(475)));
    assert_eq!(
        shortage.to_string(),
        "eu-west->ap-south has 475000000 bit/s left of 476000000 bit/s asked for"
    );
    assert_eq!(calendar.totals(at(0)), totals);
    calendar
        .reserve(at(0), demand("b", 475, 0, 600, 5), &path)
        .unwrap();
    let usage = calendar.usage(first, &(at(0)..at(1)));
    assert_eq!(usage.current(), 0.3);
    assert_eq!(usage.reserved_share(), 0.675);
    assert_eq!(usage.projected(), 0.975);
}

#[test]
fn preemption_frees_whole_paths_lowest_priority_first() {
    let (mut calendar, first, second) = calendar();
    let path = [first, second];
    let low = calendar
        .reserve(at(0), demand("low", 200, 0, 600, 1), &path)
        .unwrap();
    let high = calendar
        .reserve(at(0), demand("high", 475, 0, 600, 9), &path)
        .unwrap();
    let victims = calendar
        .preempt(at(5), &[first], mbit(100), &(at(5)..at(600)), Priority(5))
        .unwrap();
    assert_eq!(victims.iter().map(|victim| victim.id).collect::<Vec<_>>(), [low]);
    for link in path {
        assert_eq!(calendar.usage(link, &(at(5)..at(600))).reserved, mbit(475));
    }
    assert_eq!(
        calendar.get(at(5), low),
        Err(Gone::Preempted { id: low, at: at(5) })
    );
    assert!(calendar.get(at(5), high).is_ok());
    // Nobody of equal or higher priority gives way, and nothing has changed then.
    let refused = calendar.reserve_preempting(at(5), demand("more", 300, 5, 600, 9), &path);
    assert!(matches!(refused, Err(ReserveError::Shortage(shortage)) if shortage.available == mbit(200)));
    assert_eq!(calendar.len(), 1);
}

#[test]
fn of_equal_priority_the_newest_goes_and_no_more_than_must() {
    let (mut calendar, first, second) = calendar();
    let reserve = |calendar: &mut Calendar, flow: &str, rate, priority, links: &[LinkId]| {
        calendar
            .reserve(at(0), demand(flow, rate, 0, 600, priority), links)
            .unwrap()
    };
    let small = reserve(&mut calendar, "small", 50, 1, &[first]);
    let older = reserve(&mut calendar, "older", 300, 2, &[first]);
    let newer = reserve(&mut calendar, "newer", 300, 2, &[first]);
    let elsewhere = reserve(&mut calendar, "elsewhere", 600, 0, &[second]);
    // 50 are free and the lowest priority holds 50: that is too little for 350, so the newer 300 go, and then the small one
    // can stay.
    let admitted = calendar
        .reserve_preempting(at(0), demand("urgent", 350, 100, 200, 7), &[first])
        .unwrap();
    let victims: Vec<ReservationId> = admitted.victims.iter().map(|victim| victim.id).collect();
    assert_eq!(victims, [newer]);
    for stays in [small, older, elsewhere, admitted.id] {
        assert!(calendar.get(at(0), stays).is_ok());
    }
}

#[test]
fn who_is_there_at_another_time_does_not_give_way() {
    let (mut calendar, first, _) = calendar();
    let mut reserve = |flow: &str, from, until, priority| {
        calendar
            .reserve(at(0), demand(flow, 400, from, until, priority), &[first])
            .unwrap()
    };
    let early = reserve("early", 0, 100, 0);
    let middle = reserve("middle", 100, 200, 3);
    let held = reserve("late", 200, 300, 8);
    let admitted = calendar
        .reserve_preempting(at(0), demand("urgent", 500, 150, 200, 4), &[first])
        .unwrap();
    assert_eq!(admitted.victims.len(), 1);
    assert_eq!(admitted.victims[0].id, middle);
    assert!(calendar.get(at(0), early).is_ok() && calendar.get(at(0), held).is_ok());
}

#[test]
fn intervals_that_touch_do_not_overlap() {
    let (mut calendar, first, _) = calendar();
    let mut reserve = |from, until| calendar.reserve(at(0), demand("f", 700, from, until, 5), &[first]);
    let later = reserve(100, 200).unwrap();
    let sooner = reserve(0, 100).unwrap();
    assert!(matches!(reserve(199, 201), Err(ReserveError::Shortage(_))));
    reserve(200, 300).unwrap();
    assert_eq!(calendar.next_start(at(0)), Some(at(100)));
    assert_eq!(calendar.next_start(at(100)), Some(at(200)));
    assert_eq!(calendar.next_expiry(), Some(at(100)));
    assert_eq!(calendar.totals(at(50)).scheduled, 2);
    // The one to come blocks the extension of the one in force.
    let blocked = calendar.extend(at(0), sooner, at(101));
    assert!(matches!(blocked, Err(ExtendError::Shortage(shortage)) if shortage.available == mbit(0)));
    let expired = calendar.expire(at(100));
    assert_eq!(expired.iter().map(|gone| gone.id).collect::<Vec<_>>(), [sooner]);
    let at_100 = at(100);
    assert_eq!(
        calendar.extend(at(100), sooner, at(150)),
        Err(Gone::Expired {
            id: sooner,
            at: at_100
        }
        .into())
    );
    // Not taken out yet, but over all the same.
    assert_eq!(
        calendar.get(at(200), later),
        Err(Gone::Expired {
            id: later,
            at: at(200)
        })
    );
    assert!(matches!(
        calendar.release(at(200), later),
        Err(Gone::Expired { .. })
    ));
    assert_eq!(
        calendar.extend(at(150), later, at(200)),
        Err(ExtendError::NotLater {
            id: later,
            end: at(200)
        })
    );
}

#[test]
fn headroom_is_not_reserved_and_lost_capacity_is_shed() {
    let topology = example();
    let first = link(&topology, "us-east", "eu-west");
    let mut calendar = Calendar::new(&topology, Probability::from_ratio(20, 100).unwrap());
    let week = at(0)..at(1_000);
    assert_eq!(calendar.available(first, &week), mbit(500));
    let a = calendar
        .reserve(at(0), demand("a", 200, 0, 100, 2), &[first])
        .unwrap();
    let b = calendar
        .reserve(at(0), demand("b", 200, 50, 200, 1), &[first])
        .unwrap();
    let c = calendar
        .reserve(at(0), demand("c", 250, 300, 400, 0), &[first])
        .unwrap();
    assert!(calendar.shed(at(0), first).is_empty());
    // 0.8 × 700 − 300 = 260: a and b together are too much, c alone is not.
    calendar.set_link(first, mbit(700), mbit(300));
    assert_eq!(calendar.available(first, &week), mbit(0));
    let shed: Vec<_> = calendar
        .shed(at(0), first)
        .into_iter()
        .map(|gone| gone.id)
        .collect();
    assert_eq!(shed, [b]);
    assert!(calendar.get(at(0), a).is_ok() && calendar.get(at(0), c).is_ok());
    assert_eq!(calendar.on_link(first, &week).len(), 2);
    calendar.set_link(first, mbit(100), mbit(300));
    assert_eq!(calendar.shed(at(0), first).len(), 2);
    assert_eq!(calendar.count(first), 0);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let (mut calendar, first, second) = calendar();
    let mut told = |rate, from, until, links: &[LinkId]| {
        let refused = calendar.reserve(at(10), demand("f", rate, from, until, 0), links);
        refused.unwrap_err().to_string()
    };
    assert_eq!(told(0, 10, 20, &[first]), "\"f\" asks for 0 bit/s");
    assert_eq!(
        told(1, 20, 20, &[first]),
        "\"f\" asks for 20000000000 ns until 20000000000 ns"
    );
    assert_eq!(
        told(1, 9, 20, &[first]),
        "\"f\" asks for 9000000000 ns at 10000000000 ns"
    );
    assert_eq!(told(1, 10, 20, &[]), "the path of \"f\" has no links");
    assert_eq!(
        told(1, 10, 20, &[LinkId(3)]),
        "the path of \"f\" names link 3, of 3"
    );
    assert_eq!(
        told(1, 10, 20, &[second, first]),
        "the path of \"f\" has a gap before us-east->eu-west"
    );
    assert!(calendar.is_empty());
    let unknown = calendar.preempt(at(10), &[LinkId(3)], mbit(1), &(at(10)..at(20)), Priority(1));
    assert!(matches!(unknown, Err(ReserveError::UnknownLink { .. })));
    // The highest rate there is overflows nothing.
    let most = longhaul_reservation::Demand {
        rate: BitRate::from_bits_per_s(u64::MAX),
        when: at(10)..Instant::MAX,
        ..demand("f", 0, 0, 0, 255)
    };
    assert!(calendar.reserve_preempting(at(10), most, &[first]).is_err());
}
