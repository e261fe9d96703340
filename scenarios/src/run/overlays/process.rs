//! The process of an edge, which can be killed and started again.

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::random::Streams;
use longhaul_core::time::Instant;
use longhaul_sdwan::{Command, Config, ConfigError, Counters, Edge, Event};

/// An edge over all its lives.
pub struct EdgeProcess {
    config: Config,
    streams: Streams,
    /// Names its random stream.
    name: String,
    life: Option<Box<Edge>>,
    lives: u32,
    /// What earlier lives have done.
    past: Counters,
}

impl EdgeProcess {
    /// An edge that waits for [`Input::Start`].
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn new(config: Config, streams: Streams, name: String) -> Result<EdgeProcess, ConfigError> {
        let mut process = EdgeProcess {
            config,
            streams,
            name,
            life: None,
            lives: 0,
            past: Counters::default(),
        };
        process.life = Some(Box::new(process.born()?));
        Ok(process)
    }

    fn born(&mut self) -> Result<Edge, ConfigError> {
        let stream = self.streams.stream(&self.name, &format!("edge {}", self.lives));
        self.lives += 1;
        Edge::new(self.config.clone(), stream)
    }

    /// The edge, while it runs.
    pub fn edge(&self) -> Option<&Edge> {
        self.life.as_deref()
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

    /// It ends, as after SIGKILL. Nothing of it lasts.
    pub fn kill(&mut self) {
        self.past = self.counters();
        self.life = None;
    }

    /// It is started again, and waits for [`Input::Start`].
    pub fn restart(&mut self) {
        let edge = self.born().expect("a configuration that was good before");
        self.life = Some(Box::new(edge));
    }
}

impl Machine for EdgeProcess {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        if let Some(edge) = &mut self.life {
            edge.handle(now, input);
        }
    }

    fn poll(&mut self) -> Output<Event> {
        match &mut self.life {
            Some(edge) => edge.poll(),
            None => Output::Idle,
        }
    }
}
