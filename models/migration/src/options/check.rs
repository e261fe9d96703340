//! The ranges of the options.

use longhaul_core::time::Span;
use longhaul_core::units::ByteSize;
use longhaul_frames::PAGES_PER_FRAME;

use super::{Encoding, SourceOptions, StopRule, Throttle};
use crate::MAX_ATTEMPTS;
use crate::cost::MAX_THREADS;
use crate::xbzrle::Cache;

/// An upper bound of the length of a frame, with XBZRLE's eleven bytes per page in place of a class byte.
pub(crate) const LONGEST_FRAME_BYTES: u64 =
    longhaul_frames::LONGEST_FRAME_BYTES + 10 * PAGES_PER_FRAME as u64;

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
    /// A cache that is not a power of two, or smaller than a page.
    #[error("a cache of {0} is no power of two of at least 4 KiB")]
    Cache(ByteSize),
    /// Threads outside 1 to [`MAX_THREADS`].
    #[error("{0} threads; 1 to {MAX_THREADS} are possible")]
    Threads(u32),
    /// Percentages that are none, or the first above the last.
    #[error("percentages of throttling lie from 1 to 99, the initial one not above the largest")]
    Throttle,
    /// A dirty limit of zero, or a period outside 1 ms to 1 s.
    #[error("a dirty limit is above zero and measured every 1 ms to 1 s")]
    DirtyLimit,
    /// A bandwidth of zero.
    #[error("a bandwidth is above zero")]
    Bandwidth,
    /// Rates of zero, or the lowest above the highest.
    #[error("rates are above zero, the lowest not above the highest")]
    DynamicRate,
    /// A multiple of zero of the guest's memory.
    #[error("less than the guest's memory cannot be sent")]
    Factor,
    /// Attempts outside 1 to [`MAX_ATTEMPTS`].
    #[error("{0} attempts to recover; 1 to {MAX_ATTEMPTS} are possible")]
    Attempts(u16),
    /// No time at all.
    #[error("a migration stalls after some time without progress")]
    Stall,
}

impl SourceOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first option that lies outside its range.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.transport.check()?;
        if self.transport.longest_message() < LONGEST_FRAME_BYTES {
            return Err(OptionsError::Window);
        }
        match self.encoding {
            Encoding::Hde(options) => match options.level {
                Some(level) if !(1..=19).contains(&level) => return Err(OptionsError::Level(level)),
                _ => {}
            },
            Encoding::Xbzrle { cache } if !Cache::is_size(cache) => return Err(OptionsError::Cache(cache)),
            Encoding::Xbzrle { .. } => {}
        }
        if let Some(cost) = self
            .cost
            .filter(|cost| !(1..=MAX_THREADS).contains(&cost.threads))
        {
            return Err(OptionsError::Threads(cost.threads));
        }
        self.check_throttle()?;
        self.check_stop()?;
        let limits = [self.max_bandwidth, self.max_postcopy_bandwidth];
        if limits.iter().flatten().any(|limit| limit.as_bits_per_s() == 0) {
            return Err(OptionsError::Bandwidth);
        }
        match self.recover {
            Some(recover) if !(1..=MAX_ATTEMPTS).contains(&recover.attempts) => {
                Err(OptionsError::Attempts(recover.attempts))
            }
            _ if self.stall_after == Span::ZERO => Err(OptionsError::Stall),
            _ => Ok(()),
        }
    }

    fn check_throttle(&self) -> Result<(), OptionsError> {
        match self.throttle {
            Throttle::AutoConverge(it) => {
                let percent = 1..=99;
                let fine = percent.contains(&it.increment_percent)
                    && percent.contains(&it.initial_percent)
                    && (it.initial_percent..=99).contains(&it.max_percent);
                fine.then_some(()).ok_or(OptionsError::Throttle)
            }
            Throttle::DirtyLimit(it) => {
                let fine = it.bytes_per_s > 0 && (Span::from_ms(1)..=Span::from_s(1)).contains(&it.period);
                fine.then_some(()).ok_or(OptionsError::DirtyLimit)
            }
            Throttle::None => Ok(()),
        }
    }

    fn check_stop(&self) -> Result<(), OptionsError> {
        match self.stop {
            StopRule::Downtime { .. } => Ok(()),
            StopRule::Xen { factor, .. } => (factor > 0).then_some(()).ok_or(OptionsError::Factor),
            StopRule::DynamicRate { lowest, highest, .. } => {
                let fine = lowest.as_bits_per_s() > 0 && lowest <= highest;
                fine.then_some(()).ok_or(OptionsError::DynamicRate)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use longhaul_amst::{SenderOptions, Streams};
    use longhaul_core::machine::PeerId;
    use longhaul_core::units::BitRate;
    use longhaul_hde::{CostModel, EncoderOptions};

    use super::*;
    use crate::cost::Cost;
    use crate::{AutoConverge, DirtyLimit, Recover};

    fn options() -> SourceOptions {
        SourceOptions::new(PeerId(1), 7, SenderOptions::fixed(1, 1 << 16, 1 << 20))
    }

    fn refused(change: impl Fn(&mut SourceOptions)) -> OptionsError {
        let mut wrong = options();
        change(&mut wrong);
        wrong.check().unwrap_err()
    }

    #[test]
    fn options_out_of_range_are_refused() {
        assert_eq!(options().check(), Ok(()));
        assert!(matches!(
            refused(|o| o.transport.streams = Streams::Fixed(0)),
            OptionsError::Transport(_)
        ));
        for level in [0, 20] {
            let encoding = Encoding::Hde(EncoderOptions {
                level: Some(level),
                ..EncoderOptions::hde(1)
            });
            assert_eq!(refused(|o| o.encoding = encoding), OptionsError::Level(level));
        }
        for kib in [0, 3, 100] {
            let cache = ByteSize::from_kib(kib);
            assert_eq!(
                refused(|o| o.encoding = Encoding::Xbzrle { cache }),
                OptionsError::Cache(cache)
            );
        }
        for threads in [0, MAX_THREADS + 1] {
            let cost = Cost {
                codec: CostModel::measured(Some(1)),
                carry: None,
                threads,
            };
            assert_eq!(refused(|o| o.cost = Some(cost)), OptionsError::Threads(threads));
        }
        let none = Some(BitRate::from_bits_per_s(0));
        assert_eq!(refused(|o| o.max_bandwidth = none), OptionsError::Bandwidth);
        assert_eq!(
            refused(|o| o.max_postcopy_bandwidth = none),
            OptionsError::Bandwidth
        );
        for attempts in [0, MAX_ATTEMPTS + 1] {
            let delay = Span::ZERO;
            assert_eq!(
                refused(|o| o.recover = Some(Recover { delay, attempts })),
                OptionsError::Attempts(attempts)
            );
        }
        assert_eq!(refused(|o| o.stall_after = Span::ZERO), OptionsError::Stall);
    }

    #[test]
    fn throttles_and_rules_out_of_range_are_refused() {
        let auto = AutoConverge::default();
        for wrong in [
            AutoConverge {
                initial_percent: 0,
                ..auto
            },
            AutoConverge {
                increment_percent: 0,
                ..auto
            },
            AutoConverge {
                max_percent: 100,
                ..auto
            },
            AutoConverge {
                max_percent: 19,
                ..auto
            },
        ] {
            let throttle = Throttle::AutoConverge(wrong);
            assert_eq!(refused(|o| o.throttle = throttle), OptionsError::Throttle);
        }
        let limit = DirtyLimit::default();
        for wrong in [
            DirtyLimit {
                bytes_per_s: 0,
                ..limit
            },
            DirtyLimit {
                period: Span::from_us(999),
                ..limit
            },
            DirtyLimit {
                period: Span::from_ms(1_001),
                ..limit
            },
        ] {
            let throttle = Throttle::DirtyLimit(wrong);
            assert_eq!(refused(|o| o.throttle = throttle), OptionsError::DirtyLimit);
        }
        let rate = BitRate::from_bits_per_s;
        for (lowest, highest) in [(0, 5), (6, 5)] {
            let stop = StopRule::DynamicRate {
                lowest: rate(lowest),
                highest: rate(highest),
                step: rate(1),
                remaining: ByteSize::default(),
            };
            assert_eq!(refused(|o| o.stop = stop), OptionsError::DynamicRate);
        }
        let (pages, rounds, factor) = (50, 29, 0);
        let stop = StopRule::Xen {
            pages,
            rounds,
            factor,
        };
        assert_eq!(refused(|o| o.stop = stop), OptionsError::Factor);
    }

    #[test]
    fn the_window_must_hold_a_frame_with_the_headers_of_its_chunks() {
        let mut narrow = options();
        let chunks = LONGEST_FRAME_BYTES.div_ceil(1 << 16);
        narrow.transport.window_bytes = LONGEST_FRAME_BYTES + chunks * 44;
        assert_eq!(narrow.check(), Ok(()));
        narrow.transport.window_bytes -= 1;
        assert_eq!(narrow.check(), Err(OptionsError::Window));
    }
}
