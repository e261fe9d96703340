//! The process of one region: it builds the region's machines, drives them, and talks to the coordinator by lines of
//! JSON on its standard input and output.
//!
//! It gets a [`NodeJob`], opens its sockets and says [`Report::Ready`]; then it follows [`Order`]s. When its input
//! ends, or the process that started it dies, it ends at once: nobody wants its results any more.

mod ceiling;

use std::io::{self, BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;

use longhaul_core::machine::PeerId;
use longhaul_core::time::Instant;
use serde::{Deserialize, Serialize};

use crate::Endpoint;
use crate::driver::{Driver, DriverError, Hosting, SocketError, SocketOptions};
use crate::outcome::{MachineEvent, TcpCounters};

/// Bytes that one read of the input takes.
const READ: usize = 64 << 10;

/// What a node is to do. The first line of its input.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeJob {
    /// Index of the region.
    pub region: usize,
    /// The region's address.
    pub address: Ipv4Addr,
    /// What to do there.
    pub task: Task,
}

/// What a node is to do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Drive the region's machines.
    Machines {
        /// What they are built from; a matter of whoever builds them.
        machines: serde_json::Value,
        /// Where each machine of the scenario listens, by [`PeerId`].
        peers: Vec<SocketAddrV4>,
        /// Options of its connections, by [`PeerId`].
        options: Vec<SocketOptions>,
        /// Whether to record tapes.
        tapes: bool,
    },
    /// Read what one connection brings.
    Sink {
        /// Where to listen.
        port: u16,
    },
    /// Write as fast as it goes, and measure.
    Source {
        /// Where a sink listens.
        to: SocketAddrV4,
        /// Stop after so many bytes,
        bytes: u64,
        /// or so many nanoseconds.
        ns: u64,
    },
}

/// What a coordinator tells a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Begin when `CLOCK_MONOTONIC` shows this many nanoseconds.
    Go {
        /// The start of the replication.
        start_ns: u64,
    },
    /// Start a machine.
    Start {
        /// When.
        at: Instant,
        /// Which.
        peer: PeerId,
    },
    /// Report a machine's summary as it is now.
    Summary {
        /// Which.
        peer: PeerId,
    },
    /// The process was stopped on purpose and goes on: what is late now is so rightly.
    Forgive,
    /// Report everything and end.
    Stop,
}

/// What a node tells its coordinator.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Report {
    /// Its sockets are open.
    Ready,
    /// A machine reports something; the answer to [`Order::Summary`] too.
    Event(MachineEvent),
    /// A machine's summary at the end.
    Summary {
        /// Which.
        peer: PeerId,
        /// Its own words.
        summary: serde_json::Value,
    },
    /// What the kernel counted for a machine's connections.
    Tcp {
        /// Which.
        peer: PeerId,
        /// Of all of them.
        counters: TcpCounters,
    },
    /// A machine's tape.
    Tape {
        /// Which.
        peer: PeerId,
        /// The tape.
        tape: String,
    },
    /// What a [`Task::Source`] has measured.
    Carried {
        /// Bytes that arrived.
        bytes: u64,
        /// In so many nanoseconds.
        ns: u64,
    },
    /// Everything was said.
    Done {
        /// The latest that a machine was woken.
        latest_wake_ns: u64,
    },
}

/// Name under which an answer to [`Order::Summary`] is an event of its machine.
pub const SUMMARY_EVENT: &str = "Summary";

/// Why a node ended without having done its job.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its input ended.
    #[error("nobody is there to work for: standard input has ended")]
    Orphaned,
    /// Not a job.
    #[error("this is the process of a region, which `longhaul replay` starts: the first line is no job: {0}")]
    Job(serde_json::Error),
    /// Not an order.
    #[error("not an order: {0}")]
    Order(serde_json::Error),
    /// The machines cannot be built.
    #[error("{0}")]
    Build(String),
    /// The driver.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Standard input or output, or a plain connection.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves one job from standard input. `build` makes the machines of a region from [`Task::Machines`].
///
/// # Errors
/// [`NodeError`]
pub fn serve<M: Endpoint>(
    build: impl FnOnce(&serde_json::Value, usize) -> Result<Vec<(PeerId, M)>, String>,
) -> Result<(), NodeError> {
    // A process that stands still cannot see the end of its input, but it can be killed.
    let death = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    death.map_err(io::Error::from)?;
    allow_many_sockets();
    let mut orders = Lines::new(io::stdin());
    let mut reports = Reports(BufWriter::new(io::stdout()));
    let job: NodeJob = serde_json::from_str(&orders.next()?).map_err(NodeError::Job)?;
    match job.task {
        Task::Machines {
            machines,
            peers,
            options,
            tapes,
        } => {
            let hostings = build(&machines, job.region)
                .map_err(NodeError::Build)?
                .into_iter()
                .map(|(peer, machine)| Hosting {
                    peer,
                    machine,
                    options: options.get(peer.0 as usize).cloned().unwrap_or_default(),
                });
            let driver = Driver::new(peers, hostings.collect(), tapes)?;
            drive(driver, &mut orders, &mut reports)
        }
        Task::Sink { port } => {
            let sink = ceiling::Sink::listen(SocketAddrV4::new(job.address, port))?;
            reports.send(&Report::Ready)?;
            sink.drain()?;
            reports.send(&Report::Done { latest_wake_ns: 0 })
        }
        Task::Source { to, bytes, ns } => {
            let (bytes, ns) = ceiling::push(job.address, to, bytes, ns)?;
            reports.send(&Report::Carried { bytes, ns })?;
            reports.send(&Report::Done { latest_wake_ns: 0 })
        }
    }
}

/// Drives the machines until the order to stop.
fn drive<M: Endpoint>(
    mut driver: Driver<M>,
    orders: &mut Lines,
    reports: &mut Reports,
) -> Result<(), NodeError> {
    driver.watch(orders.input.as_fd())?;
    reports.send(&Report::Ready)?;
    // Nothing is due before the order to go.
    driver.begin(u64::MAX);
    loop {
        if driver.turn(Instant::MAX)? {
            orders.fill()?;
            while let Some(line) = orders.buffered()? {
                let order = serde_json::from_str(&line).map_err(NodeError::Order)?;
                if follow(order, &mut driver, reports)? {
                    return Ok(());
                }
            }
        }
        if driver.has_events() {
            for event in driver.take_events() {
                reports.write(&Report::Event(event))?;
            }
            reports.flush()?;
        }
    }
}

/// Follows an order; true if it was the last.
fn follow<M: Endpoint>(
    order: Order,
    driver: &mut Driver<M>,
    reports: &mut Reports,
) -> Result<bool, NodeError> {
    match order {
        Order::Go { start_ns } => driver.begin(start_ns),
        Order::Start { at, peer } => driver.start(at, peer),
        Order::Forgive => driver.forgive(),
        Order::Summary { peer } => {
            let at_ns = driver.now().as_ns();
            if let Some((_, machine)) = driver.machines().find(|(host, _)| *host == peer) {
                let event = serde_json::json!({ SUMMARY_EVENT: machine.summary() });
                reports.send(&Report::Event(MachineEvent { at_ns, peer, event }))?;
            }
        }
        Order::Stop => {
            for event in driver.take_events() {
                reports.write(&Report::Event(event))?;
            }
            for (peer, counters) in driver.counters() {
                reports.write(&Report::Tcp { peer, counters })?;
            }
            for (peer, machine) in driver.machines() {
                let summary = machine.summary();
                reports.write(&Report::Summary { peer, summary })?;
            }
            for (peer, tape) in driver.tapes() {
                reports.write(&Report::Tape { peer, tape })?;
            }
            let latest_wake_ns = driver.latest_wake().as_ns();
            reports.send(&Report::Done { latest_wake_ns })?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Every stream is a descriptor. Where the limit cannot be raised, the sockets say so when they run out.
fn allow_many_sockets() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

/// Lines of the input, read as they come.
struct Lines {
    input: io::Stdin,
    read: Vec<u8>,
}

impl Lines {
    fn new(input: io::Stdin) -> Lines {
        Lines {
            input,
            read: Vec::new(),
        }
    }

    /// The next line; waits for it.
    fn next(&mut self) -> Result<String, NodeError> {
        loop {
            if let Some(line) = self.buffered()? {
                return Ok(line);
            }
            self.fill()?;
        }
    }

    /// Reads what is there. Past the buffer of the standard library, which would hide lines from epoll.
    fn fill(&mut self) -> Result<(), NodeError> {
        let mut room = vec![0; READ];
        match rustix::io::read(&self.input, &mut room[..]) {
            Ok(0) => Err(NodeError::Orphaned),
            Ok(bytes) => {
                self.read.extend_from_slice(&room[..bytes]);
                Ok(())
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// The next line, if all of it is there.
    fn buffered(&mut self) -> Result<Option<String>, NodeError> {
        let Some(end) = self.read.iter().position(|&byte| byte == b'\n') else {
            return Ok(None);
        };
        let line = self.read.drain(..=end).collect();
        let line = String::from_utf8(line).map_err(io::Error::other)?;
        Ok(Some(line))
    }
}

/// Lines of the output.
struct Reports(BufWriter<io::Stdout>);

impl Reports {
    fn write(&mut self, report: &Report) -> Result<(), NodeError> {
        serde_json::to_writer(&mut self.0, report).map_err(io::Error::from)?;
        Ok(self.0.write_all(b"\n")?)
    }

    fn flush(&mut self) -> Result<(), NodeError> {
        Ok(self.0.flush()?)
    }

    fn send(&mut self, report: &Report) -> Result<(), NodeError> {
        self.write(report)?;
        self.flush()
    }
}
