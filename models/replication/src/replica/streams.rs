//! The streams that were opened to the replica, and what each is for.

use std::collections::BTreeMap;

use longhaul_core::machine::StreamId;
use longhaul_core::payload::Payload;

use crate::control::{ControlError, PREAMBLE_BYTES, Preamble};

/// Streams that have not said what they are for, at most; as many as a session may have.
pub(super) const MAX_UNKNOWN: usize = longhaul_amst::MAX_STREAMS as usize + 1;

/// What a stream is for.
#[derive(Debug)]
enum Kind {
    /// Its preamble is not complete.
    Unknown(Vec<u8>),
    Control,
    Data,
}

/// What came on a stream.
pub(super) enum Arrival {
    /// Nothing yet, or nothing any more.
    Nothing,
    /// It has said what it is for. What came beyond that is to be looked at next.
    Preamble(Preamble, Payload),
    /// Bytes of the control stream.
    Control(Payload),
    /// Bytes for the transport.
    Data(Payload),
}

/// The open streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    kinds: BTreeMap<StreamId, Kind>,
    unknown: usize,
}

impl Streams {
    /// A stream was opened. Returns one that has to make room for it: that which has not said what it is for since the
    /// longest time, such as one that its opener has given up without our hearing of it.
    pub fn accept(&mut self, stream: StreamId) -> Option<StreamId> {
        self.kinds.insert(stream, Kind::Unknown(Vec::new()));
        self.unknown += 1;
        if self.unknown <= MAX_UNKNOWN {
            return None;
        }
        let unknown = |kind: &Kind| matches!(kind, Kind::Unknown(_));
        let oldest = self.kinds.iter().find(|(_, kind)| unknown(kind));
        oldest.map(|(stream, _)| *stream)
    }

    /// Bytes have come.
    pub fn receive(&mut self, stream: StreamId, mut payload: Payload) -> Result<Arrival, ControlError> {
        let have = match self.kinds.get_mut(&stream) {
            None => return Ok(Arrival::Nothing),
            Some(Kind::Control) => return Ok(Arrival::Control(payload)),
            Some(Kind::Data) => return Ok(Arrival::Data(payload)),
            Some(Kind::Unknown(have)) => have,
        };
        let missing = (PREAMBLE_BYTES - have.len()) as u64;
        match payload.split_to(payload.len().min(missing)) {
            Payload::Real(bytes) => have.extend_from_slice(&bytes),
            Payload::Synthetic(_) => return Err(ControlError::Synthetic),
        }
        match have.first_chunk() {
            Some(preamble) => Ok(Arrival::Preamble(Preamble::parse(preamble)?, payload)),
            None => Ok(Arrival::Nothing),
        }
    }

    /// A stream is the control stream of the session.
    pub fn set_control(&mut self, stream: StreamId) {
        self.set(stream, Kind::Control);
    }

    /// A stream belongs to the transport of the session.
    pub fn set_data(&mut self, stream: StreamId) {
        self.set(stream, Kind::Data);
    }

    fn set(&mut self, stream: StreamId, kind: Kind) {
        if let Some(Kind::Unknown(_)) = self.kinds.insert(stream, kind) {
            self.unknown -= 1;
        }
    }

    /// A stream is over; whether it belonged to the transport.
    pub fn remove(&mut self, stream: StreamId) -> bool {
        let kind = self.kinds.remove(&stream);
        if let Some(Kind::Unknown(_)) = kind {
            self.unknown -= 1;
        }
        matches!(kind, Some(Kind::Data))
    }

    /// Takes out the streams of the session.
    pub fn take_session(&mut self) -> Vec<StreamId> {
        let of_session = |kind: &Kind| !matches!(kind, Kind::Unknown(_));
        let taken = self.kinds.iter().filter(|(_, kind)| of_session(kind));
        let taken: Vec<StreamId> = taken.map(|(stream, _)| *stream).collect();
        self.kinds.retain(|_, kind| !of_session(kind));
        taken
    }
}
