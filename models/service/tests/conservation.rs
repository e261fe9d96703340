//! What must hold whatever happens: requests are accounted for, extra wakes change nothing, and a run is the same twice.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use longhaul_resilience::LayerConfig;
use longhaul_resilience::breaker::BreakerConfig;
use longhaul_resilience::health::{HealthConfig, Probe};
use longhaul_resilience::hedge::{HedgeConfig, HedgeDelay};
use longhaul_resilience::retry::RetryConfig;
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_service::{
    Arrivals, Behind, Choice, ClientCommand, ClientStatistics, Discipline, EjectionOptions, Gray, Load,
    NameFault, NameOptions, OperationOptions, Pattern, QueueOptions, Rate, RequestRecord, ServerCommand,
    ServerOptions, ServerStatistics, ServiceOptions, Stage, TimeLaw,
};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::network::{Network, at_ms, at_s, client_options, replica};

/// What is done when to which server, or to the client for number 3.
type Fault = (u64, usize, u8, u64);

fn percent(percent: u64) -> Probability {
    Probability::from_ratio(percent.min(100), 100).expect("a share")
}

fn command(kind: u8, size: u64) -> ServerCommand {
    let ms = |ms| TimeLaw::Exponential {
        mean: Span::from_ms(ms),
    };
    match kind % 10 {
        0 => ServerCommand::Cpu(percent(size)),
        1 => ServerCommand::ErrorRate(percent(size)),
        2 => ServerCommand::Delay((size > 50).then(|| ms(size))),
        3 => ServerCommand::Crash {
            restart_after: (size > 20).then(|| Span::from_ms(10 * size)),
        },
        4 => ServerCommand::Panic(percent(size / 10)),
        5 => ServerCommand::Leak(ByteSize::from_kib(size * 10)),
        6 => ServerCommand::Hang(size > 30),
        7 => ServerCommand::Gray((size > 30).then(|| Gray {
            errors: percent(size / 2),
            silent: percent(size / 4),
            delay: (size > 70).then(|| ms(size)),
        })),
        8 => ServerCommand::Names {
            service: 0,
            fault: names(size),
        },
        _ => ServerCommand::Resume,
    }
}

fn names(size: u64) -> NameFault {
    match size % 4 {
        0 => NameFault::None,
        1 => NameFault::Stale(vec![]),
        2 => NameFault::BlackHole,
        _ => NameFault::Failed,
    }
}

fn layers(kinds: &[u8]) -> Vec<LayerConfig> {
    let (ms, s) = (Span::from_ms, Span::from_s);
    let layer = |kind: &u8| match kind % 4 {
        0 => LayerConfig::Retry(RetryConfig::exponential(2, ms(10), ms(50))),
        1 => LayerConfig::Timeout(TimeoutConfig::Fixed(ms(400))),
        2 => LayerConfig::Breaker(BreakerConfig::consecutive(5, s(1))),
        _ => LayerConfig::Hedge(HedgeConfig {
            delay: HedgeDelay::Fixed(ms(60)),
            hedges: 1,
            non_idempotent: false,
            budget: None,
        }),
    };
    kinds.iter().map(layer).collect()
}

#[derive(Clone, Debug)]
struct Plan {
    faults: Vec<Fault>,
    kinds: Vec<u8>,
    closed: bool,
    cancel: bool,
    deadline: bool,
    discipline: u8,
    remember: u32,
    limit: u32,
}

fn service(replicas: &[u32], plan: &Plan) -> ServiceOptions {
    let mut service = ServiceOptions::new(replicas.iter().map(|peer| replica(*peer)).collect());
    service.choice = Choice::RoundRobin;
    service.spread = true;
    service.cancel = plan.cancel;
    service.propagate_deadline = plan.deadline;
    service.connection.connect_timeout = Span::from_s(1);
    service.connection.backoff = Span::from_ms(100);
    service.connection.silence = Some(Span::from_s(2));
    service.names = Some(NameOptions {
        ttl: Span::from_s(1),
        timeout: Span::from_s(1),
        ..NameOptions::default()
    });
    service.ejection = Some(EjectionOptions {
        failures: 10,
        time: Span::from_ms(500),
        time_max: Span::from_s(5),
        share_max: Probability::ONE,
    });
    let mut health = HealthConfig::new("replica", Probe::Ping);
    health.interval = Span::from_ms(500);
    health.timeout = Span::from_ms(200);
    service.health = Some(health);
    service.stack.layers = layers(&plan.kinds);
    if service.stack.check().is_err() {
        service.stack.layers.clear();
    }
    service
}

/// What a run leaves behind.
type Left = (
    ClientStatistics,
    Vec<RequestRecord>,
    [ServerStatistics; 2],
    String,
);

/// A client, a front with a service behind it, 8 s of faults, and then 22 s without.
fn run(plan: &Plan, extra_wakes: bool) -> Left {
    let mut network = Network::new(Span::from_ms(3));
    network.extra_wakes = extra_wakes;
    let load = if plan.closed {
        Load::Closed {
            users: 8,
            think: TimeLaw::Exponential {
                mean: Span::from_ms(100),
            },
        }
    } else {
        Load::Open(Arrivals {
            pattern: Pattern::Poisson,
            rate: Rate::Steady {
                interval: Span::from_ms(12),
            },
        })
    };
    let mut options = client_options(load, &[1, 2]);
    options.service = service(&[1, 2], plan);
    options.request.late_after = Some(Span::from_ms(200));
    options.request.deadline = plan.deadline.then(|| Span::from_s(2));
    options.keep_records = true;
    options.request.operation = u16::from(plan.cancel);
    let client = network.add_client(options);
    let (target, interval) = (Span::from_ms(5), Span::from_ms(100));
    for node in [1, 2] {
        let mean = Span::from_ms(7);
        let mut options = ServerOptions::new(2, TimeLaw::LogNormal { mean, sigma: 0.8 });
        options.origin = 10 * node;
        options.concurrency = 8;
        options.cancellation = plan.cancel;
        options.remember = plan.remember;
        options.restart = Span::from_ms(300);
        options.memory.limit = ByteSize::from_mib(1_300);
        options.queue = QueueOptions {
            limit: plan.limit,
            discipline: match plan.discipline % 3 {
                0 => Discipline::Fifo,
                1 => Discipline::Lifo,
                _ => Discipline::CoDel { target, interval },
            },
            drop_expired: plan.deadline,
        };
        options.operations = vec![OperationOptions {
            service: TimeLaw::Constant(mean),
            error_rate: Probability::ZERO,
            stages: Vec::new(),
        }];
        if node == 1 {
            options.operations[0].stages = vec![Stage::All(vec![0])];
            options.behind.push(Behind {
                operation: u16::from(plan.deadline),
                service: service(&[2], plan),
                body: ByteSize::from_bytes(50),
                answer: ByteSize::from_bytes(500),
            });
            options.stages = vec![Stage::All(vec![0, 0]), Stage::OneOf(vec![0])];
        }
        network.add_server(options);
    }
    for (at, node, kind, size) in &plan.faults {
        let at = at_ms(*at);
        match node {
            3 => network.at_client(at, client, ClientCommand::Names(names(*size))),
            node => network.at_server(at, *node, command(*kind, *size)),
        }
    }
    for node in [1, 2] {
        let fault = NameFault::None;
        network.at_server(at_s(8), node, ServerCommand::Resume);
        network.at_server(at_s(8), node, ServerCommand::Names { service: 0, fault });
    }
    network.at_client(at_s(8), client, ClientCommand::Names(NameFault::None));
    network.start();
    let mut records = Vec::new();
    for s in 1..=30 {
        network.run_until(at_s(s));
        let statistics = network.client(client).statistics();
        records.extend(network.client_mut(client).take_records());
        let over = statistics.succeeded + statistics.late + statistics.failures.total();
        assert_eq!(statistics.started, over + statistics.in_flight);
        assert_eq!(over, records.len() as u64);
        for node in [1, 2] {
            let server = network.server(node).statistics();
            assert!(server.is_conserved(), "{server:?}");
        }
    }
    // All is well again, unless attempts that are repeated keep it down, users wait for ever for what was swallowed, or
    // memory that leaked slows a process that has not started anew.
    let repeats = plan.kinds.iter().any(|kind| [0, 3].contains(kind));
    let leaked = plan
        .faults
        .iter()
        .any(|(_, node, kind, _)| *node < 3 && kind % 10 == 5);
    if plan.deadline && !repeats && !leaked {
        let end = network.client(client).series().intervals[25..29].iter();
        let (started, good) = end.fold((0, 0), |(started, good), i| {
            (started + i.started, good + i.succeeded + i.late)
        });
        assert!(started > 100 && good * 10 > started * 7, "{good} of {started}");
    }
    let events = format!("{:?}{:?}", network.client_events, network.server_events);
    let servers = [1, 2].map(|node| network.server(node).statistics());
    (network.client(client).statistics(), records, servers, events)
}

fn plans() -> impl Strategy<Value = Plan> {
    let fault = (0..8_000u64, 1..4usize, any::<u8>(), 0..100u64);
    let some = (
        proptest::collection::vec(fault, 0..8),
        proptest::collection::vec(0..4u8, 0..4),
    );
    let how = (any::<bool>(), any::<bool>(), any::<bool>(), 0..3u8);
    let limits = (prop_oneof![0..1u32, 1_000..1_001u32], 5..200u32);
    (some, how, limits).prop_map(
        |((faults, kinds), (closed, cancel, deadline, discipline), (remember, limit))| Plan {
            faults,
            kinds,
            closed,
            cancel,
            deadline,
            discipline,
            remember,
            limit,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn requests_are_conserved_and_extra_wakes_change_nothing(plan in plans()) {
        let once = run(&plan, false);
        for extra_wakes in [false, true] {
            let again = run(&plan, extra_wakes);
            let differs = once.1.iter().zip(&again.1).find(|(one, other)| one != other);
            prop_assert!(differs.is_none(), "extra wakes: {extra_wakes}, {differs:?}");
            prop_assert_eq!((once.0, once.2), (again.0, again.2), "extra wakes: {}", extra_wakes);
            prop_assert!(once.3 == again.3, "extra wakes: {extra_wakes}, other events");
        }
    }
}
