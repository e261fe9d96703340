//! `longhaul single` (hidden): one run of `sweep --memory`, in a process that may die of it.

use std::io::{Read as _, Write as _};

use longhaul_scenarios::source::LARGEST_FILE;
use longhaul_sweeps::isolate;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::args::SingleArgs;
use crate::exit::{Exit, Failure};

/// Runs the scenario on standard input and writes what is kept of it.
pub fn single(args: &SingleArgs) -> Result<Exit, Failure> {
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
    let entry = isolate::serve(text, base_dir, args.key.clone())?;
    std::io::stdout().write_all(&entry).map_err(Failure::Output)?;
    Ok(Exit::Passed)
}
