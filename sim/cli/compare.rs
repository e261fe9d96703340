//! `longhaul compare`: what differs between two runs, or two sweeps.

use longhaul_reports::console::Style;
use longhaul_sweeps::compare::{self, CompareError};
use longhaul_sweeps::text;

use crate::args::CompareArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Colour};
use crate::sweep;

/// Compares the directories that the command line names. A difference is no failure.
pub fn compare(args: &CompareArgs, colour: Colour) -> Result<Exit, Failure> {
    let comparison = compare::compare(&args.a, &args.b, &args.margin)?;
    let width = Style::of_stdout(output::colour_of_stdout(colour)).columns();
    output::print(&if args.json {
        longhaul_reports::json::pretty(&comparison)
    } else {
        text::comparison(&comparison, width)
    })?;
    if let Some(folder) = &args.plots {
        let (pictures, notes) =
            compare::pictures::all(&comparison, folder, args.png).map_err(CompareError::Directory)?;
        sweep::notes(&notes);
        if !pictures.is_empty() {
            output::note(&format!("{} pictures in {}\n", pictures.len(), folder.display()));
        }
    }
    Ok(Exit::Passed)
}
