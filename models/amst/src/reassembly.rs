//! Putting the messages of one priority together, in their order and within a window.

use std::collections::BTreeMap;

use longhaul_core::payload::PayloadBuffer;

use crate::MessageId;
use crate::reader::Record;
use crate::record::{HEADER_BYTES, Header, RecordError};

/// What became of a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// It is kept.
    New,
    /// It was there already.
    Duplicate,
}

/// Messages of one priority on their way to the application.
#[derive(Debug)]
pub(crate) struct Reassembly {
    window_bytes: u64,
    /// The next message to deliver.
    next_message: u64,
    assemblies: BTreeMap<u64, Assembly>,
    held_bytes: u64,
}

/// A message in parts.
#[derive(Debug)]
struct Assembly {
    length: u64,
    received: u64,
    chunks: BTreeMap<u64, PayloadBuffer>,
}

impl Reassembly {
    pub fn new(window_bytes: u64) -> Reassembly {
        Reassembly {
            window_bytes,
            next_message: 0,
            assemblies: BTreeMap::new(),
            held_bytes: 0,
        }
    }

    /// What is held, a header's length counted for every chunk. Never above the window.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    pub fn take(&mut self, chunk: Record) -> Result<Taken, RecordError> {
        let Record { header, body } = chunk;
        let number = MessageId::from_wire(header.message).number;
        if number < self.next_message {
            return Ok(Taken::Duplicate);
        }
        let wire_bytes = u64::from(HEADER_BYTES) + u64::from(header.length);
        // Every message before this one takes at least a header and a byte of the window.
        let ahead = number - self.next_message;
        if header.message_length > self.window_bytes || ahead > self.window_bytes {
            return Err(RecordError::Window);
        }
        if self.is_duplicate(number, &header)? {
            return Ok(Taken::Duplicate);
        }
        if self.held_bytes + wire_bytes > self.window_bytes {
            return Err(RecordError::Window);
        }
        self.held_bytes += wire_bytes;
        let assembly = self.assemblies.entry(number).or_insert_with(|| Assembly {
            length: header.message_length,
            received: 0,
            chunks: BTreeMap::new(),
        });
        assembly.received += u64::from(header.length);
        assembly.chunks.insert(header.offset, body);
        Ok(Taken::New)
    }

    /// Whether this very chunk is there already. A chunk that overlaps others, or that knows another length of
    /// its message, is an error.
    fn is_duplicate(&self, number: u64, header: &Header) -> Result<bool, RecordError> {
        let Some(assembly) = self.assemblies.get(&number) else {
            return Ok(false);
        };
        if assembly.length != header.message_length {
            return Err(RecordError::Contradiction);
        }
        let end = header.offset + u64::from(header.length);
        match assembly.chunks.range(..end).next_back() {
            Some((&offset, there)) if offset == header.offset && there.len() == u64::from(header.length) => {
                Ok(true)
            }
            Some((&offset, there)) if offset + there.len() > header.offset => Err(RecordError::Contradiction),
            _ => Ok(false),
        }
    }

    /// The next message, if it is complete: its number and content.
    pub fn deliver(&mut self) -> Option<(u64, PayloadBuffer)> {
        let first = self.assemblies.first_entry()?;
        if *first.key() != self.next_message || first.get().received != first.get().length {
            return None;
        }
        let mut content = PayloadBuffer::default();
        for mut chunk in first.remove().chunks.into_values() {
            self.held_bytes -= u64::from(HEADER_BYTES) + chunk.len();
            while let Some(piece) = chunk.pop(u64::MAX) {
                content.push(piece);
            }
        }
        self.next_message += 1;
        Some((self.next_message - 1, content))
    }
}
