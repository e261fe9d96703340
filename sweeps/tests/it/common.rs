//! A small sweep of a small scenario, in a folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use longhaul_scenarios::source::read_file;
use longhaul_sweeps::cache::Cache;
use longhaul_sweeps::decode;
use longhaul_sweeps::directory::{Claim, Manifest, Shard, SweepDirectory};
use longhaul_sweeps::execute::{self, Effort, Index, Options, Progress, Watch};
use longhaul_sweeps::prepare::{Prepared, files_of, prepare};
use longhaul_sweeps::tables;
use tempfile::TempDir;

/// Loses frames by chance, so that seeds matter; takes some milliseconds.
pub const SCENARIO: &str = r#"Scenario(
    version: 1,
    name: "small",
    question: "How long does half a megabyte take?",
    expect: "Some tenths of a second.",
    horizon: "20 s",
    regions: [(name: "north"), (name: "south")],
    links: [(between: ("north", "south"), rtt: "20 ms", rate: "50 Mbit/s", loss: Independent(mean: "1 %"))],
    transfers: [(name: "bulk", from: "north", to: "south", size: "500 kB")],
)"#;

pub const AXES: &str = r#"
        (name: "rtt", path: "links[0].rtt", values: ["10 ms", "20 ms", "40 ms"]),
        (name: "streams", path: "transfers[bulk].streams", values: [1, 4]),"#;

pub const METRICS: &str = r#"
        (name: "time", metric: TransferCompletionTime, statistic: Max),
        (name: "loss", metric: LinkLoss, statistic: Max, scope: Only("north->south")),"#;

/// The same beside a reservation, which a link of 50 Mbit/s has room for.
pub fn reserving() -> String {
    let reservations = r#"reservations: [(name: "gold", from: "north", to: "south", rate: "10 Mbit/s", start: "1 s", end: "2 s")],
    transfers: ["#;
    SCENARIO.replace("transfers: [", reservations)
}

/// Whether that was admitted, and how long the transfer took.
pub const ADMITTED: &str = r#"
        (name: "admitted", metric: ReservationSuccess, statistic: Min),
        (name: "time", metric: TransferCompletionTime, statistic: Max),"#;

/// The text of a sweep.
pub fn text(axes: &str, metrics: &str, more: &str) -> String {
    format!(
        r#"Sweep(
    version: 1,
    name: "small",
    question: "Do more streams pay?",
    expect: "Where frames are lost.",
    scenario: "small.ron",
    axes: [{axes}
    ],
    metrics: [{metrics}
    ],
    {more}
)"#
    )
}

/// The usual sweep: 6 points of 4 runs.
pub fn usual() -> String {
    text(
        AXES,
        METRICS,
        r#"replications: 4, plots: [
        Line(name: "times", x: "rtt", y: "time", series: "streams", bound: "1 s"),
        Cdf(name: "spread", x: "time", series: "streams"),
    ],"#,
    )
}

pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a temporary folder"));
        fs::write(place.path("small.ron"), SCENARIO).expect("a written scenario");
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A sweep that can run, or what is wrong with it.
    pub fn try_prepare(&self, text: &str) -> Result<Prepared, String> {
        let path = self.path("sweep.ron");
        fs::write(&path, text).expect("a written sweep");
        let source = read_file(&path).expect("a readable sweep");
        let file = decode::read(&source).map_err(|mistakes| mistakes.to_string())?;
        prepare(&file, false).map_err(|mistakes| mistakes.to_string())
    }

    pub fn prepare(&self, text: &str) -> Prepared {
        self.try_prepare(text)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// Runs a sweep into a folder, going on with what is there.
    pub fn run(&self, text: &str, folder: &str, options: Options) -> Ran {
        self.try_run(text, folder, options)
            .expect("a sweep that comes to its end")
    }

    pub fn try_run(&self, text: &str, folder: &str, options: Options) -> Result<Ran, execute::ExecuteError> {
        let manifest = Manifest::of(&self.prepare(text), options.shard);
        let directory = SweepDirectory::take(&self.path(folder), &manifest, Claim::Resume)?;
        self.run_in(text, &directory, options)
    }

    /// The same in a folder that is taken already.
    pub fn run_in(
        &self,
        text: &str,
        directory: &SweepDirectory,
        options: Options,
    ) -> Result<Ran, execute::ExecuteError> {
        let prepared = self.prepare(text);
        let manifest = Manifest::of(&prepared, options.shard);
        directory.begin(&manifest, &prepared.text, &prepared.base)?;
        let seen = Seen::default();
        let (index, effort) = execute::execute(&prepared, directory, options, &seen)?;
        let cache = Cache::new(directory.path(), files_of(&prepared));
        let points = prepared.points();
        let written = tables::write(
            directory,
            &prepared.sweep,
            &points,
            &manifest,
            &index,
            &cache,
            |_| {},
        )?;
        Ok(Ran {
            index,
            effort,
            notes: seen.notes.into_inner().expect("nobody panicked"),
            last: seen.last.into_inner().expect("nobody panicked"),
            said: written.notes,
        })
    }
}

pub struct Ran {
    pub index: Index,
    pub effort: Effort,
    pub notes: Vec<String>,
    pub last: Progress,
    /// What is said of its tables and pictures.
    pub said: Vec<String>,
}

#[derive(Default)]
struct Seen {
    notes: Mutex<Vec<String>>,
    last: Mutex<Progress>,
}

impl Watch for Seen {
    fn progress(&self, progress: &Progress) {
        let mut last = self.last.lock().expect("nobody panicked");
        if progress.done >= last.done {
            *last = *progress;
        }
    }

    fn note(&self, message: &str) {
        self.notes
            .lock()
            .expect("nobody panicked")
            .push(message.to_owned());
    }

    fn wants_end(&self) -> bool {
        false
    }
}

pub fn threads(threads: usize) -> Options {
    Options {
        threads,
        ..Options::default()
    }
}

pub fn shard(index: u32, count: u32) -> Options {
    Options {
        threads: 2,
        shard: Some(Shard { index, count }),
        ..Options::default()
    }
}

/// All files of a sweep but its lock and cache, by their paths in it.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in files(folder) {
        let name = path
            .strip_prefix(folder)
            .expect("inside")
            .to_string_lossy()
            .into_owned();
        if name != "lock" && !name.starts_with("cache") {
            found.insert(name, fs::read(&path).expect("a readable file"));
        }
    }
    assert!(found.len() >= 7, "{:?}", found.keys());
    found
}

/// All files below a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Panics with the first file in which two sweeps differ.
#[track_caller]
pub fn same(one: &Path, other: &Path) {
    let (one, other) = (contents(one), contents(other));
    let names: Vec<&String> = one.keys().collect();
    assert_eq!(names, other.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(*bytes == other[name], "{name} differs");
    }
}
