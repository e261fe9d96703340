//! The bytes of IKE messages: the header of RFC 7296, section 3.1, and the first bytes of the encrypted payload (3.14), filled
//! with zeros up to the configured length, whose last 16 bytes are a tag. Integers are big endian.
//!
//! | offset | bytes | field |
//! | --: | --: | --- |
//! | 0 | 8 | SPI of the initiator |
//! | 8 | 8 | SPI of the responder, 0 in the first message |
//! | 16 | 1 | next payload: SA or SK |
//! | 17 | 1 | version, 2.0 |
//! | 18 | 1 | exchange |
//! | 19 | 1 | flags: initiator, response |
//! | 20 | 4 | message id |
//! | 24 | 4 | length |
//! | 28 | 1 | next payload inside the encrypted one: 42 for Delete |
//!
//! With address translation, messages after IKE_SA_INIT follow four bytes of zeros (RFC 3948, section 2.2).

use bytes::Bytes;

use crate::event::WireError;
use crate::seal::{Seal, TAG_LEN};

const HEADER_LEN: usize = 28;
const MARKER: [u8; 4] = [0; 4];
const VERSION: u8 = 0x20;
const PAYLOAD_SA: u8 = 33;
const PAYLOAD_SK: u8 = 46;
const PAYLOAD_DELETE: u8 = 42;
const FLAG_INITIATOR: u8 = 0x08;
const FLAG_RESPONSE: u8 = 0x20;

/// Which exchange a message belongs to (RFC 7296, section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exchange {
    Init,
    Auth,
    CreateChild,
    Informational,
}

impl Exchange {
    fn number(self) -> u8 {
        match self {
            Exchange::Init => 34,
            Exchange::Auth => 35,
            Exchange::CreateChild => 36,
            Exchange::Informational => 37,
        }
    }
}

/// A message without what only cryptography needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    pub(crate) spi_initiator: u64,
    pub(crate) spi_responder: u64,
    pub(crate) exchange: Exchange,
    /// Sent by the end that began the IKE SA.
    pub(crate) of_initiator: bool,
    pub(crate) response: bool,
    pub(crate) id: u32,
    /// Closes the IKE SA.
    pub(crate) delete: bool,
}

impl Message {
    /// The message with a length of `length` bytes, the marker not counted.
    pub(crate) fn to_bytes(self, seal: &Seal, length: u32, nat_traversal: bool) -> Bytes {
        let marked = nat_traversal && self.exchange != Exchange::Init;
        let before = if marked { MARKER.len() } else { 0 };
        let mut out = vec![0; before + length as usize];
        let message = &mut out[before..];
        message[0..8].copy_from_slice(&self.spi_initiator.to_be_bytes());
        message[8..16].copy_from_slice(&self.spi_responder.to_be_bytes());
        message[16] = match self.exchange {
            Exchange::Init => PAYLOAD_SA,
            _ => PAYLOAD_SK,
        };
        message[17] = VERSION;
        message[18] = self.exchange.number();
        if self.of_initiator {
            message[19] |= FLAG_INITIATOR;
        }
        if self.response {
            message[19] |= FLAG_RESPONSE;
        }
        message[20..24].copy_from_slice(&self.id.to_be_bytes());
        message[24..28].copy_from_slice(&length.to_be_bytes());
        if self.delete {
            message[HEADER_LEN] = PAYLOAD_DELETE;
        }
        seal.close(message);
        out.into()
    }

    pub(crate) fn parse(seal: &Seal, bytes: &[u8]) -> Result<Message, WireError> {
        // An SPI of the initiator is never 0, so its first four bytes may look like a marker, but not with a matching length.
        let marked = bytes
            .strip_prefix(&MARKER)
            .and_then(|rest| Message::read(seal, rest).ok());
        match marked {
            Some(message) if message.exchange != Exchange::Init => Ok(message),
            _ => Message::read(seal, bytes),
        }
    }

    fn read(seal: &Seal, bytes: &[u8]) -> Result<Message, WireError> {
        if bytes.len() < HEADER_LEN + 1 + TAG_LEN {
            return Err(WireError::Length);
        }
        let u64_at = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let u32_at = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        if u32_at(24) as usize != bytes.len() {
            return Err(WireError::Length);
        }
        let exchange = match (bytes[17], bytes[18]) {
            (VERSION, 34) => Exchange::Init,
            (VERSION, 35) => Exchange::Auth,
            (VERSION, 36) => Exchange::CreateChild,
            (VERSION, 37) => Exchange::Informational,
            _ => return Err(WireError::Kind),
        };
        if !seal.is_genuine(bytes) {
            return Err(WireError::Tag);
        }
        Ok(Message {
            spi_initiator: u64_at(0),
            spi_responder: u64_at(8),
            exchange,
            of_initiator: bytes[19] & FLAG_INITIATOR != 0,
            response: bytes[19] & FLAG_RESPONSE != 0,
            id: u32_at(20),
            delete: exchange == Exchange::Informational && bytes[HEADER_LEN] == PAYLOAD_DELETE,
        })
    }
}
