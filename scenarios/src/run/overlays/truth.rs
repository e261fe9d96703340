//! How good paths really are: what an edge would see if its probes told it everything at once.
//!
//! The round trip is made of the propagation delays of both directions, of what waits in their queues at the moment, and
//! of the mean of their jitter; its standard deviation is that of the jitter of all links; loss is the mean of the laws, both
//! ways, as a probe meets them. Laws that are cut off at zero count as if they were not.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::network::Network;
use longhaul_net::routing::LinkId;
use longhaul_sdwan::score::{Attributes, Quality};

use crate::schema::{Jitter, Link, OverlayPath, Scenario};

/// What the laws of a path's links, there and back, make of it now; `None` if one of them is down.
pub fn attributes(
    scenario: &Scenario,
    network: &Network,
    path: &OverlayPath,
    links: &[LinkId],
    now: Instant,
) -> Option<Attributes> {
    let (mut latency_ns, mut variance, mut passes) = (0.0, 0.0, 1.0);
    let mut slowest = BitRate::from_bits_per_s(u64::MAX);
    for &id in links {
        let link = network.link(id);
        if link.is_down() {
            return None;
        }
        let spec = &scenario.links[id.0 as usize];
        let (rate, delay, loss) = conditions(spec, now);
        let (mean, sd) = moments(&spec.jitter);
        let wait = rate.map_or(Span::ZERO, |rate| rate.time_for(link.queue(now).bytes));
        latency_ns += delay.as_ns() as f64 + wait.as_ns() as f64 + mean;
        variance += sd * sd;
        passes *= 1.0 - loss.as_f64();
        slowest = slowest.min(rate.unwrap_or(slowest));
    }
    Some(Attributes {
        quality: Some(Quality {
            latency_ms: latency_ns / 1e6,
            jitter_ms: variance.sqrt() / 1e6,
            loss_percent: (1.0 - passes) * 100.0,
        }),
        rate: Some(slowest),
        microdollars_per_gb: path.microdollars_per_gb,
    })
}

/// Rate, propagation delay and mean loss of a link at a time. No rate for one that stands in a file, or is zero.
fn conditions(link: &Link, now: Instant) -> (Option<BitRate>, Span, Probability) {
    let mut rate = link.rate.mean();
    let (mut delay, mut loss) = (link.delay, link.loss.mean());
    let elapsed = now.as_ns();
    let at = link.period.map_or(elapsed, |period| elapsed % period.as_ns());
    for step in link.changes.iter().filter(|step| step.at.as_ns() <= at) {
        rate = step.rate.or(rate);
        delay = step.delay.unwrap_or(delay);
        loss = step.loss.map_or(loss, |loss| loss.mean());
    }
    (rate.filter(|rate| rate.as_bits_per_s() > 0), delay, loss)
}

/// Mean and standard deviation of a jitter law in nanoseconds. Those in files count as none.
fn moments(jitter: &Jitter) -> (f64, f64) {
    let ns = |span: Span| span.as_ns() as f64;
    match jitter {
        Jitter::None | Jitter::Measured { .. } => (0.0, 0.0),
        Jitter::Normal(of) | Jitter::Pareto(of) | Jitter::ParetoNormal(of) => (ns(of.mean), ns(of.sd)),
        Jitter::Table { spread, .. } => (ns(spread.mean), ns(spread.sd)),
        Jitter::Uniform { max } => (ns(*max) / 2.0, ns(*max) / 12.0f64.sqrt()),
    }
}
