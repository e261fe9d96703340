//! `longhaul node` (hidden): the process of one region of a replay.

use longhaul_replay::node;
use longhaul_scenarios::replay::endpoints::build_region;

use crate::exit::{Exit, Failure};

/// Does the job on standard input; the coordinator of the replay reads standard output.
pub fn node() -> Result<Exit, Failure> {
    node::serve(build_region)?;
    Ok(Exit::Passed)
}
