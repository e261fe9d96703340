//! Why a plan cannot be applied.

use thiserror::Error;

/// Why this kernel does not do what the plan says.
#[derive(Debug, Error)]
pub enum HostError {
    /// Not root.
    #[error("making network namespaces takes root; run it with sudo, or use `--backend vm`")]
    NoPrivilege,
    /// A program is not installed.
    #[error("`{tool}` is not installed: apt-get install {package}")]
    MissingTool {
        /// The program.
        tool: String,
        /// Debian's package.
        package: &'static str,
    },
    /// A namespace of that name is not ours.
    #[error(
        "a network namespace is named `{0}` already, and no replay made it: rename or delete it (ip netns del {0})"
    )]
    Clash(String),
    /// Another replay is at work.
    #[error("another replay is running, as process {pid}: wait for it or stop it")]
    Running {
        /// Its process.
        pid: u32,
    },
    /// A replay was killed.
    #[error("a replay that was killed has left its namespaces: remove them with `longhaul replay --cleanup`")]
    Leftovers,
    /// The kernel cannot shape traffic.
    #[error(
        "this kernel lacks the queueing discipline of `tc {command}`: try `modprobe sch_netem sch_tbf`, or `--backend vm`"
    )]
    NoDiscipline {
        /// What was asked for.
        command: String,
    },
    /// A command failed.
    #[error("`{command}` failed: {message}")]
    Command {
        /// The command, or the line of the batch.
        command: String,
        /// What it said.
        message: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// `tc` printed something unexpected.
    #[error("the counters of `tc -s -j qdisc show` cannot be read: {0}")]
    Counters(String),
}

impl HostError {
    /// Whether something is missing or in the way, as opposed to a failure on the way.
    pub fn unavailable(&self) -> bool {
        match self {
            HostError::NoPrivilege
            | HostError::MissingTool { .. }
            | HostError::Clash(_)
            | HostError::Running { .. }
            | HostError::Leftovers
            | HostError::NoDiscipline { .. } => true,
            HostError::Command { .. } | HostError::File { .. } | HostError::Counters(_) => false,
        }
    }
}
