//! How far a workload has got.

use longhaul_core::record::Progress;
use longhaul_core::time::Instant;

/// Since when a workload runs, and how far it has got.
pub struct Stage {
    /// When it started.
    pub started: Option<Instant>,
    progress: Progress,
}

impl Stage {
    pub(super) const NOT_STARTED: Stage = Stage {
        started: None,
        progress: Progress::NotStarted,
    };

    /// Notes the start, of the first machine if there are several.
    pub fn start(&mut self, now: Instant) {
        self.started.get_or_insert(now);
        // One of its machines may have been killed before.
        if self.progress == Progress::NotStarted {
            self.progress = Progress::Unfinished;
        }
    }

    /// How far it got.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether it has started and not ended.
    pub fn under_way(&self) -> bool {
        self.progress == Progress::Unfinished
    }

    /// Whether it has neither completed nor failed.
    pub fn is_outstanding(&self) -> bool {
        matches!(self.progress, Progress::NotStarted | Progress::Unfinished)
    }

    /// It cannot go on; true if that ended it.
    pub fn fail(&mut self, reason: String) -> bool {
        let first = self.is_outstanding();
        if first {
            self.progress = Progress::Failed(reason);
        }
        first
    }

    /// It ends like this, if it is under way; true if it was.
    pub(super) fn end(&mut self, progress: Progress) -> bool {
        let first = self.under_way();
        if first {
            self.progress = progress;
        }
        first
    }
}
