//! A concrete schedule: every fault at its time, nothing left to chance.

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::kind::Kind;
use crate::recovery::Recovery;

/// A fault strikes, or is recovered by hand. Times count from the start of the run.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Entry<T> {
    /// When.
    pub at: Span,
    /// What it strikes.
    pub target: T,
    /// Name of the fault: recoveries by hand find their injections by it.
    pub fault: String,
    /// What happens.
    pub action: Action,
}

/// What an entry does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Ends what is injected of this fault at this target, in an order before injections of the same moment.
    Recover,
    /// Something happens.
    Inject {
        /// What.
        kind: Kind,
        /// For how long at full strength; none until it is recovered by hand, or for the rest of the run.
        duration: Option<Span>,
        /// How it ends.
        recovery: Recovery,
    },
}

/// Faults in the order of time. Two schedules with the same content are equal however they came about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule<T> {
    entries: Vec<Entry<T>>,
}

impl<T> Default for Schedule<T> {
    /// No faults.
    fn default() -> Schedule<T> {
        Schedule { entries: Vec::new() }
    }
}

/// A fault that has been injected, with its end where that is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Injection<T> {
    /// Name of the fault.
    pub fault: String,
    /// What it strikes.
    pub target: T,
    /// What it does.
    pub kind: Kind,
    /// When it begins.
    pub from: Span,
    /// When its full strength ends; none for never.
    pub until: Option<Span>,
    /// How it ends.
    pub recovery: Recovery,
}

impl<T> Injection<T> {
    /// When the last of it is gone; none for never.
    pub fn gone(&self) -> Option<Span> {
        let tail = self.recovery.tail(&self.kind);
        self.until.map(|until| until.saturating_add(tail))
    }

    /// Whether anything of it is felt at a time.
    pub fn is_felt(&self, at: Span) -> bool {
        self.from <= at && self.gone().is_none_or(|gone| at < gone)
    }
}

impl<T: Clone + Ord> Schedule<T> {
    /// The schedule of these entries, in any order.
    ///
    /// # Errors
    /// What [`Kind::check`] and [`Recovery::check`] refuse, a duration of zero, a duration of what is recovered by hand,
    /// and a recovery where nothing is injected that can be recovered.
    pub fn new(mut entries: Vec<Entry<T>>) -> Result<Schedule<T>, Error> {
        entries.sort();
        let mut open: BTreeMap<(&str, &T), bool> = BTreeMap::new();
        for entry in &entries {
            let key = (entry.fault.as_str(), &entry.target);
            match entry.action {
                Action::Recover => match open.remove(&key) {
                    Some(true) => {}
                    Some(false) => return Err(Error::NotManual(entry.fault.clone())),
                    None => {
                        return Err(Error::NothingToRecover {
                            fault: entry.fault.clone(),
                            at: entry.at,
                        });
                    }
                },
                Action::Inject {
                    kind,
                    duration,
                    recovery,
                } => {
                    kind.check()?;
                    recovery.check(&kind)?;
                    let manual = recovery == Recovery::Manual;
                    if duration == Some(Span::ZERO) {
                        return Err(Error::NoDuration(entry.fault.clone()));
                    }
                    if manual && duration.is_some() {
                        return Err(Error::ManualEnds(entry.fault.clone()));
                    }
                    *open.entry(key).or_default() |= manual;
                }
            }
        }
        Ok(Schedule { entries })
    }

    /// The entries: by time, then by target, then by name, recoveries first.
    pub fn entries(&self) -> &[Entry<T>] {
        &self.entries
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing ever happens.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every injection with its end, in the order of the entries. A recovery ends all of its fault that is injected at
    /// its target by hand.
    pub fn injections(&self) -> Vec<Injection<T>> {
        let mut found: Vec<Injection<T>> = Vec::new();
        let mut open: BTreeMap<(&str, &T), Vec<usize>> = BTreeMap::new();
        for entry in &self.entries {
            let key = (entry.fault.as_str(), &entry.target);
            match entry.action {
                Action::Recover => {
                    for index in open.remove(&key).unwrap_or_default() {
                        found[index].until = Some(entry.at);
                    }
                }
                Action::Inject {
                    kind,
                    duration,
                    recovery,
                } => {
                    if recovery == Recovery::Manual {
                        open.entry(key).or_default().push(found.len());
                    }
                    found.push(Injection {
                        fault: entry.fault.clone(),
                        target: entry.target.clone(),
                        kind,
                        from: entry.at,
                        until: duration.map(|duration| entry.at.saturating_add(duration)),
                        recovery,
                    });
                }
            }
        }
        found
    }

    /// The same faults at other targets.
    pub fn map<U: Clone + Ord>(&self, target: impl Fn(&T) -> U) -> Schedule<U> {
        let entry = |entry: &Entry<T>| Entry {
            at: entry.at,
            target: target(&entry.target),
            fault: entry.fault.clone(),
            action: entry.action,
        };
        let mut entries: Vec<Entry<U>> = self.entries.iter().map(entry).collect();
        entries.sort();
        Schedule { entries }
    }
}
