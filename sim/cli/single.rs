//! `longhaul single` (hidden): one run of `sweep --memory`, in a process that may die of it.

use std::io::{Read as _, Write as _};

use longhaul_scenarios::source::LARGEST_FILE;
use longhaul_sweeps::guard::guarded;
use longhaul_sweeps::isolate;
use rustix::process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};

use crate::args::SingleArgs;
use crate::exit::{Exit, Failure};
use crate::output;

/// Runs the scenario on standard input and writes what is kept of it. What goes wrong is said in the words that the sweep
/// itself would use.
pub fn single(args: &SingleArgs) -> Result<Exit, Failure> {
    // A sweep that is killed must not leave runs behind; if it was killed before this, nobody waits for this one.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| Failure::Limit(error.into()))?;
    if getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(args.parent) {
        return Ok(Exit::Terminated);
    }
    let limit = Rlimit {
        current: Some(args.memory),
        maximum: Some(args.memory),
    };
    setrlimit(Resource::As, limit).map_err(|error| Failure::Limit(error.into()))?;
    let mut text = String::new();
    std::io::stdin()
        .take(LARGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(Failure::Input)?;
    let base_dir = args.base_dir.clone().unwrap_or_default();
    match guarded(|| isolate::serve(text, base_dir, args.key.clone())) {
        Ok(Ok(entry)) => {
            std::io::stdout().write_all(&entry).map_err(Failure::Output)?;
            Ok(Exit::Passed)
        }
        Ok(Err(error)) => {
            output::note(&format!("{error}\n"));
            Ok(Exit::Usage)
        }
        Err(panic) => {
            output::note(&format!("{panic}\n"));
            Ok(Exit::Internal)
        }
    }
}
