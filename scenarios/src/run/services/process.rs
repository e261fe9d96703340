//! A client with a beginning and an end, and what its requests took.

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_resilience::planted::Planted;
use longhaul_service::{
    CallerEvent, Client, ClientCommand, ClientEvent, ClientOptions, ClientStatistics, OptionsError,
    RequestResult, Series,
};
use serde::Serialize;

/// What a client reports.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum ClientReport {
    /// It makes no more requests, and none is under way.
    Ended,
    /// A load that it was given cannot be had.
    BadLoad(String),
    /// Something between it and its service.
    #[serde(untagged)]
    Service(CallerEvent),
}

/// A client that makes requests for a time.
pub struct ClientProcess {
    client: Client,
    /// It makes at most so many.
    limit: Option<u64>,
    duration: Span,
    began: Option<Instant>,
    /// When it stops, once it has begun.
    stops: Option<Instant>,
    stopped: bool,
    ended: Option<Instant>,
    /// What answered requests took, in the order in which they ended.
    latencies_ns: Vec<u64>,
    /// When it first saw something wrong, in each sample interval; in the order of time.
    troubles: Vec<Instant>,
    now: Instant,
}

impl ClientProcess {
    /// A client that begins when it is started, for a time.
    ///
    /// # Errors
    /// [`OptionsError`]
    pub fn new(
        name: &str,
        options: ClientOptions,
        duration: Span,
        streams: Streams,
        planted: Planted,
    ) -> Result<ClientProcess, OptionsError> {
        let limit = options.limit;
        Ok(ClientProcess {
            client: Client::new(name, options, streams)?.with_planted(name, streams, planted),
            limit,
            duration,
            began: None,
            stops: None,
            stopped: false,
            ended: None,
            latencies_ns: Vec::new(),
            troubles: Vec::new(),
            now: Instant::ZERO,
        })
    }

    /// Counters.
    pub fn statistics(&self) -> ClientStatistics {
        self.client.statistics()
    }

    /// What happened in each sample interval.
    pub fn series(&self) -> &Series {
        self.client.series()
    }

    /// What answered requests took, late ones included.
    pub fn latencies_ns(&self) -> &[u64] {
        &self.latencies_ns
    }

    /// When it first noticed after `since` that something was wrong.
    pub fn noticed(&self, since: Instant) -> Option<Instant> {
        let place = self.troubles.partition_point(|at| *at < since);
        self.troubles.get(place).copied()
    }

    /// From its begin to the end of its load.
    pub fn active(&self, now: Instant) -> Span {
        let end = self.stops.map_or(now, |stops| stops.min(now));
        let end = self.ended.map_or(end, |ended| ended.min(end));
        self.began.map_or(Span::ZERO, |began| end.saturating_since(began))
    }

    /// Takes in which requests are over.
    fn count(&mut self) {
        for record in self.client.take_records() {
            match record.result {
                RequestResult::Succeeded | RequestResult::Late => {
                    self.latencies_ns.push(record.latency().as_ns());
                }
                RequestResult::Failed(_) => self.trouble(record.ended),
            }
        }
    }

    fn trouble(&mut self, at: Instant) {
        // One a millisecond is enough to say when it was noticed.
        let last = self.troubles.last();
        if last.is_none_or(|last| at.saturating_since(*last) >= Span::from_ms(1)) {
            self.troubles.push(at);
        }
    }

    fn over(&self) -> bool {
        let statistics = self.client.statistics();
        let done = self.stopped || self.limit.is_some_and(|limit| statistics.started >= limit);
        self.began.is_some() && done && statistics.in_flight == 0
    }
}

impl Machine for ClientProcess {
    type Command = ClientCommand;
    type Event = ClientReport;

    fn handle(&mut self, now: Instant, input: Input<ClientCommand>) {
        self.now = now;
        if matches!(input, Input::Start) {
            self.began = Some(now);
            self.stops = Some(now.saturating_add(self.duration));
        }
        self.client.handle(now, input);
        if !self.stopped && self.stops.is_some_and(|stops| stops <= now) {
            self.stopped = true;
            self.client.handle(now, Input::Command(ClientCommand::Stop));
        }
    }

    fn poll(&mut self) -> Output<ClientReport> {
        let wake = match self.client.poll() {
            Output::Event(ClientEvent::Service(event)) => {
                if matches!(
                    event,
                    CallerEvent::Disconnected { .. }
                        | CallerEvent::NameFailed
                        | CallerEvent::Ejected { .. }
                        | CallerEvent::Health { healthy: false, .. }
                ) {
                    self.trouble(self.now);
                }
                return Output::Event(ClientReport::Service(event));
            }
            Output::Event(ClientEvent::BadLoad(why)) => return Output::Event(ClientReport::BadLoad(why)),
            Output::WakeAt { at, why } => Some((at, why)),
            Output::Idle => None,
            Output::Open { stream, peer } => return Output::Open { stream, peer },
            Output::Send { stream, payload } => return Output::Send { stream, payload },
            Output::Close { stream } => return Output::Close { stream },
            Output::Abort { stream } => return Output::Abort { stream },
            Output::Inspect { stream } => return Output::Inspect { stream },
            Output::Datagram { to, payload } => return Output::Datagram { to, payload },
        };
        self.count();
        if self.ended.is_none() && self.over() {
            self.ended = Some(self.now);
            return Output::Event(ClientReport::Ended);
        }
        let stops = self
            .stops
            .filter(|_| !self.stopped)
            .map(|at| (at, "the load ends"));
        let first = wake.into_iter().chain(stops).min_by_key(|(at, _)| *at);
        first.map_or(Output::Idle, |(at, why)| Output::WakeAt { at, why })
    }
}
