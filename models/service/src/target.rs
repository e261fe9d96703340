//! The replicas of a service as a caller sees them, and which one gets the next attempt.

use longhaul_core::machine::{PeerId, StreamId};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

use crate::wire::FrameReader;

/// One replica of a service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replica {
    /// The machine.
    pub peer: PeerId,
    /// Where it is.
    pub region: String,
    /// The round trip to there, as far as known beforehand.
    pub distance: Span,
}

/// Which replica gets an attempt, of those that are in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Choice {
    /// The first one; the next only while it is out of use.
    PrimaryFirst,
    /// One after the other.
    RoundRobin,
    /// The least distance.
    Nearest,
    /// The fewest attempts under way, the first of equals.
    LeastOutstanding,
}

/// How connections are opened again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConnectionOptions {
    /// After what time an opening has failed.
    pub connect_timeout: Span,
    /// The pause after the first failure; it doubles with each failure after that. Half of it is drawn, so that callers
    /// do not come back all at once. Attempts in a pause fail at once.
    pub backoff: Span,
    /// The longest pause.
    pub backoff_max: Span,
    /// A connection on which answers are owed and nothing was heard for this long is given up.
    pub silence: Option<Span>,
}

impl Default for ConnectionOptions {
    /// 20 s to connect, pauses from 1 s to 120 s (as gRPC's connection back-off), and silence is borne.
    fn default() -> ConnectionOptions {
        ConnectionOptions {
            connect_timeout: Span::from_s(20),
            backoff: Span::from_s(1),
            backoff_max: Span::from_s(120),
            silence: None,
        }
    }
}

/// Replicas that fail are left out for a while (Envoy's outlier detection).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EjectionOptions {
    /// After so many failures in a row: errors, refusals, timeouts and lost connections.
    pub failures: u32,
    /// For how long the first time, twice as long the second time, and so on.
    pub time: Span,
    /// The longest time.
    pub time_max: Span,
    /// The largest share of the replicas that may be left out, beyond the first one.
    pub share_max: Probability,
}

/// The state of the connection to a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    /// None, and one may be opened at once.
    None,
    Opening {
        stream: StreamId,
        until: Instant,
    },
    Up {
        stream: StreamId,
    },
    /// None until then.
    Pause {
        until: Instant,
    },
}

/// An attempt, by the tag of its call and its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AttemptAt {
    pub tag: u32,
    pub request: u64,
    pub attempt: u32,
}

/// A replica and all that is known of it.
pub(crate) struct Target {
    pub peer: PeerId,
    pub distance: Span,
    pub link: Link,
    pub reader: FrameReader,
    /// Attempts that this replica owes an answer.
    pub open: Vec<AttemptAt>,
    /// Those of them that wait for the connection.
    pub unsent: Vec<AttemptAt>,
    /// Openings that failed in a row.
    failed_openings: u32,
    /// Since when it owes something and nothing was heard.
    pub owes_since: Option<Instant>,
    failures: u32,
    ejections: u32,
    ejected_until: Option<Instant>,
    /// Its health is bad.
    pub down: bool,
    /// The question after its health that is not answered.
    pub asked: Option<u64>,
}

impl Target {
    pub fn new(peer: PeerId, distance: Span) -> Target {
        Target {
            peer,
            distance,
            link: Link::None,
            reader: FrameReader::default(),
            open: Vec::new(),
            unsent: Vec::new(),
            failed_openings: 0,
            owes_since: None,
            failures: 0,
            ejections: 0,
            ejected_until: None,
            down: false,
            asked: None,
        }
    }

    /// Whether attempts should go there.
    pub fn in_use(&self, now: Instant) -> bool {
        let pauses = matches!(self.link, Link::Pause { until } if now < until);
        !self.down && self.ejected_until.is_none() && !pauses
    }

    pub fn is_ejected(&self) -> bool {
        self.ejected_until.is_some()
    }

    pub fn ejected_until(&self) -> Option<Instant> {
        self.ejected_until
    }

    /// An attempt ended. Whether it is one failure too many.
    pub fn note_end(&mut self, ok: bool, options: &EjectionOptions) -> bool {
        if ok {
            self.failures = 0;
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.failures >= options.failures && self.ejected_until.is_none()
    }

    /// Leaves it out; answers for how long.
    pub fn eject(&mut self, now: Instant, options: &EjectionOptions) -> Span {
        self.ejections = self.ejections.saturating_add(1);
        let span = options
            .time
            .saturating_mul(self.ejections.into())
            .min(options.time_max);
        self.ejected_until = Some(now.saturating_add(span));
        self.failures = 0;
        span
    }

    /// Takes it in again if its time is over. Whether it did.
    pub fn forgive(&mut self, now: Instant) -> bool {
        let over = self.ejected_until.is_some_and(|until| now >= until);
        if over {
            self.ejected_until = None;
        }
        over
    }

    /// The connection is lost or did not come about. `draw` is uniform in (0, 1).
    pub fn pause(&mut self, now: Instant, options: &ConnectionOptions, draw: f64) {
        let doublings = self.failed_openings.min(32);
        self.failed_openings += 1;
        let pause = options
            .backoff
            .saturating_mul(1 << doublings)
            .min(options.backoff_max);
        let half = pause.as_ns() / 2;
        let drawn = (half as f64 * draw) as u64;
        let until = now.saturating_add(Span::from_ns(pause.as_ns() - half + drawn.min(half)));
        self.link = Link::Pause { until };
        self.reader = FrameReader::default();
        self.owes_since = None;
    }

    /// The connection has come about.
    pub fn note_up(&mut self, stream: StreamId) {
        self.link = Link::Up { stream };
        self.failed_openings = 0;
        self.reader = FrameReader::default();
    }

    pub fn stream(&self) -> Option<StreamId> {
        match self.link {
            Link::Opening { stream, .. } | Link::Up { stream } => Some(stream),
            Link::None | Link::Pause { .. } => None,
        }
    }
}

/// Which of the candidates gets an attempt; `avoid` only if there is no other. `None` without candidates. If none is in
/// use all are, since a guess is better than nothing (Envoy's panic mode).
pub(crate) fn choose(
    now: Instant,
    targets: &[Target],
    candidates: &[usize],
    choice: Choice,
    turn: &mut u64,
    avoid: Option<usize>,
) -> Option<usize> {
    let preferred = |place: &usize| targets[*place].in_use(now) && avoid != Some(*place);
    let in_use = |place: &usize| targets[*place].in_use(now);
    let all = |_: &usize| true;
    pick(targets, candidates, choice, turn, preferred)
        .or_else(|| pick(targets, candidates, choice, turn, in_use))
        .or_else(|| pick(targets, candidates, choice, turn, all))
}

fn pick(
    targets: &[Target],
    candidates: &[usize],
    choice: Choice,
    turn: &mut u64,
    allowed: impl Fn(&usize) -> bool,
) -> Option<usize> {
    let mut allowed = candidates.iter().copied().filter(|place| allowed(place));
    match choice {
        Choice::PrimaryFirst => allowed.next(),
        Choice::Nearest => allowed.min_by_key(|place| targets[*place].distance),
        Choice::LeastOutstanding => allowed.min_by_key(|place| targets[*place].open.len()),
        Choice::RoundRobin => {
            let allowed: Vec<usize> = allowed.collect();
            let place = turn.checked_rem(allowed.len() as u64)?;
            *turn += 1;
            allowed.get(place as usize).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Vec<Target> {
        [30, 10, 20]
            .map(|ms| Target::new(PeerId(ms), Span::from_ms(ms.into())))
            .into()
    }

    #[test]
    fn each_choice_has_its_own_way() {
        let mut targets = targets();
        let mut turn = 0;
        let mut choose = |targets: &[Target], choice, avoid| {
            choose(Instant::ZERO, targets, &[0, 1, 2], choice, &mut turn, avoid).expect("candidates")
        };
        assert_eq!(choose(&targets, Choice::PrimaryFirst, None), 0);
        assert_eq!(choose(&targets, Choice::PrimaryFirst, Some(0)), 1);
        assert_eq!(choose(&targets, Choice::Nearest, None), 1);
        assert_eq!(choose(&targets, Choice::Nearest, Some(1)), 2);
        let turns: Vec<usize> = (0..4)
            .map(|_| choose(&targets, Choice::RoundRobin, None))
            .collect();
        assert_eq!(turns, [0, 1, 2, 0]);
        let attempt = AttemptAt {
            tag: 0,
            request: 0,
            attempt: 1,
        };
        targets[0].open.push(attempt);
        assert_eq!(choose(&targets, Choice::LeastOutstanding, None), 1);
        // Out of use, and back if nothing else is left.
        targets[0].down = true;
        assert_eq!(choose(&targets, Choice::PrimaryFirst, None), 1);
        targets[1].down = true;
        assert_eq!(choose(&targets, Choice::PrimaryFirst, Some(2)), 2);
        targets[2].down = true;
        assert_eq!(choose(&targets, Choice::PrimaryFirst, None), 0);
    }

    #[test]
    fn replicas_are_left_out_after_failures_in_a_row_for_longer_each_time() {
        let options = EjectionOptions {
            failures: 2,
            time: Span::from_s(30),
            time_max: Span::from_s(50),
            share_max: Probability::ONE,
        };
        let mut target = Target::new(PeerId(0), Span::ZERO);
        let mut now = Instant::ZERO;
        for span in [30, 50, 50] {
            assert!(!target.note_end(false, &options));
            assert!(!target.note_end(true, &options));
            assert!(!target.note_end(false, &options));
            assert!(target.note_end(false, &options));
            assert_eq!(target.eject(now, &options), Span::from_s(span));
            assert!(!target.in_use(now) && !target.forgive(now));
            now += Span::from_s(span);
            assert!(target.forgive(now) && target.in_use(now));
        }
    }

    #[test]
    fn pauses_double_up_to_their_bound() {
        let options = ConnectionOptions {
            backoff_max: Span::from_s(5),
            ..ConnectionOptions::default()
        };
        let mut target = Target::new(PeerId(0), Span::ZERO);
        for (least, most) in [(500, 1_000), (1_000, 2_000), (2_000, 4_000), (2_500, 5_000)] {
            target.pause(Instant::ZERO, &options, 0.5);
            let middle = Span::from_ms((least + most) / 2);
            assert_eq!(
                target.link,
                Link::Pause {
                    until: Instant::ZERO + middle
                }
            );
        }
    }
}
