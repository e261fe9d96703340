//! Cutting messages into chunks.

use longhaul_core::payload::{Payload, PayloadBuffer};

use crate::record::{ChunkName, HEADER_BYTES, Header, Kind};

/// A part of a message, kept until it is acknowledged. Real bytes are shared, not copied.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub message: u64,
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
            message: self.message,
            offset: self.offset,
            length: self.length,
        }
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
            message: self.message,
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

/// Cuts a message into chunks of at most `chunk_bytes`. Every chunk has that size, except the last one and those
/// that end where real bytes follow synthetic ones.
pub(crate) fn cut(message: u64, mut content: PayloadBuffer, chunk_bytes: u32) -> Vec<Chunk> {
    let empty = Chunk {
        message,
        message_length: content.len(),
        offset: 0,
        length: 0,
        real: 0,
        checksum: 0,
        pieces: Vec::new(),
    };
    let following = |last: &Chunk| Chunk {
        offset: last.offset + u64::from(last.length),
        pieces: Vec::new(),
        ..empty
    };
    let mut chunks = Vec::new();
    let mut chunk = following(&empty);
    while let Some(piece) = content.pop(u64::from(chunk_bytes - chunk.length)) {
        if !chunk.accepts(&piece) {
            let next = following(&chunk);
            chunks.push(std::mem::replace(&mut chunk, next));
        }
        chunk.append(piece);
        if chunk.length == chunk_bytes {
            let next = following(&chunk);
            chunks.push(std::mem::replace(&mut chunk, next));
        }
    }
    if chunk.length > 0 {
        chunks.push(chunk);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn shape(pieces: Vec<Payload>, chunk_bytes: u32) -> Vec<(u64, u32, u32)> {
        let mut content = PayloadBuffer::default();
        pieces.into_iter().for_each(|piece| content.push(piece));
        let chunks = cut(0, content, chunk_bytes);
        chunks
            .iter()
            .map(|chunk| (chunk.offset, chunk.real, chunk.length))
            .collect()
    }

    #[test]
    fn chunks_are_full_but_for_the_last() {
        let message = || vec![Bytes::from_static(b"abc").into(), Payload::Synthetic(7)];
        assert_eq!(shape(message(), 4), [(0, 3, 4), (4, 0, 4), (8, 0, 2)]);
        assert_eq!(shape(message(), 5), [(0, 3, 5), (5, 0, 5)]);
        assert_eq!(shape(message(), 100), [(0, 3, 10)]);
        assert_eq!(shape(message(), 1).len(), 10);
    }

    #[test]
    fn real_bytes_after_synthetic_ones_begin_a_chunk() {
        let message = vec![
            Payload::Synthetic(2),
            Bytes::from_static(b"ab").into(),
            Payload::Synthetic(2),
        ];
        assert_eq!(shape(message, 5), [(0, 0, 2), (2, 2, 4)]);
    }
}
