//! The virtual processors of a guest: their clocks, their accesses, and the pages for which they stand still.
//!
//! Every processor has its own time and its own accesses, so one that waits for a page holds up no other. Nothing that
//! a processor does depends on when anybody asks what it has done.

use std::collections::VecDeque;

use longhaul_core::random::Streams;
use longhaul_core::time::Instant;
use longhaul_core::units::Probability;

use crate::access::{Access, Accesses, Merged, Process, ReadOptions};
use crate::bitmap::DirtyBitmap;
use crate::clock::GuestClock;
use crate::locality::WorkingSet;
use crate::{CpuState, Fault, RestoreError};

/// How many accesses ahead a processor is looked at for the next page that is missing.
const LOOK_AHEAD: usize = 1024;

/// Makes the processes of reads, which begin when a guest first runs with pages missing.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    options: ReadOptions,
    set: WorkingSet,
    streams: Streams,
    vm: String,
}

impl Reader {
    pub(crate) fn new(options: ReadOptions, set: &WorkingSet, streams: &Streams, vm: &str) -> Reader {
        Reader {
            options,
            set: set.resized(options.working_set),
            streams: *streams,
            vm: vm.to_owned(),
        }
    }

    /// The reads of a processor from its time `start_ns` on.
    fn process(&self, turn: u32, turns: u32, start_ns: u64) -> Process {
        let purpose = format!("memory reads of processor {turn} from {start_ns}");
        let stream = self.streams.stream(&self.vm, &purpose);
        let options = self.options;
        Process::new(
            options.pages_per_s,
            self.set,
            options.locality,
            (turn, turns),
            false,
            start_ns,
            stream,
        )
    }
}

/// One virtual processor; `W` is what it writes.
#[derive(Clone, Debug)]
struct Vcpu<W> {
    clock: GuestClock,
    writes: W,
    /// What it reads, once that matters.
    reads: Option<Process>,
    /// Accesses drawn and not made yet.
    ahead: VecDeque<Access>,
    /// How many of them, from the front, are known to find their pages.
    clear: usize,
    /// The page for which it stands still.
    waits_for: Option<u64>,
}

impl<W: Accesses> Vcpu<W> {
    fn draw(&mut self) -> Option<Access> {
        if let Some(reads) = &mut self.reads {
            let writes = &mut self.writes;
            return Merged { writes, reads }.take();
        }
        let access = self.writes.peek()?;
        self.writes.advance();
        Some(access)
    }

    /// When it next touches a page, as far as that can be told without drawing.
    fn next_ns(&self) -> Option<u64> {
        if let Some(access) = self.ahead.front() {
            return Some(access.guest_ns);
        }
        let reads = self.reads.as_ref().and_then(Accesses::next_ns);
        self.writes.next_ns().into_iter().chain(reads).min()
    }

    /// The next access, if it is made until `until_ns`.
    fn take(&mut self, until_ns: u64) -> Option<Access> {
        if self.next_ns()? > until_ns {
            return None;
        }
        self.clear = self.clear.saturating_sub(1);
        self.ahead.pop_front().or_else(|| self.draw())
    }

    /// Its own time at which it touches a missing page, or until which it surely touches none.
    fn look_ahead(&mut self, missing: &DirtyBitmap) -> Option<u64> {
        while self.clear < LOOK_AHEAD {
            if self.clear == self.ahead.len() {
                let access = self.draw()?;
                self.ahead.push_back(access);
            }
            let access = self.ahead[self.clear];
            if missing.test(access.page) {
                return Some(access.guest_ns);
            }
            self.clear += 1;
        }
        Some(self.ahead[LOOK_AHEAD - 1].guest_ns)
    }

    /// Makes all accesses up to `now`, or to the first that finds its page missing.
    fn run(&mut self, now: Instant, missing: &DirtyBitmap, mut touch: impl FnMut(Access)) -> Option<Instant> {
        while let Some(at) = self.clock.when(self.next_ns()?).filter(|at| *at <= now) {
            let guest_ns = self.clock.advance(at);
            let access = self.take(guest_ns).expect("an access that is due");
            if missing.test(access.page) {
                self.waits_for = Some(access.page);
                self.ahead.push_front(access);
                self.clock.pause(at);
                return Some(at);
            }
            touch(access);
        }
        None
    }
}

/// All processors of a guest.
#[derive(Clone, Debug)]
pub(crate) struct Vcpus<W> {
    vcpus: Vec<Vcpu<W>>,
    reader: Reader,
    paused: bool,
}

impl<W: Accesses> Vcpus<W> {
    /// Processors that run from the start on, one for each kind of writes.
    pub(crate) fn new(writes: Vec<W>, reader: Reader) -> Vcpus<W> {
        let vcpu = |writes| Vcpu {
            clock: GuestClock::default(),
            writes,
            reads: None,
            ahead: VecDeque::new(),
            clear: 0,
            waits_for: None,
        };
        Vcpus {
            vcpus: writes.into_iter().map(vcpu).collect(),
            reader,
            paused: false,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.vcpus.len() as u32
    }

    /// Makes all accesses up to `now`.
    pub(crate) fn advance(&mut self, now: Instant, mut touch: impl FnMut(Access)) {
        for vcpu in &mut self.vcpus {
            let until_ns = vcpu.clock.advance(now);
            if vcpu.waits_for.is_some() {
                continue;
            }
            while let Some(access) = vcpu.take(until_ns) {
                touch(access);
            }
        }
    }

    /// Stops them all; what they did up to now is done.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.paused = true;
        self.vcpus.iter_mut().for_each(|vcpu| vcpu.clock.pause(now));
    }

    /// Lets those go on that do not wait for a page.
    pub(crate) fn resume(&mut self, now: Instant) {
        self.paused = false;
        let ready = self.vcpus.iter_mut().filter(|vcpu| vcpu.waits_for.is_none());
        ready.for_each(|vcpu| vcpu.clock.resume(now));
    }

    /// See [`GuestClock::set_speed`].
    pub(crate) fn set_speed(&mut self, now: Instant, speed: Probability) {
        let clocks = self.vcpus.iter_mut().map(|vcpu| &mut vcpu.clock);
        clocks.for_each(|clock| clock.set_speed(now, speed));
    }

    /// Where each of them is.
    pub(crate) fn state(&mut self, now: Instant) -> CpuState {
        let clocks = self.vcpus.iter_mut().map(|vcpu| &mut vcpu.clock);
        CpuState {
            vcpu_ns: clocks.map(|clock| clock.advance(now)).collect(),
        }
    }

    /// Takes over a state, with everything written up to then, and stands still.
    pub(crate) fn restore(
        &mut self,
        now: Instant,
        state: &CpuState,
        touch: impl FnMut(Access),
    ) -> Result<(), RestoreError> {
        let (expected, found) = (self.vcpus.len(), state.vcpu_ns.len());
        if expected != found {
            return Err(RestoreError::Processors { expected, found });
        }
        if state.vcpu_ns.iter().any(|guest_ns| *guest_ns > now.as_ns()) {
            return Err(RestoreError::Future);
        }
        self.paused = true;
        for (vcpu, guest_ns) in self.vcpus.iter_mut().zip(&state.vcpu_ns) {
            vcpu.clock.set(now, *guest_ns);
        }
        self.advance(now, touch);
        Ok(())
    }

    /// Makes all accesses up to `now` of those processors that find their pages, and reports the others.
    pub(crate) fn run(
        &mut self,
        now: Instant,
        missing: &DirtyBitmap,
        mut touch: impl FnMut(Access),
        faults: &mut Vec<Fault>,
    ) {
        let first = faults.len();
        self.begin_reading();
        for (vcpu, turn) in self.vcpus.iter_mut().zip(0..) {
            if let Some(at) = vcpu.run(now, missing, &mut touch) {
                let access = vcpu
                    .ahead
                    .front()
                    .expect("the access that found its page missing");
                faults.push(Fault {
                    at,
                    vcpu: turn,
                    page: access.page,
                    write: access.write,
                });
            }
        }
        faults[first..].sort_by_key(|fault| (fault.at, fault.vcpu));
    }

    /// From the state that was taken over on, reads matter.
    fn begin_reading(&mut self) {
        let turns = self.len();
        for (vcpu, turn) in self.vcpus.iter_mut().zip(0..) {
            if vcpu.reads.is_none() {
                let start_ns = vcpu.clock.now_ns();
                vcpu.reads = Some(self.reader.process(turn, turns, start_ns));
            }
        }
    }

    /// When [`Vcpus::run`] next has something to report, or should look again; `None` if never.
    pub(crate) fn look_ahead(&mut self, missing: &DirtyBitmap) -> Option<Instant> {
        self.begin_reading();
        let mut next: Option<Instant> = None;
        for vcpu in &mut self.vcpus {
            if !vcpu.clock.stands_still()
                && let Some(at) = vcpu.look_ahead(missing).and_then(|ns| vcpu.clock.when(ns))
            {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }

    /// A page has come: who waited for it goes on. Says how many that are.
    pub(crate) fn arrived(&mut self, now: Instant, page: u64) -> u32 {
        let mut woken = 0;
        for vcpu in &mut self.vcpus {
            if vcpu.waits_for == Some(page) {
                vcpu.waits_for = None;
                woken += 1;
                if !self.paused {
                    vcpu.clock.resume(now);
                }
            }
        }
        woken
    }

    /// When the next access is made if nobody stops them; `None` if never.
    pub(crate) fn next_access(&self) -> Option<Instant> {
        self.vcpus
            .iter()
            .filter_map(|vcpu| vcpu.clock.when(vcpu.next_ns()?))
            .min()
    }
}
