//! Four levels of impact, for those who do not want to choose numbers.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// How bad a fault is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Impact {
    /// Noticed by those who measure.
    Low,
    /// Noticed by users.
    Medium,
    /// Hard to work with.
    High,
    /// Next to an outage.
    Critical,
}

/// What an impact is in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Magnitudes {
    /// Added to each passage.
    pub latency: Span,
    /// Added to it at random: a tenth of it.
    pub jitter: Span,
    /// Of each packet.
    pub loss: Probability,
    /// All that passes.
    pub bandwidth: BitRate,
    /// By which a clock is fast.
    pub skew: Span,
}

impl Magnitudes {
    /// What stands for an impact that nobody knows.
    pub const FALLBACK: Magnitudes = magnitudes(100, 50, 100, 1_000);

    /// The impact of this name, in any case of letters, or the [fallback](Magnitudes::FALLBACK).
    pub fn named(name: &str) -> Magnitudes {
        Impact::named(name).map_or(Magnitudes::FALLBACK, Impact::magnitudes)
    }

    /// A fault of added latency.
    pub fn latency(self) -> Kind {
        Kind::Latency {
            extra: self.latency,
            jitter: self.jitter,
        }
    }

    /// A fault of lost packets.
    pub fn loss(self) -> Kind {
        Kind::Loss {
            probability: self.loss,
        }
    }

    /// A fault of limited bandwidth.
    pub fn bandwidth(self) -> Kind {
        Kind::Bandwidth { rate: self.bandwidth }
    }

    /// A fault of a clock that is fast.
    pub fn clock_skew(self) -> Kind {
        Kind::ClockSkew {
            ns: i64::try_from(self.skew.as_ns()).unwrap_or(i64::MAX),
        }
    }
}

impl Impact {
    /// All levels, the mildest first.
    pub const ALL: [Impact; 4] = [Impact::Low, Impact::Medium, Impact::High, Impact::Critical];
    /// To what a limited bandwidth returns where nobody says what is normal: 10 Gbit/s.
    pub const NORMAL_RATE: BitRate = BitRate::from_bits_per_s(10_000_000_000);

    /// The level of this name, in any case of letters.
    pub fn named(name: &str) -> Option<Impact> {
        Impact::ALL
            .into_iter()
            .find(|impact| impact.name().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Impact::Low => "low",
            Impact::Medium => "medium",
            Impact::High => "high",
            Impact::Critical => "critical",
        }
    }

    /// The level in numbers.
    pub const fn magnitudes(self) -> Magnitudes {
        match self {
            Impact::Low => magnitudes(50, 10, 1_000, 100),
            Impact::Medium => magnitudes(200, 50, 100, 1_000),
            Impact::High => magnitudes(500, 150, 10, 10_000),
            Impact::Critical => magnitudes(2_000, 500, 1, 60_000),
        }
    }
}

const fn magnitudes(latency_ms: u64, loss_per_mille: u64, mbit_per_s: u64, skew_ms: u64) -> Magnitudes {
    let Some(loss) = Probability::from_parts(loss_per_mille * (Probability::PARTS / 1000)) else {
        panic!("a loss above one");
    };
    Magnitudes {
        latency: Span::from_ms(latency_ms),
        jitter: Span::from_us(latency_ms * 100),
        loss,
        bandwidth: BitRate::from_bits_per_s(mbit_per_s * 1_000_000),
        skew: Span::from_ms(skew_ms),
    }
}
