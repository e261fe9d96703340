//! How many runs, and which margins, where a scenario does not say.

use std::collections::BTreeSet;

use longhaul_core::units::Probability;
use longhaul_net::background::Arrivals;

use crate::check;
use crate::metric::Subject;
use crate::run::cast::source_region;
use crate::schema::{Link, Loss, MILLIONTHS, Margin, Metric, Rate, Replay, Scenario, Scope, Value, Within};

/// Runs on the real kernel.
pub const REPLICATIONS: u32 = 10;
/// Simulated runs: they cost little, and the more there are the less chance is in their median.
pub const SIMULATIONS: u32 = 30;

/// How the replay of a scenario is judged, with every default filled in. The margins without a declaration:
/// completion time of transfers 5 %, of a scenario with random laws 12 %; bytes on the wire of each link that carries data 3 %; total time
/// of migrations 10 %, their rounds ± 1, and as many of them successful; of replications 10 % of the time of their
/// first epochs and of the greatest age of the newest one, and as many of them successful; of federations 10 % of the
/// median latency of commits and of updates and of the bytes on the streams, and as many of them successful.
pub fn settings(scenario: &Scenario) -> Replay {
    let mut settings = scenario.replay.clone().unwrap_or(Replay {
        replications: REPLICATIONS,
        simulations: SIMULATIONS,
        margins: Vec::new(),
    });
    if settings.margins.is_empty() {
        settings.margins = default_margins(scenario);
    }
    settings
}

fn default_margins(scenario: &Scenario) -> Vec<Margin> {
    let percent = |percent: u64| {
        let share = Probability::from_ratio(percent, 100);
        Within::Relative(share.expect("less than all"))
    };
    let number = |number: u64| Within::Absolute(Value::Number(number * MILLIONTHS));
    let time = percent(if is_random(scenario) { 12 } else { 5 });
    let all = [
        (Metric::TransferCompletionTime, time),
        (Metric::MigrationTotalTime, percent(10)),
        (Metric::MigrationDirtySyncCount, number(1)),
        (Metric::MigrationSuccess, number(0)),
        (Metric::ReplicationSeedTime, percent(10)),
        (Metric::ReplicationRpoMax, percent(10)),
        (Metric::ReplicationSuccess, number(0)),
        (Metric::FederationCommitLatencyMedian, percent(10)),
        (Metric::FederationPropagationMedian, percent(10)),
        (Metric::FederationSent, percent(10)),
        (Metric::FederationSuccess, number(0)),
    ];
    let federations = &scenario.federations;
    let has_subject = |metric: Metric| match metric.subject() {
        Subject::Federation if metric == Metric::FederationCommitLatencyMedian => {
            federations.iter().any(|federation| federation.commands.is_some())
        }
        Subject::Federation if metric == Metric::FederationPropagationMedian => {
            federations.iter().any(|federation| federation.state.is_some())
        }
        Subject::Migration => !scenario.migrations.is_empty(),
        Subject::Transfer => !scenario.transfers.is_empty(),
        Subject::Replication => !scenario.replications.is_empty(),
        Subject::Federation => !federations.is_empty(),
        // A scenario with one is not replayed.
        Subject::Overlay
        | Subject::Datagrams
        | Subject::Reservation
        | Subject::Demand
        | Subject::Route
        | Subject::Service
        | Subject::Client => false,
        Subject::Link => true,
    };
    let carriers = carriers(scenario).into_iter().map(|name| Margin {
        metric: Metric::LinkDelivered,
        scope: Scope::Only(name),
        within: percent(3),
    });
    all.into_iter()
        .filter(|(metric, _)| has_subject(*metric))
        .map(|(metric, within)| Margin {
            metric,
            scope: Scope::All,
            within,
        })
        .chain(carriers)
        .collect()
}

/// The links that data takes before anything changes. The others carry acknowledgements, of which Linux
/// sends more than are simulated: it does not wait at the end of a burst or a write.
fn carriers(scenario: &Scenario) -> BTreeSet<String> {
    let graph = check::graph(scenario.regions.iter(), scenario.links.iter(), scenario.routing);
    let graph = graph.expect("the check found no contradiction");
    let moves = scenario.migrations.iter().enumerate();
    let moves = moves.map(|(index, migration)| (scenario.origin(index), migration.to.as_str()));
    let copies = scenario.replications.iter().map(|replication| {
        let region = source_region(scenario, replication);
        (region.as_str(), replication.to.as_str())
    });
    let transfers = scenario
        .transfers
        .iter()
        .map(|transfer| (transfer.from.as_str(), transfer.to.as_str()));
    moves
        .chain(copies)
        .chain(transfers)
        .filter_map(|(from, to)| check::route(&graph, from, to))
        .flat_map(|route| route.links)
        .map(|link| scenario.links[link.0 as usize].name())
        .collect()
}

/// Whether runs of different seeds meet different networks.
pub fn is_random(scenario: &Scenario) -> bool {
    scenario.links.iter().any(|link: &Link| {
        let crowd = link
            .background
            .is_some_and(|background| !matches!(background.arrivals, Arrivals::Constant));
        link.loss != Loss::None
            || link.jitter != crate::schema::Jitter::None
            || link.duplicate != Probability::ZERO
            || link.corrupt != Probability::ZERO
            || matches!(link.rate, Rate::Poisson(_))
            || link
                .changes
                .iter()
                .any(|step| step.loss.is_some_and(|loss| loss != Loss::None))
            || crowd
    })
}

/// The margin of one metric of one entity: a declaration by name comes before one for all.
pub fn margin_of<'s>(margins: &'s [Margin], metric: Metric, entity: &str) -> Option<&'s Margin> {
    let named = margins
        .iter()
        .find(|m| m.metric == metric && m.scope == Scope::Only(entity.to_owned()));
    named.or_else(|| {
        margins
            .iter()
            .find(|m| m.metric == metric && m.scope == Scope::All)
    })
}
