//! Swarm testing: each seed gets its own few kinds of faults, with its own magnitudes.
//!
//! A schedule with every kind of fault at once hides what a single one of them would show: a breaker never closes again
//! when the link is always slow (Groce et al., "Swarm Testing", ISSTA 2012; the simulator of TigerBeetle draws its
//! options in the same way).

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;

use crate::error::Error;
use crate::kind::Kind;
use crate::recovery::Recovery;
use crate::schedule::{Action, Entry, Schedule};

/// A kind of fault that may take part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate<T> {
    /// Its name, which no other candidate has: it draws from the random stream of that name.
    pub name: String,
    /// What it may strike.
    pub targets: Vec<T>,
    /// It at its strongest.
    pub strongest: Kind,
    /// What its targets carry without it, for a limit of rate.
    pub normal: BitRate,
}

/// How wild a swarm may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swarm {
    /// The first moment at which something may strike.
    pub from: Span,
    /// Nothing strikes then or later.
    pub until: Span,
    /// Shortest duration.
    pub shortest: Span,
    /// Longest duration.
    pub longest: Span,
    /// How often a candidate that takes part strikes at most.
    pub most: u32,
}

/// Sixteenths in which magnitudes are drawn.
const STRENGTHS: u32 = 16;

impl Swarm {
    /// The schedule of these streams: each candidate takes part with probability one half, and at least one does. One
    /// that takes part strikes one to [`Swarm::most`] times, with one strength, each time at a target of its own choice,
    /// at a uniform time, for a time that is uniform in its logarithm. An empty list of targets takes no part.
    ///
    /// # Errors
    /// As [`Schedule::new`], for a candidate without effect.
    pub fn draw<T: Clone + Ord>(
        &self,
        candidates: &[Candidate<T>],
        streams: &Streams,
    ) -> Result<Schedule<T>, Error> {
        let candidates: Vec<&Candidate<T>> =
            candidates.iter().filter(|one| !one.targets.is_empty()).collect();
        if candidates.is_empty() || self.until <= self.from || self.most == 0 {
            return Ok(Schedule::default());
        }
        let mut own: Vec<Stream> = candidates
            .iter()
            .map(|candidate| streams.stream(&candidate.name, "swarm"))
            .collect();
        // Each draws a lot of its own. One below the middle takes part, and otherwise the lowest does.
        let lots: Vec<u64> = own.iter_mut().map(Stream::u64).collect();
        let lowest = lots.iter().copied().min().unwrap_or(u64::MAX);
        let takes_part = lots.iter().map(|lot| *lot < u64::MAX / 2 || *lot == lowest);
        let mut entries = Vec::new();
        for ((candidate, random), takes_part) in candidates.iter().zip(&mut own).zip(takes_part) {
            if takes_part {
                self.strikes(candidate, random, &mut entries);
            }
        }
        Schedule::new(entries)
    }

    fn strikes<T: Clone>(&self, candidate: &Candidate<T>, random: &mut Stream, entries: &mut Vec<Entry<T>>) {
        let strength = 1 + random.below(u64::from(STRENGTHS)) as u32;
        let scaled = candidate.strongest.scaled(strength, STRENGTHS, candidate.normal);
        // What is too weak to be anything is taken as it is.
        let kind = scaled.unwrap_or(candidate.strongest);
        for _ in 0..=random.below(u64::from(self.most)) {
            let target = &candidate.targets[random.below(candidate.targets.len() as u64) as usize];
            let window = self.until.saturating_sub(self.from).as_ns();
            let at = self.from.saturating_add(Span::from_ns(random.below(window)));
            entries.push(Entry {
                at,
                target: target.clone(),
                fault: candidate.name.clone(),
                action: Action::Inject {
                    kind,
                    duration: Some(self.duration(random)),
                    recovery: Recovery::Automatic,
                },
            });
        }
    }

    fn duration(&self, random: &mut Stream) -> Span {
        let shortest = self.shortest.max(Span::from_ns(1));
        let ratio = self.longest.max(shortest).as_ns() as f64 / shortest.as_ns() as f64;
        let ns = shortest.as_ns() as f64 * libm::pow(ratio, random.unit());
        Span::from_ns(libm::round(ns) as u64).clamp(shortest, self.longest.max(shortest))
    }
}
