//! The bulkhead: so many calls at once, and so many more that wait.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;

use crate::check::{COUNT_MAX, Check, FieldError};

/// How a bulkhead works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkheadConfig {
    /// How many calls run at once; 1 to 10^6.
    pub permits: u32,
    /// How many more wait, first come, first served; up to 10^6. A call leaves the queue when it starts.
    pub queue: u32,
    /// The longest wait; above zero. Without it calls wait for as long as their own time limits let them.
    pub wait: Option<Span>,
}

impl BulkheadConfig {
    /// Permits and no queue.
    pub const fn semaphore(permits: u32) -> BulkheadConfig {
        BulkheadConfig {
            permits,
            queue: 0,
            wait: None,
        }
    }

    /// Permits, and a queue in which calls wait for at most `wait`.
    pub const fn queued(permits: u32, queue: u32, wait: Span) -> BulkheadConfig {
        BulkheadConfig {
            permits,
            queue,
            wait: Some(wait),
        }
    }

    /// Workers that take from a queue without a time limit of its own.
    pub const fn pool(workers: u32, queue: u32) -> BulkheadConfig {
        BulkheadConfig {
            permits: workers,
            queue,
            wait: None,
        }
    }

    /// # Errors
    /// No permits, a wait of zero or without a queue, and counts beyond sense.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        check.count("permits", self.permits, COUNT_MAX);
        check.at_most("queue", self.queue, COUNT_MAX);
        if let Some(wait) = self.wait {
            check.span("wait", wait);
            if self.queue == 0 {
                check.contradiction("wait", "there is no queue to wait in");
            }
        }
        check.done()
    }
}
