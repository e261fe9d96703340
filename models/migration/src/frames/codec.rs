//! The codecs behind one type, and what each of them may build on.

use bytes::Bytes;
use longhaul_core::units::ByteSize;
use longhaul_frames::{Amount, Kind, Sent};
use longhaul_hde::{
    EncodeWork, Encoder, EncoderOptions, EncoderStats, FrameHeader, HeldPages, PAGE_SIZE, PageInput,
};

use crate::Encoding;
use crate::xbzrle::cache::CacheStatistics;
use crate::xbzrle::{self, Cache};

/// What makes frames of real pages.
pub(super) enum Codec {
    Hde {
        encoder: Box<Encoder>,
        options: EncoderOptions,
        /// What earlier encoders have counted.
        before: EncoderStats,
        /// What a cache has counted that is not used any more.
        cache: Option<CacheStatistics>,
    },
    Xbzrle {
        cache: Cache,
        /// The cache is used after the first pass over memory.
        started: bool,
    },
}

/// A frame of real pages.
pub(super) struct Encoded {
    pub frame: Bytes,
    /// Bytes of it that would be there for synthetic pages, too.
    pub header_len: usize,
    pub zero_pages: u64,
    pub overflows: u64,
    pub work: EncodeWork,
}

impl Encoded {
    /// What its pages have come to.
    pub fn amount(&self) -> Amount {
        Amount {
            body_bytes: (self.frame.len() - self.header_len) as u64,
            zero_pages: self.zero_pages,
            overflows: self.overflows,
            work: self.work,
        }
    }
}

impl Codec {
    /// What this encoding says.
    pub fn new(encoding: Encoding) -> Codec {
        match encoding {
            Encoding::Hde(options) => Codec::hde(options),
            Encoding::Xbzrle { cache } => Codec::Xbzrle {
                cache: Cache::new(cache),
                started: false,
            },
        }
    }

    /// One whose frames can be decoded in any order.
    pub fn independent(encoding: Encoding) -> Codec {
        let options = match encoding {
            Encoding::Hde(options) => options,
            Encoding::Xbzrle { .. } => EncoderOptions::raw(),
        };
        let options = EncoderOptions {
            delta: false,
            duplicates: false,
            similar: false,
            index_anchors: 0,
            index_pages: 0,
            ..options
        };
        Codec::hde(options)
    }

    /// One that knows no frame but the one that it makes.
    pub fn trial(encoding: Encoding) -> Codec {
        match encoding {
            Encoding::Hde(options) => Codec::hde(EncoderOptions {
                duplicates: false,
                similar: false,
                index_anchors: 0,
                index_pages: 0,
                ..options
            }),
            Encoding::Xbzrle { .. } => Codec::Xbzrle {
                cache: Cache::new(ByteSize::from_kib(4)),
                started: false,
            },
        }
    }

    fn hde(options: EncoderOptions) -> Codec {
        Codec::Hde {
            encoder: Box::new(Encoder::new(options)),
            options,
            before: EncoderStats::default(),
            cache: None,
        }
    }

    pub fn stats(&self) -> EncoderStats {
        match self {
            Codec::Hde { encoder, before, .. } => *before + *encoder.stats(),
            Codec::Xbzrle { .. } => EncoderStats::default(),
        }
    }

    pub fn cache_statistics(&self) -> Option<CacheStatistics> {
        match self {
            Codec::Hde { cache, .. } => *cache,
            Codec::Xbzrle { cache, .. } => Some(*cache.statistics()),
        }
    }

    /// What a page that is about to be sent at `version` may build on. `sent` is what the destination has.
    pub fn baseline(
        &mut self,
        page: u64,
        version: u32,
        sent: &Sent,
        age: u64,
        last_stage: bool,
    ) -> Option<u32> {
        match self {
            Codec::Hde { options, .. } if options.delta => sent.version(page),
            Codec::Xbzrle { cache, started: true } => cache.replace(page, version, age, last_stage),
            Codec::Hde { .. } | Codec::Xbzrle { .. } => None,
        }
    }

    pub fn end_first_pass(&mut self) {
        if let Codec::Xbzrle { started, .. } = self {
            *started = true;
        }
    }

    pub fn begin_postcopy(&mut self) {
        if let Codec::Xbzrle { cache, .. } = self {
            let counted = *cache.statistics();
            *self = Codec::hde(EncoderOptions::raw());
            if let Codec::Hde { cache, .. } = self {
                *cache = Some(counted);
            }
        }
    }

    /// Nothing that was sent so far can be built on.
    pub fn restart(&mut self) {
        if let Codec::Hde {
            encoder,
            options,
            before,
            ..
        } = self
        {
            *before = *before + *encoder.stats();
            **encoder = Encoder::new(*options);
        }
    }

    /// Notes what so many synthetic pages of a kind came to.
    pub fn count_synthetic(&mut self, kind: Kind, pages: u64, amount: &Amount) {
        if let Codec::Xbzrle { cache, .. } = self
            && kind.again
        {
            let numbers = pages * xbzrle::codec::NUMBER_LEN;
            cache.count(amount.body_bytes.saturating_sub(numbers), amount.overflows);
        }
    }

    /// Makes a frame; `held` is what the destination has, if the codec may build on it.
    pub fn encode(
        &mut self,
        sequence: u64,
        pages: &[PageInput<'_>],
        held: Option<&dyn HeldPages>,
    ) -> Encoded {
        match self {
            Codec::Hde { encoder, .. } => {
                let zero_before = encoder.stats().pages.zero;
                let frame = match held {
                    Some(held) => encoder.encode_with(sequence, pages, held),
                    None => encoder.encode(sequence, pages),
                };
                Encoded {
                    header_len: FrameHeader::encoded_len(&frame).expect("a frame just encoded"),
                    frame,
                    zero_pages: encoder.stats().pages.zero - zero_before,
                    overflows: 0,
                    work: *encoder.last_work(),
                }
            }
            Codec::Xbzrle { cache, .. } => {
                let encoded = xbzrle::codec::encode(sequence, pages);
                cache.count(encoded.compared_bytes, encoded.overflows);
                let page = PAGE_SIZE as u64;
                Encoded {
                    frame: encoded.frame,
                    header_len: xbzrle::codec::FIXED_LEN,
                    zero_pages: encoded.zero_pages,
                    overflows: encoded.overflows,
                    work: EncodeWork {
                        frames: 1,
                        scanned: pages.len() as u64 * page,
                        compared: encoded.compared_pages * page,
                        ..EncodeWork::default()
                    },
                }
            }
        }
    }
}
