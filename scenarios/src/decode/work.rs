//! Virtual machines, migrations and transfers.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};

use crate::schema::{
    Amount, Dirty, Encoding, Memory, Migration, Pattern, Start, Tcp, Transfer, Transport, Vm,
};

use super::context::{At, Context, Fields, Variant, content, list, no_content, variant};
use super::names::reference;
use super::transport::{self, tcp};
use super::value;

/// A page of guest memory.
pub const PAGE: u64 = 4096;
/// Largest memory of one VM.
const LARGEST_MEMORY: u64 = 1 << 40;
/// QEMU's MAX_MIGRATE_DOWNTIME (migration/options.h).
const LONGEST_DOWNTIME: Span = Span::from_s(2_000);
/// QEMU's default downtime limit.
const DEFAULT_DOWNTIME: Span = Span::from_ms(300);
/// Longest call of an application.
const LONGEST_CALL: Span = Span::from_s(1);
/// Largest transfer.
const LARGEST_TRANSFER: ByteSize = ByteSize::from_bytes(1 << 50);
/// A guest that does not write.
const IDLE: Dirty = Dirty {
    pages_per_s: 0,
    working_set: Probability::ONE,
    bytes_per_write: ByteSize::from_bytes(64),
};

/// A virtual machine.
pub fn vm(cx: &mut Context, at: &At) -> Option<Vm> {
    let fields = Fields::of(cx, at, "a vm", None, &["name", "region", "memory"])?;
    let name = fields.required(cx, "name", value::name);
    let region = fields.required(cx, "region", |cx, at| {
        reference(cx, at, "region", |names| &names.regions)
    });
    let memory = fields.required(cx, "memory", memory);
    Some(Vm {
        name: name?,
        region: region?,
        memory: memory?,
    })
}

fn memory(cx: &mut Context, at: &At) -> Option<Memory> {
    let variants = [
        Variant {
            name: "Generated",
            form: "Generated(pattern: RealWorld, size: \"4 GiB\", …)",
        },
        Variant {
            name: "Images",
            form: "Images(files: [\"a.img\", \"b.img\"], interval: \"2 s\")",
        },
    ];
    let name = variant(cx, at, "a memory", &variants)?;
    if name == "Generated" {
        let fields = Fields::of(
            cx,
            at,
            "generated memory",
            Some(name),
            &["pattern", "size", "dirty"],
        )?;
        let pattern = fields.required(cx, "pattern", pattern);
        let size = fields.required(cx, "size", memory_size);
        let dirty = fields.optional(cx, "dirty", IDLE, dirty);
        let (pattern, size, dirty) = (pattern?, size?, dirty?);
        let written = u128::from(size.as_bytes() / PAGE) * u128::from(dirty.working_set.as_parts());
        if dirty.pages_per_s > 0 && written < u128::from(Probability::PARTS) {
            let at = fields.get("dirty")?;
            return cx.refuse(
                &at,
                format!(
                    "a working set of {} of {size} is less than one page",
                    dirty.working_set
                ),
            );
        }
        return Some(Memory::Generated { pattern, size, dirty });
    }
    let fields = Fields::of(cx, at, "recorded memory", Some(name), &["files", "interval"])?;
    let files = fields.required(cx, "files", |cx, at| {
        let (files, complete) = list(cx, at, 1_000, |cx, at| {
            let file = value::sentence(cx, at)?;
            if file.contains('\0') {
                return cx.refuse(at, "the name of a file cannot contain NUL");
            }
            Some(file)
        });
        if at.node.items().is_empty() {
            return cx.refuse(at, "at least one image is needed");
        }
        complete.then(|| files.into_iter().map(|(_, file)| file).collect())
    });
    let interval = fields.required(cx, "interval", positive_span);
    Some(Memory::Images {
        files: files?,
        interval: interval?,
    })
}

fn memory_size(cx: &mut Context, at: &At) -> Option<ByteSize> {
    let (least, most) = (ByteSize::from_bytes(PAGE), ByteSize::from_bytes(LARGEST_MEMORY));
    let size = value::quantity_within(cx, at, &least, &most)?;
    if size.as_bytes() % PAGE != 0 {
        return cx.refuse(at, format!("{size} is not a whole number of pages of {least}"));
    }
    Some(size)
}

fn pattern(cx: &mut Context, at: &At) -> Option<Pattern> {
    let variants = [
        Variant {
            name: "RealWorld",
            form: "RealWorld",
        },
        Variant {
            name: "Constant",
            form: "Constant",
        },
        Variant {
            name: "Bursty",
            form: "Bursty",
        },
        Variant {
            name: "Sinusoidal",
            form: "Sinusoidal",
        },
    ];
    let name = variant(cx, at, "a pattern", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "RealWorld" => Pattern::RealWorld,
        "Constant" => Pattern::Constant,
        "Bursty" => Pattern::Bursty,
        _ => Pattern::Sinusoidal,
    })
}

fn dirty(cx: &mut Context, at: &At) -> Option<Dirty> {
    let fields = Fields::of(cx, at, "dirty", None, &["rate", "working_set", "bytes_per_write"])?;
    let pages_per_s = fields.required(cx, "rate", value::pages_per_s);
    let working_set = fields.optional(cx, "working_set", IDLE.working_set, value::quantity);
    let bytes_per_write = fields.optional(cx, "bytes_per_write", IDLE.bytes_per_write, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_bytes(1), &ByteSize::from_bytes(PAGE))
    });
    Some(Dirty {
        pages_per_s: pages_per_s?,
        working_set: working_set?,
        bytes_per_write: bytes_per_write?,
    })
}

/// A time above zero.
pub fn positive_span(cx: &mut Context, at: &At) -> Option<Span> {
    let span = value::quantity(cx, at)?;
    if span == Span::ZERO {
        return cx.refuse(at, "this time must be above zero");
    }
    Some(span)
}

/// A migration; what its transport does not say is as in `base`.
pub fn migration(cx: &mut Context, at: &At, base: Transport) -> Option<Migration> {
    let known = [
        "name",
        "vm",
        "to",
        "start",
        "downtime_limit",
        "encoding",
        "transport",
    ];
    let fields = Fields::of(cx, at, "a migration", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let vm = fields.required(cx, "vm", |cx, at| reference(cx, at, "vm", |names| &names.vms));
    let to = fields.required(cx, "to", |cx, at| {
        reference(cx, at, "region", |names| &names.regions)
    });
    let start = fields.optional(cx, "start", Start::At(Span::ZERO), start);
    let downtime_limit = fields.optional(cx, "downtime_limit", DEFAULT_DOWNTIME, |cx, at| {
        value::quantity_within(cx, at, &Span::ZERO, &LONGEST_DOWNTIME)
    });
    let encoding = fields.optional(cx, "encoding", Encoding::Hde { level: 1 }, encoding);
    let transport = fields.optional(cx, "transport", base, |cx, at| transport::transport(cx, at, base));
    Some(Migration {
        name: name?,
        vm: vm?,
        to: to?,
        start: start?,
        downtime_limit: downtime_limit?,
        encoding: encoding?,
        transport: transport?,
    })
}

fn start(cx: &mut Context, at: &At) -> Option<Start> {
    let variants = [
        Variant {
            name: "At",
            form: "At(\"0 s\")",
        },
        Variant {
            name: "After",
            form: "After(migration: \"m0\", pause: \"5 s\")",
        },
    ];
    let name = variant(cx, at, "a start", &variants)?;
    if name == "At" {
        let at = content(cx, at, variants[0].form)?;
        return value::quantity(cx, &at).map(Start::At);
    }
    let fields = Fields::of(cx, at, "a start", Some(name), &["migration", "pause"])?;
    let migration = fields.required(cx, "migration", |cx, at| {
        reference(cx, at, "migration", |names| &names.migrations)
    });
    let pause = fields.optional(cx, "pause", Span::ZERO, value::quantity);
    Some(Start::After {
        migration: migration?,
        pause: pause?,
    })
}

/// How pages are encoded.
pub fn encoding(cx: &mut Context, at: &At) -> Option<Encoding> {
    let variants = [
        Variant {
            name: "Raw",
            form: "Raw",
        },
        Variant {
            name: "Hde",
            form: "Hde(level: 1)",
        },
    ];
    let name = variant(cx, at, "an encoding", &variants)?;
    if name == "Raw" {
        return no_content(cx, at).map(|()| Encoding::Raw);
    }
    let fields = Fields::of(cx, at, "hierarchical delta encoding", Some(name), &["level"])?;
    let level = fields.required(cx, "level", |cx, at| value::integer(cx, at, 1, 19))?;
    Some(Encoding::Hde {
        level: u32::try_from(level).expect("at most 19"),
    })
}

/// A bulk transfer; what its TCP does not say is as in `base`.
pub fn transfer(cx: &mut Context, at: &At, base: Tcp) -> Option<Transfer> {
    let fields = Fields::of(
        cx,
        at,
        "a transfer",
        None,
        &[
            "name",
            "from",
            "to",
            "size",
            "duration",
            "at",
            "streams",
            "call_time",
            "tcp",
        ],
    )?;
    let region = |cx: &mut Context, at: &At| reference(cx, at, "region", |names| &names.regions);
    let name = fields.required(cx, "name", value::name);
    let from = fields.required(cx, "from", region);
    let to = fields.required(cx, "to", region);
    let amount = amount(cx, at, &fields);
    let start = fields.optional(cx, "at", Span::ZERO, value::quantity);
    let streams = fields.optional(cx, "streams", 1, transport::streams);
    let call_time = fields.optional(cx, "call_time", Span::ZERO, |cx, at| {
        value::quantity_within(cx, at, &Span::ZERO, &LONGEST_CALL)
    });
    let tcp = fields.optional(cx, "tcp", base, |cx, at| tcp(cx, at, base));
    let (name, from, to, amount) = (name?, from?, to?, amount?);
    let (start, streams, call_time, tcp) = (start?, streams?, call_time?, tcp?);
    if from == to {
        return cx.refuse(&fields.get("to")?, format!("a transfer from `{from}` to itself"));
    }
    if let Amount::Size(size) = amount
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
        streams,
        call_time,
        tcp,
    })
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
