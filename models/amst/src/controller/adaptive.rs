//! As many streams as pay.
//!
//! One TCP stream carries at most its window per round trip, and its window is bounded by buffers or, where packets are
//! lost at random, by the loss; several streams carry that much each until the path is full. A stream's own rate does
//! not tell whether it is, for it obeys the same law of loss and round trip either way (Mathis et al. 1997; RFC 9438,
//! section 5). A queue does: frames wait only where the path is full. So the number is found by trying, and the physics
//! says when a try makes sense and what it means.
//!
//! - *Beginning*: while no queue stands, every round trip there are four times as many streams. Where one would do they
//!   fill the path in fewer round trips; where loss cuts every stream short each brings its own slow start.
//! - *Trying*: another number than before is judged once TCP has settled, that is once the congestion windows do not
//!   grow by themselves any more. More are kept if each one added brought at least 5 % of what one brought before: four
//!   times as many are tried where no queue stands and the streams' own limits bind, twice as many where one does.
//!   Fewer are tried where a queue stands, never fewer than the bandwidth-delay product needs by the streams' buffers,
//!   and kept if they bring nearly as much.
//! - *Holding*: what was found is kept, tried again at growing intervals, and at once when what the path carries changes.
//!
//! What the application or the reassembly window limits says nothing about the path, and changes nothing.
//!
//! # Others on the path
//! Where no queue stands nobody waits for anybody, and more streams take nothing from others. Where one stands the path
//! is full, and those who share it share it about equally by connections: then there are at most `contending` streams,
//! or as many as the bandwidth-delay product needs by their buffers. Delay alone does not tell: jitter that keeps frames in
//! order looks like a queue. Where the path is full, fewer streams carry more each; where they do not, they limit
//! themselves, and giving way would give nobody anything.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

use super::monitor::Monitor;

/// What all streams send together in their first round trip.
const FIRST_RATE: BitRate = BitRate::from_bits_per_s(100_000_000);
/// What one of them does, in bytes (RFC 6928).
const INITIAL_WINDOW: u64 = 10 * 1_460;
/// What a stream must bring at least, of what one brought before.
const MARGIN: f64 = 0.05;
/// What fewer streams must bring, of what more brought.
const KEPT: f64 = 0.97;
/// Growth of the windows over three round trips below which they have settled, and shrinkage over all round trips that
/// are compared.
const STILL: (f64, f64) = (0.2, 0.1);
/// Growth of the windows over all round trips that are compared above which fewer streams may yet bring more.
const TAKING_OVER: f64 = 0.02;
/// What fewer streams must bring soon, of what more brought.
const FAILING: f64 = 0.7;
/// Share of the time beyond which the application or the window limits.
const IDLE: f64 = 0.1;
/// A change of goodput that makes it another path.
const CHANGED: f64 = 0.2;
/// How much more each of fewer streams must carry, of what it would if the path were full and nobody else there.
const RELIEF: f64 = 0.25;
/// A share of what each carried before below which the path has changed.
const OTHER_PATH: f64 = 0.5;
/// How much more than fills the path without a queue is left when fewer are tried.
const SPARE: f64 = 1.1;
/// The interval between tries grows from so many round trips, and at least so much time, to so much.
const PAUSE_ROUNDS: u64 = 64;
const LEAST_PAUSE: Span = Span::from_s(5);
const LONGEST_PAUSE: Span = Span::from_s(60);

/// How long TCP is given to settle, and over how long goodput is compared, in looks at the streams.
#[derive(Clone, Copy)]
struct Patience {
    least: u32,
    most: u32,
    compared: usize,
}

/// Where no queue stands, differences are large and time is dear.
const FREE: Patience = Patience {
    least: 6,
    most: 16,
    compared: 4,
};
/// Where one does, they are small.
const FULL: Patience = Patience {
    least: 12,
    most: 32,
    compared: 8,
};

/// A number of streams and what it brought, in bytes per second.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Sample {
    streams: u32,
    goodput: f64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Beginning,
    /// Another number than before, or the first.
    Trying {
        before: Option<Sample>,
        ticks: u32,
    },
    /// What it brings is known once it has settled.
    Holding {
        ticks: u32,
        brings: Option<f64>,
        until: Instant,
    },
}

/// The policy.
#[derive(Debug)]
pub(super) struct Adaptive {
    most: u32,
    /// Most streams where the path is full.
    contending: u32,
    /// A number with which it was.
    full_with: Option<u32>,
    /// The number before there were fewer, and what it had brought.
    fuller: Option<Sample>,
    knows_the_path: bool,
    state: State,
    pause: Span,
}

impl Adaptive {
    pub fn new(most: u32, contending: u32) -> Adaptive {
        Adaptive {
            most,
            contending,
            full_with: None,
            fuller: None,
            knows_the_path: false,
            state: State::Beginning,
            pause: Span::ZERO,
        }
    }

    /// The number of streams to aim at when one has been opened: after the first handshake, as many as send
    /// [`FIRST_RATE`] in their first round trip.
    pub fn on_opened(&mut self, streams: u32, handshake: Span) -> u32 {
        if std::mem::replace(&mut self.knows_the_path, true) {
            return streams;
        }
        let first = FIRST_RATE.bytes_in(handshake) / INITIAL_WINDOW;
        streams.max(first.min(u64::from(self.most)) as u32)
    }

    /// The number of streams to aim at, after another look at them.
    pub fn decide(&mut self, now: Instant, streams: u32, monitor: &Monitor) -> u32 {
        if let Some(other) = self
            .give_way(now, streams, monitor)
            .or_else(|| self.take_back(now, streams, monitor))
        {
            return other;
        }
        match self.state {
            State::Beginning => self.begin(streams, monitor),
            State::Trying { before, ticks } => {
                let ticks = ticks + 1;
                self.state = State::Trying { before, ticks };
                if let Some(before) = before
                    && before.streams > streams
                    && ticks as usize >= 2 * FREE.compared
                    && (monitor.goodput_over(FREE.compared) as f64) < FAILING * before.goodput
                {
                    return self.keep(now, before.streams, monitor);
                }
                match self.patience_once_settled(ticks, before, streams, monitor) {
                    Some(patience) => self.judge(now, before, streams, patience, monitor),
                    None => streams,
                }
            }
            State::Holding { ticks, brings, until } => {
                let ticks = ticks.saturating_add(1);
                let known = || monitor.goodput_over(FULL.compared) as f64;
                let brings = brings.or_else(|| (ticks >= FULL.least).then(known));
                self.state = State::Holding { ticks, brings, until };
                match brings {
                    Some(goodput) => self.hold(now, Sample { streams, goodput }, until, monitor),
                    None => streams,
                }
            }
        }
    }

    /// Where the path stays full, fewer contend for it, until so few are left that others are not kept waiting, or as
    /// few as may contend.
    fn give_way(&mut self, now: Instant, streams: u32, monitor: &Monitor) -> Option<u32> {
        let allowed = self.contending.max(needed(monitor));
        let sure = FULL.least as usize;
        if streams <= allowed
            || self.ticks() < sure
            || monitor.queue_stands(sure) != Some(true)
            || self.gave_nothing(streams, monitor)
        {
            return None;
        }
        self.full_with = Some(streams);
        let goodput = monitor.goodput_over(FULL.compared) as f64;
        self.fuller = self.fuller.or(Some(Sample { streams, goodput }));
        let fewer = self.fewer(streams, monitor).max(allowed);
        Some(self.keep(now, fewer, monitor))
    }

    /// Windows that had grown too wide may hide for long that fewer streams do not fill the path: once no queue stands any
    /// more, it shows.
    fn take_back(&mut self, now: Instant, streams: u32, monitor: &Monitor) -> Option<u32> {
        let fuller = self.fuller.filter(|fuller| fuller.streams > streams)?;
        let sure = FULL.compared;
        let full = self.ticks() < sure
            || monitor.queue_stands(sure) != Some(false) && !self.gave_nothing(streams, monitor);
        let enough = monitor.goodput_over(sure) as f64 >= KEPT * fuller.goodput;
        if full || enough || monitor.idle_share(sure) > IDLE {
            return None;
        }
        // Half of the way: there the path was full.
        let more = streams.midpoint(fuller.streams).max(streams + 1);
        Some(self.keep(now, more, monitor))
    }

    /// Whether streams became fewer and those that are left do not carry more: then they limit themselves, not the path.
    fn gave_nothing(&self, streams: u32, monitor: &Monitor) -> bool {
        self.fuller.is_some_and(|fuller| {
            let each = monitor.goodput_over(FULL.compared) as f64 / f64::from(streams.max(1));
            let before = fuller.goodput / f64::from(fuller.streams);
            let possible = f64::from(fuller.streams) / f64::from(streams.max(1)) - 1.0;
            // If each carries far less, it is another path by now.
            let expected = OTHER_PATH * before..(1.0 + RELIEF * possible) * before;
            fuller.streams > streams && expected.contains(&each)
        })
    }

    /// Looks since the number was changed or kept.
    fn ticks(&self) -> usize {
        match self.state {
            State::Beginning => 0,
            State::Trying { ticks, .. } | State::Holding { ticks, .. } => ticks as usize,
        }
    }

    fn begin(&mut self, streams: u32, monitor: &Monitor) -> u32 {
        if monitor.idle_share(1) > IDLE {
            return streams;
        }
        let free = monitor.queue_stands(1) == Some(false) && monitor.flows_freely() == Some(true);
        let more = streams.saturating_mul(4).min(self.most);
        if free && more > streams {
            return more;
        }
        self.state = State::Trying {
            before: None,
            ticks: 0,
        };
        streams
    }

    /// Whether a number that has been tried for so long can be judged, and over how long.
    fn patience_once_settled(
        &self,
        ticks: u32,
        before: Option<Sample>,
        streams: u32,
        monitor: &Monitor,
    ) -> Option<Patience> {
        let patience = match monitor.queue_stands(FREE.compared) {
            Some(false) => FREE,
            Some(true) | None => FULL,
        };
        let opened = monitor.open() * 10 >= streams * 9;
        let still = monitor.growth(3) < STILL.0 && monitor.growth(patience.compared) > -STILL.1;
        // Those that are left may still be taking over what the others carried.
        let fewer = before.filter(|before| before.streams > streams);
        let goodput = monitor.goodput_over(patience.compared) as f64;
        let taking_over = fewer.is_some_and(|before| goodput < KEPT * before.goodput)
            && monitor.growth(patience.compared) > TAKING_OVER;
        let settled = ticks >= patience.least && opened && still && !taking_over;
        (settled || ticks >= patience.most).then_some(patience)
    }

    fn judge(
        &mut self,
        now: Instant,
        before: Option<Sample>,
        streams: u32,
        patience: Patience,
        monitor: &Monitor,
    ) -> u32 {
        let found = Sample {
            streams,
            goodput: monitor.goodput_over(patience.compared) as f64,
        };
        if monitor.idle_share(patience.compared) > IDLE {
            return self.keep(now, streams, monitor);
        }
        let Some(before) = before else {
            return self.try_another(now, found, monitor);
        };
        let gain = found.goodput / before.goodput.max(1.0) - 1.0;
        if streams > before.streams {
            let added = f64::from(streams - before.streams) / f64::from(before.streams);
            if gain >= MARGIN * added {
                self.pause = Span::ZERO;
                self.fuller = None;
                self.try_more(now, found, monitor)
            } else if streams > 2 * before.streams {
                // Four times as many were too many; twice as many may not be.
                self.try_number(before, before.streams * 2)
            } else {
                self.keep(now, before.streams, monitor)
            }
        } else if found.goodput >= KEPT * before.goodput {
            // What more streams brought stays the measure, or little would be lost again and again.
            let goodput = before.goodput;
            self.fuller = self.fuller.or(Some(before));
            self.try_fewer(now, Sample { streams, goodput }, monitor)
        } else {
            self.keep(now, before.streams, monitor)
        }
    }

    fn hold(&mut self, now: Instant, held: Sample, until: Instant, monitor: &Monitor) -> u32 {
        if monitor.idle_share(FULL.compared) > IDLE {
            return held.streams;
        }
        let found = Sample {
            streams: held.streams,
            goodput: monitor.goodput_over(FULL.compared) as f64,
        };
        let change = found.goodput / held.goodput.max(1.0) - 1.0;
        if change.abs() > CHANGED {
            self.pause = Span::ZERO;
            self.full_with = None;
            self.fuller = None;
            self.try_more(now, found, monitor)
        } else if now >= until {
            self.try_another(now, found, monitor)
        } else {
            held.streams
        }
    }

    /// More if no queue stands, otherwise fewer.
    fn try_another(&mut self, now: Instant, found: Sample, monitor: &Monitor) -> u32 {
        if monitor.queue_stands(FULL.compared) == Some(true) {
            self.try_fewer(now, found, monitor)
        } else {
            self.try_more(now, found, monitor)
        }
    }

    fn try_more(&mut self, now: Instant, found: Sample, monitor: &Monitor) -> u32 {
        let (factor, most) = match monitor.queue_stands(FREE.compared) {
            Some(false) => (4, self.most),
            None => (2, self.most),
            Some(true) => (2, self.most.min(self.contending)),
        };
        let more = found.streams.saturating_mul(factor).min(most);
        let more = match self.full_with {
            Some(full) if self.contending < self.most => more.min((found.streams + full) / 2),
            _ => more,
        };
        if more > found.streams {
            self.try_number(found, more)
        } else {
            // Full it was with these, but perhaps not next time.
            self.full_with = None;
            self.keep(now, found.streams, monitor)
        }
    }

    fn try_fewer(&mut self, now: Instant, found: Sample, monitor: &Monitor) -> u32 {
        let full = monitor.queue_stands(FREE.compared) == Some(true);
        let fewer = self.fewer(found.streams, monitor);
        let fewer = fewer.max(needed(monitor));
        if full && fewer > 0 && fewer < found.streams {
            self.try_number(found, fewer)
        } else {
            self.keep(now, found.streams, monitor)
        }
    }

    /// So many fewer that the windows of those that are left still fill the path: what goes is not more than the queue.
    fn fewer(&self, streams: u32, monitor: &Monitor) -> u32 {
        let kept = SPARE / monitor.inflation(FULL.compared).unwrap_or(1.0);
        let fewer = (f64::from(streams) * kept) as u32;
        fewer.clamp(streams / 2, streams - streams.div_ceil(8))
    }

    fn try_number(&mut self, before: Sample, streams: u32) -> u32 {
        self.state = State::Trying {
            before: Some(before),
            ticks: 0,
        };
        streams
    }

    fn keep(&mut self, now: Instant, streams: u32, monitor: &Monitor) -> u32 {
        let least = monitor.round_trip().saturating_mul(PAUSE_ROUNDS);
        let least = least.max(LEAST_PAUSE);
        let longer = self.pause.saturating_mul(2);
        self.pause = longer.clamp(least, LONGEST_PAUSE.max(least));
        self.state = State::Holding {
            ticks: 0,
            brings: None,
            until: now.saturating_add(self.pause),
        };
        streams
    }
}

/// Streams that the bandwidth-delay product needs by their buffers, whatever their congestion windows.
fn needed(monitor: &Monitor) -> u32 {
    let in_flight = monitor.goodput_over(FULL.compared) as f64 * monitor.shortest_round_trip().as_s_f64();
    let window = monitor.buffer_window().filter(|&window| window > 0);
    window.map_or(1, |window| (in_flight / window as f64) as u32 + 1)
}
