//! Cost of the hot path.
//!
//! ```text
//! cargo test --release -p longhaul-tcp --test it -- --ignored --nocapture --test-threads 1 speed
//! ```

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_tcp::{Config, Connection, Controller, Event, Segment};

/// Passes segments between two ends with no network around them but a fixed window's worth in flight, so that
/// what is measured is TCP. Returns nanoseconds per data packet, its acknowledgement included.
fn cost(config: Config, packets_in_flight: usize, loss: Probability, total: u64) -> f64 {
    let mut stream = Streams::new(1, 0).stream("wire", "loss");
    let mut now = Instant::ZERO;
    let mut client = Connection::connect(config, now);
    let mut server = Connection::listen(config);
    let mut wire: std::collections::VecDeque<(Instant, Segment)> = std::collections::VecDeque::new();
    let mut packets = 0u64;
    let rtt = Span::from_ms(100);
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "the cost on this machine"
    )]
    let start = std::time::Instant::now();
    while packets < total {
        client.write(now, u64::MAX);
        while client.poll_event().is_some() {}
        while let Some(segment) = client.poll_segment(now) {
            packets += u64::from(segment.packets);
            if wire.len() < packets_in_flight && !stream.chance(loss) {
                wire.push_back((now + rtt, segment));
            }
        }
        if let Some(&(at, segment)) = wire.front()
            && client.deadline().is_none_or(|deadline| at <= deadline)
        {
            wire.pop_front();
            now = now.max(at) + Span::from_ns(1_000);
            server.on_segment(now, &segment);
            while let Some(event) = server.poll_event() {
                assert!(!matches!(event, Event::Failed(_)));
            }
            if server.deadline().is_some_and(|deadline| deadline <= now) {
                server.on_timer(now);
            }
            while let Some(ack) = server.poll_segment(now) {
                client.on_segment(now, &ack);
            }
        } else {
            now = now.max(client.deadline().expect("something is pending"));
            client.on_timer(now);
            server.on_timer(now);
            while let Some(ack) = server.poll_segment(now) {
                client.on_segment(now, &ack);
            }
        }
    }
    start.elapsed().as_nanos() as f64 / packets as f64
}

#[test]
#[ignore = "measures; needs a release build and a quiet machine"]
fn speed_of_the_hot_path() {
    for controller in [Controller::Reno, Controller::Cubic, Controller::Bbr] {
        for (in_flight, loss_ppm) in [
            (100, 0),
            (10_000, 0),
            (10_000, 100),
            (10_000, 1_000),
            (10_000, 10_000),
        ] {
            let config = Config {
                controller,
                send_buffer: 1 << 30,
                receive_buffer: 1 << 29,
                autotuning: false,
                ..Config::default()
            };
            let loss = Probability::from_ratio(loss_ppm, 1_000_000).expect("below one");
            let ns = cost(config, in_flight, loss, 4_000_000);
            println!("{controller:?}, {in_flight} in flight, loss {loss_ppm} ppm: {ns:.0} ns per packet");
            assert!(ns < 2_000.0, "{ns} ns per packet");
        }
    }
}
