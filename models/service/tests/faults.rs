//! Faults of servers, and what follows from them.

use longhaul_core::machine::PeerId;
use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use longhaul_resilience::retry::RetryConfig;
use longhaul_resilience::shedding::{LoadSource, SheddingConfig};
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_resilience::{LayerConfig, Priority, StackConfig};
use longhaul_service::{
    Arrivals, Behind, Death, Discipline, Gray, Load, MemoryOptions, NameFault, NameOptions, OptionsError,
    Pattern, QueueOptions, Rate, ServerCommand, ServerEvent, ServerOptions, ServiceOptions, Stage, TimeLaw,
};

use crate::network::{Network, at_ms, at_s, client_options, replica};

fn every(ms: u64) -> Load {
    Load::Open(Arrivals {
        pattern: Pattern::Regular,
        rate: Rate::Steady {
            interval: Span::from_ms(ms),
        },
    })
}

fn percent(percent: u64) -> Probability {
    Probability::from_ratio(percent, 100).expect("a share")
}

fn work(ms: u64) -> TimeLaw {
    TimeLaw::Constant(Span::from_ms(ms))
}

/// A request every 10 ms at a server of two cores whose work takes 5 ms.
fn pair(change: impl FnOnce(&mut ServerOptions), layers: Vec<LayerConfig>) -> Network {
    let mut network = Network::new(Span::from_ms(1));
    let mut options = client_options(every(10), &[1]);
    options.service.stack = StackConfig { layers };
    options.keep_records = true;
    network.add_client(options);
    let mut options = ServerOptions::new(2, work(5));
    change(&mut options);
    network.add_server(options);
    network.start();
    network
}

#[test]
fn a_crash_loses_connections_and_requests_and_the_service_comes_back() {
    let mut network = pair(|_| {}, vec![]);
    let restart_after = Some(Span::from_s(2));
    network.at_server(at_ms(5_004), 1, ServerCommand::Crash { restart_after });
    network.run_until(at_s(20));
    let (client, server) = (network.client(0).statistics(), network.server(1).statistics());
    assert!(server.is_conserved());
    assert_eq!((server.deaths, server.lost), (1, 1));
    assert!(matches!(
        network.server_events[0].2,
        ServerEvent::Died {
            why: Death::Crash,
            queued: 0,
            running: 1
        }
    ));
    // Down for 2 s, and until the caller's pause ends: openings are refused meanwhile.
    assert!(client.caller.lost_connections >= 2, "{client:?}");
    assert_eq!(client.failures.total(), client.failures.unreachable);
    assert!((200..600).contains(&client.failures.unreachable), "{client:?}");
    assert_eq!(network.client(0).series().intervals[18].succeeded, 100);
}

#[test]
fn a_server_that_hangs_keeps_its_connections_and_catches_up() {
    let mut network = pair(|_| {}, vec![]);
    network.at_server(at_s(5), 1, ServerCommand::Hang(true));
    network.run_until(at_s(7));
    let hung = network.client(0).statistics();
    assert_eq!((hung.failures.total(), hung.caller.lost_connections), (0, 0));
    assert!(hung.in_flight >= 199, "{hung:?}");
    network.at_server(at_s(7), 1, ServerCommand::Resume);
    network.run_until(at_s(10));
    let client = network.client(0).statistics();
    assert!(client.in_flight <= 1, "{client:?}");
    assert_eq!(client.failures.total(), 0);
    assert!(network.server(1).statistics().is_conserved());
}

#[test]
fn starvation_of_the_processor_slows_work_as_much() {
    let mut network = pair(|_| {}, vec![]);
    network.at_server(at_s(2), 1, ServerCommand::Cpu(percent(50)));
    network.run_until(at_s(4));
    let records = network.client_mut(0).take_records();
    let latency = |from, until| {
        let mut within = records
            .iter()
            .filter(|record| (at_ms(from)..at_ms(until)).contains(&record.started));
        within.next().expect("a record").latency()
    };
    assert_eq!(latency(1_000, 1_500), Span::from_ms(7));
    assert_eq!(latency(3_000, 3_500), Span::from_ms(12));
}

#[test]
fn errors_delays_and_gray_failures_are_seen_by_requests_and_only_the_first_two_by_health() {
    let fail = |command: ServerCommand| {
        let mut network = Network::new(Span::from_ms(1));
        let mut options = client_options(every(10), &[1]);
        let mut health = longhaul_resilience::health::HealthConfig::new(
            "replica",
            longhaul_resilience::health::Probe::Ping,
        );
        health.interval = Span::from_s(1);
        health.timeout = Span::from_ms(100);
        options.service.health = Some(health);
        options.service.stack.layers = vec![LayerConfig::Timeout(TimeoutConfig::Fixed(Span::from_ms(200)))];
        network.add_client(options);
        network.add_server(ServerOptions::new(2, work(5)));
        network.at_server(at_s(5), 1, command);
        network.start();
        network.run_until(at_s(30));
        let unhealthy = network.client_events.iter().any(|(_, _, event)| {
            let text = format!("{event:?}");
            text.contains("Health") && text.contains("false")
        });
        let failures = network.client(0).statistics().failures;
        assert!(network.server(1).statistics().is_conserved());
        (failures.error, failures.timed_out, unhealthy)
    };
    let (errors, timeouts, unhealthy) = fail(ServerCommand::ErrorRate(percent(90)));
    assert!(
        (2_000..2_500).contains(&errors) && timeouts == 0 && unhealthy,
        "{errors}"
    );
    let (errors, timeouts, unhealthy) = fail(ServerCommand::Delay(Some(work(1_000))));
    assert!(errors == 0 && timeouts > 2_400 && unhealthy, "{timeouts}");
    let gray = Gray {
        errors: percent(50),
        silent: percent(40),
        delay: None,
    };
    let (errors, timeouts, unhealthy) = fail(ServerCommand::Gray(Some(gray)));
    assert!((600..900).contains(&errors), "{errors}");
    assert!((900..1_100).contains(&timeouts), "{timeouts}");
    assert!(!unhealthy);
}

/// 100 MiB, of which the process needs 20; it is back a second after it was killed.
fn little_memory(options: &mut ServerOptions) {
    options.memory = MemoryOptions {
        limit: ByteSize::from_mib(100),
        base: ByteSize::from_mib(20),
        ..MemoryOptions::default()
    };
    options.restart = Span::from_s(1);
}

#[test]
fn memory_that_something_else_takes_slows_and_then_kills_until_it_is_given_back() {
    let mut network = pair(little_memory, vec![]);
    // 20 of 100 MiB and 75 more: two thirds of the way from 85 % to the limit, where a tenth of the speed is left.
    network.at_server(at_s(5), 1, ServerCommand::Memory(percent(75)));
    network.at_server(at_s(10), 1, ServerCommand::Memory(percent(81)));
    network.at_server(at_ms(14_500), 1, ServerCommand::Memory(Probability::ZERO));
    network.run_until(at_s(25));
    let mut deaths = Vec::new();
    for (at, _, event) in &network.server_events {
        if let ServerEvent::Died { why, .. } = event {
            deaths.push((at.as_ns() / 1_000_000, *why));
        }
    }
    // At once, and again each time that it has started; what it needs itself is too much.
    let expected = [10_000, 11_000, 12_000, 13_000, 14_000].map(|ms| (ms, Death::OutOfMemory));
    assert_eq!(deaths, expected);
    let records = network.client_mut(0).take_records();
    let median = |from, to| {
        let of = records
            .iter()
            .filter(|r| (at_s(from)..at_s(to)).contains(&r.started));
        let mut times: Vec<Span> = of.map(longhaul_service::RequestRecord::latency).collect();
        times.sort();
        times[times.len() / 2].as_ns() / 100_000
    };
    // 5 ms of work and 2 ms on the way; at two fifths of the speed, or a little less with the requests themselves, 12.5 ms.
    assert_eq!((median(1, 4), median(20, 24)), (70, 70));
    assert!((145..150).contains(&median(6, 9)), "{}", median(6, 9));
    assert!(network.server(1).statistics().is_conserved());
}

#[test]
fn a_leak_slows_and_then_kills_and_the_next_life_has_its_memory_back() {
    let mut network = pair(little_memory, vec![]);
    // 8 MiB per second: 80 MiB last 10 s.
    network.at_server(at_s(1), 1, ServerCommand::Leak(ByteSize::from_kib(80)));
    network.run_until(at_s(10));
    let used = network.server(1).memory_used();
    assert!((85 << 20..100 << 20).contains(&used), "{used}");
    network.run_until(at_s(20));
    let whats: Vec<&ServerEvent> = network.server_events.iter().map(|(_, _, event)| event).collect();
    assert!(
        matches!(
            whats[..3],
            [
                ServerEvent::Pressure { under_pressure: true },
                ServerEvent::Pressure {
                    under_pressure: false
                },
                ServerEvent::Died {
                    why: Death::OutOfMemory,
                    ..
                }
            ]
        ),
        "{whats:?}"
    );
    assert!(network.server(1).memory_used() < 100 << 20);
    let records = network.client_mut(0).take_records();
    let slowest = records
        .iter()
        .filter(|r| r.result.is_good())
        .map(longhaul_service::RequestRecord::latency);
    assert!(slowest.max().expect("records") > Span::from_ms(15));
    assert!(network.server(1).statistics().is_conserved());
}

#[test]
fn panics_restart_the_process() {
    let mut network = pair(|options| options.restart = Span::from_ms(100), vec![]);
    network.at_server(at_s(1), 1, ServerCommand::Panic(percent(5)));
    network.run_until(at_s(30));
    let server = network.server(1).statistics();
    assert!(server.deaths > 5 && server.lost >= server.deaths, "{server:?}");
    assert!(server.is_conserved());
}

#[test]
fn admission_sheds_what_matters_least() {
    let shed = |priority| {
        let mut network = Network::new(Span::from_ms(1));
        // Twice what it can do.
        let mut options = client_options(every(1), &[1]);
        options.request.priority = priority;
        network.add_client(options);
        let mut server = ServerOptions::new(1, work(2));
        server.queue.limit = 1_000;
        server.admission.layers = vec![LayerConfig::Shed(SheddingConfig {
            load: LoadSource::Reported,
            max_load: Probability::ONE,
            cap: percent(90),
            exempt: Some(Priority::Critical),
        })];
        network.add_server(server);
        network.start();
        network.run_until(at_s(10));
        let statistics = network.server(1).statistics();
        assert!(statistics.is_conserved());
        (statistics.refused, statistics.longest_queue)
    };
    let (refused, longest) = shed(Priority::Normal);
    assert!(refused > 4_000 && longest < 50, "{refused}, {longest}");
    let (refused, longest) = shed(Priority::Critical);
    assert!(refused > 3_000 && longest == 1_000, "{refused}, {longest}");
    let mut options = ServerOptions::new(1, work(2));
    options.admission.layers = vec![LayerConfig::Retry(RetryConfig::exponential(
        1,
        Span::from_ms(1),
        Span::from_ms(1),
    ))];
    assert!(matches!(
        options.check(),
        Err(OptionsError::Admission { layer: 0, .. })
    ));
}

#[test]
fn cancelled_and_expired_work_is_not_done() {
    // A server that can do half of it, callers that wait for 100 ms.
    let run = |cancel, drop_expired| {
        let mut network = Network::new(Span::from_ms(1));
        let mut options = client_options(every(1), &[1]);
        options.service.stack.layers = vec![LayerConfig::Timeout(TimeoutConfig::Fixed(Span::from_ms(100)))];
        options.service.cancel = cancel;
        options.service.propagate_deadline = drop_expired;
        network.add_client(options);
        let mut server = ServerOptions::new(1, work(2));
        server.cancellation = cancel;
        server.queue = QueueOptions {
            limit: u32::MAX,
            discipline: Discipline::Lifo,
            drop_expired,
        };
        network.add_server(server);
        network.start();
        network.run_until(at_s(5));
        // Nothing new comes; what is in the queue is worked off.
        network.at_client(at_s(5), 0, longhaul_service::ClientCommand::Stop);
        network.run_until(at_s(12));
        let statistics = network.server(1).statistics();
        assert!(statistics.is_conserved());
        assert_eq!((statistics.queued, statistics.running), (0, 0));
        (statistics, network.client(0).statistics())
    };
    let (vain, client) = run(false, false);
    assert_eq!((vain.cancelled, vain.expired), (0, 0));
    assert!(client.caller.late_successes > 2_300, "{client:?}");
    let (cancelled, client) = run(true, false);
    assert!(cancelled.cancelled > 2_300, "{cancelled:?}");
    assert!(client.caller.late_successes < 10, "{client:?}");
    let (expired, client) = run(false, true);
    assert!(expired.expired > 2_300, "{expired:?}");
    assert!(client.caller.late_successes < 100, "{client:?}");
}

#[test]
fn what_a_server_gives_up_it_cancels_behind_it() {
    // The service behind can do a third of what comes; callers wait for 100 ms.
    let run = |cancellation: bool| {
        let mut network = Network::new(Span::from_ms(1));
        let mut options = client_options(every(2), &[1]);
        options.service.stack.layers = vec![LayerConfig::Timeout(TimeoutConfig::Fixed(Span::from_ms(100)))];
        options.service.cancel = true;
        network.add_client(options);
        let mut front = ServerOptions::new(4, work(1));
        front.concurrency = 1_000;
        front.cancellation = cancellation;
        let mut service = longhaul_service::ServiceOptions::new(vec![crate::network::replica(2)]);
        service.cancel = true;
        front.behind.push(longhaul_service::Behind {
            operation: 0,
            service,
            body: longhaul_core::units::ByteSize::from_bytes(10),
            answer: longhaul_core::units::ByteSize::from_bytes(10),
        });
        front.stages = vec![longhaul_service::Stage::All(vec![0])];
        network.add_server(front);
        let mut back = ServerOptions::new(1, work(6));
        back.cancellation = true;
        network.add_server(back);
        network.start();
        network.run_until(at_s(5));
        network.at_client(at_s(5), 0, longhaul_service::ClientCommand::Stop);
        network.run_until(at_s(30));
        let (front, back) = (network.server(1).statistics(), network.server(2).statistics());
        assert!(front.is_conserved() && back.is_conserved());
        assert_eq!((front.running, back.queued, back.running), (0, 0, 0));
        (front, back)
    };
    // 2,500 requests in five seconds, of which 833 can be done.
    let (kept, behind) = run(false);
    assert_eq!((kept.cancelled, behind.cancelled), (0, 0));
    assert!(behind.answered > 2_400, "{behind:?}");
    let (given_up, behind) = run(true);
    assert!(given_up.cancelled > 1_500, "{given_up:?}");
    assert!(behind.cancelled > 1_500 && behind.answered < 900, "{behind:?}");
}

#[test]
fn an_idempotent_request_is_done_once_if_results_are_remembered() {
    let run = |remember| {
        let layers = vec![
            LayerConfig::Retry(RetryConfig::exponential(3, Span::from_ms(1), Span::from_ms(1))),
            LayerConfig::Timeout(TimeoutConfig::Fixed(Span::from_ms(20))),
        ];
        let mut network = pair(|options| options.remember = remember, layers);
        // Answers come 30 ms after they are due: every request is sent again, though it is worked on.
        network.at_server(at_s(1), 1, ServerCommand::Delay(Some(work(30))));
        network.at_server(at_s(2), 1, ServerCommand::Resume);
        network.run_until(at_s(10));
        let statistics = network.server(1).statistics();
        assert!(statistics.is_conserved());
        statistics
    };
    let forgetful = run(0);
    assert!(
        forgetful.repeated > 50 && forgetful.duplicates == 0,
        "{forgetful:?}"
    );
    let mindful = run(10_000);
    assert!(mindful.repeated == 0 && mindful.duplicates > 50, "{mindful:?}");
}

/// A client, a front end and two services behind it.
fn fan_out(stages: Vec<Stage>, propagate: bool) -> Network {
    let mut network = Network::new(Span::from_ms(1));
    let mut options = client_options(every(10), &[1]);
    options.request.deadline = Some(Span::from_ms(500));
    options.service.propagate_deadline = propagate;
    options.keep_records = true;
    network.add_client(options);
    let mut front = ServerOptions::new(2, work(1));
    front.origin = 10;
    front.concurrency = 100;
    front.stages = stages;
    for peer in [2, 3] {
        let mut service = ServiceOptions::new(vec![replica(peer)]);
        service.propagate_deadline = true;
        service.names = Some(NameOptions {
            ttl: Span::from_s(1),
            ..NameOptions::default()
        });
        front.behind.push(Behind {
            operation: 0,
            service,
            body: ByteSize::from_bytes(100),
            answer: ByteSize::from_bytes(1_000),
        });
    }
    network.add_server(front);
    network.add_server(ServerOptions::new(2, work(5)));
    network.add_server(ServerOptions::new(2, work(7)));
    network.start();
    network
}

#[test]
fn stages_take_the_longest_of_all_and_the_sum_of_a_sequence() {
    let latency = |stages| {
        let mut network = fan_out(stages, true);
        network.run_until(at_s(5));
        let begun = [2, 3].map(|server| network.server(server).statistics().begun);
        let records = network.client_mut(0).take_records();
        // With connections and names at hand.
        let late = records.iter().filter(|record| record.started > at_s(2));
        let latencies: Vec<u64> = late.map(|record| record.latency().as_ns() / 1_000_000).collect();
        (*latencies.iter().max().expect("records"), begun)
    };
    // 2 ms of way and 1 ms of work at the front, 2 ms of way to those behind; a lookup takes 1 ms when it is due.
    let (all, begun) = latency(vec![Stage::All(vec![0, 1])]);
    assert!((12..=13).contains(&all), "{all}");
    assert!(
        begun[0].abs_diff(499) <= 2 && begun[1].abs_diff(499) <= 2,
        "{begun:?}"
    );
    let (sequence, _) = latency(vec![Stage::All(vec![0]), Stage::All(vec![1])]);
    assert!((19..=21).contains(&sequence), "{sequence}");
    let (one, begun) = latency(vec![Stage::OneOf(vec![0, 1])]);
    assert!((12..=13).contains(&one), "{one}");
    assert!(
        (490..=500).contains(&(begun[0] + begun[1])) && begun[0].min(begun[1]) > 200,
        "{begun:?}"
    );
}

#[test]
fn a_service_behind_that_hangs_takes_the_front_down_unless_the_deadline_travels() {
    let run = |propagate| {
        let mut network = fan_out(vec![Stage::All(vec![0, 1])], propagate);
        network.at_server(at_s(2), 2, ServerCommand::Hang(true));
        network.run_until(at_s(10));
        let front = network.server(1).statistics();
        assert!(front.is_conserved());
        assert!(network.client(0).statistics().failures.deadline > 700);
        front
    };
    let without = run(false);
    assert_eq!(without.running, 100);
    assert!(without.queued > 500, "{without:?}");
    let with = run(true);
    assert!(with.running <= 52 && with.queued == 0, "{with:?}");
}

#[test]
fn names_of_services_behind_can_fail_too() {
    let mut network = fan_out(vec![Stage::All(vec![0])], true);
    let fault = NameFault::Stale(vec![PeerId(3)]);
    network.at_server(at_s(2), 1, ServerCommand::Names { service: 0, fault });
    network.run_until(at_s(6));
    // From the time on that the last good answer is out of date another server gets the requests.
    let [right, wrong] = [2, 3].map(|server| network.server(server).statistics().begun);
    assert!(
        (200..310).contains(&right) && (290..400).contains(&wrong),
        "{right}, {wrong}"
    );
    let fault = NameFault::Failed;
    network.at_server(at_s(6), 1, ServerCommand::Names { service: 0, fault });
    network.run_until(at_s(10));
    let (behind, _) = network.server(1).behind(0).expect("a service behind");
    assert!(behind.failed_lookups >= 2 && network.client(0).statistics().failures.error > 250);
}
