//! Where published data lie: `LONGHAUL_DATA`, by default `../shared/data` beside the workspace.

use std::path::{Path, PathBuf};

#[expect(
    clippy::disallowed_methods,
    reason = "where test data lies is up to the machine"
)]
fn folder() -> PathBuf {
    match std::env::var_os("LONGHAUL_DATA") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    }
}

/// The text of a file; says so and returns `None` if there is none.
#[allow(dead_code, reason = "not every test reads single files")]
pub fn text(path: &str) -> Option<String> {
    let path = folder().join(path);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: no {} (set LONGHAUL_DATA)", path.display());
    }
    text
}

/// The files of a folder with this extension, in the order of their names; says so if there are none.
#[allow(dead_code, reason = "not every test reads folders")]
#[expect(clippy::disallowed_methods, reason = "sorted below")]
pub fn files(path: &str, extension: &str) -> Vec<PathBuf> {
    let path = folder().join(path);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&path)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("a folder's entry").path())
        .filter(|file| file.extension().is_some_and(|found| found == extension))
        .collect();
    if files.is_empty() {
        println!("skipped: no files in {} (set LONGHAUL_DATA)", path.display());
    }
    files.sort();
    files
}
