//! What the clients of a cluster do: updates of its state and commands to the log, at random times at given mean rates,
//! whatever has become of the earlier ones.

use bytes::Bytes;
use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::Key;
use crate::outbox::Priority;

/// Values change in pieces of this many bytes, or of a sixteenth of the value if that is less.
pub const BLOCK_BYTES: usize = 4_096;

/// What text in values looks like.
const TEXT: &[u8] = b"{\"state\":\"running\",\"host\":\"node-17\",\"zone\":\"a\",\"cpu\":4,\"mem\":8192,";

/// What clients do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkloadOptions {
    /// How long updates and commands go on.
    pub duration: Span,
    /// Updates of the state, if there are any.
    pub updates: Option<UpdateOptions>,
    /// Commands to the log, if there are any.
    pub commands: Option<CommandOptions>,
}

/// Updates of the state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateOptions {
    /// Mean time between two updates.
    pub every: Span,
    /// How many keys there are.
    pub keys: u32,
    /// Whether all clusters write the same keys; otherwise each has its own.
    pub shared: bool,
    /// Bytes of a value.
    pub value_bytes: u32,
    /// What share of its blocks an update changes; at least one.
    pub changed: Probability,
    /// What share of the keys is hot.
    pub hot_keys: Probability,
    /// What share of the updates goes to hot keys.
    pub hot_updates: Probability,
    /// What share of the updates removes the key.
    pub removals: Probability,
    /// What goes first of these.
    pub priority: Priority,
}

/// Commands to the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandOptions {
    /// Mean time between two of them.
    pub every: Span,
    /// Bytes of a value.
    pub value_bytes: u32,
    /// How many names there are.
    pub names: u32,
    /// What share of them are reads.
    pub reads: Probability,
}

/// Something that a client does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// It changes a value.
    Update {
        /// Of which key.
        key: Key,
        /// What share of its blocks.
        changed: Probability,
        /// Bytes of a value that is not there yet.
        value_bytes: u32,
        /// Its priority.
        priority: Priority,
    },
    /// It removes a key.
    Remove {
        /// Which one.
        key: Key,
        /// Its priority.
        priority: Priority,
    },
    /// It sets a value in the registry.
    Propose {
        /// Of which name.
        name: String,
        /// The value.
        value: Bytes,
    },
    /// It reads from the registry.
    Read {
        /// Which name.
        name: String,
    },
}

/// The clients of one cluster.
#[derive(Clone, Debug)]
pub struct Workload {
    options: WorkloadOptions,
    cluster: String,
    updates: Stream,
    commands: Stream,
    content: Stream,
    end: Instant,
    next_update: Option<Instant>,
    next_command: Option<Instant>,
}

impl Workload {
    /// The clients of a cluster of this name.
    pub fn new(options: WorkloadOptions, cluster: &str, streams: &Streams) -> Workload {
        Workload {
            options,
            cluster: cluster.to_owned(),
            updates: streams.stream(cluster, "updates"),
            commands: streams.stream(cluster, "commands"),
            content: streams.stream(cluster, "content"),
            end: Instant::ZERO,
            next_update: None,
            next_command: None,
        }
    }

    /// They begin.
    pub fn start(&mut self, now: Instant) {
        self.end = now.saturating_add(self.options.duration);
        let updates = self.options.updates.as_ref().map(|updates| updates.every);
        let commands = self.options.commands.as_ref().map(|commands| commands.every);
        self.next_update = updates.map(|every| after(now, every, &mut self.updates));
        self.next_command = commands.map(|every| after(now, every, &mut self.commands));
    }

    /// When the next of them does something, or all are done.
    pub fn wake_at(&self) -> Option<Instant> {
        let next = [self.next_update, self.next_command];
        let next = next.into_iter().flatten().min()?;
        Some(next.min(self.end))
    }

    /// Whether they are done, or have not begun.
    pub fn is_done(&self) -> bool {
        self.next_update.is_none() && self.next_command.is_none()
    }

    /// What one of them does now, if it is time.
    pub fn next(&mut self, now: Instant) -> Option<Act> {
        if now >= self.end {
            self.next_update = None;
            self.next_command = None;
        }
        if let Some(at) = self.next_update.filter(|at| *at <= now)
            && let Some(options) = &self.options.updates
        {
            self.next_update = Some(after(at, options.every, &mut self.updates));
            return Some(self.update());
        }
        if let Some(at) = self.next_command.filter(|at| *at <= now)
            && let Some(options) = &self.options.commands
        {
            self.next_command = Some(after(at, options.every, &mut self.commands));
            return Some(self.command());
        }
        None
    }

    /// A value with a share of its blocks changed; one that is not there yet is made.
    pub fn change(&mut self, value: Option<&Bytes>, changed: Probability, value_bytes: u32) -> Bytes {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return self.new_value(value_bytes);
        };
        let block = block_of(value.len());
        let blocks = value.len().div_ceil(block) as u64;
        let share = u128::from(blocks) * u128::from(changed.as_parts());
        let count = (share / u128::from(Probability::PARTS)).max(1) as u64;
        let mut bytes = value.to_vec();
        for _ in 0..count {
            let begin = self.content.below(blocks) as usize * block;
            let end = (begin + block).min(bytes.len());
            fill_with_symbols(&mut bytes[begin..end], &mut self.content);
        }
        bytes.into()
    }

    /// A new value: 30 % zeros, 40 % text that repeats, 20 % of 64 symbols, 10 % random, as the memory of the original
    /// system's workloads.
    fn new_value(&mut self, value_bytes: u32) -> Bytes {
        let mut bytes = vec![0; value_bytes as usize];
        let tenths = |tenths: usize| bytes.len() * tenths / 10;
        let (text, symbols, random) = (tenths(3), tenths(7), tenths(9));
        for (place, byte) in bytes[text..symbols].iter_mut().enumerate() {
            *byte = TEXT[place % TEXT.len()];
        }
        fill_with_symbols(&mut bytes[symbols..random], &mut self.content);
        self.content.fill(&mut bytes[random..]);
        bytes.into()
    }

    fn update(&mut self) -> Act {
        let options = self.options.updates.as_ref().expect("there are updates");
        let random = &mut self.updates;
        let keys = u64::from(options.keys.max(1));
        let hot = u128::from(keys) * u128::from(options.hot_keys.as_parts());
        let hot = (hot / u128::from(Probability::PARTS)) as u64;
        let number = if hot > 0 && random.chance(options.hot_updates) {
            random.below(hot)
        } else if hot < keys {
            hot + random.below(keys - hot)
        } else {
            random.below(keys)
        };
        let text = if options.shared {
            format!("key-{number}")
        } else {
            format!("{}/key-{number}", self.cluster)
        };
        let key = Key::new(&text).expect("names of clusters are short");
        let priority = options.priority;
        if random.chance(options.removals) {
            Act::Remove { key, priority }
        } else {
            Act::Update {
                key,
                changed: options.changed,
                value_bytes: options.value_bytes,
                priority,
            }
        }
    }

    fn command(&mut self) -> Act {
        let options = self.options.commands.as_ref().expect("there are commands");
        let random = &mut self.commands;
        let name = format!("name-{}", random.below(u64::from(options.names.max(1))));
        if random.chance(options.reads) {
            return Act::Read { name };
        }
        let mut value = vec![0; options.value_bytes as usize];
        fill_with_symbols(&mut value, random);
        Act::Propose {
            name,
            value: value.into(),
        }
    }
}

/// Bytes of a block of a value of this length.
fn block_of(len: usize) -> usize {
    BLOCK_BYTES.min(len.div_ceil(16)).max(1)
}

/// Uniform over 64 symbols: 6 bits in a byte.
fn fill_with_symbols(bytes: &mut [u8], random: &mut Stream) {
    random.fill(bytes);
    bytes.iter_mut().for_each(|byte| *byte = b'@' + (*byte & 63));
}

/// A time that comes this much later in the mean (a Poisson process).
fn after(now: Instant, every: Span, random: &mut Stream) -> Instant {
    let wait = random.exponential(every.as_ns() as f64);
    now.saturating_add(Span::from_ns(wait as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> WorkloadOptions {
        let percent = |percent| Probability::from_ratio(percent, 100).expect("a share");
        WorkloadOptions {
            duration: Span::from_s(1_000),
            updates: Some(UpdateOptions {
                every: Span::from_ms(100),
                keys: 100,
                shared: true,
                value_bytes: 100_000,
                changed: percent(10),
                hot_keys: percent(10),
                hot_updates: percent(90),
                removals: percent(1),
                priority: Priority::Normal,
            }),
            commands: Some(CommandOptions {
                every: Span::from_ms(50),
                value_bytes: 10,
                names: 5,
                reads: percent(50),
            }),
        }
    }

    #[test]
    fn rates_and_shares_are_those_that_were_asked_for() {
        let mut workload = Workload::new(options(), "a", &Streams::new(1, 0));
        assert!(workload.is_done());
        workload.start(Instant::ZERO);
        let (mut updates, mut hot, mut removals, mut reads, mut puts) = (0u32, 0u32, 0, 0, 0);
        while let Some(at) = workload.wake_at() {
            while let Some(act) = workload.next(at) {
                match act {
                    Act::Update { key, .. } | Act::Remove { key, .. } if key.as_str().len() == 5 => {
                        updates += 1;
                        hot += 1;
                    }
                    Act::Update { .. } => updates += 1,
                    Act::Remove { .. } => removals += 1,
                    Act::Read { .. } => reads += 1,
                    Act::Propose { .. } => puts += 1,
                }
            }
        }
        assert!(workload.is_done());
        let near = |found: u32, expected: u32| found.abs_diff(expected) < expected / 10;
        assert!(near(updates, 10_000) && near(hot, 9_000), "{updates} {hot}");
        assert!(near(reads, 10_000) && near(puts, 10_000) && removals < 30);
    }

    #[test]
    fn an_update_changes_the_share_of_blocks_that_it_should() {
        let mut workload = Workload::new(options(), "a", &Streams::new(1, 0));
        let percent = |percent| Probability::from_ratio(percent, 100).expect("a share");
        let first = workload.change(None, percent(10), 1 << 20);
        assert_eq!(first.len(), 1 << 20);
        let changed = |one: &Bytes, other: &Bytes| {
            let pairs = one.chunks(BLOCK_BYTES).zip(other.chunks(BLOCK_BYTES));
            pairs.filter(|(one, other)| one != other).count()
        };
        let second = workload.change(Some(&first), percent(10), 1 << 20);
        // 25 draws of 256 with repetition.
        assert!((20..=25).contains(&changed(&first, &second)));
        let third = workload.change(Some(&second), Probability::ZERO, 1 << 20);
        assert_eq!(changed(&second, &third), 1);
    }
}
