//! From both worlds to the verdict: every metric with a margin, the scenario's own assertions, the health of the
//! replay, and what all of it comes to.

use longhaul_core::MODEL_VERSION;
use longhaul_core::doctor::Backend;
use longhaul_core::record::{Fidelity, RunRecord, Verdict};
use longhaul_core::replay::{
    ComparisonRecord, ComparisonVerdict, HealthCheck, MarginRecord, Quantity, REPLAY_FORMAT, ReplayRecord,
    ReplayVerdict, ReplayedAssertion, SideRecord, StepRecord,
};
use longhaul_replay::health;
use longhaul_replay::outcome::Outcome;

use super::equivalence::{LEAST_VALUES, METHOD, Side, decide, difference};
use super::facts::facts;
use super::margins::{margin_of, settings};
use super::records::{RecordsError, Replayed, records, unmeasured};
use crate::Loaded;
use crate::metric::{METRICS, Unit};
use crate::run::assertions::{Evidence, Sample, judge_all, samples};
use crate::schema::{Margin, Metric, Replay, Scope, Within};

/// Both worlds.
#[derive(Clone, Copy, Debug)]
pub struct Worlds<'a> {
    /// The scenario.
    pub loaded: &'a Loaded,
    /// How many runs there should be, and the margins.
    pub settings: &'a Replay,
    /// The simulated runs, at least one.
    pub simulated: &'a [RunRecord],
    /// What was replayed.
    pub outcome: &'a Outcome,
    /// Where; `None` if the measurements are those of an earlier replay.
    pub backend: Option<Backend>,
    /// Steps of the timeline.
    pub steps: usize,
    /// Where the kernel does not do quite what the scenario says.
    pub notes: &'a [String],
    /// The command that reproduces it.
    pub reproduce: &'a str,
}

/// Compares both worlds.
///
/// # Errors
/// If the measurements are not of this scenario.
///
/// # Panics
/// Without a simulated run.
pub fn compare(worlds: &Worlds) -> Result<ReplayRecord, RecordsError> {
    let (loaded, outcome) = (worlds.loaded, worlds.outcome);
    let scenario = &loaded.scenario;
    let replayed: Vec<Replayed> = outcome
        .replications
        .iter()
        .map(|replication| records(scenario, replication))
        .collect::<Result<_, _>>()?;
    let first = worlds.simulated.first().expect("a simulated run");
    let facts = facts(
        scenario,
        worlds.settings.replications,
        worlds.steps,
        worlds.simulated,
    );
    let mut record = ReplayRecord {
        format: REPLAY_FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        model_version: MODEL_VERSION,
        scenario: scenario.name.clone(),
        question: scenario.question.clone(),
        scenario_hash: loaded.hash.clone(),
        inputs: first.inputs.clone(),
        seed: scenario.seed,
        fidelity: first.fidelity,
        backend: worlds.backend,
        kernel: outcome.kernel.clone(),
        simulations: worlds.simulated.iter().map(|run| run.ended).collect(),
        replications: replayed.iter().map(|run| run.ended).collect(),
        method: METHOD.to_owned(),
        comparisons: comparisons(worlds, &replayed),
        assertions: assertions(loaded, &replayed),
        health: health::judge(outcome, &facts),
        timeline: timeline(outcome),
        verdict: ReplayVerdict::Inconclusive,
        reason: String::new(),
        warnings: first.warnings.iter().chain(worlds.notes).cloned().collect(),
        reproduce: worlds.reproduce.to_owned(),
    };
    (record.verdict, record.reason) = overall(&record.comparisons, &record.health);
    Ok(record)
}

/// Every metric that has a margin, of every migration, transfer or link that it is for.
fn comparisons(worlds: &Worlds, replayed: &[Replayed]) -> Vec<ComparisonRecord> {
    let margins = &worlds.settings.margins;
    let declared = worlds
        .loaded
        .scenario
        .replay
        .as_ref()
        .is_some_and(|replay| !replay.margins.is_empty());
    let simulated: Vec<Evidence> = worlds.simulated.iter().map(Evidence::from).collect();
    let replayed: Vec<Evidence> = replayed.iter().map(Replayed::evidence).collect();
    let fidelity = worlds.simulated[0].fidelity;
    let mut comparisons = Vec::new();
    for (name, metric) in METRICS {
        // In the order of the scenario; what no margin is for is left out.
        for (index, (entity, _)) in samples(metric, &Scope::All, simulated[0]).iter().enumerate() {
            if let Some(margin) = margin_of(margins, metric, entity) {
                let values = |worlds: &[Evidence]| values(metric, index, worlds);
                let sides = (values(&simulated), values(&replayed));
                let mut record = comparison(name, entity, margin, fidelity, sides);
                record.declared = declared;
                comparisons.push(record);
            }
        }
    }
    comparisons
}

/// The values of one entity, run by run. What had not finished has none.
fn values(metric: Metric, index: usize, runs: &[Evidence]) -> Vec<Option<u64>> {
    let value = |run: &Evidence| match samples(metric, &Scope::All, *run).get(index) {
        Some((_, Sample::Exact(value))) => Some(*value),
        _ => None,
    };
    runs.iter().map(value).collect()
}

fn comparison(
    metric: &str,
    entity: &str,
    margin: &Margin,
    fidelity: Fidelity,
    (simulated, replayed): (Vec<Option<u64>>, Vec<Option<u64>>),
) -> ComparisonRecord {
    let margin_record = match margin.within {
        // Parts of 10^12 in millionths; the language has ten decimals of a percent, of which four are kept.
        Within::Relative(share) => MarginRecord::Relative(share.as_parts() / 1_000_000),
        Within::Absolute(value) => MarginRecord::Absolute(value.exact()),
    };
    let side = |values: Vec<Option<u64>>| SideRecord {
        values,
        ..SideRecord::default()
    };
    let mut record = ComparisonRecord {
        metric: metric.to_owned(),
        entity: entity.to_owned(),
        quantity: quantity(margin.metric.unit()),
        margin: margin_record,
        declared: false,
        simulated: side(simulated),
        replayed: side(replayed),
        difference: None,
        verdict: ComparisonVerdict::NotComparable,
        reason: String::new(),
    };
    (record.verdict, record.reason) = judge(&mut record, margin.metric, fidelity);
    record
}

/// Fills in the figures of a comparison and gives its verdict.
fn judge(record: &mut ComparisonRecord, metric: Metric, fidelity: Fidelity) -> (ComparisonVerdict, String) {
    let not_comparable = |why: String| (ComparisonVerdict::NotComparable, why);
    if let Some(why) = unmeasured(metric) {
        record.replayed.values.clear();
        return not_comparable(why.to_owned());
    }
    if fidelity == Fidelity::Flow && metric == Metric::LinkDelivered {
        return not_comparable("flow fidelity counts data alone, a kernel whole frames".to_owned());
    }
    let known = |side: &SideRecord| -> Vec<u64> { side.values.iter().flatten().copied().collect() };
    let (simulated, replayed) = (known(&record.simulated), known(&record.replayed));
    let name = format!("{} of {}", record.metric, record.entity);
    let describe = |values: &[u64], side: &mut SideRecord, purpose: &str| {
        let resampled = (!values.is_empty()).then(|| Side::new(values, &name, purpose))?;
        resampled.describe(side);
        Some(resampled)
    };
    let simulated_side = describe(
        &simulated,
        &mut record.simulated,
        "resamples of the simulated values",
    );
    let replayed_side = describe(
        &replayed,
        &mut record.replayed,
        "resamples of the replayed values",
    );
    let missing = |side: &SideRecord, known: usize| side.values.len() - known;
    let lost = (
        missing(&record.simulated, simulated.len()),
        missing(&record.replayed, replayed.len()),
    );
    if lost != (0, 0) {
        let why = format!(
            "no value in {} of {} simulations and {} of {} replications",
            lost.0,
            record.simulated.values.len(),
            lost.1,
            record.replayed.values.len()
        );
        // What one world never brings about and the other always does is a difference, and the largest.
        let never = (simulated.is_empty() && lost.1 == 0) || (replayed.is_empty() && lost.0 == 0);
        let some = !record.simulated.values.is_empty() && !record.replayed.values.is_empty();
        return if never && some {
            (ComparisonVerdict::Fail, why)
        } else {
            not_comparable(why)
        };
    }
    let (Some(simulated_side), Some(replayed_side)) = (simulated_side, replayed_side) else {
        return not_comparable("nothing was replayed".to_owned());
    };
    for (side, what) in [(&simulated_side, "simulations"), (&replayed_side, "replications")] {
        if !side.is_enough() {
            return not_comparable(format!("fewer than {LEAST_VALUES} {what}, and their values vary"));
        }
    }
    match difference(&simulated_side, &replayed_side, record.margin) {
        None => not_comparable("the replayed median is 0, so a relative margin means nothing".to_owned()),
        Some(found) => {
            record.difference = Some(found);
            decide(found, record.margin, simulated.len(), replayed.len())
        }
    }
}

fn quantity(unit: Unit) -> Quantity {
    match unit {
        Unit::Time => Quantity::Time,
        Unit::Size => Quantity::Size,
        Unit::Rate => Quantity::Rate,
        Unit::Share => Quantity::Share,
        Unit::Number => Quantity::Number,
    }
}

/// The scenario's assertions on each replication. One about what a kernel does not tell is undecided in all.
fn assertions(loaded: &Loaded, replayed: &[Replayed]) -> Vec<ReplayedAssertion> {
    let specs = &loaded.scenario.assertions;
    let mut judged: Vec<_> = replayed
        .iter()
        .map(|run| judge_all(specs, run.evidence()))
        .collect();
    for (index, spec) in specs.iter().enumerate() {
        if let Some(why) = unmeasured(spec.metric) {
            for records in &mut judged {
                records[index].verdict = Verdict::Inconclusive;
                records[index].reason = why.to_owned();
            }
        }
    }
    let assertion = |index: usize| {
        let of_runs = || judged.iter().map(|records| &records[index]);
        let first = of_runs().next()?;
        let scope = match first.scope.as_str() {
            "all" => String::new(),
            one => format!(" of {one}"),
        };
        Some(ReplayedAssertion {
            what: format!("{} {}{scope}", first.statistic, first.metric),
            bound: first.bound.clone(),
            critical: first.critical,
            verdicts: of_runs().map(|record| record.verdict).collect(),
            undecided: of_runs()
                .find(|record| record.verdict == Verdict::Inconclusive)
                .map(|record| record.reason.clone()),
        })
    };
    (0..specs.len()).filter_map(assertion).collect()
}

/// The steps, replication by replication.
fn timeline(outcome: &Outcome) -> Vec<StepRecord> {
    let longest = outcome
        .replications
        .iter()
        .map(|r| &r.timeline)
        .max_by_key(|steps| steps.len());
    let steps = longest.into_iter().flatten().enumerate();
    steps
        .map(|(index, step)| {
            let done = || outcome.replications.iter().filter_map(|r| r.timeline.get(index));
            StepRecord {
                what: step.what.clone(),
                planned_ns: step.planned_ns,
                begun_ns: done().map(|step| step.begun_ns).collect(),
                done_ns: done().map(|step| step.done_ns).collect(),
            }
        })
        .collect()
}

/// What everything comes to. A replay that is not healthy says nothing; what could not be compared is never a pass.
fn overall(comparisons: &[ComparisonRecord], health: &[HealthCheck]) -> (ReplayVerdict, String) {
    let ill: Vec<&str> = health
        .iter()
        .filter(|check| !check.passed)
        .map(|check| check.name.as_str())
        .collect();
    if !ill.is_empty() {
        let reason = format!("the replay is not trustworthy: {}", ill.join(", "));
        return (ReplayVerdict::Invalid, reason);
    }
    let count = |verdict| comparisons.iter().filter(|c| c.verdict == verdict).count();
    let all = comparisons.len();
    let (missed, unknown) = (
        count(ComparisonVerdict::Fail),
        count(ComparisonVerdict::NotComparable),
    );
    let mut parts = vec![format!(
        "{} of {all} metrics agree within their margins",
        all - missed - unknown
    )];
    if missed > 0 {
        parts.push(format!("{missed} not"));
    }
    if unknown > 0 {
        parts.push(format!("{unknown} not comparable"));
    }
    let verdict = match (all, missed, unknown) {
        (0, _, _) => return (ReplayVerdict::Inconclusive, "no metric has a margin".to_owned()),
        (_, 0, 0) => ReplayVerdict::Pass,
        (_, 0, _) => ReplayVerdict::Inconclusive,
        _ => ReplayVerdict::Fail,
    };
    (verdict, parts.join("; "))
}

/// The settings of a scenario with other numbers of runs, if those are given.
pub fn settings_with(loaded: &Loaded, replications: Option<u32>, simulations: Option<u32>) -> Replay {
    let mut settings = settings(&loaded.scenario);
    settings.replications = replications.unwrap_or(settings.replications);
    settings.simulations = simulations.unwrap_or(settings.simulations);
    settings
}

#[cfg(test)]
pub(super) mod tests;
