//! The epochs of one consistency set, from the snapshot to the replica's acknowledgement.
//!
//! Copy on write costs nothing here but is accounted for: memory can be read at any version, so a snapshot is the
//! version that each dirty page has then. What a hypervisor would have to keep are the pages that the guests write
//! after the snapshot and before they are sent, and those that wait in a group for their frame to fill.

use std::collections::VecDeque;

use bytes::Bytes;
use longhaul_core::payload::PayloadBuffer;
use longhaul_core::time::{Instant, Span};
use longhaul_frames::{Before, CopyStatistics, PayloadMode, Picker, Sampling};
use longhaul_hde::{EncodeWork, EncoderStats};
use longhaul_memory::GuestMemory;
use serde::{Deserialize, Serialize};

use crate::control::SetState;
use crate::digest::{Fingerprint, MemoryDigest, page_hash};
use crate::guests::{Guests, Snapshot};
use crate::message::{Commit, frame_header};
use crate::{Guest, Policy, ResyncReason, SetGuests, SourceOptions};

/// How often in an epoch the pages kept beside the memory are counted, to find the most there were: each time that
/// such a part of its pages has been picked up for sending.
const COUNTS_PER_EPOCH: u64 = 64;

/// What a source has done for one consistency set so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct SetStatistics {
    /// Snapshots taken.
    pub epochs_started: u64,
    /// Epochs that the replica has acknowledged.
    pub epochs_done: u64,
    /// Epochs that lost their connection.
    pub epochs_interrupted: u64,
    /// Epochs that began later than they were due.
    pub epochs_late: u64,
    /// How often all pages had to be sent again.
    pub resyncs: u64,
    /// Longest time from a snapshot to its acknowledgement.
    pub longest_epoch: Span,
    /// Time that the guests stood still for snapshots.
    pub paused: Span,
    /// Most pages kept beside the memory for one epoch.
    pub kept_pages_max: u64,
    /// Bytes of messages.
    pub message_bytes: u64,
    /// How pages travelled.
    pub copy: CopyStatistics,
    /// The codec's counters.
    pub encoder: EncoderStats,
}

/// An epoch that the replica has, or may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Complete {
    epoch: u64,
    fingerprint: Fingerprint,
}

/// The epoch under way.
struct Epoch {
    number: u64,
    snapshot_at: Instant,
    /// Everything was handed to the transport; this is what the memory was.
    sent: Option<Fingerprint>,
    bytes: u64,
    kept_pages: u64,
    /// Pages of it, and how many may be left when they are counted again.
    pages: u64,
    count_below: u64,
}

/// A frame that the replica is not known to have.
struct Handed {
    sequence: u64,
    before: Vec<Before>,
}

/// Since when the replica is behind, and what was done about it.
struct Behind {
    since: Instant,
    epochs: u64,
    bytes: u64,
}

/// What to hand to the transport.
pub(super) struct Outgoing {
    pub content: PayloadBuffer,
    /// Which frame it is; `None` for the end of an epoch.
    pub frame: Option<FrameName>,
    /// What encoding it takes.
    pub work: EncodeWork,
}

/// A frame of a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameName {
    attempt: u32,
    sequence: u64,
}

/// A snapshot that was taken.
pub(super) struct Started {
    pub epoch: u64,
    pub pages: u64,
    pub late: Span,
}

/// An epoch that the replica has.
pub(super) struct Done {
    pub epoch: u64,
    pub took: Span,
    pub bytes: u64,
    pub kept_pages: u64,
    /// Since when the replica was behind, in how many epochs and bytes it has caught up.
    pub caught_up: Option<(Span, u64, u64)>,
}

/// A consistency set at the source.
pub(super) struct Set<M> {
    number: u32,
    pub priority: u32,
    guests: Guests<M>,
    picker: Picker,
    /// The version of each page at the snapshot; meaningful for pages that are to be sent.
    versions: Vec<u32>,
    /// What the replica has with all frames made so far.
    digest: MemoryDigest,
    attempt: u32,
    handed: VecDeque<Handed>,
    /// Frames that the replica is known to have.
    confirmed: u64,
    epoch: Option<Epoch>,
    complete: Option<Complete>,
    /// An interrupted epoch that was sent as a whole.
    unsure: Option<Complete>,
    next_epoch: u64,
    /// When the next snapshot is due, and when the last one was taken.
    due: Instant,
    last_snapshot: Option<Instant>,
    /// The time between the last two.
    last_interval: Option<Span>,
    /// When the guests go on after a snapshot.
    pause_end: Option<Instant>,
    behind: Option<Behind>,
    policy: Policy,
    rpo_target: Span,
    statistics: SetStatistics,
}

impl<M: GuestMemory> Set<M> {
    pub fn new(number: u32, set: SetGuests<M>, options: &SourceOptions) -> Set<M> {
        let mut sampling = Sampling::default();
        let memories = set.guests.into_iter().map(|Guest { memory, random }| {
            sampling.append(Sampling::new(options.payload, memory.pages(), random));
            memory
        });
        let guests = Guests::new(memories.collect());
        let pages = guests.layout().end();
        Set {
            number,
            priority: set.priority,
            picker: Picker::new(pages, sampling, options.encoding),
            versions: vec![0; usize::try_from(pages).expect("pages that fit the address space")],
            guests,
            digest: MemoryDigest::default(),
            attempt: 1,
            handed: VecDeque::new(),
            confirmed: 0,
            epoch: None,
            complete: None,
            unsure: None,
            next_epoch: 1,
            due: Instant::ZERO,
            last_snapshot: None,
            last_interval: None,
            pause_end: None,
            behind: None,
            policy: options.policy,
            rpo_target: options.rpo_target,
            statistics: SetStatistics::default(),
        }
    }

    pub fn memories(&self) -> impl Iterator<Item = &M> {
        self.guests.memories()
    }

    /// How many pages the guests have.
    pub fn pages(&self) -> u64 {
        self.guests.layout().pages()
    }

    /// Pages that the replica lacks or may lack, those written since the last snapshot included.
    pub fn backlog_pages(&self) -> u64 {
        let handed: usize = self.handed.iter().map(|handed| handed.before.len()).sum();
        self.picker.remaining_pages() + handed as u64 + self.guests.written()
    }

    pub fn statistics(&self) -> SetStatistics {
        SetStatistics {
            copy: *self.picker.maker().statistics(),
            encoder: *self.picker.maker().encoder_stats(),
            ..self.statistics
        }
    }

    /// Whether the replica has a complete epoch.
    pub fn is_protected(&self) -> bool {
        self.complete.is_some()
    }

    /// Marks every page as missing at the replica.
    pub fn start(&mut self, now: Instant, payload: PayloadMode) {
        self.guests.advance(now);
        self.guests.move_written(self.picker.dirty_mut());
        self.mark_all();
        if let PayloadMode::Sampled { .. } = payload {
            self.remember_versions();
            let view = Snapshot {
                guests: &self.guests,
                versions: &self.versions,
            };
            self.picker
                .sampling_mut()
                .cover_classes(&view, self.guests.layout().numbers());
        }
        self.due = now;
    }

    /// When the next snapshot is due; `None` while an epoch is under way, or the guests stand still for one.
    pub fn next_snapshot(&self) -> Option<Instant> {
        (self.epoch.is_none() && self.pause_end.is_none()).then_some(self.due)
    }

    /// Takes a snapshot. The guests stand still for `pause` from now on.
    pub fn take_snapshot(&mut self, now: Instant, pause: Span) -> Started {
        if pause > Span::ZERO {
            self.guests.pause(now);
            self.pause_end = Some(now.saturating_add(pause));
        } else {
            self.guests.advance(now);
        }
        self.guests.move_written(self.picker.dirty_mut());
        self.remember_versions();
        let number = self.next_epoch;
        self.next_epoch += 1;
        self.last_interval = self.last_snapshot.replace(now).map(|before| now - before);
        self.epoch = Some(Epoch {
            number,
            snapshot_at: now,
            sent: None,
            bytes: 0,
            kept_pages: 0,
            pages: self.picker.dirty().count(),
            count_below: u64::MAX,
        });
        let late = now.saturating_since(self.due);
        self.statistics.epochs_started += 1;
        self.statistics.epochs_late += u64::from(late > Span::ZERO);
        self.statistics.paused += pause;
        Started {
            epoch: number,
            pages: self.picker.remaining_pages(),
            late,
        }
    }

    /// When the guests go on after a snapshot.
    pub fn pause_end(&self) -> Option<Instant> {
        self.pause_end
    }

    /// The pause for a snapshot is over; the guests go on at that time unless they stand still for another reason.
    pub fn end_pause(&mut self, stopped: bool) {
        if let Some(end) = self.pause_end.take()
            && !stopped
        {
            self.guests.resume(end);
        }
    }

    /// The guests stop at `at`, which may have passed, but not before their last write was looked at.
    pub fn stop_guests(&mut self, at: Instant) {
        self.guests.pause(at);
    }

    /// The guests go on, unless a snapshot has just been taken.
    pub fn resume_guests(&mut self, now: Instant) {
        if self.pause_end.is_none() {
            self.guests.resume(now);
        }
    }

    /// Whether there is something to hand to the transport.
    pub fn has_message(&self) -> bool {
        self.epoch.as_ref().is_some_and(|epoch| epoch.sent.is_none())
    }

    /// The next message of the epoch under way.
    ///
    /// # Panics
    /// If there is none.
    pub fn next_message(&mut self, now: Instant) -> Outgoing {
        self.count_kept(now);
        let view = Snapshot {
            guests: &self.guests,
            versions: &self.versions,
        };
        let digest = &mut self.digest;
        let mut seen = |page, content: &_| {
            digest.set(page, Some(page_hash(content)));
        };
        let epoch = self.epoch.as_mut().filter(|epoch| epoch.sent.is_none());
        let epoch = epoch.expect("an epoch that is not sent yet");
        let mut content = PayloadBuffer::default();
        let (mut name, mut work) = (None, EncodeWork::default());
        if let Some(mut frame) = self.picker.next_frame(&view, &mut seen) {
            content.push(Bytes::copy_from_slice(&frame_header(self.number, self.attempt)).into());
            while let Some(piece) = frame.content.pop(u64::MAX) {
                content.push(piece);
            }
            work = frame.work;
            name = Some(FrameName {
                attempt: self.attempt,
                sequence: frame.sequence,
            });
            self.handed.push_back(Handed {
                sequence: frame.sequence,
                before: frame.before,
            });
        } else {
            let fingerprint = self.digest.fingerprint();
            let commit = Commit {
                set: self.number,
                attempt: self.attempt,
                epoch: epoch.number,
                snapshot_at: epoch.snapshot_at,
                frames: self.picker.maker().next_sequence(),
                fingerprint,
            };
            content.push(Bytes::copy_from_slice(&commit.to_bytes()).into());
            epoch.sent = Some(fingerprint);
        }
        epoch.bytes += content.len();
        self.statistics.message_bytes += content.len();
        Outgoing {
            content,
            frame: name,
            work,
        }
    }

    /// The replica has all frames up to this one.
    pub fn confirm(&mut self, frame: FrameName) {
        if frame.attempt != self.attempt {
            return;
        }
        while self
            .handed
            .front()
            .is_some_and(|handed| handed.sequence <= frame.sequence)
        {
            self.handed.pop_front();
            self.confirmed += 1;
        }
    }

    /// The replica says that it has an epoch in place; `None` if that cannot be.
    pub fn on_applied(&mut self, now: Instant, number: u64) -> Option<Done> {
        let epoch = self
            .epoch
            .take_if(|epoch| epoch.number == number && epoch.sent.is_some())?;
        let fingerprint = epoch.sent.expect("just looked");
        self.complete = Some(Complete {
            epoch: number,
            fingerprint,
        });
        self.confirmed += self.handed.len() as u64;
        self.handed.clear();
        let took = now - epoch.snapshot_at;
        self.due = self.next_due(now, epoch.snapshot_at);
        self.statistics.epochs_done += 1;
        self.statistics.longest_epoch = self.statistics.longest_epoch.max(took);
        Some(Done {
            epoch: number,
            took,
            bytes: epoch.bytes,
            kept_pages: epoch.kept_pages,
            caught_up: self.catch_up(now, took, epoch.bytes),
        })
    }

    /// The connection is lost; returns the epoch under way.
    pub fn interrupt(&mut self, now: Instant) -> Option<u64> {
        let epoch = self.epoch.take()?;
        self.picker.recall();
        self.unsure = epoch.sent.map(|fingerprint| Complete {
            epoch: epoch.number,
            fingerprint,
        });
        self.due = now;
        self.statistics.epochs_interrupted += 1;
        Some(epoch.number)
    }

    /// Connected again: goes on from what the replica has. An error says why it cannot, and everything is to be sent
    /// again.
    pub fn reconcile(&mut self, now: Instant, there: &SetState) -> Result<(), ResyncReason> {
        self.behind.get_or_insert(Behind {
            since: now,
            epochs: 0,
            bytes: 0,
        });
        match self.agree(there) {
            Ok(frames) => {
                while let Some(handed) = self.handed.pop_back_if(|handed| handed.sequence >= frames) {
                    self.picker.take_back(handed.sequence, &handed.before);
                }
                self.confirmed = frames;
                self.handed.clear();
                Ok(())
            }
            Err(reason) => {
                // Above both what we know and what the replica has seen.
                self.attempt = self.attempt.max(there.attempt);
                self.next_epoch = self.next_epoch.max(there.epoch.saturating_add(1));
                self.complete = (there.epoch > 0).then_some(Complete {
                    epoch: there.epoch,
                    fingerprint: there.fingerprint,
                });
                self.resync(now);
                Err(reason)
            }
        }
    }

    /// How many frames of the attempt the replica has, if both sides agree on the rest.
    fn agree(&mut self, there: &SetState) -> Result<u64, ResyncReason> {
        let unsure = self.unsure.take();
        if let Some(unsure) = unsure.filter(|unsure| unsure.epoch == there.epoch) {
            // Complete, and only the word of it was lost.
            self.complete = Some(unsure);
            self.statistics.epochs_interrupted -= 1;
            self.statistics.epochs_done += 1;
        }
        if there.epoch != self.complete.map_or(0, |complete| complete.epoch) {
            return Err(ResyncReason::Epoch);
        }
        if self
            .complete
            .is_some_and(|complete| complete.fingerprint != there.fingerprint)
        {
            return Err(ResyncReason::Fingerprint);
        }
        if there.dead && there.attempt == self.attempt {
            return Err(ResyncReason::Rejected);
        }
        // Of this attempt nothing may have arrived yet; then the replica speaks of the one before.
        let frames = if there.attempt == self.attempt {
            there.frames
        } else {
            0
        };
        let possible = self.confirmed..=self.picker.maker().next_sequence();
        if there.attempt > self.attempt || !possible.contains(&frames) {
            return Err(ResyncReason::Frames);
        }
        Ok(frames)
    }

    /// What the replica got of this attempt is of no use to it; says whether that can be.
    pub fn on_rejected(&mut self, now: Instant, attempt: u32) -> bool {
        if attempt != self.attempt {
            // An older one, which has been given up already.
            return attempt < self.attempt;
        }
        self.resync(now);
        true
    }

    /// Begins another attempt, with every page.
    fn resync(&mut self, now: Instant) {
        if self.epoch.take().is_some() {
            self.statistics.epochs_interrupted += 1;
        }
        self.unsure = None;
        self.picker.start_over();
        self.handed.clear();
        self.confirmed = 0;
        self.digest = MemoryDigest::default();
        self.attempt = self.attempt.checked_add(1).expect("attempts by the billion");
        self.mark_all();
        self.due = now;
        self.behind = Some(Behind {
            since: now,
            epochs: 0,
            bytes: 0,
        });
        self.statistics.resyncs += 1;
    }

    fn mark_all(&mut self) {
        for &(base, pages) in self.guests.layout().parts() {
            let dirty = self.picker.dirty_mut();
            (base..base + pages).for_each(|page| {
                dirty.set(page);
            });
        }
    }

    /// Notes the versions of the pages that are to be sent.
    fn remember_versions(&mut self) {
        let mut from = 0;
        while let Some(page) = self.picker.dirty().next(from) {
            let version = self.guests.version(page);
            // Memory of pages that stay at version 0 is not touched.
            if self.versions[page as usize] != version {
                self.versions[page as usize] = version;
            }
            from = page + 1;
        }
    }

    fn count_kept(&mut self, now: Instant) {
        let left = self.picker.dirty().count();
        let Some(epoch) = self.epoch.as_mut().filter(|epoch| left <= epoch.count_below) else {
            return;
        };
        self.guests.advance(now);
        let kept = self.guests.written_among(self.picker.dirty()) + self.picker.grouped_pages();
        epoch.kept_pages = epoch.kept_pages.max(kept);
        epoch.count_below = left.saturating_sub(epoch.pages / COUNTS_PER_EPOCH + 1);
        self.statistics.kept_pages_max = self.statistics.kept_pages_max.max(kept);
    }

    /// When the next snapshot is due, once the epoch of the snapshot before is done.
    fn next_due(&self, now: Instant, snapshot_at: Instant) -> Instant {
        match self.policy {
            Policy::Interval(interval) => snapshot_at.saturating_add(interval),
            Policy::Continuous { least } => now.max(snapshot_at.saturating_add(least)),
            Policy::Adaptive { least, most } => {
                let interval = self.last_interval.unwrap_or(least);
                let next = adapted_interval(interval, now - snapshot_at, self.rpo_target);
                now.max(snapshot_at.saturating_add(next.clamp(least, most)))
            }
        }
    }

    fn catch_up(&mut self, now: Instant, took: Span, bytes: u64) -> Option<(Span, u64, u64)> {
        let behind = self.behind.as_mut()?;
        behind.epochs += 1;
        behind.bytes += bytes;
        // If the next epoch takes as long, the age at its end is within the target.
        let keeps = took.saturating_add(self.policy.least_interval()) <= self.rpo_target;
        let behind = if keeps { self.behind.take()? } else { return None };
        Some((now - behind.since, behind.epochs, behind.bytes))
    }
}

/// The interval after one in which an epoch took this long. The age at the end of an epoch is interval and epoch
/// together; if the epoch grows in proportion to the interval, both make up nine tenths of the target. It settles
/// there also if it does not grow: then the interval is what the epoch leaves of them.
fn adapted_interval(interval: Span, took: Span, target: Span) -> Span {
    let goal = u128::from(target.as_ns()) * 9 / 10;
    let both = u128::from(interval.as_ns()) + u128::from(took.as_ns());
    let next = (goal * u128::from(interval.as_ns())).checked_div(both);
    Span::from_ns(next.map_or(0, |ns| u64::try_from(ns).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapted_interval_and_its_epoch_make_up_nine_tenths_of_the_target() {
        let s = Span::from_s;
        // An epoch that takes a quarter of its interval: at once.
        assert_eq!(adapted_interval(s(8), s(2), s(100)), s(72));
        // One that takes 10 s whatever the interval: after some rounds.
        let mut interval = s(1);
        for _ in 0..100 {
            interval = adapted_interval(interval, s(10), s(100));
        }
        assert!((s(79)..=s(80)).contains(&interval), "{interval:?}");
        assert_eq!(adapted_interval(Span::ZERO, Span::ZERO, s(1)), Span::ZERO);
    }
}
