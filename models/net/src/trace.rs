//! Recorded links: delivery opportunities in mahimahi's format, and rates over time. The parsers are pure: they
//! read text, never a file.

mod delivery;
mod rates;

pub use crate::trace::delivery::{DeliveryTrace, MAHIMAHI_BYTES};
pub use crate::trace::rates::rate_trace;

use crate::course::StepsError;
use thiserror::Error;

/// Why a recorded link is refused. Lines count from 1.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TraceError {
    /// A line is not what the format asks for.
    #[error("line {line}: expected {expected}, found \"{found}\"")]
    Malformed {
        /// Where.
        line: usize,
        /// What should stand there.
        expected: &'static str,
        /// What does, cut if it is long.
        found: String,
    },
    /// A time lies before the one above it.
    #[error("line {line}: the time goes back")]
    TimeGoesBack {
        /// Where.
        line: usize,
    },
    /// A number beyond what the simulator represents.
    #[error("line {line}: the number is too large")]
    TooLarge {
        /// Where.
        line: usize,
    },
    /// More lines than the format may have here.
    #[error("line {line}: more than {most} entries")]
    TooLong {
        /// The first line too many.
        line: usize,
        /// How many may be.
        most: usize,
    },
    /// No entry at all.
    #[error("the trace is empty")]
    Empty,
    /// The trace ends at the time at which it starts, so that nothing can repeat it.
    #[error("the trace takes no time: its last entry must lie after 0")]
    NoTime,
    /// An opportunity of no bytes.
    #[error("an opportunity of 0 bytes")]
    NoBytes,
    /// The entries are no list of steps.
    #[error(transparent)]
    Steps(#[from] StepsError),
}

/// The text of an error's `found`: what stood there, cut so that a message stays readable.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
