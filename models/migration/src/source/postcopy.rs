//! Post-copy: the guest runs at the destination, and its memory follows.
//!
//! The package and everything before it that the destination needs travels as control and overtakes the pages that are
//! queued. Frames say whether they were made after the guest was stopped, so that the destination can tell old content of
//! pages that the guest had written since from their last.

use longhaul_amst::Priority;
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::{CpuState, GuestMemory};

use super::{Source, State};
use crate::SourceEvent;
use crate::wire::data::{Message, Package};
use crate::wire::pages;
use crate::wire::return_path::Record;

impl<M: GuestMemory> Source<M> {
    pub(super) fn start_postcopy(&mut self) {
        self.state = State::Postcopy;
        self.stop_guest();
        self.copier.begin_postcopy();
        self.event(SourceEvent::GuestPaused {
            dirty_pages: self.remaining_bytes() / PAGE_SIZE as u64,
            untaken_bytes: self.link.sender().untaken_bytes(),
        });
        for number in 0..pages::part_count(self.memory.pages()) {
            let part = pages::part(self.copier.dirty(), number);
            let message = Message::Dirty(part.into());
            self.link.push_bytes(message.to_bytes(), Priority::Control);
        }
        self.send_device_state(Priority::Control);
        let package = Message::Package(Package {
            device_bytes: self.options.device_state.as_bytes(),
            cpu: self.memory.cpu_state(self.now),
        });
        self.link.push_bytes(package.to_bytes(), Priority::Control);
        self.phases.at_postcopy = Some(self.link.stats().wire_bytes);
        self.pacer.set_limit(self.options.max_postcopy_bandwidth);
        self.event(SourceEvent::PostcopyStarted {
            missing_pages: self.copier.remaining_pages(),
        });
    }

    pub(super) fn step_postcopy(&mut self) -> bool {
        if self.pump_urgent() || self.pump() {
            return true;
        }
        if self.ended || !self.is_pumped_dry() {
            return false;
        }
        self.send_end(0, CpuState::default());
        true
    }

    /// The destination says something before its last word.
    pub(super) fn on_record(&mut self, record: Record) {
        match (record, self.state) {
            (Record::Requests(pages), State::Postcopy) => self.on_requests(&pages),
            (Record::Running { since }, State::Postcopy | State::Paused { .. } | State::Recovering)
                if self.times.paused <= Some(since) =>
            {
                self.note_running(since);
            }
            (Record::Received(part), State::Recovering) => self.on_received_part(&part),
            (Record::Abandoned, State::Paused { .. } | State::Recovering) => self.on_abandoned(),
            // Said twice, or too late, or nonsense: nothing depends on it.
            _ => {}
        }
    }

    /// The guest waits for pages.
    fn on_requests(&mut self, pages: &[u64]) {
        let guest_pages = self.memory.pages();
        for &page in pages.iter().filter(|page| **page < guest_pages) {
            self.postcopy_requests += 1;
            if !self.options.preempt {
                self.copier.go_to(page, &self.memory);
            } else if let Some(made) = self.copier.urgent_frame(page, &self.memory) {
                self.push_urgent(made);
            }
        }
    }
}
