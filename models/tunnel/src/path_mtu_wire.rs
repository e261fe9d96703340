//! The bytes of probes and acknowledgements. Integers are big endian; probes are padded to their size.
//!
//! | offset | bytes | field |
//! | --: | --: | --- |
//! | 0 | 2 | magic, `LP` |
//! | 2 | 1 | version, 1 |
//! | 3 | 1 | 1 probe, 2 acknowledgement |
//! | 4 | 4 | size of the probe as an IP packet |
//! | 8 | 8 | token |

use bytes::Bytes;

const MAGIC: [u8; 3] = [b'L', b'P', 1];
const PROBE: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 2;
const HEADER_LEN: usize = 16;

/// Length of an acknowledgement in bytes of UDP payload.
pub const ACKNOWLEDGEMENT_BYTES: u32 = HEADER_LEN as u32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    Probe { token: u64, size: u32 },
    Acknowledgement { token: u64, size: u32 },
}

fn message(kind: u8, token: u64, size: u32, length: usize) -> Bytes {
    let mut out = vec![0; length];
    out[0..3].copy_from_slice(&MAGIC);
    out[3] = kind;
    out[4..8].copy_from_slice(&size.to_be_bytes());
    out[8..16].copy_from_slice(&token.to_be_bytes());
    out.into()
}

/// A probe of this size, which leaves `length` bytes after the headers.
pub(crate) fn probe(token: u64, size: u32, length: u32) -> Bytes {
    message(PROBE, token, size, length as usize)
}

pub(crate) fn acknowledgement(token: u64, size: u32) -> Bytes {
    message(ACKNOWLEDGEMENT, token, size, HEADER_LEN)
}

/// What a datagram says; `None` if it is nothing of this protocol, or a probe that was cut short.
pub(crate) fn parse(bytes: &[u8], header_bytes: u32) -> Option<Message> {
    let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
    if header[0..3] != MAGIC {
        return None;
    }
    let size = u32::from_be_bytes(header[4..8].try_into().expect("4 bytes"));
    let token = u64::from_be_bytes(header[8..16].try_into().expect("8 bytes"));
    match header[3] {
        PROBE if bytes.len() as u64 + u64::from(header_bytes) == u64::from(size) => {
            Some(Message::Probe { token, size })
        }
        ACKNOWLEDGEMENT if bytes.len() == HEADER_LEN => Some(Message::Acknowledgement { token, size }),
        _ => None,
    }
}
