//! Chunks that are out on streams and not acknowledged.

use std::collections::BTreeMap;

use longhaul_core::time::Instant;

use crate::chunk::Chunk;
use crate::record::ChunkName;

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
        };
        self.chunks.insert(outstanding.chunk.name(), outstanding);
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
