//! The table of streams of datagrams.

use longhaul_core::record::DatagramRecord;

use super::tables::{or_missing, route, state};
use crate::human::{self, printable};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// One row per stream.
pub(super) fn datagrams(streams: &[DatagramRecord]) -> Table {
    let row = |stream: &DatagramRecord| {
        let delay = stream.delay.as_ref();
        vec![
            state(&stream.progress).to_owned(),
            printable(&stream.name),
            route(&stream.from, &stream.to),
            human::count(stream.sent),
            human::share(stream.lost, stream.sent.max(1)),
            or_missing(stream.longest_gap_ns.map(human::span)),
            human::span(stream.jitter_ns),
            or_missing(delay.map(|delay| human::span(delay.median_ns))),
            or_missing(delay.map(|delay| human::span(delay.p99_ns))),
            or_missing(
                stream
                    .mos_thousandths
                    .map(|mos| format!("{:.2}", mos as f64 / 1e3)),
            ),
        ]
    };
    Table {
        columns: vec![
            ("state", Left),
            ("name", Left),
            ("route", Left),
            ("sent", Right),
            ("lost", Right),
            ("gap", Right),
            ("jitter", Right),
            ("delay", Right),
            ("p99", Right),
            ("MOS", Right),
        ],
        name_column: 1,
        rows: streams.iter().map(row).collect(),
    }
}
