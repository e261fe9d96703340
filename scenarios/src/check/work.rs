//! Migrations, transfers and assertions against the rest of the scenario.

use std::collections::BTreeMap;

use longhaul_core::time::Span;

use crate::decode::{Decoded, Items};
use crate::metric::Subject;
use crate::schema::{Demand, Link, Margin, Metric, Migration, Scope, Start, pairs, whereabouts};
use crate::suggest;

use super::Report;

/// Where VMs are, who waits for whom, and what starts too late.
pub fn migrations(decoded: &Decoded, report: &mut Report) {
    let migrations = &decoded.migrations.good;
    for (position, (index, migration)) in migrations.iter().enumerate() {
        let moves_it = |(_, other): &&(usize, Migration)| other.vm == migration.vm;
        let before = &migrations[..position];
        if let Some((last, brought_by)) = before.iter().rfind(moves_it)
            && !waits_for(migrations, migration, &brought_by.name)
        {
            let error = report.at(
                &format!("migrations[{index}].vm"),
                format!(
                    "`{}` migrates again, so this has to wait: `start: After(migration: \"{}\")`",
                    migration.vm, brought_by.name
                ),
            );
            let first = crate::path::locate(report.root, &format!("migrations[{last}].vm"));
            report.sink.push(error.related(first, "here before"));
        }
        if let Some((_, vm)) = decoded.vms.good.iter().find(|(_, vm)| vm.name == migration.vm) {
            let here = whereabouts(vm, before.iter().map(|(_, migration)| migration));
            if here == migration.to {
                let path = format!("migrations[{index}].to");
                report.error(&path, format!("`{}` already runs in `{here}`", vm.name));
            }
        }
        let (start, field) = match migration.start {
            Start::At(at) => (at, "start"),
            Start::After { pause, .. } => (pause, "start.pause"),
        };
        starts_in_time(decoded, start, &format!("migrations[{index}].{field}"), report);
    }
    cycles(migrations, report);
}

/// Whether a migration starts only after the one of that name, or another that does.
fn waits_for(migrations: &[(usize, Migration)], waiting: &Migration, name: &str) -> bool {
    let mut here = Some(waiting);
    // In a circle there is no end.
    for _ in migrations {
        let Some(Start::After {
            migration: before, ..
        }) = here.map(|migration| &migration.start)
        else {
            return false;
        };
        if before == name {
            return true;
        }
        let found = migrations.iter().find(|(_, migration)| migration.name == *before);
        here = found.map(|(_, migration)| migration);
    }
    false
}

/// Reports each circle of migrations that wait for each other once, at its first member in the file.
fn cycles(migrations: &[(usize, Migration)], report: &mut Report) {
    let before: BTreeMap<&str, &str> = migrations
        .iter()
        .filter_map(|(_, migration)| match &migration.start {
            Start::After {
                migration: before, ..
            } => Some((migration.name.as_str(), before.as_str())),
            Start::At(_) => None,
        })
        .collect();
    let mut reported: Vec<&str> = Vec::new();
    for (index, migration) in migrations {
        let first = migration.name.as_str();
        if reported.contains(&first) {
            continue;
        }
        let mut circle = vec![first];
        let mut here = before.get(first).copied();
        // A chain that never comes back here has an end, or leads into a circle of others.
        while let Some(next) = here.filter(|next| *next != first && circle.len() <= before.len()) {
            circle.push(next);
            here = before.get(next).copied();
        }
        if here == Some(first) {
            let path = format!("migrations[{index}].start.migration");
            circle.push(first);
            let message = format!("these migrations wait for each other: {}", circle.join(" after "));
            report.error(&path, message);
            reported.extend(circle);
        }
    }
}

/// What starts too late.
pub fn transfers(decoded: &Decoded, report: &mut Report) {
    for (index, transfer) in &decoded.transfers.good {
        starts_in_time(decoded, transfer.at, &format!("transfers[{index}].at"), report);
    }
}

/// Streams that start too late.
pub fn datagrams(decoded: &Decoded, report: &mut Report) {
    for (index, stream) in &decoded.datagrams.good {
        starts_in_time(decoded, stream.at, &format!("datagrams[{index}].at"), report);
    }
}

/// What starts at or after the end of the run never does.
pub fn starts_in_time(decoded: &Decoded, start: Span, path: &str, report: &mut Report) {
    if let Some(horizon) = decoded.horizon
        && start >= horizon
    {
        report.error(path, format!("never starts: the run ends at {horizon}"));
    }
}

/// Every assertion, every abort condition and every margin of a replay needs something that gives it samples.
pub fn assertions(decoded: &Decoded, report: &mut Report) {
    for (index, assertion) in &decoded.assertions.good {
        let path = format!("assertions[{index}]");
        has_subject(decoded, assertion.metric, &assertion.scope, &path, report);
    }
    for (index, condition) in &decoded.abort_when.good {
        let path = format!("abort_when[{index}]");
        has_subject(decoded, condition.metric, &condition.scope, &path, report);
        if let Some(horizon) = decoded.horizon
            && condition.lasting >= horizon
        {
            let message = format!("never so long: the run ends at {horizon}");
            report.error(&format!("{path}.for"), message);
        }
    }
    let replay = decoded.replay.iter().flatten();
    let margins: Vec<&Margin> = replay.flat_map(|replay| &replay.margins).collect();
    for (index, margin) in margins.iter().enumerate() {
        let path = format!("replay.margins[{index}]");
        has_subject(decoded, margin.metric, &margin.scope, &path, report);
        let same = |other: &&&Margin| (other.metric, &other.scope) == (margin.metric, &margin.scope);
        if margins[..index].iter().any(|other| same(&other)) {
            report.error(&path, "this metric has a margin of the same scope already");
        }
    }
}

/// The metric of the item at `path` needs something in its scope.
fn has_subject(decoded: &Decoded, metric: Metric, scope: &Scope, path: &str, report: &mut Report) {
    /// The names of items, and whether all items are good.
    fn of<T>(items: &Items<T>, name: impl Fn(&T) -> String) -> (Vec<String>, bool) {
        let names = items.good.iter().map(|(_, item)| name(item));
        (names.collect(), items.complete)
    }
    let subject = metric.subject();
    let what = subject.noun();
    let (names, complete) = match subject {
        Subject::Migration => of(&decoded.migrations, |it| it.name.clone()),
        Subject::Transfer => of(&decoded.transfers, |it| it.name.clone()),
        Subject::Replication => of(&decoded.replications, |it| it.name.clone()),
        Subject::Federation => of(&decoded.federations, |it| it.name.clone()),
        Subject::Datagrams => of(&decoded.datagrams, |it| it.name.clone()),
        Subject::Reservation => of(&decoded.reservations, |it| it.name.clone()),
        Subject::Service => of(&decoded.services, |it| it.name.clone()),
        Subject::Client => of(&decoded.clients, |it| it.name.clone()),
        Subject::Demand => of(&decoded.demands, Demand::name),
        Subject::Route => {
            let controlled = decoded.route_control.flatten().is_some();
            let regions = decoded.regions.good.iter().map(|(_, it)| it);
            let names = pairs(regions.filter(|_| controlled));
            (names, decoded.regions.complete)
        }
        Subject::Overlay => of(&decoded.overlays, |it| it.name.clone()),
        Subject::Link => of(&decoded.links, Link::name),
    };
    if !complete {
        return;
    }
    if names.is_empty() {
        let message = format!("nothing gives this metric a value: there is no {what}");
        report.error(&format!("{path}.metric"), message);
    } else if let Scope::Only(name) = scope
        && !names.contains(name)
    {
        let mut error = report.at(&format!("{path}.scope"), format!("no {what} is named `{name}`"));
        if !report.sink.is_full() {
            error.help = suggest::help(name, names.iter().map(String::as_str));
        }
        report.sink.push(error);
    }
}
