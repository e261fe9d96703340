//! Virtual machines: what their memory holds, and how they touch it.

use longhaul_core::units::{ByteSize, Probability};
use longhaul_memory::MAX_VCPUS;
use longhaul_memory::locality::MAX_EXPONENT_MILLIONTHS;

use crate::schema::{Dirty, Locality, Memory, Pattern, Reads, Vm};

use super::context::{At, Context, Fields, Variant, list, no_content, variant};
use super::names::reference;
use super::value;
use super::work::positive_span;

/// A page of guest memory.
pub const PAGE: u64 = 4096;
/// Largest memory of one VM.
const LARGEST_MEMORY: u64 = 1 << 40;
/// A guest that does not write.
const IDLE: Dirty = Dirty {
    pages_per_s: 0,
    working_set: Probability::ONE,
    locality: Locality::Uniform,
    bytes_per_write: ByteSize::from_bytes(64),
};
/// A guest that does not read.
const UNREAD: Reads = Reads {
    pages_per_s: 0,
    working_set: Probability::ONE,
    locality: Locality::Uniform,
};

/// A virtual machine.
pub fn vm(cx: &mut Context, at: &At) -> Option<Vm> {
    let known = ["name", "region", "vcpus", "memory", "reads"];
    let fields = Fields::of(cx, at, "a vm", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let region = fields.required(cx, "region", |cx, at| {
        reference(cx, at, "region", |names| &names.regions)
    });
    let vcpus = fields.optional(cx, "vcpus", 1, |cx, at| {
        let vcpus = value::integer(cx, at, 1, u64::from(MAX_VCPUS))?;
        u32::try_from(vcpus).ok()
    });
    let memory = fields.required(cx, "memory", memory);
    let reads = fields.optional(cx, "reads", UNREAD, reads);
    Some(Vm {
        name: name?,
        region: region?,
        vcpus: vcpus?,
        memory: memory?,
        reads: reads?,
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
    let known = ["rate", "working_set", "locality", "bytes_per_write"];
    let fields = Fields::of(cx, at, "dirty", None, &known)?;
    let pages_per_s = fields.required(cx, "rate", value::pages_per_s);
    let working_set = fields.optional(cx, "working_set", IDLE.working_set, value::quantity);
    let locality = fields.optional(cx, "locality", IDLE.locality, locality);
    let bytes_per_write = fields.optional(cx, "bytes_per_write", IDLE.bytes_per_write, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_bytes(1), &ByteSize::from_bytes(PAGE))
    });
    Some(Dirty {
        pages_per_s: pages_per_s?,
        working_set: working_set?,
        locality: locality?,
        bytes_per_write: bytes_per_write?,
    })
}

fn reads(cx: &mut Context, at: &At) -> Option<Reads> {
    let fields = Fields::of(cx, at, "reads", None, &["rate", "working_set", "locality"])?;
    let pages_per_s = fields.required(cx, "rate", value::pages_per_s);
    let working_set = fields.optional(cx, "working_set", UNREAD.working_set, value::quantity);
    let locality = fields.optional(cx, "locality", UNREAD.locality, locality);
    let (pages_per_s, working_set) = (pages_per_s?, working_set?);
    if pages_per_s > 0 && working_set.as_parts() == 0 {
        return cx.refuse(at, "a working set of 0 % cannot be read");
    }
    Some(Reads {
        pages_per_s,
        working_set,
        locality: locality?,
    })
}

fn locality(cx: &mut Context, at: &At) -> Option<Locality> {
    let variants = [
        Variant {
            name: "Uniform",
            form: "Uniform",
        },
        Variant {
            name: "HotCold",
            form: "HotCold(hot: \"10 %\", accesses: \"90 %\")",
        },
        Variant {
            name: "Zipf",
            form: "Zipf(exponent: 1.0)",
        },
        Variant {
            name: "Sequential",
            form: "Sequential",
        },
    ];
    let name = variant(cx, at, "a locality", &variants)?;
    match name {
        "Uniform" => no_content(cx, at).map(|()| Locality::Uniform),
        "Sequential" => no_content(cx, at).map(|()| Locality::Sequential),
        "HotCold" => {
            let fields = Fields::of(cx, at, "a hot and a cold part", Some(name), &["hot", "accesses"])?;
            let hot = fields.required(cx, "hot", value::quantity);
            let accesses = fields.required(cx, "accesses", value::quantity);
            Some(Locality::HotCold {
                hot: hot?,
                accesses: accesses?,
            })
        }
        _ => {
            let fields = Fields::of(cx, at, "Zipf's law", Some(name), &["exponent"])?;
            let most = i64::from(MAX_EXPONENT_MILLIONTHS);
            let exponent = fields.required(cx, "exponent", |cx, at| value::millionths(cx, at, 1, most))?;
            Some(Locality::Zipf {
                exponent_millionths: u32::try_from(exponent).ok()?,
            })
        }
    }
}
