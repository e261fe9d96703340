//! The table of routes that a controller installs.

use longhaul_core::record::RouteRecord;

use super::tables::route;
use crate::human;
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// One row per pair of regions.
pub(super) fn routes(routes: &[RouteRecord]) -> Table {
    let row = |r: &RouteRecord| {
        vec![
            route(&r.from, &r.to),
            r.failovers.to_string(),
            r.reroutes.to_string(),
            r.losses.to_string(),
            human::span(r.without_route_ns),
        ]
    };
    Table {
        columns: vec![
            ("routes", Left),
            ("failed over", Right),
            ("moved", Right),
            ("lost", Right),
            ("without one", Right),
        ],
        name_column: 0,
        rows: routes.iter().map(row).collect(),
    }
}
