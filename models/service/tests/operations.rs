//! Operations: what a server can be asked for beside what it does by default.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use longhaul_service::{
    Arrivals, Behind, Load, OperationOptions, OptionsError, Pattern, Rate, RequestResult, ServerOptions,
    ServiceOptions, Stage, TimeLaw,
};

use crate::network::{Network, at_ms, at_s, client_options, replica};

fn work(ms: u64) -> TimeLaw {
    TimeLaw::Constant(Span::from_ms(ms))
}

fn operation(ms: u64, stages: Vec<Stage>) -> OperationOptions {
    OperationOptions {
        service: work(ms),
        error_rate: Probability::ZERO,
        stages,
    }
}

/// A request every second.
fn load() -> Load {
    Load::Open(Arrivals {
        pattern: Pattern::Regular,
        rate: Rate::Steady {
            interval: Span::from_s(1),
        },
    })
}

/// One client for each operation asked for, a server that has two besides its default, and one behind it, each a millisecond
/// from the next; what the answers took and how often the server behind was asked.
fn latencies(asked: &[u16], cores: u32) -> (Vec<Vec<u64>>, u64) {
    let mut network = Network::new(Span::from_ms(1));
    let front = asked.len() as u32;
    let clients: Vec<usize> = (0..)
        .zip(asked)
        .map(|(origin, operation)| {
            let mut options = client_options(load(), &[front]);
            options.origin = origin;
            options.request.operation = *operation;
            options.keep_records = true;
            network.add_client(options)
        })
        .collect();
    let mut options = ServerOptions::new(cores, work(10));
    options.origin = 100;
    options.behind.push(Behind {
        service: ServiceOptions::new(vec![replica(front + 1)]),
        operation: 1,
        body: ByteSize::from_bytes(0),
        answer: ByteSize::from_bytes(0),
    });
    options.operations = vec![
        operation(30, Vec::new()),
        operation(5, vec![Stage::All(vec![0]), Stage::All(vec![0])]),
    ];
    let server = network.add_server(options);
    let mut options = ServerOptions::new(1, work(400));
    options.operations = vec![operation(7, Vec::new())];
    let behind = network.add_server(options);
    network.start();
    network.run_until(at_s(6));
    assert!(network.server(server).statistics().is_conserved());
    let of = |client| {
        let records = network.client_mut(client).take_records();
        // The first pays for the connections.
        let records = records.iter().skip(1);
        records
            .map(|record| match record.result {
                RequestResult::Succeeded => record.latency().as_ns() / 1_000_000,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let latencies = clients.into_iter().map(of).collect();
    (latencies, network.server(behind).statistics().received)
}

#[test]
fn each_takes_its_own_time_and_asks_for_its_own() {
    // A millisecond there and one back, and the work: 10, 30, and 5 with twice 2 + 7 behind.
    assert_eq!(latencies(&[0], 4), (vec![vec![12; 4]], 0));
    assert_eq!(latencies(&[1], 4), (vec![vec![32; 4]], 0));
    assert_eq!(latencies(&[2], 4), (vec![vec![25; 4]], 10));
}

#[test]
fn all_share_the_cores() {
    // They come at once, in the order of the clients, and one core works on one at a time.
    let (took, _) = latencies(&[1, 0], 1);
    assert_eq!(took, [vec![32; 4], vec![42; 4]]);
}

#[test]
fn what_a_server_does_not_know_can_never_succeed() {
    let mut network = Network::new(Span::from_ms(1));
    let mut options = client_options(load(), &[1]);
    options.request.operation = 2;
    let client = network.add_client(options);
    let mut options = ServerOptions::new(1, work(10));
    options.operations = vec![operation(1, Vec::new())];
    let server = network.add_server(options);
    network.start();
    network.run_until(at_ms(3_500));
    let (client, server) = (
        network.client(client).statistics(),
        network.server(server).statistics(),
    );
    assert_eq!((client.succeeded, client.failures.fatal), (0, client.started));
    assert_eq!((server.refused, server.begun), (server.received, 0));
    assert!(server.is_conserved());
}

#[test]
fn a_stage_of_an_operation_needs_somebody_behind() {
    let mut options = ServerOptions::new(1, work(10));
    options.operations = vec![operation(1, vec![Stage::All(vec![0])])];
    assert_eq!(options.check(), Err(OptionsError::Stage { stage: 0 }));
}
