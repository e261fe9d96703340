//! What the policies must do: cases with known answers, and random histories beside slow models of the same rules.

mod breaker;
mod bulkhead;
mod driver;
mod limiting;
mod mistakes;
mod orders;
mod planted;
mod retrying;
mod stack;
mod timeouts;
mod watching;
