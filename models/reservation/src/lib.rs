//! Bandwidth reserved ahead of time on the links of a path.
//!
//! - [`Calendar`]: what is reserved on each directed link and when; a path is reserved on all of its links or on none;
//! - [`Demand`], [`Reservation`]: a rate for a time, at once or later, with a priority;
//! - [`Calendar::reserve_preempting`], [`Calendar::preempt`], [`Calendar::shed`]: important ones displace others, each
//!   from its whole path, and no more of them than must be;
//! - [`Calendar::admit`]: the shortest path on which the rate is free throughout (constrained shortest path first);
//! - [`Usage`], [`Totals`]: what is in use and what will be.
//!
//! Advance reservations after Guérin and Orda, "Networks with advance reservations: the routing perspective"
//! (INFOCOM 2000); priorities after RFC 3209, section 4.7.1, and the preemption attribute of RFC 2702.
//!
//! On no link and at no instant is more reserved than the capacity less the headroom and the background load. Where a link
//! loses capacity afterwards, [`Calendar::shed`] restores that.
//!
//! Nothing here is random and nothing reads a clock: each call says what time it is.

mod admission;
mod calendar;
mod link;
mod preemption;
mod reservation;
mod tree;
mod usage;

pub use admission::Admission;
pub use calendar::{Calendar, MAX_REMEMBERED};
pub use preemption::Preempted;
pub use reservation::{
    AdmitError, Demand, ExtendError, Gone, Priority, Reservation, ReservationId, ReserveError, Shortage,
};
pub use usage::{Totals, Usage};
