//! Cutting messages into chunks.

use longhaul_core::payload::{Payload, PayloadBuffer};

use crate::record::{ChunkName, HEADER_BYTES, Header, Kind};
use crate::{MessageId, Priority};

/// A part of a message, kept until it is acknowledged. Real bytes are shared, not copied.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub message: MessageId,
    message_length: u64,
    offset: u64,
    length: u32,
    real: u32,
    checksum: u32,
    pieces: Vec<Payload>,
}

impl Chunk {
    pub fn name(&self) -> ChunkName {
        ChunkName {
            message: self.message.to_wire(),
            offset: self.offset,
            length: self.length,
        }
    }

    pub fn is_bulk(&self) -> bool {
        self.message.priority == Priority::Bulk
    }

    /// Bytes on a stream, header included.
    pub fn wire_bytes(&self) -> u64 {
        u64::from(HEADER_BYTES) + u64::from(self.length)
    }

    /// The record that carries this chunk.
    pub fn to_record(&self) -> (Header, &[Payload]) {
        let header = Header {
            kind: Kind::Chunk,
            length: self.length,
            real: self.real,
            message: self.message.to_wire(),
            message_length: self.message_length,
            offset: self.offset,
            checksum: self.checksum,
        };
        (header, &self.pieces)
    }

    /// Whether `piece` can follow: real bytes cannot follow synthetic ones in one chunk.
    fn accepts(&self, piece: &Payload) -> bool {
        matches!(piece, Payload::Synthetic(_)) || self.real == self.length
    }

    fn append(&mut self, piece: Payload) {
        // Pieces of a chunk are at most as long as the largest chunk.
        let len = u32::try_from(piece.len()).expect("limited by the chunk size");
        self.length += len;
        if let Payload::Real(bytes) = &piece {
            self.real += len;
            self.checksum = crc32c::crc32c_append(self.checksum, bytes);
        }
        self.pieces.push(piece);
    }
}

/// A message that is being cut into chunks, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Cutter {
    message: MessageId,
    message_length: u64,
    offset: u64,
    /// A piece that did not fit into the last chunk; it comes before the rest.
    kept: Option<Payload>,
    rest: PayloadBuffer,
}

impl Cutter {
    pub fn new(message: MessageId, content: PayloadBuffer) -> Cutter {
        Cutter {
            message,
            message_length: content.len(),
            offset: 0,
            kept: None,
            rest: content,
        }
    }

    /// Bytes that have not been cut off.
    pub fn left(&self) -> u64 {
        self.message_length - self.offset
    }

    /// The next chunk, of `chunk_bytes` bytes unless the message or a run of synthetic bytes ends before; `None` at
    /// the end of the message.
    pub fn cut(&mut self, chunk_bytes: u32) -> Option<Chunk> {
        if self.left() == 0 {
            return None;
        }
        let mut chunk = Chunk {
            message: self.message,
            message_length: self.message_length,
            offset: self.offset,
            length: 0,
            real: 0,
            checksum: 0,
            pieces: Vec::new(),
        };
        while let Some(piece) = self.take(u64::from(chunk_bytes - chunk.length)) {
            if !chunk.accepts(&piece) {
                self.kept = Some(piece);
                break;
            }
            chunk.append(piece);
        }
        self.offset += u64::from(chunk.length);
        Some(chunk)
    }

    fn take(&mut self, limit: u64) -> Option<Payload> {
        let Some(mut piece) = self.kept.take() else {
            return self.rest.pop(limit);
        };
        if limit == 0 {
            self.kept = Some(piece);
            return None;
        }
        let part = piece.split_to(piece.len().min(limit));
        self.kept = Some(piece).filter(|piece| !piece.is_empty());
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn shape(pieces: Vec<Payload>, mut chunk_bytes: impl FnMut() -> u32) -> Vec<(u64, u32, u32)> {
        let mut content = PayloadBuffer::default();
        pieces.into_iter().for_each(|piece| content.push(piece));
        let message = MessageId {
            priority: Priority::Bulk,
            number: 0,
        };
        let mut cutter = Cutter::new(message, content);
        std::iter::from_fn(|| cutter.cut(chunk_bytes()))
            .map(|chunk| (chunk.offset, chunk.real, chunk.length))
            .collect()
    }

    #[test]
    fn chunks_are_full_but_for_the_last() {
        let message = || vec![Bytes::from_static(b"abc").into(), Payload::Synthetic(7)];
        assert_eq!(shape(message(), || 4), [(0, 3, 4), (4, 0, 4), (8, 0, 2)]);
        assert_eq!(shape(message(), || 5), [(0, 3, 5), (5, 0, 5)]);
        assert_eq!(shape(message(), || 100), [(0, 3, 10)]);
        assert_eq!(shape(message(), || 1).len(), 10);
    }

    #[test]
    fn real_bytes_after_synthetic_ones_begin_a_chunk() {
        let message = || {
            vec![
                Payload::Synthetic(2),
                Bytes::from_static(b"abcdef").into(),
                Payload::Synthetic(2),
            ]
        };
        assert_eq!(shape(message(), || 7), [(0, 0, 2), (2, 6, 7), (9, 0, 1)]);
        // A piece that was kept is cut again if chunks have become smaller.
        let mut sizes = [7, 2, 1, 9].into_iter();
        let cut = shape(message(), || sizes.next().unwrap_or(9));
        assert_eq!(cut, [(0, 0, 2), (2, 2, 2), (4, 1, 1), (5, 3, 5)]);
    }
}
