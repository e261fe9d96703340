//! States of policies over time, from what they tell of their changes: breakers, levels of degradation, budgets.

use std::collections::BTreeMap;

use longhaul_plots::gantt::Tone;
use serde_json::Value;

use super::rows::text;

/// Strips that are drawn.
const STRIPS: usize = 40;
/// Parts of the run, of which each is drawn with at most two changes; where there are more, none can be told apart.
const PARTS: u64 = 250;
/// Details that are remembered.
const READ: usize = 10_000;

/// What begins the detail of an event that tells of a state, so that the others, which are many, are not parsed. As the table has
/// it: quotes within a field stand twice.
const TELLING: [&[u8]; 5] = [
    b"{\"\"Breaker\"\"",
    b"{\"\"Level\"\"",
    b"{\"\"ErrorBudget\"\"",
    b"{\"\"Burning\"\"",
    b"{\"\"LatencyBudget\"\"",
];

/// A policy's state over time.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Strip {
    /// From when on what holds, in order of time; the first from the beginning.
    pub spans: Vec<(u64, Held)>,
    /// How often it changed.
    pub changes: u64,
    /// The part in which it last changed, and how often in that.
    part: (u64, u32),
    /// The state now.
    state: State,
}

/// What holds for a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Held {
    /// A state.
    State(State),
    /// Now one and then another, with so many changes.
    Several(u64),
}

/// A state in words, and how much it hurts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub name: &'static str,
    pub tone: Tone,
}

/// All strips of a run.
#[derive(Debug, Default)]
pub(super) struct Strips {
    /// By whose they are and what they are of: `shop: breaker`.
    names: BTreeMap<String, usize>,
    strips: Vec<Strip>,
    /// Changes of strips that are too many to be drawn.
    pub more: u64,
    /// How long a part of the run is.
    part_ns: u64,
    /// What details mean that have been read before, by their entity and text: policies tell the same again and again, and
    /// reading takes longer than all else.
    known: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Option<Change>>>,
    read: usize,
}

/// A change, to a state, of a strip by its number; of none if there are too many.
#[derive(Clone, Copy, Debug)]
struct Change {
    strip: Option<usize>,
    to: State,
}

/// Whether a `Policy` event's detail tells of a state.
pub(super) fn tells(detail: &[u8]) -> bool {
    TELLING.iter().any(|begin| detail.starts_with(begin))
}

impl Strips {
    /// Of a run that ends then.
    pub fn new(end_ns: u64) -> Strips {
        Strips {
            part_ns: end_ns.div_ceil(PARTS).max(1),
            ..Strips::default()
        }
    }

    /// Names and strips, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Strip)> {
        let strip = |(name, place): (_, &usize)| (String::as_str(name), &self.strips[*place]);
        self.names.iter().map(strip)
    }

    /// Takes in the detail of a `Policy` event that [`tells`], both fields as the table has them; what is of another form is left
    /// out.
    pub fn event(&mut self, at_ns: u64, entity: &[u8], detail: &[u8]) {
        let known = self.known.get(entity).and_then(|details| details.get(detail));
        let change = match known {
            Some(known) => *known,
            None => {
                let change = self.change_of(&text(entity), &text(detail));
                if self.read < READ {
                    let details = self.known.entry(entity.to_vec()).or_default();
                    details.insert(detail.to_vec(), change);
                    self.read += 1;
                }
                change
            }
        };
        match change.map(|change| (change.strip, change.to)) {
            Some((Some(strip), to)) => self.strips[strip].change(at_ns, to, self.part_ns),
            Some((None, _)) => self.more += 1,
            None => {}
        }
    }

    /// What a detail means; if it is the first of its policy, that gets a strip.
    fn change_of(&mut self, entity: &str, detail: &str) -> Option<Change> {
        let (name, from, to) = read(entity, detail)?;
        let strip = match self.names.get(&name) {
            Some(place) => Some(*place),
            None if self.strips.len() >= STRIPS => None,
            None => {
                self.names.insert(name, self.strips.len());
                self.strips.push(Strip::new(from));
                Some(self.strips.len() - 1)
            }
        };
        Some(Change { strip, to })
    }
}

impl Strip {
    fn new(first: State) -> Strip {
        Strip {
            spans: vec![(0, Held::State(first))],
            changes: 0,
            part: (0, 0),
            state: first,
        }
    }

    fn change(&mut self, at_ns: u64, to: State, part_ns: u64) {
        let part = at_ns / part_ns;
        if self.part.0 != part {
            let several = self.part.1 > 2;
            if several {
                // What the part ended with has held since then.
                let end = (self.part.0 + 1) * part_ns;
                self.spans.push((end, Held::State(self.state)));
            }
            self.part = (part, 0);
        }
        self.changes += 1;
        self.part.1 += 1;
        self.state = to;
        match self.part.1 {
            1 | 2 => self.spans.push((at_ns, Held::State(to))),
            3 => self.blur(part * part_ns),
            _ => {
                if let Some((_, Held::Several(changes))) = self.spans.last_mut() {
                    *changes += 1;
                }
            }
        }
    }

    /// Makes one of the three changes since the beginning of this part, and of the parts before it that are like this one.
    fn blur(&mut self, part_begins_ns: u64) {
        self.spans.pop();
        let first = self.spans.pop().map_or(part_begins_ns, |(at, _)| at);
        let mut changes = 3;
        let mut begins = first;
        if let [.., (from, Held::Several(before)), (until, Held::State(_))] = self.spans[..]
            && until == part_begins_ns
        {
            self.spans.truncate(self.spans.len() - 2);
            (begins, changes) = (from, before + 3);
        }
        self.spans.push((begins, Held::Several(changes)));
    }

    /// What held from when to when, up to the end of the run.
    pub fn held(&self, end_ns: u64) -> impl Iterator<Item = (u64, u64, Held)> {
        let ends = self.spans.iter().skip(1).map(|span| span.0).chain([end_ns]);
        let spans = self.spans.iter().zip(ends);
        // Changes of one moment: the last one counts.
        spans
            .map(move |(&(from, held), to)| (from, to.min(end_ns), held))
            .filter(|(from, to, _)| from < to)
    }
}

/// The name of a strip, and from which state to which it changed.
fn read(entity: &str, detail: &str) -> Option<(String, State, State)> {
    let value: Value = serde_json::from_str(detail).ok()?;
    let (kind, fields) = value.as_object()?.iter().next()?;
    let states = |from: Option<State>, to: Option<State>| from.zip(to);
    let named = |field: &str| fields[field].as_str().and_then(state_of);
    let flag = |field: &str, no: State, yes: State| {
        let now = fields[field].as_bool()?;
        Some(if now { (no, yes) } else { (yes, no) })
    };
    let (what, change) = match kind.as_str() {
        "Breaker" => ("breaker".to_owned(), states(named("from"), named("to"))),
        "Level" => ("level of service".to_owned(), states(named("from"), named("to"))),
        "ErrorBudget" => (
            "error budget".to_owned(),
            flag("exhausted", KEPT, state("used up", Tone::Alarm)),
        ),
        "LatencyBudget" => (
            "latency budget".to_owned(),
            flag("exceeded", KEPT, state("exceeded", Tone::Alarm)),
        ),
        "Burning" => {
            let burn = fields["burn"].as_str().unwrap_or_default().to_lowercase();
            let burning = flag("burning", KEPT, state("burns too fast", Tone::Third));
            (format!("{burn} burn of the error budget"), burning)
        }
        _ => return None,
    };
    let (from, to) = change?;
    // Two layers of a kind are told apart by their place in the stack.
    let layer = fields["layer"].as_u64().unwrap_or(0) + 1;
    Some((format!("{entity}: {what} (layer {layer})"), from, to))
}

const KEPT: State = state("kept", Tone::Normal);

const fn state(name: &'static str, tone: Tone) -> State {
    State { name, tone }
}

/// States by the names that events have.
fn state_of(name: &str) -> Option<State> {
    Some(match name {
        "Closed" => state("closed", Tone::Normal),
        "HalfOpen" => state("half-open", Tone::Third),
        "Open" => state("open", Tone::Alarm),
        "Normal" => state("normal", Tone::Normal),
        "Degraded" => state("degraded", Tone::Third),
        "Severe" => state("severe", Tone::Other),
        "Emergency" => state("emergency", Tone::Alarm),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a table has it.
    fn twice(detail: &str) -> String {
        detail.replace('"', "\"\"")
    }

    #[test]
    fn changes_of_state_become_strips_and_everything_else_does_not() {
        let mut strips = Strips::new(1_000);
        for (at, detail) in [
            (
                5,
                r#"{"Breaker":{"layer":1,"from":"Closed","to":"Open","cause":"Forced"}}"#,
            ),
            (
                9,
                r#"{"Breaker":{"layer":1,"from":"Open","to":"HalfOpen","cause":"Waited"}}"#,
            ),
            (
                7,
                r#"{"ErrorBudget":{"layer":0,"exhausted":true,"failed":3,"calls":9}}"#,
            ),
            (8, r#"{"Burning":{"layer":0,"burn":"Fast","burning":true}}"#),
            (8, r#"{"Breaker":{"layer":1,"from":"Shut","to":"Open"}}"#),
        ] {
            let detail = twice(detail);
            assert!(tells(detail.as_bytes()));
            strips.event(at, b"shop", detail.as_bytes());
        }
        assert!(!tells(twice(r#"{"Retry":{"call":1}}"#).as_bytes()));
        let names: Vec<&str> = strips.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "shop: breaker (layer 2)",
                "shop: error budget (layer 1)",
                "shop: fast burn of the error budget (layer 1)"
            ]
        );
        let (_, breaker) = strips.iter().next().unwrap();
        assert_eq!(
            told(breaker, 1_000),
            [(0, 5, "closed", 0), (5, 9, "open", 0), (9, 1_000, "half-open", 0)]
        );
        assert_eq!((breaker.changes, strips.more), (2, 0));
    }

    /// From, to, state and, if there are several, how many changes.
    fn told(strip: &Strip, end_ns: u64) -> Vec<(u64, u64, &'static str, u64)> {
        let held = strip.held(end_ns).map(|(from, to, held)| match held {
            Held::State(state) => (from, to, state.name, 0),
            Held::Several(changes) => (from, to, "several", changes),
        });
        held.collect()
    }

    #[test]
    fn a_breaker_that_flutters_does_not_fill_the_page() {
        let flip = |at: u64| {
            let (from, to) = [("Closed", "Open"), ("Open", "Closed")][(at % 2) as usize];
            format!(r#"{{"Breaker":{{"layer":0,"from":"{from}","to":"{to}"}}}}"#)
        };
        // Parts of 100. One change in each of the first, then each moment, then once more.
        let mut strips = Strips::new(25_000);
        let times = [0, 101].into_iter().chain(1_002..3_550).chain([9_900]);
        for (number, at) in times.enumerate() {
            strips.event(at, b"shop", twice(&flip(number as u64)).as_bytes());
        }
        let strip = &strips.strips[0];
        assert_eq!(
            told(strip, 25_000),
            [
                (0, 101, "open", 0),
                (101, 1_002, "closed", 0),
                (1_002, 3_600, "several", 2_548),
                (3_600, 9_900, "closed", 0),
                (9_900, 25_000, "open", 0),
            ]
        );
        assert_eq!((strip.changes, strips.more), (2_551, 0));
    }

    #[test]
    fn strips_beyond_the_limit_are_counted() {
        let mut strips = Strips::new(1_000);
        let open = twice(r#"{"Breaker":{"layer":0,"from":"Closed","to":"Open"}}"#);
        for number in 0..=STRIPS {
            for at in [1, 2] {
                strips.event(at, format!("shop-{number}").as_bytes(), open.as_bytes());
            }
        }
        assert_eq!((strips.iter().count(), strips.more), (STRIPS, 2));
    }
}
