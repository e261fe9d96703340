//! Baselines: what both ends hold, and how they come to hold it.
//!
//! A delta needs a baseline that the receiver really has. The sender's half ([`BaselineSender`], one per peer) therefore
//! builds only on versions that the peer has acknowledged; the receiver's half ([`BaselineReceiver`]) decodes, keeps
//! what it decoded in a [`BaselineStore`] of bounded memory, and answers every frame: *held*, or *refused* and why. A
//! refusal makes the sender fall back to a frame that needs less. Both are without clocks and sockets: feed them, then
//! drain `poll`. Frames and replies may be lost, repeated, delayed, reordered or damaged. What arrives is never wrong,
//! and as long as the channel lets something through, both sides come to hold the same version.
//!
//! A receiver that has lost everything says so by its *incarnation*, a number that rises with each of its lives and
//! stands in all that it says: the sender then begins anew, and what an earlier life said no longer counts.
//!
//! States supersede each other: per object there is one frame in flight, and an update that comes meanwhile replaces
//! the one that waits. Versions must rise; a version that the receiver has passed is answered with the one it holds.
//!
//! ```
//! use longhaul_core::time::Instant;
//! use longhaul_hde::baseline::{
//!     BaselineReceiver, BaselineSender, ReceiverOptions, SenderOptions, SenderOutput,
//! };
//! use longhaul_hde::object::{Object, ObjectId};
//!
//! let now = Instant::ZERO;
//! let mut sender = BaselineSender::new(SenderOptions::default());
//! let mut receiver = BaselineReceiver::new(ReceiverOptions::default(), 0);
//! let state = Object::new(ObjectId::new("state").unwrap(), 1, vec![7; 1000]).unwrap();
//! sender.update(now, state.clone());
//! while let SenderOutput::Send { frame, .. } = sender.poll(now) {
//!     let answer = receiver.on_frame(now, &frame);
//!     assert_eq!(answer.delivered, Some(state.clone()));
//!     sender.on_reply(now, &answer.reply.unwrap()).unwrap();
//! }
//! assert_eq!(sender.held(state.id()), Some(state.name()));
//! ```

mod cadence;
mod receiver;
mod reply;
mod sender;
mod similar;
mod store;

pub use cadence::{Cadence, CadenceClock};
pub use receiver::{Answer, BaselineReceiver, ReceiverOptions, ReceiverStats};
pub use reply::{Refusal, Reply, ReplyError, Says};
pub use sender::{BaselineSender, SenderEvent, SenderOptions, SenderOutput, SenderStats};
pub use store::{BaselineStore, StoreOptions, StoreStats};
