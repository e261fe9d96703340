//! Whether all columns of all tables have names of their own: nobody can read a table in which two are called the same.

use std::collections::BTreeSet;

use longhaul_scenarios::decode::context::{Context, Fields};
use longhaul_scenarios::diagnose::Diagnostic;
use longhaul_scenarios::syntax::Node;

use crate::columns::Column;
use crate::rows::axis_column;
use crate::schema::Sweep;
use crate::{components, plots, rows};

/// Refuses names of axes, uncertain fields and metrics that make two columns of a table the same.
pub fn distinct(cx: &mut Context, fields: &Fields, sweep: &Sweep) -> Option<()> {
    let mut tables = vec![("`results.csv`".to_owned(), rows::columns(sweep))];
    if sweep.over().samples().is_some() {
        tables.push((format!("`{}`", components::FILE), components::columns(sweep)));
    }
    for plot in &sweep.plots {
        let table = format!("the table of the plot `{}`", plot.name);
        tables.push((table, plots::columns_of(sweep, plot)));
    }
    let mut reported = BTreeSet::new();
    for (table, columns) in tables {
        for name in repeated(&columns) {
            // One mistake may show in several tables.
            if reported.insert(name.to_owned()) {
                refuse(cx, fields, sweep, &table, name);
            }
        }
    }
    reported.is_empty().then_some(())
}

/// The names that stand more than once, once each.
fn repeated(columns: &[Column]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let names = columns.iter().map(|column| column.name.as_str());
    let again: BTreeSet<&str> = names.filter(|name| !seen.insert(*name)).collect();
    again.into_iter().collect()
}

/// Says at the axis or uncertain field, or else at the last metric, that would have this column, whose name is the reason.
fn refuse(cx: &mut Context, fields: &Fields, sweep: &Sweep, table: &str, column: &str) {
    let axis = sweep
        .axes()
        .find(|axis| axis_column(&axis.name, axis.kind).name == column);
    let mut uncertain = sweep.uncertain.iter();
    let uncertain = uncertain.find(|field| axis_column(&field.name, field.space.kind()).name == column);
    let (field, name, place) = match (axis, uncertain) {
        (_, Some(field)) => ("uncertain", &field.name, Some(field.place)),
        (Some(axis), None) => ("axes", &axis.name, Some(axis.place)),
        (None, None) => {
            // The columns of a metric begin with its name.
            let mut metrics = sweep.measures.iter().enumerate();
            let of = metrics.rfind(|(_, measure)| column.starts_with(measure.name.as_str()));
            let (index, measure) = of.expect("all other columns have names of their own");
            let items = fields.get("metrics").map(|at| at.node.items());
            let place = items.and_then(|items| items.get(index)).map(Node::head);
            ("metrics", &measure.name, place)
        }
    };
    let message = format!("two columns of {table} would be called `{column}`: `{name}` needs another name");
    cx.sink
        .push(Diagnostic::error(place.unwrap_or_default(), field, message));
}
