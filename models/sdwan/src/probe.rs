//! Active probes of one path: round trips, their spread, loss, and whether the path answers at all.
//!
//! A probe is lost when its answer has not come within the timeout; one that is still on its way is neither answered
//! nor lost. Only round trips are measured: no clock is shared with the other end, so nothing is said of one-way
//! delays. Figures are of a sliding window, by count and by age, except RFC 3550's jitter, which is a running one by
//! definition. A path that has gone dead is probed on, so that its recovery is seen.

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

/// How a path is probed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// From one probe to the next, above zero. Default 1 s.
    pub interval: Span,
    /// A probe that has no answer after this time is lost; above zero. Default 2 s.
    pub timeout: Span,
    /// Answers over which mean and standard deviation are taken, 1 to 100,000. Default 10.
    pub rtt_samples: u32,
    /// Probes, answered or lost, over which loss is taken, 1 to 100,000. The more, the finer the figure, and the longer
    /// an outage weighs on it. Default 60.
    pub loss_samples: u32,
    /// Outcomes older than this count no more; above zero. Default 2 min.
    pub age: Span,
    /// Probes lost in a row after which the path counts as dead, at least 1. Default 3.
    pub down_after: u32,
    /// Probes answered in a row after which it counts as alive again, at least 1. Default 3.
    pub up_after: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            interval: Span::from_s(1),
            timeout: Span::from_s(2),
            rtt_samples: 10,
            loss_samples: 60,
            age: Span::from_s(120),
            down_after: 3,
            up_after: 3,
        }
    }
}

impl Config {
    /// The name of the first field that is out of its range.
    pub fn first_error(&self) -> Option<&'static str> {
        let count = 1..=100_000;
        let rules = [
            (self.interval > Span::ZERO, "the interval of probes"),
            (self.timeout > Span::ZERO, "the timeout of probes"),
            (count.contains(&self.rtt_samples), "the window of round trips"),
            (count.contains(&self.loss_samples), "the window of losses"),
            (self.age > Span::ZERO, "the age of the window"),
            (self.down_after > 0, "the lost probes of a dead path"),
            (self.up_after > 0, "the answers of a live path"),
        ];
        rules
            .into_iter()
            .find_map(|(holds, name)| (!holds).then_some(name))
    }
}

/// What a window says.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// Answers in the window of round trips.
    pub rtt_samples: u32,
    /// Mean round trip; `None` without an answer.
    pub rtt_mean: Option<Span>,
    /// Population standard deviation of the round trips.
    pub rtt_stddev: Option<Span>,
    /// Interarrival jitter as of RFC 3550, 6.4.1, with round trips as transit times, in nanoseconds: of all answers so
    /// far, J += (|D| − J) / 16. `None` without an answer, 0 with one.
    pub jitter_rfc3550_ns: Option<f64>,
    /// Probes in the window of losses.
    pub loss_samples: u32,
    /// Of these, those lost.
    pub lost: u32,
}

impl Statistics {
    /// Share of probes lost; `None` without an outcome.
    pub fn loss(&self) -> Option<Probability> {
        Probability::from_ratio(u64::from(self.lost), u64::from(self.loss_samples))
    }
}

/// The outcomes of the last probes.
#[derive(Clone, Debug)]
pub struct Window {
    rtt_samples: usize,
    loss_samples: usize,
    age: Span,
    /// When each answer came, and the round trip in nanoseconds.
    rtts: VecDeque<(Instant, u64)>,
    /// Sum of the round trips and of their squares.
    sum: u128,
    squares: u128,
    /// When each outcome was known, and whether it is a loss.
    outcomes: VecDeque<(Instant, bool)>,
    lost: u32,
    last_rtt: Option<u64>,
    jitter_ns: f64,
}

impl Window {
    /// An empty window.
    pub fn new(config: &Config) -> Window {
        Window {
            rtt_samples: config.rtt_samples as usize,
            loss_samples: config.loss_samples as usize,
            age: config.age,
            rtts: VecDeque::new(),
            sum: 0,
            squares: 0,
            outcomes: VecDeque::new(),
            lost: 0,
            last_rtt: None,
            jitter_ns: 0.0,
        }
    }

    /// A probe was answered at `now`.
    pub fn answered(&mut self, now: Instant, rtt: Span) {
        // A day and more is no round trip; the bound keeps the squares in range.
        let rtt = rtt.as_ns().min(1 << 50);
        if let Some(last) = self.last_rtt.replace(rtt) {
            self.jitter_ns += (rtt.abs_diff(last) as f64 - self.jitter_ns) / 16.0;
        }
        self.rtts.push_back((now, rtt));
        self.sum += u128::from(rtt);
        self.squares += u128::from(rtt) * u128::from(rtt);
        self.outcomes.push_back((now, false));
        self.forget(now);
    }

    /// A probe was lost: its timeout passed at `now`.
    pub fn lost(&mut self, now: Instant) {
        self.outcomes.push_back((now, true));
        self.lost += 1;
        self.forget(now);
    }

    /// Drops what is too old or too much.
    fn forget(&mut self, now: Instant) {
        while let Some((at, rtt)) = self.rtts.front().copied()
            && (self.rtts.len() > self.rtt_samples || now.saturating_since(at) > self.age)
        {
            self.rtts.pop_front();
            self.sum -= u128::from(rtt);
            self.squares -= u128::from(rtt) * u128::from(rtt);
        }
        while let Some((at, lost)) = self.outcomes.front().copied()
            && (self.outcomes.len() > self.loss_samples || now.saturating_since(at) > self.age)
        {
            self.outcomes.pop_front();
            self.lost -= u32::from(lost);
        }
    }

    /// What the window says at `now`.
    pub fn statistics(&mut self, now: Instant) -> Statistics {
        self.forget(now);
        let count = self.rtts.len() as u128;
        let mean = self.sum.checked_div(count);
        // n·Σx² − (Σx)² is exact; no cancellation as with the mean of squares in doubles.
        let stddev = (count > 0).then(|| (count * self.squares - self.sum * self.sum).isqrt() / count);
        let span = |ns: u128| Span::from_ns(u64::try_from(ns).unwrap_or(u64::MAX));
        Statistics {
            rtt_samples: self.rtts.len() as u32,
            rtt_mean: mean.map(span),
            rtt_stddev: stddev.map(span),
            jitter_rfc3550_ns: self.last_rtt.map(|_| self.jitter_ns),
            loss_samples: self.outcomes.len() as u32,
            lost: self.lost,
        }
    }
}

/// Whether a path answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Liveness {
    /// Too few outcomes yet.
    Unknown,
    /// So many answers in a row as are asked for, and since then not so many losses.
    Alive,
    /// So many losses in a row as are asked for, and since then not so many answers.
    Dead,
}

/// What has happened to probes, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Probes sent.
    pub sent: u64,
    /// Answered in time.
    pub answered: u64,
    /// Not answered in time.
    pub timed_out: u64,
    /// Of these, answered after all.
    pub late: u64,
}

/// The probing end of one path.
#[derive(Clone, Debug)]
pub struct Prober {
    config: Config,
    next_sequence: u64,
    next_at: Instant,
    /// Probes on their way, in the order of sending.
    in_flight: VecDeque<(u64, Instant)>,
    window: Window,
    liveness: Liveness,
    lost_in_row: u32,
    /// The newest probe that was answered, and the one from which on all up to it were: an answer overtakes the
    /// timeouts of the probes before it, so that what is "in a row" goes by their numbers.
    answered: Option<(u64, u64)>,
    counters: Counters,
}

impl Prober {
    /// A prober that sends its first probe at `first`.
    pub fn new(config: Config, first: Instant) -> Prober {
        Prober {
            config,
            next_sequence: 0,
            next_at: first,
            in_flight: VecDeque::new(),
            window: Window::new(&config),
            liveness: Liveness::Unknown,
            lost_in_row: 0,
            answered: None,
            counters: Counters::default(),
        }
    }

    /// Whether the path answers.
    pub fn liveness(&self) -> Liveness {
        self.liveness
    }

    /// Probes lost in a row up to now.
    pub fn lost_in_row(&self) -> u32 {
        self.lost_in_row
    }

    /// What has happened to probes.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What the window says at `now`.
    pub fn statistics(&mut self, now: Instant) -> Statistics {
        self.window.statistics(now)
    }

    /// Counts the probes whose time is up; returns whether there were any.
    pub fn expire(&mut self, now: Instant) -> bool {
        let before = self.counters.timed_out;
        while let Some((sequence, sent)) = self.in_flight.front().copied()
            && sent.saturating_add(self.config.timeout) <= now
        {
            self.in_flight.pop_front();
            self.counters.timed_out += 1;
            self.window.lost(now);
            if self.answered.is_some_and(|(newest, _)| sequence < newest) {
                continue;
            }
            self.lost_in_row = self.lost_in_row.saturating_add(1);
            if self.lost_in_row >= self.config.down_after {
                self.liveness = Liveness::Dead;
            }
        }
        self.counters.timed_out > before
    }

    /// The number of the probe to send now, if one is due.
    pub fn send(&mut self, now: Instant) -> Option<u64> {
        if self.next_at > now {
            return None;
        }
        // A late wake does not make up for the probes that it missed.
        let next = self.next_at + self.config.interval;
        self.next_at = if next > now {
            next
        } else {
            now + self.config.interval
        };
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.in_flight.push_back((sequence, now));
        self.counters.sent += 1;
        Some(sequence)
    }

    /// The answer to a probe came; returns the round trip if it came in time. One that was never sent, or was answered
    /// before, is ignored.
    pub fn answer(&mut self, now: Instant, sequence: u64) -> Option<Span> {
        let place = self
            .in_flight
            .binary_search_by_key(&sequence, |(sequence, _)| *sequence);
        let Some((_, sent)) = place.ok().and_then(|place| self.in_flight.remove(place)) else {
            let oldest = self
                .in_flight
                .front()
                .map_or(self.next_sequence, |(sequence, _)| *sequence);
            self.counters.late +=
                u64::from(sequence < oldest && self.counters.late < self.counters.timed_out);
            return None;
        };
        let rtt = now.saturating_since(sent);
        self.counters.answered += 1;
        self.window.answered(now, rtt);
        self.lost_in_row = 0;
        let (newest, from) = match self.answered {
            Some((newest, from)) if sequence <= newest => (newest, from),
            Some((newest, from)) if sequence == newest + 1 => (sequence, from),
            _ => (sequence, sequence),
        };
        self.answered = Some((newest, from));
        if newest - from + 1 >= u64::from(self.config.up_after) {
            self.liveness = Liveness::Alive;
        }
        Some(rtt)
    }

    /// When something is due next.
    pub fn due(&self) -> Instant {
        let timeout = self
            .in_flight
            .front()
            .map(|(_, sent)| sent.saturating_add(self.config.timeout));
        timeout.map_or(self.next_at, |at| at.min(self.next_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    #[test]
    fn the_textbook_series_has_its_textbook_figures() {
        let mut window = Window::new(&Config::default());
        for rtt in [10, 12, 11, 13] {
            window.answered(at_ms(0), Span::from_ms(rtt));
        }
        for _ in 0..6 {
            window.lost(at_ms(0));
        }
        let statistics = window.statistics(at_ms(0));
        assert_eq!(statistics.rtt_mean, Some(Span::from_us(11_500)));
        assert_eq!(statistics.rtt_stddev.unwrap().as_ns() / 1_000, 1_118);
        assert_eq!(statistics.jitter_rfc3550_ns, Some(293_457.031_25));
        assert_eq!(statistics.loss(), Probability::from_ratio(60, 100));
    }

    #[test]
    fn loss_is_of_the_window_and_of_timeouts_alone() {
        let config = Config {
            loss_samples: 100,
            ..Config::default()
        };
        let mut prober = Prober::new(config, at_ms(0));
        for probe in 0..100 {
            let now = at_ms(probe * 1_000);
            prober.expire(now);
            let sequence = prober.send(now).expect("one is due");
            if probe % 20 != 7 {
                assert_eq!(
                    prober.answer(now + Span::from_ms(5), sequence),
                    Some(Span::from_ms(5))
                );
            }
        }
        let statistics = prober.statistics(at_ms(100_000));
        assert_eq!((statistics.loss_samples, statistics.lost), (100, 5));
        assert_eq!(statistics.loss(), Probability::from_ratio(5, 100));
        // Two more on their way are no losses, and what is too old counts no more.
        prober.send(at_ms(100_000));
        assert_eq!(prober.statistics(at_ms(100_500)).lost, 5);
        assert_eq!(
            prober.statistics(at_ms(300_000)),
            Statistics {
                jitter_rfc3550_ns: Some(0.0),
                ..Statistics::default()
            }
        );
    }

    #[test]
    fn a_path_is_dead_after_so_many_losses_and_alive_after_so_many_answers() {
        let mut prober = Prober::new(Config::default(), at_ms(0));
        let mut history = Vec::new();
        // Answers for 10 s, silence for 30 s, answers again.
        for probe in 0..60 {
            let now = at_ms(probe * 1_000);
            prober.expire(now);
            let sequence = prober.send(now).expect("one is due");
            if !(10..40).contains(&probe) {
                prober.answer(now + Span::from_ms(20), sequence);
            }
            if history.last().map(|(_, liveness)| *liveness) != Some(prober.liveness()) {
                history.push((probe, prober.liveness()));
            }
        }
        // The third loss is known 2 s after the probe at 12 s; the third answer comes with the probe at 42 s.
        let expected = [
            (0, Liveness::Unknown),
            (2, Liveness::Alive),
            (14, Liveness::Dead),
            (42, Liveness::Alive),
        ];
        assert_eq!(history, expected);
    }

    #[test]
    fn every_other_probe_is_no_row_of_answers_and_no_row_of_losses() {
        let mut prober = Prober::new(Config::default(), at_ms(0));
        for probe in 0..40 {
            let now = at_ms(probe * 1_000);
            prober.expire(now);
            let sequence = prober.send(now).expect("one is due");
            if probe % 2 == 0 {
                prober.answer(now + Span::from_ms(20), sequence);
            }
            assert_eq!(prober.liveness(), Liveness::Unknown);
        }
    }

    #[test]
    fn a_late_answer_stays_a_loss_and_a_forged_one_is_ignored() {
        let mut prober = Prober::new(Config::default(), at_ms(0));
        let sequence = prober.send(at_ms(0)).unwrap();
        assert!(prober.expire(at_ms(2_000)));
        assert_eq!(prober.answer(at_ms(2_001), sequence), None);
        assert_eq!(prober.answer(at_ms(2_001), sequence), None);
        assert_eq!(prober.answer(at_ms(2_001), 77), None);
        let counters = prober.counters();
        assert_eq!((counters.timed_out, counters.late, counters.answered), (1, 1, 0));
    }
}
