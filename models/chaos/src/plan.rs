//! Faults with their timing, and the concrete schedule that is drawn from them.
//!
//! Each fault draws from the random stream of its own name, so another fault moves nothing of it. What is drawn does
//! not depend on what happens in the run: a schedule that was drawn once can be given to another run, another variant
//! of a system or a real network.

use std::collections::BTreeSet;

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::kind::Kind;
use crate::law::Law;
use crate::recovery::Recovery;
use crate::schedule::{Action, Entry, Schedule};

/// How often one fault may be injected in a schedule.
pub const MOST_INJECTIONS: usize = 10_000;
/// How many moments of one fault may be looked at: a probability may let most of them pass.
pub const MOST_TRIALS: u64 = 10_000_000;

/// When a fault strikes. A process begins with the run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Timing {
    /// Once.
    Scripted {
        /// When.
        at: Span,
        /// For how long; none until it is recovered by hand, or for the rest of the run.
        duration: Option<Span>,
    },
    /// A coin at the end of every interval.
    Probabilistic {
        /// The interval.
        every: Span,
        /// Of heads.
        probability: Probability,
        /// For how long; none as in [`Timing::Scripted`].
        duration: Option<Law>,
    },
    /// Up and down in turn (an alternating renewal process). The means of the two laws are the MTTF and the MTTR, and
    /// their sum is the MTBF.
    Alternating {
        /// From the end of one failure to the next.
        between: Law,
        /// How long a failure lasts.
        repair: Law,
    },
    /// Independently of each other (a Poisson process).
    Poisson {
        /// Mean time from one to the next.
        mean_between: Span,
        /// How long each lasts.
        duration: Law,
    },
    /// In clusters (a Bartlett–Lewis process): clusters arrive independently, and after each fault of a cluster another
    /// one follows with a probability.
    Bursts {
        /// Mean time from the beginning of one cluster to the next.
        mean_between: Span,
        /// That another fault follows.
        more: Probability,
        /// How long after it.
        gap: Law,
        /// How long each lasts.
        duration: Law,
    },
}

/// A fault of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spec<T> {
    /// Its name, which no other fault of the plan has.
    pub name: String,
    /// What it strikes.
    pub target: T,
    /// What it does.
    pub kind: Kind,
    /// When it strikes.
    pub timing: Timing,
    /// How it ends.
    pub recovery: Recovery,
    /// When somebody recovers it, where that is needed.
    pub recover_at: Vec<Span>,
}

/// Faults that may be let loose. Nothing is by default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan<T> {
    /// Whether anything is to happen at all.
    pub enabled: bool,
    /// What.
    pub faults: Vec<Spec<T>>,
}

impl<T> Default for Plan<T> {
    fn default() -> Plan<T> {
        Plan {
            enabled: false,
            faults: Vec::new(),
        }
    }
}

/// What was drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drawn<T> {
    /// What happens.
    pub schedule: Schedule<T>,
    /// Injections that fell into the time of the one before of the same fault, and were dropped.
    pub ignored: u64,
    /// Recoveries by hand of something that had not been drawn, and were dropped.
    pub idle_recoveries: u64,
}

impl<T: Clone + Ord> Spec<T> {
    /// Refuses what cannot be drawn from.
    ///
    /// # Errors
    /// As [`Schedule::new`], and for numbers of the timing that are zero or outside their range.
    pub fn check(&self) -> Result<(), Error> {
        self.kind.check()?;
        self.recovery.check(&self.kind)?;
        let zero = |what| {
            Err(Error::Range {
                fault: self.name.clone(),
                what,
            })
        };
        let laws: [Option<&Law>; 2] = match &self.timing {
            Timing::Scripted { .. } => [None, None],
            Timing::Probabilistic { duration, .. } => [duration.as_ref(), None],
            Timing::Alternating { between, repair } => [Some(between), Some(repair)],
            Timing::Poisson { duration, .. } => [Some(duration), None],
            Timing::Bursts { gap, duration, .. } => [Some(gap), Some(duration)],
        };
        if let Some(what) = laws.into_iter().flatten().find_map(Law::fault) {
            return zero(what);
        }
        match &self.timing {
            Timing::Scripted {
                duration: Some(Span::ZERO),
                ..
            } => {
                return Err(Error::NoDuration(self.name.clone()));
            }
            Timing::Probabilistic {
                every: Span::ZERO, ..
            } => return zero("interval"),
            Timing::Poisson {
                mean_between: Span::ZERO,
                ..
            }
            | Timing::Bursts {
                mean_between: Span::ZERO,
                ..
            } => {
                return zero("mean");
            }
            Timing::Probabilistic { probability, .. } if *probability == Probability::ZERO => {
                return zero("probability");
            }
            _ => {}
        }
        let ends = match &self.timing {
            Timing::Scripted { duration, .. } => duration.is_some(),
            Timing::Probabilistic { duration, .. } => duration.is_some(),
            Timing::Alternating { .. } | Timing::Poisson { .. } | Timing::Bursts { .. } => true,
        };
        match self.recovery {
            Recovery::Manual if ends => Err(Error::ManualEnds(self.name.clone())),
            Recovery::Manual => Ok(()),
            _ if self.recover_at.is_empty() => Ok(()),
            _ => Err(Error::NotManual(self.name.clone())),
        }
    }

    /// Every moment at which it would strike before `horizon`, with its duration.
    fn strikes(&self, random: &mut Stream, horizon: Span) -> Result<Vec<(Span, Option<Span>)>, Error> {
        let mut found = Vec::new();
        let mut trials = 0;
        let mut strike = |at: Span, duration: Option<Span>| {
            trials += 1;
            if found.len() >= MOST_INJECTIONS || trials > MOST_TRIALS {
                return Err(Error::TooMany {
                    fault: self.name.clone(),
                    most: MOST_INJECTIONS,
                });
            }
            found.push((at, duration));
            Ok(())
        };
        match &self.timing {
            Timing::Scripted { at, duration } => {
                if *at < horizon {
                    strike(*at, *duration)?;
                }
            }
            Timing::Probabilistic {
                every,
                probability,
                duration,
            } => {
                let intervals = horizon.as_ns().div_ceil(every.as_ns());
                if intervals > MOST_TRIALS {
                    return Err(Error::TooMany {
                        fault: self.name.clone(),
                        most: MOST_INJECTIONS,
                    });
                }
                for n in 1..intervals {
                    if random.chance(*probability) {
                        let duration = duration.as_ref().map(|law| law.draw(random));
                        strike(every.saturating_mul(n), duration)?;
                    }
                }
            }
            Timing::Alternating { between, repair } => {
                let tail = self.recovery.tail(&self.kind);
                let mut now = between.draw(random);
                while now < horizon {
                    let down = repair.draw(random);
                    strike(now, Some(down))?;
                    // It is up again when nothing of the failure is left.
                    let up = now.saturating_add(down).saturating_add(tail);
                    now = up.saturating_add(between.draw(random));
                }
            }
            Timing::Poisson {
                mean_between,
                duration,
            } => {
                let between = Law::Exponential { mean: *mean_between };
                let mut now = between.draw(random);
                while now < horizon {
                    strike(now, Some(duration.draw(random)))?;
                    now = now.saturating_add(between.draw(random));
                }
            }
            Timing::Bursts {
                mean_between,
                more,
                gap,
                duration,
            } => {
                let between = Law::Exponential { mean: *mean_between };
                let mut cluster = between.draw(random);
                while cluster < horizon {
                    let mut now = cluster;
                    while now < horizon {
                        strike(now, Some(duration.draw(random)))?;
                        if !random.chance(*more) {
                            break;
                        }
                        now = now.saturating_add(gap.draw(random));
                    }
                    cluster = cluster.saturating_add(between.draw(random));
                }
                found.sort();
            }
        }
        Ok(found)
    }
}

impl<T: Clone + Ord> Plan<T> {
    /// Refuses what cannot be drawn from.
    ///
    /// # Errors
    /// As [`Spec::check`], and if two faults have one name.
    pub fn check(&self) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        for spec in &self.faults {
            spec.check()?;
            if !names.insert(&spec.name) {
                return Err(Error::SameName(spec.name.clone()));
            }
        }
        Ok(())
    }

    /// What happens before `horizon`. A plan that is not enabled draws nothing.
    ///
    /// A fault that strikes while it is still felt is ignored and counted; so is a recovery by hand that finds nothing
    /// that was drawn at random.
    ///
    /// # Errors
    /// As [`Plan::check`]; if a fault would strike more than [`MOST_INJECTIONS`] times; if a scripted fault is recovered
    /// when it is not injected.
    pub fn draw(&self, streams: &Streams, horizon: Span) -> Result<Drawn<T>, Error> {
        self.check()?;
        let mut drawn = Drawn {
            schedule: Schedule::default(),
            ignored: 0,
            idle_recoveries: 0,
        };
        let mut entries = Vec::new();
        for spec in self.faults.iter().filter(|_| self.enabled) {
            let mut random = streams.stream(&spec.name, "chaos");
            let strikes = spec.strikes(&mut random, horizon)?;
            spec.place(&strikes, horizon, &mut entries, &mut drawn);
        }
        drawn.schedule = Schedule::new(entries)?;
        Ok(drawn)
    }
}

impl<T: Clone + Ord> Spec<T> {
    /// Adds what of its strikes and recoveries does happen.
    fn place(
        &self,
        strikes: &[(Span, Option<Span>)],
        horizon: Span,
        entries: &mut Vec<Entry<T>>,
        drawn: &mut Drawn<T>,
    ) {
        let entry = |at, action| Entry {
            at,
            target: self.target.clone(),
            fault: self.name.clone(),
            action,
        };
        let scripted = matches!(self.timing, Timing::Scripted { .. });
        let tail = self.recovery.tail(&self.kind);
        let recoveries: BTreeSet<Span> = self
            .recover_at
            .iter()
            .copied()
            .filter(|at| *at < horizon)
            .collect();
        // Recoveries come before what strikes at the same moment.
        let mut events: Vec<(Span, bool, Option<Span>)> = Vec::new();
        events.extend(recoveries.into_iter().map(|at| (at, false, None)));
        events.extend(strikes.iter().map(|&(at, duration)| (at, true, duration)));
        events.sort();
        // Until when it is felt: `None` until it is recovered.
        let mut felt_until = Some(Span::ZERO);
        for (at, strikes, duration) in events {
            if !strikes {
                // A scripted recovery of nothing is a mistake, which the schedule refuses.
                if felt_until.is_none() || scripted {
                    entries.push(entry(at, Action::Recover));
                    felt_until = Some(at.saturating_add(tail));
                } else {
                    drawn.idle_recoveries += 1;
                }
            } else if felt_until.is_none_or(|until| at < until) {
                drawn.ignored += 1;
            } else {
                let action = Action::Inject {
                    kind: self.kind,
                    duration,
                    recovery: self.recovery,
                };
                entries.push(entry(at, action));
                felt_until = duration.map(|duration| at.saturating_add(duration).saturating_add(tail));
            }
        }
    }
}
