//! Virtual machines: what their memory holds, and how they touch it. What guest memory has a type for is of that type.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
pub use longhaul_memory::ReadOptions as Reads;
pub use longhaul_memory::locality::Locality;

/// A virtual machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vm {
    /// Unique name.
    pub name: String,
    /// Region where it runs at the start.
    pub region: String,
    /// Its virtual processors, which share its writes and reads evenly; 1 to [`longhaul_memory::MAX_VCPUS`].
    pub vcpus: u32,
    /// Its memory.
    pub memory: Memory,
    /// How it reads.
    pub reads: Reads,
}

/// Content of a VM's memory and how it changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Memory {
    /// Generated from the seed.
    Generated {
        /// Content pattern.
        pattern: Pattern,
        /// Size, whole pages of 4 KiB, at least one.
        size: ByteSize,
        /// How the guest writes.
        dirty: Dirty,
    },
    /// Recorded images of equal size, whole pages each; the guest goes through them one by one.
    Images {
        /// Files, relative to the scenario file.
        files: Vec<String>,
        /// Time between two images.
        interval: Span,
    },
}

/// Content patterns of the testing framework's workload generator (reference rows T26–T29).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// 30 % zero, 40 % repetitive, 20 % of 6 bits per byte, 10 % random; bound 4.0×.
    RealWorld,
    /// Random bytes; incompressible.
    Constant,
    /// Runs of 64 KiB random (30 %) and 128 KiB zero (70 %); bound 5.67×.
    Bursty,
    /// A sine wave in bytes.
    Sinusoidal,
}

/// How a generated guest writes its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dirty {
    /// Page writes per second, Poisson; at most [`longhaul_memory::MAX_PAGES_PER_S`].
    pub pages_per_s: u64,
    /// Share of the memory that is written; in [0, 1].
    pub working_set: Probability,
    /// Which pages of it.
    pub locality: Locality,
    /// Bytes that one write changes in its page, 1 to 4096.
    pub bytes_per_write: ByteSize,
}
