//! Federations against the rest of the scenario.

use crate::decode::Decoded;

use super::Report;
use super::work::starts_in_time;

/// What comes too late.
pub fn federations(decoded: &Decoded, report: &mut Report) {
    for (index, federation) in &decoded.federations.good {
        let path = format!("federations[{index}].at");
        starts_in_time(decoded, federation.at, &path, report);
    }
}
