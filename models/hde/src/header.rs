//! The frame header: which pages a frame carries, where it belongs in the order, and what its result must be.
//!
//! All integers are little-endian.
//!
//! | offset | bytes | field |
//! | ---: | ---: | --- |
//! | 0 | 4 | magic `LHDE` |
//! | 4 | 1 | format version, 2 |
//! | 5 | 1 | form of the body: 0 pages, 1 synthetic, 2 pages that need a dictionary |
//! | 6 | 2 | length of the header, checksum included |
//! | 8 | 8 | sequence number, the caller's |
//! | 16 | 8 | chain: what the frame before left as its link, 0 for an encoder's first frame |
//! | 24 | 16 | result hash: XXH3-128 over page numbers and hashes of the resulting contents |
//! | 40 | 8 | body checksum: XXH3-64 over the body |
//! | 48 | 4 | length of the body |
//! | 52 | 2 | number of pages |
//! | 54 | 2 | number of page runs |
//! | 56 | 16 | only in form 2: id, version and fingerprint of the dictionary |
//! | … | … | runs, ascending (varints): twice the gap since the end of the run before, plus one if the run has more than one page; then their number minus two |
//! | end−4 | 4 | CRC-32C over everything before it |
//!
//! The first eight bytes are enough to cut the header from a stream. The body follows at once; its layout is
//! the business of the encoder and the decoder.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::decode::DecodeError;
use crate::dictionary::DictionaryName;
use crate::{MAX_PAGES_PER_FRAME, PAGE_SIZE, plan, varint};

const MAGIC: [u8; 4] = *b"LHDE";
const VERSION: u8 = 2;
const FIXED_LEN: usize = 56;
const CHECKSUM_LEN: usize = 4;
const DICTIONARY_LEN: usize = 16;

/// Page numbers lie below this, so that byte addresses fit 64 bits.
pub(crate) const PAGE_NUMBER_LIMIT: u64 = 1 << 52;

/// Largest body of a frame of `pages` pages: a plan and at most a page of data each, stored.
pub(crate) const fn max_body_len(pages: usize) -> usize {
    SECTIONS * (1 + 2 * varint::MAX_LEN) + plan::max_len(pages) + pages * PAGE_SIZE
}

/// A plan and data.
const SECTIONS: usize = 2;

/// Consecutive pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PageRun {
    /// Number of the first page, below 2^52.
    pub start: u64,
    /// How many, at least 1.
    pub count: u32,
}

impl PageRun {
    /// The page numbers of the run.
    pub fn pages(&self) -> std::ops::Range<u64> {
        self.start..self.end()
    }

    /// The first page number after the run.
    pub fn end(&self) -> u64 {
        self.start + u64::from(self.count)
    }
}

/// What the body of a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyForm {
    /// Encoded pages.
    Pages,
    /// Only a length. The decoder refuses it.
    Synthetic,
}

/// The header of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// The caller's number of the frame; echoed by the decoder.
    pub sequence: u64,
    /// Pages in ascending order; neighbouring runs are merged.
    pub runs: Vec<PageRun>,
    /// What the body is.
    pub form: BodyForm,
    /// Length of the body.
    pub body_len: u32,
    /// XXH3-64 over the body; 0 for a synthetic body.
    pub body_checksum: u64,
    /// The dictionary without which the body cannot be decoded.
    pub dictionary: Option<DictionaryName>,
    /// The [link](Self::link) of the frame before; 0 for the first frame of an encoder and for a synthetic body.
    pub chain: u64,
    /// Hash of page numbers and resulting contents; 0 for a synthetic body.
    pub result_hash: u128,
}

/// Encodes the header of a frame whose body is only a length, `body_len` bytes.
///
/// # Panics
/// If the runs are not ascending and apart, hold more than [`MAX_PAGES_PER_FRAME`] pages or an empty run, or
/// if `body_len` exceeds that of any real frame (about 20 MiB).
pub fn encode_synthetic_header(runs: &[PageRun], sequence: u64, body_len: u64) -> Bytes {
    FrameHeader {
        sequence,
        runs: runs.to_vec(),
        form: BodyForm::Synthetic,
        body_len: u32::try_from(body_len).unwrap_or(u32::MAX),
        body_checksum: 0,
        dictionary: None,
        chain: 0,
        result_hash: 0,
    }
    .encode()
}

impl FrameHeader {
    /// Collects ascending page numbers into runs.
    ///
    /// # Panics
    /// If the numbers do not strictly ascend or reach 2^52.
    pub fn runs_of(numbers: impl Iterator<Item = u64>) -> Vec<PageRun> {
        let mut runs: Vec<PageRun> = Vec::new();
        for number in numbers {
            assert!(number < PAGE_NUMBER_LIMIT, "page number {number} beyond 2^52");
            match runs.last_mut() {
                Some(run) if number == run.end() => run.count += 1,
                Some(run) if number < run.end() => {
                    panic!(
                        "pages of a frame must strictly ascend: {number} after {}",
                        run.end() - 1
                    )
                }
                _ => runs.push(PageRun {
                    start: number,
                    count: 1,
                }),
            }
        }
        runs
    }

    /// Number of pages.
    pub fn page_count(&self) -> usize {
        self.runs.iter().map(|run| run.count as usize).sum()
    }

    /// Numbers of the pages, ascending.
    pub fn pages(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().flat_map(PageRun::pages)
    }

    /// What the frame leaves for the next one: a hash of where it stands and of what it carries. Equal frames in
    /// different places of the order have different links.
    pub fn link(&self) -> u64 {
        let mut hash = Xxh3::new();
        hash.update(&self.chain.to_le_bytes());
        hash.update(&self.sequence.to_le_bytes());
        hash.update(&self.result_hash.to_le_bytes());
        hash.update(&self.body_checksum.to_le_bytes());
        // 0 stands for the start of the order.
        hash.digest().max(1)
    }

    /// Length of the header as bytes.
    pub(crate) fn len(&self) -> usize {
        let mut runs = Vec::with_capacity(4 * self.runs.len());
        self.put_runs(&mut runs);
        let dictionary = self.dictionary.map_or(0, |_| DICTIONARY_LEN);
        FIXED_LEN + dictionary + runs.len() + CHECKSUM_LEN
    }

    fn put_runs(&self, out: &mut Vec<u8>) {
        let mut end = 0;
        for run in &self.runs {
            // Page numbers lie below 2^52.
            let several = run.count > 1;
            varint::put(out, (run.start - end) << 1 | u64::from(several));
            if several {
                varint::put(out, u64::from(run.count) - 2);
            }
            end = run.end();
        }
    }

    /// The header as bytes, checksum included.
    ///
    /// # Panics
    /// If a field breaks the rules that [`FrameHeader::parse`] enforces.
    pub fn encode(&self) -> Bytes {
        if let Err(broken) = self.check() {
            panic!("a frame header that no decoder would take: {broken}");
        }
        let mut out = Vec::with_capacity(FIXED_LEN + CHECKSUM_LEN + 4 * self.runs.len());
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        out.push(match (self.form, self.dictionary) {
            (BodyForm::Pages, None) => 0,
            (BodyForm::Synthetic, _) => 1,
            (BodyForm::Pages, Some(_)) => 2,
        });
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(&self.result_hash.to_le_bytes());
        out.extend_from_slice(&self.body_checksum.to_le_bytes());
        out.extend_from_slice(&self.body_len.to_le_bytes());
        // `check` bounds both counts by the pages of a frame.
        out.extend_from_slice(&(self.page_count() as u16).to_le_bytes());
        out.extend_from_slice(&(self.runs.len() as u16).to_le_bytes());
        if let Some(dictionary) = self.dictionary {
            out.extend_from_slice(&dictionary.id.to_le_bytes());
            out.extend_from_slice(&dictionary.version.to_le_bytes());
            out.extend_from_slice(&dictionary.fingerprint);
        }
        self.put_runs(&mut out);
        let len = u16::try_from(out.len() + CHECKSUM_LEN).expect("4096 runs of at most 10 bytes");
        out[6..8].copy_from_slice(&len.to_le_bytes());
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.into()
    }

    /// Reads the header at the start of `bytes`; returns it and its length. What follows it is not looked at.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] says how many bytes are needed to get further; all other errors are final.
    pub fn parse(bytes: &[u8]) -> Result<(FrameHeader, usize), DecodeError> {
        let len = FrameHeader::encoded_len(bytes)?;
        let Some(header) = bytes.get(..len) else {
            return Err(DecodeError::Truncated {
                needed: len,
                have: bytes.len(),
            });
        };
        let (covered, checksum) = header.split_at(len - CHECKSUM_LEN);
        if crc32c::crc32c(covered).to_le_bytes() != checksum {
            return Err(DecodeError::HeaderChecksum);
        }
        let mut runs = &covered[FIXED_LEN..];
        let (form, dictionary) = match covered[5] {
            0 => (BodyForm::Pages, None),
            1 => (BodyForm::Synthetic, None),
            2 => (BodyForm::Pages, Some(parse_dictionary(&mut runs)?)),
            _ => return Err(DecodeError::Malformed("unknown body form")),
        };
        let page_count = u16::from_le_bytes(field(covered, 52));
        let run_count = u16::from_le_bytes(field(covered, 54));
        if usize::from(page_count.max(run_count)) > MAX_PAGES_PER_FRAME {
            return Err(DecodeError::TooLarge);
        }
        let header = FrameHeader {
            sequence: u64::from_le_bytes(field(covered, 8)),
            chain: u64::from_le_bytes(field(covered, 16)),
            result_hash: u128::from_le_bytes(field(covered, 24)),
            body_checksum: u64::from_le_bytes(field(covered, 40)),
            body_len: u32::from_le_bytes(field(covered, 48)),
            runs: parse_runs(runs, run_count)?,
            form,
            dictionary,
        };
        header.check()?;
        if header.page_count() != usize::from(page_count) {
            return Err(DecodeError::Malformed("page count differs from the runs"));
        }
        Ok((header, len))
    }

    /// Length of the header that starts with `prefix`, of which eight bytes are enough.
    ///
    /// # Errors
    /// If these bytes cannot start a header.
    pub fn encoded_len(prefix: &[u8]) -> Result<usize, DecodeError> {
        if prefix.len() < 8 {
            return Err(DecodeError::Truncated {
                needed: 8,
                have: prefix.len(),
            });
        }
        if prefix[..4] != MAGIC {
            return Err(DecodeError::BadMagic);
        }
        if prefix[4] != VERSION {
            return Err(DecodeError::BadVersion(prefix[4]));
        }
        let len = usize::from(u16::from_le_bytes(field(prefix, 6)));
        if len < FIXED_LEN + CHECKSUM_LEN {
            return Err(DecodeError::Malformed("header shorter than its fixed part"));
        }
        Ok(len)
    }

    /// What must hold for every header, written or read.
    fn check(&self) -> Result<(), DecodeError> {
        let mut pages = 0usize;
        let mut end = None;
        for run in &self.runs {
            if run.count == 0 {
                return Err(DecodeError::Malformed("empty page run"));
            }
            if end.is_some_and(|end| run.start <= end) {
                return Err(DecodeError::Malformed("page runs not ascending and apart"));
            }
            if run.start >= PAGE_NUMBER_LIMIT || run.end() > PAGE_NUMBER_LIMIT {
                return Err(DecodeError::Malformed("page number beyond 2^52"));
            }
            end = Some(run.end());
            pages = pages.saturating_add(run.count as usize);
        }
        let limit = match self.form {
            BodyForm::Synthetic => max_body_len(MAX_PAGES_PER_FRAME),
            BodyForm::Pages => max_body_len(pages.min(MAX_PAGES_PER_FRAME)),
        };
        if pages > MAX_PAGES_PER_FRAME || self.body_len as usize > limit {
            return Err(DecodeError::TooLarge);
        }
        let hashed = self.body_checksum != 0 || self.chain != 0 || self.result_hash != 0;
        if self.form == BodyForm::Synthetic && hashed {
            return Err(DecodeError::Malformed("hashes of a synthetic body"));
        }
        if self.form == BodyForm::Synthetic && self.dictionary.is_some() {
            return Err(DecodeError::Malformed("dictionary of a synthetic body"));
        }
        Ok(())
    }
}

fn parse_dictionary(bytes: &mut &[u8]) -> Result<DictionaryName, DecodeError> {
    let (name, rest) = bytes
        .split_first_chunk::<DICTIONARY_LEN>()
        .ok_or(DecodeError::Malformed("name of a dictionary"))?;
    *bytes = rest;
    Ok(DictionaryName {
        id: u32::from_le_bytes(field(name, 0)),
        version: u32::from_le_bytes(field(name, 4)),
        fingerprint: field(name, 8),
    })
}

fn parse_runs(mut bytes: &[u8], run_count: u16) -> Result<Vec<PageRun>, DecodeError> {
    let mut runs = Vec::with_capacity(usize::from(run_count));
    let mut end = 0u64;
    for _ in 0..run_count {
        let gap = varint::take(&mut bytes).ok_or(DecodeError::Malformed("page run"))?;
        let start = end
            .checked_add(gap >> 1)
            .filter(|start| *start < PAGE_NUMBER_LIMIT);
        let start = start.ok_or(DecodeError::Malformed("page number beyond 2^52"))?;
        let mut count = 1;
        if gap & 1 == 1 {
            let more = varint::take(&mut bytes).ok_or(DecodeError::Malformed("page run"))?;
            let more = u32::try_from(more).ok().and_then(|more| more.checked_add(2));
            count = more.ok_or(DecodeError::TooLarge)?;
        }
        let run = PageRun { start, count };
        end = run.end();
        runs.push(run);
    }
    if bytes.is_empty() {
        Ok(runs)
    } else {
        Err(DecodeError::Malformed("bytes after the last page run"))
    }
}

/// The `N` bytes at `offset`, which the caller has checked to exist.
fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("a slice of N bytes")
}
