//! Reservations of bandwidth.

use longhaul_core::time::Span;

use crate::schema::Reservation;

use super::context::{At, Context, Fields};
use super::network::{constant_rate, region_name};
use super::value;

/// A reservation.
pub fn reservation(cx: &mut Context, at: &At) -> Option<Reservation> {
    let known = [
        "name",
        "from",
        "to",
        "rate",
        "requested",
        "start",
        "end",
        "priority",
    ];
    let fields = Fields::of(cx, at, "a reservation", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let from = fields.required(cx, "from", region_name);
    let to = fields.required(cx, "to", region_name);
    let rate = fields.required(cx, "rate", constant_rate);
    let requested = fields.optional(cx, "requested", Span::ZERO, value::quantity);
    let start = fields.required(cx, "start", value::quantity);
    let end = fields.required(cx, "end", value::quantity);
    let priority = fields.optional(cx, "priority", 0, |cx, at| value::integer(cx, at, 0, 255));
    let (from, to, requested, start, end): (_, _, Span, Span, Span) = (from?, to?, requested?, start?, end?);
    if from == to {
        return cx.refuse(
            &fields.get("to")?,
            format!("a reservation from `{from}` to itself"),
        );
    }
    if end <= start {
        return cx.refuse(
            &fields.get("end")?,
            format!("a reservation that ends at {end}, not after {start}"),
        );
    }
    if start < requested {
        let message = format!("asked for at {requested}, after it begins at {start}");
        return cx.refuse(&fields.get("requested")?, message);
    }
    Some(Reservation {
        name: name?,
        from,
        to,
        rate: rate?,
        requested,
        start,
        end,
        priority: u8::try_from(priority?).expect("at most 255"),
    })
}
