//! What callers do about replicas, connections and names.

use longhaul_core::machine::PeerId;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_resilience::LayerConfig;
use longhaul_resilience::hedge::{HedgeConfig, HedgeDelay};
use longhaul_resilience::retry::RetryConfig;
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_service::{
    Arrivals, CallerEvent, Choice, ClientCommand, ClientEvent, ClientOptions, EjectionOptions, Load,
    NameFault, NameOptions, OptionsError, Pattern, Rate, ServerCommand, ServerOptions, TimeLaw,
};

use crate::network::{Network, at_ms, at_s, client_options};

/// A client of three replicas with a request every 10 ms, and servers of 5 ms.
fn three(change: impl FnOnce(&mut ClientOptions)) -> Network {
    let mut network = Network::new(Span::from_ms(1));
    let load = Load::Open(Arrivals {
        pattern: Pattern::Regular,
        rate: Rate::Steady {
            interval: Span::from_ms(10),
        },
    });
    let mut options = client_options(load, &[1, 2, 3]);
    change(&mut options);
    network.add_client(options);
    for _ in 0..3 {
        let law = TimeLaw::Constant(Span::from_ms(5));
        let mut options = ServerOptions::new(2, law);
        options.concurrency = 100;
        network.add_server(options);
    }
    network.start();
    network
}

fn begun(network: &Network) -> [u64; 3] {
    [1, 2, 3].map(|server| network.server(server).statistics().begun)
}

fn crash(restart_after: u64) -> ServerCommand {
    ServerCommand::Crash {
        restart_after: Some(Span::from_s(restart_after)),
    }
}

fn timeout(ms: u64) -> LayerConfig {
    LayerConfig::Timeout(TimeoutConfig::Fixed(Span::from_ms(ms)))
}

#[test]
fn the_choice_decides_who_works() {
    let run = |choice| {
        let mut network = three(|options| options.service.choice = choice);
        network.run_until(at_ms(9_005));
        begun(&network)
    };
    assert_eq!(run(Choice::PrimaryFirst), [900, 0, 0]);
    assert_eq!(run(Choice::Nearest), [900, 0, 0]);
    assert_eq!(run(Choice::RoundRobin), [300; 3]);
    assert_eq!(run(Choice::LeastOutstanding), [900, 0, 0]);
}

#[test]
fn the_next_replica_takes_over_while_there_is_no_connection_to_the_primary() {
    let mut network = three(|options| {
        options.service.stack.layers = vec![LayerConfig::Retry(RetryConfig::exponential(
            2,
            Span::from_ms(1),
            Span::from_ms(10),
        ))];
    });
    network.at_server(at_s(3), 1, crash(3));
    network.run_until(at_s(12));
    let [first, second, third] = begun(&network);
    assert!(second > 250 && third < 10, "{first} {second} {third}");
    // It is the primary again once a connection comes about.
    assert!(first > 500, "{first}");
    let client = network.client(0).statistics();
    assert_eq!(client.failures.total(), 0);
    assert!(client.caller.retries >= 1);
}

#[test]
fn a_replica_that_fails_too_often_is_left_out_for_a_while() {
    let mut network = three(|options| {
        options.service.ejection = Some(EjectionOptions {
            failures: 5,
            time: Span::from_s(2),
            time_max: Span::from_s(60),
            share_max: Probability::from_ratio(1, 2).expect("a share"),
        });
    });
    network.at_server(at_s(2), 1, ServerCommand::ErrorRate(Probability::ONE));
    network.run_until(at_s(12));
    let client = network.client(0).statistics();
    // Left out for 2, 4 and 6 s.
    assert_eq!((client.failures.error, client.caller.ejections), (15, 3));
    let restored = CallerEvent::Restored { peer: PeerId(1) };
    let events = network.client_events.iter();
    assert_eq!(
        events
            .filter(|(_, _, event)| *event == ClientEvent::Service(restored.clone()))
            .count(),
        2
    );
}

#[test]
fn a_silent_connection_is_given_up_and_opening_one_has_an_end() {
    let mut network = three(|options| {
        options.service.connection.silence = Some(Span::from_s(1));
        options.service.connection.connect_timeout = Span::from_s(1);
        options.service.stack.layers = vec![
            LayerConfig::Retry(RetryConfig::exponential(2, Span::from_ms(1), Span::from_ms(10))),
            timeout(500),
        ];
    });
    network.run_until(at_s(3));
    network.cut(1, true);
    network.run_until(at_s(8));
    network.cut(1, false);
    network.run_until(at_s(20));
    let whys: Vec<String> = network
        .client_events
        .iter()
        .filter_map(|(_, _, event)| match event {
            ClientEvent::Service(CallerEvent::Disconnected { why, .. }) => Some(format!("{why:?}")),
            _ => None,
        })
        .collect();
    assert_eq!(whys[..2], ["Silence", "ConnectTimeout"], "{whys:?}");
    let [first, second, _] = begun(&network);
    assert!(second > 300 && first > 900, "{first} {second}");
}

#[test]
fn hedges_to_another_replica_hide_one_that_is_slow() {
    let run = |hedge: bool| {
        let mut network = three(|options| {
            options.service.spread = true;
            options.keep_records = true;
            if hedge {
                options.service.stack.layers = vec![LayerConfig::Hedge(HedgeConfig {
                    delay: HedgeDelay::Fixed(Span::from_ms(20)),
                    hedges: 1,
                    non_idempotent: false,
                    budget: None,
                })];
            }
        });
        let slow = TimeLaw::Constant(Span::from_ms(200));
        network.at_server(at_s(1), 1, ServerCommand::Delay(Some(slow)));
        network.run_until(at_s(5));
        let records = network.client_mut(0).take_records();
        let late = records.iter().filter(|record| record.started > at_s(2));
        let slowest = late.map(longhaul_service::RequestRecord::latency).max();
        (
            slowest.expect("records"),
            network.client(0).statistics().caller.hedges,
        )
    };
    let (slow, _) = run(false);
    let (hedged, hedges) = run(true);
    assert!(slow > Span::from_ms(200), "{slow}");
    assert!(hedged < Span::from_ms(60) && hedges > 300, "{hedged}, {hedges}");
}

#[test]
fn a_black_hole_of_names_is_felt_when_the_answer_is_out_of_date() {
    let run = |serve_stale| {
        let mut network = three(|options| {
            options.service.names = Some(NameOptions {
                ttl: Span::from_s(5),
                serve_stale,
                ..NameOptions::default()
            });
            options.service.stack.layers = vec![timeout(1_000)];
        });
        network.at_client(at_s(2), 0, ClientCommand::Names(NameFault::BlackHole));
        network.at_client(at_s(10), 0, ClientCommand::Names(NameFault::None));
        network.run_until(at_s(20));
        (
            network.client(0).statistics().failures,
            network.client(0).series().clone(),
        )
    };
    let (failures, series) = run(false);
    // Good until 5 s; a lookup then takes 5 s to fail, which is believed for 1 s.
    let good: Vec<bool> = series
        .intervals
        .iter()
        .map(|interval| interval.succeeded >= 99)
        .collect();
    assert!(
        good[1..5].iter().all(|good| *good) && good[12..20].iter().all(|good| *good),
        "{good:?}"
    );
    assert!(!good[6..10].iter().any(|good| *good), "{good:?}");
    assert!(
        failures.timed_out > 300 && failures.unreachable > 50,
        "{failures:?}"
    );
    let (failures, _) = run(true);
    assert_eq!(failures.total(), 0);
}

#[test]
fn a_load_may_change_stop_and_end() {
    let mut network = three(|options| options.limit = Some(700));
    let arrivals = Arrivals {
        pattern: Pattern::Regular,
        rate: Rate::Steady {
            interval: Span::from_ms(2),
        },
    };
    network.at_client(at_s(2), 0, ClientCommand::Stop);
    network.at_client(at_s(4), 0, ClientCommand::Load(Load::Open(arrivals.clone())));
    let none = Rate::Steady { interval: Span::ZERO };
    let bad = Arrivals {
        rate: none,
        ..arrivals
    };
    assert!(matches!(
        ClientOptions {
            load: Load::Open(bad.clone()),
            ..client_options(Load::Open(bad.clone()), &[1])
        }
        .check(),
        Err(OptionsError::Arrivals(_))
    ));
    network.at_client(at_ms(4_500), 0, ClientCommand::Load(Load::Open(bad)));
    network.run_until(at_s(9));
    let started: Vec<u64> = network
        .client(0)
        .series()
        .intervals
        .iter()
        .map(|i| i.started)
        .collect();
    // What is due at the time of an order comes before it.
    assert_eq!(started, [99, 100, 1, 0, 499, 1]);
    assert_eq!(network.client(0).statistics().succeeded, 700);
    assert!(
        network
            .client_events
            .iter()
            .any(|(_, _, e)| matches!(e, ClientEvent::BadLoad(_)))
    );
}
