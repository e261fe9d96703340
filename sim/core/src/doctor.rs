//! What `longhaul doctor` found: probes of a machine, and the backends that a replay can use there.

use serde::{Deserialize, Serialize};

/// Version of this form.
pub const DOCTOR_FORMAT: u32 = 1;

/// Which kernel replays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// That of this machine.
    Host,
    /// One in a virtual machine, in deterministic virtual time.
    Vm,
}

impl Backend {
    /// All, the preferred one first.
    pub const ALL: [Backend; 2] = [Backend::Host, Backend::Vm];

    /// As the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Host => "host",
            Backend::Vm => "vm",
        }
    }
}

/// How a probe went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It is there and works.
    Good,
    /// It is missing or does not work.
    Bad,
    /// It could not be tried, or nothing depends on it.
    Unknown,
}

/// One look at the machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// For which backend.
    pub backend: Backend,
    /// What was looked at.
    pub what: String,
    /// How it went.
    pub finding: Finding,
    /// What was found, in a line.
    pub detail: String,
}

/// Whether a backend can replay here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Availability {
    /// Which.
    pub backend: Backend,
    /// What it lacks, each with what to do about it. None: it is available.
    pub missing: Vec<String>,
}

impl Availability {
    /// Whether it can replay here.
    pub fn available(&self) -> bool {
        self.missing.is_empty()
    }
}

/// A boot of the virtual machine as a trial.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BootRecord {
    /// `uname -r` in the guest.
    pub kernel: String,
    /// Wall time from the start of the first process to the answer, in milliseconds.
    pub wall_ms: u64,
    /// Median round trip through netem of 40 ms, in nanoseconds.
    pub round_trip_ns: Option<u64>,
    /// Round trips that netem lost, of [`BootRecord::tries`].
    pub lost: u64,
    /// Round trips that were tried.
    pub tries: u64,
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DoctorRecord {
    /// [`DOCTOR_FORMAT`].
    pub format: u32,
    /// `uname -sr`.
    pub kernel: String,
    /// In the order in which they were made.
    pub probes: Vec<Probe>,
    /// Each backend.
    pub backends: Vec<Availability>,
    /// The one that `replay` uses unless told otherwise.
    pub chosen: Option<Backend>,
    /// The trial boot, if one was asked for.
    pub boot: Option<BootRecord>,
}
