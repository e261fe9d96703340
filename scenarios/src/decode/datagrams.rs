//! Streams of datagrams.

use longhaul_core::time::Span;
use longhaul_core::units::ByteSize;
use longhaul_stream::wire::COUNT_MAX;

use crate::schema::DatagramStream;

use super::context::{At, Context, Fields};
use super::network::region_name;
use super::work::{positive_span, reserved};
use super::{policy, value};

/// The port of SIP, near which calls are.
const PORT: u16 = 5_060;
/// 20 ms of G.711.
const INTERVAL: Span = Span::from_ms(20);
const PAYLOAD: ByteSize = ByteSize::from_bytes(160);

/// A stream of datagrams.
pub fn datagrams(cx: &mut Context, at: &At) -> Option<DatagramStream> {
    let known = [
        "name",
        "from",
        "to",
        "at",
        "duration",
        "interval",
        "payload",
        "port",
        "class",
        "reservation",
    ];
    let fields = Fields::of(cx, at, "a stream of datagrams", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let from = fields.required(cx, "from", region_name);
    let to = fields.required(cx, "to", region_name);
    let start = fields.optional(cx, "at", Span::ZERO, value::quantity);
    let duration = fields.required(cx, "duration", positive_span);
    let interval = fields.optional(cx, "interval", INTERVAL, |cx, at| {
        value::quantity_within(cx, at, &Span::from_ns(1_000), &Span::from_s(60))
    });
    let payload = fields.optional(cx, "payload", PAYLOAD, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_bytes(16), &ByteSize::from_bytes(1_400))
    });
    let port = fields.optional(cx, "port", PORT, policy::port);
    let reservation = fields.optional(cx, "reservation", None, reserved);
    let class = fields.optional(cx, "class", 0, |cx, at| value::integer(cx, at, 0, 255));
    let (name, from, to, duration, interval) = (name?, from?, to?, duration?, interval?);
    let stream = DatagramStream {
        name,
        from,
        to,
        at: start?,
        duration,
        interval,
        payload_bytes: u32::try_from(payload?.as_bytes()).expect("at most 1,400"),
        port: port?,
        reservation: reservation?,
        class: u8::try_from(class?).expect("at most 255"),
    };
    if stream.from == stream.to {
        return cx.refuse(
            &fields.get("to")?,
            format!("a stream from `{}` to itself", stream.from),
        );
    }
    let count = duration.as_ns().div_ceil(interval.as_ns());
    if count > u64::from(COUNT_MAX) {
        let message = format!("{count} datagrams: at most {COUNT_MAX}");
        return cx.refuse(&fields.get("duration")?, message);
    }
    Some(stream)
}
