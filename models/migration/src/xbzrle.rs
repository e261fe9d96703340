//! XBZRLE, QEMU's encoding of pages that are sent again: the bytes that have changed, found by comparing with the copy
//! that was sent before (QEMU, `docs/devel/migration/features`: "XBZRLE"; `migration/xbzrle.c`).
//!
//! A page that is in the [cache] travels as alternating runs: how many bytes are the same, how many have changed, and
//! these. Lengths are ULEB128. A page that is not in the cache travels as it is and may take a place there, and so does
//! one whose runs are not shorter than the page (an *overflow*). As in QEMU, nothing is cached during the first pass over
//! memory, and nothing is looked up once post-copy has begun.

pub mod cache;
pub mod codec;

pub use cache::Cache;
