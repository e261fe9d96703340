//! How far apart two regions are: as written, from their coordinates, or from a table of measured round trips.

use longhaul_core::time::Span;
use longhaul_net::rtt::RttTable;

use crate::check::coordinates;
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, content, variant};
use super::value::{self, MILLION};

/// Least and most times that a route may be longer than a straight fibre, in millionths.
const DETOUR: (i64, i64) = (MILLION, 100 * MILLION);
/// Millionths in a percent.
const PERCENT: i64 = MILLION / 100;

const VARIANTS: [Variant; 2] = [
    Variant {
        name: "Fibre",
        form: "Fibre(1.8)",
    },
    Variant {
        name: "Measured",
        form: "Measured(file: \"rtt.csv\")",
    },
];

/// A time, whatever lies at its ends: to find its own mistakes if the ends are unknown.
pub fn written(cx: &mut Context, at: &At, most: &Span) -> Option<Span> {
    if is_variant(at) {
        variant(cx, at, "a time", &VARIANTS)?;
        return None;
    }
    value::quantity_within(cx, at, &Span::ZERO, most)
}

/// The delay from one region to another.
pub fn one_way(cx: &mut Context, at: &At, from: &str, to: &str, most: &Span) -> Option<Span> {
    if !is_variant(at) {
        return written(cx, at, most);
    }
    match variant(cx, at, "a delay", &VARIANTS)? {
        "Fibre" => fibre(cx, at, from, to),
        // Half a round trip, rounded down.
        _ => measured(cx, at, from, to).map(|round_trip| round_trip / 2),
    }
}

/// The time from one region to another and back.
pub fn round_trip(cx: &mut Context, at: &At, first: &str, second: &str, most: &Span) -> Option<Span> {
    if !is_variant(at) {
        return written(cx, at, most);
    }
    match variant(cx, at, "a round trip", &VARIANTS)? {
        "Fibre" => fibre(cx, at, first, second).map(|delay| delay * 2),
        _ => measured(cx, at, first, second),
    }
}

fn is_variant(at: &At) -> bool {
    matches!(at.node.kind, Kind::Struct(Some(_), _) | Kind::Tuple(Some(_), _))
}

/// Light in a fibre that is so many times longer than the great circle.
fn fibre(cx: &mut Context, at: &At, from: &str, to: &str) -> Option<Span> {
    let inner = content(cx, at, VARIANTS[0].form)?;
    let detour = value::millionths(cx, &inner, DETOUR.0, DETOUR.1)?;
    if detour % PERCENT != 0 {
        return cx.refuse(&inner, "a detour has at most two decimals");
    }
    let percent = u32::try_from(detour / PERCENT).expect("at most 10,000");
    let location = |name: &str| cx.locations.get(name).copied();
    match (location(from), location(to)) {
        (Some(from), Some(to)) => Some(coordinates(from).route_delay(coordinates(to), percent)),
        (known, _) => {
            let unknown = if known.is_some() { to } else { from };
            cx.refuse(at, format!("`{unknown}` has no location to measure from"))
        }
    }
}

/// A cell of a matrix in a file; rows and columns are called as the regions, unless said otherwise.
fn measured(cx: &mut Context, at: &At, from: &str, to: &str) -> Option<Span> {
    let fields = Fields::of(
        cx,
        at,
        "a measured round trip",
        Some("Measured"),
        &["file", "from", "to"],
    )?;
    let file_at = fields.get("file");
    let file = fields.required(cx, "file", value::sentence);
    let from = fields.optional(cx, "from", from.to_owned(), value::sentence);
    let to = fields.optional(cx, "to", to.to_owned(), value::sentence);
    let (file, from, to) = (file?, from?, to?);
    let table = match cx.files.round_trips(&file) {
        Ok(table) => table,
        Err(reason) => return cx.refuse(&file_at?, reason),
    };
    match round_trip_in(table, &from, &to) {
        Some(round_trip) => Some(round_trip),
        None => cx.refuse(at, format!("{file} has no round trip from `{from}` to `{to}`")),
    }
}

/// In the direction that was asked for, else in the other.
fn round_trip_in(table: &RttTable, from: &str, to: &str) -> Option<Span> {
    table.round_trip(from, to).or_else(|| table.round_trip(to, from))
}
