//! The health gate: whether what a replay measured says something about the scenario, or about the machine that
//! replayed it. A pure judgement of measurements; what was not measured does not hold.
//!
//! | check | holds if |
//! | --- | --- |
//! | `finished` | every replication that was asked for ran to its end |
//! | `ceiling` | unshaped, the topology carries at least 1.5 times the largest rate of the scenario |
//! | `offloads` | no device has an offload on: loss would be drawn once per super-packet |
//! | `timer slip` | no machine was woken more than [`WAKE_SLIP_NS`] late, no step done more than [`STEP_SLIP_NS`] late |
//! | `steps` | every step of the timeline was done |
//! | `loss` | each link lost as many frames at random as its law says, up to what happens once in a million replays |
//! | `queues` | no queue overflowed that never does in the simulation |
//! | `processors` | they were busy for at most 80 % of the time |

use longhaul_core::record::Ended;
use longhaul_core::replay::HealthCheck;

use crate::outcome::{LinkCounters, Outcome, Replication};

/// Ceiling over largest rate, in tenths.
const HEADROOM_TENTHS: u64 = 15;
/// The latest that a machine may be woken: well below the shortest timer of TCP (40 ms).
pub const WAKE_SLIP_NS: u64 = 10_000_000;
/// The latest that a step of the timeline may be done: it takes a process or two.
pub const STEP_SLIP_NS: u64 = 50_000_000;
/// Largest share of the processors' time.
const BUSY_SHARE: f64 = 0.8;
/// Natural logarithm of a million: what bounds a loss that chance does not explain.
const LN_MILLION: f64 = 13.815_510_557_964_274;

/// What the gate has to know about the scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Replications that were asked for.
    pub replications: u32,
    /// The largest rate of any link at any time.
    pub largest_rate_bits_per_s: u64,
    /// Steps of the timeline.
    pub steps: usize,
    /// Links, in the order of the scenario.
    pub links: Vec<LinkFacts>,
}

/// What the gate has to know about a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkFacts {
    /// `from->to`.
    pub name: String,
    /// Least and largest mean loss of its laws over time, in parts of 10^12.
    pub loss_parts: (u64, u64),
    /// Largest mean number of frames that are lost in a row, at least 1.
    pub burst: u32,
    /// Frames that all simulations together dropped at its queue.
    pub simulated_queue_drops: u64,
}

/// Judges the measurements of a replay.
pub fn judge(outcome: &Outcome, facts: &Facts) -> Vec<HealthCheck> {
    let replications = &outcome.replications;
    vec![
        finished(replications, facts),
        ceiling(replications, facts),
        offloads(replications),
        slip(replications),
        steps(replications, facts),
        loss(replications, facts),
        queues(replications, facts),
        processors(replications),
    ]
}

/// A check with its advice if it does not hold.
fn check(name: &str, passed: bool, measured: String, needed: String, advice: &str) -> HealthCheck {
    HealthCheck {
        name: name.to_owned(),
        passed,
        measured,
        needed,
        advice: (!passed).then(|| advice.to_owned()),
    }
}

fn finished(replications: &[Replication], facts: &Facts) -> HealthCheck {
    // A replication that reached the horizon says something about the scenario; one that was cut short does not.
    let whole = |r: &&Replication| matches!(r.ended, Ended::Done | Ended::Horizon);
    let ended = replications.iter().filter(whole).count();
    check(
        "finished",
        ended == facts.replications as usize && ended == replications.len(),
        format!("{ended} replications"),
        format!("{}", facts.replications),
        "replay again; with --verbose it says where a replication stopped",
    )
}

fn ceiling(replications: &[Replication], facts: &Facts) -> HealthCheck {
    let largest = facts.largest_rate_bits_per_s;
    let needed = u128::from(largest) * u128::from(HEADROOM_TENTHS) / 10;
    let needed = u64::try_from(needed).unwrap_or(u64::MAX);
    let measured = replications
        .iter()
        .filter_map(|r| r.health.ceiling_bits_per_s)
        .min();
    let factor = measured.map_or(2, |ceiling| needed.div_ceil(ceiling.max(1)).max(2));
    check(
        "ceiling",
        measured.is_some_and(|ceiling| ceiling >= needed),
        measured.map_or_else(not_measured, megabits),
        format!("≥ {}", megabits(needed)),
        &format!(
            "this machine is too slow for these rates: --scale {factor} divides them by {factor} and multiplies the \
             delays, which keeps the windows in packets; or lower the rates with --set"
        ),
    )
}

fn offloads(replications: &[Replication]) -> HealthCheck {
    let mut on: Vec<&str> = replications
        .iter()
        .flat_map(|r| r.health.offloads_on.iter().map(String::as_str))
        .collect();
    on.sort_unstable();
    on.dedup();
    check(
        "offloads",
        on.is_empty(),
        if on.is_empty() {
            "all off".to_owned()
        } else {
            format!("on: {}", on.join(", "))
        },
        "all off".to_owned(),
        "this kernel does not switch them off (ethtool -K): replay on another one, such as with --backend vm",
    )
}

fn slip(replications: &[Replication]) -> HealthCheck {
    let wake = replications
        .iter()
        .map(|r| r.health.latest_wake_ns)
        .max()
        .unwrap_or(0);
    let done = replications.iter().flat_map(|r| &r.timeline);
    let early = done.clone().any(|step| step.begun_ns < step.planned_ns);
    let step = done
        .map(|step| step.done_ns.saturating_sub(step.planned_ns))
        .max();
    let in_time = wake <= WAKE_SLIP_NS && step.unwrap_or(0) <= STEP_SLIP_NS && !early;
    let steps = step.map_or_else(String::new, |step| format!(", steps {}", micros(step)));
    let early = if early { ", a step too early" } else { "" };
    check(
        "timer slip",
        in_time && !replications.is_empty(),
        format!("wakes {}{steps}{early}", micros(wake)),
        format!("≤ {}, steps ≤ {}", micros(WAKE_SLIP_NS), micros(STEP_SLIP_NS)),
        "something else took the processors: stop it, give the machine more of them, use --backend vm, whose clock \
         waits for the guest, or --scale 2",
    )
}

fn steps(replications: &[Replication], facts: &Facts) -> HealthCheck {
    // One that ended before all steps were due has done those that were.
    let missing = |r: &&Replication| r.timeline.len() < facts.steps && r.ended != Ended::Done;
    let incomplete = replications.iter().filter(missing).count();
    let surplus = replications
        .iter()
        .filter(|r| r.timeline.len() > facts.steps)
        .count();
    check(
        "steps",
        incomplete + surplus == 0,
        match incomplete + surplus {
            0 => "all done".to_owned(),
            some => format!("others in {some} replications"),
        },
        format!("{}", facts.steps),
        "replay again; with --verbose it says which step failed",
    )
}

fn loss(replications: &[Replication], facts: &Facts) -> HealthCheck {
    let wrong: Vec<String> = facts
        .links
        .iter()
        .enumerate()
        .filter_map(|(index, link)| wrong_loss(link, replications.iter().filter_map(|r| r.links.get(index))))
        .collect();
    check(
        "loss",
        wrong.is_empty(),
        if wrong.is_empty() {
            "as the laws say".to_owned()
        } else {
            wrong.join("; ")
        },
        "as the laws say".to_owned(),
        "frames were lost outside the law, or the law did not act: replay with less load (--scale 2), or on another \
         kernel",
    )
}

/// What is wrong with the random losses of a link in all replications together, if anything.
fn wrong_loss<'a>(link: &LinkFacts, counters: impl Iterator<Item = &'a LinkCounters>) -> Option<String> {
    let (mut lost, mut offered) = (0, 0);
    for counted in counters {
        match counted.dropped_by_queue {
            Some(queue) => offered += counted.sent_packets + counted.dropped_by_law + queue,
            // Both kinds of drops in one count: only a queue that never overflows leaves the law's alone.
            None if link.simulated_queue_drops == 0 => {
                offered += counted.sent_packets + counted.dropped_by_law
            }
            None => return None,
        }
        lost += counted.dropped_by_law;
    }
    let share = |parts: u64| parts as f64 / 1e12;
    let (least, most) = (share(link.loss_parts.0), share(link.loss_parts.1));
    let n = offered as f64;
    let found = lost as f64;
    let high = n * most + deviation(n, most, link.burst);
    let low = n * least - deviation(n, least, link.burst);
    let side = if found > high {
        "at most"
    } else if found < low {
        "at least"
    } else {
        return None;
    };
    let bound = if found > high { high.floor() } else { low.ceil() };
    Some(format!(
        "{} lost {lost} of {offered} frames, {side} {bound} expected",
        link.name
    ))
}

/// How far the number of losses among `n` frames lies from its mean at most, but for once in a million times: by
/// Bernstein's inequality, with the variance of a two-state chain for losses in bursts, which is about twice the mean
/// burst of that of independent ones.
fn deviation(n: f64, mean: f64, burst: u32) -> f64 {
    let burst = f64::from(burst.max(1));
    let variance = n * mean * (1.0 - mean) * (2.0 * burst - 1.0);
    if variance == 0.0 {
        return 0.0;
    }
    // A burst is lost together, and its length is geometric: its tail counts like a larger step.
    let step = LN_MILLION * burst / 3.0;
    step + (step * step + 2.0 * LN_MILLION * variance).sqrt()
}

fn queues(replications: &[Replication], facts: &Facts) -> HealthCheck {
    let mut overflowed = Vec::new();
    for (index, link) in facts
        .links
        .iter()
        .enumerate()
        .filter(|(_, link)| link.simulated_queue_drops == 0)
    {
        let drops = |r: &Replication| r.links.get(index).and_then(|counted| counted.dropped_by_queue);
        let dropped: u64 = replications.iter().filter_map(drops).sum();
        if dropped > 0 {
            overflowed.push(format!("{} dropped {dropped} frames", link.name));
        }
    }
    check(
        "queues",
        overflowed.is_empty(),
        if overflowed.is_empty() {
            "as simulated".to_owned()
        } else {
            overflowed.join("; ")
        },
        "no overflow where the simulation has none".to_owned(),
        "make the queue larger with --set 'links[…].queue=Packets(…)', so that both worlds agree on who drops, or \
         lower the rate of the sender",
    )
}

fn processors(replications: &[Replication]) -> HealthCheck {
    let shares: Option<Vec<f64>> = replications.iter().map(|r| r.health.busy_share).collect();
    let busiest = shares
        .filter(|shares| !shares.is_empty())
        .map(|shares| shares.into_iter().fold(0.0, f64::max));
    check(
        "processors",
        busiest.is_some_and(|share| share <= BUSY_SHARE),
        busiest.map_or_else(not_measured, |share| format!("{:.0} % busy", share * 100.0)),
        format!("≤ {:.0} %", BUSY_SHARE * 100.0),
        "this machine is too slow or too busy for these rates: --scale 2 halves them and doubles the delays",
    )
}

fn not_measured() -> String {
    "not measured".to_owned()
}

/// A rate in Mbit/s.
fn megabits(bits_per_s: u64) -> String {
    format!("{} Mbit/s", bits_per_s / 1_000_000)
}

/// A time in milliseconds with three decimals.
fn micros(ns: u64) -> String {
    let us = ns / 1_000;
    format!("{}.{:03} ms", us / 1_000, us % 1_000)
}

#[cfg(test)]
mod tests;
