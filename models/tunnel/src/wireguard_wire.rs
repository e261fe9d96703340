//! The bytes of WireGuard's messages: lengths and places of the whitepaper, section 5.4. Fields that hold keys and
//! ciphertext are filled with random bytes or zeros, tags are those of [`Seal`]. Integers are little endian.
//!
//! | message | type | bytes | |
//! | --- | --- | --- | --- |
//! | initiation (5.4.2) | 1 | 148 | sender 4, ephemeral 32, static 48, timestamp 28, MAC1 16, MAC2 16 |
//! | response (5.4.3) | 2 | 92 | sender 4, receiver 4, ephemeral 32, empty 16, MAC1 16, MAC2 16 |
//! | keepalive (5.4.6) | 4 | 32 | receiver 4, counter 8, tag 16 |
//!
//! The cookie reply (5.4.7), which a peer under load sends, is not modelled; MAC2 is zero.

use bytes::Bytes;
use longhaul_core::random::Stream;

use crate::event::WireError;
use crate::seal::{Seal, TAG_LEN};

/// Length of a handshake initiation in bytes of UDP payload.
pub const INITIATION_BYTES: u32 = 148;
/// Length of a handshake response in bytes of UDP payload.
pub const RESPONSE_BYTES: u32 = 92;
/// Length of a transport message without content in bytes of UDP payload.
pub const KEEPALIVE_BYTES: u32 = 32;

const INITIATION_LEN: usize = INITIATION_BYTES as usize;
const RESPONSE_LEN: usize = RESPONSE_BYTES as usize;
const KEEPALIVE_LEN: usize = KEEPALIVE_BYTES as usize;
/// Where the timestamp of an initiation stands: TAI64N, seconds and nanoseconds, big endian.
const TIMESTAMP: usize = 88;
/// TAI64 label of the second in which a run begins.
const TAI64: u64 = 1 << 62;

/// A message without what only cryptography needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    Initiation { sender: u32, timestamp_ns: u64 },
    Response { sender: u32, receiver: u32 },
    Keepalive { receiver: u32, counter: u64 },
}

impl Message {
    pub(crate) fn to_bytes(self, seal: &Seal, random: &mut Stream) -> Bytes {
        match self {
            Message::Initiation { sender, timestamp_ns } => {
                let mut out = vec![0; INITIATION_LEN];
                out[0] = 1;
                out[4..8].copy_from_slice(&sender.to_le_bytes());
                random.fill(&mut out[8..40]);
                let (seconds, ns) = (timestamp_ns / 1_000_000_000, timestamp_ns % 1_000_000_000);
                out[TIMESTAMP..TIMESTAMP + 8].copy_from_slice(&(TAI64 + seconds).to_be_bytes());
                out[TIMESTAMP + 8..TIMESTAMP + 12].copy_from_slice(&(ns as u32).to_be_bytes());
                // MAC1; MAC2 stays zero without a cookie.
                seal.close(&mut out[..INITIATION_LEN - TAG_LEN]);
                out.into()
            }
            Message::Response { sender, receiver } => {
                let mut out = vec![0; RESPONSE_LEN];
                out[0] = 2;
                out[4..8].copy_from_slice(&sender.to_le_bytes());
                out[8..12].copy_from_slice(&receiver.to_le_bytes());
                random.fill(&mut out[12..44]);
                seal.close(&mut out[..RESPONSE_LEN - TAG_LEN]);
                out.into()
            }
            Message::Keepalive { receiver, counter } => {
                let mut out = vec![0; KEEPALIVE_LEN];
                out[0] = 4;
                out[4..8].copy_from_slice(&receiver.to_le_bytes());
                out[8..16].copy_from_slice(&counter.to_le_bytes());
                seal.close(&mut out);
                out.into()
            }
        }
    }

    pub(crate) fn parse(seal: &Seal, bytes: &[u8]) -> Result<Message, WireError> {
        let kind = *bytes.first().ok_or(WireError::Length)?;
        let (length, sealed) = match kind {
            1 => (INITIATION_LEN, INITIATION_LEN - TAG_LEN),
            2 => (RESPONSE_LEN, RESPONSE_LEN - TAG_LEN),
            4 => (KEEPALIVE_LEN, KEEPALIVE_LEN),
            _ => return Err(WireError::Kind),
        };
        if bytes.len() != length {
            return Err(WireError::Length);
        }
        if !seal.is_genuine(&bytes[..sealed]) {
            return Err(WireError::Tag);
        }
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        Ok(match kind {
            1 => {
                let eight = bytes[TIMESTAMP..TIMESTAMP + 8].try_into().expect("8 bytes");
                let four = bytes[TIMESTAMP + 8..TIMESTAMP + 12].try_into().expect("4 bytes");
                // A peer of another making may name any time; beyond the range it counts as the latest.
                let seconds = u64::from_be_bytes(eight).saturating_sub(TAI64);
                let ns = u64::from(u32::from_be_bytes(four));
                Message::Initiation {
                    sender: u32_at(4),
                    timestamp_ns: seconds.saturating_mul(1_000_000_000).saturating_add(ns),
                }
            }
            2 => Message::Response {
                sender: u32_at(4),
                receiver: u32_at(8),
            },
            _ => Message::Keepalive {
                receiver: u32_at(4),
                counter: u64::from_le_bytes(bytes[8..16].try_into().expect("8 bytes")),
            },
        })
    }
}
