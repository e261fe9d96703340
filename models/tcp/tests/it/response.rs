//! Reno's rate under independent loss, against the response functions of the literature:
//!
//! - Mathis, Semke, Mahdavi and Ott (1997): 1.22 / √p segments per round trip, for rare loss;
//! - PFTK (Padhye et al. 1998, as RFC 5348 section 3.1 has it), which adds timeouts, with b = 1, since Linux grows by
//!   what is acknowledged and not by the number of ACKs, and with Linux's timeout of a round trip and 200 ms.
//!
//! PFTK describes Reno without SACK, which needs a timeout where this sender repairs several losses in one round
//! trip; so at frequent loss the rate lies above it, more so the longer the timeout is beside the round trip.

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use crate::harness::{Link, Loss, Network, reno};

/// Segments per second that Reno delivers at a loss of `per_100_000`, over `losses` expected losses.
fn rate(rtt: Span, per_100_000: u64, losses: u64) -> f64 {
    let probability = Probability::from_ratio(per_100_000, 100_000).expect("at most one");
    let link = Link {
        loss: Loss::Independent(probability, Streams::new(3, 0).stream("link", "loss")),
        ..Link::new(None, rtt)
    };
    let time = Span::from_ms((1e3 * losses as f64 / probability.as_f64() / mathis(rtt, probability)) as u64);
    let mut network = Network::new(link, reno(), reno(), 1, u64::MAX);
    network.run(time / 10);
    let (before, start) = (network.client().tcp.stats().delivered, network.now);
    network.run(time);
    (network.client().tcp.stats().delivered - before) as f64 / (network.now - start).as_s_f64()
}

fn mathis(rtt: Span, p: Probability) -> f64 {
    1.22 / p.as_f64().sqrt() / rtt.as_s_f64()
}

fn pftk(rtt: Span, p: Probability) -> f64 {
    let (p, rtt) = (p.as_f64(), rtt.as_s_f64());
    let timeout = rtt + 0.2;
    let repair = (3.0 * (3.0 * p / 8.0).sqrt()).min(1.0);
    1.0 / (rtt * (2.0 * p / 3.0).sqrt() + timeout * repair * p * (1.0 + 32.0 * p * p))
}

/// Holds the rate at each RTT and loss (per 100,000 packets), and prints it.
fn assert_in_the_band(losses_per_100_000: &[u64]) {
    for rtt_ms in [10, 50, 200] {
        for &per_100_000 in losses_per_100_000 {
            let rtt = Span::from_ms(rtt_ms);
            let p = Probability::from_ratio(per_100_000, 100_000).expect("at most one");
            let rate = rate(rtt, per_100_000, 500);
            let (of_mathis, of_pftk) = (rate / mathis(rtt, p), rate / pftk(rtt, p));
            let what = format!("{rtt_ms} ms, {per_100_000}: {of_mathis:.3} of Mathis, {of_pftk:.3} of PFTK");
            println!("{what}");
            // Independent loss is worth 1.31/1.22 of loss at equal distances, and no rate lies above that.
            assert!((0.7..1.12).contains(&of_mathis), "{what}");
            if per_100_000 <= 300 {
                assert!((0.95..1.12).contains(&of_mathis), "{what}");
            }
            if rtt_ms >= 50 && per_100_000 <= 2_000 {
                assert!((0.93..1.12).contains(&of_pftk), "{what}");
            }
            assert!(of_pftk > 0.93, "{what}");
        }
    }
}

#[test]
fn reno_follows_mathis_at_rare_loss_and_pftk_at_frequent_loss() {
    assert_in_the_band(&[300, 1_000, 2_000, 5_000]);
}

/// `cargo test --release -p longhaul-tcp --test it -- --ignored --nocapture mathis_down`: half a minute.
#[test]
#[ignore = "thirty million packets"]
fn reno_follows_mathis_down_to_one_loss_in_ten_thousand() {
    assert_in_the_band(&[10, 30, 100]);
}
