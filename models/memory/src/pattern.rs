//! The four content patterns of the workload generator: any page of any of them, on its own.
//!
//! They are those of the testing framework that this project replaces, down to the byte boundaries of their
//! sections, and cover the range from incompressible to almost nothing but structure:
//!
//! | pattern | content | entropy bound |
//! | --- | --- | ---: |
//! | [`RealWorld`](Pattern::RealWorld) | 30 % zeros, 40 % text of period 80, 20 % of 64 symbols, 10 % random | 4.0× |
//! | [`Constant`](Pattern::Constant) | random bytes ("constant" is the load, not the content) | 1.0× |
//! | [`Bursty`](Pattern::Bursty) | chunks: with 30 % 64 KiB random, else 128 KiB zeros | 5.67× |
//! | [`Sinusoidal`](Pattern::Sinusoidal) | byte *i* = ⌊128 + 127 sin(*i* / 1000)⌋ | none |

use longhaul_core::random::Stream;
use longhaul_core::units::Probability;

use crate::PAGE_SIZE;
use crate::noise::Noise;

/// A content pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// 30 % zero, 40 % repetitive, 20 % of 6 bits per byte, 10 % random, one after the other.
    RealWorld,
    /// Random bytes.
    Constant,
    /// Runs of 64 KiB random (30 %) and 128 KiB zero (70 %).
    Bursty,
    /// A sine wave in bytes.
    Sinusoidal,
}

/// What a page mostly consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Region {
    /// Zeros.
    Zero,
    /// Text that repeats every 80 bytes.
    Repetitive,
    /// Uniform over 64 symbols.
    LowEntropy,
    /// Uniform over all bytes.
    Random,
    /// A sine wave.
    Wave,
}

/// Four strings of 20 bytes. Together with the symbols they give the whole pattern the byte entropy of the
/// framework's own (5.107 bits), whose texts are not used.
const TEXT: &[u8; 80] = b"status=ok status=ok reader lock releasedconfig=default statestring in the binary";

/// The text again and again: a page that begins anywhere in it is one copy.
static TEXTS: [u8; PAGE_SIZE + TEXT.len()] = {
    let mut texts = [0; PAGE_SIZE + TEXT.len()];
    let mut at = 0;
    while at < texts.len() {
        texts[at] = TEXT[at % TEXT.len()];
        at += 1;
    }
    texts
};

/// Bursty content is random or zero in units of this many pages (64 KiB).
const UNIT_PAGES: u64 = 16;

/// The content of a guest's memory before its first write.
#[derive(Clone, Debug)]
pub struct Content {
    key: u64,
    pages: u64,
    layout: Layout,
}

#[derive(Clone, Debug)]
enum Layout {
    /// Byte offsets where the zeros, the text and the symbols end.
    RealWorld {
        zeros: u64,
        text: u64,
        symbols: u64,
    },
    Constant,
    /// A bit per unit: random or zero.
    Bursty {
        random: Vec<u64>,
    },
    /// Sine and cosine of *j* / 1000 for every place *j* of a page.
    Sinusoidal {
        wave: Vec<(f64, f64)>,
    },
}

impl Content {
    /// Content of `pages` pages; `stream` gives the key of the random bytes and the chunks of the bursty one.
    pub fn new(pattern: Pattern, pages: u64, stream: &mut Stream) -> Content {
        let key = stream.u64();
        let layout = match pattern {
            Pattern::RealWorld => {
                let bytes = u128::from(pages) * PAGE_SIZE as u128;
                let tenths = |tenths: u128| (bytes * tenths / 10) as u64;
                let (zeros, text, symbols) = (tenths(3), tenths(4), tenths(2));
                Layout::RealWorld {
                    zeros,
                    text: zeros + text,
                    symbols: zeros + text + symbols,
                }
            }
            Pattern::Constant => Layout::Constant,
            Pattern::Bursty => Layout::Bursty {
                random: bursts(pages, stream),
            },
            Pattern::Sinusoidal => Layout::Sinusoidal {
                wave: (0..PAGE_SIZE).map(|j| libm::sincos(j as f64 / 1000.0)).collect(),
            },
        };
        Content { key, pages, layout }
    }

    /// Number of pages.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Content of a page.
    ///
    /// # Panics
    /// If there is no such page.
    pub fn read(&self, page: u64, into: &mut [u8; PAGE_SIZE]) {
        assert!(page < self.pages, "page {page} of {}", self.pages);
        match &self.layout {
            Layout::RealWorld { zeros, text, symbols } => {
                self.read_real_world(page, [*zeros, *text, *symbols], into);
            }
            Layout::Constant => self.noise(page).fill(into),
            Layout::Bursty { random } if is_random(random, page) => self.noise(page).fill(into),
            Layout::Bursty { .. } => into.fill(0),
            Layout::Sinusoidal { wave } => {
                // sin(a + b) = sin a cos b + cos a sin b: one sine per page instead of one per byte.
                let (sin, cos) = libm::sincos((page * PAGE_SIZE as u64) as f64 / 1000.0);
                for (byte, (wave_sin, wave_cos)) in into.iter_mut().zip(wave) {
                    *byte = (128.0 + 127.0 * (sin * wave_cos + cos * wave_sin)) as u8;
                }
            }
        }
    }

    /// What a page consists of. The up to three pages in which one part of the real-world pattern meets the
    /// next count as the part in which they end, the less compressible one.
    ///
    /// # Panics
    /// If there is no such page.
    pub fn region(&self, page: u64) -> Region {
        assert!(page < self.pages, "page {page} of {}", self.pages);
        match &self.layout {
            Layout::RealWorld { zeros, text, symbols } => {
                let last = (page + 1) * PAGE_SIZE as u64 - 1;
                match last {
                    _ if last < *zeros => Region::Zero,
                    _ if last < *text => Region::Repetitive,
                    _ if last < *symbols => Region::LowEntropy,
                    _ => Region::Random,
                }
            }
            Layout::Bursty { random } if !is_random(random, page) => Region::Zero,
            Layout::Constant | Layout::Bursty { .. } => Region::Random,
            Layout::Sinusoidal { .. } => Region::Wave,
        }
    }

    fn noise(&self, page: u64) -> Noise {
        Noise::new(self.key, page, 0)
    }

    fn read_real_world(&self, page: u64, ends: [u64; 3], into: &mut [u8; PAGE_SIZE]) {
        let start = page * PAGE_SIZE as u64;
        // Where in this page the three parts end.
        let [zeros, text, symbols] = ends.map(|end| end.saturating_sub(start).min(PAGE_SIZE as u64) as usize);
        if text < PAGE_SIZE {
            self.noise(page).fill(into);
        }
        into[..zeros].fill(0);
        if zeros < text {
            let phase = ((start + zeros as u64 - ends[0]) % TEXT.len() as u64) as usize;
            into[zeros..text].copy_from_slice(&TEXTS[phase..phase + text - zeros]);
        }
        for byte in &mut into[text..symbols] {
            *byte = symbol(*byte);
        }
    }
}

/// The symbol of a byte's lower six bits, in the alphabet of Base64 (RFC 4648). Sums of comparisons are what compilers
/// turn into vector instructions, which tables are not.
fn symbol(byte: u8) -> u8 {
    let six = byte & 63;
    let from = |first: u8, step: u8| if six >= first { step } else { 0 };
    six.wrapping_add(b'A')
        .wrapping_add(from(26, b'a' - b'A' - 26))
        .wrapping_sub(from(52, b'a' + 26 - b'0'))
        .wrapping_sub(from(62, b'0' + 10 - b'+'))
        .wrapping_add(from(63, b'/' - b'+' - 1))
}

/// Draws chunks until they cover `pages`: a bit per 64 KiB, set for random.
fn bursts(pages: u64, stream: &mut Stream) -> Vec<u64> {
    let units = pages.div_ceil(UNIT_PAGES);
    let thirty_percent = Probability::from_ratio(3, 10).expect("below one");
    let mut random = vec![0; units.div_ceil(64) as usize];
    let mut unit = 0;
    while unit < units {
        if stream.chance(thirty_percent) {
            random[(unit / 64) as usize] |= 1 << (unit % 64);
            unit += 1;
        } else {
            unit += 2;
        }
    }
    random
}

fn is_random(random: &[u64], page: u64) -> bool {
    let unit = page / UNIT_PAGES;
    random[(unit / 64) as usize] & (1 << (unit % 64)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbols_are_base64() {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let all: Vec<u8> = (0..=255).map(symbol).collect();
        assert_eq!(all, alphabet.repeat(4));
    }
}
