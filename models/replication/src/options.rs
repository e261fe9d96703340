//! How both sides are set up.

use longhaul_amst::SenderOptions;
use longhaul_core::machine::PeerId;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_frames::{LONGEST_FRAME_BYTES, PayloadMode};
use longhaul_hde::{CostModel, EncoderOptions};
use serde::{Deserialize, Serialize};

use crate::MAX_SETS;
use crate::message::FRAME_HEADER_BYTES;

/// When the next epoch of a consistency set begins. There is one under way at a time: if it is not complete when the
/// next is due, that one begins as soon as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Policy {
    /// A fixed time after the snapshot before.
    Interval(Span),
    /// As soon as the epoch before is acknowledged, but not more often than this.
    Continuous {
        /// Least time between two snapshots.
        least: Span,
    },
    /// As seldom as the target allows: what is written several times in an epoch travels once, so that longer epochs
    /// send less. The next interval is such that it and the time that its epoch takes make up nine tenths of the target,
    /// if that time grows in proportion.
    Adaptive {
        /// Least time between two snapshots.
        least: Span,
        /// Most time between two snapshots.
        most: Span,
    },
}

/// Who decides that the guests go on at the replica's site.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Failover {
    /// An operator, who gives an order, now ([`ReplicaCommand::FailOver`](crate::ReplicaCommand::FailOver)) or ahead of
    /// time, or follows a rule. A source that is cut off lets its guests run, and stops them when it hears that others run in their place:
    /// until then they may run twice.
    Manual {
        /// The order that was given ahead of time, if one was. It is carried out once, if there is a complete epoch.
        at: Option<Instant>,
        /// The rule: when the source has counted as lost for this long and is not back, fail over. `None` waits for an
        /// order.
        after: Option<Span>,
    },
    /// The replica, once it has not heard from the source for the detection time. From when all guests are protected,
    /// a source that has not been heard for as long stops them: it holds a lease that the replica renews.
    Automatic,
}

impl Failover {
    /// Nobody decides anything ahead of time.
    pub const MANUAL: Failover = Failover::Manual {
        at: None,
        after: None,
    };
}

/// How each side finds out that the other is silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Time between two heartbeats.
    pub interval: Span,
    /// After how many of them without any news the other side counts as lost.
    pub multiplier: u32,
}

impl Heartbeat {
    /// After what silence the other side counts as lost.
    pub fn detection_time(&self) -> Span {
        self.interval.saturating_mul(u64::from(self.multiplier))
    }
}

/// How a source comes back after it has lost the replica: after `first`, then twice as long each time, up to `most`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Backoff {
    /// Before the first attempt.
    pub first: Span,
    /// Longest.
    pub most: Span,
}

/// What a source may spend on encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// What a frame costs.
    pub codec: CostModel,
    /// Threads that encode, at least 1; together they are so many times as fast as one.
    pub threads: u32,
}

/// How a [`Source`](crate::Source) works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceOptions {
    /// The machine of the replica.
    pub replica: PeerId,
    /// When epochs begin.
    pub policy: Policy,
    /// How old the newest complete epoch at the replica may become.
    pub rpo_target: Span,
    /// How long the guests of a set stand still for a snapshot: what it takes to stop them, to take over the dirty
    /// bitmap and to protect its pages.
    pub snapshot_pause: Span,
    /// How pages are encoded.
    pub encoding: EncoderOptions,
    /// What encoding costs; `None` where the computer's own time is what passes, or nobody wants to know.
    pub cost: Option<Cost>,
    /// Which pages are real.
    pub payload: PayloadMode,
    /// How frames are carried. The window must have room for a frame of 64 pages that nothing shortens, 257 KiB
    /// plus the headers of its chunks.
    pub transport: SenderOptions,
    /// Most bits per second of messages, averaged over a message; the headers of the layers below come on top.
    pub max_bandwidth: Option<BitRate>,
    /// How silence is noticed; as at the replica.
    pub heartbeat: Heartbeat,
    /// How it comes back.
    pub backoff: Backoff,
    /// As at the replica.
    pub failover: Failover,
}

/// A consistency set, as the replica knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaSetOptions {
    /// Pages of each guest.
    pub pages: Vec<u64>,
    /// Sets of a higher priority are restored first.
    pub priority: u32,
}

/// How a [`Replica`](crate::Replica) works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaOptions {
    /// The consistency sets, as at the source.
    pub sets: Vec<ReplicaSetOptions>,
    /// Window of the transport, as at the source.
    pub window_bytes: u64,
    /// How silence is noticed; as at the source.
    pub heartbeat: Heartbeat,
    /// As at the source.
    pub failover: Failover,
    /// How fast its disk writes what comes; `None` if that takes no time and it has no disk that could go wrong.
    pub write_rate: Option<BitRate>,
    /// How fast epochs are turned into guests that can be started, one guest after the other; `None` if they need not
    /// be.
    pub restore_rate: Option<BitRate>,
    /// How long a guest takes from there until it works again.
    pub resume_time: Span,
}

/// Why options were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OptionsError {
    /// The transport refuses its own.
    #[error(transparent)]
    Transport(#[from] longhaul_amst::OptionsError),
    /// The window has no room for a frame.
    #[error("the transport window has no room for a frame of {LONGEST_FRAME_BYTES} bytes and its headers")]
    Window,
    /// Level outside 1 to 19.
    #[error("compression level {0} is not in 1 to 19")]
    Level(i32),
    /// No set, too many, or one without a guest.
    #[error("there are 1 to {MAX_SETS} consistency sets, each of at least one guest")]
    Sets,
    /// A heartbeat, an interval, a back-off or a target of no time.
    #[error("{0} must take some time")]
    NoTime(&'static str),
    /// A least time above the most.
    #[error("the least {0} is above the most")]
    Reversed(&'static str),
    /// The target leaves no time to send anything.
    #[error("the least time between two epochs reaches the target for their age")]
    Target,
    /// No thread to encode.
    #[error("encoding takes at least one thread")]
    Threads,
    /// A rate of zero.
    #[error("{0} must be above zero")]
    NoRate(&'static str),
}

impl Policy {
    /// The least time between two snapshots.
    pub fn least_interval(&self) -> Span {
        match self {
            Policy::Interval(interval) => *interval,
            Policy::Continuous { least } | Policy::Adaptive { least, .. } => *least,
        }
    }

    fn check(&self) -> Result<(), OptionsError> {
        match self {
            Policy::Interval(interval) => some_time("the interval", *interval),
            Policy::Continuous { least } => some_time("the least time between two epochs", *least),
            Policy::Adaptive { least, most } if least > most => Err(OptionsError::Reversed("interval")),
            Policy::Adaptive { least, .. } => some_time("the least time between two epochs", *least),
        }
    }
}

impl Heartbeat {
    fn check(&self) -> Result<(), OptionsError> {
        some_time("a heartbeat", self.interval)?;
        some_time("detection", self.detection_time())
    }
}

impl SourceOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first option that lies outside its range.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.policy.check()?;
        if self.policy.least_interval() >= self.rpo_target {
            return Err(OptionsError::Target);
        }
        self.heartbeat.check()?;
        some_time("the back-off", self.backoff.first)?;
        if self.backoff.first > self.backoff.most {
            return Err(OptionsError::Reversed("back-off"));
        }
        if self.max_bandwidth.is_some_and(|rate| rate.as_bits_per_s() == 0) {
            return Err(OptionsError::NoRate("the bandwidth"));
        }
        if self.cost.is_some_and(|cost| cost.threads == 0) {
            return Err(OptionsError::Threads);
        }
        self.transport.check()?;
        if self.transport.longest_message() < FRAME_HEADER_BYTES as u64 + LONGEST_FRAME_BYTES {
            return Err(OptionsError::Window);
        }
        match self.encoding.level {
            Some(level) if !(1..=19).contains(&level) => Err(OptionsError::Level(level)),
            _ => Ok(()),
        }
    }
}

impl ReplicaOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first option that lies outside its range.
    pub fn check(&self) -> Result<(), OptionsError> {
        check_sets(self.sets.iter().map(|set| set.pages.len()))?;
        self.heartbeat.check()?;
        if self.restore_rate.is_some_and(|rate| rate.as_bits_per_s() == 0) {
            return Err(OptionsError::NoRate("the rate of restoring"));
        }
        if self.write_rate.is_some_and(|rate| rate.as_bits_per_s() == 0) {
            return Err(OptionsError::NoRate("the rate of writing"));
        }
        Ok(())
    }
}

/// Checks the numbers of guests of all sets.
pub(crate) fn check_sets(guests: impl ExactSizeIterator<Item = usize>) -> Result<(), OptionsError> {
    let number = guests.len();
    let each = guests.into_iter().all(|guests| guests > 0);
    if (1..=MAX_SETS).contains(&number) && each {
        Ok(())
    } else {
        Err(OptionsError::Sets)
    }
}

fn some_time(what: &'static str, span: Span) -> Result<(), OptionsError> {
    if span > Span::ZERO {
        Ok(())
    } else {
        Err(OptionsError::NoTime(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> SourceOptions {
        SourceOptions {
            replica: PeerId(1),
            policy: Policy::Interval(Span::from_s(10)),
            rpo_target: Span::from_s(20),
            snapshot_pause: Span::ZERO,
            encoding: EncoderOptions::hde(1),
            cost: None,
            payload: PayloadMode::Real,
            transport: SenderOptions::fixed(1, 1 << 16, 1 << 20),
            max_bandwidth: None,
            heartbeat: Heartbeat {
                interval: Span::from_s(1),
                multiplier: 3,
            },
            backoff: Backoff {
                first: Span::from_s(1),
                most: Span::from_s(30),
            },
            failover: Failover::MANUAL,
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        assert_eq!(source().check(), Ok(()));
        let refused = |change: fn(&mut SourceOptions)| {
            let mut options = source();
            change(&mut options);
            options.check().unwrap_err()
        };
        let at_least = |least| Policy::Adaptive {
            least,
            most: Span::from_s(5),
        };
        assert_eq!(
            refused(|o| o.policy = Policy::Interval(Span::ZERO)),
            OptionsError::NoTime("the interval")
        );
        let mut reversed = source();
        reversed.policy = at_least(Span::from_s(6));
        assert_eq!(reversed.check(), Err(OptionsError::Reversed("interval")));
        assert_eq!(refused(|o| o.rpo_target = Span::from_s(10)), OptionsError::Target);
        assert_eq!(
            refused(|o| o.heartbeat.multiplier = 0),
            OptionsError::NoTime("detection")
        );
        assert_eq!(
            refused(|o| o.backoff.most = Span::ZERO),
            OptionsError::Reversed("back-off")
        );
        assert_eq!(
            refused(|o| o.max_bandwidth = Some(BitRate::default())),
            OptionsError::NoRate("the bandwidth")
        );
        assert_eq!(refused(|o| o.encoding.level = Some(20)), OptionsError::Level(20));
        let none = |o: &mut SourceOptions| {
            o.cost = Some(Cost {
                codec: CostModel::measured(None),
                threads: 0,
            });
        };
        assert_eq!(refused(none), OptionsError::Threads);
        assert_eq!(
            refused(|o| o.transport.window_bytes = 1 << 18),
            OptionsError::Window
        );
        assert!(matches!(
            refused(|o| o.transport.streams = longhaul_amst::Streams::Fixed(0)),
            OptionsError::Transport(_)
        ));
    }

    #[test]
    fn a_replica_needs_guests() {
        let options = |sets: &[&[u64]]| ReplicaOptions {
            sets: sets
                .iter()
                .map(|pages| ReplicaSetOptions {
                    pages: pages.to_vec(),
                    priority: 0,
                })
                .collect(),
            window_bytes: 1 << 20,
            heartbeat: source().heartbeat,
            failover: Failover::MANUAL,
            write_rate: None,
            restore_rate: None,
            resume_time: Span::ZERO,
        };
        assert_eq!(options(&[&[1], &[2, 3]]).check(), Ok(()));
        for wrong in [&[][..], &[&[1][..], &[]]] {
            assert_eq!(options(wrong).check(), Err(OptionsError::Sets));
        }
        let mut wrong = options(&[&[1]]);
        wrong.restore_rate = Some(BitRate::default());
        assert_eq!(wrong.check(), Err(OptionsError::NoRate("the rate of restoring")));
        let mut wrong = options(&[&[1]]);
        wrong.write_rate = Some(BitRate::default());
        assert_eq!(wrong.check(), Err(OptionsError::NoRate("the rate of writing")));
    }
}
