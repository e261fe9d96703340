//! Whether a path may be used, and whether it may be come back to: hysteresis.
//!
//! A path that carries traffic is left when its score falls below one bound, and come back to only when it has been at
//! or above a higher one for a hold time. A path that goes down is left at once, and its hold time begins when it is
//! up again. If it is lost again within a hold time of having been come back to, its next hold time is twice as long,
//! up to sixteen times, so that a path that flaps slowly does not switch traffic at the rate at which it flaps.
//!
//! A long path never reaches the higher bound however well it does. It can be come back to when it is about as good as
//! it usually was while it carried traffic, if that is less.

use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// Doublings of the hold time.
const STRIKES_MAX: u32 = 4;
/// Over how long a usual score is taken.
const USUAL_OVER: Span = Span::from_s(300);

/// When a path is left, and when it is come back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hysteresis {
    /// A path is left when its monitor score falls below this. Default 50.
    pub leave: u8,
    /// A path can be come back to when its score has been at least this, or no more than `advantage` below what it usually
    /// was while the path was good, but never below `leave`… 0 to 100 and not below `leave`. Default 80.
    pub back: u8,
    /// …for this time. Also the least time between two switches of one kind of traffic to better paths. Default 60 s.
    pub hold: Span,
    /// Traffic on a path that is good moves to another one only if that is better by more than this many points of its
    /// policy's score. Default 5.
    pub advantage: u8,
}

impl Default for Hysteresis {
    fn default() -> Hysteresis {
        Hysteresis {
            leave: 50,
            back: 80,
            hold: Span::from_s(60),
            advantage: 5,
        }
    }
}

/// How far a path is trusted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Standing {
    /// It carries nothing.
    Down,
    /// It is up, but was left, or has not shown yet what it is worth: used only if there is nothing better.
    Probation,
    /// It may be used.
    Good,
}

/// The standing of one path.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Without it, every path that is up is good.
    hysteresis: Option<Hysteresis>,
    standing: Standing,
    /// It has never been good, so there was nothing to leave.
    fresh: bool,
    /// Since when the score has been high enough to come back.
    back_since: Option<Instant>,
    returned_at: Option<Instant>,
    strikes: u32,
    /// The mean score while the path was good, in which older times weigh less and less.
    usual: f64,
    /// The time that it covers.
    usual_for: Span,
    updated_at: Instant,
}

impl Trust {
    /// A path that is down.
    pub fn new(hysteresis: Option<Hysteresis>) -> Trust {
        Trust {
            hysteresis,
            standing: Standing::Down,
            fresh: true,
            back_since: None,
            returned_at: None,
            strikes: 0,
            usual: 0.0,
            usual_for: Span::ZERO,
            updated_at: Instant::ZERO,
        }
    }

    /// The standing.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether the path is good and its score has been high enough to come back for the hold time.
    pub fn is_proven(&self, now: Instant) -> bool {
        let since = self.back_since.zip(self.hysteresis);
        let held = since.is_some_and(|(since, hysteresis)| now.saturating_since(since) >= hysteresis.hold);
        self.standing == Standing::Good && (self.hysteresis.is_none() || held)
    }

    /// The hold time after the strikes so far.
    fn hold(&self, hysteresis: &Hysteresis) -> Span {
        hysteresis.hold.saturating_mul(1 << self.strikes)
    }

    /// Takes note of how the path is now; returns whether its standing has changed.
    pub fn update(&mut self, now: Instant, up: bool, score: f64) -> bool {
        let before = self.standing;
        self.standing = match (up, self.hysteresis) {
            (false, _) => Standing::Down,
            (true, None) => Standing::Good,
            (true, Some(hysteresis)) => self.judge(now, score, &hysteresis),
        };
        if !up {
            self.back_since = None;
        }
        if before == Standing::Good && self.standing == Standing::Good {
            self.remember(now, score);
        }
        self.updated_at = now;
        if before == Standing::Good && self.standing != Standing::Good {
            let hold = self
                .hysteresis
                .map_or(Span::ZERO, |hysteresis| self.hold(&hysteresis));
            let soon = self
                .returned_at
                .take()
                .is_some_and(|at| now.saturating_since(at) < hold);
            self.strikes = if soon {
                (self.strikes + 1).min(STRIKES_MAX)
            } else {
                0
            };
        }
        before != self.standing
    }

    /// The path was good since the last update and has this score.
    fn remember(&mut self, now: Instant, score: f64) {
        let span = now.saturating_since(self.updated_at);
        self.usual_for = (self.usual_for + span).min(USUAL_OVER);
        if span > Span::ZERO {
            let share = span.min(self.usual_for).as_s_f64() / self.usual_for.as_s_f64();
            self.usual += (score - self.usual) * share;
        }
    }

    /// What the score must reach before the path is come back to.
    fn bound(&self, hysteresis: &Hysteresis) -> f64 {
        let back = f64::from(hysteresis.back);
        if self.usual_for == Span::ZERO {
            return back;
        }
        let usual = self.usual - f64::from(hysteresis.advantage);
        back.min(usual).max(f64::from(hysteresis.leave))
    }

    /// The standing of a path that is up.
    fn judge(&mut self, now: Instant, score: f64, hysteresis: &Hysteresis) -> Standing {
        if score < self.bound(hysteresis) {
            self.back_since = None;
        } else if self.back_since.is_none() {
            self.back_since = Some(now);
        }
        let enough = score >= f64::from(hysteresis.leave);
        let held = self
            .back_since
            .is_some_and(|since| now.saturating_since(since) >= self.hold(hysteresis));
        match self.standing {
            Standing::Good if enough => Standing::Good,
            Standing::Good => Standing::Probation,
            _ if self.fresh && enough => {
                self.fresh = false;
                Standing::Good
            }
            _ if held => {
                self.returned_at = Some(now);
                Standing::Good
            }
            _ => Standing::Probation,
        }
    }

    /// When the standing changes by itself.
    pub fn due(&self) -> Option<Instant> {
        let since = self.back_since.filter(|_| self.standing == Standing::Probation);
        let (since, hysteresis) = since.zip(self.hysteresis)?;
        Some(since.saturating_add(self.hold(&hysteresis)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_s(s: u64) -> Instant {
        Instant::ZERO + Span::from_s(s)
    }

    #[test]
    fn a_path_is_left_below_one_bound_and_come_back_to_after_a_hold_above_another() {
        let mut trust = Trust::new(Some(Hysteresis::default()));
        let mut standing = |s, score| {
            trust.update(at_s(s), true, score);
            trust.standing()
        };
        // Nothing is known of it, then it shows that it is good enough.
        assert_eq!(standing(0, 0.0), Standing::Probation);
        assert_eq!(standing(1, 60.0), Standing::Good);
        assert_eq!(standing(100, 100.0), Standing::Good);
        assert_eq!(standing(102, 50.0), Standing::Good);
        assert_eq!(standing(103, 49.9), Standing::Probation);
        // 79.9 is not enough however long; the time above is counted anew after each fall below.
        assert_eq!(standing(200, 79.9), Standing::Probation);
        assert_eq!(standing(210, 80.0), Standing::Probation);
        assert_eq!(standing(260, 79.0), Standing::Probation);
        assert_eq!(standing(261, 80.0), Standing::Probation);
        assert_eq!(standing(320, 90.0), Standing::Probation);
        assert_eq!(standing(321, 90.0), Standing::Good);
        assert_eq!(trust.due(), None);
    }

    #[test]
    fn a_path_that_was_never_better_is_come_back_to_when_it_is_as_good_as_it_was() {
        let mut trust = Trust::new(Some(Hysteresis::default()));
        for s in 0..100 {
            // 62 on average.
            trust.update(at_s(s), true, if s % 2 == 0 { 60.0 } else { 64.0 });
        }
        for s in 100..110 {
            trust.update(at_s(s), false, 30.0);
        }
        let mut standing = |s, score| {
            trust.update(at_s(s), true, score);
            trust.standing()
        };
        assert_eq!(standing(110, 56.0), Standing::Probation);
        assert_eq!(standing(171, 56.0), Standing::Probation);
        assert_eq!(standing(172, 58.0), Standing::Probation);
        assert_eq!(standing(231, 58.0), Standing::Probation);
        assert_eq!(standing(232, 58.0), Standing::Good);
    }

    #[test]
    fn a_path_that_is_lost_soon_after_its_return_is_trusted_later_each_time() {
        let mut trust = Trust::new(Some(Hysteresis::default()));
        trust.update(at_s(0), true, 100.0);
        let (mut now, mut holds) = (at_s(10), Vec::new());
        for _ in 0..7 {
            assert!(trust.update(now, false, 0.0));
            trust.update(now + Span::from_s(1), true, 100.0);
            let due = trust.due().expect("it is on probation");
            holds.push(due.saturating_since(now).as_ns() / 1_000_000_000 - 1);
            trust.update(due, true, 100.0);
            assert_eq!(trust.standing(), Standing::Good);
            now = due + Span::from_s(30);
        }
        assert_eq!(holds, [60, 120, 240, 480, 960, 960, 960]);
        // Once it has lasted, the strikes are forgotten.
        now += Span::from_s(1_000);
        trust.update(now, false, 0.0);
        trust.update(now, true, 100.0);
        assert_eq!(trust.due(), Some(now + Span::from_s(60)));
    }

    #[test]
    fn without_hysteresis_up_is_good() {
        let mut trust = Trust::new(None);
        assert!(trust.update(at_s(0), true, 0.0) && trust.is_proven(at_s(0)));
        assert!(!trust.update(at_s(1), true, 100.0));
        assert!(trust.update(at_s(2), false, 100.0) && trust.standing() == Standing::Down);
    }
}
