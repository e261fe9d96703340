//! Known answers of queueing theory.

use longhaul_core::time::Span;
use longhaul_service::{
    Arrivals, ClientStatistics, Load, Pattern, Rate, ServerOptions, ServerStatistics, TimeLaw,
};

use crate::network::{Network, at_s, client_options};

/// Poisson arrivals of a mean interval at a server of `cores`, exponential work of 10 ms: for `s` seconds.
fn run(interval: Span, cores: u32, s: u64) -> (ClientStatistics, ServerStatistics, f64) {
    let mut network = Network::new(Span::from_us(100));
    let arrivals = Arrivals {
        pattern: Pattern::Poisson,
        rate: Rate::Steady { interval },
    };
    let mut options = client_options(Load::Open(arrivals), &[1]);
    options.keep_records = true;
    let client = network.add_client(options);
    let mean = Span::from_ms(10);
    let server = network.add_server(ServerOptions::new(cores, TimeLaw::Exponential { mean }));
    network.start();
    network.run_until(at_s(s));
    let records = network.client_mut(client).take_records();
    let latencies: f64 = records.iter().map(|record| record.latency().as_s_f64()).sum();
    let mean_latency = latencies / records.len() as f64;
    (
        network.client(client).statistics(),
        network.server(server).statistics(),
        mean_latency,
    )
}

/// Mean waiting time of M/M/c (Erlang's second formula), in service times.
fn erlang_c_wait(offered: f64, servers: u32) -> f64 {
    let c = f64::from(servers);
    // Erlang B by its recurrence, and C from it.
    let blocking = (1..=servers).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b));
    let waits = blocking / (1.0 - offered / c * (1.0 - blocking));
    waits / (c - offered)
}

#[test]
fn erlang_c_of_one_server_is_that_of_m_m_1() {
    assert!((erlang_c_wait(0.8, 1) - 4.0).abs() < 1e-12);
    // Two servers at 1.5: C = 0.642857…, wait = C / 0.5.
    assert!((erlang_c_wait(1.5, 2) - 9.0 / 7.0).abs() < 1e-12);
}

#[test]
fn waits_are_those_of_m_m_1_and_m_m_c_and_littles_law_holds() {
    for (cores, load_percent) in [(1, 50), (1, 70), (2, 75), (4, 80)] {
        let offered = f64::from(load_percent) / 100.0 * f64::from(cores);
        let interval = Span::from_ns((10_000_000.0 / offered) as u64);
        let s = 4_000 / u64::from(cores);
        let (client, server, latency) = run(interval, cores, s);
        assert!(server.is_conserved());
        assert!(server.begun > 150_000, "{}", server.begun);
        let wait = server.waited.as_s_f64() / server.begun as f64 / 0.010;
        let theory = erlang_c_wait(offered, cores);
        assert!(
            (wait / theory - 1.0).abs() < 0.05,
            "{cores} cores at {load_percent} %: {wait} against {theory}"
        );
        // The latency is the wait, the work and the way.
        let expected = (theory + 1.0) * 0.010 + 0.000_200;
        assert!(
            (latency / expected - 1.0).abs() < 0.04,
            "{latency} against {expected}"
        );
        // Little: the work in progress is the rate times the mean work.
        let used = server.worked.as_s_f64() / s as f64;
        assert!((used / offered - 1.0).abs() < 0.02, "{used} against {offered}");
        assert_eq!(client.failures.total(), 0);
    }
}

#[test]
fn processor_sharing_has_the_mean_of_m_m_1_whatever_the_law_of_work() {
    // With unlimited concurrency on one core the mean time in the system is S / (1 - load) for any law of work.
    let mean = Span::from_ms(10);
    for law in [
        TimeLaw::Exponential { mean },
        TimeLaw::LogNormal { mean, sigma: 1.0 },
    ] {
        let mut network = Network::new(Span::ZERO);
        let arrivals = Arrivals {
            pattern: Pattern::Poisson,
            rate: Rate::Steady {
                interval: Span::from_ms(20),
            },
        };
        let mut options = client_options(Load::Open(arrivals), &[1]);
        options.keep_records = true;
        let client = network.add_client(options);
        let mut options = ServerOptions::new(1, law);
        options.concurrency = 1_000_000;
        network.add_server(options);
        network.start();
        network.run_until(at_s(4_000));
        let records = network.client_mut(client).take_records();
        let sum: f64 = records.iter().map(|record| record.latency().as_s_f64()).sum();
        let latency = sum / records.len() as f64;
        assert!((latency / 0.020 - 1.0).abs() < 0.05, "{law:?}: {latency}");
    }
}

#[test]
fn a_closed_loop_is_bounded_by_its_users_and_by_the_server() {
    // N users who think Z and are served in S: throughput is at most N / (Z + S) and at most c / S, and near the lesser
    // of both far from where they cross.
    for (users, near) in [(2, 0.97), (5, 0.90), (200, 0.99)] {
        let mut network = Network::new(Span::ZERO);
        let think = TimeLaw::Exponential {
            mean: Span::from_ms(200),
        };
        let client = network.add_client(client_options(Load::Closed { users, think }, &[1]));
        let mean = Span::from_ms(10);
        network.add_server(ServerOptions::new(1, TimeLaw::Exponential { mean }));
        network.start();
        let s = 2_000;
        network.run_until(at_s(s));
        let statistics = network.client(client).statistics();
        let throughput = statistics.succeeded as f64 / s as f64;
        let bound = (f64::from(users) / 0.210).min(100.0);
        // Chance may lift a finite run over the bound of the mean.
        assert!(throughput < bound * 1.02, "{users}: {throughput} against {bound}");
        assert!(throughput > bound * near, "{users}: {throughput} against {bound}");
    }
}
