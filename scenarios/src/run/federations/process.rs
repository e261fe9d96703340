//! The process of a cluster, which can be killed and started again.

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::time::Instant;
use longhaul_federation::registry::Call;
use longhaul_federation::{Cluster, ClusterId, Command, Event, OptionsError, Setup, Statistics, Survivor};
use longhaul_raft::disk::Disk;
use longhaul_raft::history::Timed;

/// A cluster over all its lives.
pub struct ClusterProcess {
    setup: Setup,
    life: Life,
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
            past: None,
            past_calls: Vec::new(),
        })
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

    /// What its clients asked of the log and were answered, in all lives.
    pub fn calls(&self) -> impl Iterator<Item = &(String, Timed<Call>)> {
        let now = self.cluster().map_or(&[][..], Cluster::history);
        self.past_calls.iter().chain(now)
    }

    /// It ends, as after SIGKILL: what is left is what was durable.
    pub fn kill(&mut self, now: Instant) {
        self.past = Some(self.statistics());
        match std::mem::replace(&mut self.life, Life::Nothing) {
            Life::Runs(cluster) => {
                self.past_calls.extend_from_slice(cluster.history());
                self.life = Life::Crashed(Box::new(cluster.crash(now)));
            }
            before => self.life = before,
        }
    }

    /// It is started again.
    pub fn restart(&mut self, now: Instant) {
        match std::mem::replace(&mut self.life, Life::Nothing) {
            Life::Crashed(survivor) => {
                let cluster = Cluster::restart(self.setup.clone(), now, *survivor);
                self.life = Life::Runs(Box::new(cluster.expect("options that were good before")));
            }
            before => self.life = before,
        }
    }
}

impl Machine for ClusterProcess {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        if let Life::Runs(cluster) = &mut self.life {
            cluster.handle(now, input);
        }
    }

    fn poll(&mut self) -> Output<Event> {
        match &mut self.life {
            Life::Runs(cluster) => cluster.poll(),
            Life::Crashed(_) | Life::Nothing => Output::Idle,
        }
    }
}
