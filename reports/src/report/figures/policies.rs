//! States of policies under the plots over time: breakers, levels of degradation, budgets.

use longhaul_plots::gantt::{self, Gantt, Kind, Row, Segment, Tone};
use longhaul_plots::{About, PlotError};

use super::super::load::Story;
use super::super::strips::{Held, State, Strip};
use super::{Figure, arrowed, faults, place, span, strip, time_axis};
use crate::human;

/// More changes than can be told apart.
const SEVERAL: State = State {
    name: "changes often",
    tone: Tone::Other,
};

/// One row for each policy that changed its state, in the order of names.
pub(super) fn strips(story: &Story) -> Result<Figure, PlotError> {
    let strips = &story.events.strips;
    let mut kinds: Vec<State> = Vec::new();
    let rows: Vec<Row> = strips
        .iter()
        .map(|(name, of)| row(story, name, of, &mut kinds))
        .collect();
    let changes = strips.iter().map(|(_, strip)| strip.changes).sum();
    let mut about = About::new("States of policies", changes, "changes in one run");
    if strips.more > 0 {
        about = about.remark(format!(
            "Not drawn: {} changes of more policies",
            human::count(strips.more)
        ));
    }
    let kind = |state: &State| Kind {
        name: state.name.to_owned(),
        tone: state.tone,
    };
    let plot = Gantt {
        about,
        x: time_axis(story),
        kinds: kinds.iter().map(kind).collect(),
        rows,
        faults: faults(story),
        span: Some(span(story)),
    };
    Ok(strip(gantt::draw(&plot)?))
}

fn row(story: &Story, name: &str, of: &Strip, kinds: &mut Vec<State>) -> Row {
    let end_ns = story.record.simulated_ns;
    let mut segments = Vec::new();
    for (from, to, held) in of.held(end_ns) {
        let (state, what) = match held {
            Held::State(state) => (state, state.name.to_owned()),
            Held::Several(changes) => (
                SEVERAL,
                format!("{}, {} times,", SEVERAL.name, human::count(changes)),
            ),
        };
        let kind = kinds.iter().position(|known| *known == state);
        let kind = kind.unwrap_or_else(|| {
            kinds.push(state);
            kinds.len() - 1
        });
        segments.push(Segment {
            from: place(story, from),
            to: place(story, to),
            kind,
            label: state.name.to_owned(),
            tip: format!("{what} for {} from {}", human::span(to - from), human::span(from)),
        });
    }
    Row {
        name: arrowed(name),
        segments,
        marks: Vec::new(),
    }
}
