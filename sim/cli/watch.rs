//! Many simulated runs as the terminal sees them: how many are done, and an end at the first signal.

use longhaul_scenarios::parallel::Watch;

use crate::interrupt::Interrupt;
use crate::progress::Counter;

/// Shows how many runs are done, and stops at the first signal. Takes its bar off the screen when it goes.
pub struct Watcher<'a> {
    interrupt: &'a Interrupt,
    counter: Counter,
}

impl Watcher<'_> {
    /// Starts to watch; in silence if `quiet`.
    pub fn new(interrupt: &Interrupt, quiet: bool) -> Watcher<'_> {
        Watcher {
            interrupt,
            counter: Counter::new(quiet),
        }
    }
}

impl Watch for Watcher<'_> {
    fn progress(&self, done: u64, all: u64) {
        self.counter.show(done, all);
    }

    fn wants_end(&self) -> bool {
        self.interrupt.requested().is_some()
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        self.counter.clear();
    }
}

/// Processors that this process may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
