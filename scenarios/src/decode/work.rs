//! Transfers.

use longhaul_core::time::Span;
use longhaul_core::units::ByteSize;

use crate::schema::{Amount, Carrier, Transfer, Transport};

use super::context::{At, Context, Fields};
use super::names::reference;
use super::transport::{self, tcp};
use super::{policy, value};

/// The port of HTTPS.
const HTTPS: u16 = 443;
/// Longest call of an application.
const LONGEST_CALL: Span = Span::from_s(1);
/// Largest transfer.
const LARGEST_TRANSFER: ByteSize = ByteSize::from_bytes(1 << 50);

/// A time above zero.
pub fn positive_span(cx: &mut Context, at: &At) -> Option<Span> {
    let span = value::quantity(cx, at)?;
    if span == Span::ZERO {
        return cx.refuse(at, "this time must be above zero");
    }
    Some(span)
}

/// A bulk transfer; what its TCP or transport does not say is as in `base`.
pub fn transfer(cx: &mut Context, at: &At, base: Transport) -> Option<Transfer> {
    let known = [
        "name",
        "from",
        "to",
        "size",
        "duration",
        "at",
        "port",
        "reservation",
        "streams",
        "call_time",
        "tcp",
        "transport",
    ];
    let fields = Fields::of(cx, at, "a transfer", None, &known)?;
    let region = |cx: &mut Context, at: &At| reference(cx, at, "region", |names| &names.regions);
    let name = fields.required(cx, "name", value::name);
    let from = fields.required(cx, "from", region);
    let to = fields.required(cx, "to", region);
    let amount = amount(cx, at, &fields);
    let start = fields.optional(cx, "at", Span::ZERO, value::quantity);
    let port = fields.optional(cx, "port", HTTPS, policy::port);
    let reservation = fields.optional(cx, "reservation", None, reserved);
    let carrier = carrier(cx, &fields, base);
    let (name, from, to, amount) = (name?, from?, to?, amount?);
    let (start, port, reservation, carrier) = (start?, port?, reservation?, carrier?);
    if from == to {
        return cx.refuse(&fields.get("to")?, format!("a transfer from `{from}` to itself"));
    }
    if let (Amount::Size(size), Carrier::Plain { streams, .. }) = (amount, carrier)
        && u64::from(streams) > size.as_bytes()
    {
        return cx.refuse(
            &fields.get("streams")?,
            format!("{streams} streams for {size}: at most one per byte"),
        );
    }
    Some(Transfer {
        name,
        from,
        to,
        amount,
        at: start,
        port,
        reservation,
        carrier,
    })
}

/// A reservation by its name.
pub fn reserved(cx: &mut Context, at: &At) -> Option<Option<String>> {
    reference(cx, at, "reservation", |names| &names.reservations).map(Some)
}

/// AMST if there is a `transport`, otherwise plain connections.
fn carrier(cx: &mut Context, fields: &Fields, base: Transport) -> Option<Carrier> {
    let Some(at) = fields.get("transport") else {
        let streams = fields.optional(cx, "streams", 1, transport::streams);
        let call_time = fields.optional(cx, "call_time", Span::ZERO, |cx, at| {
            value::quantity_within(cx, at, &Span::ZERO, &LONGEST_CALL)
        });
        let tcp = fields.optional(cx, "tcp", base.tcp, |cx, at| tcp(cx, at, base.tcp));
        return Some(Carrier::Plain {
            streams: streams?,
            call_time: call_time?,
            tcp: tcp?,
        });
    };
    for (name, instead) in [
        ("streams", "`transport.streams` says how many"),
        ("tcp", "`transport.tcp` has these settings"),
        ("call_time", "the calls of AMST take no time"),
    ] {
        if let Some(at) = fields.get(name) {
            cx.refuse::<()>(&at, format!("`{name}` is for plain connections; {instead}"));
        }
    }
    transport::transport(cx, &at, base).map(Carrier::Amst)
}

/// Either a size or a duration.
fn amount(cx: &mut Context, at: &At, fields: &Fields) -> Option<Amount> {
    let timed = fields.get("duration").is_some();
    if timed && let Some(size) = fields.get("size") {
        return cx.refuse(&size, "a transfer has a `size` or a `duration`, not both");
    }
    if timed {
        return fields
            .required(cx, "duration", positive_span)
            .map(Amount::Duration);
    }
    if fields.get("size").is_none() {
        return cx.refuse(at, "a transfer needs a `size` or a `duration`");
    }
    let size = |cx: &mut Context, at: &At| {
        value::quantity_within(cx, at, &ByteSize::from_bytes(1), &LARGEST_TRANSFER)
    };
    fields.required(cx, "size", size).map(Amount::Size)
}
