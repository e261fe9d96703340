//! What is drawn from a plan.

use longhaul_chaos::predefined::experiments;
use longhaul_chaos::{Action, Direction, Error, Kind, Law, Plan, Recovery, Spec, Timing};
use longhaul_core::random::Streams;
use longhaul_core::time::Span;

use crate::histories::{ms, percent};

const CUT: Kind = Kind::Partition(Direction::Both);

fn spec(name: &str, timing: Timing) -> Spec<String> {
    Spec {
        name: name.to_owned(),
        target: "a->b".to_owned(),
        kind: CUT,
        timing,
        recovery: Recovery::Automatic,
        recover_at: Vec::new(),
    }
}

fn plan(faults: Vec<Spec<String>>) -> Plan<String> {
    Plan {
        enabled: true,
        faults,
    }
}

fn exponential(mean: Span) -> Law {
    Law::Exponential { mean }
}

/// Beginning and duration of everything that is drawn within a day, in seconds.
fn strikes(timing: Timing) -> Vec<(f64, f64)> {
    let drawn = plan(vec![spec("f", timing)])
        .draw(&Streams::new(7, 0), Span::from_s(86_400))
        .expect("valid");
    let entries = drawn.schedule.entries().iter();
    entries
        .map(|entry| match entry.action {
            Action::Inject { duration, .. } => (entry.at.as_s_f64(), duration.expect("it ends").as_s_f64()),
            Action::Recover => panic!("nothing is recovered by hand"),
        })
        .collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn nothing_is_drawn_unless_it_is_enabled() {
    let mut plan = Plan {
        faults: experiments(str::to_owned),
        ..Plan::default()
    };
    let draw = |plan: &Plan<String>| plan.draw(&Streams::new(1, 0), Span::from_s(600)).expect("valid");
    assert!(draw(&plan).schedule.is_empty());
    plan.enabled = true;
    let drawn = draw(&plan);
    // Each of the five strikes within ten minutes, and while it lasts it is struck again in vain.
    let mut names: Vec<&str> = drawn
        .schedule
        .entries()
        .iter()
        .map(|entry| entry.fault.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 5);
    assert!(drawn.ignored > 100, "{}", drawn.ignored);
}

#[test]
fn another_fault_moves_nothing() {
    let poisson = |name| {
        spec(
            name,
            Timing::Poisson {
                mean_between: Span::from_s(60),
                duration: exponential(Span::from_s(5)),
            },
        )
    };
    let streams = Streams::new(3, 0);
    let horizon = Span::from_s(3600);
    let one = plan(vec![poisson("one")]).draw(&streams, horizon).expect("valid");
    let both = plan(vec![poisson("other"), poisson("one")])
        .draw(&streams, horizon)
        .expect("valid");
    let of_one = both
        .schedule
        .entries()
        .iter()
        .filter(|entry| entry.fault == "one");
    assert!(of_one.eq(one.schedule.entries()));
    assert!(both.schedule.len() > one.schedule.len() && one.schedule.len() > 30);
    // A longer run begins in the same way.
    let longer = plan(vec![poisson("one")])
        .draw(&streams, Span::from_s(7200))
        .expect("valid");
    assert!(longer.schedule.entries().starts_with(one.schedule.entries()));
}

#[test]
fn failures_and_repairs_have_their_means() {
    let laws = [
        exponential(Span::from_s(30)),
        Law::Weibull {
            mean: Span::from_s(30),
            shape: 1500,
        },
        Law::LogNormal {
            mean: Span::from_s(30),
            sigma: 800,
        },
        Law::Constant(Span::from_s(30)),
    ];
    for between in laws {
        let repair = Law::LogNormal {
            mean: Span::from_s(6),
            sigma: 500,
        };
        let found = strikes(Timing::Alternating { between, repair });
        // Of 2,400 cycles the mean is within four standard errors: the widest law has a deviation of 1.0 of its mean.
        let gaps = found.windows(2).map(|pair| pair[1].0 - pair[0].0 - pair[0].1);
        let (gap, down) = (mean(gaps), mean(found.iter().map(|strike| strike.1)));
        assert!((gap - 30.0).abs() < 30.0 * 0.085, "{between:?}: {gap}");
        assert!((down - 6.0).abs() < 6.0 * 0.05, "{between:?}: {down}");
        // Never before the repair of the one before.
        assert!(found.windows(2).all(|pair| pair[1].0 >= pair[0].0 + pair[0].1));
    }
}

#[test]
fn arrivals_are_poisson_and_bursts_are_not() {
    let short = Law::Constant(ms(1));
    let dispersion = |timing| {
        let found = strikes(timing);
        let mut counts = vec![0.0; 1440];
        for (at, _) in &found {
            counts[(at / 60.0) as usize] += 1.0;
        }
        let average = mean(counts.iter().copied());
        let variance = mean(counts.iter().map(|count| (count - average) * (count - average)));
        (average, variance / average)
    };
    let (average, ratio) = dispersion(Timing::Poisson {
        mean_between: Span::from_s(12),
        duration: short,
    });
    // Variance over mean of a Poisson count is 1, with deviation sqrt(2 / 1440) = 0.037.
    assert!(
        (average - 5.0).abs() < 0.24 && (ratio - 1.0).abs() < 0.15,
        "{average} {ratio}"
    );
    let (average, ratio) = dispersion(Timing::Bursts {
        mean_between: Span::from_s(60),
        more: percent(80),
        gap: exponential(Span::from_s(1)),
        duration: short,
    });
    // Five in each cluster.
    assert!((average - 5.0).abs() < 0.8 && ratio > 4.0, "{average} {ratio}");
}

#[test]
fn coins_are_tossed_at_the_end_of_each_interval() {
    let coin = |percentage| Timing::Probabilistic {
        every: Span::from_s(10),
        probability: percent(percentage),
        duration: Some(Law::Constant(Span::from_s(1))),
    };
    let found = strikes(coin(25));
    assert!(found.iter().all(|(at, _)| *at >= 10.0 && at % 10.0 == 0.0));
    assert!(
        (found.len() as f64 - 2160.0).abs() < 4.0 * 40.3,
        "{}",
        found.len()
    );
    assert_eq!(strikes(coin(100)).len(), 8639);
}

#[test]
fn what_strikes_while_it_is_felt_is_ignored() {
    let timing = Timing::Probabilistic {
        every: Span::from_s(1),
        probability: percent(100),
        duration: Some(Law::Constant(ms(2500))),
    };
    let drawn = plan(vec![spec("f", timing)])
        .draw(&Streams::new(1, 0), Span::from_s(10))
        .expect("valid");
    let times: Vec<u64> = drawn
        .schedule
        .entries()
        .iter()
        .map(|entry| entry.at.as_ns() / 1_000_000_000)
        .collect();
    assert_eq!((times, drawn.ignored), (vec![1, 4, 7], 6));
}

#[test]
fn recovery_by_hand_ends_what_was_drawn() {
    let timing = |percentage| Timing::Probabilistic {
        every: Span::from_s(1),
        probability: percent(percentage),
        duration: None,
    };
    let manual = |timing| Spec {
        recovery: Recovery::Manual,
        recover_at: vec![ms(500), ms(4500), ms(4700)],
        ..spec("f", timing)
    };
    let draw = |spec| plan(vec![spec]).draw(&Streams::new(1, 0), Span::from_s(7));
    let drawn = draw(manual(timing(100))).expect("valid");
    let entries = drawn.schedule.entries().iter();
    let times: Vec<(u64, bool)> = entries
        .map(|entry| (entry.at.as_ns() / 1_000_000, entry.action == Action::Recover))
        .collect();
    assert_eq!(times, [(1000, false), (4500, true), (5000, false)]);
    assert_eq!((drawn.ignored, drawn.idle_recoveries), (4, 2));
    // Of what is scripted nobody can say that it was not drawn.
    let scripted = Timing::Scripted {
        at: Span::from_s(1),
        duration: None,
    };
    assert_eq!(
        draw(manual(scripted)),
        Err(Error::NothingToRecover {
            fault: "f".to_owned(),
            at: ms(500)
        })
    );
}

#[test]
fn what_cannot_be_drawn_from_is_refused() {
    let refused = |spec: Spec<String>| spec.check().expect_err("refused");
    let range = |what| Error::Range {
        fault: "f".to_owned(),
        what,
    };
    let second = Law::Constant(Span::from_s(1));
    let poisson = |mean_between, duration| {
        spec(
            "f",
            Timing::Poisson {
                mean_between,
                duration,
            },
        )
    };
    assert_eq!(refused(poisson(Span::ZERO, second)), range("mean"));
    let law = Law::Weibull {
        mean: Span::from_s(1),
        shape: 0,
    };
    assert_eq!(refused(poisson(Span::from_s(1), law)), range("shape"));
    let law = Law::LogNormal {
        mean: Span::from_s(1),
        sigma: 90_000,
    };
    assert_eq!(refused(poisson(Span::from_s(1), law)), range("sigma"));
    let coin = |every, percentage| {
        let timing = Timing::Probabilistic {
            every,
            probability: percent(percentage),
            duration: Some(second),
        };
        spec("f", timing)
    };
    assert_eq!(refused(coin(Span::ZERO, 1)), range("interval"));
    assert_eq!(refused(coin(Span::from_s(1), 0)), range("probability"));
    let manual = Spec {
        recovery: Recovery::Manual,
        ..poisson(Span::from_s(1), second)
    };
    assert_eq!(refused(manual), Error::ManualEnds("f".to_owned()));
    let by_hand = Spec {
        recover_at: vec![ms(1)],
        ..poisson(Span::from_s(1), second)
    };
    assert_eq!(refused(by_hand), Error::NotManual("f".to_owned()));
    let twice = plan(vec![coin(Span::from_s(1), 1), coin(Span::from_s(1), 1)]);
    assert_eq!(twice.check(), Err(Error::SameName("f".to_owned())));
    let often = plan(vec![poisson(Span::from_ns(1), Law::Constant(Span::from_ns(1)))]);
    assert!(matches!(
        often.draw(&Streams::new(1, 0), Span::from_s(60)),
        Err(Error::TooMany { .. })
    ));
    let often = plan(vec![coin(Span::from_ns(1), 1)]);
    assert!(matches!(
        often.draw(&Streams::new(1, 0), Span::from_s(60)),
        Err(Error::TooMany { .. })
    ));
}
