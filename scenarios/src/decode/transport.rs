//! The transport of migrations and the TCP of everything: partial settings over what is around them.

use longhaul_core::units::ByteSize;
use longhaul_tcp::Config;

use crate::schema::{Controller, Tcp, Transport};

use super::context::{At, Context, Fields, Variant, no_content, variant};
use super::queue::class_number;
use super::value;

/// What a scenario that says nothing gets.
///
/// The buffers are what Linux grows a connection to by default: `tcp_wmem` ends at 4 MiB, and half of the
/// 6 MiB at which `tcp_rmem` ends is offered as a window. Little waits unsent in each connection, so that a
/// fast one takes more and the last pages of a migration do not queue behind megabytes.
pub const DEFAULT: Transport = Transport {
    streams: 16,
    chunk: ByteSize::from_kib(256),
    window: ByteSize::from_mib(256),
    tcp: Tcp {
        controller: Controller::Cubic,
        send_buffer: ByteSize::from_mib(4),
        notsent_lowat: ByteSize::from_kib(128),
        receive_buffer: ByteSize::from_mib(3),
        autotuning: true,
        ecn: false,
        class: 0,
        initial_window: 10,
        hystart: true,
        segmentation_offload: false,
    },
};

/// Most TCP connections of one migration or transfer.
pub const MOST_STREAMS: u64 = 256;

/// Least and most of a socket buffer: Linux refuses less, and window scaling (RFC 7323, section 2.3) cannot
/// offer more.
const BUFFER: (ByteSize, ByteSize) = (ByteSize::from_kib(4), ByteSize::from_mib(1024));

/// A transport; what it does not say is as in `base`.
pub fn transport(cx: &mut Context, at: &At, base: Transport) -> Option<Transport> {
    let fields = Fields::of(
        cx,
        at,
        "a transport",
        None,
        &["streams", "chunk", "window", "tcp"],
    )?;
    let streams = fields.optional(cx, "streams", base.streams, streams);
    let chunk = fields.optional(cx, "chunk", base.chunk, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_kib(1), &ByteSize::from_mib(16))
    });
    let window = fields.optional(cx, "window", base.window, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_kib(1), &ByteSize::from_mib(16 << 10))
    });
    let tcp = fields.optional(cx, "tcp", base.tcp, |cx, at| tcp(cx, at, base.tcp));
    let (streams, chunk, window, tcp) = (streams?, chunk?, window?, tcp?);
    if window < chunk {
        let at = fields
            .get("window")
            .or_else(|| fields.get("chunk"))
            .unwrap_or_else(|| at.clone());
        return cx.refuse(
            &at,
            format!("a window of {window} is smaller than one chunk of {chunk}"),
        );
    }
    Some(Transport {
        streams,
        chunk,
        window,
        tcp,
    })
}

/// A number of connections.
pub fn streams(cx: &mut Context, at: &At) -> Option<u32> {
    let streams = value::integer(cx, at, 1, MOST_STREAMS)?;
    Some(u32::try_from(streams).expect("at most 256"))
}

/// TCP settings; what they do not say is as in `base`.
pub fn tcp(cx: &mut Context, at: &At, base: Tcp) -> Option<Tcp> {
    let known = [
        "controller",
        "send_buffer",
        "notsent_lowat",
        "receive_buffer",
        "autotuning",
        "ecn",
        "class",
        "initial_window",
        "hystart",
        "segmentation_offload",
    ];
    let fields = Fields::of(cx, at, "tcp", None, &known)?;
    let buffer = |cx: &mut Context, at: &At| value::quantity_within(cx, at, &BUFFER.0, &BUFFER.1);
    let controller = fields.optional(cx, "controller", base.controller, controller);
    let send_buffer = fields.optional(cx, "send_buffer", base.send_buffer, buffer);
    let notsent_lowat = fields.optional(cx, "notsent_lowat", base.notsent_lowat, buffer);
    let receive_buffer = fields.optional(cx, "receive_buffer", base.receive_buffer, buffer);
    let autotuning = fields.optional(cx, "autotuning", base.autotuning, value::boolean);
    let ecn = fields.optional(cx, "ecn", base.ecn, value::boolean);
    let class = fields.optional(cx, "class", base.class, class_number);
    let initial_window = fields.optional(cx, "initial_window", base.initial_window, initial_window);
    let hystart = fields.optional(cx, "hystart", base.hystart, value::boolean);
    let segmentation_offload = fields.optional(
        cx,
        "segmentation_offload",
        base.segmentation_offload,
        value::boolean,
    );
    Some(Tcp {
        controller: controller?,
        send_buffer: send_buffer?,
        notsent_lowat: notsent_lowat?,
        receive_buffer: receive_buffer?,
        autotuning: autotuning?,
        ecn: ecn?,
        class: class?,
        initial_window: initial_window?,
        hystart: hystart?,
        segmentation_offload: segmentation_offload?,
    })
}

/// Segments that may be in flight before the first ACK.
fn initial_window(cx: &mut Context, at: &At) -> Option<u32> {
    let range = Config::INITIAL_WINDOW;
    let segments = value::integer(cx, at, u64::from(*range.start()), u64::from(*range.end()))?;
    Some(u32::try_from(segments).expect("within a range of u32"))
}

fn controller(cx: &mut Context, at: &At) -> Option<Controller> {
    let variants = [
        Variant {
            name: "Reno",
            form: "Reno",
        },
        Variant {
            name: "Cubic",
            form: "Cubic",
        },
        Variant {
            name: "Bbr",
            form: "Bbr",
        },
    ];
    let name = variant(cx, at, "a congestion controller", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "Reno" => Controller::Reno,
        "Cubic" => Controller::Cubic,
        _ => Controller::Bbr,
    })
}
