//! The processes of a replication: started together, heard through one channel, and gone with this value.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Ground, Job, ReplayError};
use crate::driver::monotonic_ns;
use crate::node::{NodeJob, Order, Report};
use crate::plan::Signal;

/// Most bytes of a process's last words that a message carries.
const LAST_WORDS: usize = 4 << 10;
/// How often a waiting coordinator asks whether to stop.
const LOOK_NS: u64 = 50_000_000;

/// What came from a process.
enum Heard {
    Report(Report),
    /// Not a report.
    Nonsense(String),
    /// Its output has ended.
    End,
}

/// A process.
struct Node {
    region: usize,
    child: Child,
    orders: ChildStdin,
    errors: Option<JoinHandle<String>>,
    /// Killed on purpose.
    killed: bool,
    /// It has said everything.
    done: bool,
}

/// The processes of a replication.
pub(super) struct Nodes {
    replication: u32,
    nodes: Vec<Node>,
    heard: Receiver<(usize, Heard)>,
    /// Given to those that listen to the processes.
    teller: Sender<(usize, Heard)>,
}

impl Nodes {
    /// None yet.
    pub fn new(replication: u32) -> Nodes {
        let (teller, heard) = mpsc::channel();
        Nodes {
            replication,
            nodes: Vec::new(),
            heard,
            teller,
        }
    }

    /// Starts a process in a region and gives it its job.
    pub fn start(
        &mut self,
        job: &Job<'_>,
        ground: &dyn Ground,
        node_job: &NodeJob,
    ) -> Result<(), ReplayError> {
        let mut command = ground.command_in(node_job.region, job.program);
        command
            .args(&job.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for the coordinator, which then ends the others.
            .process_group(0);
        let mut child = command.spawn().map_err(|error| self.here(error))?;
        let orders = child.stdin.take().expect("a piped input");
        let output = child.stdout.take().expect("a piped output");
        let errors = child.stderr.take().expect("a piped output");
        let (index, teller) = (self.nodes.len(), self.teller.clone());
        thread::spawn(move || listen(index, output, &teller));
        let errors = thread::spawn(move || last_words(errors));
        self.nodes.push(Node {
            region: node_job.region,
            child,
            orders,
            errors: Some(errors),
            killed: false,
            done: false,
        });
        let line = serde_json::to_string(node_job).expect("jobs have a JSON form");
        self.say(index, &line);
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether all have said everything, or were killed.
    pub fn are_done(&self) -> bool {
        self.nodes.iter().all(|node| node.done || node.killed)
    }

    /// Tells the process of a region something, if there is one.
    pub fn order(&mut self, region: usize, order: Order) {
        let line = serde_json::to_string(&order).expect("orders have a JSON form");
        if let Some(index) = self.nodes.iter().position(|node| node.region == region) {
            self.say(index, &line);
        }
    }

    /// Tells all processes something.
    pub fn order_all(&mut self, order: Order) {
        let line = serde_json::to_string(&order).expect("orders have a JSON form");
        for index in 0..self.nodes.len() {
            self.say(index, &line);
        }
    }

    /// A process that does not take it is about to be heard of.
    fn say(&mut self, index: usize, line: &str) {
        let orders = &mut self.nodes[index].orders;
        let _ = orders
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| orders.flush());
    }

    /// Sends a signal to the process of a region, if there is one.
    pub fn signal(&mut self, region: usize, signal: Signal) -> Result<(), ReplayError> {
        let node = self.nodes.iter_mut().find(|node| node.region == region);
        let Some(node) = node.filter(|node| !node.killed) else {
            return Ok(());
        };
        let number = match signal {
            Signal::Stop => rustix::process::Signal::STOP,
            Signal::Cont => rustix::process::Signal::CONT,
            Signal::Kill => {
                node.killed = true;
                rustix::process::Signal::KILL
            }
        };
        let pid = rustix::process::Pid::from_child(&node.child);
        if signal == Signal::Cont {
            self.order(region, Order::Forgive);
        }
        rustix::process::kill_process(pid, number).map_err(|error| self.here(error.into()))
    }

    /// Lets processes go on that the timeline has stopped.
    pub fn resume_all(&mut self) -> Result<(), ReplayError> {
        let regions: Vec<usize> = self.nodes.iter().map(|node| node.region).collect();
        for region in regions {
            self.signal(region, Signal::Cont)?;
        }
        Ok(())
    }

    /// The next report, with the number of its process; `None` once `CLOCK_MONOTONIC` shows `until_ns`.
    pub fn hear(
        &mut self,
        until_ns: u64,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<(usize, Report)>, ReplayError> {
        loop {
            if stop() {
                return Err(ReplayError::Stopped);
            }
            let left = until_ns.saturating_sub(monotonic_ns());
            let heard = match self.heard.recv_timeout(Duration::from_nanos(left.min(LOOK_NS))) {
                Ok(heard) => heard,
                Err(RecvTimeoutError::Timeout) if left <= LOOK_NS => return Ok(None),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => unreachable!("this value has a teller"),
            };
            match heard {
                (index, Heard::Report(report)) => {
                    self.nodes[index].done |= matches!(report, Report::Done { .. });
                    return Ok(Some((index, report)));
                }
                (index, Heard::Nonsense(line)) => {
                    return Err(self.fault(index, &format!("said something strange: {line:?}")));
                }
                (index, Heard::End) if self.nodes[index].killed || self.nodes[index].done => {}
                (index, Heard::End) => return Err(self.died(index)),
            }
        }
    }

    /// The fault of a process that takes too long.
    pub fn too_slow(&self, what: &str) -> ReplayError {
        let silent = self.nodes.iter().position(|node| !node.done && !node.killed);
        self.fault(silent.unwrap_or(0), what)
    }

    fn died(&mut self, index: usize) -> ReplayError {
        let node = &mut self.nodes[index];
        let status = match node.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let words = node.errors.take().and_then(|errors| errors.join().ok());
        let words = words.unwrap_or_default();
        let words = words.trim();
        let what = match words.strip_prefix("error: ").unwrap_or(words) {
            "" => format!("ended unexpectedly ({status})"),
            words => format!("ended unexpectedly ({status}): {words}"),
        };
        self.fault(index, &what)
    }

    fn fault(&self, index: usize, what: &str) -> ReplayError {
        ReplayError::Node {
            replication: self.replication,
            region: self.nodes[index].region,
            what: what.to_owned(),
        }
    }

    fn here(&self, error: io::Error) -> ReplayError {
        ReplayError::Here {
            replication: self.replication,
            error,
        }
    }
}

impl Drop for Nodes {
    /// Nobody is left behind, also when the replication was cut short. All die before the first is waited for.
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.child.kill();
        }
        for node in &mut self.nodes {
            let _ = node.child.wait();
        }
    }
}

/// Passes on what a process says.
fn listen(index: usize, output: ChildStdout, teller: &Sender<(usize, Heard)>) {
    for line in BufReader::new(output).lines() {
        let heard = match line.map(|line| serde_json::from_str(&line).map_err(|_| line)) {
            Ok(Ok(report)) => Heard::Report(report),
            Ok(Err(line)) => Heard::Nonsense(line.chars().take(200).collect()),
            Err(_) => break,
        };
        if teller.send((index, heard)).is_err() {
            return;
        }
    }
    // Nobody listens any more if the replication is over.
    let _ = teller.send((index, Heard::End));
}

/// The end of what a process writes to its standard error.
fn last_words(mut errors: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut room = [0; LAST_WORDS];
    while let Ok(bytes) = errors.read(&mut room) {
        if bytes == 0 {
            break;
        }
        kept.extend_from_slice(&room[..bytes]);
        let excess = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
