//! Quantities that change at given times: steps, once or periodically.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use thiserror::Error;

use crate::loss::Loss;

/// What changes at one moment; what is `None` stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// When, after the start of the run or of the period.
    pub at: Span,
    /// New rate. Zero is an outage: frames wait, and the one in service stands still.
    pub rate: Option<BitRate>,
    /// New propagation delay, for frames that leave the serialiser from then on. Without reordering none
    /// overtakes one that left before.
    pub delay: Option<Span>,
    /// New loss law, for frames offered from then on. A Gilbert–Elliott chain starts anew.
    pub loss: Option<Loss>,
    /// New MTU, for frames offered from then on.
    pub mtu: Option<u32>,
}

/// Steps in the order of their times. The link's own values hold until the first step that changes them and,
/// with a period, again from the start of every period.
///
/// A frame that is in service when the rate changes goes on at the new rate from that instant, to the bit.
/// (netem computes a frame's time when it is enqueued, so that a change leaves the queue as it was.)
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Steps {
    steps: Vec<Step>,
    period: Option<Span>,
}

/// Why a list of steps is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum StepsError {
    /// No step at all.
    #[error("no step")]
    Empty,
    /// More than [`Steps::MOST`].
    #[error("{0} steps: at most {most} are allowed", most = Steps::MOST)]
    TooMany(usize),
    /// A step that is not later than the one before it.
    #[error("step {0} is not later than the one before it")]
    OutOfOrder(usize),
    /// A step that the period does not reach.
    #[error("step {0} lies at or beyond the end of the period")]
    BeyondPeriod(usize),
}

impl Steps {
    /// Most steps of one list: it bounds the memory that a file can ask for.
    pub const MOST: usize = 1 << 20;

    /// Steps that happen once (`period` is `None`) or again in every period.
    ///
    /// # Errors
    /// If there is none or are too many, their times do not rise, or one lies beyond the period. Numbers count
    /// from 0.
    pub fn new(steps: Vec<Step>, period: Option<Span>) -> Result<Steps, StepsError> {
        if steps.is_empty() {
            return Err(StepsError::Empty);
        }
        if steps.len() > Steps::MOST {
            return Err(StepsError::TooMany(steps.len()));
        }
        if let Some(late) = steps.windows(2).position(|pair| pair[1].at <= pair[0].at) {
            return Err(StepsError::OutOfOrder(late + 1));
        }
        let beyond = |period| steps.iter().position(|step| step.at >= period);
        if let Some(step) = period.and_then(beyond) {
            return Err(StepsError::BeyondPeriod(step));
        }
        Ok(Steps { steps, period })
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// After what time they repeat.
    pub fn period(&self) -> Option<Span> {
        self.period
    }

    /// The mean rate over one period, rounded down, for a link that starts at `start`; `None` if there is no
    /// period and a step changes the rate.
    pub fn mean_rate(&self, start: BitRate) -> Option<BitRate> {
        let course = self.course(start, |step| step.rate)?;
        let period = u128::from(course.period?.as_ns());
        let bits_ns = course.pieces().map(|(value, length)| {
            // Below 2^128: both are below 2^64.
            u128::from(value.as_bits_per_s()) * u128::from(length.as_ns())
        });
        let sum = bits_ns.fold(0u128, u128::saturating_add);
        u64::try_from(sum / period).ok().map(BitRate::from_bits_per_s)
    }

    /// How one quantity runs; `None` if no step changes it.
    pub(crate) fn course<T: Copy>(&self, start: T, of: impl Fn(&Step) -> Option<T>) -> Option<Course<T>> {
        let mut changes: Vec<(Span, T)> = vec![(Span::ZERO, start)];
        for step in &self.steps {
            let Some(value) = of(step) else { continue };
            if step.at == Span::ZERO {
                changes[0].1 = value;
            } else {
                changes.push((step.at, value));
            }
        }
        let changed = self.steps.iter().any(|step| of(step).is_some());
        changed.then_some(Course {
            changes,
            period: self.period,
        })
    }
}

/// One quantity over time: piecewise constant, once or periodic.
#[derive(Clone, Debug)]
pub(crate) struct Course<T> {
    /// From when each value holds; the first from zero on.
    changes: Vec<(Span, T)>,
    period: Option<Span>,
}

/// A stretch of time over which a quantity is constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stretch<T> {
    pub(crate) value: T,
    /// When the next one begins; [`Instant::MAX`] if never.
    pub(crate) until: Instant,
}

impl<T: Copy> Course<T> {
    /// The values in their order.
    pub(crate) fn values(&self) -> impl Iterator<Item = T> {
        self.changes.iter().map(|&(_, value)| value)
    }

    /// After what time it repeats.
    pub(crate) fn period(&self) -> Option<Span> {
        self.period
    }

    /// The values of one period and how long each holds; nothing without a period.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (T, Span)> {
        let ends = self.changes.iter().skip(1).map(|&(at, _)| at).chain(self.period);
        let pieces = self.changes.iter().zip(ends);
        pieces.map(|(&(from, value), to)| (value, to - from))
    }

    /// The stretch that `at` lies in. `cursor` is where the last search ended; time mostly moves on by little.
    pub(crate) fn stretch(&self, at: Instant, cursor: &mut usize) -> Stretch<T> {
        let since = at - Instant::ZERO;
        let (base, within) = match self.period {
            None => (Span::ZERO, since),
            Some(period) => {
                let within = Span::from_ns(since.as_ns() % period.as_ns());
                (since - within, within)
            }
        };
        let here = |index: usize| {
            let next = self.changes.get(index + 1);
            self.changes[index].0 <= within && next.is_none_or(|&(at, _)| within < at)
        };
        if !here(*cursor) {
            let next = (*cursor + 1) % self.changes.len();
            *cursor = if here(next) {
                next
            } else {
                self.changes.partition_point(|&(from, _)| from <= within) - 1
            };
        }
        let end = self.changes.get(*cursor + 1).map(|&(at, _)| at).or(self.period);
        Stretch {
            value: self.changes[*cursor].1,
            until: end.map_or(Instant::MAX, |end| {
                Instant::ZERO.saturating_add(base.saturating_add(end))
            }),
        }
    }
}
