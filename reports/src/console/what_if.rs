//! What `longhaul what-if` found.

use longhaul_core::what_if::{ImpactRecord, WhatIfRecord};

use super::{Page, Style};
use crate::human::{self, MISSING, printable};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// The whole network and its worst failures, at most `most` of them.
pub fn what_if(record: &WhatIfRecord, most: usize, style: Style) -> String {
    let mut page = Page::new(style);
    let demands = format!(
        "{} demands of {} in all, over routes of least {}, in equal parts where routes are equally good.",
        human::count(record.demands),
        human::rate(record.demand_bits_per_s),
        printable(&record.metric),
    );
    page.wrapped(&demands, 0);
    let whole = match &record.whole.busiest {
        None => "Without a failure no link carries anything.".to_owned(),
        Some(busiest) => format!(
            "Without a failure the busiest link is {}, at {} of its rate.",
            printable(busiest),
            percent(record.whole.utilisation_ppm)
        ),
    };
    page.wrapped(&whole, 0);
    let best = match &record.optimum {
        None => "How well the demands could be spread is not known: not all have a way.".to_owned(),
        Some(best) => format!(
            "The best spreading over all paths needs {} ({}; no spreading needs less than {}).",
            percent(best.utilisation_ppm),
            printable(&best.method),
            percent(best.bound_ppm)
        ),
    };
    page.wrapped(&best, 0);
    let unrouted = record
        .after
        .iter()
        .filter(|it| it.unrouted_bits_per_s > 0)
        .count();
    let overloaded = record
        .after
        .iter()
        .filter(|it| it.utilisation_ppm > 1_000_000)
        .count();
    let at_once = if record.at_once == 1 {
        "alone"
    } else {
        "alone or two at once"
    };
    let summary = format!(
        "{} links fail {at_once}: {} cases. In {} of them some demand has no way, in {} a link is offered more than it carries.",
        human::count(record.failures),
        human::count(record.after.len() as u64),
        human::count(unrouted as u64),
        human::count(overloaded as u64)
    );
    page.wrapped(&summary, 0);
    let shown = record.after.len().min(most);
    let title = if shown == record.after.len() {
        "Failures".to_owned()
    } else {
        format!("Failures, the worst {shown}")
    };
    page.table(&title, &failures(&record.after[..shown]), &[]);
    page.text
}

fn failures(impacts: &[ImpactRecord]) -> Table {
    let row = |it: &ImpactRecord| {
        let unrouted = match it.unrouted_bits_per_s {
            0 => MISSING.to_owned(),
            rate => human::rate(rate),
        };
        let names: Vec<String> = it.down.iter().map(|name| printable(name)).collect();
        vec![
            names.join(", "),
            unrouted,
            percent(it.utilisation_ppm),
            it.busiest
                .as_deref()
                .map_or_else(|| MISSING.to_owned(), printable),
        ]
    };
    Table {
        columns: vec![
            ("down", Left),
            ("without a way", Right),
            ("busiest", Right),
            ("link", Left),
        ],
        name_column: 0,
        rows: impacts.iter().map(row).collect(),
    }
}

/// A utilisation, which may exceed one.
fn percent(ppm: u64) -> String {
    format!("{}.{} %", ppm / 10_000, ppm / 1_000 % 10)
}
