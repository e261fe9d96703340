//! The sending machine, to which the guest belongs.
//!
//! Where the guest may run follows from the state alone: here until it is stopped; nowhere else until everything that the
//! destination needs to run it is handed to the transport; from then on here only if the destination has said that it
//! does not run it and never will.
//!
//! | module | its subject |
//! | --- | --- |
//! | `precopy` | rounds, and the rules that stop the guest |
//! | `handover` | what the destination needs, and its answer |
//! | `postcopy` | the rest of the memory, and what the guest waits for |
//! | `recover` | the loss of the transport, cancellation, and calling the destination again |
//! | `pump` | from dirty pages to the transport, through threads that take their time |
//! | `link` | connections |
//! | `counters`, `throttle`, `convergence`, `pace`, `accounts` | what is measured, and what follows from it |

pub mod accounts;

mod convergence;
mod counters;
mod handover;
mod link;
mod pace;
mod postcopy;
mod precopy;
mod pump;
mod recover;
mod throttle;

use std::collections::VecDeque;

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_frames::Sampling;
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::GuestMemory;
use longhaul_memory::bitmap::DirtyBitmap;

use crate::copier::Copier;
use crate::cost::Pipeline;
use crate::frames::Made;
use crate::{
    Command, GuestState, Mode, OptionsError, RamStatistics, SourceEvent, SourceFailure, SourceOptions,
    Statistics, Status, StopRule,
};
use accounts::Accounts;
use convergence::Convergence;
use counters::Counters;
use link::{Link, LinkOutput};
use pace::Pacer;
use throttle::Throttler;

/// Where a migration stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not started.
    Waiting,
    /// Something else comes first.
    Preparing { until: Instant },
    /// Streams are being opened.
    Setup,
    /// Pages are copied while the guest runs.
    Active,
    /// The guest stands still; the rest is sent.
    Stopped,
    /// Everything was handed to the transport; the guest may run at the destination, which has to answer.
    Answering,
    /// What the guest needs was handed to the transport; it may run at the destination, and its memory follows.
    Postcopy,
    /// The transport is lost, and the guest may run at the destination.
    Paused { retry: Option<Instant> },
    /// The destination is called again.
    Recovering,
    /// The guest runs at the destination and has everything; something else comes last.
    Finishing { until: Instant },
    /// All done.
    Completed,
    /// The guest stays here, or is lost.
    Failed,
    /// The guest stays here.
    Cancelled,
}

/// When things happened.
#[derive(Clone, Copy, Default, Debug)]
struct Times {
    commanded: Instant,
    started: Instant,
    setup_done: Option<Instant>,
    paused: Option<Instant>,
    resumed: Option<Instant>,
    answered: Option<Instant>,
    ended: Option<Instant>,
}

/// Bytes on the streams at the ends of phases.
#[derive(Clone, Copy, Default, Debug)]
struct Phases {
    at_pause: Option<u64>,
    at_postcopy: Option<u64>,
}

/// Where a guest leaves. `M` is its memory.
pub struct Source<M> {
    options: SourceOptions,
    now: Instant,
    state: State,
    times: Times,
    phases: Phases,
    memory: M,
    guest_runs: bool,
    /// Pages written since somebody last looked, and before that since the last synchronisation.
    log: DirtyBitmap,
    reaped: DirtyBitmap,
    copier: Copier,
    /// Frames that are being encoded, if that takes time, and those that somebody waits for.
    pipeline: Option<Pipeline<Made>>,
    urgent: Option<Pipeline<Made>>,
    link: Link,
    pacer: Pacer,
    counters: Counters,
    throttler: Throttler,
    convergence: Convergence,
    accounts: Accounts,
    expected_total_time: Option<Span>,
    /// When the present round of a rule with rounds began.
    round_start: Instant,
    /// When somebody wants the guest to stay.
    cancel_at: Option<Instant>,
    postcopy_requests: u64,
    interruptions: u32,
    attempts: u16,
    /// The last message of an attempt was handed over.
    ended: bool,
    /// While the destination says what it has: pages so far, and parts of them.
    received: Option<(DirtyBitmap, u64)>,
    outputs: VecDeque<Output<SourceEvent>>,
}

impl<M: GuestMemory> Source<M> {
    /// A source that waits for [`Command::Start`]. The guest runs meanwhile. `random` decides which extents are
    /// real; it must belong to this migration or guest alone.
    ///
    /// # Errors
    /// [`SourceOptions::check`].
    pub fn new(options: SourceOptions, memory: M, random: Stream) -> Result<Source<M>, OptionsError> {
        options.check()?;
        let pages = memory.pages();
        let sampling = Sampling::new(options.payload, pages, random);
        let limit = match options.stop {
            StopRule::Downtime { limit } => limit,
            StopRule::Xen { .. } | StopRule::DynamicRate { .. } => Span::ZERO,
        };
        let back = options.mode != Mode::PreCopy;
        Ok(Source {
            options,
            now: Instant::ZERO,
            state: State::Waiting,
            times: Times::default(),
            phases: Phases::default(),
            guest_runs: true,
            log: DirtyBitmap::new(pages),
            reaped: DirtyBitmap::new(pages),
            copier: Copier::new(pages, sampling, options.encoding, options.cost),
            pipeline: options.cost.map(|cost| Pipeline::new(cost.threads)),
            urgent: options.cost.map(|_| Pipeline::new(1)),
            link: Link::new(options.transport, options.session, back)?,
            pacer: Pacer::default(),
            counters: Counters::new(limit),
            throttler: Throttler::new(options.throttle),
            convergence: Convergence::new(options.stall_after),
            accounts: Accounts::default(),
            expected_total_time: None,
            round_start: Instant::ZERO,
            cancel_at: None,
            postcopy_requests: 0,
            interruptions: 0,
            attempts: 0,
            ended: false,
            received: None,
            memory,
            outputs: VecDeque::new(),
        })
    }

    /// The guest's memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Whether the guest runs here, as far as this machine has a say in it.
    pub fn runs_guest(&self) -> bool {
        self.guest_runs
    }

    /// Everything measured so far.
    pub fn statistics(&self) -> Statistics {
        let copy = *self.copier.statistics();
        let transport = self.link.stats();
        let times = self.times;
        let since = |start: Instant, end: Option<Instant>| match self.state {
            State::Waiting | State::Preparing { .. } => Span::ZERO,
            _ => end.unwrap_or(self.now).saturating_since(start),
        };
        let since_pause = |end: Option<Instant>| Some(end?.saturating_since(times.paused?));
        let completed = match self.phases.at_postcopy {
            Some(_) => times.answered,
            None => times.resumed,
        };
        let (round, ring) = self.throttler.dirty_limit_times().unwrap_or_default();
        let at_pause = self.phases.at_pause.unwrap_or(transport.wire_bytes);
        let at_postcopy = self.phases.at_postcopy.unwrap_or(transport.wire_bytes);
        Statistics {
            status: self.status(),
            total_time: since(times.started, completed.or(times.ended)),
            job_time: since(times.commanded, times.ended),
            setup_time: since(times.started, times.setup_done),
            expected_downtime: self.counters.expected_downtime(),
            expected_total_time: self.expected_total_time,
            downtime: since_pause(times.resumed),
            downtime_at_source: since_pause(times.answered),
            ram: RamStatistics {
                transferred: transport.wire_bytes,
                remaining: self.remaining_bytes(),
                total: self.memory.pages() * PAGE_SIZE as u64,
                duplicate: copy.zero_pages,
                normal: copy.pages() - copy.zero_pages,
                dirty_pages_rate: self.counters.dirty_pages_rate(),
                bandwidth: self.counters.bandwidth(),
                dirty_sync_count: self.counters.dirty_sync_count(),
                pages_per_second: self.counters.pages_per_second(),
                postcopy_requests: self.postcopy_requests,
                precopy_bytes: at_pause,
                downtime_bytes: at_postcopy - at_pause,
                postcopy_bytes: transport.wire_bytes - at_postcopy,
            },
            cpu_throttle_percentage: self.throttler.percent(),
            dirty_limit_throttle_time_per_round: round,
            dirty_limit_ring_full_time: ring,
            throttled_time: self.throttler.lost(self.now),
            xbzrle_cache: self.copier.maker().cache_statistics(),
            bounds: self.accounts.bounds(self.now),
            encoding_time: self.encoding_time(),
            interruptions: self.interruptions,
            copy,
            encoder: self.copier.maker().encoder_stats(),
            transport,
        }
    }

    fn status(&self) -> Status {
        match self.state {
            State::Waiting => Status::None,
            State::Preparing { .. } | State::Setup => Status::Setup,
            State::Active => Status::Active,
            State::Stopped | State::Answering => Status::Device,
            State::Postcopy => Status::PostcopyActive,
            State::Paused { .. } => Status::PostcopyPaused,
            State::Recovering if self.link.is_set_up() => Status::PostcopyRecover,
            State::Recovering => Status::PostcopyRecoverSetup,
            State::Finishing { .. } | State::Completed => Status::Completed,
            State::Failed => Status::Failed,
            State::Cancelled => Status::Cancelled,
        }
    }

    fn event(&mut self, event: SourceEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn start(&mut self, guest: Option<GuestState>) {
        self.times.commanded = self.now;
        self.cancel_at = self
            .options
            .cancel_after
            .map(|span| self.now.saturating_add(span));
        if let Some(guest) = guest {
            if guest.since > self.now || self.memory.restore(guest.since, &guest.cpu).is_err() {
                self.state = State::Failed;
                let reason = SourceFailure::State;
                return self.event(SourceEvent::Failed { reason });
            }
            self.memory.resume(guest.since);
        }
        self.state = State::Preparing {
            until: self.now.saturating_add(self.options.orchestration.before),
        };
    }

    fn begin(&mut self) {
        self.state = State::Setup;
        self.times.started = self.now;
        self.event(SourceEvent::Started);
        // What the guest wrote before does not matter: all pages will be sent.
        self.memory
            .advance(self.now, &mut DirtyBitmap::new(self.memory.pages()));
        self.link.start();
    }

    fn on_output(&mut self, output: LinkOutput) {
        match output {
            LinkOutput::Open { stream } => {
                let peer = self.options.destination;
                self.outputs.push_back(Output::Open { stream, peer });
            }
            LinkOutput::Send { stream, payload } => {
                self.outputs.push_back(Output::Send { stream, payload });
            }
            LinkOutput::Close { stream } => self.outputs.push_back(Output::Close { stream }),
            LinkOutput::Abort { stream } => self.outputs.push_back(Output::Abort { stream }),
            LinkOutput::Inspect { stream } => self.outputs.push_back(Output::Inspect { stream }),
            LinkOutput::StreamLost {
                stream,
                why,
                requeued_chunks,
            } => {
                self.event(SourceEvent::StreamLost {
                    stream,
                    why,
                    requeued_chunks,
                });
            }
            LinkOutput::Record(record) => self.on_record(record),
            LinkOutput::Answer(content) => self.on_answer(&content),
            LinkOutput::Failed {
                why,
                unacknowledged_bytes,
            } => self.on_transport_lost(why, unacknowledged_bytes),
        }
    }

    /// Does the next thing that is possible now; whether there was one.
    fn step(&mut self) -> bool {
        match self.state {
            State::Preparing { until } if until <= self.now => {
                self.begin();
                true
            }
            State::Setup if self.link.is_set_up() => {
                self.begin_copying();
                true
            }
            State::Active => self.step_precopy(),
            State::Stopped => self.pump() || self.hand_over(),
            State::Postcopy => self.step_postcopy(),
            State::Paused { retry: Some(at) } if at <= self.now => {
                self.call_again();
                true
            }
            State::Finishing { until } if until <= self.now => {
                self.complete();
                true
            }
            _ => false,
        }
    }

    /// What time itself brings.
    fn tick(&mut self) {
        if self.cancel_at.take_if(|at| *at <= self.now).is_some() {
            self.cancel();
        }
        if matches!(self.state, State::Active | State::Stopped | State::Postcopy) {
            let counted = self.link.stats();
            let (acknowledged, pushed) = (counted.acknowledged_bytes, counted.message_bytes);
            self.convergence.on_acknowledged(self.now, acknowledged, pushed);
            if self.convergence.stalls(self.now) {
                let remaining_bytes = self.remaining_bytes();
                self.event(SourceEvent::Stalled { remaining_bytes });
            }
        }
        if self.state == State::Active {
            let taken = self.link.stats().taken_bytes;
            let pages = self.pages_handed_over();
            self.counters.on_time(self.now, taken, pages);
            self.measure_dirtying();
        }
    }

    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        let at = |at: Option<Instant>, why| at.map(|at| (at, why));
        let copying = matches!(self.state, State::Active | State::Stopped | State::Postcopy);
        let active = self.state == State::Active;
        let wakes = [
            at(
                self.cancel_at.filter(|_| !self.is_over()),
                "somebody wants the guest to stay",
            ),
            self.link.next_wake(),
            match self.state {
                State::Preparing { until } => Some((until, "what goes before")),
                State::Finishing { until } => Some((until, "what comes last")),
                State::Paused { retry } => at(retry, "the destination is called again"),
                _ => None,
            },
            active.then(|| (self.counters.window_end(), "bandwidth window")),
            at(
                self.throttler.next_measurement().filter(|_| active),
                "dirty limit",
            ),
            at(self.switch_time().filter(|_| active), "post-copy"),
            at(self.convergence.deadline().filter(|_| copying), "no progress"),
            at(
                self.pump_wake().filter(|_| copying),
                "a frame is encoded, or may go",
            ),
        ];
        wakes.into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

impl<M: GuestMemory> Machine for Source<M> {
    type Command = Command;
    type Event = SourceEvent;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        assert!(now >= self.now, "time ran backwards");
        self.now = now;
        self.link.advance(now);
        match input {
            Input::Command(Command::Start { guest }) if self.state == State::Waiting => self.start(guest),
            Input::Command(Command::Cancel) => self.cancel(),
            Input::Opened { stream } => self.link.on_opened(stream),
            Input::Received { stream, payload } => self.link.on_received(now, stream, payload),
            Input::Sent { stream, bytes } => self.link.on_sent(stream, bytes),
            Input::Closed { stream, reason } => self.link.on_closed(now, stream, reason),
            Input::Path { stream, info } => self.link.on_path(stream, &info),
            Input::Command(Command::Start { .. })
            | Input::Start
            | Input::Wake
            | Input::Accepted { .. }
            | Input::Datagram { .. } => {}
        }
        self.tick();
    }

    fn poll(&mut self) -> Output<SourceEvent> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if let Some(output) = self.link.poll() {
                self.on_output(output);
            } else if !self.step() {
                break;
            }
        }
        self.accounts.set(self.now, self.bound());
        match self.next_wake() {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}
