//! What a link's laws are as queueing disciplines of Linux.
//!
//! | link | disciplines |
//! | --- | --- |
//! | queue in packets or bytes | `netem` with delay, jitter, loss, duplication, damage; below it the queue and the serialiser |
//! | queue `Inside` | one `netem` with everything |
//! | jitter that reorders | `netem` with loss, queue and serialiser; below it a `netem` with delay and jitter |
//!
//! The delay line stands *before* the queue, which for a constant delay is the same as behind it. The serialiser is a
//! `netem rate`, or a `tbf` where the rate changes (netem fixes a frame's time when it enters the queue) or frames are
//! duplicated (newer kernels refuse that beside a second netem).

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::jitter::{Jitter, Table};
use longhaul_net::link::{LinkSpec, Queue, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_replay::plan::{Counted, DelayTable};

/// A full Ethernet frame, as netem counts it.
const FULL_FRAME: u64 = 1_514;
/// More frames than a delay line holds.
const NO_LIMIT: u32 = 1_000_000;
/// More bytes than wait anywhere.
const NO_LIMIT_BYTES: u64 = 1_000_000_000;
/// At this rate a full frame takes less than a nanosecond; a netem with a rate keeps frames in order.
const IN_ORDER: &str = " rate 100tbit";
/// What stands for one standard deviation in a table.
const TABLE_SCALE: u128 = 8_192;
/// netem keeps the width of a jitter in 31 bits of nanoseconds.
const WIDEST_JITTER: Span = Span::from_ns(i32::MAX as u64);
/// The least that all parts of the kernel count with: below it times overflow.
const LEAST_RATE: BitRate = BitRate::from_bits_per_s(1_000);

/// What changes over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    pub rate: BitRate,
    pub delay: Span,
    pub loss: Loss,
}

/// A link's disciplines at one moment, without their places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    root: String,
    child: Option<String>,
    grandchild: Option<String>,
}

impl Tree {
    /// Lines that build it on a device, whatever stands there.
    pub fn shape(&self, device: &str) -> Vec<String> {
        let mut lines = vec![format!("qdisc replace dev {device} root handle 1: {}", self.root)];
        for (discipline, place) in [
            (&self.child, "parent 1:1 handle 2:"),
            (&self.grandchild, "parent 2:1 handle 3:"),
        ] {
            lines.extend(
                discipline
                    .iter()
                    .map(|rest| format!("qdisc add dev {device} {place} {rest}")),
            );
        }
        lines
    }

    /// Lines that make it of `before`, which keeps what is in the queues.
    pub fn change(&self, before: &Tree, device: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if self.root != before.root {
            lines.push(format!("qdisc change dev {device} root handle 1: {}", self.root));
        }
        if let Some(child) = &self.child
            && before.child.as_ref() != Some(child)
        {
            lines.push(format!("qdisc change dev {device} parent 1:1 handle 2: {child}"));
        }
        lines
    }
}

/// Tables that links draw from, each kept once.
#[derive(Default)]
pub struct Tables {
    pub tables: Vec<DelayTable>,
}

impl Tables {
    fn name_of(&mut self, entries: Vec<i16>) -> String {
        if let Some(known) = self.tables.iter().find(|table| table.entries == entries) {
            return known.name.clone();
        }
        let name = format!("delay{}", self.tables.len());
        self.tables.push(DelayTable {
            name: name.clone(),
            entries,
        });
        name
    }
}

/// How the parts of a link stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// One netem.
    Single,
    /// The delay line, then a queue with `netem rate`.
    DelayThenRate,
    /// The delay line, then a queue with `tbf`.
    DelayThenBucket,
    /// The queue, then the delay line.
    RateThenDelay,
}

/// A link as disciplines.
pub struct Disciplines {
    form: Form,
    limit: QueueLimit,
    /// What follows `delay` and the propagation delay.
    jitter: Spread,
    /// Whether frames need help to stay in order in the delay line.
    ordered: bool,
    /// Whether full frames cross it, not acknowledgements alone.
    carries_payload: bool,
    corrupt: Probability,
    duplicate: Probability,
}

/// A jitter for netem: it adds to the delay, and these words follow.
struct Spread {
    mean: Span,
    words: String,
}

impl Disciplines {
    /// The disciplines of a link that goes through these states; or what of it has no counterpart: a field and why.
    pub fn new(
        spec: &LinkSpec,
        states: &[State],
        carries_payload: bool,
        tables: &mut Tables,
    ) -> Result<Disciplines, Vec<(&'static str, String)>> {
        let mut refused: Vec<(&'static str, String)> = Vec::new();
        let limit = match &spec.queue {
            Queue::Fifo(limit) => *limit,
            Queue::CoDel(_) | Queue::FqCoDel(_) | Queue::Htb(_) => {
                let name = match &spec.queue {
                    Queue::CoDel(_) => "CoDel",
                    Queue::FqCoDel(_) => "FqCoDel",
                    _ => "Htb",
                };
                refused.push((
                    "queue",
                    format!("a {name} queue behind a delay line; `Packets`, `Bytes`, `Bdp` and `Inside` can"),
                ));
                QueueLimit::Packets(1)
            }
        };
        let varies = |of: fn(&State, &State) -> bool| states.windows(2).any(|pair| of(&pair[0], &pair[1]));
        let rate_varies = varies(|a, b| a.rate != b.rate);
        let delay_varies = varies(|a, b| a.delay != b.delay);
        let jitters = spec.jitter != Jitter::None;
        let duplicates = spec.duplicate > Probability::ZERO;
        let form = if spec.reorder && jitters {
            if duplicates {
                refused.push((
                    "duplicate",
                    "copies where jitter reorders: kernels refuse a netem that copies above another netem"
                        .to_owned(),
                ));
            }
            if rate_varies {
                refused.push(("changes", "a rate that changes where jitter reorders: netem fixes a frame's time when it enters the queue".to_owned()));
            }
            Form::RateThenDelay
        } else {
            match (limit, rate_varies || duplicates) {
                (QueueLimit::Inside(_), _) if !rate_varies => Form::Single,
                (_, true) => Form::DelayThenBucket,
                (_, false) => Form::DelayThenRate,
            }
        };
        for state in states {
            if state.rate.as_bits_per_s() == 0 {
                refused.push((
                    "changes",
                    "a rate of zero: no discipline stands still; a `LinkDown` fault can (its queue is lost)"
                        .to_owned(),
                ));
                break;
            }
            if state.rate < LEAST_RATE {
                refused.push((
                    "rate",
                    format!("a rate of {}: at least {LEAST_RATE} is needed", state.rate),
                ));
                break;
            }
        }
        let jitter = spread(&spec.jitter, tables).unwrap_or_else(|reason| {
            refused.push(("jitter", reason));
            Spread {
                mean: Span::ZERO,
                words: String::new(),
            }
        });
        if !refused.is_empty() {
            return Err(refused);
        }
        Ok(Disciplines {
            form,
            limit,
            ordered: (!jitter.words.is_empty() || delay_varies) && !spec.reorder,
            jitter,
            carries_payload,
            corrupt: spec.corrupt,
            duplicate: spec.duplicate,
        })
    }

    /// The disciplines in this state.
    pub fn tree(&self, state: &State) -> Tree {
        let delay = |more: Span| {
            let delay = state.delay.saturating_add(self.jitter.mean).saturating_add(more);
            format!(" delay {}{}", time(delay), self.jitter.words)
        };
        let in_order = if self.ordered { IN_ORDER } else { "" };
        let laws = self.laws(state.loss);
        let rate = format!("rate {}bit", state.rate.as_bits_per_s());
        let (mut child, mut grandchild) = (None, None);
        let root = match self.form {
            Form::Single => {
                let QueueLimit::Inside(limit) = self.limit else {
                    unreachable!("only a limit on everything needs no queue of its own")
                };
                format!("netem limit {limit}{}{laws} {rate}", delay(Span::ZERO))
            }
            Form::DelayThenRate => {
                // The frame in service has its place in netem's queue.
                let limit = self.packets().saturating_add(1);
                child = Some(format!("netem limit {limit} {rate}"));
                format!("netem limit {NO_LIMIT}{}{laws}{in_order}", delay(Span::ZERO))
            }
            Form::DelayThenBucket => {
                let (inside, waiting) = match self.limit {
                    QueueLimit::Inside(limit) => (limit, NO_LIMIT_BYTES),
                    QueueLimit::Bytes(bytes) => (NO_LIMIT, bytes.clamp(FULL_FRAME, u64::from(u32::MAX))),
                    // tbf hands its limit on to whatever fifo is below it, in that fifo's unit.
                    QueueLimit::Packets(packets) => {
                        grandchild = Some(format!("pfifo limit {}", packets.max(1)));
                        (NO_LIMIT, u64::from(packets.max(1)))
                    }
                };
                child = Some(format!("tbf {rate} burst {FULL_FRAME} limit {waiting}"));
                // A frame leaves a bucket when it starts to be sent, not when it has been sent.
                let service = if self.carries_payload {
                    state.rate.time_for(FULL_FRAME)
                } else {
                    Span::ZERO
                };
                format!("netem limit {inside}{}{laws}{in_order}", delay(service))
            }
            Form::RateThenDelay => {
                child = Some(format!("netem limit {NO_LIMIT}{}", delay(Span::ZERO)));
                let limit = match self.limit {
                    QueueLimit::Inside(limit) => limit,
                    QueueLimit::Packets(_) | QueueLimit::Bytes(_) => {
                        let line = state.delay.saturating_add(self.jitter.mean);
                        let in_line = state.rate.bytes_in(line).div_ceil(FULL_FRAME);
                        let limit = in_line.saturating_add(1 + u64::from(self.packets()));
                        u32::try_from(limit).unwrap_or(u32::MAX)
                    }
                };
                format!("netem limit {limit}{laws} {rate}")
            }
        };
        Tree {
            root,
            child,
            grandchild,
        }
    }

    /// What drops its counters count.
    pub fn counted(&self, states: &[State]) -> Counted {
        let lossless = states.iter().all(|state| state.loss == Loss::None);
        match self.form {
            Form::DelayThenRate => Counted::Apart,
            Form::DelayThenBucket if !matches!(self.limit, QueueLimit::Inside(_)) => Counted::Apart,
            _ if lossless => Counted::Queue,
            _ => Counted::Together,
        }
    }

    /// In what it differs from the scenario.
    pub fn notes(&self) -> Vec<&'static str> {
        let mut notes = Vec::new();
        let netem_queues = matches!(self.form, Form::DelayThenRate | Form::RateThenDelay);
        if netem_queues && matches!(self.limit, QueueLimit::Bytes(_)) {
            notes.push("the queue counts frames, as many as full ones fit into its bytes");
        }
        match self.form {
            Form::Single | Form::DelayThenRate => {}
            Form::DelayThenBucket => notes.push(
                "the serialiser is a token bucket of one full frame: small frames leave up to one frame's time early, and each change of the rate gives a frame's tokens",
            ),
            Form::RateThenDelay => {
                notes.push("one limit counts the queue and the delay line, as many frames as the line holds at the full rate");
            }
        }
        if self.corrupt > Probability::ZERO {
            notes.push("a damaged frame survives if the bit is in the sender's hardware address: 6 bytes of the frame");
        }
        notes
    }

    /// The limit in frames.
    fn packets(&self) -> u32 {
        match self.limit {
            QueueLimit::Packets(packets) | QueueLimit::Inside(packets) => packets,
            QueueLimit::Bytes(bytes) => u32::try_from(bytes / FULL_FRAME).unwrap_or(u32::MAX),
        }
    }

    fn laws(&self, loss: Loss) -> String {
        let mut words = String::new();
        if let Loss::Independent(mean) = loss
            && mean > Probability::ZERO
        {
            words += &format!(" loss random {}", percent(mean));
        }
        if let Some(chain) = loss.chain().expect("checked when it was read") {
            words += &format!(
                " loss gemodel {} {} {} {}",
                percent(chain.to_bad),
                percent(chain.to_good),
                percent(chain.loss_in_bad),
                percent(chain.loss_in_good),
            );
        }
        for (word, probability) in [("duplicate", self.duplicate), ("corrupt", self.corrupt)] {
            if probability > Probability::ZERO {
                words += &format!(" {word} {}", percent(probability));
            }
        }
        words
    }
}

/// A jitter law in netem's words. A scenario's jitter is never negative, so the table is cut where it would be: netem
/// itself would take the difference out of the delay.
fn spread(law: &Jitter, tables: &mut Tables) -> Result<Spread, String> {
    let (mean, sd, table) = match law {
        Jitter::None => {
            return Ok(Spread {
                mean: Span::ZERO,
                words: String::new(),
            });
        }
        Jitter::Uniform { max } => {
            let half = *max / 2;
            return width(half).map(|words| Spread { mean: half, words });
        }
        Jitter::Normal { mean, sd } => (*mean, *sd, Table::normal()),
        Jitter::Pareto { mean, sd } => (*mean, *sd, Table::pareto()),
        Jitter::ParetoNormal { mean, sd } => (*mean, *sd, Table::pareto_normal()),
        Jitter::Table { mean, sd, table } => (*mean, *sd, table.clone()),
    };
    let mut words = width(sd)?;
    if !words.is_empty() {
        let scaled = u128::from(mean.as_ns()) * TABLE_SCALE / u128::from(sd.as_ns());
        let least = i16::try_from(scaled).map_or(i16::MIN, |least| -least);
        let entries = table.entries().iter().map(|&entry| entry.max(least)).collect();
        words += &format!(" distribution {}", tables.name_of(entries));
    }
    Ok(Spread { mean, words })
}

/// The width of a jitter, or nothing if it has none.
fn width(width: Span) -> Result<String, String> {
    if width > WIDEST_JITTER {
        return Err(format!("a width of {width}: netem's ends at {WIDEST_JITTER}"));
    }
    Ok(if width == Span::ZERO {
        String::new()
    } else {
        format!(" {}", time(width))
    })
}

/// A time for `tc`, to the nanosecond. It knows no unit below the microsecond, and cuts what it computes as a double to
/// whole nanoseconds: half of one more keeps it above the cut.
fn time(span: Span) -> String {
    let ns = span.as_ns();
    for (unit, length) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if ns.is_multiple_of(length) {
            return format!("{}{unit}", ns / length);
        }
    }
    format!("{}.{:03}5us", ns / 1_000, ns % 1_000)
}

/// A probability for `tc`, exactly.
fn percent(probability: Probability) -> String {
    const PER_PERCENT: u64 = Probability::PARTS / 100;
    let parts = probability.as_parts();
    let text = format!("{}.{:010}", parts / PER_PERCENT, parts % PER_PERCENT);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_exactly() {
        assert_eq!(percent(Probability::from_ratio(1, 1000).unwrap()), "0.1%");
        assert_eq!(percent(Probability::from_parts(1).unwrap()), "0.0000000001%");
        assert_eq!(percent(Probability::ONE), "100%");
        assert_eq!(time(Span::from_ns(1_500_000)), "1500us");
        assert_eq!(time(Span::from_ns(10_121_120)), "10121.1205us");
        assert_eq!(time(Span::ZERO), "0s");
    }

    #[test]
    fn a_jitter_below_zero_is_cut_in_the_table() {
        let mut tables = Tables::default();
        let (mean, sd) = (Span::from_ms(1), Span::from_ms(2));
        let spread = spread(&Jitter::Normal { mean, sd }, &mut tables).unwrap();
        assert_eq!(spread.words, " 2ms distribution delay0");
        let least = tables.tables[0].entries.iter().min().copied();
        assert_eq!(least, Some(-4096), "half a standard deviation");
    }
}
