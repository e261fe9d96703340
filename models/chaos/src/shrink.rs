//! What of a schedule a failure needs: the fewest faults, the shortest run, the weakest and shortest faults.
//!
//! An oracle runs the system and says whether it still fails. The faults are thinned out by delta debugging (Zeller &
//! Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 2002), then the run is shortened, then each
//! fault is made weaker and shorter, and all that again until nothing changes. Nothing is taken for granted about the
//! system: only what the oracle has seen to fail is kept. An oracle that answers the same for the same question leads to
//! the same result.

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use thiserror::Error;

use crate::recovery::Recovery;
use crate::schedule::{Action, Entry, Schedule};

/// What a run says about a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It fails in the way that is looked for.
    Fails,
    /// It does not.
    Passes,
    /// Nobody can tell; taken as if it passed.
    Inconclusive,
}

/// What is left of a schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shrunk<T> {
    /// The faults. Without any one of them the run passes, if [`Shrunk::is_complete`].
    pub schedule: Schedule<T>,
    /// The length of the run.
    pub horizon: Span,
    /// How often the oracle was asked.
    pub calls: u32,
    /// Whether it ended because nothing more could be left out, rather than because the calls were used up.
    pub is_complete: bool,
}

/// Why nothing is shrunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ShrinkError {
    /// The whole schedule does not fail.
    #[error("the run passes with the whole schedule")]
    DoesNotFail,
}

/// How closely the length of a run and of a fault are looked for: within this part of it.
const PRECISION: u64 = 64;
/// Sixteenths to which magnitudes are reduced.
const STRENGTHS: u32 = 16;

/// Shrinks a schedule that fails within `horizon`, with at most `calls` questions to the oracle. `normal` is the rate
/// towards which limits of rate are weakened.
///
/// # Errors
/// [`ShrinkError::DoesNotFail`] if the oracle does not see the whole schedule fail, or may not be asked at all.
pub fn shrink<T: Clone + Ord>(
    schedule: &Schedule<T>,
    horizon: Span,
    normal: BitRate,
    calls: u32,
    oracle: impl FnMut(&Schedule<T>, Span) -> Verdict,
) -> Result<Shrunk<T>, ShrinkError> {
    let mut search = Search {
        oracle,
        asked: BTreeMap::new(),
        calls: 0,
        most: calls,
        atoms: atoms(schedule),
        horizon,
        normal,
    };
    if search.fails(&search.atoms.clone(), horizon) != Ok(true) {
        return Err(ShrinkError::DoesNotFail);
    }
    let is_complete = search.until_nothing_changes().is_ok();
    Ok(Shrunk {
        schedule: joined(&search.atoms),
        horizon: search.horizon,
        calls: search.calls,
        is_complete,
    })
}

/// What is left out together: injections, and the recovery by hand that ends them.
type Atom<T> = Vec<Entry<T>>;

fn atoms<T: Clone + Ord>(schedule: &Schedule<T>) -> Vec<Atom<T>> {
    let mut atoms: Vec<Atom<T>> = Vec::new();
    let mut open: BTreeMap<(&str, &T), usize> = BTreeMap::new();
    for entry in schedule.entries() {
        let key = (entry.fault.as_str(), &entry.target);
        let manual = matches!(
            entry.action,
            Action::Inject {
                recovery: Recovery::Manual,
                ..
            }
        );
        let joins = match entry.action {
            Action::Recover => open.remove(&key),
            Action::Inject { .. } => open.get(&key).copied().filter(|_| manual),
        };
        if let Some(atom) = joins {
            atoms[atom].push(entry.clone());
            continue;
        }
        if manual {
            open.insert(key, atoms.len());
        }
        atoms.push(vec![entry.clone()]);
    }
    atoms
}

fn joined<T: Clone + Ord>(atoms: &[Atom<T>]) -> Schedule<T> {
    let entries = atoms.iter().flatten().cloned().collect();
    Schedule::new(entries).expect("atoms of a schedule are a schedule")
}

/// The calls are used up.
#[derive(PartialEq, Eq, Debug)]
struct UsedUp;

struct Search<T, F> {
    oracle: F,
    /// What has been asked, and whether it failed.
    asked: BTreeMap<(Schedule<T>, Span), bool>,
    calls: u32,
    most: u32,
    /// The smallest that is known to fail.
    atoms: Vec<Atom<T>>,
    horizon: Span,
    normal: BitRate,
}

impl<T: Clone + Ord, F: FnMut(&Schedule<T>, Span) -> Verdict> Search<T, F> {
    fn fails(&mut self, atoms: &[Atom<T>], horizon: Span) -> Result<bool, UsedUp> {
        let key = (joined(atoms), horizon);
        if let Some(&fails) = self.asked.get(&key) {
            return Ok(fails);
        }
        if self.calls == self.most {
            return Err(UsedUp);
        }
        self.calls += 1;
        let fails = (self.oracle)(&key.0, horizon) == Verdict::Fails;
        self.asked.insert(key, fails);
        Ok(fails)
    }

    fn until_nothing_changes(&mut self) -> Result<(), UsedUp> {
        loop {
            let before = (self.atoms.clone(), self.horizon);
            self.fewer()?;
            self.shorter()?;
            self.weaker()?;
            if (&self.atoms, self.horizon) == (&before.0, before.1) {
                return Ok(());
            }
        }
    }

    /// Delta debugging over the atoms.
    fn fewer(&mut self) -> Result<(), UsedUp> {
        if self.fails(&[], self.horizon)? {
            self.atoms.clear();
            return Ok(());
        }
        let mut parts = 2;
        while self.atoms.len() >= 2 {
            let size = self.atoms.len().div_ceil(parts);
            let chunks: Vec<Vec<Atom<T>>> = self.atoms.chunks(size).map(<[_]>::to_vec).collect();
            let mut smaller = None;
            for chunk in &chunks {
                if self.fails(chunk, self.horizon)? {
                    smaller = Some((chunk.clone(), 2));
                    break;
                }
            }
            for left_out in 0..chunks.len() {
                if smaller.is_some() {
                    break;
                }
                let others = chunks.iter().enumerate().filter(|(index, _)| *index != left_out);
                let rest: Vec<Atom<T>> = others.flat_map(|(_, chunk)| chunk.clone()).collect();
                if self.fails(&rest, self.horizon)? {
                    smaller = Some((rest, (parts - 1).max(2)));
                }
            }
            match smaller {
                Some((atoms, next)) => (self.atoms, parts) = (atoms, next),
                None if parts >= self.atoms.len() => break,
                None => parts = (parts * 2).min(self.atoms.len()),
            }
        }
        Ok(())
    }

    /// A run that ends earlier, by bisection of what comes after the last fault begins.
    fn shorter(&mut self) -> Result<(), UsedUp> {
        let last = self.atoms.iter().flatten().map(|entry| entry.at).max();
        let (mut passes, mut fails) = (last.unwrap_or(Span::ZERO), self.horizon);
        while let Some(middle) = between(passes, fails) {
            if self.fails(&self.atoms.clone(), middle)? {
                self.horizon = middle;
                fails = middle;
            } else {
                passes = middle;
            }
        }
        Ok(())
    }

    /// Each fault weaker, shorter, and without fading.
    fn weaker(&mut self) -> Result<(), UsedUp> {
        for atom in 0..self.atoms.len() {
            for entry in 0..self.atoms[atom].len() {
                self.weaken(atom, entry)?;
                self.curtail(atom, entry)?;
            }
        }
        Ok(())
    }

    /// Whether it still fails with another action there, which is then kept.
    fn with(&mut self, atom: usize, entry: usize, action: Action) -> Result<bool, UsedUp> {
        let mut atoms = self.atoms.clone();
        atoms[atom][entry].action = action;
        let fails = self.fails(&atoms, self.horizon)?;
        if fails {
            self.atoms = atoms;
        }
        Ok(fails)
    }

    fn weaken(&mut self, atom: usize, entry: usize) -> Result<(), UsedUp> {
        let Action::Inject {
            kind,
            duration,
            recovery,
        } = self.atoms[atom][entry].action
        else {
            return Ok(());
        };
        if !kind.has_magnitude() {
            return Ok(());
        }
        let (mut passes, mut fails) = (0, STRENGTHS);
        while fails - passes > 1 {
            let middle = (passes + fails) / 2;
            let weaker = kind.scaled(middle, STRENGTHS, self.normal);
            let action = weaker.map(|kind| Action::Inject {
                kind,
                duration,
                recovery,
            });
            let still = match action {
                Some(action) if action != self.atoms[atom][entry].action => self.with(atom, entry, action)?,
                _ => false,
            };
            if still {
                fails = middle;
            } else {
                passes = middle;
            }
        }
        Ok(())
    }

    fn curtail(&mut self, atom: usize, entry: usize) -> Result<(), UsedUp> {
        let Action::Inject {
            kind,
            duration,
            recovery,
        } = self.atoms[atom][entry].action
        else {
            return Ok(());
        };
        if let Recovery::Gradual(_) = recovery {
            let recovery = Recovery::Automatic;
            self.with(
                atom,
                entry,
                Action::Inject {
                    kind,
                    duration,
                    recovery,
                },
            )?;
        }
        let Action::Inject { recovery, .. } = self.atoms[atom][entry].action else {
            return Ok(());
        };
        let Some(mut fails) = duration else { return Ok(()) };
        let mut passes = Span::ZERO;
        while let Some(middle) = between(passes, fails) {
            let duration = Some(middle);
            if self.with(
                atom,
                entry,
                Action::Inject {
                    kind,
                    duration,
                    recovery,
                },
            )? {
                fails = middle;
            } else {
                passes = middle;
            }
        }
        Ok(())
    }
}

/// Half way, unless the two are as close as they need to be.
fn between(low: Span, high: Span) -> Option<Span> {
    let gap = high.saturating_sub(low).as_ns();
    (gap > (high.as_ns() / PRECISION).max(1)).then(|| low.saturating_add(Span::from_ns(gap / 2)))
}
