//! Chunks that are out on streams and not acknowledged.

use std::collections::BTreeMap;

use longhaul_core::time::Instant;

use crate::chunk::Chunk;
use crate::record::ChunkName;

/// How often a chunk is sent before a stream that carries it is lost.
const MOST_COPIES: u32 = 3;
/// The same for one that fits in a packet: where losses come in bursts and nothing else is sent, only more packets end a
/// burst, and TCP sends its own again ever more slowly.
const MOST_SMALL_COPIES: u32 = 12;
/// Bytes of a record that fits in a packet.
const SMALL_BYTES: u64 = 1_400;
/// Chunks that are looked at for one that is late.
const LOOKED_AT: usize = 32;

/// Chunks that are out, each on one stream or, sent again to be sure, on several.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    chunks: BTreeMap<ChunkName, Outstanding>,
}

#[derive(Debug)]
struct Outstanding {
    chunk: Chunk,
    /// When its latest copy was put on a stream.
    sent_at: Instant,
    /// Streams that carry it.
    carriers: u32,
    /// How often it has been sent since it was queued last.
    copies: u32,
}

impl Outstanding {
    fn most_copies(&self) -> u32 {
        if self.chunk.wire_bytes() <= SMALL_BYTES {
            return MOST_SMALL_COPIES;
        }
        MOST_COPIES
    }
}

impl Flight {
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// A chunk has been put on a stream.
    pub fn launch(&mut self, now: Instant, chunk: Chunk) {
        let outstanding = Outstanding {
            chunk,
            sent_at: now,
            carriers: 1,
            copies: 1,
        };
        self.chunks.insert(outstanding.chunk.name(), outstanding);
    }

    /// The chunk that has been out for longest since its latest copy was sent, and when that was, of those that `may` be
    /// sent once more. Only the first few in the order of the messages are looked at: they keep the others waiting.
    pub fn oldest(&self, may: impl Fn(ChunkName) -> bool) -> Option<(ChunkName, Instant)> {
        let first = self.chunks.iter().take(LOOKED_AT);
        let may = first.filter(|(name, it)| it.copies < it.most_copies() && may(**name));
        may.map(|(name, it)| (*name, it.sent_at))
            .min_by_key(|&(_, sent_at)| sent_at)
    }

    /// Length of the record of a chunk that is out; 0 of any other.
    pub fn wire_bytes(&self, name: ChunkName) -> u64 {
        self.chunks.get(&name).map_or(0, |it| it.chunk.wire_bytes())
    }

    /// Sends a chunk once more.
    ///
    /// # Panics
    /// If it is not out.
    pub fn again(&mut self, now: Instant, name: ChunkName) -> &Chunk {
        let it = self.chunks.get_mut(&name).expect("a chunk that is out");
        it.sent_at = now;
        it.copies += 1;
        it.carriers += 1;
        &it.chunk
    }

    /// The receiver has a chunk; the first time that it says so, the chunk comes back.
    pub fn land(&mut self, name: ChunkName) -> Option<Chunk> {
        self.chunks.remove(&name).map(|outstanding| outstanding.chunk)
    }

    /// A stream that carried this chunk is lost; the chunk comes back if no other stream carries it.
    pub fn lose(&mut self, name: ChunkName) -> Option<Chunk> {
        let outstanding = self.chunks.get_mut(&name)?;
        outstanding.carriers -= 1;
        if outstanding.carriers > 0 {
            return None;
        }
        self.land(name)
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.chunks.clear();
    }
}
