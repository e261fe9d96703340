//! Health checks: when to ask, how long to wait for the answer, and when so many answers make a thing unhealthy or
//! healthy. Asking is the caller's work.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use longhaul_core::time::{Instant, Span};

use crate::check::{Check, FieldError};

/// So many of the last so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutOf {
    /// How many; 1 to `n`.
    pub k: u32,
    /// Of how many; 1 to 64.
    pub n: u32,
}

/// What a check asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Probe {
    /// Whether the thing answers.
    Ping,
    /// For a value, which must not lie outside these bounds nor be no number at all.
    Threshold {
        /// The lowest good value.
        least: f64,
        /// The highest good value.
        most: f64,
    },
    /// Nothing: it is healthy if all of these checks, by their places and before its own, are.
    Composite(Vec<usize>),
}

/// How a check works.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthConfig {
    /// What it is called.
    pub name: String,
    /// What it asks.
    pub probe: Probe,
    /// How often it asks; above zero. Of no meaning for a composite.
    pub interval: Span,
    /// How long it waits: an answer after that, or at that very time, is a failure; above zero, at most `interval`.
    pub timeout: Span,
    /// It becomes unhealthy when so many of the last so many answers are failures.
    pub fall: OutOf,
    /// It becomes healthy when so many of the last so many answers are good.
    pub rise: OutOf,
}

impl HealthConfig {
    /// Every 10 s with a timeout of 5 s; two failures of the last three, two good answers of the last two.
    pub fn new(name: &str, probe: Probe) -> HealthConfig {
        HealthConfig {
            name: name.to_owned(),
            probe,
            interval: Span::from_s(10),
            timeout: Span::from_s(5),
            fall: OutOf { k: 2, n: 3 },
            rise: OutOf { k: 2, n: 2 },
        }
    }

    /// Whether the check, the `place`-th of its monitor, can work.
    ///
    /// # Errors
    /// Times and counts of zero or beyond sense, more than there are, bounds that no value keeps, and a composite of
    /// nothing or of checks that do not stand before it.
    pub fn check(&self, place: usize) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        match &self.probe {
            Probe::Ping => {}
            Probe::Threshold { least, most } => {
                // Written so that what is no number is refused as well.
                if !matches!(least.partial_cmp(most), Some(o) if o.is_le()) {
                    check.contradiction("probe.least", "no value lies between least and most");
                }
            }
            Probe::Composite(parts) => {
                if parts.is_empty() || parts.iter().any(|part| *part >= place) {
                    check.contradiction("probe", "a composite needs checks, all of which stand before it");
                }
            }
        }
        check.span("interval", self.interval);
        check.span("timeout", self.timeout);
        if self.timeout > self.interval {
            check.contradiction("timeout", "is longer than the interval");
        }
        check.count("fall.n", self.fall.n, 64);
        check.count("fall.k", self.fall.k, self.fall.n.clamp(1, 64));
        check.count("rise.n", self.rise.n, 64);
        check.count("rise.k", self.rise.k, self.rise.n.clamp(1, 64));
        check.done()
    }
}

/// What a check's question got.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Reply {
    /// It answers.
    Alive,
    /// It does not, or refuses.
    Dead,
    /// The value that was asked for.
    Value(f64),
}

/// Why a check's standing changed.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub enum HealthCause {
    /// Enough good answers.
    Good,
    /// The last of enough failures: no answer in time.
    NoAnswer,
    /// The last of enough failures: a refusal, or an answer to another question than was asked.
    Refused,
    /// The last of enough failures: a value out of bounds.
    OutOfBounds(f64),
    /// The first of its parts that is unhealthy, by its place.
    Part(usize),
    /// All of its parts are healthy.
    Parts,
}

/// What a monitor asks for.
#[must_use]
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum HealthOutput {
    /// Ask, and hand the answer to [`Monitor::answer`].
    Ask {
        /// Which check, by its place.
        check: usize,
        /// Which question of this check, from 1.
        round: u64,
    },
    /// A check's standing changed.
    Changed {
        /// Which check, by its place.
        check: usize,
        /// What it is now.
        healthy: bool,
        /// Why.
        cause: HealthCause,
    },
    /// Nothing more for now; call [`Monitor::wake`] at this time at the latest.
    WakeAt {
        /// When.
        at: Instant,
    },
    /// Nothing more: there is nothing to ask.
    Idle,
}

#[derive(Clone, Debug)]
struct Watched {
    config: HealthConfig,
    healthy: bool,
    /// The last 64 answers, the newest lowest; set is a failure.
    failures: u64,
    answers: u32,
    round: u64,
    asked: Option<Instant>,
    next: Instant,
}

/// Several health checks.
#[derive(Clone, Debug)]
pub struct Monitor {
    checks: Vec<Watched>,
    outputs: VecDeque<HealthOutput>,
}

impl Monitor {
    /// Everything is healthy to begin with, and asked from `now` on. The configurations should have passed their checks.
    pub fn new(now: Instant, checks: impl IntoIterator<Item = HealthConfig>) -> Monitor {
        let watched = |config| Watched {
            config,
            healthy: true,
            failures: 0,
            answers: 0,
            round: 0,
            asked: None,
            next: now,
        };
        let mut monitor = Monitor {
            checks: checks.into_iter().map(watched).collect(),
            outputs: VecDeque::new(),
        };
        monitor.wake(now);
        monitor
    }

    /// Whether a check is healthy.
    pub fn is_healthy(&self, check: usize) -> bool {
        self.checks[check].healthy
    }

    /// Whether all of them are.
    pub fn all_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.healthy)
    }

    /// Time passed.
    pub fn wake(&mut self, now: Instant) {
        for place in 0..self.checks.len() {
            let check = &mut self.checks[place];
            if matches!(check.config.probe, Probe::Composite(_)) {
                continue;
            }
            let timeout = check.config.timeout;
            if check
                .asked
                .is_some_and(|asked| now.saturating_since(asked) >= timeout)
            {
                check.asked = None;
                self.judge(place, Some(HealthCause::NoAnswer));
            }
            let check = &mut self.checks[place];
            if check.asked.is_none() && now >= check.next {
                check.asked = Some(now);
                check.round += 1;
                check.next = now.saturating_add(check.config.interval);
                let (check, round) = (place, check.round);
                self.outputs.push_back(HealthOutput::Ask { check, round });
            }
        }
    }

    /// An answer came. One that is late, or to no question, changes nothing.
    pub fn answer(&mut self, now: Instant, check: usize, round: u64, reply: Reply) {
        self.wake(now);
        let Some(watched) = self.checks.get_mut(check) else {
            return;
        };
        if watched.round != round || watched.asked.take().is_none() {
            return;
        }
        let failure = match (&watched.config.probe, reply) {
            (Probe::Ping, Reply::Alive) => None,
            (Probe::Threshold { least, most }, Reply::Value(value)) => {
                let good = value >= *least && value <= *most;
                (!good).then_some(HealthCause::OutOfBounds(value))
            }
            _ => Some(HealthCause::Refused),
        };
        self.judge(check, failure);
    }

    fn judge(&mut self, place: usize, failure: Option<HealthCause>) {
        let check = &mut self.checks[place];
        check.failures = check.failures << 1 | u64::from(failure.is_some());
        check.answers = (check.answers + 1).min(64);
        let last = |n: u32| check.failures & (u64::MAX >> (64 - n.clamp(1, 64)));
        let (fall, rise) = (check.config.fall, check.config.rise);
        let failed = last(fall.n).count_ones();
        let good = rise.n.min(check.answers) - last(rise.n.min(check.answers)).count_ones();
        match failure {
            Some(cause) if check.healthy && failed >= fall.k => self.change(place, false, cause),
            None if !check.healthy && good >= rise.k => self.change(place, true, HealthCause::Good),
            _ => {}
        }
    }

    fn change(&mut self, place: usize, healthy: bool, cause: HealthCause) {
        self.checks[place].healthy = healthy;
        let changed = HealthOutput::Changed {
            check: place,
            healthy,
            cause,
        };
        self.outputs.push_back(changed);
        for other in place + 1..self.checks.len() {
            let Probe::Composite(parts) = &self.checks[other].config.probe else {
                continue;
            };
            if !parts.contains(&place) {
                continue;
            }
            let bad = parts.iter().copied().find(|part| !self.checks[*part].healthy);
            if self.checks[other].healthy == bad.is_some() {
                let cause = bad.map_or(HealthCause::Parts, HealthCause::Part);
                self.change(other, bad.is_none(), cause);
            }
        }
    }

    /// What to do next; drain it until it answers [`HealthOutput::WakeAt`] or [`HealthOutput::Idle`].
    pub fn poll(&mut self) -> HealthOutput {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let due = |check: &Watched| match check.asked {
            Some(asked) => asked.saturating_add(check.config.timeout),
            None => check.next,
        };
        let asking = |check: &&Watched| !matches!(check.config.probe, Probe::Composite(_));
        match self.checks.iter().filter(asking).map(due).min() {
            Some(at) => HealthOutput::WakeAt { at },
            None => HealthOutput::Idle,
        }
    }
}
