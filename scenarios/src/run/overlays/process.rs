//! The process of an edge, which can be killed and started again: the edge itself, and the part that finds the others, if it
//! does not know them from the start.

use std::collections::VecDeque;

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::random::Streams;
use longhaul_core::record::DiscoveryRecord;
use longhaul_core::time::Instant;
use longhaul_sdwan::announcer::AnnouncerError;
use longhaul_sdwan::{
    Announcer, Command, Config, ConfigError, Counters, DiscoveryCounters, DiscoveryEvent, Edge, Event,
};
use thiserror::Error;

use super::FIRST_PROBED;
use super::discovery::{self, Acquaintance};

/// Why an edge cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ProcessError {
    /// The edge itself.
    #[error(transparent)]
    Edge(#[from] ConfigError),
    /// What finds the others.
    #[error(transparent)]
    Announcer(#[from] AnnouncerError),
}

/// What either part reports.
#[derive(Clone, PartialEq, Debug)]
pub enum Report {
    /// The edge itself.
    Edge(Event),
    /// What finds the others.
    Discovery(DiscoveryEvent),
}

/// An edge over all its lives.
pub struct EdgeProcess {
    config: Config,
    acquaintance: Option<Acquaintance>,
    streams: Streams,
    /// Names its random stream.
    name: String,
    life: Option<Box<Life>>,
    lives: u32,
    /// What earlier lives have done.
    past: Counters,
    past_discovery: DiscoveryCounters,
    /// When it first knew everybody.
    complete_at: Option<Instant>,
}

struct Life {
    edge: Edge,
    announcer: Option<Announcer>,
    outbox: VecDeque<Output<Report>>,
}

impl EdgeProcess {
    /// An edge that waits for [`Input::Start`].
    ///
    /// # Errors
    /// [`ProcessError`]
    pub fn new(
        config: Config,
        acquaintance: Option<Acquaintance>,
        streams: Streams,
        name: String,
    ) -> Result<EdgeProcess, ProcessError> {
        let mut process = EdgeProcess {
            config,
            acquaintance,
            streams,
            name,
            life: None,
            lives: 0,
            past: Counters::default(),
            past_discovery: DiscoveryCounters::default(),
            complete_at: None,
        };
        process.life = Some(Box::new(process.born()?));
        Ok(process)
    }

    fn born(&mut self) -> Result<Life, ProcessError> {
        let stream = self.streams.stream(&self.name, &format!("edge {}", self.lives));
        self.lives += 1;
        let announcer = self.acquaintance.as_ref().map(|own| {
            let keys = own.keys.iter().map(|(site, key)| (*site, key.as_slice()));
            Announcer::new(own.config.clone(), keys)
        });
        Ok(Life {
            edge: Edge::new(self.config.clone(), stream)?,
            announcer: announcer.transpose()?,
            outbox: VecDeque::new(),
        })
    }

    /// The edge, while it runs.
    pub fn edge(&self) -> Option<&Edge> {
        self.life.as_ref().map(|life| &life.edge)
    }

    /// How it works.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Counters of all lives.
    pub fn counters(&self) -> Counters {
        self.edge()
            .map_or(self.past, |edge| self.past.plus(edge.counters()))
    }

    fn announcer(&self) -> Option<&Announcer> {
        self.life.as_ref()?.announcer.as_ref()
    }

    fn discovery_counters(&self) -> DiscoveryCounters {
        let own = self.announcer().map(Announcer::counters);
        self.past_discovery.plus(own.unwrap_or_default())
    }

    /// What has come of finding the others, if it has to.
    pub fn discovery(&self) -> Option<DiscoveryRecord> {
        let expects = self.acquaintance.as_ref()?.expected.is_some();
        let known = self.announcer().map_or(0, |it| it.directory().active().count());
        let counters = self.discovery_counters();
        Some(discovery::record(&counters, known, self.complete_at, expects))
    }

    /// It ends, as after SIGKILL. Nothing of it lasts.
    pub fn kill(&mut self) {
        self.past = self.counters();
        self.past_discovery = self.discovery_counters();
        self.life = None;
    }

    /// It is started again, and waits for [`Input::Start`].
    pub fn restart(&mut self) {
        let life = self.born().expect("a configuration that was good before");
        self.life = Some(Box::new(life));
    }

    /// Whether everybody is known whom it can know.
    fn is_complete(&self) -> bool {
        let expected = self.acquaintance.as_ref().and_then(|own| own.expected);
        let known = self.announcer().map(|it| it.directory().active().count());
        expected.is_some() && expected == known
    }
}

impl Life {
    fn handle(&mut self, now: Instant, input: Input<Command>) {
        let Some(announcer) = &mut self.announcer else {
            return self.edge.handle(now, input);
        };
        match input {
            Input::Datagram { from, payload } if from.0 < FIRST_PROBED => {
                announcer.receive(now, from, &payload);
            }
            Input::Start => {
                self.edge.handle(now, Input::Start);
                announcer.start(now);
            }
            Input::Wake => {
                announcer.wake(now);
                self.edge.handle(now, Input::Wake);
            }
            input => self.edge.handle(now, input),
        }
    }

    /// Carries out what the announcer says. Whether somebody has become known.
    fn heed(&mut self, now: Instant) -> bool {
        let mut joined = false;
        while let Some(output) = self.announcer.as_mut().and_then(Announcer::poll) {
            match output {
                Output::Datagram { to, payload } => {
                    self.outbox.push_back(Output::Datagram { to, payload });
                }
                Output::Event(event) => {
                    self.outbox.push_back(Output::Event(Report::Discovery(event)));
                    let command = match event {
                        DiscoveryEvent::Joined { site } => Command::Meet { site },
                        DiscoveryEvent::Expired { site } => Command::Part { site },
                        DiscoveryEvent::Changed { .. } | DiscoveryEvent::Refused { .. } => continue,
                    };
                    joined |= matches!(command, Command::Meet { .. });
                    self.edge.handle(now, Input::Command(command));
                }
                _ => unreachable!("announcements are datagrams"),
            }
        }
        joined
    }

    fn poll(&mut self) -> Output<Report> {
        if let Some(output) = self.outbox.pop_front() {
            return output;
        }
        let due = self.announcer.as_ref().and_then(Announcer::due);
        let announcement = due.map(|at| Output::WakeAt {
            at,
            why: "announcements",
        });
        match (self.edge.poll(), announcement) {
            (Output::Event(event), _) => Output::Event(Report::Edge(event)),
            (Output::Datagram { to, payload }, _) => Output::Datagram { to, payload },
            (Output::WakeAt { at, why }, _) if due.is_none_or(|due| at <= due) => Output::WakeAt { at, why },
            (Output::WakeAt { .. } | Output::Idle, Some(announcement)) => announcement,
            (Output::Idle, None) => Output::Idle,
            _ => unreachable!("an edge opens no streams"),
        }
    }
}

impl Machine for EdgeProcess {
    type Command = Command;
    type Event = Report;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        let Some(life) = &mut self.life else { return };
        life.handle(now, input);
        if life.heed(now) && self.complete_at.is_none() && self.is_complete() {
            self.complete_at = Some(now);
        }
    }

    fn poll(&mut self) -> Output<Report> {
        match &mut self.life {
            Some(life) => life.poll(),
            None => Output::Idle,
        }
    }
}
