//! Hierarchical token buckets, as Linux's `htb` runs them, with one level of classes below the root.
//!
//! A class may always send at its rate. Above it, it borrows from the root, up to its ceiling, as long as the
//! root has something left. Classes within their rates go before those that borrow; among either, the
//! smallest priority number goes first, and equals take turns of a quantum each.
//!
//! Tokens are kept in nanoseconds of sending at the bucket's rate, as in the kernel. A class that owes more
//! than a minute of tokens is forgiven the rest there; here it pays in full.

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize};

use super::{Backlog, DropCause, Next, QueueError, QueueLimit, Queued};
use crate::frame::Frame;
use crate::stats::{Count, LinkStats};

/// A set of classes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Htb {
    /// What all classes may send together; usually the link's rate. Classes lend from it.
    pub rate: BitRate,
    /// Bytes that all classes together may send at once.
    pub burst: ByteSize,
    /// The classes, 1 to 256.
    pub classes: Vec<HtbClass>,
    /// Class of packets whose own class is not in the list.
    pub default_class: u8,
}

/// One class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HtbClass {
    /// Its number: packets carry it, see [`Frame::class`].
    pub class: u8,
    /// Guaranteed rate.
    pub rate: BitRate,
    /// Rate that it may reach by borrowing, at least `rate`.
    pub ceil: BitRate,
    /// Bytes that it may send at once after a pause, above its rate.
    pub burst: ByteSize,
    /// Bytes that it may send at once after a pause, above its ceiling.
    pub cburst: ByteSize,
    /// Smaller numbers go first; Linux has 0 to 7.
    pub priority: u8,
    /// Bytes that it may send before an equal's turn.
    pub quantum: u32,
    /// What may wait in it: packets or bytes.
    pub limit: QueueLimit,
}

impl Htb {
    /// Whether the options make sense together.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), QueueError> {
        check(self)
    }
}

impl HtbClass {
    /// A class with `tc`'s defaults: bursts of 1,600 bytes, priority 0, what its rate carries in 100 ms as quantum
    /// (`r2q 10`; between 1,000 and 200,000 bytes), and room for 1,000 packets.
    pub fn new(class: u8, rate: BitRate, ceil: BitRate) -> HtbClass {
        let quantum = (rate.as_bits_per_s() / 8 / 10).clamp(1_000, 200_000);
        HtbClass {
            class,
            rate,
            ceil,
            burst: ByteSize::from_bytes(1_600),
            cburst: ByteSize::from_bytes(1_600),
            priority: 0,
            quantum: quantum as u32,
            limit: QueueLimit::Packets(1_000),
        }
    }
}

/// Tokens of one rate, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: u64,
    depth_ns: i64,
    tokens_ns: i64,
}

impl Bucket {
    fn new(rate: BitRate, burst: ByteSize) -> Bucket {
        let mut bucket = Bucket {
            rate: rate.as_bits_per_s(),
            depth_ns: 0,
            tokens_ns: 0,
        };
        bucket.depth_ns = bucket.price(burst.as_bytes());
        bucket.tokens_ns = bucket.depth_ns;
        bucket
    }

    /// The time that `bytes` take at the rate, rounded down.
    fn price(&self, bytes: u64) -> i64 {
        let ns = u128::from(bytes) * 8_000_000_000 / u128::from(self.rate);
        i64::try_from(ns).unwrap_or(i64::MAX)
    }

    /// The tokens after `idle_ns` more.
    fn after(&self, idle_ns: i64) -> i64 {
        self.tokens_ns.saturating_add(idle_ns).min(self.depth_ns)
    }

    fn take(&mut self, idle_ns: i64, bytes: u32) {
        self.tokens_ns = self.after(idle_ns).saturating_sub(self.price(bytes.into()));
    }
}

#[derive(Clone, Debug)]
struct Class<P> {
    options: HtbClass,
    queue: Backlog<P>,
    rate: Bucket,
    ceil: Bucket,
    /// When the buckets were filled up last.
    filled: Instant,
    /// What is left of its turn, as one within its rate and as a borrower.
    deficit: [i64; 2],
}

/// Whose tokens a class spends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Own = 0,
    Root = 1,
}

impl<P> Class<P> {
    fn idle_ns(&self, now: Instant) -> i64 {
        i64::try_from(now.saturating_since(self.filled).as_ns()).unwrap_or(i64::MAX)
    }

    /// Whether it may send with its own tokens, may borrow, or (with the time it lacks) may not send.
    fn level(&self, now: Instant) -> Result<Level, i64> {
        let idle_ns = self.idle_ns(now);
        let ceil = self.ceil.after(idle_ns);
        if ceil < 0 {
            return Err(ceil.saturating_neg());
        }
        if self.rate.after(idle_ns) >= 0 {
            return Ok(Level::Own);
        }
        Ok(Level::Root)
    }
}

/// The classes at work.
#[derive(Clone, Debug)]
pub(crate) struct HtbQueue<P> {
    classes: Vec<Class<P>>,
    /// By class number: its index.
    index: [u8; 256],
    root: Bucket,
    root_filled: Instant,
    /// Turns among equals: indices, per level; the class whose turn it is comes first.
    turns: [VecDeque<u8>; 2],
    backlog: Count,
}

impl<P: Frame> HtbQueue<P> {
    pub(super) fn new(options: &Htb) -> Result<HtbQueue<P>, QueueError> {
        check(options)?;
        let classes: Vec<Class<P>> = options
            .classes
            .iter()
            .map(|class| Class {
                options: *class,
                queue: Backlog::default(),
                rate: Bucket::new(class.rate, class.burst),
                ceil: Bucket::new(class.ceil, class.cburst),
                filled: Instant::ZERO,
                deficit: [class.quantum.into(); 2],
            })
            .collect();
        let position = |number: u8| options.classes.iter().position(|class| class.class == number);
        let default = position(options.default_class).expect("checked above");
        let mut index = [default as u8; 256];
        for (at, class) in options.classes.iter().enumerate() {
            index[usize::from(class.class)] = at as u8;
        }
        let all = || (0..=255).take(classes.len()).collect();
        Ok(HtbQueue {
            index,
            root: Bucket::new(options.rate, options.burst),
            root_filled: Instant::ZERO,
            turns: [all(), all()],
            backlog: Count::default(),
            classes,
        })
    }

    pub(super) fn enqueue(&mut self, frame: Queued<P>, stats: &mut LinkStats) -> bool {
        let index = self.index[usize::from(frame.class)];
        let class = &mut self.classes[usize::from(index)];
        let held = class.queue.count();
        let room = match class.options.limit {
            QueueLimit::Packets(limit) | QueueLimit::Inside(limit) => held.packets < u64::from(limit),
            QueueLimit::Bytes(limit) => held.bytes + u64::from(frame.frame_bytes) <= limit,
        };
        if room {
            self.backlog.add(frame.frame_bytes);
            class.queue.push(frame);
        } else {
            frame.drop(DropCause::Full, stats);
        }
        room
    }

    pub(super) fn dequeue(&mut self, now: Instant) -> Next<P> {
        if self.backlog.packets == 0 {
            return Next::Empty;
        }
        let root_idle = i64::try_from(now.saturating_since(self.root_filled).as_ns()).unwrap_or(i64::MAX);
        let root_lends = self.root.after(root_idle) >= 0;
        for level in [Level::Own, Level::Root] {
            if level == Level::Root && !root_lends {
                break;
            }
            if let Some(index) = self.choose(level, now) {
                return Next::Frame(self.send(index, level, now, root_idle));
            }
        }
        Next::NotBefore(self.earliest(now, root_idle))
    }

    /// The class whose turn it is at this level: the smallest priority number, then the order of turns.
    fn choose(&self, level: Level, now: Instant) -> Option<u8> {
        let may = |&index: &u8| {
            let class = &self.classes[usize::from(index)];
            !class.queue.is_empty() && class.level(now) == Ok(level)
        };
        let ready = self.turns[level as usize].iter().copied().filter(may);
        ready.min_by_key(|&index| self.classes[usize::from(index)].options.priority)
    }

    fn send(&mut self, index: u8, level: Level, now: Instant, root_idle: i64) -> Queued<P> {
        let class = &mut self.classes[usize::from(index)];
        let frame = class
            .queue
            .pop()
            .expect("only classes that have a frame are chosen");
        let bytes = frame.frame_bytes;
        let idle_ns = class.idle_ns(now);
        class.ceil.take(idle_ns, bytes);
        class
            .rate
            .take(idle_ns, if level == Level::Own { bytes } else { 0 });
        class.filled = now;
        self.root.take(root_idle, bytes);
        self.root_filled = now;
        self.backlog.packets -= 1;
        self.backlog.bytes -= u64::from(bytes);
        let deficit = &mut class.deficit[level as usize];
        *deficit -= i64::from(bytes);
        if *deficit < 0 {
            *deficit += i64::from(class.options.quantum);
            let turns = &mut self.turns[level as usize];
            let place = turns.iter().position(|&turn| turn == index);
            turns.remove(place.expect("every class has its place"));
            turns.push_back(index);
        }
        frame
    }

    /// When the first class that has a frame may send, if nothing else happens.
    fn earliest(&self, now: Instant, root_idle: i64) -> Instant {
        let root_lacks = self.root.after(root_idle).saturating_neg().max(0);
        let waiting = self.classes.iter().filter(|class| !class.queue.is_empty());
        let lacks = waiting.map(|class| match class.level(now) {
            Ok(Level::Own) => 0,
            Ok(Level::Root) => root_lacks.min(class.rate.after(class.idle_ns(now)).saturating_neg()),
            Err(lack) => lack,
        });
        let wait = lacks.min().expect("a frame waits").max(1);
        now.saturating_add(Span::from_ns(wait.unsigned_abs()))
    }

    /// Forgets every frame. Tokens and turns stay, as in `htb_reset`.
    pub(super) fn reset(&mut self) {
        for class in &mut self.classes {
            class.queue = Backlog::default();
        }
        self.backlog = Count::default();
    }

    pub(super) fn backlog(&self) -> Count {
        self.backlog
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Queued<P>> {
        self.classes.iter().flat_map(|class| class.queue.frames())
    }
}

fn check(options: &Htb) -> Result<(), QueueError> {
    let mut known = [false; 256];
    for class in &options.classes {
        let number = class.class;
        if std::mem::replace(&mut known[usize::from(number)], true) {
            return Err(QueueError::Classes);
        }
        if class.rate.as_bits_per_s() == 0 {
            return Err(QueueError::NoRate(number));
        }
        if class.ceil < class.rate {
            return Err(QueueError::CeilBelowRate(number));
        }
        if class.burst.as_bytes() == 0 || class.cburst.as_bytes() == 0 {
            return Err(QueueError::NoBurst(number));
        }
        if class.quantum == 0 {
            return Err(QueueError::NoQuantum(number));
        }
        if matches!(class.limit, QueueLimit::Inside(_)) {
            return Err(QueueError::LimitInside(number));
        }
    }
    if options.classes.is_empty() {
        return Err(QueueError::Classes);
    }
    if !known[usize::from(options.default_class)] {
        return Err(QueueError::NoDefaultClass(options.default_class));
    }
    if options.rate.as_bits_per_s() == 0 || options.burst.as_bytes() == 0 {
        return Err(QueueError::EmptyRoot);
    }
    Ok(())
}
