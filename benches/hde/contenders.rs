//! The codecs under comparison, measured alike: encode all portions, decode them, compare what arrives.

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use longhaul_hde::{Decoder, Encoder, EncoderOptions, HeldPages, PAGE_SIZE, PageInput, PageStore};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CCtx, CParameter, DCtx};

use crate::support::Stopwatch;
use crate::{Page, inputs, xbzrle};

/// A codec and its level.
#[derive(Clone, Copy)]
pub enum Contender {
    Hde(i32),
    Zstd(i32),
    ZstdOfXor(i32),
    ZstdPrefix(i32),
    Lz4,
    Xbzrle,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contender::Hde(level) => write!(f, "HDE {level}"),
            Contender::Zstd(level) => write!(f, "zstd {level}"),
            Contender::ZstdOfXor(level) => write!(f, "zstd {level} of XOR"),
            Contender::ZstdPrefix(level) => write!(f, "zstd {level} prefix"),
            Contender::Lz4 => write!(f, "lz4"),
            Contender::Xbzrle => write!(f, "XBZRLE"),
        }
    }
}

/// Pages to send, and what the receiver holds.
pub struct Workload<'a> {
    pub name: String,
    pub pages: Vec<PageInput<'a>>,
    /// The receiver's image; `None` if it has none.
    pub held: Option<&'a [Page]>,
    /// The whole image that there is to send or to bring up to date.
    pub image: &'a [Page],
    pub pages_per_frame: usize,
    /// Bytes of which the ratio is told.
    pub counted_bytes: usize,
}

impl<'a> Workload<'a> {
    /// An image of which the receiver has nothing.
    pub fn first(name: impl Into<String>, image: &'a [Page], pages_per_frame: usize) -> Workload<'a> {
        Workload {
            name: name.into(),
            pages: inputs(image, None),
            held: None,
            image,
            pages_per_frame,
            counted_bytes: image.len() * PAGE_SIZE,
        }
    }

    /// The pages in which an image differs from the one before it.
    pub fn epoch(
        name: impl Into<String>,
        image: &'a [Page],
        held: &'a [Page],
        pages_per_frame: usize,
    ) -> Workload<'a> {
        let pages = inputs(image, Some(held));
        Workload {
            name: name.into(),
            counted_bytes: pages.len() * PAGE_SIZE,
            pages,
            held: Some(held),
            image,
            pages_per_frame,
        }
    }

    fn portions(&self) -> impl Iterator<Item = &[PageInput<'a>]> {
        self.pages.chunks(self.pages_per_frame)
    }
}

/// Bytes produced, and the shortest processor time of each direction in nanoseconds.
#[derive(Clone)]
pub struct Outcome {
    pub encoded: usize,
    pub encode: f64,
    pub decode: f64,
}

/// Encodes, decodes and compares, `passes` times each; the contenders take turns, so that what else the machine does
/// disturbs them alike.
pub fn measure(workload: &Workload<'_>, contenders: &[Contender], passes: usize) -> Vec<Outcome> {
    let never = Outcome {
        encoded: 0,
        encode: f64::INFINITY,
        decode: f64::INFINITY,
    };
    let mut best = vec![never; contenders.len()];
    for _ in 0..passes {
        for (contender, best) in contenders.iter().zip(&mut best) {
            let pass = match *contender {
                Contender::Hde(level) => hde(workload, EncoderOptions::hde(level)),
                other => by_portion(workload, &mut codec(other)),
            };
            best.encoded = pass.encoded;
            best.encode = best.encode.min(pass.encode);
            best.decode = best.decode.min(pass.decode);
        }
    }
    best
}

/// What the receiver holds while frames are made: the old image, or as much of the new one as was sent.
struct Mirror<'a> {
    workload: &'a Workload<'a>,
    sent: Cell<usize>,
}

impl HeldPages for Mirror<'_> {
    fn held_page<'a>(&'a self, number: u64, _: &'a mut Page) -> Option<&'a Page> {
        let pages = &self.workload.pages;
        let sent = pages
            .get(..self.sent.get())?
            .last()
            .is_some_and(|last| number <= last.number);
        let image = if sent {
            Some(self.workload.image)
        } else {
            self.workload.held
        };
        image?.get(number as usize)
    }
}

/// The receiver's memory, flat.
pub struct Memory(pub Vec<Page>);

impl PageStore for Memory {
    fn page(&self, number: u64) -> Option<&Page> {
        self.0.get(number as usize)
    }

    fn install(&mut self, number: u64, content: &Page) {
        self.0[number as usize] = *content;
    }
}

fn hde(workload: &Workload<'_>, options: EncoderOptions) -> Outcome {
    let mut encoder = Encoder::new(options);
    for (number, page) in (0..).zip(workload.held.unwrap_or_default()) {
        encoder.learn(number, page);
    }
    let mirror = Mirror {
        workload,
        sent: Cell::new(0),
    };
    let stopwatch = Stopwatch::start();
    let frames: Vec<_> = (0..)
        .zip(workload.portions())
        .map(|(sequence, portion)| {
            let frame = encoder.encode_with(sequence, portion, &mirror);
            mirror.sent.set(mirror.sent.get() + portion.len());
            frame
        })
        .collect();
    let encode = stopwatch.elapsed_ns();

    let start = workload
        .held
        .map_or_else(|| vec![[0; PAGE_SIZE]; workload.image.len()], <[Page]>::to_vec);
    let mut memory = Memory(std::hint::black_box(start));
    let mut decoder = Decoder::new();
    let stopwatch = Stopwatch::start();
    for frame in &frames {
        decoder
            .decode(frame, &mut memory)
            .expect("a frame of this encoder");
    }
    let decode = stopwatch.elapsed_ns();
    assert!(memory.0 == workload.image, "what arrives is not what was sent");
    Outcome {
        encoded: frames.iter().map(Bytes::len).sum(),
        encode,
        decode,
    }
}

/// Encodes a portion; decodes it, given its pages before, behind what there is.
type Codec = (
    Box<dyn FnMut(&[PageInput<'_>]) -> Vec<u8>>,
    Box<dyn FnMut(&[u8], &[PageInput<'_>], &mut Vec<u8>)>,
);

fn by_portion(workload: &Workload<'_>, (encode, decode): &mut Codec) -> Outcome {
    let stopwatch = Stopwatch::start();
    let frames: Vec<Vec<u8>> = workload.portions().map(encode).collect();
    let encode_ns = stopwatch.elapsed_ns();
    // Room for everything, and touched, so that what is measured is decoding.
    let mut memory = std::hint::black_box(vec![1u8; workload.pages.len() * PAGE_SIZE]);
    memory.clear();
    let stopwatch = Stopwatch::start();
    for (frame, portion) in frames.iter().zip(workload.portions()) {
        decode(frame, portion, &mut memory);
    }
    let decode_ns = stopwatch.elapsed_ns();
    let (arrived, _) = memory.as_chunks::<PAGE_SIZE>();
    assert!(
        workload.pages.iter().map(|page| page.content).eq(arrived),
        "what arrives is not what was sent"
    );
    Outcome {
        encoded: frames.iter().map(Vec::len).sum(),
        encode: encode_ns,
        decode: decode_ns,
    }
}

fn codec(contender: Contender) -> Codec {
    match contender {
        Contender::Hde(_) => unreachable!("measured on its own"),
        Contender::Zstd(level) => zstd(level, new, |_, _| ()),
        Contender::ZstdOfXor(level) => zstd(
            level,
            |pages| {
                let mut bytes = new(pages);
                xor(&mut bytes, &old(pages));
                bytes
            },
            |bytes, pages| xor(bytes, &old(pages)),
        ),
        Contender::ZstdPrefix(level) => (
            Box::new(move |pages| with_prefix(level, &new(pages), &old(pages))),
            Box::new(|frame, pages, memory| {
                let old = old(pages);
                let mut zstd = DCtx::create();
                let mut bytes = Vec::with_capacity(pages.len() * PAGE_SIZE);
                zstd.ref_prefix(&old).expect("a fresh context");
                zstd.decompress(&mut bytes, frame).expect("a sound frame");
                memory.extend_from_slice(&bytes);
            }),
        ),
        Contender::Lz4 => (
            Box::new(|pages| lz4_flex::block::compress(&new(pages))),
            Box::new(|frame, pages, memory| {
                let bytes = lz4_flex::block::decompress(frame, pages.len() * PAGE_SIZE);
                memory.extend_from_slice(&bytes.expect("a sound frame"));
            }),
        ),
        Contender::Xbzrle => (
            Box::new(|pages| {
                let mut out = Vec::new();
                for page in pages {
                    xbzrle::encode(page.content, page.baseline.unwrap_or(&[0; PAGE_SIZE]), &mut out);
                }
                out
            }),
            Box::new(|mut frame, pages, memory| {
                for page in pages {
                    let mut content = *page.baseline.unwrap_or(&[0; PAGE_SIZE]);
                    xbzrle::decode(&mut frame, &mut content);
                    memory.extend_from_slice(&content);
                }
            }),
        ),
    }
}

/// zstd over what `before` makes of the pages; `after` undoes that.
fn zstd(
    level: i32,
    before: fn(&[PageInput<'_>]) -> Vec<u8>,
    after: fn(&mut [u8], &[PageInput<'_>]),
) -> Codec {
    let mut compressor = Compressor::new(level).expect("a zstd context");
    let mut decompressor = Decompressor::new().expect("a zstd context");
    (
        Box::new(move |pages| compressor.compress(&before(pages)).expect("enough memory")),
        Box::new(move |frame, pages, memory| {
            let bytes = decompressor.decompress(frame, pages.len() * PAGE_SIZE);
            let mut bytes = bytes.expect("a sound frame");
            after(&mut bytes, pages);
            memory.extend_from_slice(&bytes);
        }),
    )
}

fn with_prefix(level: i32, new: &[u8], old: &[u8]) -> Vec<u8> {
    let mut zstd = CCtx::create();
    let window = (new.len() + old.len()).next_power_of_two().ilog2();
    for parameter in [
        CParameter::CompressionLevel(level),
        CParameter::WindowLog(window.clamp(17, 27)),
    ] {
        zstd.set_parameter(parameter).expect("within bounds");
    }
    zstd.ref_prefix(old).expect("a fresh context");
    let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(new.len()));
    zstd.compress2(&mut out, new).expect("room for the worst case");
    out
}

fn new(pages: &[PageInput<'_>]) -> Vec<u8> {
    pages.iter().flat_map(|page| page.content).copied().collect()
}

fn old(pages: &[PageInput<'_>]) -> Vec<u8> {
    let zero = [0; PAGE_SIZE];
    pages
        .iter()
        .flat_map(|page| page.baseline.unwrap_or(&zero))
        .copied()
        .collect()
}

fn xor(bytes: &mut [u8], other: &[u8]) {
    for (byte, other) in bytes.iter_mut().zip(other) {
        *byte ^= other;
    }
}
