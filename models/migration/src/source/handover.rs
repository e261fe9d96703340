//! What the destination needs to run the guest, and what it answers.
//!
//! With the last message of pre-copy, or the package of post-copy, the guest changes sides: once it is handed to the
//! transport the guest may run there, so that whatever happens then, it does not run here unless the destination has
//! given it up.

use bytes::Bytes;
use longhaul_amst::Priority;
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::Instant;
use longhaul_memory::{CpuState, GuestMemory};

use super::{Source, State};
use crate::frames::Lane;
use crate::wire::data::{End, Message};
use crate::wire::return_path::Answer;
use crate::{SourceEvent, SourceFailure};

/// Bytes of a piece of device state: less than any window.
const PIECE: u64 = 192 << 10;

impl<M: GuestMemory> Source<M> {
    /// Hands over what pre-copy ends with, once all pages are; whether it did.
    pub(super) fn hand_over(&mut self) -> bool {
        if !self.is_pumped_dry() {
            return false;
        }
        self.send_device_state(Priority::Bulk);
        let cpu = self.memory.cpu_state(self.now);
        self.send_end(self.options.device_state.as_bytes(), cpu);
        self.state = State::Answering;
        true
    }

    pub(super) fn send_device_state(&mut self, priority: Priority) {
        let mut rest = self.options.device_state.as_bytes();
        while rest > 0 {
            let piece = rest.min(PIECE);
            rest -= piece;
            let mut content = PayloadBuffer::default();
            content.push(Message::DeviceState.to_bytes().into());
            content.push(Payload::Synthetic(piece));
            self.link.push(content, priority);
        }
    }

    /// Says that all pages have been sent.
    pub(super) fn send_end(&mut self, device_bytes: u64, cpu: CpuState) {
        let end = Message::End(End {
            frames: self.copier.maker().frames(Lane::Bulk),
            real: self.copier.hash_real_pages(&self.memory),
            device_bytes,
            cpu,
        });
        self.link.push_bytes(end.to_bytes(), Priority::Bulk);
        self.link.finish();
        self.ended = true;
    }

    /// The destination's last word.
    pub(super) fn on_answer(&mut self, content: &Bytes) {
        // While it is paused, a stream that the transport has given up may still bring the answer.
        let handed_over = matches!(
            self.state,
            State::Answering | State::Postcopy | State::Paused { .. } | State::Recovering
        );
        match Answer::parse(content) {
            Some(Answer::Complete { running_since })
                if handed_over && self.times.paused <= Some(running_since) =>
            {
                self.note_running(running_since);
                self.times.answered = Some(self.now);
                self.link.close();
                self.state = State::Finishing {
                    until: self.now.saturating_add(self.options.orchestration.after),
                };
            }
            // It has not run there, and will not.
            Some(Answer::Refused) if self.times.resumed.is_none() => self.fail(SourceFailure::Refused),
            Some(Answer::Lost) if handed_over => self.lose_guest(SourceFailure::GuestLost),
            // A peer that contradicts itself: whoever may run the guest does.
            _ if handed_over => self.lose_guest(SourceFailure::Reply),
            _ => self.fail(SourceFailure::Reply),
        }
    }

    /// The guest runs at the destination since then.
    pub(super) fn note_running(&mut self, since: Instant) {
        self.times.resumed.get_or_insert(since);
    }

    pub(super) fn complete(&mut self) {
        self.state = State::Completed;
        self.times.ended = Some(self.now);
        let statistics = Box::new(self.statistics());
        self.event(SourceEvent::Completed { statistics });
    }

    /// The guest has not changed sides: it goes on here.
    pub(super) fn fail(&mut self, reason: SourceFailure) {
        if self.stay(State::Failed) {
            self.event(SourceEvent::Failed { reason });
        }
    }

    /// Whether it has been decided where the guest stays.
    pub(super) fn is_over(&self) -> bool {
        matches!(
            self.state,
            State::Finishing { .. } | State::Completed | State::Failed | State::Cancelled
        )
    }

    /// Ends the migration with the guest here; false if that has been decided before.
    pub(super) fn stay(&mut self, end: State) -> bool {
        if self.is_over() {
            return false;
        }
        self.state = end;
        self.times.ended = Some(self.now);
        self.end_throttle();
        if !self.guest_runs {
            self.guest_runs = true;
            self.memory.resume(self.now);
            self.event(SourceEvent::GuestResumed);
        }
        self.link.close();
        true
    }

    /// The guest runs at the destination, or nowhere: not here in any case.
    fn lose_guest(&mut self, reason: SourceFailure) {
        self.state = State::Failed;
        self.times.ended = Some(self.now);
        self.link.close();
        self.event(SourceEvent::Failed { reason });
    }
}
