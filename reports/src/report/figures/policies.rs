//! States of policies under the plots over time: breakers, levels of degradation, budgets.

use longhaul_plots::gantt::{self, Gantt, Kind, Row, Segment};
use longhaul_plots::{About, PlotError};

use super::super::load::Story;
use super::super::strips::{State, Strip};
use super::{Figure, arrowed, faults, place, span, strip, time_axis};
use crate::human;

/// One row for each policy that changed its state, in the order of names.
pub(super) fn strips(story: &Story) -> Result<Figure, PlotError> {
    let strips = &story.events.strips;
    let mut kinds: Vec<State> = Vec::new();
    let rows: Vec<Row> = strips
        .strips
        .iter()
        .map(|(name, of)| row(story, name, of, &mut kinds))
        .collect();
    let changes: usize = strips.strips.values().map(|strip| strip.changes.len()).sum();
    let mut about = About::new("States of policies", changes as u64, "changes in one run");
    if strips.more > 0 {
        about = about.remark(format!("Not drawn: {} more changes", human::count(strips.more)));
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
    let ends = of
        .changes
        .iter()
        .map(|change| change.0)
        .chain([story.record.simulated_ns]);
    let states = [(0, of.first)].into_iter().chain(of.changes.iter().copied());
    let mut segments = Vec::new();
    for ((from, state), to) in states.zip(ends) {
        let kind = kinds.iter().position(|known| *known == state);
        let kind = kind.unwrap_or_else(|| {
            kinds.push(state);
            kinds.len() - 1
        });
        // Changes of one moment: the last one counts.
        if from >= to {
            continue;
        }
        segments.push(Segment {
            from: place(story, from),
            to: place(story, to),
            kind,
            label: state.name.to_owned(),
            tip: format!(
                "{} for {} from {}",
                state.name,
                human::span(to - from),
                human::span(from)
            ),
        });
    }
    Row {
        name: arrowed(name),
        segments,
        marks: Vec::new(),
    }
}
