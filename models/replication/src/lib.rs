//! Continuous replication of virtual machines to another site, over [HDE](longhaul_hde) and [AMST](longhaul_amst).
//!
//! Two machines: a [`Source`], to which the guests belong, and a [`Replica`], where they go on when the source is lost.
//! They talk over byte streams and know no network.
//!
//! # Epochs
//! The guests of a *consistency set* are replicated together. Again and again, by a [`Policy`], the source takes a
//! snapshot of all of them at one moment and sends what has changed since the last one: checkpoints as in Remus (Cully
//! et al., "Remus: high availability via asynchronous virtual machine replication", NSDI 2008), at the distances of
//! replication for disaster recovery. A set has one epoch under way at a time; the guests run meanwhile, and pages that
//! they write before they are sent count as kept beside the memory.
//!
//! The replica decodes frames beside the newest complete epoch. When the end of the epoch has come, all frames and pages
//! are there and the hash of the whole memory is that of the snapshot, its pages take their places, all at once, and the
//! source hears of it. What cannot be used leaves the complete epoch as it is.
//!
//! # Outages
//! A session ends when the control stream, all streams of the transport, or all news for the detection time are lost.
//! Then nothing but bitmaps remembers what is to be sent. The source tries to come back, with longer and longer pauses,
//! and the replica says what it has: the newest complete epoch, by number and hash, and how many frames of the next. If
//! that is what the source believes, it takes a new snapshot and sends what the replica lacks; frames that had arrived
//! count. So a seed that is interrupted goes on where it was. If it is not, everything is sent again
//! ([`ResyncReason`] says why).
//!
//! # The recovery point and the recovery time
//! How old the newest complete epoch is, over time: [`RpoHistory`], exactly. From the loss of the source until a guest
//! runs: the time until the replica counts it as lost ([`Heartbeat`]), that of the decision ([`Failover`]), restoring
//! and resumption ([`ReplicaOptions`]). Before a guest is started all its pages are read and their hash compared once
//! more.
//!
//! # Two places, one guest
//! Two sites cannot tell a lost peer from a lost link. Under [`Failover::Automatic`] the source stops its guests when it
//! does not know that the replica has heard it within the detection time, so they stand still before others start in
//! their place; the price is that an outage stops them. It does so from when all its guests are protected, and the
//! replica starts nothing before. Under [`Failover::Manual`] an outage stops nothing; whoever fails over from a source
//! that still runs has its guests twice until it can be told, and then it stops them for good
//! ([`SourceEvent::Fenced`]).
//!
//! # The disk at the replica
//! With a [`write_rate`](ReplicaOptions::write_rate) pages are written in the order in which they come, and an epoch is in
//! place, and acknowledged, when the last of its pages is written; a disk that falls behind shows in the age of the newest
//! epoch. [`ReplicaCommand::Disk`] says how well the disk does. Of an epoch that is not written nothing counts.
//!
//! # Memory
//! The source keeps, beside the guests, four bits and eight bytes per page, the window of the transport, and what the
//! frames in it had replaced. The replica keeps the pages of the newest complete epoch and those of the next, so at most
//! twice the guests' memory, and 32 bytes of hashes for each.
//!
//! # Not modelled
//! The disk at the source. The processor time of decoding, hashing and copying on write; that of encoding is ([`Cost`]). Output that is
//! held back until its epoch is safe, as in Remus: what the guests have told others after the last epoch is lost with
//! them. The way back: after a fail-over the guests do not run on in the simulation and are not replicated back.
//! Authentication: whoever opens a stream is taken for the peer. A third site that decides who is lost.

pub mod control;
mod digest;
mod event;
mod guests;
pub mod message;
mod options;
mod replica;
mod rpo;
mod source;

pub use digest::Fingerprint;
pub use event::{
    Disconnect, NotPromoted, RejectReason, ReplicaCommand, ReplicaEvent, ResyncReason, SessionEnd,
    SourceCommand, SourceEvent, Stalled, StreamRefusal,
};
pub use options::{
    Backoff, Cost, Failover, Heartbeat, OptionsError, Policy, ReplicaOptions, ReplicaSetOptions,
    SourceOptions,
};
pub use replica::{Replica, ReplicaStatistics};
pub use rpo::{RpoDistribution, RpoHistory};
pub use source::{Guest, SetGuests, SetStatistics, Source, SourceStatistics};

/// Most consistency sets of one source.
pub const MAX_SETS: usize = 1024;
