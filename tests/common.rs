//! Running library scenarios in-process.

use std::path::{Path, PathBuf};

use longhaul_scenarios::run::{RunOptions, RunOutput, Simulation};
use longhaul_scenarios::source::read_file;
use longhaul_scenarios::{Loaded, load};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The data folder, which may be absent.
#[expect(
    clippy::disallowed_methods,
    reason = "where test data lies is up to the machine"
)]
pub fn data_folder() -> PathBuf {
    std::env::var_os("LONGHAUL_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from)
}

/// The smoke scenarios, in the order of their names.
pub fn smoke_scenarios() -> Vec<PathBuf> {
    let paths = scenarios_in("scenarios/smoke");
    assert!(paths.len() >= 8, "the smoke scenarios are gone");
    paths
}

/// The scenarios that hold published results, in the order of their names.
pub fn reference_scenarios() -> Vec<PathBuf> {
    let paths = scenarios_in("scenarios/reference");
    assert!(paths.len() >= 4, "the reference scenarios are gone");
    paths
}

fn scenarios_in(folder: &str) -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder of scenarios");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ron"))
        .collect();
    paths.sort();
    paths
}

/// A scenario file with overrides, read and checked.
pub fn loaded(path: &Path, overrides: &[&str]) -> Loaded {
    let source = read_file(path).expect("a readable scenario");
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    load(&source, &overrides, None).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// Runs a scenario file to its end.
pub fn run(path: &Path, overrides: &[&str]) -> RunOutput {
    run_in_slices(path, overrides, u64::MAX)
}

/// Runs a scenario file to its end, `slice` events at a time.
pub fn run_in_slices(path: &Path, overrides: &[&str], slice: u64) -> RunOutput {
    let loaded = loaded(path, overrides);
    let mut simulation = Simulation::build(&loaded, RunOptions::default()).expect("a scenario that builds");
    while simulation.advance(slice) {}
    simulation.finish(false)
}

/// A scenario given as text.
pub fn load_text(text: &str) -> Loaded {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("scenario.ron");
    std::fs::write(&path, text).expect("a written scenario");
    loaded(&path, &[])
}

/// Runs a scenario given as text.
pub fn run_text(text: &str) -> RunOutput {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("scenario.ron");
    std::fs::write(&path, text).expect("a written scenario");
    run(&path, &[])
}
