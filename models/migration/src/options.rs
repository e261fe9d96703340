//! How a migration is set up.

mod check;

use longhaul_amst::SenderOptions;
use longhaul_core::machine::PeerId;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_frames::PayloadMode;
use longhaul_hde::EncoderOptions;
use serde::{Deserialize, Serialize};

use crate::cost::Cost;

pub use check::OptionsError;

/// How a [`Source`](crate::Source) works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceOptions {
    /// The machine of the destination.
    pub destination: PeerId,
    /// What tells this guest's migration from others; the destination must have the same.
    pub session: u64,
    /// When the guest changes sides.
    pub mode: Mode,
    /// When it is stopped, as long as it is here.
    pub stop: StopRule,
    /// How a guest is slowed down that writes too fast.
    pub throttle: Throttle,
    /// QEMU's `max-bandwidth`: what pre-copy takes at most while the guest runs; bytes of frames count. `None` is no
    /// limit, which is what libvirt sets and QEMU does not (128 MiB/s).
    pub max_bandwidth: Option<BitRate>,
    /// QEMU's `max-postcopy-bandwidth`: the same for pages that nobody waits for while the guest runs at the
    /// destination. `None` is QEMU's default.
    pub max_postcopy_bandwidth: Option<BitRate>,
    /// How pages are encoded.
    pub encoding: Encoding,
    /// What encoding costs; `None` where the computer's own time is what passes, or nobody wants to know.
    pub cost: Option<Cost>,
    /// Which pages are real.
    pub payload: PayloadMode,
    /// What the guest's devices and processors come to, sent while it stands still; beside them, eight bytes per
    /// processor.
    pub device_state: ByteSize,
    /// QEMU's `postcopy-preempt`: pages that the guest waits for overtake all others. Without it they are the next
    /// ones, and copying goes on behind them.
    pub preempt: bool,
    /// What to do when the transport is lost and the guest may already run at the destination; `None` waits for an
    /// operator who never comes.
    pub recover: Option<Recover>,
    /// After what time without progress the migration is said to have stalled.
    pub stall_after: Span,
    /// How long after the command to start somebody wants the guest to stay, if anybody does; see
    /// [`Command::Cancel`](crate::Command::Cancel).
    pub cancel_after: Option<Span>,
    /// What goes before and after the migration itself.
    pub orchestration: Orchestration,
    /// How frames are carried. The window must have room for a frame of 64 pages that nothing shortens, 257 KiB
    /// plus the headers of its chunks.
    pub transport: SenderOptions,
}

/// When the guest changes sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Mode {
    /// When what remains can be sent while it stands still.
    PreCopy,
    /// At once; its memory follows.
    PostCopy,
    /// As with pre-copy, or when this has happened: then the rest follows.
    Hybrid {
        /// What has to happen.
        switch: Switch,
    },
}

/// When a hybrid migration gives up on pre-copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Switch {
    /// After this time of copying.
    After(Span),
    /// After so many passes over the dirty pages; with 0, at once.
    Rounds(u64),
}

/// When pre-copy stops the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StopRule {
    /// QEMU's: when what remains takes no longer than this at the measured bandwidth.
    Downtime {
        /// QEMU's `downtime-limit`; its default is 300 ms.
        limit: Span,
    },
    /// Xen's (`xc_domain_save`): memory is copied in rounds, and the guest is stopped after a round at whose end few
    /// pages are dirty, or after so many rounds, or when so much has been sent.
    Xen {
        /// Fewer dirty pages than this stop the guest; Xen's value is 50.
        pages: u64,
        /// Rounds at most; Xen's value is 29.
        rounds: u64,
        /// Pages sent at most, as a multiple of the guest's; Xen's value is 3.
        factor: u64,
    },
    /// Clark et al., "Live migration of virtual machines", NSDI 2005, section 5.2: the first round goes at the lowest
    /// rate, each further one at the rate at which pages were dirtied in the one before plus a step. The guest is
    /// stopped when that exceeds the highest rate, or little remains; then there is no limit.
    DynamicRate {
        /// Of the first round; 100 Mbit/s in their experiments.
        lowest: BitRate,
        /// At most; 500 Mbit/s there.
        highest: BitRate,
        /// More than the dirty rate; 50 Mbit/s there.
        step: BitRate,
        /// What may remain; 256 kB there.
        remaining: ByteSize,
    },
}

impl StopRule {
    /// QEMU's rule with its default.
    pub const DEFAULT: StopRule = StopRule::Downtime {
        limit: Span::from_ms(300),
    };

    /// Xen's rule with its values.
    pub const XEN: StopRule = StopRule::Xen {
        pages: 50,
        rounds: 29,
        factor: 3,
    };
}

/// How a guest is slowed down that writes too fast for pre-copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Throttle {
    /// Not at all.
    None,
    /// QEMU's `auto-converge`: all its processors stand still for a share of the time.
    AutoConverge(AutoConverge),
    /// QEMU's `dirty-limit`: each processor may dirty so much.
    DirtyLimit(DirtyLimit),
}

/// QEMU's `auto-converge`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AutoConverge {
    /// `throttle-trigger-threshold`: the guest is slowed down each second time that it has dirtied more than this share of
    /// what was transferred.
    pub trigger: Probability,
    /// `cpu-throttle-initial`, in percent, 1 to 99.
    pub initial_percent: u8,
    /// `cpu-throttle-increment`, in percent, 1 to 99.
    pub increment_percent: u8,
    /// `max-cpu-throttle`, in percent, `initial_percent` to 99.
    pub max_percent: u8,
    /// `cpu-throttle-tailslow`: no more than what should be enough.
    pub tailslow: bool,
}

impl Default for AutoConverge {
    fn default() -> AutoConverge {
        AutoConverge {
            trigger: TRIGGER,
            initial_percent: 20,
            increment_percent: 10,
            max_percent: 99,
            tailslow: false,
        }
    }
}

/// QEMU's `dirty-limit`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirtyLimit {
    /// `throttle-trigger-threshold`: the limit applies once the guest has twice dirtied more than this share of what was
    /// transferred.
    pub trigger: Probability,
    /// `vcpu-dirty-limit`: bytes of memory that a processor may dirty per second. QEMU takes whole MiB and is content
    /// within 25 MiB/s.
    pub bytes_per_s: u64,
    /// `x-vcpu-dirty-limit-period`: how often the rate is measured, 1 ms to 1 s.
    pub period: Span,
}

impl Default for DirtyLimit {
    fn default() -> DirtyLimit {
        DirtyLimit {
            trigger: TRIGGER,
            bytes_per_s: 1 << 20,
            period: Span::from_s(1),
        }
    }
}

/// QEMU's default: 50 %.
const TRIGGER: Probability = match Probability::from_parts(Probability::PARTS / 2) {
    Some(half) => half,
    None => unreachable!(),
};

/// How pages are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Encoding {
    /// Hierarchical delta encoding, or less of it: [`EncoderOptions::raw`] is QEMU's plain pages, and without deltas and
    /// duplicates it is multifd's zstd.
    Hde(EncoderOptions),
    /// QEMU's XBZRLE.
    Xbzrle {
        /// Size of the cache, a power of two and at least a page; QEMU's default is 64 MiB.
        cache: ByteSize,
    },
}

/// How a migration goes on after the transport was lost while the guest may already run at the destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recover {
    /// How long after the loss, or after an attempt that failed.
    pub delay: Span,
    /// Attempts, 1 to [`MAX_ATTEMPTS`](crate::MAX_ATTEMPTS).
    pub attempts: u16,
}

/// What a management system does before the migration begins and after the guest runs at the destination: choosing a
/// host, preparing networks and disks there, tidying up.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Orchestration {
    /// Before.
    pub before: Span,
    /// After.
    pub after: Span,
}

impl SourceOptions {
    /// A pre-copy migration with QEMU's defaults.
    pub fn new(destination: PeerId, session: u64, transport: SenderOptions) -> SourceOptions {
        SourceOptions {
            destination,
            session,
            mode: Mode::PreCopy,
            stop: StopRule::DEFAULT,
            throttle: Throttle::None,
            max_bandwidth: None,
            max_postcopy_bandwidth: None,
            encoding: Encoding::Hde(EncoderOptions::hde(1)),
            cost: None,
            payload: PayloadMode::Real,
            device_state: DEVICE_STATE,
            preempt: true,
            recover: None,
            stall_after: STALL_AFTER,
            cancel_after: None,
            orchestration: Orchestration::default(),
            transport,
        }
    }
}

/// What the device state of a guest comes to if nobody says otherwise: a few hundred KiB, as QEMU's common machine types
/// send without the memory of graphics cards.
pub const DEVICE_STATE: ByteSize = ByteSize::from_kib(256);

/// After what time without progress a migration is said to have stalled if nobody says otherwise.
pub const STALL_AFTER: Span = Span::from_s(10);

/// How a [`Destination`](crate::Destination) works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DestinationOptions {
    /// Pages of the guest.
    pub pages: u64,
    /// As at the source.
    pub session: u64,
    /// Window of the transport, as at the source.
    pub window_bytes: u64,
    /// What decoding costs; `None` where the computer's own time is what passes, or nobody wants to know.
    pub cost: Option<Cost>,
    /// How long it takes from the last byte that is needed until the guest runs: loading device state, telling the
    /// network where the guest is now.
    pub resume_time: Span,
    /// Whether to keep the contents of pages after they have been verified, for a comparison from outside.
    pub keep_pages: bool,
}
