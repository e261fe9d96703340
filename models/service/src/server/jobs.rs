//! What a server knows of a request that it has let in.

use longhaul_core::machine::StreamId;
use longhaul_core::time::Instant;
use longhaul_resilience::Priority;

use crate::processor::Place;
use crate::wire::Reference;

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub stream: StreamId,
    pub reference: Reference,
    pub operation: u16,
    pub idempotent: bool,
    pub priority: Priority,
    pub deadline: Option<Instant>,
    pub body_bytes: u32,
    pub answer_bytes: u32,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// In the queue.
    Queued,
    /// In the queue, but nobody waits for it: it is dropped when it comes out.
    Gone,
    /// On the processor.
    Running(Place),
    /// It waits for services behind: in which stage, for how many calls.
    Calling { stage: usize, pending: u32 },
    /// Its answer is due then.
    Late((Instant, u64)),
    /// Between two of these.
    Changing,
}

/// A request that was let in.
#[derive(Debug)]
pub(super) struct Job {
    /// Tells jobs with the same number apart.
    pub serial: u64,
    pub arrival: Arrival,
    pub since: Instant,
    pub state: State,
    /// Memory that is given back when it ends.
    pub memory: u64,
    /// With cancellation, the calls of the stage that it is in: of which service, which.
    pub calls: Vec<(u16, u64)>,
    /// Later attempts of the same request, which are answered with it.
    pub waiters: Vec<(StreamId, Reference)>,
}
