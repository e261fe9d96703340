//! `longhaul digest` (hidden): the second process of `run --verify`.

use std::io::Read;

use longhaul_scenarios::load;
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::source::{LARGEST_FILE, Source};

use crate::args::DigestArgs;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::replica::Fingerprint;

/// Events between two looks at whether the run has ended.
const BATCH: u64 = 1 << 16;

/// Runs the resolved scenario on standard input and prints its [`Fingerprint`].
pub fn digest(args: &DigestArgs) -> Result<Exit, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(LARGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(Failure::Input)?;
    let source = Source {
        name: "standard input".to_owned(),
        text,
        base_dir: args.base_dir.clone().unwrap_or_default(),
    };
    let loaded = load(&source, &[], None)?;
    let options = RunOptions {
        event_budget: args.events,
        trace: args.window.clone(),
        perturb_at: args.inject_divergence,
        reproduce: String::new(),
        ..RunOptions::default()
    };
    let mut simulation = Simulation::build(&loaded, options)?;
    while simulation.advance(BATCH) {}
    let fingerprint = Fingerprint::of(&simulation.finish(false));
    output::print(&fingerprint.text())?;
    Ok(Exit::Passed)
}
