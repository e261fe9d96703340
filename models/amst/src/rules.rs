//! The seed's own rules for the number of streams, exactly as it has them, to compare with.
//!
//! Neither follows the physics. The specification's falls with the latency, although a longer path needs more
//! windows in flight, not fewer; the optimiser's multiplies the rate that the present streams reach by the latency,
//! which says how many chunks are in flight now, not how many would pay.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;

/// Least number of streams of the specification.
pub const LEAST_SPEC_STREAMS: u32 = 16;
/// Least number of streams of the optimiser.
pub const LEAST_SEED_STREAMS: u32 = 4;
/// The number with which the optimiser begins.
pub const INITIAL_SEED_STREAMS: u32 = 16;
/// Largest number of streams of both.
pub const MOST_SEED_STREAMS: u32 = 256;
/// Least size of a chunk of the optimiser, in bytes.
pub const LEAST_SEED_CHUNK_BYTES: u32 = 4 << 10;
/// Size of a chunk with which the optimiser begins, in bytes.
pub const INITIAL_SEED_CHUNK_BYTES: u32 = 64 << 10;
/// Largest size of a chunk of the specification, in bytes.
pub const SEED_CHUNK_BYTES: u32 = 256 << 10;
/// Largest size of a chunk of the optimiser, in bytes.
pub const MOST_SEED_CHUNK_BYTES: u32 = 1 << 20;
/// How often the optimiser decides.
pub const OPTIMISER_INTERVAL: Span = Span::from_s(5);

/// The specification: `clamp(Mbit/s / (ms · 0.1), 16, 256)`, rounded down.
pub fn spec_streams(rate: BitRate, rtt: Span) -> u32 {
    // (bits / 10^6) / (ns / 10^6 / 10) = 10 · bits / ns.
    let streams = u128::from(rate.as_bits_per_s()) * 10 / u128::from(rtt.as_ns().max(1));
    let most = u128::from(MOST_SEED_STREAMS);
    streams.clamp(u128::from(LEAST_SPEC_STREAMS), most) as u32
}

/// The specification: half of what is in flight, at most 256 KiB; here at least 4 KiB.
pub fn spec_chunk_bytes(rate: BitRate, rtt: Span) -> u32 {
    let half = rate.bytes_in(rtt) / 2;
    half.clamp(u64::from(LEAST_SEED_CHUNK_BYTES), u64::from(SEED_CHUNK_BYTES)) as u32
}

/// The specification paces to 95 % of the rate, shared by all streams.
pub fn spec_pace(rate: BitRate) -> BitRate {
    let bits = u128::from(rate.as_bits_per_s()) * 95 / 100;
    BitRate::from_bits_per_s(bits.max(1) as u64)
}

/// What the optimiser decides on, and what it decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Streams.
    pub streams: u32,
    /// Size of a chunk in bytes.
    pub chunk_bytes: u32,
}

/// What the optimiser measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Bytes per second.
    pub bytes_per_s: u64,
    /// Round trip.
    pub rtt: Span,
    /// Segments lost, of a million.
    pub loss_millionths: u64,
}

/// The optimiser's next setting: what is in flight in chunks of the present size, within 4 and 256, at most twice and
/// at least half of the present number; chunks grow by a quarter below 1 % of loss and shrink by a quarter above 5 %,
/// within 4 KiB and 1 MiB. A number that would change by a tenth or less stays.
pub fn optimise(now: Setting, measured: Measured) -> Setting {
    let milliseconds = measured.rtt.as_ns() / 1_000_000;
    let in_flight = u128::from(measured.bytes_per_s) * u128::from(milliseconds) / 1_000;
    let wanted = in_flight / u128::from(now.chunk_bytes.max(1));
    let wanted = wanted.clamp(u128::from(LEAST_SEED_STREAMS), u128::from(MOST_SEED_STREAMS)) as u32;
    let streams = wanted.clamp(now.streams / 2, now.streams.saturating_mul(2));
    let chunk_bytes = if measured.loss_millionths > 50_000 {
        u64::from(now.chunk_bytes) * 3 / 4
    } else if measured.loss_millionths < 10_000 {
        u64::from(now.chunk_bytes) * 5 / 4
    } else {
        u64::from(now.chunk_bytes)
    };
    let range = (
        u64::from(LEAST_SEED_CHUNK_BYTES),
        u64::from(MOST_SEED_CHUNK_BYTES),
    );
    let chunk_bytes = chunk_bytes.clamp(range.0, range.1) as u32;
    let differs = |new: u32, old: u32| u64::from(new.abs_diff(old)) * 10 > u64::from(old);
    Setting {
        streams: if differs(streams, now.streams) {
            streams
        } else {
            now.streams
        },
        chunk_bytes: if differs(chunk_bytes, now.chunk_bytes) {
            chunk_bytes
        } else {
            now.chunk_bytes
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mbit(rate: u64) -> BitRate {
        BitRate::from_bits_per_s(rate * 1_000_000)
    }

    #[test]
    fn the_specification_has_the_values_of_the_original_test() {
        for (rate, ms, streams) in [
            (1_000, 10, 256),
            (1_000, 80, 125),
            (900, 120, 75),
            (640, 200, 32),
            (100, 100, 16),
        ] {
            assert_eq!(spec_streams(mbit(rate), Span::from_ms(ms)), streams);
        }
        assert_eq!(spec_streams(mbit(1), Span::ZERO), 256);
        assert_eq!(spec_chunk_bytes(mbit(1_000), Span::from_ms(80)), 256 << 10);
        assert_eq!(spec_chunk_bytes(mbit(10), Span::from_ms(80)), 50_000);
        assert_eq!(spec_pace(mbit(1_000)), mbit(950));
    }

    #[test]
    fn the_optimiser_has_the_values_of_the_original_test() {
        let setting = |(streams, kib): (u32, u32)| Setting {
            streams,
            chunk_bytes: kib << 10,
        };
        let run = |begin, measured, expected: [(u32, u32); 3]| {
            let mut now = setting(begin);
            for step in expected {
                now = optimise(now, measured);
                assert_eq!(now, setting(step));
            }
        };
        let clean = Measured {
            bytes_per_s: 125_000_000,
            rtt: Span::from_ms(100),
            loss_millionths: 0,
        };
        run((16, 64), clean, [(32, 80), (64, 100), (122, 125)]);
        let lossy = Measured {
            bytes_per_s: 1_250_000,
            rtt: Span::from_ms(50),
            loss_millionths: 60_000,
        };
        run((64, 64), lossy, [(32, 48), (16, 36), (8, 27)]);
    }
}
