//! The sending machine, to which the guest belongs.

use std::collections::VecDeque;

use bytes::Bytes;
use longhaul_amst::{Priority, Sender, SenderOutput};
use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::payload::PayloadBuffer;
use longhaul_core::random::Stream;
use longhaul_core::time::Instant;
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::GuestMemory;
use longhaul_memory::bitmap::DirtyBitmap;

use crate::copier::Copier;
use crate::counters::Counters;
use crate::message::{End, Reply};
use crate::sampling::Sampling;
use crate::{Command, OptionsError, RamStatistics, SourceEvent, SourceFailure, SourceOptions, Statistics};

/// Where a migration stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not started.
    Waiting,
    /// Streams are being opened.
    Setup,
    /// Pages are copied while the guest runs.
    Copying,
    /// The guest stands still; the rest is sent.
    Stopped,
    /// Everything was handed to the transport; the destination has to answer.
    Answering,
    /// The guest runs at the destination.
    Completed,
    /// The guest stays here.
    Failed,
}

/// When things happened.
#[derive(Clone, Copy, Default, Debug)]
struct Times {
    started: Instant,
    setup_done: Option<Instant>,
    paused: Option<Instant>,
    resumed: Option<Instant>,
    answered: Option<Instant>,
}

/// Where a guest leaves. `M` is its memory.
pub struct Source<M> {
    options: SourceOptions,
    now: Instant,
    state: State,
    times: Times,
    memory: M,
    /// Pages written since the last synchronisation.
    log: DirtyBitmap,
    copier: Copier,
    sender: Sender,
    counters: Counters,
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
        Ok(Source {
            options,
            now: Instant::ZERO,
            state: State::Waiting,
            times: Times::default(),
            log: DirtyBitmap::new(pages),
            copier: Copier::new(pages, sampling, options.encoding),
            sender: Sender::new(options.transport)?,
            counters: Counters::new(options.downtime_limit),
            memory,
            outputs: VecDeque::new(),
        })
    }

    /// The guest's memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Everything measured so far.
    pub fn statistics(&self) -> Statistics {
        let copy = *self.copier.statistics();
        let since_start = |end: Option<Instant>| {
            let end = if self.state == State::Waiting {
                self.times.started
            } else {
                end.unwrap_or(self.now)
            };
            end.saturating_since(self.times.started)
        };
        let since_pause = |end: Option<Instant>| Some(end?.saturating_since(self.times.paused?));
        Statistics {
            total_time: since_start(self.times.resumed),
            setup_time: since_start(self.times.setup_done),
            expected_downtime: self.counters.expected_downtime(),
            downtime: since_pause(self.times.resumed),
            downtime_at_source: since_pause(self.times.answered),
            ram: RamStatistics {
                transferred: self.sender.stats().wire_bytes,
                remaining: self.remaining_bytes(),
                total: self.memory.pages() * PAGE_SIZE as u64,
                duplicate: copy.zero_pages,
                normal: copy.pages() - copy.zero_pages,
                dirty_pages_rate: self.counters.dirty_pages_rate(),
                bandwidth: self.counters.bandwidth(),
                dirty_sync_count: self.counters.dirty_sync_count(),
                pages_per_second: self.counters.pages_per_second(),
            },
            copy,
            encoder: *self.copier.encoder_stats(),
            transport: *self.sender.stats(),
        }
    }

    fn remaining_bytes(&self) -> u64 {
        self.copier.remaining_pages() * PAGE_SIZE as u64
    }

    fn event(&mut self, event: SourceEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn start(&mut self) {
        self.state = State::Setup;
        self.times.started = self.now;
        // What the guest wrote before does not matter: all pages will be sent.
        self.memory
            .advance(self.now, &mut DirtyBitmap::new(self.memory.pages()));
        self.sender.start();
    }

    fn on_output(&mut self, output: SenderOutput) {
        match output {
            SenderOutput::Open { stream } => {
                let peer = self.options.destination;
                self.outputs.push_back(Output::Open { stream, peer });
            }
            SenderOutput::Send { stream, payload } => {
                self.outputs.push_back(Output::Send { stream, payload });
            }
            SenderOutput::Close { stream } => self.outputs.push_back(Output::Close { stream }),
            SenderOutput::Inspect { stream } => self.outputs.push_back(Output::Inspect { stream }),
            SenderOutput::StreamLost {
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
            SenderOutput::Adapted { .. } | SenderOutput::Acked { .. } | SenderOutput::Drained => {}
            SenderOutput::Reply { content } => self.on_reply(&content),
            SenderOutput::Failed {
                why,
                unacknowledged_bytes,
            } => self.fail(SourceFailure::Transport {
                why,
                unacknowledged_bytes,
            }),
        }
    }

    fn on_reply(&mut self, content: &Bytes) {
        match Reply::parse(content) {
            Some(Reply::Resumed { at })
                if self.state == State::Answering && self.times.paused <= Some(at) =>
            {
                self.state = State::Completed;
                self.times.resumed = Some(at);
                self.times.answered = Some(self.now);
                let statistics = Box::new(self.statistics());
                self.event(SourceEvent::Completed { statistics });
                self.sender.close();
            }
            Some(Reply::Refused) => self.fail(SourceFailure::Refused),
            Some(Reply::Resumed { .. }) | None => self.fail(SourceFailure::Reply),
        }
    }

    fn fail(&mut self, reason: SourceFailure) {
        if !matches!(self.state, State::Completed | State::Failed) {
            self.state = State::Failed;
            self.memory.resume(self.now);
            self.event(SourceEvent::Failed { reason });
            self.sender.close();
        }
    }

    /// Does the next thing that is possible now; whether there was one.
    fn step(&mut self) -> bool {
        match self.state {
            State::Setup if self.sender.opening_streams() == 0 => {
                self.begin_copying();
                true
            }
            State::Copying if self.pending_bytes() <= self.counters.threshold_bytes() => {
                self.synchronise();
                if self.pending_bytes() <= self.counters.threshold_bytes() {
                    self.pause();
                } else {
                    self.announce_round();
                }
                true
            }
            State::Copying | State::Stopped if self.sender.wants_more() => self.send_frame(),
            _ => false,
        }
    }

    fn begin_copying(&mut self) {
        self.state = State::Copying;
        self.times.setup_done = Some(self.now);
        self.copier.begin(&self.memory);
        self.synchronise();
        self.counters.open_window(self.now);
        self.event(SourceEvent::SetupDone {
            setup_time: self.now - self.times.started,
            streams: self.sender.open_streams(),
        });
        self.announce_round();
    }

    /// Bytes that would have to be sent with the guest standing still.
    fn pending_bytes(&self) -> u64 {
        self.remaining_bytes() + self.sender.untaken_bytes()
    }

    /// QEMU's `migration_bitmap_sync`.
    fn synchronise(&mut self) {
        self.memory.advance(self.now, &mut self.log);
        let newly_dirty = self.copier.synchronise(&mut self.log);
        self.counters
            .on_synchronised(self.now, newly_dirty, self.remaining_bytes());
    }

    fn announce_round(&mut self) {
        self.event(SourceEvent::RoundStarted {
            round: self.counters.dirty_sync_count(),
            dirty_pages: self.copier.remaining_pages(),
        });
    }

    fn pause(&mut self) {
        self.state = State::Stopped;
        self.times.paused = Some(self.now);
        self.memory.pause(self.now, &mut self.log);
        self.synchronise();
        self.event(SourceEvent::GuestPaused {
            dirty_pages: self.copier.remaining_pages(),
            untaken_bytes: self.sender.untaken_bytes(),
        });
    }

    /// Hands the next frame to the transport, or the end message after the last one; whether there was one.
    fn send_frame(&mut self) -> bool {
        self.memory.advance(self.now, &mut self.log);
        let mut message = PayloadBuffer::default();
        if let Some(frame) = self.copier.next_frame(&self.memory) {
            message = frame;
        } else if self.state == State::Stopped {
            let end = End {
                frames: self.copier.statistics().frames,
                real: self.copier.hash_real_pages(&self.memory),
            };
            message.push(Bytes::from(end.to_bytes()).into());
            self.state = State::Answering;
        } else {
            return false;
        }
        self.sender
            .push(message, Priority::Bulk)
            .expect("the options have room for the longest frame");
        if self.state == State::Answering {
            self.sender.finish();
        }
        true
    }
}

impl<M: GuestMemory> Machine for Source<M> {
    type Command = Command;
    type Event = SourceEvent;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        assert!(now >= self.now, "time ran backwards");
        self.now = now;
        self.sender.advance(now);
        match input {
            Input::Command(Command::Start) if self.state == State::Waiting => self.start(),
            Input::Opened { stream } => self.sender.on_opened(stream),
            Input::Received { stream, payload } => self.sender.on_received(stream, payload),
            Input::Sent { stream, bytes } => self.sender.on_sent(stream, bytes),
            Input::Closed { stream, reason } => self.sender.on_closed(stream, reason),
            Input::Path { stream, info } => self.sender.on_path(stream, &info),
            Input::Command(_)
            | Input::Start
            | Input::Wake
            | Input::Accepted { .. }
            | Input::Datagram { .. } => {}
        }
        if self.state == State::Copying {
            let taken = self.sender.stats().taken_bytes;
            self.counters
                .on_time(now, taken, self.copier.statistics().pages());
        }
    }

    fn poll(&mut self) -> Output<SourceEvent> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if let Some(output) = self.sender.poll() {
                self.on_output(output);
            } else if !self.step() {
                break;
            }
        }
        let window = (self.counters.window_end(), "bandwidth window");
        let window = (self.state == State::Copying).then_some(window);
        let wakes = [window, self.sender.next_wake()].into_iter().flatten();
        match wakes.min_by_key(|(at, _)| *at) {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}
