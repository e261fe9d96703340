//! The account of a stream's arrivals, from which its report is drawn. Its size does not depend on what arrives.

use longhaul_core::time::{Instant, Span};

use crate::histogram::Histogram;
use crate::report::{Delays, Gap, Report};
use crate::window::{Arrival, Window};

/// What has arrived of a stream.
pub struct Arrivals {
    interval: Span,
    /// How many datagrams there are, once the end of the stream is known.
    count: Option<u64>,
    window: Window,
    received: u64,
    duplicates: u64,
    reordered: u64,
    too_late: u64,
    /// When the last new one arrived, and how long after its sending in nanoseconds: below zero if the clocks of
    /// the ends differ.
    last: Option<(Instant, i128)>,
    longest_gap: Option<Gap>,
    /// Sixteen times the jitter, as in RFC 3550, appendix A.8.
    jitter_16: u128,
    delays: Histogram,
    min: Span,
    max: Span,
    sum_ns: u128,
}

impl Arrivals {
    pub fn new(interval: Span) -> Arrivals {
        Arrivals {
            interval,
            count: None,
            window: Window::new(),
            received: 0,
            duplicates: 0,
            reordered: 0,
            too_late: 0,
            last: None,
            longest_gap: None,
            jitter_16: 0,
            delays: Histogram::new(),
            min: Span::MAX,
            max: Span::ZERO,
            sum_ns: 0,
        }
    }

    /// Datagrams that have arrived, each counted once.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many datagrams there are, once the end of the stream is known.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    /// Learns how many datagrams there are. Whether that can be.
    pub fn end(&mut self, count: u64) -> bool {
        let possible = count >= self.window.next() && self.count.is_none_or(|known| known == count);
        if possible {
            self.count = Some(count);
        }
        possible
    }

    /// Takes note of a datagram. Whether it can be of this stream.
    pub fn arrive(&mut self, now: Instant, sequence: u64, sent: Instant) -> bool {
        if self.count.is_some_and(|count| sequence >= count) {
            return false;
        }
        match self.window.arrive(sequence) {
            Arrival::InOrder => {}
            Arrival::Reordered => self.reordered += 1,
            Arrival::Duplicate => {
                self.duplicates += 1;
                return true;
            }
            Arrival::TooLate => {
                self.too_late += 1;
                return true;
            }
        }
        self.received += 1;
        let transit = i128::from(now.as_ns()) - i128::from(sent.as_ns());
        match self.last.replace((now, transit)) {
            None => {
                let missed = self.interval.saturating_mul(sequence);
                let due = now.as_ns().saturating_sub(missed.as_ns());
                self.gap(Instant::from_ns(due), missed);
            }
            Some((before, transit_before)) => {
                self.gap(before, now.saturating_since(before));
                let difference = (transit - transit_before).unsigned_abs();
                self.jitter_16 = self.jitter_16 + difference - ((self.jitter_16 + 8) >> 4);
            }
        }
        let delay = now.saturating_since(sent);
        self.delays.add(delay);
        self.min = self.min.min(delay);
        self.max = self.max.max(delay);
        self.sum_ns += u128::from(delay.as_ns());
        true
    }

    fn gap(&mut self, began: Instant, length: Span) {
        self.longest_gap = longer(self.longest_gap, Gap { began, length }, self.interval);
    }

    /// The report of what is known now.
    pub fn report(&self) -> Report {
        let next = self.window.next();
        let expected = self.count.unwrap_or(next);
        let losses = self.window.losses(expected);
        let longest_gap = match self.last {
            // The gap that the end of the stream is in.
            Some((began, _)) => {
                let length = self.interval.saturating_mul(expected - next + 1);
                longer(self.longest_gap, Gap { began, length }, self.interval)
            }
            None => None,
        };
        Report {
            expected,
            received: self.received,
            lost: expected - self.received,
            loss_bursts: losses.bursts,
            longest_loss_burst: losses.longest,
            duplicates: self.duplicates,
            reordered: self.reordered,
            too_late: self.too_late,
            longest_gap,
            jitter: span(self.jitter_16 >> 4),
            delays: self.delays(),
        }
    }

    fn delays(&self) -> Option<Delays> {
        let percentile = |percent| {
            let (span, above) = self.delays.percentile(percent)?;
            Some((span.min(self.max), above))
        };
        let (p99, above_p99) = percentile(99)?;
        Some(Delays {
            min: self.min,
            mean: span(self.sum_ns / u128::from(self.received)),
            max: self.max,
            p50: percentile(50)?.0,
            p95: percentile(95)?.0,
            p99,
            above_p99,
        })
    }
}

/// The longer of two gaps, the earlier of two that are as long; what is no longer than the interval is none.
fn longer(one: Option<Gap>, other: Gap, interval: Span) -> Option<Gap> {
    let bound = one.map_or(interval, |gap| gap.length);
    if other.length > bound { Some(other) } else { one }
}

fn span(ns: u128) -> Span {
    Span::from_ns(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    /// Datagrams `(sequence, delay in ms)` sent every 20 ms, in the order in which they are given.
    fn arrivals(datagrams: &[(u64, u64)]) -> Arrivals {
        let mut arrivals = Arrivals::new(Span::from_ms(20));
        for (sequence, delay) in datagrams {
            let sent = 20 * sequence;
            assert!(arrivals.arrive(at_ms(sent + delay), *sequence, at_ms(sent)));
        }
        arrivals
    }

    #[test]
    fn jitter_follows_the_recurrence_of_rfc_3550() {
        // 0, 2/16, then 0.125 + (1 - 0.125)/16 = 0.1796875, then 0.1796875 + (2 - 0.1796875)/16 = 0.29345703125 ms.
        let mut series = vec![(0, 10)];
        for (datagram, ns) in [((1, 12), 125_000), ((2, 11), 179_687), ((3, 13), 293_457)] {
            series.push(datagram);
            assert_eq!(arrivals(&series).report().jitter, Span::from_ns(ns));
        }
        // A constant offset of the clocks, even one that makes delays negative, changes nothing.
        let mut offset = Arrivals::new(Span::from_ms(20));
        for (sequence, delay) in series {
            let sent = 20 * sequence;
            offset.arrive(at_ms(sent + delay), sequence, at_ms(sent + 5_000));
        }
        let report = offset.report();
        assert_eq!(report.jitter, Span::from_ns(293_457));
        assert_eq!(report.delays.unwrap().max, Span::ZERO);
    }

    #[test]
    fn what_overtakes_is_in_order_and_what_is_overtaken_is_reordered() {
        let mut arrivals = arrivals(&[(0, 10), (2, 10), (1, 45), (3, 10), (3, 11), (1, 90)]);
        let report = arrivals.report();
        assert_eq!((report.expected, report.received, report.lost), (4, 4, 0));
        assert_eq!((report.reordered, report.duplicates), (1, 2));
        // Duplicates do not count as arrivals in delays.
        assert_eq!(report.delays.unwrap().max, Span::from_ms(45));
        assert_eq!(report.delays.unwrap().mean, Span::from_us(18_750));
        // The end cannot be before what has arrived, and nothing is after the end.
        assert!(!arrivals.end(3));
        assert!(arrivals.end(4) && arrivals.end(4) && !arrivals.end(5));
        assert!(!arrivals.arrive(at_ms(100), 4, at_ms(80)));
        assert_eq!(arrivals.report(), report);
    }

    #[test]
    fn gaps_at_the_begin_in_the_middle_and_at_the_end_are_seen() {
        let gap = |began_ms, length_ms| {
            let (began, length) = (at_ms(began_ms), Span::from_ms(length_ms));
            Some(Gap { began, length })
        };
        // Steady arrivals have none.
        let steady = arrivals(&[(0, 10), (1, 10), (2, 10)]);
        assert_eq!(steady.report().longest_gap, None);
        // The first three are missed from 10 to 70 ms.
        let mut lost = arrivals(&[(3, 10)]);
        assert_eq!(lost.report().longest_gap, gap(10, 60));
        lost.arrive(at_ms(190), 9, at_ms(180));
        assert_eq!(lost.report().longest_gap, gap(70, 120));
        // 10 to 19 are missing at the end, number 20 would be there at 410 ms.
        assert!(lost.end(20));
        let report = lost.report();
        assert_eq!(report.longest_gap, gap(190, 220));
        assert_eq!((report.received, report.lost), (2, 18));
        assert_eq!((report.loss_bursts, report.longest_loss_burst), (3, 10));
    }

    #[test]
    fn of_nothing_nothing_is_known_but_what_is_lost() {
        let mut arrivals = Arrivals::new(Span::from_ms(20));
        assert_eq!(arrivals.report(), Report::default());
        assert!(arrivals.end(50));
        let report = arrivals.report();
        assert_eq!((report.expected, report.lost, report.loss_bursts), (50, 50, 1));
        assert_eq!((report.longest_gap, report.delays), (None, None));
    }
}
