//! Traffic of others on a link: frames that take room in its queue and time of its serialiser, and that no
//! endpoint sends, receives or sends again.
//!
//! The arrivals are drawn when the link is touched, up to that moment, so they cost no event and keep no
//! simulation alive.

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use thiserror::Error;

/// Unresponsive traffic of a mean rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Background {
    /// Mean rate in the long run, headers included. It may exceed the link's. At zero there is no traffic until
    /// [`Link::set_background_rate`](crate::link::Link::set_background_rate).
    pub rate: BitRate,
    /// Size of each frame, above zero.
    pub frame_bytes: u32,
    /// When frames come.
    pub arrivals: Arrivals,
    /// Traffic class of its packets, for HTB.
    pub class: u8,
}

impl Background {
    /// Whether there is such traffic.
    ///
    /// # Errors
    /// Why not.
    pub fn check(self) -> Result<(), BackgroundError> {
        if self.rate.as_bits_per_s() == 0 {
            return Err(BackgroundError::Nothing);
        }
        let unused = Streams::new(0, 0).stream("", "");
        BackgroundProcess::new(self, unused).map(drop)
    }
}

/// When frames of background traffic come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrivals {
    /// At equal distances: a constant share of the link.
    Constant,
    /// Independently of each other, at exponential distances.
    Poisson,
    /// In bursts at equal distances, with silences in between. The lengths of both follow Pareto's law; with
    /// a shape between 1 and 2 the sum of many such sources is self-similar (Willinger et al., 1997).
    OnOff {
        /// Mean length of a burst, at least the distance of two frames in it.
        mean_on: Span,
        /// Mean length of a silence.
        mean_off: Span,
        /// Shape of both laws in thousandths, above 1,000; 1,500 is usual.
        shape_thousandths: u32,
    },
}

/// Why background traffic is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BackgroundError {
    /// No rate, or frames of no bytes.
    #[error("background traffic of 0 bit/s or of frames of 0 bytes")]
    Nothing,
    /// More frames than nanoseconds.
    #[error("background frames less than a nanosecond apart")]
    TooDense,
    /// A Pareto law of such a shape has no mean.
    #[error("a Pareto shape of {0} thousandths: above 1000 is needed for a mean")]
    NoMean(u32),
    /// Bursts in which no frame fits.
    #[error("a mean burst of {0} is shorter than the distance of two frames in it")]
    ShortBursts(Span),
}

/// Frames that are drawn at most for one touch of the link. After a longer silence of everyone else the past
/// before that is not drawn: it fills any queue and forgets any start.
const MOST_ARREARS: f64 = 1_048_576.0;

/// [`Background`] at work.
#[derive(Clone, Debug)]
pub(crate) struct BackgroundProcess {
    pub(crate) frame_bytes: u32,
    pub(crate) class: u8,
    stream: Stream,
    law: Law,
    /// Mean distance of two frames, in nanoseconds.
    mean_ns: f64,
    next: Instant,
    /// What the next arrival is past `next`, in nanoseconds below one.
    fraction: f64,
}

#[derive(Clone, Copy, Debug)]
enum Law {
    Constant,
    Poisson,
    OnOff {
        /// Share of the time in bursts.
        share: f64,
        on: Pareto,
        off: Pareto,
        /// What is left of the current burst.
        left_ns: f64,
    },
}

/// Pareto's law with this smallest value and this shape.
#[derive(Clone, Copy, Debug)]
struct Pareto {
    smallest: f64,
    shape: f64,
}

impl Pareto {
    fn with_mean(mean: Span, shape: f64) -> Pareto {
        Pareto {
            smallest: mean.as_ns() as f64 * (shape - 1.0) / shape,
            shape,
        }
    }

    fn draw(self, stream: &mut Stream) -> f64 {
        self.smallest / libm::pow(stream.unit(), 1.0 / self.shape)
    }
}

impl BackgroundProcess {
    pub(crate) fn new(
        background: Background,
        mut stream: Stream,
    ) -> Result<BackgroundProcess, BackgroundError> {
        if background.frame_bytes == 0 {
            return Err(BackgroundError::Nothing);
        }
        let mean_ns = mean_ns(background.frame_bytes, background.rate);
        let (law, densest) = match background.arrivals {
            Arrivals::Constant => (Law::Constant, mean_ns),
            Arrivals::Poisson => (Law::Poisson, mean_ns),
            Arrivals::OnOff {
                mean_on,
                mean_off,
                shape_thousandths,
            } => {
                if shape_thousandths <= 1_000 {
                    return Err(BackgroundError::NoMean(shape_thousandths));
                }
                let (on, off) = (mean_on.as_ns() as f64, mean_off.as_ns() as f64);
                let share = on / (on + off).max(1.0);
                let gap_ns = mean_ns * share;
                if on == 0.0 || (on < gap_ns && gap_ns.is_finite()) {
                    return Err(BackgroundError::ShortBursts(mean_on));
                }
                let shape = f64::from(shape_thousandths) / 1e3;
                let on = Pareto::with_mean(mean_on, shape);
                let law = Law::OnOff {
                    share,
                    on,
                    off: Pareto::with_mean(mean_off, shape),
                    left_ns: on.draw(&mut stream),
                };
                (law, gap_ns)
            }
        };
        if densest < 1.0 {
            return Err(BackgroundError::TooDense);
        }
        let mut process = BackgroundProcess {
            frame_bytes: background.frame_bytes,
            class: background.class,
            stream,
            law,
            mean_ns,
            next: Instant::ZERO,
            fraction: 0.0,
        };
        process.restart(Instant::ZERO);
        Ok(process)
    }

    /// The mean rate from now on.
    pub(crate) fn set_rate(&mut self, now: Instant, rate: BitRate) {
        self.mean_ns = mean_ns(self.frame_bytes, rate);
        self.restart(now);
    }

    fn restart(&mut self, now: Instant) {
        self.fraction = 0.0;
        self.next = now;
        if self.mean_ns.is_finite() {
            self.advance();
        } else {
            self.next = Instant::MAX;
        }
    }

    /// When the next frame comes.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Draws the one after it.
    pub(crate) fn advance(&mut self) {
        let distance = match &mut self.law {
            Law::Constant => self.mean_ns,
            Law::Poisson => self.stream.exponential(self.mean_ns),
            Law::OnOff {
                share,
                on,
                off,
                left_ns,
            } => {
                let gap_ns = self.mean_ns * *share;
                // The distance counts the time of bursts only; silences come on top.
                let (mut missing, mut silent) = (gap_ns, 0.0);
                while *left_ns < missing {
                    missing -= *left_ns;
                    silent += off.draw(&mut self.stream);
                    *left_ns = on.draw(&mut self.stream);
                }
                *left_ns -= missing;
                gap_ns + silent
            }
        };
        let ns = distance + self.fraction;
        // The cast cuts off the fraction, and takes what lies beyond the range to its end.
        let whole = ns as u64;
        self.fraction = if whole < 1 << 53 { ns - whole as f64 } else { 0.0 };
        self.next = self.next.saturating_add(Span::from_ns(whole));
    }

    /// Leaves out what lies too far before `now` to matter.
    pub(crate) fn forget_before(&mut self, now: Instant) {
        if self.next == Instant::MAX {
            return;
        }
        let reach = Span::from_ns((self.mean_ns * MOST_ARREARS) as u64);
        let earliest = Instant::ZERO + (now - Instant::ZERO).saturating_sub(reach);
        self.next = self.next.max(earliest);
    }
}

/// Mean distance of two frames in nanoseconds; infinite without any.
fn mean_ns(frame_bytes: u32, rate: BitRate) -> f64 {
    f64::from(frame_bytes) * 8e9 / rate.as_bits_per_s() as f64
}
