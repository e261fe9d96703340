//! Runs in processes of their own, each with a limit of memory, so that one that takes too much dies alone.
//!
//! The budget of a sweep is shared out evenly among its threads. A run that dies within its share is made again while no
//! other runs, with the whole budget: what is short of memory does not always say so. If that is too small, too, the run has
//! failed, and the others go on. What a run leaves is the same in whatever process it runs.
//!
//! A child has a process group of its own, so that a Ctrl-C reaches the sweep alone, which then ends its children, and all
//! of the group. What it says goes through pipes, never through a disk that may be full.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "waits for a process; no result depends on how long"
)]

use std::collections::VecDeque;
use std::io::{self, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use longhaul_scenarios::Loaded;
use longhaul_scenarios::parallel::{Unwatched, to_its_end};
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::source::Source;
use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;

use crate::entry::{Entry, law_bounds};
use crate::execute::FailureKind;

/// The longest between two looks at a child.
const LOOK: Duration = Duration::from_millis(10);
/// Most bytes of what a child says that are kept, from its end.
const LONGEST_MESSAGE: usize = 2_000;

/// What those say who do not get memory.
const SHORT_OF_MEMORY: [&str; 5] = [
    // The standard library, before it aborts.
    "memory allocation of",
    // The C library: ENOMEM.
    "Cannot allocate memory",
    // zstd: ZSTD_error_memory_allocation.
    "not enough memory",
    // Its bindings, and who uses them, when there is no context.
    "zstd returned null pointer",
    "memory for a zstd context",
];

/// How to isolate runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Isolation {
    /// The program with its first arguments. It is told `--key KEY --memory BYTES --parent PID`, and `--base-dir DIR` if files are
    /// relative to one, takes a scenario from standard input and does what [`serve`] does. If it cannot build the scenario, it
    /// says why on standard error and exits with 2.
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
    let entry = Entry::of(key, &record, law_bounds(&loaded.scenario));
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
    /// Read by runs that have their share, written by those that need all of it.
    budget: RwLock<()>,
}

impl Children {
    /// For so many at a time.
    pub fn new(isolation: Isolation, threads: usize) -> Children {
        let share = isolation.memory / threads.max(1) as u64;
        Children {
            isolation,
            share,
            budget: RwLock::new(()),
        }
    }

    /// Runs a scenario, first with its share of memory.
    ///
    /// # Errors
    /// If there is no process for it, which is no fault of the run.
    pub fn run(&self, task: Task) -> io::Result<Outcome> {
        let first = {
            let _shared = self.budget.read().unwrap_or_else(PoisonError::into_inner);
            self.child(task, self.share)?
        };
        match first {
            Outcome::Failed(FailureKind::OutOfMemory | FailureKind::Panicked, _)
                if self.share < self.isolation.memory =>
            {
                let _alone = self.budget.write().unwrap_or_else(PoisonError::into_inner);
                self.child(task, self.isolation.memory)
            }
            outcome => Ok(outcome),
        }
    }

    fn child(&self, task: Task, memory: u64) -> io::Result<Outcome> {
        let Task {
            loaded,
            key,
            timeout,
            wants_end,
        } = task;
        let began = Instant::now();
        let (program, arguments) = self
            .isolation
            .program
            .split_first()
            .ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(["--key", key, "--memory", &memory.to_string()])
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if !loaded.base_dir.as_os_str().is_empty() {
            command.arg("--base-dir").arg(&loaded.base_dir);
        }
        let text = longhaul_scenarios::show::canonical(&loaded.scenario);
        let mut child = Group(command.spawn()?);
        let (stdin, stdout, stderr) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
        // Each pipe has a thread: whichever end waits for the other, nobody waits for both.
        thread::scope(|scope| {
            let spawned = || {
                thread::Builder::new().spawn_scoped(scope, move || {
                    // A child that dies early hangs up; its status says why.
                    let _ = stdin.map(|mut stdin| stdin.write_all(text.as_bytes()));
                })?;
                let out = thread::Builder::new()
                    .spawn_scoped(scope, move || stdout.map_or(Ok(Vec::new()), all_of))?;
                let said = thread::Builder::new()
                    .spawn_scoped(scope, move || stderr.map_or(Ok(String::new()), end_of))?;
                Ok((out, said))
            };
            let (out, said) = match spawned() {
                Ok(spawned) => spawned,
                Err(error) => {
                    // The threads that there are end with the pipes.
                    child.end();
                    return Err(error);
                }
            };
            let waited = wait(&mut child, || {
                if wants_end() {
                    return Some(Outcome::Ended);
                }
                let timeout = timeout.filter(|timeout| began.elapsed() > *timeout)?;
                let message = format!("given up after {timeout:?} of wall time");
                Some(Outcome::Failed(FailureKind::TimedOut, message))
            });
            if !matches!(waited, Ok(Ok(_))) {
                child.end();
            }
            let (out, said) = (joined(out), joined(said));
            match waited? {
                // Whoever ended the child may have ended the sweep, too: then it says nothing about the run.
                Ok(status) if status.signal().is_some() && wants_end() => Ok(Outcome::Ended),
                Ok(status) => Ok(judge(status, key, memory, &out?, &said?)),
                Err(outcome) => Ok(outcome),
            }
        })
    }
}

/// A child and all that it starts.
struct Group(Child);

impl Group {
    /// Ends all of it, if it has not ended.
    fn end(&mut self) {
        // Only a child that has not been waited for has its number to itself.
        if matches!(self.0.try_wait(), Ok(None)) {
            let group = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
            // It may be gone by now, which is as good.
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

fn joined<T>(thread: thread::ScopedJoinHandle<io::Result<T>>) -> io::Result<T> {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn all_of(mut pipe: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The end of what a child said.
fn end_of(mut pipe: impl Read) -> io::Result<String> {
    let mut end = VecDeque::new();
    let mut buffer = [0; 4096];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => end.extend(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        end.drain(..end.len().saturating_sub(LONGEST_MESSAGE));
    }
    let bytes: Vec<u8> = end.into();
    // It may begin within a character.
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_start_matches('\u{fffd}').trim().to_owned())
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
        _ if SHORT_OF_MEMORY.iter().any(|phrase| said.contains(phrase)) => {
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

fn wait(child: &mut Group, give_up: impl Fn() -> Option<Outcome>) -> io::Result<Result<ExitStatus, Outcome>> {
    // Short runs are many: they are looked at soon, long ones seldom.
    let mut look = Duration::from_micros(200);
    loop {
        if let Some(status) = child.0.try_wait()? {
            return Ok(Ok(status));
        }
        if let Some(outcome) = give_up() {
            return Ok(Err(outcome));
        }
        thread::sleep(look);
        look = (look * 2).min(LOOK);
    }
}
