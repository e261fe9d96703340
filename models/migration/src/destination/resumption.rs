//! When the guest runs here, and what the source is told about it.
//!
//! The guest runs here once everything that it needs has come and been checked, and not if the source was ever told that
//! it does not.

use longhaul_core::time::Instant;
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::GuestMemory;

use super::{Destination, Loading, State};
use crate::wire::data::{End, Package};
use crate::wire::pages;
use crate::wire::return_path::{Answer, Record};
use crate::{DestinationEvent, DestinationFailure, GuestState};

impl<M: GuestMemory> Destination<M> {
    /// The last message of pre-copy: everything must be here.
    pub(super) fn on_end(&mut self, end: End) -> Result<(), DestinationFailure> {
        self.check_device_state(end.device_bytes)?;
        self.check_frames(end.frames)?;
        match self.store.missing().count() {
            0 => {}
            pages => return Err(DestinationFailure::MissingPages { pages }),
        }
        let verified_pages = self.verify(&end)?;
        let until = self.now.saturating_add(self.options.resume_time);
        let what = Loading::Whole {
            verified_pages,
            guest: GuestState {
                cpu: end.cpu,
                since: until,
            },
        };
        self.state = State::Loading { until, what };
        Ok(())
    }

    /// What post-copy begins with: all but memory.
    pub(super) fn on_package(&mut self, package: &Package) -> Result<(), DestinationFailure> {
        self.check_device_state(package.device_bytes)?;
        let guest = self.guest.as_mut().ok_or(DestinationFailure::NoGuest)?;
        let restored = guest.restore(self.now, &package.cpu);
        restored.map_err(|error| DestinationFailure::State {
            error: error.to_string(),
        })?;
        self.store.begin_postcopy(self.dirty.clone());
        self.state = State::Loading {
            until: self.now.saturating_add(self.options.resume_time),
            what: Loading::Package,
        };
        Ok(())
    }

    fn check_device_state(&mut self, expected: u64) -> Result<(), DestinationFailure> {
        let found = std::mem::take(&mut self.device_bytes);
        if found == expected {
            Ok(())
        } else {
            Err(DestinationFailure::DeviceState { expected, found })
        }
    }

    fn check_frames(&self, found: u64) -> Result<(), DestinationFailure> {
        let expected = self.sequences.bulk();
        if found == expected {
            Ok(())
        } else {
            Err(DestinationFailure::Sequence { expected, found })
        }
    }

    fn verify(&self, end: &End) -> Result<u64, DestinationFailure> {
        let found = self.store.hash_real_pages();
        if found == end.real {
            Ok(found.pages)
        } else {
            Err(DestinationFailure::Mismatch {
                expected_pages: end.real.pages,
                found_pages: found.pages,
            })
        }
    }

    /// Lets the guest run once its state is loaded; whether it does now.
    pub(super) fn load(&mut self) -> bool {
        let State::Loading { until, what } = &self.state else {
            return false;
        };
        if *until > self.now {
            return false;
        }
        let (now, missing_pages) = (self.now, self.store.missing().count());
        let what = what.clone();
        self.event(DestinationEvent::Resumed {
            at: now,
            missing_pages,
        });
        match what {
            Loading::Whole {
                verified_pages,
                guest,
            } => {
                self.state = State::Completed { since: now };
                let guest = GuestState { since: now, ..guest };
                self.complete(now, verified_pages, guest);
            }
            Loading::Package => {
                self.state = State::Running { since: now };
                if let Some(guest) = &mut self.guest {
                    guest.resume(now);
                }
                self.say_everything_again();
                if let Err(reason) = self.finish_postcopy() {
                    self.refuse(reason);
                }
            }
        }
        true
    }

    /// Ends post-copy if everything has come.
    pub(super) fn finish_postcopy(&mut self) -> Result<(), DestinationFailure> {
        let State::Running { since } = self.state else {
            return Ok(());
        };
        let Some(end) = self.end.take_if(|_| self.store.missing().is_empty()) else {
            return Ok(());
        };
        self.check_frames(end.frames)?;
        let verified_pages = self.verify(&end)?;
        self.run_guest();
        let now = self.now;
        let cpu = self.guest.as_mut().map(|guest| guest.cpu_state(now));
        self.state = State::Completed { since };
        let guest = GuestState {
            cpu: cpu.unwrap_or_default(),
            since: now,
        };
        self.complete(since, verified_pages, guest);
        Ok(())
    }

    fn complete(&mut self, running_since: Instant, verified_pages: u64, guest: GuestState) {
        let statistics = Box::new(self.statistics());
        self.event(DestinationEvent::Arrived {
            verified_pages,
            verified_bytes: verified_pages * PAGE_SIZE as u64,
            guest,
            statistics,
        });
        self.streams
            .answer(&mut self.receiver, Answer::Complete { running_since });
        self.drop_contents();
    }

    /// The source asks whether the guest runs here. If it does not by now, it never will.
    pub(super) fn on_query(&mut self) {
        self.streams.queried = true;
        match self.state {
            State::Receiving => {
                self.state = State::Abandoned;
                self.event(DestinationEvent::Abandoned);
                self.drop_contents();
                self.say_everything_again();
            }
            State::Running { .. } => {
                self.say_everything_again();
                self.event(DestinationEvent::SourceBack {
                    missing_pages: self.store.missing().count(),
                });
            }
            State::Abandoned => self.say_everything_again(),
            // What is being loaded will run, and the source is told then.
            State::Loading { .. } => {}
            State::Completed { since } => {
                let answer = Answer::Complete { running_since: since };
                self.streams.answer(&mut self.receiver, answer);
            }
            State::Refused => self.streams.answer(&mut self.receiver, Answer::Refused),
            State::Lost => self.streams.answer(&mut self.receiver, Answer::Lost),
        }
    }

    /// Says on the stream that leads back what its reader should know by now.
    pub(super) fn say_everything_again(&mut self) {
        match self.state {
            State::Running { since } => {
                self.send_back(&Record::Running { since });
                if self.streams.queried {
                    let received = self.store.received();
                    for number in 0..pages::part_count(received.pages()) {
                        let part = pages::part(&received, number);
                        self.send_back(&Record::Received(part.into()));
                    }
                }
                self.ask_again();
            }
            State::Abandoned => self.send_back(&Record::Abandoned),
            State::Receiving
            | State::Loading { .. }
            | State::Completed { .. }
            | State::Refused
            | State::Lost => {}
        }
    }
}
