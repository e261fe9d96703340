//! The processor of a server: jobs share its cores, each at most one core at a time, and all get as much.
//!
//! That is processor sharing (Kleinrock, "Queueing Systems", volume 2, chapter 4). A clock of attained service runs at
//! the rate that each job gets; a job ends when that clock has advanced by its work. So neither a change of speed nor
//! one of the number of jobs touches the jobs themselves. With no more jobs than cores each job has its own core.

use std::collections::BTreeMap;

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

/// Parts of a nanosecond of work in which attained service is counted.
const PARTS: u64 = 1_000_000;

/// See the module.
pub(crate) struct Processor {
    cores: u32,
    /// What each core does in a nanosecond, in parts; at most [`PARTS`].
    speed: u64,
    /// Service attained since the beginning by a job that was always there, in parts.
    attained: u128,
    updated: Instant,
    /// Jobs by where they end; the second number keeps those that end together in their order.
    running: BTreeMap<(u128, u64), u32>,
    next: u64,
    /// Time for which cores were in use, summed over cores, in nanoseconds times parts of a core.
    busy: u128,
}

/// Where a job stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(u128, u64);

impl Processor {
    pub fn new(cores: u32) -> Processor {
        Processor {
            cores,
            speed: PARTS,
            attained: 0,
            updated: Instant::ZERO,
            running: BTreeMap::new(),
            next: 0,
            busy: 0,
        }
    }

    /// What each job gets, in parts.
    fn rate(&self) -> u64 {
        let jobs = self.running.len() as u64;
        if jobs <= u64::from(self.cores) {
            self.speed
        } else {
            self.speed * u64::from(self.cores) / jobs
        }
    }

    /// Time passes.
    pub fn advance(&mut self, now: Instant) {
        let passed = now.saturating_since(self.updated).as_ns();
        if passed == 0 {
            return;
        }
        self.updated = now;
        if !self.running.is_empty() {
            let rate = self.rate();
            self.attained += u128::from(passed) * u128::from(rate);
            self.busy += u128::from(passed) * u128::from(rate) * self.running.len() as u128;
        }
    }

    /// The share of the processor that is left. Time must have been advanced.
    pub fn set_speed(&mut self, share: Probability) {
        self.speed = share.as_parts() / (Probability::PARTS / PARTS);
    }

    /// A job begins. Time must have been advanced.
    pub fn start(&mut self, job: u32, work: Span) -> Place {
        let place = Place(
            self.attained + u128::from(work.as_ns()) * u128::from(PARTS),
            self.next,
        );
        self.next += 1;
        self.running.insert((place.0, place.1), job);
        place
    }

    /// A job ends before its time.
    pub fn stop(&mut self, place: Place) {
        self.running.remove(&(place.0, place.1));
    }

    /// The next job that has had its work.
    pub fn pop(&mut self) -> Option<u32> {
        let entry = self.running.first_entry()?;
        (entry.key().0 <= self.attained).then(|| entry.remove())
    }

    /// When the next job ends if nothing changes before; `None` if nothing runs or the processor stands still.
    pub fn next_end(&self) -> Option<Instant> {
        let ((end, _), _) = self.running.first_key_value()?;
        let missing = end.saturating_sub(self.attained);
        let rate = u128::from(self.rate());
        if rate == 0 {
            return (missing == 0).then_some(self.updated);
        }
        let ns = u64::try_from(missing.div_ceil(rate)).unwrap_or(u64::MAX);
        Some(self.updated.saturating_add(Span::from_ns(ns)))
    }

    /// All jobs are gone.
    pub fn clear(&mut self) {
        self.running.clear();
    }

    /// Work done so far: time of one core at full speed.
    pub fn done(&self) -> Span {
        Span::from_ns(u64::try_from(self.busy / u128::from(PARTS)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    /// When jobs end, told of nothing but its own ends.
    fn ends(processor: &mut Processor) -> Vec<(u32, u64)> {
        let mut ends = Vec::new();
        while let Some(end) = processor.next_end() {
            processor.advance(end);
            while let Some(job) = processor.pop() {
                ends.push((job, end.as_ns() / 1_000_000));
            }
        }
        ends
    }

    #[test]
    fn jobs_have_a_core_each_until_there_are_more_jobs() {
        let mut processor = Processor::new(2);
        processor.advance(at(100));
        for (job, work) in [(1, 10), (2, 20)] {
            processor.start(job, Span::from_ms(work));
        }
        assert_eq!(ends(&mut processor), [(1, 110), (2, 120)]);
        // Three jobs of 10, 20 and 30 on two cores: 2/3 each until the first ends at 15, then one core each.
        let mut processor = Processor::new(2);
        for (job, work) in [(1, 10), (2, 20), (3, 30)] {
            processor.start(job, Span::from_ms(work));
        }
        assert_eq!(ends(&mut processor), [(1, 15), (2, 25), (3, 35)]);
        assert!(processor.done().as_ns().abs_diff(60_000_000) < 100);
    }

    #[test]
    fn a_change_of_speed_takes_effect_on_what_is_left() {
        let mut processor = Processor::new(1);
        processor.start(7, Span::from_ms(10));
        processor.advance(at(4));
        processor.set_speed(Probability::from_ratio(1, 4).expect("a share"));
        processor.advance(at(8));
        processor.set_speed(Probability::ZERO);
        assert_eq!(processor.next_end(), None);
        processor.advance(at(50));
        processor.set_speed(Probability::ONE);
        // 4 + 1 are done, 5 are left.
        assert_eq!(ends(&mut processor), [(7, 55)]);
    }

    #[test]
    fn a_job_that_is_stopped_leaves_its_share_to_others() {
        let mut processor = Processor::new(1);
        let first = processor.start(1, Span::from_ms(10));
        processor.start(2, Span::from_ms(10));
        processor.advance(at(10));
        processor.stop(first);
        assert_eq!(ends(&mut processor), [(2, 15)]);
    }
}
