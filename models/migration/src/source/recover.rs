//! What cuts a migration short: the loss of the transport, and somebody who wants the guest to stay.
//!
//! Before the guest may have changed sides, both leave it here. Afterwards it can not be called back; when the transport
//! is lost the migration is paused, and the destination is called again and asked: either the guest runs there, and
//! the rest of its memory follows, or it does not and never will, and goes on here.

use bytes::Bytes;
use longhaul_amst::{Failure, Priority};
use longhaul_memory::GuestMemory;
use longhaul_memory::bitmap::DirtyBitmap;

use super::{Source, State};
use crate::cost::Pipeline;
use crate::wire::data::Message;
use crate::wire::pages;
use crate::{SourceEvent, SourceFailure};

impl<M: GuestMemory> Source<M> {
    /// Somebody wants the guest to stay.
    pub(super) fn cancel(&mut self) {
        match self.state {
            State::Waiting => self.state = State::Cancelled,
            State::Preparing { .. } | State::Setup | State::Active | State::Stopped => {}
            State::Answering | State::Postcopy | State::Paused { .. } | State::Recovering => {
                return self.event(SourceEvent::CancelRefused);
            }
            State::Finishing { .. } | State::Completed | State::Failed | State::Cancelled => return,
        }
        self.stay(State::Cancelled);
        self.event(SourceEvent::Cancelled);
    }

    pub(super) fn on_transport_lost(&mut self, why: Failure, unacknowledged_bytes: u64) {
        match self.state {
            State::Answering | State::Postcopy | State::Recovering => {
                self.interruptions += 1;
                let recover = self.options.recover;
                let again = recover.filter(|recover| self.attempts < recover.attempts);
                self.state = State::Paused {
                    retry: again.map(|recover| self.now.saturating_add(recover.delay)),
                };
                self.received = None;
                self.event(SourceEvent::Paused {
                    why,
                    unacknowledged_bytes,
                });
            }
            State::Paused { .. } => {}
            _ => self.fail(SourceFailure::Transport {
                why,
                unacknowledged_bytes,
            }),
        }
    }

    /// Calls the destination again and asks.
    pub(super) fn call_again(&mut self) {
        self.state = State::Recovering;
        self.attempts += 1;
        self.link.restart(self.now);
        self.link.push_bytes(Message::Query.to_bytes(), Priority::Control);
        self.received = Some((DirtyBitmap::new(self.memory.pages()), 0));
        self.event(SourceEvent::Recovering {
            attempt: self.link.attempt(),
        });
    }

    /// A part of what the destination has. With the last one, the rest follows.
    pub(super) fn on_received_part(&mut self, part: &Bytes) {
        let Some((received, parts)) = &mut self.received else {
            return;
        };
        let first = part.first_chunk().map(|first| u64::from_be_bytes(*first));
        let is_next = first == Some(*parts * pages::PAGES_PER_PART);
        if first == Some(0) && *parts > 0 {
            // All of it again, on a stream that was opened again.
            (*received, *parts) = (DirtyBitmap::new(self.memory.pages()), 0);
        } else if !is_next {
            return;
        }
        if pages::add_part(part, received).is_none() {
            return;
        }
        *parts += 1;
        if *parts == pages::part_count(self.memory.pages())
            && let Some((received, _)) = self.received.take()
        {
            self.go_on(&received);
        }
    }

    fn go_on(&mut self, received: &DirtyBitmap) {
        self.pipeline
            .iter_mut()
            .chain(&mut self.urgent)
            .for_each(Pipeline::clear);
        self.copier.restart(received);
        self.ended = false;
        self.state = State::Postcopy;
        self.event(SourceEvent::Recovered {
            missing_pages: self.copier.remaining_pages(),
        });
    }

    /// The guest does not run at the destination, and never will.
    pub(super) fn on_abandoned(&mut self) {
        if self.times.resumed.is_none() {
            self.fail(SourceFailure::NotResumed);
        }
    }
}
