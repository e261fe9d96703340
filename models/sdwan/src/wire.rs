//! The bytes of what two edges send each other: one message per datagram.
//!
//! Integers are big endian.
//!
//! | offset | bytes | field |
//! | --: | --: | --- |
//! | 0 | 2 | magic, `LE` |
//! | 2 | 1 | version, 1 |
//! | 3 | 1 | what it is, 1 to 5 in the order of [`Message`] |
//! | 4 | 4 | CRC-32C of everything else |
//! | 8 | … | the body |
//!
//! A checksum finds damage, not lies: nothing here is authenticated, the tunnel below is expected to be.

use bytes::Bytes;
use longhaul_core::time::Span;

use crate::bfd::{Control, Diagnostic, State};

/// Length of the header.
pub const HEADER_BYTES: usize = 8;
/// Length of a probe or an echo: header and sequence number.
pub const PROBE_BYTES: usize = HEADER_BYTES + 8;
/// Length of a BFD control message: header and the mandatory section (RFC 5880, 4.1).
pub const CONTROL_BYTES: usize = HEADER_BYTES + CONTROL_BODY;
/// Least length of a packet of a train: header, number of the train, place in it, packets in it.
pub const TRAIN_BYTES_MIN: usize = HEADER_BYTES + 8;
/// Greatest length of a packet of a train.
pub const TRAIN_BYTES_MAX: usize = 65_000;
/// Length of a report about a train.
pub const REPORT_BYTES: usize = HEADER_BYTES + 22;

const MAGIC: [u8; 2] = *b"LE";
const VERSION: u8 = 1;
const CONTROL_BODY: usize = 24;
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;

/// What edges tell each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// A probe, to be echoed at once.
    Probe {
        /// Number of the probe on its path.
        sequence: u64,
    },
    /// The answer to a probe.
    Echo {
        /// The probe's number.
        sequence: u64,
    },
    /// BFD.
    Control(Control),
    /// One packet of a train.
    Train(TrainPacket),
    /// What the receiver saw of a train.
    Report(TrainReport),
}

/// One packet of a train of packets that were sent back to back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrainPacket {
    /// Number of the train on its path.
    pub train: u32,
    /// Place of the packet in it, from 0.
    pub index: u16,
    /// Packets in it.
    pub count: u16,
    /// Length of this datagram in bytes, filled up with zeros.
    pub bytes: u16,
}

/// What the receiver saw of a train.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrainReport {
    /// Number of the train.
    pub train: u32,
    /// Packets that arrived.
    pub received: u16,
    /// Bytes of the datagrams that arrived after the first one.
    pub bytes: u64,
    /// From the arrival of the first to the arrival of the last.
    pub dispersion: Span,
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// Fewer bytes than the message has.
    #[error("cut short")]
    Truncated,
    /// More bytes than the message has.
    #[error("bytes after the end")]
    Trailing,
    /// The header does not begin with the magic number.
    #[error("not a message of an edge")]
    Magic,
    /// Another version of the format.
    #[error("unknown version")]
    Version,
    /// An unknown type of message.
    #[error("unknown type")]
    Kind,
    /// The CRC-32C does not match.
    #[error("damaged")]
    Checksum,
    /// A field outside its range.
    #[error("field out of range")]
    Range,
}

impl Message {
    /// The message in bytes.
    ///
    /// # Panics
    /// If a packet of a train is shorter than [`TRAIN_BYTES_MIN`].
    pub fn to_bytes(&self) -> Bytes {
        // Exact, so that the buffer is handed on without another allocation.
        let mut out = Vec::with_capacity(match self {
            Message::Probe { .. } | Message::Echo { .. } => PROBE_BYTES,
            Message::Control(_) => CONTROL_BYTES,
            Message::Train(packet) => usize::from(packet.bytes),
            Message::Report(_) => REPORT_BYTES,
        });
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0]);
        let kind = match self {
            Message::Probe { sequence } => {
                out.extend_from_slice(&sequence.to_be_bytes());
                1
            }
            Message::Echo { sequence } => {
                out.extend_from_slice(&sequence.to_be_bytes());
                2
            }
            Message::Control(control) => {
                out.extend_from_slice(&control_bytes(control));
                3
            }
            Message::Train(packet) => {
                assert!(
                    usize::from(packet.bytes) >= TRAIN_BYTES_MIN,
                    "a packet without room for its header"
                );
                out.extend_from_slice(&packet.train.to_be_bytes());
                out.extend_from_slice(&packet.index.to_be_bytes());
                out.extend_from_slice(&packet.count.to_be_bytes());
                out.resize(usize::from(packet.bytes), 0);
                4
            }
            Message::Report(report) => {
                out.extend_from_slice(&report.train.to_be_bytes());
                out.extend_from_slice(&report.received.to_be_bytes());
                out.extend_from_slice(&report.bytes.to_be_bytes());
                out.extend_from_slice(&report.dispersion.as_ns().to_be_bytes());
                5
            }
        };
        out[3] = kind;
        let checksum = checksum(&out);
        out[4..8].copy_from_slice(&checksum.to_be_bytes());
        out.into()
    }

    /// Reads a message that fills all of `bytes`.
    ///
    /// # Errors
    /// The first rule that it breaks. Nothing but a whole and undamaged message is accepted.
    pub fn parse(bytes: &[u8]) -> Result<Message, WireError> {
        let body = bytes.get(HEADER_BYTES..).ok_or(WireError::Truncated)?;
        if bytes[0..2] != MAGIC {
            return Err(WireError::Magic);
        }
        if bytes[2] != VERSION {
            return Err(WireError::Version);
        }
        let (least, most) = match bytes[3] {
            1 | 2 => (PROBE_BYTES, PROBE_BYTES),
            3 => (CONTROL_BYTES, CONTROL_BYTES),
            4 => (TRAIN_BYTES_MIN, TRAIN_BYTES_MAX),
            5 => (REPORT_BYTES, REPORT_BYTES),
            _ => return Err(WireError::Kind),
        };
        if bytes.len() < least {
            return Err(WireError::Truncated);
        }
        if bytes.len() > most {
            return Err(WireError::Trailing);
        }
        if u32_at(bytes, 4) != checksum(bytes) {
            return Err(WireError::Checksum);
        }
        Ok(match bytes[3] {
            1 => Message::Probe {
                sequence: u64_at(body, 0),
            },
            2 => Message::Echo {
                sequence: u64_at(body, 0),
            },
            3 => Message::Control(control(body)?),
            4 => {
                let packet = TrainPacket {
                    train: u32_at(body, 0),
                    index: u16_at(body, 4),
                    count: u16_at(body, 6),
                    // Checked above against `TRAIN_BYTES_MAX`.
                    bytes: bytes.len() as u16,
                };
                if packet.index >= packet.count {
                    return Err(WireError::Range);
                }
                Message::Train(packet)
            }
            _ => Message::Report(TrainReport {
                train: u32_at(body, 0),
                received: u16_at(body, 4),
                bytes: u64_at(body, 6),
                dispersion: Span::from_ns(u64_at(body, 14)),
            }),
        })
    }
}

/// Over everything but the field of the checksum itself.
fn checksum(message: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&message[..4]), &message[HEADER_BYTES..])
}

/// The mandatory section of RFC 5880, 4.1, without authentication and echo function.
fn control_bytes(control: &Control) -> [u8; CONTROL_BODY] {
    let mut out = [0; CONTROL_BODY];
    out[0] = 1 << 5 | control.diagnostic.code();
    let flags = if control.poll { POLL } else { 0 } | if control.finished { FINAL } else { 0 };
    out[1] = control.state.code() << 6 | flags;
    out[2] = control.multiplier;
    out[3] = CONTROL_BODY as u8;
    let words = [
        control.my_discriminator,
        control.your_discriminator,
        control.desired_min_tx_us,
        control.required_min_rx_us,
    ];
    for (place, word) in out[4..20].chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    out
}

/// Reads the mandatory section and checks what can be checked without a session (RFC 5880, 6.8.6).
fn control(body: &[u8]) -> Result<Control, WireError> {
    if body[0] >> 5 != 1 {
        return Err(WireError::Version);
    }
    let flags = body[1] & 0x3f;
    let known = flags & !(POLL | FINAL) == 0 && flags != POLL | FINAL;
    let echo = u32_at(body, 20);
    if !known || usize::from(body[3]) != CONTROL_BODY || body[2] == 0 || u32_at(body, 4) == 0 || echo != 0 {
        return Err(WireError::Range);
    }
    Ok(Control {
        state: State::from_code(body[1] >> 6),
        diagnostic: Diagnostic::from_code(body[0] & 0x1f).ok_or(WireError::Range)?,
        poll: flags & POLL != 0,
        finished: flags & FINAL != 0,
        multiplier: body[2],
        my_discriminator: u32_at(body, 4),
        your_discriminator: u32_at(body, 8),
        desired_min_tx_us: u32_at(body, 12),
        required_min_rx_us: u32_at(body, 16),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().expect("2 bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One message of each kind.
    fn messages() -> [Message; 5] {
        [
            Message::Probe { sequence: u64::MAX },
            Message::Echo { sequence: 7 },
            Message::Control(Control {
                state: State::Init,
                diagnostic: Diagnostic::NeighborSignaledDown,
                poll: true,
                finished: false,
                multiplier: 3,
                my_discriminator: 1,
                your_discriminator: 0,
                desired_min_tx_us: 1_000_000,
                required_min_rx_us: 300_000,
            }),
            Message::Train(TrainPacket {
                train: 3,
                index: 15,
                count: 16,
                bytes: 40,
            }),
            Message::Report(TrainReport {
                train: 3,
                received: 15,
                bytes: 16_800,
                dispersion: Span::from_us(1_344),
            }),
        ]
    }

    #[test]
    fn every_kind_of_message_survives_its_bytes() {
        for message in messages() {
            assert_eq!(Message::parse(&message.to_bytes()), Ok(message));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        for message in messages() {
            let bytes = message.to_bytes();
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.to_vec();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(Message::parse(&damaged).is_err(), "bit {bit} of {message:?}");
            }
            for len in 0..bytes.len() {
                assert!(Message::parse(&bytes[..len]).is_err(), "{len} of {message:?}");
            }
            assert!(Message::parse(&[&bytes[..], b"x"].concat()).is_err());
        }
    }

    /// A message of bytes with a right checksum.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let checksum = checksum(&bytes);
        bytes[4..8].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    #[test]
    fn control_messages_with_fields_out_of_range_are_refused() {
        let good = messages()[2].to_bytes().to_vec();
        // Version 0, an unknown diagnostic, poll and final at once, authentication, no multiplier, a wrong length,
        // no discriminator, the echo function.
        for (at, value) in [
            (8, 0),
            (8, 1 << 5 | 9),
            (9, 0x30),
            (9, 4),
            (10, 0),
            (11, 25),
            (15, 0),
            (31, 1),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            assert!(Message::parse(&sealed(bad)).is_err(), "{value} at {at}");
        }
        assert!(Message::parse(&sealed(good)).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(0u8.., 0..80), kind in 0u8..8) {
            let _ = Message::parse(&bytes);
            // Past the header and the checksum.
            let mut deeper = [b"LE\x01".as_slice(), &[kind, 0, 0, 0, 0], &bytes].concat();
            deeper = sealed(deeper);
            if let Ok(message) = Message::parse(&deeper) {
                let again = message.to_bytes();
                proptest::prop_assert_eq!(Message::parse(&again), Ok(message));
            }
        }
    }
}
