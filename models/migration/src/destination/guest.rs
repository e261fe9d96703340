//! A guest that runs while pages are missing: who waits for which page, for how long, and what the source is asked for.

use std::collections::BTreeSet;

use longhaul_core::time::{Instant, Span};
use longhaul_memory::GuestMemory;

use super::{Destination, DestinationStatistics, State};
use crate::wire::return_path::{MAX_REQUESTS, Record};

/// The processors that wait for pages.
#[derive(Debug)]
pub(super) struct Faults {
    /// For which page each processor waits, and since when.
    waiting: Vec<Option<(u64, Instant)>>,
    /// How long each has waited before.
    waited: Vec<Span>,
    /// Since when all of them wait.
    all_since: Option<Instant>,
    all_waited: Span,
    longest: Span,
    faults: u64,
    requests: u64,
    /// Pages that the source was asked for and that have not come, and those that it will be asked for.
    asked: BTreeSet<u64>,
    to_ask: Vec<u64>,
}

impl Faults {
    pub fn new(vcpus: u32) -> Faults {
        Faults {
            waiting: vec![None; vcpus as usize],
            waited: vec![Span::ZERO; vcpus as usize],
            all_since: None,
            all_waited: Span::ZERO,
            longest: Span::ZERO,
            faults: 0,
            requests: 0,
            asked: BTreeSet::new(),
            to_ask: Vec::new(),
        }
    }

    /// A processor waits for a page.
    fn begin(&mut self, fault: longhaul_memory::Fault) {
        self.faults += 1;
        self.waiting[fault.vcpu as usize] = Some((fault.page, fault.at));
        if self.waiting.iter().all(Option::is_some) {
            self.all_since = Some(fault.at);
        }
        if self.asked.insert(fault.page) {
            self.requests += 1;
            self.to_ask.push(fault.page);
        }
    }

    /// The page has come.
    fn end(&mut self, now: Instant, page: u64) {
        self.asked.remove(&page);
        for (waiting, waited) in self.waiting.iter_mut().zip(&mut self.waited) {
            if let Some((_, since)) = waiting.take_if(|(wanted, _)| *wanted == page) {
                let took = now - since;
                *waited += took;
                self.longest = self.longest.max(took);
                if let Some(all_since) = self.all_since.take() {
                    self.all_waited += now - all_since;
                }
            }
        }
    }

    /// The statistics with what is known here.
    pub fn counted(&self, statistics: &DestinationStatistics) -> DestinationStatistics {
        DestinationStatistics {
            faults: self.faults,
            requests: self.requests,
            postcopy_blocktime: self.all_waited,
            postcopy_vcpu_blocktime: self.waited.clone(),
            longest_fault: self.longest,
            ..statistics.clone()
        }
    }
}

impl<M: GuestMemory> Destination<M> {
    /// Lets the guest run up to now, if it runs here without all of its memory.
    pub(super) fn run_guest(&mut self) {
        if !matches!(self.state, State::Running { .. }) {
            return;
        }
        if let Some(guest) = &mut self.guest {
            let mut faults = Vec::new();
            guest.run(self.now, self.store.missing(), &mut self.written, &mut faults);
            faults.into_iter().for_each(|fault| self.faults.begin(fault));
        }
    }

    /// A page that was missing has come.
    pub(super) fn wake_guest(&mut self, page: u64) {
        if !matches!(self.state, State::Running { .. }) {
            return;
        }
        if let Some(guest) = &mut self.guest
            && guest.page_arrived(self.now, page) > 0
        {
            self.faults.end(self.now, page);
            // Whoever has waited touches the page, and perhaps the next one, at once.
            self.run_guest();
        }
    }

    /// When the guest next touches a missing page.
    pub(super) fn next_fault(&mut self) -> Option<Instant> {
        let runs = matches!(self.state, State::Running { .. }) && !self.store.missing().is_empty();
        let guest = self.guest.as_mut().filter(|_| runs)?;
        guest.next_fault(self.store.missing())
    }

    /// Asks the source for what the guest waits for since the last time; whether there was anything to ask.
    pub(super) fn send_requests(&mut self) -> bool {
        if self.faults.to_ask.is_empty() || self.streams.back().is_none() {
            return false;
        }
        for pages in std::mem::take(&mut self.faults.to_ask).chunks(MAX_REQUESTS) {
            self.send_back(&Record::Requests(pages.to_vec()));
        }
        true
    }

    /// Asks the source again for everything that the guest waits for.
    pub(super) fn ask_again(&mut self) {
        self.faults.to_ask = self.faults.asked.iter().copied().collect();
    }
}
