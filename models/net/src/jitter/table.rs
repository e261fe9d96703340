//! Tables of a distribution: its inverse, as netem keeps it.
//!
//! An entry is a quantile in units of 1/8192 standard deviation, cut to 16 bits (±4 standard deviations), and
//! a draw takes one entry at random, without interpolation (`tabledist` in the kernel). iproute2 describes the
//! format in `README.distribution`.

use std::sync::{Arc, LazyLock};

use longhaul_core::random::Stream;
use longhaul_core::time::Span;
use thiserror::Error;

use crate::trace::shortened;

/// What stands for one standard deviation.
const SCALE: f64 = 8192.0;
/// Entries of the tables made here, as of iproute2's.
const ENTRIES: u32 = 4096;
/// Shape of iproute2's Pareto law.
const PARETO_SHAPE: f64 = 3.0;

/// The shape of a distribution: quantiles at equal distances.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    entries: Vec<i16>,
}

/// A distribution measured from samples.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Mean of the samples.
    pub mean: Span,
    /// Their standard deviation.
    pub sd: Span,
    /// Their shape, with mean 0 and standard deviation 1.
    pub table: Table,
}

/// Why a table is refused. Lines count from 1.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TableError {
    /// Something that is not a number of the expected kind.
    #[error("line {line}: expected {expected}, found \"{found}\"")]
    Malformed {
        /// Where.
        line: usize,
        /// What should stand there.
        expected: &'static str,
        /// What does, cut if it is long.
        found: String,
    },
    /// More entries than there may be.
    #[error("line {line}: more than {most} entries")]
    TooLong {
        /// Where the first entry too many stands.
        line: usize,
        /// How many may be.
        most: usize,
    },
    /// Not enough to be a distribution.
    #[error("{0} entries: a distribution needs at least 2")]
    TooFew(usize),
    /// All samples are equal.
    #[error("all samples are equal: a distribution without a width has no shape")]
    NoWidth,
}

impl Table {
    /// Most entries of a table, as in the kernel (`NETEM_DIST_MAX`).
    pub const MOST_ENTRIES: usize = 16_384;
    /// Most samples that a table is made of.
    pub const MOST_SAMPLES: usize = 1 << 22;

    /// netem's `normal`, cut at 4 standard deviations. The simulator draws from the law itself; this is for whoever
    /// needs it as a table.
    pub fn normal() -> Arc<Table> {
        static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
            let limits = f64::from(i16::MIN)..=f64::from(i16::MAX);
            let entry = |i| {
                let scaled = libm::rint(normal_quantile(i) * SCALE);
                scaled.clamp(*limits.start(), *limits.end()) as i16
            };
            Arc::new(Table {
                entries: (0..ENTRIES).map(entry).collect(),
            })
        });
        Arc::clone(&TABLE)
    }

    /// netem's `pareto`: a Pareto law of shape 3 and smallest value 1, less its mean 3/2, times 4/3. That factor
    /// is the reciprocal of the variance rather than of the standard deviation, so uncut the deviation would be
    /// 2/√3; the cut at 4 leaves 1.03, and a mean of −0.003.
    pub fn pareto() -> Arc<Table> {
        static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
            let entry = |i| pareto_entry(i) as i16;
            Arc::new(Table {
                entries: (0..ENTRIES).map(entry).collect(),
            })
        });
        Arc::clone(&TABLE)
    }

    /// netem's `paretonormal`: a quarter of the normal quantile and three quarters of [`Table::pareto`]'s.
    pub fn pareto_normal() -> Arc<Table> {
        static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
            let entry = |i| {
                let normal = libm::rint(normal_quantile(i) * SCALE) as i32;
                // Within 16 bits, as both terms are within 18. Division rounds towards zero, as it does in C.
                ((normal + 3 * pareto_entry(i)) / 4).clamp(i16::MIN.into(), i16::MAX.into()) as i16
            };
            Arc::new(Table {
                entries: (0..ENTRIES).map(entry).collect(),
            })
        });
        Arc::clone(&TABLE)
    }

    /// Reads a table as `tc` does (`*.dist`): whole numbers from −32768 to 32767 separated by blanks, with `#` a
    /// comment up to the end of the line.
    ///
    /// # Errors
    /// [`TableError`], with the line.
    pub fn parse(text: &str) -> Result<Table, TableError> {
        let mut entries = Vec::new();
        for (line, word) in words(text) {
            let Ok(entry) = word.parse() else {
                return Err(TableError::Malformed {
                    line,
                    expected: "a whole number from -32768 to 32767",
                    found: shortened(word),
                });
            };
            if entries.len() == Table::MOST_ENTRIES {
                let most = Table::MOST_ENTRIES;
                return Err(TableError::TooLong { line, most });
            }
            entries.push(entry);
        }
        if entries.len() < 2 {
            return Err(TableError::TooFew(entries.len()));
        }
        Ok(Table { entries })
    }

    /// The entries, in units of 1/8192 standard deviation.
    pub fn entries(&self) -> &[i16] {
        &self.entries
    }

    /// A random entry, in standard deviations.
    #[inline]
    pub(super) fn draw(&self, stream: &mut Stream) -> f64 {
        let index = stream.below(self.entries.len() as u64) as usize;
        f64::from(self.entries[index]) / SCALE
    }
}

impl Measured {
    /// Reads samples of a delay in milliseconds, separated by blanks, with `#` a comment up to the end of the
    /// line, and makes the table of their distribution (iproute2: `maketable`). Their order does not matter,
    /// and what correlation they have is lost.
    ///
    /// # Errors
    /// [`TableError`], with the line.
    pub fn parse(text: &str) -> Result<Measured, TableError> {
        let mut samples: Vec<f64> = Vec::new();
        for (line, word) in words(text) {
            // A day: beyond it a delay is a mistake, and sums stay exact.
            let value = word.parse().ok().filter(|ms| (0.0..=86_400_000.0).contains(ms));
            let Some(value) = value else {
                return Err(TableError::Malformed {
                    line,
                    expected: "milliseconds from 0 to 86400000",
                    found: shortened(word),
                });
            };
            if samples.len() == Table::MOST_SAMPLES {
                let most = Table::MOST_SAMPLES;
                return Err(TableError::TooLong { line, most });
            }
            samples.push(value);
        }
        if samples.len() < 2 {
            return Err(TableError::TooFew(samples.len()));
        }
        samples.sort_by(f64::total_cmp);
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let square = |x: &f64| (x - mean) * (x - mean);
        let sd = (samples.iter().map(square).sum::<f64>() / (n - 1.0)).sqrt();
        if sd == 0.0 {
            return Err(TableError::NoWidth);
        }
        let quantile = |i: u32| {
            // The middle of each of equal parts of the sorted samples.
            let place = (f64::from(i) + 0.5) / f64::from(ENTRIES) * n;
            let scaled = (samples[(place as usize).min(samples.len() - 1)] - mean) / sd * SCALE;
            // The cast cuts to 16 bits.
            libm::rint(scaled) as i16
        };
        let ns = |ms: f64| Span::from_ns((ms * 1e6 + 0.5) as u64);
        Ok(Measured {
            mean: ns(mean),
            sd: ns(sd),
            table: Table {
                entries: (0..ENTRIES).map(quantile).collect(),
            },
        })
    }
}

/// The words of a text with their lines, counted from 1; `#` begins a comment up to the end of the line.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).flat_map(|(line, content)| {
        let content = content.split('#').next().unwrap_or_default();
        content.split_whitespace().map(move |word| (line, word))
    })
}

/// The quantile at `i` of [`ENTRIES`] of the scaled Pareto law, cut to 16 bits.
fn pareto_entry(i: u32) -> i32 {
    let above = 1.0 - f64::from(i) / f64::from(ENTRIES);
    let value = (1.0 / libm::pow(above, 1.0 / PARETO_SHAPE) - 1.5) * (4.0 / 3.0) * SCALE;
    libm::rint(value.min(i16::MAX.into())) as i32
}

/// The largest x, on a grid of 1/20000, at which the normal distribution rounds to `i` of [`ENTRIES`] when counted
/// in quarters: the last of the points that share an entry stays in it when iproute2 fills its table.
fn normal_quantile(i: u32) -> f64 {
    const STEPS_PER_UNIT: f64 = 20_000.0;
    let quarters = f64::from(i) * 4.0;
    let at = |step: i32| {
        let x = f64::from(step) / STEPS_PER_UNIT;
        let below = 0.5 + 0.5 * libm::erf(x / std::f64::consts::SQRT_2);
        libm::rint(f64::from(4 * ENTRIES) * below)
    };
    // The first step beyond the entry, by bisection: the distribution rises.
    let (mut low, mut high) = (-200_000, 201_000);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if at(middle) <= quarters {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::from(low) / STEPS_PER_UNIT
}
