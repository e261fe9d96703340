//! The queue of a server: who is worked on next, and who is thrown out.

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// Who comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Discipline {
    /// First in, first out: fair, and under overload all wait until nobody waits for them any more.
    Fifo,
    /// Last in, first out: under overload the newest are served in time and the oldest never.
    Lifo,
    /// Controlled delay: first in, first out, but while the least wait of an interval stays above the target, requests
    /// are thrown out at a rate that rises as in RFC 8289.
    CoDel {
        /// The wait that is good enough.
        target: Span,
        /// For how long it may be worse.
        interval: Span,
    },
}

/// A queue's options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueueOptions {
    /// How many may wait; more are refused.
    pub limit: u32,
    /// Who comes next.
    pub discipline: Discipline,
    /// Whether a request whose deadline is over is thrown out instead of begun. That needs callers that say how long
    /// they wait.
    pub drop_expired: bool,
}

/// Someone in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    pub job: u32,
    pub since: Instant,
    pub deadline: Option<Instant>,
}

/// What comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// To be worked on.
    Serve(u32),
    /// Thrown out: its deadline is over.
    Expired(u32),
    /// Thrown out: the wait is too long.
    Dropped(u32),
    /// Taken out before, but its place was kept.
    Gone(u32),
}

/// See the module.
pub(crate) struct Queue {
    options: QueueOptions,
    waiting: VecDeque<Waiting>,
    /// How many of them have been taken out.
    gone: usize,
    codel: CoDel,
}

/// The state of RFC 8289, section 5.
#[derive(Default)]
struct CoDel {
    /// When the wait will have been too long for an interval.
    first_above: Option<Instant>,
    dropping: bool,
    drop_next: Instant,
    count: u32,
    last_count: u32,
}

impl Queue {
    pub fn new(options: QueueOptions) -> Queue {
        Queue {
            options,
            waiting: VecDeque::new(),
            gone: 0,
            codel: CoDel::default(),
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len() - self.gone
    }

    /// Takes one in. Whether there was room.
    pub fn push(&mut self, waiting: Waiting) -> bool {
        let room = self.len() < self.options.limit as usize;
        if room {
            self.waiting.push_back(waiting);
        }
        room
    }

    /// Who comes out next; `is_gone` says of whom [`Queue::note_gone`] was told.
    pub fn pop(&mut self, now: Instant, is_gone: impl Fn(u32) -> bool) -> Option<Next> {
        let next = match self.options.discipline {
            Discipline::Fifo | Discipline::CoDel { .. } => self.waiting.pop_front(),
            Discipline::Lifo => self.waiting.pop_back(),
        };
        let Some(next) = next else {
            self.codel.dropping = false;
            self.codel.first_above = None;
            return None;
        };
        if is_gone(next.job) {
            self.gone -= 1;
            return Some(Next::Gone(next.job));
        }
        if self.options.drop_expired && next.deadline.is_some_and(|deadline| deadline <= now) {
            return Some(Next::Expired(next.job));
        }
        if let Discipline::CoDel { target, interval } = self.options.discipline {
            let sojourn = now.saturating_since(next.since);
            if self
                .codel
                .drops(now, sojourn, target, interval, self.waiting.is_empty())
            {
                return Some(Next::Dropped(next.job));
            }
        }
        Some(Next::Serve(next.job))
    }

    /// One in the middle waits no longer. Its place is kept until it comes out, or until most places are such.
    pub fn note_gone(&mut self) {
        self.gone += 1;
    }

    /// Gives up the places of those who are gone, if they are many; answers whose they were.
    pub fn compact(&mut self, is_gone: impl Fn(u32) -> bool) -> Vec<u32> {
        if self.gone < 64 || self.gone * 2 < self.waiting.len() {
            return Vec::new();
        }
        let mut gone = Vec::with_capacity(self.gone);
        self.waiting.retain(|waiting| {
            let stays = !is_gone(waiting.job);
            if !stays {
                gone.push(waiting.job);
            }
            stays
        });
        self.gone = 0;
        gone
    }

    /// Everyone is gone.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.gone = 0;
        self.codel = CoDel::default();
    }
}

impl CoDel {
    /// Whether the one that comes out after waiting so long is thrown out.
    fn drops(&mut self, now: Instant, sojourn: Span, target: Span, interval: Span, last: bool) -> bool {
        let ok_to_drop = if sojourn < target || last {
            self.first_above = None;
            false
        } else {
            let first_above = *self.first_above.get_or_insert(now.saturating_add(interval));
            now >= first_above
        };
        if self.dropping {
            if !ok_to_drop {
                self.dropping = false;
            } else if now >= self.drop_next {
                self.count += 1;
                self.drop_next = control_law(self.drop_next, interval, self.count);
                return true;
            }
            return false;
        }
        if !ok_to_drop {
            return false;
        }
        self.dropping = true;
        // After a short pause it goes on where it was.
        let delta = self.count - self.last_count;
        let recent = now.saturating_since(self.drop_next) < interval.saturating_mul(16);
        self.count = if delta > 1 && recent { delta } else { 1 };
        self.drop_next = control_law(now, interval, self.count);
        self.last_count = self.count;
        true
    }
}

/// The next time to throw one out (RFC 8289, section 5.2: interval / √count).
fn control_law(at: Instant, interval: Span, count: u32) -> Instant {
    let step = interval.as_ns() as f64 / f64::from(count).sqrt();
    at.saturating_add(Span::from_ns(step as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(discipline: Discipline, limit: u32) -> Queue {
        Queue::new(QueueOptions {
            limit,
            discipline,
            drop_expired: true,
        })
    }

    fn waiting(job: u32, since_ms: u64, deadline_ms: Option<u64>) -> Waiting {
        let at = |ms| Instant::ZERO + Span::from_ms(ms);
        Waiting {
            job,
            since: at(since_ms),
            deadline: deadline_ms.map(at),
        }
    }

    #[test]
    fn first_and_last_and_no_room() {
        for (discipline, order) in [(Discipline::Fifo, [0, 1, 2]), (Discipline::Lifo, [2, 1, 0])] {
            let mut queue = queue(discipline, 3);
            for job in 0..3 {
                assert!(queue.push(waiting(job, 0, None)));
            }
            assert!(!queue.push(waiting(3, 0, None)));
            for job in order {
                assert_eq!(queue.pop(Instant::ZERO, |_| false), Some(Next::Serve(job)));
            }
            assert_eq!(queue.pop(Instant::ZERO, |_| false), None);
        }
    }

    #[test]
    fn whoever_is_too_late_is_thrown_out() {
        let mut queue = queue(Discipline::Fifo, 3);
        queue.push(waiting(0, 0, Some(10)));
        queue.push(waiting(1, 0, Some(11)));
        queue.push(waiting(2, 0, None));
        let now = Instant::ZERO + Span::from_ms(10);
        assert_eq!(queue.pop(now, |_| false), Some(Next::Expired(0)));
        assert_eq!(queue.pop(now, |_| false), Some(Next::Serve(1)));
    }

    #[test]
    fn whoever_is_gone_takes_no_room() {
        let mut queue = queue(Discipline::Fifo, 100);
        for job in 0..100 {
            assert!(queue.push(waiting(job, 0, None)));
        }
        let is_gone = |job: u32| job < 80;
        for _ in 0..80 {
            queue.note_gone();
        }
        assert_eq!(queue.len(), 20);
        assert_eq!(queue.pop(Instant::ZERO, is_gone), Some(Next::Gone(0)));
        assert_eq!(queue.compact(is_gone).len(), 79);
        assert_eq!(queue.pop(Instant::ZERO, is_gone), Some(Next::Serve(80)));
        assert_eq!(queue.len(), 19);
    }

    /// A server of one request per ms that is offered `offered` per ms for some seconds: how long those that were served
    /// in the last second waited at most, and how many were thrown out.
    fn overload(discipline: Discipline, offered: u32, seconds: u64) -> (Span, u32) {
        let mut queue = queue(discipline, u32::MAX);
        let (mut longest, mut dropped, mut since) = (Span::ZERO, 0, Vec::new());
        for ms in 0..seconds * 1_000 {
            let now = Instant::ZERO + Span::from_ms(ms);
            for _ in 0..offered {
                queue.push(waiting(since.len() as u32, ms, None));
                since.push(now);
            }
            loop {
                match queue.pop(now, |_| false) {
                    Some(Next::Serve(job)) => {
                        if ms >= (seconds - 1) * 1_000 {
                            longest = longest.max(now - since[job as usize]);
                        }
                        break;
                    }
                    Some(Next::Dropped(_)) => dropped += 1,
                    Some(Next::Expired(_) | Next::Gone(_)) => unreachable!("none has a deadline or is gone"),
                    None => break,
                }
            }
        }
        (longest, dropped)
    }

    #[test]
    fn controlled_delay_keeps_a_standing_queue_short_and_leaves_others_alone() {
        let codel = Discipline::CoDel {
            target: Span::from_ms(5),
            interval: Span::from_ms(100),
        };
        assert_eq!(overload(codel, 1, 20), (Span::ZERO, 0));
        let (fifo, _) = overload(Discipline::Fifo, 2, 60);
        let (controlled, dropped) = overload(codel, 2, 60);
        assert!(fifo > Span::from_s(29), "{fifo}");
        assert!(controlled < fifo / 5, "{controlled} against {fifo}");
        assert!(dropped > 20_000, "{dropped}");
    }
}
