//! One replication: from the start of its processes to what they measured.

use std::net::SocketAddrV4;

use longhaul_core::record::Ended;
use longhaul_core::time::{Instant, Span};

use super::nodes::Nodes;
use super::{Ground, Job, Observer, Place, ReplayError, Request, TimelineStep, Work};
use crate::driver::monotonic_ns;
use crate::node::{NodeJob, Order, Report, Task};
use crate::outcome::{MachineEvent, Replication, StepDone};
use crate::plan::Signal;

/// From the announcement of the start to the start: every process must have heard of it.
const LEAD_NS: u64 = 20_000_000;
/// What is on its way when the last machine is done arrives within this time.
const SETTLE_NS: u64 = 500_000_000;
/// Machines with much memory take a while to build, and long tapes to write.
const PATIENCE_NS: u64 = 600_000_000_000;

/// A replication under way.
struct Run<'a> {
    ground: &'a mut dyn Ground,
    nodes: Nodes,
    places: Vec<Place>,
    observer: Box<dyn Observer>,
    start_ns: u64,
    stop: &'a dyn Fn() -> bool,
    result: Replication,
}

/// Runs one replication on a ground that is ready for it.
pub(super) fn replicate(
    job: &Job<'_>,
    ground: &mut dyn Ground,
    work: &dyn Work,
    number: u32,
    stop: &dyn Fn() -> bool,
) -> Result<Replication, ReplayError> {
    let mut run = Run {
        nodes: Nodes::new(number),
        places: work.places(),
        observer: work.observer(),
        start_ns: 0,
        stop,
        result: Replication::new(number),
        ground,
    };
    run.start_nodes(job, &work.machines(number))?;
    let before = processor_ticks();
    run.go();
    run.follow(job.horizon)?;
    run.result.health.busy_share = busy_share(before, processor_ticks());
    run.result.links = run.ground.counters().map_err(ReplayError::Ground)?;
    run.result.health.offloads_on = run.ground.offloads_on().map_err(ReplayError::Ground)?;
    run.collect()?;
    Ok(run.result)
}

impl Run<'_> {
    /// Starts a process in every region that has machines, and waits until all are ready.
    fn start_nodes(&mut self, job: &Job<'_>, machines: &serde_json::Value) -> Result<(), ReplayError> {
        let addresses = self.ground.addresses();
        let peers: Vec<SocketAddrV4> = self
            .places
            .iter()
            .map(|place| SocketAddrV4::new(addresses[place.region], place.port))
            .collect();
        let options: Vec<_> = self.places.iter().map(|place| place.options.clone()).collect();
        let mut regions: Vec<usize> = self.places.iter().map(|place| place.region).collect();
        regions.sort_unstable();
        regions.dedup();
        for region in regions {
            let node_job = NodeJob {
                region,
                address: addresses[region],
                task: Task::Machines {
                    machines: machines.clone(),
                    peers: peers.clone(),
                    options: options.clone(),
                    tapes: job.tapes,
                },
            };
            self.nodes.start(job, &*self.ground, &node_job)?;
        }
        let until_ns = monotonic_ns() + PATIENCE_NS;
        let mut ready = 0;
        while ready < self.nodes.len() {
            match self.nodes.hear(until_ns, self.stop)? {
                Some((_, Report::Ready)) => ready += 1,
                Some(_) => {}
                None => return Err(self.nodes.too_slow("did not get ready")),
            }
        }
        Ok(())
    }

    /// Announces the start, and what starts by itself.
    fn go(&mut self) {
        for (at, peer) in self.observer.starts() {
            self.request(Request::Start { at, peer });
        }
        self.start_ns = monotonic_ns() + LEAD_NS;
        let start_ns = self.start_ns;
        self.nodes.order_all(Order::Go { start_ns });
    }

    fn request(&mut self, request: Request) {
        let (peer, order) = match request {
            Request::Start { at, peer } => (peer, Order::Start { at, peer }),
            Request::Summary { peer } => (peer, Order::Summary { peer }),
        };
        self.nodes.order(self.places[peer.0 as usize].region, order);
    }

    /// Keeps the timeline and listens, until everything is over or the horizon comes.
    fn follow(&mut self, horizon: Span) -> Result<(), ReplayError> {
        let steps = self.ground.timeline();
        let mut steps = steps.iter().enumerate().peekable();
        let end_ns = self.start_ns.saturating_add(horizon.as_ns());
        while self.observer.outstanding() > 0 {
            let step_ns = steps
                .peek()
                .map(|(_, step)| self.start_ns.saturating_add(step.at.as_ns()));
            let next_ns = step_ns.map_or(end_ns, |step_ns| step_ns.min(end_ns));
            match self.nodes.hear(next_ns, self.stop)? {
                Some((_, Report::Event(event))) => self.observe(event),
                Some(_) => {}
                None if monotonic_ns() >= end_ns => return Ok(()),
                None => {
                    if let Some((index, step)) = steps.next() {
                        self.step(index, step)?;
                    }
                }
            }
        }
        self.result.ended = Ended::Done;
        let settled_ns = monotonic_ns() + SETTLE_NS;
        while let Some((_, report)) = self.nodes.hear(settled_ns, self.stop)? {
            if let Report::Event(event) = report {
                self.observe(event);
            }
        }
        Ok(())
    }

    fn observe(&mut self, event: MachineEvent) {
        let at = Instant::from_ns(event.at_ns);
        for request in self.observer.observe(at, event.peer, &event.event) {
            self.request(request);
        }
        self.result.events.push(event);
    }

    fn step(&mut self, index: usize, step: &TimelineStep) -> Result<(), ReplayError> {
        let since_start = |ns: u64| ns.saturating_sub(self.start_ns);
        let begun_ns = since_start(monotonic_ns());
        match step.signal {
            Some((region, signal)) => {
                self.nodes.signal(region, signal)?;
                if signal == Signal::Kill {
                    self.observer.killed(region);
                }
            }
            None => self.ground.step(index).map_err(ReplayError::Ground)?,
        }
        let done_ns = since_start(monotonic_ns());
        self.result.timeline.push(StepDone {
            what: step.what.clone(),
            planned_ns: step.at.as_ns(),
            begun_ns,
            done_ns,
        });
        Ok(())
    }

    /// Ends the processes and takes in what they have to say.
    fn collect(&mut self) -> Result<(), ReplayError> {
        self.nodes.resume_all()?;
        self.nodes.order_all(Order::Stop);
        let until_ns = monotonic_ns() + PATIENCE_NS;
        while !self.nodes.are_done() {
            let Some((_, report)) = self.nodes.hear(until_ns, self.stop)? else {
                return Err(self.nodes.too_slow("did not say what it measured"));
            };
            match report {
                Report::Event(event) => self.result.events.push(event),
                Report::Summary { peer, summary } => {
                    self.result.summaries.insert(peer.0, summary);
                }
                Report::Tcp { peer, counters } => {
                    self.result.tcp.insert(peer.0, counters);
                }
                Report::Tape { peer, tape } => {
                    self.result.tapes.insert(peer.0, tape);
                }
                Report::Done { latest_wake_ns } => {
                    let latest = &mut self.result.health.latest_wake_ns;
                    *latest = latest_wake_ns.max(*latest);
                }
                Report::Ready | Report::Carried { .. } => {}
            }
        }
        Ok(())
    }
}

/// Time of all processors in ticks since the boot: idle, and in all.
type Ticks = (u64, u64);

fn processor_ticks() -> Option<Ticks> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    // cpu  user nice system idle iowait irq softirq steal guest guest_nice; the guests are in user and nice already.
    let numbers: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .take(8)
        .map_while(|number| number.parse().ok())
        .collect();
    Some((numbers.get(3)? + numbers.get(4)?, numbers.iter().sum()))
}

/// Share of the time that was not idle. Missing if no tick has passed.
fn busy_share(before: Option<Ticks>, after: Option<Ticks>) -> Option<f64> {
    let ((idle_before, all_before), (idle_after, all_after)) = (before?, after?);
    // The kernel's idle time may step back a little.
    let idle = idle_after.saturating_sub(idle_before);
    let all = all_after.saturating_sub(all_before);
    (all > 0).then(|| 1.0 - idle.min(all) as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busy_share_is_what_is_not_idle() {
        assert_eq!(busy_share(Some((10, 100)), Some((60, 200))), Some(0.5));
        assert_eq!(busy_share(Some((10, 100)), Some((9, 110))), Some(1.0));
        assert_eq!(busy_share(Some((10, 100)), Some((10, 100))), None);
        assert_eq!(busy_share(None, Some((10, 100))), None);
        let (idle, all) = processor_ticks().expect("Linux has /proc/stat");
        assert!(0 < all && idle <= all);
    }
}
