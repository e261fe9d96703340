//! Runs in processes of their own, each with a limit of memory, so that one that takes too much dies alone.
//!
//! The budget of a sweep is shared out evenly among its threads. A run that its share is too small for is made again while
//! no other runs, with the whole budget; if that is too small, too, the run has failed, and the others go on. What a run
//! leaves is the same in whatever process it runs.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "waits for a process; no result depends on how long"
)]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use longhaul_scenarios::Loaded;
use longhaul_scenarios::parallel::{Unwatched, to_its_end};
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::source::Source;
use thiserror::Error;

use crate::entry::Entry;
use crate::execute::FailureKind;

/// The longest between two looks at a child.
const LOOK: Duration = Duration::from_millis(10);
/// Most of what a child says that is kept.
const LONGEST_MESSAGE: usize = 2_000;

/// How to isolate runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Isolation {
    /// The program with its first arguments. It is told `--key KEY --memory BYTES`, and `--base-dir DIR` if files are relative to
    /// one, takes a scenario from standard input and does what [`serve`] does.
    pub program: Vec<PathBuf>,
    /// Address space of all children together, in bytes.
    pub memory: u64,
}

/// Why a child has nothing to say.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The scenario is not valid, which it was for the parent.
    #[error("{0}")]
    Scenario(String),
    /// It names a file that cannot be used.
    #[error("{0}")]
    Build(String),
}

/// The child's side: runs a scenario and gives what is kept of it, as JSON.
///
/// # Errors
/// If it cannot be built.
///
/// # Panics
/// If an invariant of the run does not hold.
pub fn serve(text: String, base_dir: PathBuf, key: String) -> Result<Vec<u8>, ServeError> {
    let source = Source {
        name: "standard input".to_owned(),
        text,
        base_dir,
    };
    let loaded = longhaul_scenarios::load(&source, &[], None)
        .map_err(|mistakes| ServeError::Scenario(mistakes.to_string()))?;
    let simulation = Simulation::build(&loaded, RunOptions::default())
        .map_err(|error| ServeError::Build(error.to_string()))?;
    let record = to_its_end(simulation, &Unwatched).expect("nobody wants it to end");
    let entry = Entry::of(key, &record, &loaded.scenario);
    Ok(serde_json::to_vec(&entry).expect("an entry is made of numbers and texts"))
}

/// What became of a child.
pub enum Outcome {
    /// It ran to its end.
    Finished(Box<Entry>),
    /// It failed.
    Failed(FailureKind, String),
    /// The sweep is to end.
    Ended,
}

/// A run that a child is to make.
#[derive(Clone, Copy)]
pub struct Task<'t> {
    /// Its scenario.
    pub loaded: &'t Loaded,
    /// The key of the run.
    pub key: &'t str,
    /// Wall time after which it is given up.
    pub timeout: Option<Duration>,
    /// Whether the sweep is to end.
    pub wants_end: &'t dyn Fn() -> bool,
}

/// Makes runs in children.
pub struct Children {
    isolation: Isolation,
    /// Of each thread.
    share: u64,
    folder: PathBuf,
    number: AtomicU64,
    /// Read by runs that have their share, written by those that need all of it.
    budget: RwLock<()>,
}

impl Children {
    /// For so many at a time; their output goes through temporary files in `folder`.
    pub fn new(isolation: Isolation, threads: usize, folder: PathBuf) -> Children {
        let share = isolation.memory / threads.max(1) as u64;
        Children {
            isolation,
            share,
            folder,
            number: AtomicU64::new(0),
            budget: RwLock::new(()),
        }
    }

    /// Runs a scenario, first with its share of memory.
    pub fn run(&self, task: Task) -> Outcome {
        let first = {
            let _shared = self.budget.read().unwrap_or_else(PoisonError::into_inner);
            self.once(task, self.share)
        };
        match first {
            Outcome::Failed(FailureKind::OutOfMemory, _) if self.share < self.isolation.memory => {
                let _alone = self.budget.write().unwrap_or_else(PoisonError::into_inner);
                self.once(task, self.isolation.memory)
            }
            outcome => outcome,
        }
    }

    fn once(&self, task: Task, memory: u64) -> Outcome {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let files = ["out", "err"].map(|end| self.folder.join(format!(".partial-child-{number}.{end}")));
        let outcome = self.child(task, memory, &files);
        for file in files {
            // What cannot be removed does no harm: the next start sweeps it up.
            let _ = fs::remove_file(file);
        }
        match outcome {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(FailureKind::Panicked, format!("no process for it: {error}")),
        }
    }

    fn child(&self, task: Task, memory: u64, [out, err]: &[PathBuf; 2]) -> std::io::Result<Outcome> {
        let Task {
            loaded,
            key,
            timeout,
            wants_end,
        } = task;
        let began = Instant::now();
        fs::create_dir_all(&self.folder)?;
        let (program, arguments) = self
            .isolation
            .program
            .split_first()
            .ok_or(std::io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(["--key", key, "--memory", &memory.to_string()])
            .stdin(Stdio::piped())
            .stdout(File::create(out)?)
            .stderr(File::create(err)?);
        if !loaded.base_dir.as_os_str().is_empty() {
            command.arg("--base-dir").arg(&loaded.base_dir);
        }
        let mut child = command.spawn()?;
        let text = longhaul_scenarios::show::canonical(&loaded.scenario);
        // A child that dies early hangs up; its status says why.
        let _ = child
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(text.as_bytes()));
        let waited = wait(&mut child, || {
            if wants_end() {
                return Some(Outcome::Ended);
            }
            let timeout = timeout.filter(|timeout| began.elapsed() > *timeout)?;
            let message = format!("given up after {timeout:?} of wall time");
            Some(Outcome::Failed(FailureKind::TimedOut, message))
        });
        match waited? {
            Ok(status) => Ok(judge(status, key, memory, &fs::read(out)?, &said(err)?)),
            Err(outcome) => Ok(outcome),
        }
    }
}

/// The end of what a child said.
fn said(path: &Path) -> std::io::Result<String> {
    let text = String::from_utf8_lossy(&fs::read(path)?).trim().to_owned();
    let skipped = text.chars().count().saturating_sub(LONGEST_MESSAGE);
    Ok(text.chars().skip(skipped).collect())
}

/// What a child's end means.
fn judge(status: ExitStatus, key: &str, memory: u64, out: &[u8], said: &str) -> Outcome {
    let exhausted = |how: &str| {
        let message = format!("{how} within {}", longhaul_reports::human::bytes(memory));
        Outcome::Failed(FailureKind::OutOfMemory, message)
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => match serde_json::from_slice::<Entry>(out) {
            Ok(entry) if entry.key == key => Outcome::Finished(Box::new(entry)),
            _ => Outcome::Failed(
                FailureKind::Panicked,
                "its process left something else than a run".to_owned(),
            ),
        },
        // As the standard library and the C library say it.
        _ if said.contains("memory allocation of") || said.contains("Cannot allocate memory") => {
            exhausted("it did not get the memory that it needs")
        }
        // As the system does it when it has no more.
        (_, Some(9)) => exhausted("its process was killed, as the system does when memory runs out,"),
        (Some(2), _) => Outcome::Failed(FailureKind::Unbuildable, said.to_owned()),
        (_, Some(signal)) => {
            Outcome::Failed(FailureKind::Panicked, format!("ended by signal {signal}: {said}"))
        }
        _ => Outcome::Failed(FailureKind::Panicked, said.to_owned()),
    }
}

fn wait(
    child: &mut Child,
    give_up: impl Fn() -> Option<Outcome>,
) -> std::io::Result<Result<ExitStatus, Outcome>> {
    // Short runs are many: they are looked at soon, long ones seldom.
    let mut look = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ok(status));
        }
        if let Some(outcome) = give_up() {
            child.kill()?;
            child.wait()?;
            return Ok(Err(outcome));
        }
        std::thread::sleep(look);
        look = (look * 2).min(LOOK);
    }
}
