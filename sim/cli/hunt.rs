//! `longhaul hunt`: looks for faults that make a scenario fail, and writes the fewest that do.

use std::fs;
use std::io;
use std::path::PathBuf;

use longhaul_scenarios::hunt::{Found, Hunt, HuntError, Hunted, hunt as look};
use longhaul_scenarios::parallel::Aborted;
use thiserror::Error;

use crate::args::HuntArgs;
use crate::check;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Colour};
use crate::watch::{Watcher, processors};

/// Why there is no hunt.
#[derive(Debug, Error)]
pub enum HuntFailure {
    /// The scenario, or what was asked for.
    #[error(transparent)]
    Hunt(#[from] HuntError),
    /// The scenario that was found cannot be written.
    #[error("cannot write {path}: {error}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Hunts in the scenario that the command line names.
pub fn hunt(args: &HuntArgs, colour: Colour) -> Result<Exit, Failure> {
    let loaded = check::read(&args.scenario)?;
    if !args.quiet {
        check::warn(&loaded, colour);
    }
    let path = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}-hunted.ron", loaded.scenario.name)));
    let how = Hunt {
        schedules: args.seeds,
        first: args.first,
        classes: args.faults.clone(),
        most_strikes: args.strikes,
        most_calls: args.calls,
        vary_seed: args.vary_seed,
        threads: args.jobs.map_or_else(processors, usize::from),
        ..Hunt::default()
    };
    let interrupt = Interrupt::install().map_err(Failure::Signals)?;
    let watch = Watcher::new(&interrupt, args.quiet);
    let result = look(&loaded, &how, &watch);
    drop(watch);
    let Hunted {
        tried,
        fail_anyway,
        found,
    } = match result {
        Ok(hunted) => hunted,
        Err(HuntError::Aborted(Aborted::Ended)) => {
            output::note("longhaul: interrupted; there is no result\n");
            return Ok(interrupt.requested().unwrap_or(Exit::Interrupted));
        }
        Err(error) => return Err(HuntFailure::from(error).into()),
    };
    if fail_anyway > 0 {
        output::print(&format!(
            "{fail_anyway} of {tried} runs fail without any fault, by their seed alone: `longhaul sweep` shows them\n"
        ))?;
    }
    let Some(found) = found else {
        output::print(&format!(
            "{tried} schedules of faults, and none makes the scenario fail\n"
        ))?;
        return Ok(Exit::Passed);
    };
    let written = fs::write(&path, &found.scenario);
    written.map_err(|error| HuntFailure::Unwritable {
        path: path.clone(),
        error,
    })?;
    output::print(&told(&found, tried))?;
    output::print(&format!("reproduce: longhaul run {}\n", path.display()))?;
    Ok(Exit::AssertionFailed)
}

fn told(found: &Found, tried: u32) -> String {
    let faults = |number: usize| match number {
        1 => "1 fault".to_owned(),
        number => format!("{number} faults"),
    };
    let enough = if found.faults == 1 {
        "is enough"
    } else {
        "are enough"
    };
    let sure = if found.is_complete {
        "none of which can be left out"
    } else {
        "some of which may be left out: --calls is used up"
    };
    format!(
        "schedule {} of {tried} tried makes the scenario fail: {}\nof its {}, {} {enough}, {sure} ({} runs)\n",
        found.number,
        found.reason,
        faults(found.faults_before),
        faults(found.faults),
        found.calls,
    )
}
