//! Sections of a body: bytes that travel compressed by zstd where that shortens them, behind a little header.
//!
//! | bytes | field |
//! | ---: | --- |
//! | 1 | form: 0 stored, 1 one zstd frame |
//! | 1–10 | length before compression (varint) |
//! | 1–10 | length as it travels (varint) |
//!
//! A section may have a context, bytes that both ends have already and that zstd may refer back to.

use zstd::zstd_safe::{CCtx, CParameter, DCtx, ErrorCode, compress_bound};

use crate::decode::DecodeError;
use crate::varint;

/// Compresses sections at one level.
pub(crate) struct SectionWriter {
    level: Option<i32>,
    compressed: Vec<u8>,
}

impl SectionWriter {
    /// A writer at a zstd level from 1 to 19, or one that stores.
    ///
    /// # Panics
    /// If the level is outside 1 to 19.
    pub(crate) fn new(level: Option<i32>) -> SectionWriter {
        if let Some(level) = level {
            assert!((1..=19).contains(&level), "zstd level {level} outside 1 to 19");
        }
        SectionWriter {
            level,
            compressed: Vec::new(),
        }
    }

    /// Appends a section to a body.
    pub(crate) fn write(&mut self, content: &[u8], context: &[u8], body: &mut Vec<u8>) {
        self.compressed.clear();
        if let Some(level) = self.level.filter(|_| !content.is_empty()) {
            self.compressed.reserve(compress_bound(content.len()));
            compress(level, content, context, &mut self.compressed)
                .unwrap_or_else(|code| panic!("zstd: {}", zstd::zstd_safe::get_error_name(code)));
        }
        let shorter = !self.compressed.is_empty() && self.compressed.len() < content.len();
        let travelling = if shorter { &self.compressed } else { content };
        body.reserve(1 + 2 * varint::MAX_LEN + travelling.len());
        body.push(u8::from(shorter));
        varint::put(body, content.len() as u64);
        varint::put(body, travelling.len() as u64);
        body.extend_from_slice(travelling);
    }
}

fn compress(level: i32, content: &[u8], context: &[u8], out: &mut Vec<u8>) -> Result<usize, ErrorCode> {
    // A context that is borrowed binds the zstd context to its lifetime, so there is a new one per section.
    let mut zstd = CCtx::create();
    for parameter in parameters(level, content.len(), context.len()) {
        zstd.set_parameter(parameter)?;
    }
    zstd.ref_prefix(context)?;
    zstd.compress2(out, content)
}

/// The least level for content that is mostly changes.
const LEVEL_OF_CHANGES: i32 = 3;

/// zstd's parameters for a level, with a window over everything there is.
///
/// Content with a context of at least half its length is what little has changed of many pages (or little altogether,
/// behind a dictionary): even [`LEVEL_OF_CHANGES`] takes less time over it than the other stages take over the pages.
/// Level 1, for whole pages, is zstd's own with the matches of level 2, which are shorter.
fn parameters(level: i32, content: usize, context: usize) -> Vec<CParameter> {
    let window = (content + context).next_power_of_two().ilog2().clamp(17, 26);
    let is_changes = context * 2 >= content;
    let level = if is_changes {
        level.max(LEVEL_OF_CHANGES)
    } else {
        level
    };
    let mut parameters = vec![CParameter::CompressionLevel(level), CParameter::WindowLog(window)];
    if level == 1 {
        parameters.push(CParameter::MinMatch(6));
    }
    parameters
}

/// Takes sections off the front of a body.
pub(crate) struct SectionReader<'a> {
    body: &'a [u8],
}

/// A section as it travels.
pub(crate) struct Section<'a> {
    travelling: &'a [u8],
    compressed: bool,
    len: usize,
}

impl<'a> SectionReader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> SectionReader<'a> {
        SectionReader { body }
    }

    /// The next section, whose length before compression is at most `limit`.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`], and [`DecodeError::TooLarge`] for a section beyond the limit.
    pub(crate) fn take(&mut self, limit: usize) -> Result<Section<'a>, DecodeError> {
        let broken = DecodeError::Malformed("section header");
        let (form, rest) = self.body.split_first().ok_or(broken.clone())?;
        self.body = rest;
        let mut length = || {
            let length = varint::take(&mut self.body).ok_or(broken.clone())?;
            usize::try_from(length).map_err(|_| DecodeError::TooLarge)
        };
        let (len, travelling_len) = (length()?, length()?);
        if len > limit {
            return Err(DecodeError::TooLarge);
        }
        let (travelling, rest) = self
            .body
            .split_at_checked(travelling_len)
            .ok_or(DecodeError::Malformed("section shorter than its length"))?;
        self.body = rest;
        let compressed = match form {
            0 if travelling_len == len => false,
            // What compression does not shorten is stored.
            1 if travelling_len < len => true,
            _ => return Err(DecodeError::Malformed("form of a section")),
        };
        Ok(Section {
            travelling,
            compressed,
            len,
        })
    }

    /// Checks that nothing is left.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.body.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Malformed("bytes after the last section"))
        }
    }
}

impl<'a> Section<'a> {
    /// Length before compression.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether zstd has to decompress it.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// The content; `buffer` is for what has to be decompressed.
    pub(crate) fn read<'b>(&self, context: &[u8], buffer: &'b mut Vec<u8>) -> Result<&'b [u8], DecodeError>
    where
        'a: 'b,
    {
        if !self.compressed {
            return Ok(self.travelling);
        }
        buffer.clear();
        buffer.reserve_exact(self.len);
        let mut zstd = DCtx::create();
        // Writes at most the capacity, which may exceed the length declared.
        let written = zstd
            .ref_prefix(context)
            .and_then(|_| zstd.decompress(buffer, self.travelling));
        match written {
            Ok(len) if len == self.len => Ok(buffer),
            _ => Err(DecodeError::Malformed(
                "section does not decompress to its length",
            )),
        }
    }
}
