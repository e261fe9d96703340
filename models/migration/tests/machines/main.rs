//! Source and destination, together and against peers that break the rules.

mod convergence;
mod costs;
mod hostile;
mod interruptions;
mod postcopy;
mod support;
mod throttling;
mod whole;
mod xbzrle;
