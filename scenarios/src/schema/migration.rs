//! Live migrations. What a migration's own crate has a type for is of that type.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize};
pub use longhaul_migration::{
    AutoConverge, Cost, DirtyLimit, Mode, Orchestration, Recover, StopRule, Switch, Throttle,
};

use super::{Scenario, Transport, Vm};

/// One live migration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migration {
    /// Unique among migrations and transfers.
    pub name: String,
    /// The VM.
    pub vm: String,
    /// The region where it goes.
    pub to: String,
    /// When it starts.
    pub start: Start,
    /// How long after that somebody wants the guest to stay, if anybody does.
    pub cancel_after: Option<Span>,
    /// What goes before and after.
    pub orchestration: Orchestration,
    /// When the guest changes sides.
    pub mode: Mode,
    /// When it is stopped, as long as it is at the source.
    pub stop: StopRule,
    /// How it is slowed down if it writes too fast.
    pub throttle: Throttle,
    /// QEMU's `max-bandwidth`, above zero.
    pub max_bandwidth: Option<BitRate>,
    /// QEMU's `max-postcopy-bandwidth`, above zero.
    pub max_postcopy_bandwidth: Option<BitRate>,
    /// Whether pages that the guest waits for overtake others.
    pub preempt: bool,
    /// What to do when the transport is lost and the guest may run at the destination.
    pub recover: Option<Recover>,
    /// After what time without progress it is said to have stalled; above zero.
    pub stall_after: Span,
    /// What is sent beside memory.
    pub device_state: ByteSize,
    /// How long the destination takes to run the guest once it has what it needs.
    pub resume_time: Span,
    /// How pages are encoded.
    pub encoding: Encoding,
    /// What encoding and decoding cost; `None` for nothing.
    pub cost: Option<Cost>,
    /// How they are carried.
    pub transport: Transport,
}

impl Scenario {
    /// The region where a migration's VM is when it starts.
    ///
    /// # Panics
    /// If there is no such migration, or no such VM: the check found it.
    pub fn origin(&self, migration: usize) -> &str {
        let spec = &self.migrations[migration];
        let vm = self.vms.iter().find(|vm| vm.name == spec.vm);
        whereabouts(
            vm.expect("a VM of the scenario"),
            self.migrations[..migration].iter(),
        )
    }

    /// The migration that has brought a migration's VM to where it starts, if one has.
    pub fn brought_by(&self, migration: usize) -> Option<usize> {
        let vm = &self.migrations[migration].vm;
        self.migrations[..migration]
            .iter()
            .rposition(|before| before.vm == *vm)
    }
}

/// Where a VM is once the migrations of a list that move it have completed, in their order.
pub fn whereabouts<'a>(vm: &'a Vm, migrations: impl DoubleEndedIterator<Item = &'a Migration>) -> &'a str {
    let mut last_first = migrations.rev();
    let last = last_first.find(|migration| migration.vm == vm.name);
    last.map_or(&vm.region, |migration| &migration.to)
}

/// When something starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// At this time of the run.
    At(Span),
    /// This long after another migration has completed.
    After {
        /// Its name.
        migration: String,
        /// How long after.
        pause: Span,
    },
}

/// Encoding of memory pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Zero pages are named, all others sent as they are.
    Raw,
    /// Zero pages are named, all others compressed.
    Zstd {
        /// zstd level, 1 to 19.
        level: u32,
    },
    /// Hierarchical delta encoding.
    Hde {
        /// zstd level, 1 to 19.
        level: u32,
    },
    /// QEMU's XBZRLE.
    Xbzrle {
        /// Size of its cache, a power of two.
        cache: ByteSize,
    },
}
