//! What can be done to a server: faults, and their end.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use serde::{Deserialize, Serialize};

use crate::law::TimeLaw;
use crate::names::NameFault;

/// What a server can be told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ServerCommand {
    /// The share of its processor that is left to it; one is all of it, nothing stops all work.
    Cpu(Probability),
    /// So many requests fail after they were worked on, and so many questions after its health are answered badly;
    /// beside [`ServerOptions::error_rate`](crate::ServerOptions::error_rate).
    ErrorRate(Probability),
    /// Answers, those about its health too, come later by so much; a request keeps its place meanwhile.
    Delay(Option<TimeLaw>),
    /// The process is killed: connections, requests and remembered results are lost.
    Crash {
        /// When it starts again; without, [`ServerCommand::Resume`] does it.
        restart_after: Option<Span>,
    },
    /// So many requests make the process panic when work on them begins. It starts again after
    /// [`ServerOptions::restart`](crate::ServerOptions::restart).
    Panic(Probability),
    /// From each request on so much memory is never given back, until the process starts again.
    Leak(ByteSize),
    /// Something else takes this share of the memory that the process may use, until told otherwise: the process slows down,
    /// or is killed at once if what it uses is more than what is left, and again each time that it starts.
    Memory(Probability),
    /// The process stands still, or goes on: connections stay, nothing is read or answered.
    Hang(bool),
    /// A gray failure, or its end.
    Gray(Option<Gray>),
    /// Lookups of the name of a service behind it.
    Names {
        /// Which service.
        service: u16,
        /// What answers.
        fault: NameFault,
    },
    /// All faults end, and a process that is down starts.
    Resume,
}

/// A failure that the server does not know of: asked for its health it is well.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Gray {
    /// So many requests fail.
    pub errors: Probability,
    /// So many are never answered.
    pub silent: Probability,
    /// Answers come later by so much.
    pub delay: Option<TimeLaw>,
}

/// The faults that hold now.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub cpu: Probability,
    pub error_rate: Probability,
    pub delay: Option<TimeLaw>,
    pub panic: Probability,
    pub leak: u64,
    pub memory: Probability,
    pub hung: bool,
    pub gray: Option<Gray>,
}

impl Default for Condition {
    fn default() -> Condition {
        Condition {
            cpu: Probability::ONE,
            error_rate: Probability::ZERO,
            delay: None,
            panic: Probability::ZERO,
            leak: 0,
            memory: Probability::ZERO,
            hung: false,
            gray: None,
        }
    }
}
