//! What a reservation is, what is asked for, and why it is refused.

use std::ops::Range;

use longhaul_core::time::Instant;
use longhaul_core::units::BitRate;
use longhaul_routing::{LinkId, RouteError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A reservation, by the order in which they were made: of two the newer has the higher number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationId(pub u64);

/// How important a reservation is: the higher the number, the more. A reservation displaces only those of strictly
/// lower priority. It serves as setup and as holding priority at once (RFC 3209, section 4.7.1, where 0 is highest).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(pub u8);

/// A rate for a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demand {
    /// Whom it is for. Names need not be unique.
    pub flow: String,
    /// How much, above 0.
    pub rate: BitRate,
    /// From when on and until when; the end is not part of it.
    pub when: Range<Instant>,
    /// How important it is.
    pub priority: Priority,
}

/// A demand with the path that keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// Its number.
    pub id: ReservationId,
    /// What was asked for, with extensions.
    pub demand: Demand,
    /// The links of the path, in the order in which they are crossed.
    pub links: Vec<LinkId>,
}

/// A link that has too little left.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{name} has {} bit/s left of {} bit/s asked for", .available.as_bits_per_s(), .asked.as_bits_per_s())]
pub struct Shortage {
    /// Which one: of several the one that has least, of equals the first of the path.
    pub link: LinkId,
    /// Its ends, and its name where it has one.
    pub name: String,
    /// What it has throughout the interval; with preemption, what it could have.
    pub available: BitRate,
    /// What was asked for.
    pub asked: BitRate,
}

/// Why nothing was reserved. Nothing has changed then.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReserveError {
    /// A link has too little left.
    #[error(transparent)]
    Shortage(#[from] Shortage),
    /// The path has no links.
    #[error("the path of \"{0}\" has no links")]
    NoLinks(String),
    /// There is no such link.
    #[error("the path of \"{flow}\" names link {}, of {links}", .link.0)]
    UnknownLink {
        /// Whose path.
        flow: String,
        /// The link.
        link: LinkId,
        /// How many links there are.
        links: usize,
    },
    /// A link does not start where the one before it ends.
    #[error("the path of \"{flow}\" has a gap before {name}")]
    Gap {
        /// Whose path.
        flow: String,
        /// The link after the gap.
        name: String,
    },
    /// A link stands twice in the path.
    #[error("the path of \"{flow}\" crosses {name} twice")]
    Twice {
        /// Whose path.
        flow: String,
        /// The link.
        name: String,
    },
    /// A rate of nothing.
    #[error("\"{0}\" asks for 0 bit/s")]
    NoRate(String),
    /// An interval that ends before it starts, or at once.
    #[error("\"{flow}\" asks for {} ns until {} ns", .when.start.as_ns(), .when.end.as_ns())]
    NoTime {
        /// Who asks.
        flow: String,
        /// For when.
        when: Range<Instant>,
    },
    /// An interval that has begun already.
    #[error("\"{flow}\" asks for {} ns at {} ns", .start.as_ns(), .now.as_ns())]
    Past {
        /// Who asks.
        flow: String,
        /// From when on.
        start: Instant,
        /// When it asks.
        now: Instant,
    },
}

/// Why no path was found, or nothing reserved on it. Nothing has changed then.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AdmitError {
    /// No sequence of usable links leads there at all.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Paths lead there, but on each some link has too little left.
    #[error("from \"{from}\" to \"{to}\" no path has more than {} bit/s left of {} bit/s asked for", .widest.as_bits_per_s(), .asked.as_bits_per_s())]
    Shortage {
        /// Where the path should start.
        from: String,
        /// Where it should end.
        to: String,
        /// What the widest of the paths has throughout the interval; with preemption, what it could have.
        widest: BitRate,
        /// What was asked for.
        asked: BitRate,
    },
    /// The demand is not valid.
    #[error(transparent)]
    Demand(#[from] ReserveError),
}

/// Why a number names no reservation that is in force or to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Gone {
    /// There never was one, it was released, or it ended too long ago to be remembered.
    #[error("reservation {} is not known", .0.0)]
    NotFound(ReservationId),
    /// Its time is over.
    #[error("reservation {} expired at {} ns", .id.0, .at.as_ns())]
    Expired {
        /// Which one.
        id: ReservationId,
        /// When.
        at: Instant,
    },
    /// It had to give way.
    #[error("reservation {} was preempted at {} ns", .id.0, .at.as_ns())]
    Preempted {
        /// Which one.
        id: ReservationId,
        /// When.
        at: Instant,
    },
}

/// Why a reservation was not extended. It stays as it was.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ExtendError {
    /// It is not in force and not to come.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The new end is not after the old one.
    #[error("reservation {} lasts until {} ns already", .id.0, .end.as_ns())]
    NotLater {
        /// Which one.
        id: ReservationId,
        /// Its end.
        end: Instant,
    },
    /// A link has too little left after the old end.
    #[error(transparent)]
    Shortage(#[from] Shortage),
}
