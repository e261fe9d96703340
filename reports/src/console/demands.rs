//! The table of demands.

use longhaul_core::record::DemandRecord;

use super::tables::route;
use crate::human::{self, MISSING};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// One row per demand.
pub(super) fn demands(demands: &[DemandRecord]) -> Table {
    let row = |d: &DemandRecord| {
        let arrived = match d.offered_bytes {
            0 => MISSING.to_owned(),
            offered => human::share(d.arrived_bytes, offered),
        };
        vec![
            route(&d.from, &d.to),
            human::rate(d.rate_bits_per_s),
            human::bytes(d.offered_bytes),
            human::bytes(d.arrived_bytes),
            arrived,
        ]
    };
    Table {
        columns: vec![
            ("demand", Left),
            ("rate", Right),
            ("offered", Right),
            ("could arrive", Right),
            ("share", Right),
        ],
        name_column: 0,
        rows: demands.iter().map(row).collect(),
    }
}
