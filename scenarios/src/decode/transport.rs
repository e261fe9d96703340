//! The transport of migrations and the TCP of everything: partial settings over what is around them.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize};
use longhaul_tcp::Config;

use crate::schema::{Chunk, Controller, Streams, Tcp, Transport};
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, content, no_content, variant};
use super::queue::class_number;
use super::value;

/// What a scenario that says nothing gets.
///
/// The buffers are what Linux grows a connection to by default: `tcp_wmem` ends at 4 MiB, and half of the
/// 6 MiB at which `tcp_rmem` ends is offered as a window. Little waits unsent in each connection, so that a
/// fast one takes more and the last pages of a migration do not queue behind megabytes.
pub const DEFAULT: Transport = Transport {
    streams: Streams::Fixed(16),
    chunk: Chunk::Fixed(ByteSize::from_kib(256)),
    window: ByteSize::from_mib(256),
    patience: longhaul_amst::SenderOptions::PATIENCE,
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
pub const MOST_STREAMS: u64 = longhaul_amst::MAX_STREAMS as u64;

/// What an adaptive number is where the scenario does not say: it begins with a few, and on a full path keeps to as many.
const INITIAL: u32 = 16;
const CONTENDING: u32 = 4;

/// Longest patience: TCP itself gives up after about a quarter of an hour.
const LONGEST_PATIENCE: Span = Span::from_s(3_600);

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
        &["streams", "chunk", "window", "patience", "tcp"],
    )?;
    let streams = fields.optional(cx, "streams", base.streams, stream_policy);
    let chunk = fields.optional(cx, "chunk", base.chunk, chunk);
    let window = fields.optional(cx, "window", base.window, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_kib(1), &ByteSize::from_mib(16 << 10))
    });
    let patience = fields.optional(cx, "patience", base.patience, |cx, at| {
        value::quantity_within(cx, at, &Span::ZERO, &LONGEST_PATIENCE)
    });
    let tcp = fields.optional(cx, "tcp", base.tcp, |cx, at| tcp(cx, at, base.tcp));
    let (streams, chunk, window) = (streams?, chunk?, window?);
    let (patience, tcp) = (patience?, tcp?);
    let (least, whose) = match chunk {
        Chunk::Fixed(chunk) => (chunk, "one chunk of"),
        Chunk::Adaptive => (LEAST_ADAPTIVE_WINDOW, "what adaptive chunks need,"),
    };
    if window < least {
        let at = fields
            .get("window")
            .or_else(|| fields.get("chunk"))
            .unwrap_or_else(|| at.clone());
        let message = format!("a window of {window} is smaller than {whose} {least}");
        return cx.refuse(&at, message);
    }
    Some(Transport {
        streams,
        chunk,
        window,
        patience,
        tcp,
    })
}

/// Room for the largest chunk that an adaptive size reaches, with its header.
const LEAST_ADAPTIVE_WINDOW: ByteSize = ByteSize::from_mib(2);

/// How many connections: a number, or a rule.
fn stream_policy(cx: &mut Context, at: &At) -> Option<Streams> {
    if matches!(at.node.kind, Kind::Number(_)) {
        return streams(cx, at).map(Streams::Fixed);
    }
    let variants = [
        Variant {
            name: "Adaptive",
            form: "Adaptive(initial: 16, most: 256, contending: 4)",
        },
        Variant {
            name: "SpecRule",
            form: "SpecRule(\"1 Gbit/s\")",
        },
        Variant {
            name: "SeedOptimiser",
            form: "SeedOptimiser",
        },
    ];
    let name = variant(cx, at, "a number of connections or a rule for it", &variants)?;
    match name {
        "Adaptive" => adaptive(cx, at),
        "SpecRule" => {
            let at = content(cx, at, variants[1].form)?;
            let rate: BitRate = value::quantity(cx, &at)?;
            if rate.as_bits_per_s() == 0 {
                return cx.refuse(&at, "this rate must be above zero");
            }
            Some(Streams::SpecRule(rate))
        }
        _ => no_content(cx, at).map(|()| Streams::SeedOptimiser),
    }
}

/// As many as pay; what is not said is as usual, as far as there may be so many.
fn adaptive(cx: &mut Context, at: &At) -> Option<Streams> {
    let most = longhaul_amst::MAX_STREAMS;
    if matches!(at.node.kind, Kind::Word(_)) {
        return Some(Streams::Adaptive {
            initial: INITIAL,
            most,
            contending: CONTENDING,
        });
    }
    let known = ["initial", "most", "contending"];
    let fields = Fields::of(cx, at, "an adaptive number", Some("Adaptive"), &known)?;
    let most = fields.optional(cx, "most", most, streams)?;
    let at_most = |cx: &mut Context, at: &At| {
        let streams = value::integer(cx, at, 1, u64::from(most))?;
        Some(u32::try_from(streams).expect("at most 256"))
    };
    let initial = fields.optional(cx, "initial", INITIAL.min(most), at_most);
    let contending = fields.optional(cx, "contending", CONTENDING.min(most), at_most);
    Some(Streams::Adaptive {
        initial: initial?,
        most,
        contending: contending?,
    })
}

/// The size of a chunk, or that it is chosen.
fn chunk(cx: &mut Context, at: &At) -> Option<Chunk> {
    if matches!(&at.node.kind, Kind::Word(word) if word == "Adaptive") {
        return Some(Chunk::Adaptive);
    }
    let size = value::quantity_within(cx, at, &ByteSize::from_kib(1), &ByteSize::from_mib(16))?;
    Some(Chunk::Fixed(size))
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
