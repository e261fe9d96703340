//! What the unshaped ground carries: one plain connection along each path, before the first replication. A replay
//! whose links come near it measures this computer and not the links.

use std::net::SocketAddrV4;

use super::nodes::Nodes;
use super::{Ground, Job, ReplayError, Work};
use crate::driver::monotonic_ns;
use crate::node::{NodeJob, Report, Task};

/// Where the sink listens; machines have ports from 10,000.
const PORT: u16 = 9_999;
/// What is carried at most: so many bytes,
const BYTES: u64 = 20_000_000;
/// or as many as go in this time.
const NS: u64 = 300_000_000;
/// A path that takes longer than this is broken.
const PATIENCE_NS: u64 = 30_000_000_000;

/// The least of all paths in bit/s; `None` without a path.
pub(super) fn measure(
    job: &Job<'_>,
    ground: &dyn Ground,
    work: &dyn Work,
    replication: u32,
    stop: &dyn Fn() -> bool,
) -> Result<Option<u64>, ReplayError> {
    let mut paths = work.paths();
    paths.sort_unstable();
    paths.dedup();
    let mut least = None;
    for (from, to) in paths {
        let rate = measure_path(job, ground, replication, (from, to), stop)?;
        least = Some(least.map_or(rate, |least: u64| least.min(rate)));
    }
    Ok(least)
}

fn measure_path(
    job: &Job<'_>,
    ground: &dyn Ground,
    replication: u32,
    (from, to): (usize, usize),
    stop: &dyn Fn() -> bool,
) -> Result<u64, ReplayError> {
    let addresses = ground.addresses();
    let node_job = |region: usize, task: Task| NodeJob {
        region,
        address: addresses[region],
        task,
    };
    let until_ns = monotonic_ns() + PATIENCE_NS;
    let mut nodes = Nodes::new(replication);
    nodes.start(job, ground, &node_job(to, Task::Sink { port: PORT }))?;
    loop {
        match nodes.hear(until_ns, stop)? {
            Some((_, Report::Ready)) => {
                let source = Task::Source {
                    to: SocketAddrV4::new(addresses[to], PORT),
                    bytes: BYTES,
                    ns: NS,
                };
                nodes.start(job, ground, &node_job(from, source))?;
            }
            Some((_, Report::Carried { bytes, ns })) => {
                // Below 2^64: 20 MB and a piece, in bits and nanoseconds.
                return Ok(bytes * 8 * 1_000_000_000 / ns);
            }
            Some(_) => {}
            None => return Err(nodes.too_slow("carried nothing, although nothing slows it down")),
        }
    }
}
