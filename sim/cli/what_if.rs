//! `longhaul what-if`: what failures of links would do to the demands of a scenario.

use longhaul_reports::console::{self, Style};
use longhaul_reports::json;
use longhaul_scenarios::what_if;

use crate::args::WhatIfArgs;
use crate::check;
use crate::exit::{Exit, Failure};
use crate::output::{self, Colour};

/// Prints what every failure would do. That some demand loses its way is an answer, not an error.
pub fn what_if(args: &WhatIfArgs, colour: Colour) -> Result<Exit, Failure> {
    let loaded = check::read(&args.scenario)?;
    let record = what_if::what_if(&loaded.scenario, usize::from(args.failures))?;
    output::print(&if args.json {
        json::what_if(&record)
    } else {
        let style = Style::of_stdout(output::colour_of_stdout(colour));
        console::what_if(&record, args.worst, style)
    })?;
    Ok(Exit::Passed)
}
