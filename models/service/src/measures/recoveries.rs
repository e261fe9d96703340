//! What single faults did to goodput: before, at worst, and how long after the fault's end it was back.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use super::{Window, goodput_series, recovered_at};
use crate::record::Series;

/// Intervals before a fault, and intervals that goodput must hold after it.
pub const HELD: u64 = 10;
/// Intervals before a fault without which there is nothing to compare with.
const FEWEST: usize = 3;

/// Goodput is back where it is at least so much of what it was (`baseline`, in requests per second): 95 %, less twice the spread
/// that as many independent requests as are expected in `hold` have by chance, and at least half.
pub fn enough(baseline: f64, hold: Span) -> Probability {
    let expected = baseline * hold.as_s_f64();
    let noise = if expected > 0.0 {
        2.0 / expected.sqrt()
    } else {
        0.0
    };
    let share = (0.95 - noise).max(0.5);
    Probability::from_ratio((share * 1e6) as u64, 1_000_000).expect("a share")
}

/// A fault among others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Its time.
    pub window: Window,
    /// Whether it ended by itself, and not with the run.
    pub repaired: bool,
    /// The latest end of those that began before it.
    pub previous_end: Option<Instant>,
    /// When the next one after its end began.
    pub next: Option<Instant>,
}

/// What a fault did.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Effect {
    /// Mean goodput of the last intervals before, in requests per second.
    pub before: f64,
    /// The least of an interval from the fault's begin to its end, or to the next interval.
    pub worst: f64,
    /// What became of it.
    pub became: Became,
}

/// What became of goodput after a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Became {
    /// It never fell.
    Kept,
    /// Back so long after the end of the fault.
    Back(Span),
    /// Back, before the fault was over.
    BackBefore,
    /// Not back when the next fault began.
    Overtaken,
    /// Not back when the load or the run ended.
    Never,
    /// The fault lasted to the end.
    Lasting,
}

/// What a fault did to the goodput of a series. `load` is the time in which the load is the same. `None` if too little is known
/// of the time before.
pub fn effect(series: &Series, load: Window, fault: &Fault) -> Option<Effect> {
    let length = series.interval;
    let from = fault.previous_end.unwrap_or(load.from).max(load.from);
    let until = fault.window.from.min(load.until);
    let earlier = goodput_series(series, Window { from, until });
    let skipped = earlier.len().saturating_sub(HELD as usize);
    let earlier = &earlier[skipped..];
    let before = earlier.iter().map(|(_, rate)| rate).sum::<f64>() / earlier.len().max(1) as f64;
    if earlier.len() < FEWEST || before == 0.0 {
        return None;
    }
    let share = enough(before, length.saturating_mul(earlier.len() as u64));
    let needed = before * share.as_f64();
    // From the interval in which it began.
    let first = fault.window.from.as_ns() / length.as_ns() * length.as_ns();
    let after = Window {
        from: Instant::from_ns(first).max(load.from),
        until: load.until.min(fault.next.unwrap_or(load.until)),
    };
    let rates = goodput_series(series, after);
    let end = fault.window.until.max(fault.window.from + Span::from_ns(1));
    let during = rates.iter().filter(|(begin, _)| *begin < end);
    let worst = during.map(|(_, rate)| *rate).fold(f64::INFINITY, f64::min);
    let became = match rates.iter().find(|(_, rate)| *rate < needed) {
        None => Became::Kept,
        Some(&(fell, _)) => {
            let hold = length.saturating_mul(HELD);
            match recovered_at(series, fell, after.until, before, share, hold) {
                // In the interval in which it ended nobody can tell what came first.
                Some(back) if back + length > fault.window.until => {
                    Became::Back(back.saturating_since(fault.window.until))
                }
                Some(_) => Became::BackBefore,
                None if !fault.repaired => Became::Lasting,
                None if fault.next.is_some_and(|next| next < load.until) => Became::Overtaken,
                None => Became::Never,
            }
        }
    };
    Some(Effect {
        before,
        worst: if worst.is_finite() { worst } else { before },
        became,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{series, window};
    use super::*;

    /// A series of so many intervals of a second of each goodput.
    fn course(parts: &[(u64, usize)]) -> Series {
        let rates: Vec<u64> = parts
            .iter()
            .flat_map(|&(rate, count)| std::iter::repeat_n(rate, count))
            .collect();
        series(&rates)
    }

    fn fault(from: u64, until: u64) -> Fault {
        Fault {
            window: window(from, until),
            repaired: true,
            previous_end: None,
            next: None,
        }
    }

    fn became(series: &Series, load: u64, fault: &Fault) -> Option<Became> {
        effect(series, window(0, load), fault).map(|effect| effect.became)
    }

    #[test]
    fn goodput_that_comes_back_is_measured_from_the_end_of_the_fault() {
        let course_of = course(&[(1000, 20), (100, 10), (1000, 20)]);
        // Over at 25, back at 30.
        let found = effect(&course_of, window(0, 50), &fault(20, 25)).unwrap();
        assert_eq!((found.before, found.worst), (1000.0, 100.0));
        assert_eq!(found.became, Became::Back(Span::from_s(5)));
        assert_eq!(
            became(&course_of, 50, &fault(20, 30)),
            Some(Became::Back(Span::ZERO))
        );
        // Another way was found while the fault went on.
        assert_eq!(became(&course_of, 50, &fault(20, 45)), Some(Became::BackBefore));
        let spared = course(&[(1000, 50), (0, 20)]);
        assert_eq!(became(&spared, 70, &fault(20, 25)), Some(Became::Never));
        // The same, if nothing more was asked for.
        assert_eq!(became(&spared, 50, &fault(20, 25)), Some(Became::Kept));
    }

    #[test]
    fn goodput_that_does_not_come_back_is_told_with_the_reason() {
        let lost = course(&[(1000, 20), (100, 30)]);
        assert_eq!(became(&lost, 50, &fault(20, 25)), Some(Became::Never));
        let lasting = Fault {
            repaired: false,
            ..fault(20, 50)
        };
        assert_eq!(became(&lost, 50, &lasting), Some(Became::Lasting));
        let at = |s: u64| Some(window(s, s).from);
        let overtaken = Fault {
            next: at(26),
            ..fault(20, 25)
        };
        assert_eq!(became(&lost, 50, &overtaken), Some(Became::Overtaken));
        // The second fault has no time before it to compare with.
        let second = Fault {
            previous_end: at(25),
            ..fault(26, 28)
        };
        assert_eq!(became(&lost, 50, &second), None);
    }

    #[test]
    fn without_a_time_before_nothing_is_said() {
        assert_eq!(became(&course(&[(1000, 20)]), 20, &fault(1, 5)), None);
        assert_eq!(became(&course(&[(0, 20)]), 20, &fault(10, 12)), None);
    }

    #[test]
    fn few_requests_may_vary_by_chance() {
        let near = |found: Probability, share: f64| (found.as_f64() - share).abs() < 2e-6;
        // A hundred expected: 95 % less twice a tenth.
        assert!(near(enough(10.0, Span::from_s(10)), 0.75));
        assert!(near(enough(0.0, Span::from_s(10)), 0.95));
        assert!(near(enough(0.1, Span::from_s(10)), 0.5));
    }
}
