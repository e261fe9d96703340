//! `longhaul check`: all mistakes and doubts of a scenario, without running it.

use longhaul_reports::human;
use longhaul_scenarios::{Loaded, load, source};

use crate::args::ScenarioArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Colour};

/// Reads the scenario that the command line names, with its seed and its changes.
///
/// # Errors
/// If there is no such scenario, or it has mistakes.
pub fn read(args: &ScenarioArgs) -> Result<Loaded, Failure> {
    let source = source::open(&args.scenario)?;
    Ok(load(&source, &args.set, args.seed)?)
}

/// Says whether the scenario is valid. Doubts go to standard error and change nothing about that.
pub fn check(args: &ScenarioArgs, colour: Colour) -> Result<Exit, Failure> {
    let loaded = read(args)?;
    warn(&loaded, colour);
    let doubts = match loaded.warnings.items().len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        number => format!(", {number} warnings"),
    };
    output::print(&format!("{}: valid{doubts}\n", human::printable(&args.scenario)))?;
    Ok(Exit::Passed)
}

/// Shows what is doubtful about a scenario.
pub fn warn(loaded: &Loaded, colour: Colour) {
    if !loaded.warnings.is_empty() {
        output::note(&loaded.warnings.render(output::colour_of_stderr(colour)));
    }
}
