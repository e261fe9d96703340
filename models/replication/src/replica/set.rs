//! A consistency set at the replica: the newest complete epoch, and what has come of the next.
//!
//! Frames are decoded beside the complete epoch and change nothing of it. Only when the epoch's end has come, every
//! frame of it before, every page is there and the hash of the whole memory is that of the guests at the snapshot, do
//! its pages take their places, all at once. What cannot be used leaves the complete epoch as it is, and the source is
//! asked to send the set as a whole again. After a lost connection what has come stays and is not sent again.

use longhaul_core::time::Instant;
use longhaul_hde::{BodyForm, DecodeError, Decoder, FrameHeader, PAGE_SIZE};

use super::store::{Pages, Staged};
use crate::control::SetState;
use crate::digest::{Fingerprint, MemoryDigest};
use crate::guests::Layout;
use crate::message::Commit;
use crate::{NotPromoted, RejectReason};

/// An epoch in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Complete {
    pub epoch: u64,
    pub snapshot_at: Instant,
    pub fingerprint: Fingerprint,
}

/// A consistency set at the replica.
pub(super) struct Set {
    layout: Layout,
    pub priority: u32,
    base: Pages,
    staging: Pages,
    digest: MemoryDigest,
    complete: Option<Complete>,
    /// The newest attempt, whether it is of no more use, and its frames.
    attempt: u32,
    dead: bool,
    frames: u64,
}

impl Set {
    pub fn new(pages: &[u64], priority: u32) -> Set {
        let layout = Layout::new(pages.iter().copied());
        Set {
            priority,
            base: Pages::new(layout.end()),
            staging: Pages::new(layout.end()),
            digest: MemoryDigest::default(),
            complete: None,
            attempt: 0,
            dead: false,
            frames: 0,
            layout,
        }
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn complete(&self) -> Option<&Complete> {
        self.complete.as_ref()
    }

    /// The content of a page in the newest complete epoch, if it came as real bytes.
    pub fn page(&self, number: u64) -> Option<&[u8; PAGE_SIZE]> {
        self.base.page(number)
    }

    /// Pages that are kept: of the newest complete epoch, and of the next.
    pub fn held_pages(&self) -> (u64, u64) {
        (self.base.count(), self.staging.count())
    }

    /// The attempt under way.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What a source is told.
    pub fn state(&self) -> SetState {
        SetState {
            attempt: self.attempt,
            dead: self.dead,
            frames: self.frames,
            epoch: self.complete.map_or(0, |complete| complete.epoch),
            fingerprint: self
                .complete
                .map_or_else(Fingerprint::default, |complete| complete.fingerprint),
        }
    }

    /// A part of an epoch; returns how many pages are in it, none if the attempt is dead. After an error it is.
    pub fn on_frame(
        &mut self,
        attempt: u32,
        frame: &[u8],
        synthetic_bytes: u64,
    ) -> Result<u64, RejectReason> {
        if !self.follow(attempt) {
            return Ok(0);
        }
        let result = self.install(frame, synthetic_bytes);
        self.die_of(result)
    }

    /// The end of an epoch; returns how many pages it has changed, unless the attempt is dead. After an error it is.
    pub fn on_commit(&mut self, commit: &Commit) -> Result<Option<u64>, RejectReason> {
        if !self.follow(commit.attempt) {
            return Ok(None);
        }
        let result = self.apply(commit).map(Some);
        self.die_of(result)
    }

    /// Reads everything once more before the guests are started from it.
    pub fn verify(&self) -> Result<Complete, NotPromoted> {
        let complete = self.complete.ok_or(NotPromoted::NoEpoch)?;
        if self.base.fingerprint() == complete.fingerprint {
            Ok(complete)
        } else {
            Err(NotPromoted::Mismatch)
        }
    }

    /// Drops what has come of the next epoch.
    pub fn drop_staging(&mut self) {
        self.staging.clear();
        self.dead = true;
    }

    /// Begins a newer attempt; whether this one is under way and of use.
    fn follow(&mut self, attempt: u32) -> bool {
        if attempt > self.attempt {
            self.attempt = attempt;
            self.dead = false;
            self.frames = 0;
            self.staging.clear();
        }
        attempt == self.attempt && !self.dead
    }

    fn die_of<T>(&mut self, result: Result<T, RejectReason>) -> Result<T, RejectReason> {
        if result.is_err() {
            self.drop_staging();
        }
        result
    }

    fn install(&mut self, frame: &[u8], synthetic_bytes: u64) -> Result<u64, RejectReason> {
        let refused = |error: DecodeError| RejectReason::Frame {
            error: error.to_string(),
        };
        let (header, header_len) = FrameHeader::parse(frame).map_err(refused)?;
        if header.sequence != self.frames {
            return Err(RejectReason::Sequence {
                expected: self.frames,
                found: header.sequence,
            });
        }
        let known = |start, count| self.layout.contains_run(start, u64::from(count));
        if let Some(run) = header.runs.iter().find(|run| !known(run.start, run.count)) {
            return Err(RejectReason::NoSuchPage { page: run.end() - 1 });
        }
        if header.form == BodyForm::Synthetic {
            if header_len != frame.len() || u64::from(header.body_len) != synthetic_bytes {
                return Err(RejectReason::Synthetic);
            }
            header
                .pages()
                .for_each(|page| self.staging.install_synthetic(page));
        } else {
            if synthetic_bytes > 0 {
                return Err(RejectReason::Synthetic);
            }
            let mut staged = Staged {
                base: &self.base,
                staging: &mut self.staging,
            };
            // The order of frames is that of their numbers: a source that comes back takes back those that were lost
            // and goes on in the middle, so the chain of its encoder has gaps.
            Decoder::unordered().decode(frame, &mut staged).map_err(refused)?;
        }
        self.frames += 1;
        Ok(header.runs.iter().map(|run| u64::from(run.count)).sum())
    }

    fn apply(&mut self, commit: &Commit) -> Result<u64, RejectReason> {
        let newest = self.complete.map_or(0, |complete| complete.epoch);
        if commit.epoch <= newest {
            return Err(RejectReason::Epoch {
                newest,
                found: commit.epoch,
            });
        }
        if commit.frames != self.frames {
            return Err(RejectReason::Sequence {
                expected: self.frames,
                found: commit.frames,
            });
        }
        // Once all pages have come none goes away.
        let mut missing = self.layout.pages() - self.base.count();
        if missing > 0 {
            missing -= self.staging.count_beside(&self.base);
        }
        match missing {
            0 => {}
            pages => return Err(RejectReason::MissingPages { pages }),
        }
        let before = self.staging.tell(&self.base, &mut self.digest);
        let found = self.digest.fingerprint();
        if found != commit.fingerprint {
            for (page, hash) in before.into_iter().rev() {
                self.digest.set(page, hash);
            }
            return Err(RejectReason::Mismatch {
                expected_pages: commit.fingerprint.pages,
                found_pages: found.pages,
            });
        }
        let pages = self.staging.count();
        self.base.overlay(&mut self.staging);
        self.complete = Some(Complete {
            epoch: commit.epoch,
            snapshot_at: commit.snapshot_at,
            fingerprint: found,
        });
        Ok(pages)
    }
}
