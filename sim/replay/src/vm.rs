//! The backend `vm`: jobs done by longhaul inside a virtual machine, in deterministic virtual time.
//!
//! QEMU emulates (no KVM needed, no privilege needed) a computer that boots a packaged Linux kernel whose first
//! process is this program. Its clock counts instructions and jumps over idle time, so a result depends on the job,
//! the seed, the kernel and QEMU, and on nothing else: neither on the load nor on the speed of this machine.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`kernel`] | the search for a kernel, and fetching one |
//! | `modules`, `elf` | its modules in the order of their dependencies |
//! | `initrd`, `cpio` | the guest's file system |
//! | `qemu` | one boot |
//! | `frame` | the envelope of an answer |
//! | [`guest`] | what runs inside |

mod cpio;
mod elf;
mod frame;
pub mod guest;
mod initrd;
pub mod kernel;
mod modules;
mod qemu;

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::tools::Tools;
pub use initrd::{InitrdError, tables};
use kernel::{Kernel, KernelError, Places};
use qemu::{End, Finished};

/// The emulator.
pub const QEMU: &str = "qemu-system-x86_64";
/// Ends QEMU when longhaul ends.
pub const SETPRIV: &str = "setpriv";
/// Wall time that a boot may take unless said otherwise.
pub const WATCHDOG: Duration = Duration::from_secs(30 * 60);
/// Least memory of a guest; with it the kernel chooses its usual limits for TCP's buffers.
const MEMORY_MIB: u32 = 1024;
/// What 32 bits of memory size can double to.
const MOST_MEMORY_MIB: u32 = 1 << 18;

/// How to boot.
#[derive(Clone, Debug)]
pub struct VmOptions {
    /// Longhaul itself; it becomes the first process of the guest.
    pub program: PathBuf,
    /// A kernel image, a directory where a kernel package was unpacked, or such a package. `None`: a fetched or
    /// installed one.
    pub kernel: Option<PathBuf>,
    /// Most boots side by side, at least 1. It changes no answer.
    pub parallel: usize,
    /// Memory of each guest. `None`: 1024 MiB, doubled while the guest's files need more than a quarter.
    pub memory_mib: Option<u32>,
    /// Wall time that a boot may take. `None`: [`WATCHDOG`].
    pub watchdog: Option<Duration>,
}

/// A job, and the seed of everything that its guest takes for chance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boot {
    /// Opaque here.
    pub job: Vec<u8>,
    /// Equal jobs with equal seeds have equal answers.
    pub seed: u64,
}

/// What a boot brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// Opaque here.
    pub answer: Vec<u8>,
    /// What the guest wrote to its console.
    pub console: String,
    /// Wall time of the boot, the job and the end.
    pub wall: Duration,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum VmError {
    /// No emulator.
    #[error("there is no {QEMU}: run `apt-get install qemu-system-x86`")]
    NoQemu,
    /// No `setpriv`.
    #[error("there is no {SETPRIV}: run `apt-get install util-linux`")]
    NoSetpriv,
    /// No kernel.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// No file system for the guest.
    #[error(transparent)]
    Initrd(#[from] InitrdError),
    /// The job does not fit.
    #[error(
        "the guest's files need {files_mib} MiB of memory; a guest of {memory_mib} MiB is too small for them"
    )]
    Memory {
        /// Of the guest's files.
        files_mib: u64,
        /// Of the guest.
        memory_mib: u32,
    },
    /// The operating system.
    #[error("cannot run {QEMU}: {0}")]
    Process(#[from] io::Error),
    /// The caller wanted an end.
    #[error("the virtual machine was stopped")]
    Stopped,
    /// The guest.
    #[error("the virtual machine with seed {seed} failed: {why}{}", last_words(.console))]
    Guest {
        /// Of the boot.
        seed: u64,
        /// In a line.
        why: String,
        /// All that it wrote.
        console: String,
    },
}

impl VmError {
    /// Whether this machine lacks something, rather than that a guest failed.
    pub fn unavailable(&self) -> bool {
        match self {
            VmError::NoQemu
            | VmError::NoSetpriv
            | VmError::Kernel(_)
            | VmError::Initrd(_)
            | VmError::Process(_) => true,
            VmError::Memory { .. } | VmError::Stopped | VmError::Guest { .. } => false,
        }
    }
}

fn last_words(console: &str) -> String {
    match qemu::last_lines(console) {
        lines if lines.is_empty() => String::new(),
        lines => format!("; its last lines:\n  {}", lines.replace('\n', "\n  ")),
    }
}

/// What every boot needs, found on this machine.
#[derive(Debug)]
struct Found {
    qemu: PathBuf,
    setpriv: PathBuf,
    kernel: Kernel,
}

/// Whether a guest can be booted, and with which kernel.
///
/// # Errors
/// If this machine lacks something.
pub fn ready(named: Option<&std::path::Path>) -> Result<Kernel, VmError> {
    find(named, &Tools::of_system()).map(|found| found.kernel)
}

fn find(named: Option<&std::path::Path>, tools: &Tools) -> Result<Found, VmError> {
    Ok(Found {
        qemu: tools.find(QEMU).ok_or(VmError::NoQemu)?,
        setpriv: tools.find(SETPRIV).ok_or(VmError::NoSetpriv)?,
        kernel: Places::of_system().find(named, tools)?,
    })
}

/// Boots a guest for each job, some side by side, and brings their answers in the order of the jobs. `stop` is asked
/// often; once it says yes, all guests are ended. If one fails the others are ended too.
///
/// # Errors
/// Of the first job (by its place) that failed, or if this machine lacks something.
pub fn run(
    options: &VmOptions,
    boots: &[Boot],
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Answered>, VmError> {
    let tools = Tools::of_system();
    let found = find(options.kernel.as_deref(), &tools)?;
    let base = initrd::base(&options.program, &found.kernel, &tools)?.to_bytes();
    let failed = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<Answered, VmError>>>> =
        boots.iter().map(|_| Mutex::new(None)).collect();
    let end = || stop() || failed.load(Ordering::Relaxed);
    let worker = || {
        while let Some((boot, place)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            boots.get(number).zip(results.get(number))
        } {
            let result = one(options, &found, &base, boot, &end);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            *place.lock().expect("no worker panics with the lock") = Some(result);
        }
    };
    // Each guest dies with the thread that started it, so a worker stays until its guests have ended.
    thread::scope(|scope| {
        for _ in 0..options.parallel.clamp(1, boots.len().max(1)) {
            scope.spawn(worker);
        }
    });
    collect(results.into_iter().map(|place| {
        let result = place.into_inner().expect("no worker panics with the lock");
        result.expect("every job was taken by a worker")
    }))
}

/// All answers; or the first failure that is not only the consequence of another.
fn collect(results: impl Iterator<Item = Result<Answered, VmError>>) -> Result<Vec<Answered>, VmError> {
    let mut answers = Vec::new();
    let mut stopped = false;
    for result in results {
        match result {
            Ok(answered) => answers.push(answered),
            Err(VmError::Stopped) => stopped = true,
            Err(error) => return Err(error),
        }
    }
    if stopped {
        Err(VmError::Stopped)
    } else {
        Ok(answers)
    }
}

fn one(
    options: &VmOptions,
    found: &Found,
    base: &[u8],
    boot: &Boot,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Answered, VmError> {
    if stop() {
        return Err(VmError::Stopped);
    }
    let job = initrd::job(&boot.job).to_bytes();
    let Finished { end, console, wall } = qemu::Boot {
        qemu: &found.qemu,
        setpriv: &found.setpriv,
        kernel: &found.kernel.image,
        initrd: [base, &job],
        seed: boot.seed,
        memory_mib: memory_mib(options.memory_mib, base.len() + job.len())?,
        watchdog: options.watchdog.unwrap_or(WATCHDOG),
    }
    .run(stop)?;
    match end {
        End::Answered(answer) => Ok(Answered {
            answer,
            console,
            wall,
        }),
        End::Stopped => Err(VmError::Stopped),
        End::Failed(why) => Err(VmError::Guest {
            seed: boot.seed,
            why,
            console,
        }),
    }
}

/// Memory for a guest with so many bytes of files. The files are there twice while they are unpacked.
fn memory_mib(wanted: Option<u32>, files: usize) -> Result<u32, VmError> {
    let files_mib = (files as u64).div_ceil(1 << 20);
    let fits = |memory_mib: u32| files_mib * 4 <= u64::from(memory_mib);
    let doubled = || std::iter::successors(Some(MEMORY_MIB), |memory| memory.checked_mul(2));
    let chosen = wanted.or_else(|| {
        doubled()
            .take_while(|&memory| memory <= MOST_MEMORY_MIB)
            .find(|&memory| fits(memory))
    });
    match chosen {
        Some(memory_mib) if fits(memory_mib) => Ok(memory_mib),
        _ => Err(VmError::Memory {
            files_mib,
            memory_mib: chosen.unwrap_or(MOST_MEMORY_MIB),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_the_files_and_is_refused_where_it_cannot() {
        assert_eq!(memory_mib(None, 1).ok(), Some(1024));
        assert_eq!(memory_mib(None, 256 << 20).ok(), Some(1024));
        assert_eq!(memory_mib(None, (256 << 20) + 1).ok(), Some(2048));
        assert_eq!(memory_mib(Some(512), 1).ok(), Some(512));
        let why = memory_mib(Some(64), 17 << 20).expect_err("an error").to_string();
        assert!(why.contains("17 MiB") && why.contains("64 MiB"), "{why}");
        assert!(memory_mib(None, usize::MAX).is_err());
    }

    #[test]
    fn what_is_missing_is_told_in_one_line_and_is_not_the_guests_fault() {
        let error = find(None, &Tools::in_directories([])).expect_err("no QEMU");
        assert!(error.unavailable());
        assert_eq!(
            error.to_string(),
            "there is no qemu-system-x86_64: run `apt-get install qemu-system-x86`"
        );
        let guest = VmError::Guest {
            seed: 7,
            why: "its kernel panicked".to_owned(),
            console: "one\ntwo\n".to_owned(),
        };
        assert!(!guest.unavailable());
        assert_eq!(
            guest.to_string(),
            "the virtual machine with seed 7 failed: its kernel panicked; its last lines:\n  one\n  two"
        );
    }

    #[test]
    fn a_failure_goes_before_the_stops_that_it_caused() {
        let answered = || {
            Ok(Answered {
                answer: vec![],
                console: String::new(),
                wall: Duration::ZERO,
            })
        };
        let failure = || Err(VmError::NoQemu);
        let stopped = || Err(VmError::Stopped);
        assert_eq!(
            collect([answered(), answered()].into_iter())
                .expect("answers")
                .len(),
            2
        );
        let error = collect([answered(), stopped(), failure()].into_iter()).expect_err("an error");
        assert!(matches!(error, VmError::NoQemu));
        let error = collect([stopped(), answered()].into_iter()).expect_err("an error");
        assert!(matches!(error, VmError::Stopped));
    }
}
