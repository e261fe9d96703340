//! What became of the pages of migrations and replications, for their records.

use longhaul_core::record::EncodingRecord;
use longhaul_frames::CopyStatistics;
use longhaul_hde::ClassCounts;
use longhaul_memory::PAGE_SIZE;

/// Adds what one encoder has made of its pages.
pub fn add_encoding(record: &mut EncodingRecord, copy: &CopyStatistics, pages: &ClassCounts) {
    record.raw_bytes += copy.pages() * PAGE_SIZE as u64;
    record.encoded_bytes += copy.frame_bytes();
    record.real_raw_bytes += copy.real_pages * PAGE_SIZE as u64;
    record.real_encoded_bytes += copy.real_frame_bytes;
    record.zero_pages += pages.zero;
    record.duplicate_pages += pages.duplicate;
    record.delta_pages += pages.delta;
    record.similar_pages += pages.similar;
    record.literal_pages += pages.literal;
}
