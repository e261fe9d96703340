//! `longhaul show`: a scenario with every default written out, as the run directory keeps it.

use crate::args::ScenarioArgs;
use crate::check;
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the scenario. What is printed is a scenario file with the same meaning and the same hash.
pub fn show(args: &ScenarioArgs) -> Result<Exit, Failure> {
    output::print(&check::read(args)?.canonical)?;
    Ok(Exit::Passed)
}
