//! The table of reservations and the remarks under it.

use longhaul_core::record::{ReservationOutcome, ReservationRecord};

use super::Note;
use super::tables::route;
use crate::human::{self, MISSING, printable};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// One row per reservation.
pub(super) fn reservations(reservations: &[ReservationRecord]) -> Table {
    let row = |r: &ReservationRecord| {
        let outcome = match r.outcome {
            ReservationOutcome::NotRequested => "not asked",
            ReservationOutcome::Admitted => "admitted",
            ReservationOutcome::Refused => "refused",
            ReservationOutcome::Displaced => "displaced",
        };
        let hops = match r.path.len() {
            0 => MISSING.to_owned(),
            hops => human::count(hops as u64),
        };
        vec![
            outcome.to_owned(),
            printable(&r.name),
            route(&r.from, &r.to),
            human::rate(r.rate_bits_per_s),
            human::count(r.priority.into()),
            human::span(r.start_ns),
            human::span(r.end_ns),
            hops,
            human::span(r.held_ns),
        ]
    };
    Table {
        columns: vec![
            ("outcome", Left),
            ("name", Left),
            ("route", Left),
            ("rate", Right),
            ("priority", Right),
            ("start", Right),
            ("end", Right),
            ("hops", Right),
            ("held", Right),
        ],
        name_column: 1,
        rows: reservations.iter().map(row).collect(),
    }
}

/// Why some are not in force.
pub(super) fn reservation_notes(reservations: &[ReservationRecord]) -> Vec<Note> {
    let note = |r: &ReservationRecord| {
        let reason = r.reason.as_ref()?;
        Some(Note {
            status: "reservation",
            text: format!("{}: {}", printable(&r.name), printable(reason)),
        })
    };
    reservations.iter().filter_map(note).collect()
}
