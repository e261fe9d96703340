//! `longhaul merge`: the parts of a sweep put together.

use longhaul_reports::human;
use longhaul_sweeps::merge;

use crate::args::MergeArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Colour};
use crate::sweep;

/// Puts the parts together that the command line names.
pub fn merge(args: &MergeArgs, _colour: Colour) -> Result<Exit, Failure> {
    let mut runs = 0;
    let merged = merge::merge(&args.parts, &args.out, args.png, |point| {
        runs += point.replications;
    })?;
    let manifest = &merged.manifest;
    sweep::notes(&merged.notes);
    if !args.quiet {
        output::print(&format!(
            "{}: {} points, {} runs, in {}\n",
            human::printable(&manifest.sweep),
            human::count(manifest.points),
            human::count(runs),
            args.out.display()
        ))?;
    }
    Ok(sweep::failures(&merged.failures))
}
