//! What is felt at a target while several faults act on it at once.
//!
//! Of levels the strongest wins: two faults that each add 100 ms add 100 ms, and one within another is felt as far as it
//! is the stronger one. What is cut or down is counted, and is whole again when the last cause is gone. So it does not
//! matter in which order faults begin or end.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};

use crate::kind::{Direction, Kind, Loses, Slowdown};
use crate::recovery::Recovery;
use crate::schedule::{Injection, Schedule};

/// What is felt at a target. The default is a target without faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effective {
    /// Partitions that let nothing leave.
    pub outbound_cuts: u32,
    /// Partitions that let nothing arrive.
    pub inbound_cuts: u32,
    /// Crashes.
    pub crashes: u32,
    /// The most that a crash loses.
    pub loses: Option<Loses>,
    /// Outages of a region or of a shared risk.
    pub outages: u32,
    /// Added to each passage.
    pub latency: Span,
    /// Added to it at random.
    pub jitter: Span,
    /// Of each packet.
    pub loss: Probability,
    /// All that passes, if that is limited.
    pub bandwidth: Option<BitRate>,
    /// Causes for which a disk has no space left.
    pub full_disks: u32,
    /// Causes for which a disk does nothing.
    pub failed_disks: u32,
    /// How much longer a disk takes.
    pub disk: Slowdown,
    /// The share of the memory that something else has.
    pub memory: Probability,
    /// The share of the processor time that something else has.
    pub cpu: Probability,
    /// Nanoseconds by which a clock is fast: the larger of skew and drift so far, whichever sign.
    pub clock_ns: i64,
    /// Of these, those of a skew: the larger, whichever sign.
    pub skew_ns: i64,
    /// Nanoseconds that a clock gains in each second (parts per 10⁹): the larger, whichever sign.
    pub drift_ppb: i64,
    /// Causes for which names are not resolved.
    pub dns_failures: u32,
    /// Since when names resolve to what they meant then.
    pub dns_stale_since: Option<Span>,
    /// Requests that fail at once.
    pub errors: Probability,
    /// Requests that get no answer.
    pub timeouts: Probability,
    /// After what time they are given up: the longest.
    pub timeout_after: Span,
    /// Requests that end the process.
    pub panics: Probability,
    /// Bytes that have leaked so far, of the largest leak.
    pub leaked: u64,
    /// Requests or packets that suffer unnoticed.
    pub gray: Probability,
    /// What they then take longer.
    pub gray_extra: Span,
}

impl Default for Effective {
    fn default() -> Effective {
        Effective {
            outbound_cuts: 0,
            inbound_cuts: 0,
            crashes: 0,
            loses: None,
            outages: 0,
            latency: Span::ZERO,
            jitter: Span::ZERO,
            loss: Probability::ZERO,
            bandwidth: None,
            full_disks: 0,
            failed_disks: 0,
            disk: Slowdown::NONE,
            memory: Probability::ZERO,
            cpu: Probability::ZERO,
            clock_ns: 0,
            skew_ns: 0,
            drift_ppb: 0,
            dns_failures: 0,
            dns_stale_since: None,
            errors: Probability::ZERO,
            timeouts: Probability::ZERO,
            timeout_after: Span::ZERO,
            panics: Probability::ZERO,
            leaked: 0,
            gray: Probability::ZERO,
            gray_extra: Span::ZERO,
        }
    }
}

impl Effective {
    /// Whether nothing leaves.
    pub fn is_silent(&self) -> bool {
        self.outbound_cuts > 0 || self.is_down()
    }

    /// Whether nothing arrives.
    pub fn is_deaf(&self) -> bool {
        self.inbound_cuts > 0 || self.is_down()
    }

    /// Whether it does nothing at all.
    pub fn is_down(&self) -> bool {
        self.crashes > 0 || self.outages > 0
    }

    /// Adds what has been felt of `kind` for a time `since`, in a run that has taken `now`.
    fn add(&mut self, kind: &Kind, from: Span, now: Span) {
        let since = now.saturating_sub(from);
        match *kind {
            Kind::Partition(direction) => {
                self.outbound_cuts += u32::from(direction != Direction::Inbound);
                self.inbound_cuts += u32::from(direction != Direction::Outbound);
            }
            Kind::Latency { extra, jitter } => {
                self.latency = self.latency.max(extra);
                self.jitter = self.jitter.max(jitter);
            }
            Kind::Loss { probability } => self.loss = self.loss.max(probability),
            Kind::Bandwidth { rate } => {
                self.bandwidth = Some(self.bandwidth.map_or(rate, |other| other.min(rate)));
            }
            Kind::Crash { loses, .. } => {
                self.crashes += 1;
                self.loses = self.loses.max(Some(loses));
            }
            Kind::DiskFull => self.full_disks += 1,
            Kind::DiskSlow { slowdown } => self.disk = self.disk.max(slowdown),
            Kind::DiskFailed => self.failed_disks += 1,
            Kind::MemoryPressure { share } => self.memory = self.memory.max(share),
            Kind::CpuStarvation { share } => self.cpu = self.cpu.max(share),
            Kind::ClockSkew { ns } => {
                self.clock_ns = further(self.clock_ns, ns);
                self.skew_ns = further(self.skew_ns, ns);
            }
            Kind::ClockDrift { ppb } => {
                let gained = i128::from(ppb) * i128::from(since.as_ns()) / 1_000_000_000;
                let gained = gained.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
                self.clock_ns = further(self.clock_ns, gained);
                self.drift_ppb = further(self.drift_ppb, ppb);
            }
            Kind::DnsFailure => self.dns_failures += 1,
            Kind::DnsStale => {
                self.dns_stale_since = Some(self.dns_stale_since.map_or(from, |other| other.min(from)));
            }
            Kind::Errors { probability } => self.errors = self.errors.max(probability),
            Kind::Timeouts { probability, after } => {
                self.timeouts = self.timeouts.max(probability);
                self.timeout_after = self.timeout_after.max(after);
            }
            Kind::Panics { probability } => self.panics = self.panics.max(probability),
            Kind::Leak { bytes_per_s } => {
                let bytes = u128::from(bytes_per_s) * u128::from(since.as_ns()) / 1_000_000_000;
                self.leaked = self.leaked.max(u64::try_from(bytes).unwrap_or(u64::MAX));
            }
            Kind::Gray { probability, extra } => {
                self.gray = self.gray.max(probability);
                self.gray_extra = self.gray_extra.max(extra);
            }
            Kind::RegionOutage | Kind::SharedRiskOutage => self.outages += 1,
        }
    }
}

/// Of two clocks the one that is further off wins; of two that are equally far off, the one that is fast.
fn further(one: i64, other: i64) -> i64 {
    if (other.unsigned_abs(), other) > (one.unsigned_abs(), one) {
        other
    } else {
        one
    }
}

/// What a schedule makes felt, target by target.
#[derive(Clone, Debug)]
pub struct Overlay<T> {
    by_target: BTreeMap<T, Vec<Laid<T>>>,
    /// Nothing is felt from then on.
    end: Option<Span>,
}

/// An injection among those of its target, in the order of their beginnings.
#[derive(Clone, Debug)]
struct Laid<T> {
    injection: Injection<T>,
    /// When the last of it and of all before it is gone.
    all_gone: Span,
}

impl<T: Clone + Ord> Overlay<T> {
    /// The overlay of a schedule.
    pub fn new(schedule: &Schedule<T>) -> Overlay<T> {
        let mut by_target: BTreeMap<T, Vec<Laid<T>>> = BTreeMap::new();
        for injection in schedule.injections() {
            let laid = by_target.entry(injection.target.clone()).or_default();
            let before = laid.last().map_or(Span::ZERO, |last| last.all_gone);
            let all_gone = injection.gone().unwrap_or(Span::MAX).max(before);
            laid.push(Laid { injection, all_gone });
        }
        Overlay { by_target, end: None }
    }

    /// The overlay of faults that all end at this time, whatever they are doing, and after which none strikes.
    #[must_use]
    pub fn ending_at(self, end: Span) -> Overlay<T> {
        let end = Some(self.end.map_or(end, |other| other.min(end)));
        Overlay { end, ..self }
    }

    fn of(&self, target: &T) -> &[Laid<T>] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    /// What is felt at a target at a time; what begins then is felt, and what ends then is not. `normal` is the rate of
    /// the target without faults, to which a limit that fades returns.
    pub fn effective(&self, target: &T, at: Span, normal: BitRate) -> Effective {
        let mut effective = Effective::default();
        if self.end.is_some_and(|end| end <= at) {
            return effective;
        }
        let laid = self.of(target);
        let begun = laid.partition_point(|laid| laid.injection.from <= at);
        let recent = laid[..begun].iter().rev();
        let recent = recent
            .take_while(|laid| laid.all_gone > at)
            .map(|laid| &laid.injection);
        for injection in recent.filter(|injection| injection.is_felt(at)) {
            let after = injection
                .until
                .map(|until| (until <= at).then(|| at.saturating_sub(until)));
            let left = match (injection.recovery, after.flatten()) {
                (Recovery::Gradual(gradual), Some(after)) => gradual.left(&injection.kind, after, normal),
                _ => Some(injection.kind),
            };
            if let Some(kind) = left {
                effective.add(&kind, injection.from, at);
            }
        }
        effective
    }

    /// The times at which something begins, weakens by a step or ends at a target, in order. Between two of them only
    /// what grows with time changes: the clock of a drift, and what has leaked.
    pub fn changes(&self, target: &T) -> Vec<Span> {
        let mut times = BTreeSet::new();
        for Laid { injection, .. } in self.of(target) {
            times.insert(injection.from);
            if let (Some(until), Recovery::Gradual(gradual)) = (injection.until, injection.recovery) {
                let steps = (1..u64::from(gradual.steps))
                    .map(|n| until.saturating_add(gradual.step.saturating_mul(n)));
                times.extend(steps);
            }
            times.extend(injection.gone());
        }
        if let Some(end) = self.end {
            times.retain(|at| *at < end);
            let goes_on = |injection: &Injection<T>| {
                injection.from < end && injection.gone().is_none_or(|gone| end < gone)
            };
            if self.of(target).iter().any(|laid| goes_on(&laid.injection)) {
                times.insert(end);
            }
        }
        times.into_iter().collect()
    }

    /// Every target that is ever struck, in order.
    pub fn targets(&self) -> Vec<T> {
        self.by_target.keys().cloned().collect()
    }
}
