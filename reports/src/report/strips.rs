//! States of policies over time, from what they tell of their changes: breakers, levels of degradation, budgets.

use std::collections::BTreeMap;

use longhaul_plots::gantt::Tone;
use serde_json::Value;

/// Strips that are drawn.
const STRIPS: usize = 40;
/// Changes of one strip that are kept.
const CHANGES: usize = 2_000;
/// Details that are remembered.
const READ: usize = 10_000;

/// What begins the detail of an event that tells of a state, so that the others, which are many, are not parsed.
const TELLING: [&[u8]; 5] = [
    b"{\"Breaker\"",
    b"{\"Level\"",
    b"{\"ErrorBudget\"",
    b"{\"Burning\"",
    b"{\"LatencyBudget\"",
];

/// A policy's state over time.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Strip {
    /// The state at the beginning.
    pub first: State,
    /// From when on which state holds, in order of time.
    pub changes: Vec<(u64, State)>,
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
    pub strips: BTreeMap<String, Strip>,
    /// Changes that are not drawn, of strips that are too many or too long.
    pub more: u64,
    /// What details mean that have been read before, by their entity and text: policies tell the same again and again, and
    /// reading takes longer than all else.
    known: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, usize>>,
    read: Vec<Option<Change>>,
}

/// A change of a strip.
#[derive(Debug)]
struct Change {
    strip: String,
    from: State,
    to: State,
}

/// Whether a `Policy` event's detail tells of a state.
pub(super) fn tells(detail: &[u8]) -> bool {
    TELLING.iter().any(|begin| detail.starts_with(begin))
}

impl Strips {
    /// Takes in the detail of a `Policy` event that [`tells`]; what is of another form is left out.
    pub fn event(&mut self, at_ns: u64, entity: &[u8], detail: &[u8]) {
        let known = self.known.get(entity).and_then(|details| details.get(detail));
        if let Some(&place) = known {
            if let Some(change) = &self.read[place] {
                note(&mut self.strips, &mut self.more, at_ns, change);
            }
            return;
        }
        let change = change_of(&String::from_utf8_lossy(entity), detail);
        if let Some(change) = &change {
            note(&mut self.strips, &mut self.more, at_ns, change);
        }
        if self.read.len() < READ {
            let details = self.known.entry(entity.to_vec()).or_default();
            details.insert(detail.to_vec(), self.read.len());
            self.read.push(change);
        }
    }
}

/// What a detail means.
fn change_of(entity: &str, detail: &[u8]) -> Option<Change> {
    let value: Value = serde_json::from_slice(detail).ok()?;
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
    Some(Change {
        strip: format!("{entity}: {what} (layer {layer})"),
        from,
        to,
    })
}

fn note(strips: &mut BTreeMap<String, Strip>, more: &mut u64, at_ns: u64, change: &Change) {
    let full = strips.len() >= STRIPS;
    let strip = match strips.get_mut(&change.strip) {
        Some(strip) => strip,
        None if full => {
            *more += 1;
            return;
        }
        None => strips.entry(change.strip.clone()).or_insert_with(|| Strip {
            first: change.from,
            changes: Vec::new(),
        }),
    };
    if strip.changes.len() >= CHANGES {
        *more += 1;
        return;
    }
    strip.changes.push((at_ns, change.to));
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

    #[test]
    fn changes_of_state_become_strips_and_everything_else_does_not() {
        let mut strips = Strips::default();
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
            assert!(tells(detail.as_bytes()));
            strips.event(at, b"shop", detail.as_bytes());
        }
        assert!(!tells(br#"{"Retry":{"call":1}}"#));
        let names: Vec<&String> = strips.strips.keys().collect();
        assert_eq!(
            names,
            [
                "shop: breaker (layer 2)",
                "shop: error budget (layer 1)",
                "shop: fast burn of the error budget (layer 1)"
            ]
        );
        let breaker = &strips.strips["shop: breaker (layer 2)"];
        assert_eq!(breaker.first.name, "closed");
        let changes: Vec<(u64, &str)> = breaker
            .changes
            .iter()
            .map(|(at, state)| (*at, state.name))
            .collect();
        assert_eq!(changes, [(5, "open"), (9, "half-open")]);
        assert_eq!(strips.more, 0);
    }

    #[test]
    fn a_breaker_that_flutters_does_not_fill_the_page() {
        let mut strips = Strips::default();
        for at in 0..3_000 {
            let (from, to) = if at % 2 == 0 {
                ("Closed", "Open")
            } else {
                ("Open", "Closed")
            };
            strips.event(
                at,
                b"shop",
                format!(r#"{{"Breaker":{{"layer":0,"from":"{from}","to":"{to}"}}}}"#).as_bytes(),
            );
        }
        assert_eq!(strips.more, 1_000);
        assert_eq!(strips.strips.values().next().unwrap().changes.len(), CHANGES);
    }
}
