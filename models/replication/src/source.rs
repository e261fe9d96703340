//! The sending machine, to which the guests belong.

mod lease;
mod set;
mod uplink;

use std::collections::VecDeque;

use longhaul_amst::{MessageId, Priority, Sender, SenderOutput, SenderStats};
use longhaul_core::machine::{Input, Machine, Output, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::GuestMemory;
use serde::{Deserialize, Serialize};

use crate::control::{Control, Role, SetState};
use crate::options::check_sets;
use crate::{Disconnect, Failover, OptionsError, ResyncReason, SourceCommand, SourceEvent, SourceOptions};
use lease::Lease;
pub use set::SetStatistics;
use set::{Outgoing, Set};
use uplink::{Meaning, Sent, State, Uplink};

/// A guest to replicate.
pub struct Guest<M> {
    /// Its memory.
    pub memory: M,
    /// Decides which extents are real; it must belong to this guest alone.
    pub random: Stream,
}

/// The guests of a consistency set: their snapshots are taken at the same moment, and the replica has an epoch of
/// all or of none.
pub struct SetGuests<M> {
    /// The guests.
    pub guests: Vec<Guest<M>>,
    /// As long as a set of a higher priority has something to send, others wait. Equals take turns.
    pub priority: u32,
}

/// What a source has done so far.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct SourceStatistics {
    /// Of each consistency set.
    pub sets: Vec<SetStatistics>,
    /// Sessions that were begun, welcome or not.
    pub attempts: u64,
    /// Sessions in which frames could be sent.
    pub sessions: u64,
    /// Time that encoding has taken, over all threads; without a cost none.
    pub encode_time: Span,
    /// The transport's counters, over all sessions.
    pub transport: SenderStats,
}

/// Where guests are protected.
pub struct Source<M> {
    options: SourceOptions,
    now: Instant,
    sets: Vec<Set<M>>,
    /// The set whose turn it is among equals.
    turn: usize,
    uplink: Uplink,
    lease: Lease,
    heartbeat_at: Instant,
    /// When the bandwidth limit lets the next message go.
    send_at: Instant,
    /// A message that is being encoded, its set, and when it will be.
    encoding: Option<(Instant, usize, Outgoing)>,
    /// Time that encoding has taken, over all threads.
    encode_time: Span,
    outputs: VecDeque<Output<SourceEvent>>,
    sessions: u64,
    /// Of sessions that are over.
    past_transport: SenderStats,
}

impl<M: GuestMemory> Source<M> {
    /// A source that waits for [`SourceCommand::Start`]. The guests run meanwhile.
    ///
    /// # Errors
    /// [`SourceOptions::check`], or no guests.
    pub fn new(options: SourceOptions, sets: Vec<SetGuests<M>>) -> Result<Source<M>, OptionsError> {
        options.check()?;
        check_sets(sets.iter().map(|set| set.guests.len()))?;
        let sets = (0..)
            .zip(sets)
            .map(|(number, set)| Set::new(number, set, &options));
        Ok(Source {
            now: Instant::ZERO,
            sets: sets.collect(),
            turn: 0,
            uplink: Uplink::new(options.backoff),
            lease: Lease::new(options.heartbeat.detection_time()),
            heartbeat_at: Instant::MAX,
            send_at: Instant::ZERO,
            encoding: None,
            encode_time: Span::ZERO,
            outputs: VecDeque::new(),
            sessions: 0,
            past_transport: SenderStats::default(),
            options,
        })
    }

    /// The memories of a consistency set.
    pub fn memories(&self, set: usize) -> impl Iterator<Item = &M> {
        self.sets[set].memories()
    }

    /// Bytes handed to the transport's streams, over all sessions.
    pub fn transferred_bytes(&self) -> u64 {
        let now = match &self.uplink.state {
            State::Up(up) => up.sender.stats().wire_bytes,
            _ => 0,
        };
        self.past_transport.wire_bytes + now
    }

    /// Bytes of the pages that the replica lacks or may lack, as far as they are known: what the guests have written
    /// since they were last looked at is not.
    pub fn backlog_bytes(&self) -> u64 {
        let pages: u64 = self.sets.iter().map(Set::backlog_pages).sum();
        pages * PAGE_SIZE as u64
    }

    /// Everything counted so far.
    pub fn statistics(&self) -> SourceStatistics {
        let mut transport = self.past_transport;
        if let State::Up(up) = &self.uplink.state {
            add(&mut transport, up.sender.stats());
        }
        SourceStatistics {
            sets: self.sets.iter().map(Set::statistics).collect(),
            attempts: self.uplink.session,
            sessions: self.sessions,
            encode_time: self.encode_time,
            transport,
        }
    }

    fn event(&mut self, event: SourceEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn start(&mut self) {
        for set in &mut self.sets {
            set.start(self.now, self.options.payload);
        }
        self.attempt();
    }

    fn attempt(&mut self) {
        let stream = self.uplink.attempt(self.now);
        let peer = self.options.replica;
        self.outputs.push_back(Output::Open { stream, peer });
    }

    /// Says something on the control stream, if there is one.
    fn say(&mut self, record: &Control) {
        if let Some(stream) = self.uplink.control() {
            let payload = bytes::Bytes::from(record.to_bytes()).into();
            self.outputs.push_back(Output::Send { stream, payload });
        }
    }

    fn on_opened(&mut self, stream: StreamId) {
        match self.uplink.meaning_of(stream) {
            Meaning::Control => {
                self.uplink.greet();
                let payload = self.uplink.preamble(Role::Control).into();
                self.outputs.push_back(Output::Send { stream, payload });
                self.say(&Control::Hello {
                    session: self.uplink.session,
                    pages: self.sets.iter().map(Set::pages).collect(),
                });
            }
            Meaning::Data(theirs) => {
                let payload = self.uplink.preamble(Role::Data).into();
                self.outputs.push_back(Output::Send { stream, payload });
                if let Some(up) = self.uplink.up() {
                    up.sender.on_opened(theirs);
                }
            }
            _ => {}
        }
    }

    fn on_received(&mut self, stream: StreamId, payload: Payload) {
        let (now, meaning) = (self.now, self.uplink.meaning_of(stream));
        if let Some(up) = self.uplink.up()
            && !matches!(meaning, Meaning::Nothing)
        {
            up.heard = now;
        }
        match meaning {
            Meaning::Control => self.on_control(&payload),
            Meaning::Data(theirs) => {
                if let Some(up) = self.uplink.up() {
                    up.sender.on_received(theirs, payload);
                }
            }
            Meaning::Nothing => {}
        }
    }

    fn on_control(&mut self, payload: &Payload) {
        let session = self.uplink.session;
        if let Err(error) = self.uplink.reader().take(payload) {
            return self.disconnect(Disconnect::Control(error));
        }
        // A record can end the session, and with it what follows.
        while self.uplink.session == session && self.uplink.control().is_some() {
            match self.uplink.reader().next_record() {
                Ok(Some(record)) => self.on_record(record),
                Ok(None) => break,
                Err(error) => self.disconnect(Disconnect::Control(error)),
            }
        }
    }

    fn on_record(&mut self, record: Control) {
        let known = |set: u32| ((set as usize) < self.sets.len()).then_some(set as usize);
        match (&self.uplink.state, record) {
            (State::Greeting { .. }, Control::Welcome { session, sets }) => self.on_welcome(session, &sets),
            (State::Greeting { .. }, Control::Refused) => {
                let streams = self.uplink.end();
                self.abort(streams);
                self.event(SourceEvent::Refused);
            }
            (State::Greeting { .. } | State::Up(_), Control::Fenced) => self.on_fenced(),
            (State::Up(_), Control::Heard { number }) => {
                self.lease.on_heard(number);
                self.resume_guests();
            }
            (State::Up(_), Control::Applied { set, epoch }) if known(set).is_some() => {
                self.on_applied(set as usize, epoch);
            }
            (State::Up(_), Control::Resync { set, attempt }) if known(set).is_some() => {
                let resyncs = self.sets[set as usize].statistics().resyncs;
                if !self.sets[set as usize].on_rejected(self.now, attempt) {
                    self.disconnect(Disconnect::Unexpected);
                } else if self.sets[set as usize].statistics().resyncs > resyncs {
                    let reason = ResyncReason::Rejected;
                    self.event(SourceEvent::Resync { set, reason });
                }
            }
            _ => self.disconnect(Disconnect::Unexpected),
        }
    }

    fn on_welcome(&mut self, session: u64, states: &[SetState]) {
        if session != self.uplink.session || states.len() != self.sets.len() {
            return self.disconnect(Disconnect::Unexpected);
        }
        let mut sender = Sender::new(self.options.transport).expect("the options were checked");
        sender.advance(self.now);
        sender.start();
        self.uplink.welcome(self.now, sender);
        self.sessions += 1;
        let now = self.now;
        for (number, (set, state)) in (0..).zip(self.sets.iter_mut().zip(states)) {
            if let Err(reason) = set.reconcile(now, state) {
                let resync = SourceEvent::Resync { set: number, reason };
                self.outputs.push_back(Output::Event(resync));
            }
        }
        let backlog_pages = self.sets.iter().map(Set::backlog_pages).sum();
        self.event(SourceEvent::Connected {
            session,
            backlog_pages,
        });
        self.heartbeat_at = self.now;
    }

    fn on_applied(&mut self, set: usize, epoch: u64) {
        let Some(done) = self.sets[set].on_applied(self.now, epoch) else {
            return self.disconnect(Disconnect::Unexpected);
        };
        let set = set as u32;
        self.event(SourceEvent::EpochDone {
            set,
            epoch: done.epoch,
            took: done.took,
            bytes: done.bytes,
            kept_pages: done.kept_pages,
        });
        if let Some((after, epochs, bytes)) = done.caught_up {
            self.event(SourceEvent::CaughtUp {
                set,
                after,
                epochs,
                bytes,
            });
        }
    }

    /// Others run in the place of our guests.
    fn on_fenced(&mut self) {
        let streams = self.uplink.end();
        self.abort(streams);
        self.interrupt_epochs();
        for set in &mut self.sets {
            set.stop_guests(self.now);
        }
        self.lease.stopped_at.get_or_insert(self.now);
        self.event(SourceEvent::Fenced);
    }

    /// The replica is lost: everything is given up until the next attempt.
    fn disconnect(&mut self, why: Disconnect) {
        let session = self.uplink.session;
        let was_up = if let State::Up(up) = &self.uplink.state {
            add(&mut self.past_transport, up.sender.stats());
            true
        } else {
            false
        };
        let streams = self.uplink.give_up(self.now);
        self.abort(streams);
        if was_up {
            self.event(SourceEvent::Disconnected { session, why });
            self.interrupt_epochs();
        } else {
            self.event(SourceEvent::NotConnected { session, why });
        }
    }

    fn interrupt_epochs(&mut self) {
        self.encoding = None;
        for (set, number) in self.sets.iter_mut().zip(0..) {
            if let Some(epoch) = set.interrupt(self.now) {
                let interrupted = SourceEvent::EpochInterrupted { set: number, epoch };
                self.outputs.push_back(Output::Event(interrupted));
            }
        }
    }

    fn abort(&mut self, streams: Vec<StreamId>) {
        for stream in streams {
            self.outputs.push_back(Output::Abort { stream });
        }
    }

    fn on_sender_output(&mut self, output: SenderOutput) {
        match output {
            SenderOutput::Open { stream } => {
                let stream = self.uplink.open_data(stream);
                let peer = self.options.replica;
                self.outputs.push_back(Output::Open { stream, peer });
            }
            SenderOutput::Send { stream, payload } => {
                if let Some(stream) = self.uplink.number_of(stream) {
                    self.outputs.push_back(Output::Send { stream, payload });
                }
            }
            SenderOutput::Close { stream } => {
                if let Some(stream) = self.uplink.number_of(stream) {
                    self.outputs.push_back(Output::Close { stream });
                }
            }
            SenderOutput::Abort { stream } => {
                if let Some(stream) = self.uplink.number_of(stream) {
                    self.outputs.push_back(Output::Abort { stream });
                }
            }
            SenderOutput::Inspect { stream } => {
                if let Some(stream) = self.uplink.number_of(stream) {
                    self.outputs.push_back(Output::Inspect { stream });
                }
            }
            SenderOutput::StreamLost {
                stream,
                why,
                requeued_chunks,
            } => {
                if let Some(stream) = self.uplink.number_of(stream) {
                    self.event(SourceEvent::StreamLost {
                        stream,
                        why,
                        requeued_chunks,
                    });
                }
            }
            SenderOutput::Acked { message } => self.on_acked(message),
            SenderOutput::Adapted { .. } | SenderOutput::Drained => {}
            // The replica answers on the control stream.
            SenderOutput::Reply { .. } => self.disconnect(Disconnect::Unexpected),
            SenderOutput::Failed {
                why,
                unacknowledged_bytes,
            } => self.disconnect(Disconnect::Transport {
                why,
                unacknowledged_bytes,
            }),
        }
    }

    /// The replica's transport has all of a message. It delivers in order, so the replica has those up to which none
    /// is missing.
    fn on_acked(&mut self, message: MessageId) {
        let Some(up) = self.uplink.up() else { return };
        if let Ok(place) = up.sent.binary_search_by_key(&message, |sent| sent.message) {
            up.sent[place].arrived = true;
        }
        while let Some(sent) = up.sent.pop_front_if(|sent| sent.arrived) {
            if let Some(frame) = sent.frame {
                self.sets[sent.set].confirm(frame);
            }
        }
    }

    /// Does what is due.
    fn on_time(&mut self) {
        let now = self.now;
        let stopped = self.lease.stopped_at.is_some();
        for set in &mut self.sets {
            if set.pause_end().is_some_and(|end| end <= now) {
                set.end_pause(stopped);
            }
        }
        match &self.uplink.state {
            State::Down { retry_at } if *retry_at <= now => self.attempt(),
            State::Greeting { deadline, .. } if *deadline <= now => self.disconnect(Disconnect::Silence),
            State::Up(up) if up.heard.saturating_add(self.options.heartbeat.detection_time()) <= now => {
                self.disconnect(Disconnect::Silence);
            }
            State::Up(_) if self.heartbeat_at <= now => {
                let protected = self.sets.iter().all(Set::is_protected);
                let leased = self.options.failover == Failover::Automatic && protected;
                let number = self.lease.on_heartbeat(now, leased);
                self.say(&Control::Heartbeat { number, leased });
                self.heartbeat_at = now.saturating_add(self.options.heartbeat.interval);
            }
            _ => {}
        }
    }

    /// Stops the guests if the replica may count us as lost. Comes first of all, so that nobody looks at a guest that
    /// should have stopped; they stop when the lease ran out, also if this machine is woken later.
    fn keep_lease(&mut self) {
        let over = self.lease.stopped_at.is_none() && self.lease.is_over(self.now);
        if let Some(at) = self.lease.end().filter(|_| over) {
            for set in &mut self.sets {
                if set.pause_end().is_some_and(|end| end <= at) {
                    set.end_pause(false);
                }
                set.stop_guests(at);
            }
            self.lease.stopped_at = Some(at);
            self.event(SourceEvent::GuestsStopped { at });
        }
    }

    fn resume_guests(&mut self) {
        if let Some(at) = self.lease.stopped_at
            && !self.lease.is_over(self.now)
        {
            self.lease.stopped_at = None;
            for set in &mut self.sets {
                set.resume_guests(self.now);
            }
            let after = self.now - at;
            self.event(SourceEvent::GuestsResumed { after });
        }
    }

    /// Does the next thing that is possible now; whether there was one.
    fn step(&mut self) -> bool {
        let now = self.now;
        let State::Up(up) = &self.uplink.state else {
            return false;
        };
        let wants_more = up.sender.wants_more();
        let is_due = |set: &Set<M>| set.next_snapshot().is_some_and(|due| due <= now);
        if let Some(number) = self.sets.iter().position(is_due) {
            let started = self.sets[number].take_snapshot(now, self.options.snapshot_pause);
            self.event(SourceEvent::EpochStarted {
                set: number as u32,
                epoch: started.epoch,
                pages: started.pages,
                late: started.late,
            });
            return true;
        }
        let may_send = wants_more && self.send_at <= now;
        match self.encoding {
            Some((done, _, _)) => may_send && done <= now && self.send_message(),
            // Encoding that takes time goes on while the transport has enough; else it is done when it is wanted.
            None => (may_send || self.options.cost.is_some()) && self.encode_message(),
        }
    }

    /// The set that sends next: of those with the highest priority the one whose turn it is.
    fn next_to_send(&self) -> Option<usize> {
        let count = self.sets.len();
        let in_turn = (0..count).map(|step| (self.turn + step) % count);
        let with_message = in_turn.filter(|number| self.sets[*number].has_message());
        // Of several maxima the last one is found, so the first in turn must come last.
        with_message
            .rev()
            .max_by_key(|number| self.sets[*number].priority)
    }

    /// Begins to encode the next message, if there is one.
    fn encode_message(&mut self) -> bool {
        let Some(number) = self.next_to_send() else {
            return false;
        };
        let outgoing = self.sets[number].next_message(self.now);
        let takes = self.options.cost.map_or(Span::ZERO, |cost| {
            let of_one_thread = Span::from_ns(cost.codec.encode_time(&outgoing.work));
            self.encode_time = self.encode_time.saturating_add(of_one_thread);
            of_one_thread / u64::from(cost.threads)
        });
        self.encoding = Some((self.now.saturating_add(takes), number, outgoing));
        self.turn = number + 1;
        true
    }

    /// Hands the message that is encoded to the transport, if there is one.
    fn send_message(&mut self) -> bool {
        let Some((_, set, outgoing)) = self.encoding.take() else {
            return false;
        };
        if let Some(rate) = self.options.max_bandwidth {
            self.send_at = self.now.saturating_add(rate.time_for(outgoing.content.len()));
        }
        if let Some(up) = self.uplink.up() {
            let message = up
                .sender
                .push(outgoing.content, Priority::Bulk)
                .expect("the options have room for the longest frame");
            up.sent.push_back(Sent {
                message,
                set,
                frame: outgoing.frame,
                arrived: false,
            });
        }
        true
    }

    /// When there is something to do again, and what.
    fn next_wake(&self) -> Option<(Instant, &'static str)> {
        let connection = match &self.uplink.state {
            State::Waiting | State::Over => None,
            State::Down { retry_at } => Some((*retry_at, "next attempt")),
            State::Greeting { deadline, .. } => Some((*deadline, "no answer")),
            State::Up(up) => {
                let silence = up.heard.saturating_add(self.options.heartbeat.detection_time());
                let heartbeat = (self.heartbeat_at, "heartbeat");
                let snapshot = self.sets.iter().filter_map(Set::next_snapshot).min();
                let transport = up.sender.next_wake();
                let encoded = self.encoding.as_ref().map(|(done, _, _)| (*done, "encoding"));
                let limit = (self.encoding.is_some() || self.next_to_send().is_some())
                    .then_some((self.send_at, "bandwidth limit"));
                let later = |wake: &(Instant, &str)| wake.0 > self.now;
                [
                    Some((silence, "silence")),
                    Some(heartbeat),
                    transport,
                    snapshot.map(|at| (at, "snapshot")),
                    limit.filter(later),
                    encoded.filter(later),
                ]
                .into_iter()
                .flatten()
                .min()
            }
        };
        let pause = self.sets.iter().filter_map(Set::pause_end).min();
        let lease = self.lease.end().filter(|_| self.lease.stopped_at.is_none());
        [
            connection,
            pause.map(|at| (at, "end of a snapshot")),
            lease.map(|at| (at, "end of the lease")),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl<M: GuestMemory> Machine for Source<M> {
    type Command = SourceCommand;
    type Event = SourceEvent;

    fn handle(&mut self, now: Instant, input: Input<SourceCommand>) {
        assert!(now >= self.now, "time ran backwards");
        self.now = now;
        self.keep_lease();
        if let Some(up) = self.uplink.up() {
            up.sender.advance(now);
        }
        match input {
            Input::Command(SourceCommand::Start) if matches!(self.uplink.state, State::Waiting) => {
                self.start();
            }
            Input::Opened { stream } => self.on_opened(stream),
            Input::Received { stream, payload } => self.on_received(stream, payload),
            Input::Sent { stream, bytes } => {
                if let Some((theirs, bytes)) = self.uplink.on_sent(stream, bytes)
                    && let Some(up) = self.uplink.up()
                {
                    up.sender.on_sent(theirs, bytes);
                }
            }
            Input::Path { stream, info } => {
                if let Meaning::Data(theirs) = self.uplink.meaning_of(stream)
                    && let Some(up) = self.uplink.up()
                {
                    up.sender.on_path(theirs, &info);
                }
            }
            Input::Closed { stream, reason } => match self.uplink.meaning_of(stream) {
                Meaning::Control => self.disconnect(Disconnect::ControlLost),
                Meaning::Data(theirs) => {
                    if let Some(up) = self.uplink.up() {
                        up.sender.on_closed(theirs, reason);
                    }
                }
                _ => {}
            },
            Input::Command(_)
            | Input::Start
            | Input::Wake
            | Input::Accepted { .. }
            | Input::Datagram { .. } => {}
        }
        self.on_time();
    }

    fn poll(&mut self) -> Output<SourceEvent> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if let Some(output) = self.uplink.up().and_then(|up| up.sender.poll()) {
                self.on_sender_output(output);
            } else if !self.step() {
                break;
            }
        }
        match self.next_wake() {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}

/// Adds the counters of a session to those of others.
fn add(sum: &mut SenderStats, session: &SenderStats) {
    sum.messages += session.messages;
    sum.message_bytes += session.message_bytes;
    sum.chunks += session.chunks;
    sum.wire_bytes += session.wire_bytes;
    sum.taken_bytes += session.taken_bytes;
    sum.retransmitted_chunks += session.retransmitted_chunks;
    sum.acknowledged_chunks += session.acknowledged_chunks;
    sum.acknowledged_bytes += session.acknowledged_bytes;
    sum.needless_acknowledgements += session.needless_acknowledgements;
    sum.lost_streams += session.lost_streams;
}
