//! Faults as their users see them.

mod calls;
mod drawing;
mod histories;
mod levels;
mod overlays;
mod schedules;
mod shrinking;
mod swarms;
