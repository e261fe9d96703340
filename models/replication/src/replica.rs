//! The receiving machine, where the guests go on when the source is lost.

mod disk;
mod failover;
mod set;
mod store;
mod streams;

use std::collections::VecDeque;

use bytes::Bytes;
use longhaul_amst::{Receiver, ReceiverOptions, ReceiverOutput, ReceiverStats};
use longhaul_core::disk::DiskCondition;
use longhaul_core::machine::{CloseReason, Input, Machine, Output, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::Instant;
use longhaul_hde::PAGE_SIZE;
use serde::{Deserialize, Serialize};

use crate::control::{Control, ControlReader, Preamble, Role};
use crate::message::{Commit, Message, MessageError};
use crate::{
    Failover, OptionsError, RejectReason, ReplicaCommand, ReplicaEvent, ReplicaOptions, SessionEnd, Stalled,
    StreamRefusal,
};
use disk::Disk;
use failover::{Detector, Starting, schedule};
use set::Set;
use streams::{Arrival, Streams};

/// What a [`Replica`] has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ReplicaStatistics {
    /// Sessions that began.
    pub sessions: u64,
    /// Epochs in place.
    pub epochs_applied: u64,
    /// Attempts that could not be used.
    pub rejected: u64,
    /// Most pages held for epochs that were not complete, over all sets.
    pub staged_pages_max: u64,
    /// The transport's counters, over all sessions that are over or under way.
    pub transport: ReceiverStats,
}

/// The session under way.
struct Session {
    number: u64,
    control: StreamId,
    reader: ControlReader,
    receiver: Receiver,
    welcomed: bool,
}

/// Who has decided a fail-over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Decision {
    /// An operator, who has ordered it.
    Order,
    /// A rule for when the source is lost, which holds only as long as it is.
    Rule,
}

/// Where guests are protected to.
///
/// Whoever opens a stream is taken for the source: there is no authentication.
pub struct Replica {
    options: ReplicaOptions,
    now: Instant,
    sets: Vec<Set>,
    disk: Option<Disk>,
    /// Ends of epochs whose pages are not all written, each with how much the disk must have written before.
    unwritten: VecDeque<(u128, Commit)>,
    streams: Streams,
    session: Option<Session>,
    /// The highest number that a session has had.
    newest_session: u64,
    detector: Detector,
    /// Whether the source has promised to stop its guests when it is cut off.
    leased: bool,
    /// When the operator's rule says to fail over, unless the source is back before.
    decides_at: Option<Instant>,
    /// When the operator has ordered to fail over.
    ordered_at: Option<Instant>,
    /// The fail-over waits until the memory of the guests can be read: who has decided it.
    waits: Option<Decision>,
    /// Whether the guests run here, or are going to.
    failed_over: bool,
    /// Guests that are being started, the next one first.
    starting: VecDeque<Starting>,
    /// Since when nothing can be read from the disk.
    unread_since: Option<Instant>,
    outputs: VecDeque<Output<ReplicaEvent>>,
    statistics: ReplicaStatistics,
    /// The real part of the message at hand, kept for its capacity.
    message: Vec<u8>,
}

impl Replica {
    /// A replica that waits for a source.
    ///
    /// # Errors
    /// [`ReplicaOptions::check`]
    pub fn new(options: ReplicaOptions) -> Result<Replica, OptionsError> {
        options.check()?;
        let sets = options.sets.iter().map(|set| Set::new(&set.pages, set.priority));
        Ok(Replica {
            now: Instant::ZERO,
            sets: sets.collect(),
            disk: options.write_rate.map(Disk::new),
            unwritten: VecDeque::new(),
            streams: Streams::default(),
            session: None,
            newest_session: 0,
            detector: Detector::new(options.heartbeat.detection_time()),
            leased: false,
            decides_at: None,
            ordered_at: match options.failover {
                Failover::Manual { at, .. } => at,
                Failover::Automatic => None,
            },
            waits: None,
            failed_over: false,
            starting: VecDeque::new(),
            unread_since: None,
            outputs: VecDeque::new(),
            statistics: ReplicaStatistics::default(),
            message: Vec::new(),
            options,
        })
    }

    /// The newest complete epoch of a set, and when its snapshot was taken.
    pub fn newest_epoch(&self, set: usize) -> Option<(u64, Instant)> {
        let complete = self.sets[set].complete()?;
        Some((complete.epoch, complete.snapshot_at))
    }

    /// The content of a guest's page in the newest complete epoch, if it came as real bytes.
    pub fn page(&self, set: usize, guest: usize, page: u64) -> Option<&[u8; PAGE_SIZE]> {
        let set = &self.sets[set];
        let (base, pages) = *set.layout().parts().get(guest)?;
        set.page(base + page).filter(|_| page < pages)
    }

    /// Pages that are kept, over all sets: of the newest complete epochs, and of the next.
    pub fn held_pages(&self) -> (u64, u64) {
        let held = self.sets.iter().map(Set::held_pages);
        held.fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1))
    }

    /// Everything counted so far.
    pub fn statistics(&self) -> ReplicaStatistics {
        let mut statistics = self.statistics;
        if let Some(session) = &self.session {
            add(&mut statistics.transport, session.receiver.stats());
        }
        statistics
    }

    fn event(&mut self, event: ReplicaEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn refuse(&mut self, stream: StreamId, why: StreamRefusal) {
        self.streams.remove(stream);
        self.outputs.push_back(Output::Abort { stream });
        self.event(ReplicaEvent::StreamRefused { stream, why });
    }

    fn say(&mut self, record: &Control) {
        if let Some(session) = &self.session {
            let stream = session.control;
            let payload = Bytes::from(record.to_bytes()).into();
            self.outputs.push_back(Output::Send { stream, payload });
        }
    }

    fn on_received(&mut self, stream: StreamId, payload: Payload) {
        match self.streams.receive(stream, payload) {
            Ok(Arrival::Nothing) => {}
            Ok(Arrival::Preamble(preamble, rest)) => {
                if self.on_preamble(stream, preamble) && !rest.is_empty() {
                    self.on_received(stream, rest);
                }
            }
            Ok(Arrival::Control(payload)) => self.on_control(&payload),
            Ok(Arrival::Data(payload)) => {
                self.on_heard();
                if let Some(session) = &mut self.session {
                    session.receiver.on_received(stream, payload);
                }
            }
            Err(error) => self.refuse(stream, StreamRefusal::Control(error)),
        }
    }

    /// A stream says what it is for; whether it may be.
    fn on_preamble(&mut self, stream: StreamId, preamble: Preamble) -> bool {
        let Preamble {
            role,
            session: number,
        } = preamble;
        match role {
            Role::Control if number > self.newest_session => {
                self.end_session(SessionEnd::Superseded);
                self.newest_session = number;
                self.streams.set_control(stream);
                self.session = Some(Session {
                    number,
                    control: stream,
                    reader: ControlReader::default(),
                    receiver: Receiver::new(ReceiverOptions {
                        window_bytes: self.options.window_bytes,
                    }),
                    welcomed: false,
                });
                true
            }
            Role::Data => match &mut self.session {
                Some(session) if session.number == number && session.welcomed => {
                    self.streams.set_data(stream);
                    session.receiver.on_accepted(stream);
                    true
                }
                _ => {
                    self.refuse(stream, StreamRefusal::Session);
                    false
                }
            },
            Role::Control => {
                self.refuse(stream, StreamRefusal::Session);
                false
            }
        }
    }

    fn on_control(&mut self, payload: &Payload) {
        let Some(session) = &mut self.session else { return };
        let number = session.number;
        if let Err(error) = session.reader.take(payload) {
            return self.end_session(SessionEnd::Control(error));
        }
        // A record can end the session, and with it what follows.
        while let Some(session) = self.session.as_mut().filter(|session| session.number == number) {
            match session.reader.next_record() {
                Ok(Some(record)) => self.on_record(record),
                Ok(None) => break,
                Err(error) => self.end_session(SessionEnd::Control(error)),
            }
        }
    }

    fn on_record(&mut self, record: Control) {
        let Some(session) = &self.session else { return };
        match record {
            Control::Hello {
                session: number,
                pages,
            } if number == session.number && !session.welcomed => {
                self.on_hello(&pages);
            }
            Control::Heartbeat { number, leased } if session.welcomed => {
                self.on_heard();
                self.leased = leased;
                self.say(&Control::Heard { number });
            }
            _ => self.end_session(SessionEnd::Unexpected),
        }
    }

    fn on_hello(&mut self, pages: &[u64]) {
        let ours = self.sets.iter().map(|set| set.layout().pages());
        if !pages.iter().copied().eq(ours) {
            let stream = self.dismiss(&Control::Refused);
            let why = StreamRefusal::Guests;
            return self.event(ReplicaEvent::StreamRefused { stream, why });
        }
        if self.failed_over {
            self.dismiss(&Control::Fenced);
            return self.event(ReplicaEvent::SourceFenced);
        }
        let Some(session) = &mut self.session else { return };
        session.welcomed = true;
        let number = session.number;
        self.statistics.sessions += 1;
        self.event(ReplicaEvent::Welcomed { session: number });
        self.on_heard();
        self.say(&Control::Welcome {
            session: number,
            sets: self.sets.iter().map(Set::state).collect(),
        });
    }

    /// Says a last word and finishes the control stream; everything else of the session is over.
    fn dismiss(&mut self, last: &Control) -> StreamId {
        self.say(last);
        self.unwritten.clear();
        let session = self.session.take().expect("somebody to dismiss");
        add(&mut self.statistics.transport, session.receiver.stats());
        for stream in self.streams.take_session() {
            self.outputs.push_back(if stream == session.control {
                Output::Close { stream }
            } else {
                Output::Abort { stream }
            });
        }
        session.control
    }

    fn end_session(&mut self, why: SessionEnd) {
        let Some(session) = self.session.take() else {
            return;
        };
        // The source will end the epochs anew.
        self.unwritten.clear();
        add(&mut self.statistics.transport, session.receiver.stats());
        for stream in self.streams.take_session() {
            self.outputs.push_back(Output::Abort { stream });
        }
        self.event(ReplicaEvent::SessionOver {
            session: session.number,
            why,
        });
    }

    fn on_heard(&mut self) {
        if !self.failed_over
            && let Some(after) = self.detector.on_heard(self.now)
        {
            self.decides_at = None;
            self.waits.take_if(|decision| *decision == Decision::Rule);
            self.event(ReplicaEvent::SourceBack { after });
        }
    }

    fn on_closed(&mut self, stream: StreamId, reason: CloseReason) {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.control == stream)
        {
            return self.end_session(SessionEnd::ControlLost);
        }
        if self.streams.remove(stream) {
            if let Some(session) = &mut self.session {
                session.receiver.on_closed(stream, reason);
            }
        } else if reason == CloseReason::Finished {
            // Nothing more is said on a stream that never said what it was for.
            self.outputs.push_back(Output::Close { stream });
        }
    }

    fn on_receiver_output(&mut self, output: ReceiverOutput) {
        match output {
            ReceiverOutput::Send { stream, payload } => {
                self.outputs.push_back(Output::Send { stream, payload });
            }
            ReceiverOutput::Close { stream } => self.outputs.push_back(Output::Close { stream }),
            ReceiverOutput::StreamEnded { stream, why } => {
                self.event(ReplicaEvent::StreamEnded { stream, why });
            }
            ReceiverOutput::Delivered { content, .. } => {
                if let Err(error) = self.on_message(content) {
                    self.end_session(SessionEnd::Message(error));
                }
            }
        }
    }

    fn on_message(&mut self, mut content: PayloadBuffer) -> Result<(), MessageError> {
        let mut bytes = std::mem::take(&mut self.message);
        bytes.clear();
        let mut synthetic_bytes = 0;
        let mut sound = true;
        while let Some(piece) = content.pop(u64::MAX) {
            match piece {
                Payload::Real(real) => {
                    sound &= synthetic_bytes == 0;
                    bytes.extend_from_slice(&real);
                }
                Payload::Synthetic(more) => synthetic_bytes += more,
            }
        }
        let result = match Message::parse(&bytes) {
            _ if !sound => Err(MessageError::Length),
            Err(error) => Err(error),
            Ok(Message::Commit(_)) if synthetic_bytes > 0 => Err(MessageError::Length),
            Ok(Message::Frame { set, .. } | Message::Commit(Commit { set, .. }))
                if set as usize >= self.sets.len() =>
            {
                Err(MessageError::Range)
            }
            Ok(Message::Frame { set, attempt, frame }) => {
                let there = &mut self.sets[set as usize];
                match there.on_frame(attempt, frame, synthetic_bytes) {
                    Ok(pages) => {
                        if let Some(disk) = &mut self.disk {
                            disk.give(self.now, pages * PAGE_SIZE as u64);
                        }
                    }
                    Err(reason) => self.reject(set, reason),
                }
                Ok(())
            }
            Ok(Message::Commit(commit)) => {
                let (_, staged) = self.held_pages();
                self.statistics.staged_pages_max = self.statistics.staged_pages_max.max(staged);
                match &mut self.disk {
                    None => self.complete(&commit),
                    Some(disk) => {
                        let until = disk.give(self.now, 0);
                        self.unwritten.push_back((until, commit));
                        self.complete_written();
                    }
                }
                Ok(())
            }
        };
        self.message = bytes;
        result
    }

    /// When the disk will have written the next epoch.
    fn written_at(&self) -> Option<Instant> {
        let (until, _) = self.unwritten.front()?;
        self.disk.as_ref()?.written_at(*until)
    }

    /// Completes the epochs that are written.
    fn complete_written(&mut self) {
        while self.written_at().is_some_and(|at| at <= self.now)
            && let Some((_, commit)) = self.unwritten.pop_front()
        {
            self.complete(&commit);
        }
    }

    /// An epoch has come as a whole.
    fn complete(&mut self, commit: &Commit) {
        let set = commit.set;
        match self.sets[set as usize].on_commit(commit) {
            Ok(Some(pages)) => {
                self.statistics.epochs_applied += 1;
                self.event(ReplicaEvent::EpochApplied {
                    set,
                    epoch: commit.epoch,
                    snapshot_at: commit.snapshot_at,
                    pages,
                    verified_pages: commit.fingerprint.pages,
                });
                self.say(&Control::Applied {
                    set,
                    epoch: commit.epoch,
                });
            }
            Ok(None) => {}
            Err(reason) => self.reject(set, reason),
        }
    }

    fn reject(&mut self, set: u32, reason: RejectReason) {
        self.statistics.rejected += 1;
        let attempt = self.sets[set as usize].attempt();
        self.event(ReplicaEvent::Rejected { set, reason });
        self.say(&Control::Resync { set, attempt });
    }

    /// How its disk does.
    fn condition(&self) -> DiskCondition {
        self.disk
            .as_ref()
            .map_or_else(DiskCondition::default, Disk::condition)
    }

    /// How well its disk does from now on.
    fn set_disk(&mut self, condition: DiskCondition) {
        let now = self.now;
        // What it has written by now it has.
        self.complete_written();
        let Some(disk) = &mut self.disk else { return };
        let before = disk.condition();
        let stalled = disk.set(now, condition);
        self.read_on(before, condition);
        let why = match condition {
            DiskCondition { failed: true, .. } => Some(Stalled::Failed),
            DiskCondition { full: true, .. } => Some(Stalled::Full),
            _ => None,
        };
        if let Some(why) = why {
            self.event(ReplicaEvent::DiskStalled { why });
        } else if let Some(after) = stalled {
            self.event(ReplicaEvent::DiskWrites { after });
        }
        if !condition.failed
            && let Some(decision) = self.waits.take()
        {
            self.fail_over(decision);
        }
    }

    /// The guests that are being restored are read on from a disk that does otherwise than before.
    fn read_on(&mut self, before: DiskCondition, condition: DiskCondition) {
        let now = self.now;
        let read_until = self.unread_since.unwrap_or(now);
        self.unread_since = condition.failed.then_some(read_until);
        let goes_on = self.unread_since.unwrap_or(now);
        let unread = self
            .starting
            .iter_mut()
            .filter(|next| next.restored_at > read_until);
        for next in unread {
            let left = before.rescaled(next.restored_at - read_until, condition);
            next.restored_at = goes_on.saturating_add(left);
        }
    }

    /// When the next guest runs, as far as that is known.
    fn next_start(&self) -> Option<Instant> {
        let next = self.starting.front()?;
        let is_read = self.unread_since.is_none_or(|since| next.restored_at <= since);
        is_read.then(|| next.restored_at.saturating_add(self.options.resume_time))
    }

    /// Starts the guests from the newest complete epochs, if there are any.
    fn fail_over(&mut self, decision: Decision) {
        self.decides_at = None;
        if self.condition().failed {
            self.waits = Some(decision);
            return self.event(ReplicaEvent::FailOverWaits);
        }
        let mut promoted = Vec::new();
        for number in 0..self.sets.len() as u32 {
            let event = match self.sets[number as usize].verify() {
                Ok(complete) => {
                    promoted.push(number);
                    ReplicaEvent::Promoted {
                        set: number,
                        epoch: complete.epoch,
                        snapshot_at: complete.snapshot_at,
                        verified_pages: complete.fingerprint.pages,
                    }
                }
                Err(reason) => ReplicaEvent::NotPromoted { set: number, reason },
            };
            self.event(event);
        }
        if promoted.is_empty() {
            return;
        }
        self.failed_over = true;
        if self.session.as_ref().is_some_and(|session| session.welcomed) {
            self.dismiss(&Control::Fenced);
            self.event(ReplicaEvent::SourceFenced);
        }
        self.end_session(SessionEnd::FailedOver);
        for set in &mut self.sets {
            set.drop_staging();
        }
        let rate = self.options.restore_rate;
        self.starting = schedule(self.now, &self.sets, &promoted, rate, self.condition()).into();
    }

    /// Does what is due.
    fn on_time(&mut self) {
        if !self.failed_over
            && let Some(last_heard) = self.detector.detect(self.now)
        {
            self.event(ReplicaEvent::SourceLost { last_heard });
            match self.options.failover {
                Failover::Automatic if self.leased => self.fail_over(Decision::Rule),
                Failover::Automatic => self.event(ReplicaEvent::NoLease),
                Failover::Manual { after, .. } => {
                    self.decides_at = after.map(|after| self.now.saturating_add(after));
                }
            }
        }
        let now = self.now;
        let decided = self.decides_at.take_if(|at| *at <= now).is_some();
        let ordered = self.ordered_at.take_if(|at| *at <= now).is_some();
        if (decided || ordered) && !self.failed_over {
            self.fail_over(if ordered { Decision::Order } else { Decision::Rule });
        }
        while self.next_start().is_some_and(|at| at <= now)
            && let Some(next) = self.starting.pop_front()
        {
            self.event(ReplicaEvent::GuestRunning {
                set: next.set,
                guest: next.guest,
                restoring: next.restoring,
            });
            if self.starting.is_empty() {
                self.event(ReplicaEvent::FailedOver);
            }
        }
    }
}

impl Machine for Replica {
    type Command = ReplicaCommand;
    type Event = ReplicaEvent;

    fn handle(&mut self, now: Instant, input: Input<ReplicaCommand>) {
        assert!(now >= self.now, "time ran backwards");
        self.now = now;
        // What the disk has done by now it did before this came.
        self.complete_written();
        match input {
            Input::Command(ReplicaCommand::FailOver) if !self.failed_over => self.fail_over(Decision::Order),
            Input::Command(ReplicaCommand::Disk(condition)) => self.set_disk(condition),
            Input::Accepted { stream } => {
                if let Some(oldest) = self.streams.accept(stream) {
                    self.refuse(oldest, StreamRefusal::TooMany);
                }
            }
            Input::Received { stream, payload } => self.on_received(stream, payload),
            Input::Sent { stream, bytes } => {
                if let Some(session) = self.session.as_mut().filter(|session| session.control != stream) {
                    session.receiver.on_sent(stream, bytes);
                }
            }
            Input::Closed { stream, reason } => self.on_closed(stream, reason),
            Input::Command(_)
            | Input::Start
            | Input::Wake
            | Input::Opened { .. }
            | Input::Path { .. }
            | Input::Datagram { .. } => {}
        }
        self.on_time();
    }

    fn poll(&mut self) -> Output<ReplicaEvent> {
        while self.outputs.is_empty()
            && let Some(output) = self.session.as_mut().and_then(|session| session.receiver.poll())
        {
            self.on_receiver_output(output);
        }
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let start = self.next_start().map(|at| (at, "a guest runs"));
        let written = self.written_at().map(|at| (at.max(self.now), "the disk"));
        let silence = self.detector.deadline().filter(|_| !self.failed_over);
        let silence = silence.map(|at| (at, "silence"));
        let decision = self.decides_at.into_iter().chain(self.ordered_at).min();
        let decision = decision.filter(|_| !self.failed_over);
        let decision = decision.map(|at| (at, "the operator decides"));
        match start
            .into_iter()
            .chain(written)
            .chain(silence)
            .chain(decision)
            .min()
        {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}

/// Adds the counters of a session to those of others.
fn add(sum: &mut ReceiverStats, session: &ReceiverStats) {
    sum.messages += session.messages;
    sum.message_bytes += session.message_bytes;
    sum.chunks += session.chunks;
    sum.duplicate_chunks += session.duplicate_chunks;
    sum.held_bytes_max = sum.held_bytes_max.max(session.held_bytes_max);
}
