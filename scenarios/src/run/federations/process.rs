//! The process of a cluster, which can be killed and started again, ends when its disk fails, and lives by clocks that may
//! be wrong.

use std::collections::VecDeque;

use longhaul_core::disk::DiskCondition;
use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::time::Instant;
use longhaul_federation::registry::Call;
use longhaul_federation::{Cluster, ClusterId, Command, Event, OptionsError, Setup, Statistics, Survivor};
use longhaul_raft::disk::Disk;
use longhaul_raft::history::Timed;

use crate::chaos::clocks::Clocks;

/// A cluster over all its lives.
pub struct ClusterProcess {
    setup: Setup,
    life: Life,
    clocks: Clocks,
    /// How far ahead it believes its wall clock to be.
    told_ahead_ns: i64,
    disk: DiskCondition,
    /// Its start was due while it could not run.
    start: bool,
    outputs: VecDeque<Output<Event>>,
    now: Instant,
    /// What earlier lives have done.
    past: Option<Statistics>,
    /// What clients asked of the log in earlier lives: what was under way may be applied later.
    past_calls: Vec<(String, Timed<Call>)>,
}

enum Life {
    Runs(Box<Cluster>),
    Crashed(Box<Survivor>),
    /// Never, but while it changes.
    Nothing,
}

impl ClusterProcess {
    /// A cluster that waits for [`Command::Start`].
    ///
    /// # Errors
    /// [`OptionsError`]
    pub fn new(setup: Setup) -> Result<ClusterProcess, OptionsError> {
        Ok(ClusterProcess {
            life: Life::Runs(Box::new(Cluster::new(setup.clone())?)),
            setup,
            clocks: Clocks::default(),
            told_ahead_ns: 0,
            disk: DiskCondition::default(),
            start: false,
            outputs: VecDeque::new(),
            now: Instant::ZERO,
            past: None,
            past_calls: Vec::new(),
        })
    }

    /// Its clocks, before anything has happened.
    pub fn set_clocks(&mut self, clocks: Clocks) {
        self.clocks = clocks;
    }

    /// See [`ClusterProcess::set_clocks`].
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// Which of the members it is.
    pub fn id(&self) -> ClusterId {
        self.setup.id
    }

    /// The cluster, while it runs.
    pub fn cluster(&self) -> Option<&Cluster> {
        match &self.life {
            Life::Runs(cluster) => Some(cluster),
            Life::Crashed(_) | Life::Nothing => None,
        }
    }

    /// What its replica of the log has on disk, whether it runs or not.
    pub fn disk(&self) -> Option<&Disk> {
        match &self.life {
            Life::Runs(cluster) => cluster.disk(),
            Life::Crashed(survivor) => Some(survivor.disk()),
            Life::Nothing => None,
        }
    }

    /// Counters of all lives.
    pub fn statistics(&self) -> Statistics {
        let Some(cluster) = self.cluster() else {
            return self.past.clone().unwrap_or_default();
        };
        let mut statistics = cluster.statistics();
        if let Some(past) = &self.past {
            statistics.add(past);
        }
        statistics
    }

    /// What its clients asked of the log and were answered, in all lives, in true time: where its clock says the same for
    /// longer than a nanosecond, a call takes as long as it can have taken.
    pub fn calls(&self) -> impl Iterator<Item = (String, Timed<Call>)> {
        let now = self.cluster().map_or(&[][..], Cluster::history);
        self.past_calls.iter().chain(now).map(|(name, timed)| {
            let timed = Timed {
                called: self.clocks.first(timed.called),
                returned: timed.returned.map(|returned| self.clocks.last(returned)),
                call: timed.call,
            };
            (name.clone(), timed)
        })
    }

    /// It ends, as after SIGKILL: what is left is what was durable.
    pub fn kill(&mut self, now: Instant) {
        self.past = Some(self.statistics());
        match std::mem::replace(&mut self.life, Life::Nothing) {
            Life::Runs(cluster) => {
                self.past_calls.extend_from_slice(cluster.history());
                let survivor = cluster.crash(self.clocks.monotonic(now));
                self.life = Life::Crashed(Box::new(survivor));
            }
            before => self.life = before,
        }
    }

    /// It is started again, with a disk that does so unless it does as before. From one that has failed it does not start
    /// before that works.
    pub fn restart(&mut self, now: Instant, disk: Option<DiskCondition>) {
        self.disk = disk.unwrap_or(self.disk);
        if self.disk.failed {
            return;
        }
        let local = self.clocks.monotonic(now);
        match std::mem::replace(&mut self.life, Life::Nothing) {
            Life::Crashed(survivor) => {
                let cluster = Cluster::restart(self.setup.clone(), local, *survivor);
                let mut cluster = Box::new(cluster.expect("options that were good before"));
                self.told_ahead_ns = 0;
                cluster.handle(local, Input::Command(Command::Disk(self.disk)));
                if std::mem::take(&mut self.start) {
                    cluster.handle(local, Input::Command(Command::Start));
                }
                self.life = Life::Runs(cluster);
            }
            before => self.life = before,
        }
    }
}

impl Machine for ClusterProcess {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        self.now = now;
        if let Input::Command(Command::Disk(condition)) = input {
            self.disk = condition;
        }
        if let Life::Runs(cluster) = &mut self.life {
            let local = self.clocks.monotonic(now);
            let ahead_ns = self.clocks.wall_ahead(now);
            if std::mem::replace(&mut self.told_ahead_ns, ahead_ns) != ahead_ns {
                cluster.handle(local, Input::Command(Command::WallClock { ahead_ns }));
            }
            return cluster.handle(local, input);
        }
        match input {
            Input::Command(Command::Disk(_)) => self.restart(now, None),
            Input::Command(Command::Start) => self.start = true,
            // Nobody listens.
            Input::Accepted { stream } => self.outputs.push_back(Output::Abort { stream }),
            _ => {}
        }
    }

    fn poll(&mut self) -> Output<Event> {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let Life::Runs(cluster) = &mut self.life else {
            return Output::Idle;
        };
        match cluster.poll() {
            Output::WakeAt { .. } | Output::Idle if cluster.has_failed() => {
                self.kill(self.now);
                Output::Idle
            }
            Output::WakeAt { at, why } => Output::WakeAt {
                at: self.clocks.first(at),
                why,
            },
            output => output,
        }
    }
}
