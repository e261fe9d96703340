//! Source and destination, together and against peers that break the rules.

mod hostile;
mod support;
mod whole;
