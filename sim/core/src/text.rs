//! Text forms of quantities: `"80 ms"`, `"10 Gbit/s"`, `"4 GiB"`, `"0.1 %"`.
//!
//! | quantity | units | whole steps of |
//! | --- | --- | --- |
//! | [`Span`] | `ns`, `us` (also `µs`), `ms`, `s`, `min`, `h` | 1 ns |
//! | [`BitRate`] | `bit/s`, `kbit/s`, `Mbit/s`, `Gbit/s`, `Tbit/s` (powers of 1000) | 1 bit/s |
//! | [`ByteSize`] | `B`, `kB`, `MB`, `GB`, `TB` (powers of 1000), `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024) | 1 B |
//! | [`Probability`] | `%` | 10⁻¹⁰ % |
//!
//! Both directions are exact. Reading goes through integers alone and refuses what is not a whole number of
//! steps; printing chooses the shortest number, at least one, over all units (the larger unit if two are
//! equally short), and what it prints reads back as the same value. A bare number is refused: a unit that has
//! to be guessed is a unit that will be guessed wrong.

use std::fmt;
use std::str::FromStr;

use crate::time::Span;
use crate::units::{BitRate, ByteSize, Probability};

/// Why a text is no quantity. Texts are quoted as written, cut after 40 characters.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuantityError {
    /// Nothing but white space.
    #[error("nothing is written; write for example `{example}`")]
    Empty {
        /// A text of the right form.
        example: &'static str,
    },
    /// No decimal number at the front; so are `NaN`, `inf`, `.5`, `5.` and `1,5`.
    #[error("`{text}` does not start with a decimal number; write for example `{example}`")]
    NotANumber {
        /// The text.
        text: String,
        /// A text of the right form.
        example: &'static str,
    },
    /// Below zero.
    #[error("`{text}` is negative")]
    Negative {
        /// The text.
        text: String,
    },
    /// A number such as `1e3`.
    #[error("`{text}` has an exponent; write the digits out")]
    Exponent {
        /// The text.
        text: String,
    },
    /// A bare number.
    #[error("`{number}` has no unit; write `{instead}` (units of {what}: {})", allowed.join(", "))]
    MissingUnit {
        /// The number.
        number: String,
        /// What the author may have meant.
        instead: String,
        /// The kind of quantity.
        what: &'static str,
        /// The units.
        allowed: &'static [&'static str],
    },
    /// A unit of another quantity, or of none.
    #[error("`{unit}` is not a unit of {what}; the units are {}", allowed.join(", "))]
    UnknownUnit {
        /// What stands where the unit belongs.
        unit: String,
        /// The kind of quantity.
        what: &'static str,
        /// The units.
        allowed: &'static [&'static str],
    },
    /// Between two steps.
    #[error("`{text}` is not a whole number of {steps}")]
    NotExact {
        /// The text.
        text: String,
        /// Name of the steps.
        steps: &'static str,
    },
    /// Beyond the range.
    #[error("`{text}` is more than {max}, the most that can be represented")]
    TooLarge {
        /// The text.
        text: String,
        /// The largest value.
        max: String,
    },
}

/// One kind of quantity. `units` runs from small to large and ends with aliases, which are read but not printed.
struct Kind {
    what: &'static str,
    steps: &'static str,
    example: &'static str,
    typical_unit: &'static str,
    units: &'static [(&'static str, u64)],
    aliases: &'static [(&'static str, u64)],
    allowed: &'static [&'static str],
    max: u64,
}

const SPAN: Kind = Kind {
    what: "a time",
    steps: "nanoseconds",
    example: "80 ms",
    typical_unit: "ms",
    units: &[
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("min", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ],
    // The micro sign and the Greek letter look alike and come from different keyboards.
    aliases: &[("\u{b5}s", 1_000), ("\u{3bc}s", 1_000)],
    allowed: &["ns", "us", "ms", "s", "min", "h"],
    max: u64::MAX,
};

const BIT_RATE: Kind = Kind {
    what: "a rate",
    steps: "bits per second",
    example: "10 Gbit/s",
    typical_unit: "Mbit/s",
    units: &[
        ("bit/s", 1),
        ("kbit/s", 1_000),
        ("Mbit/s", 1_000_000),
        ("Gbit/s", 1_000_000_000),
        ("Tbit/s", 1_000_000_000_000),
    ],
    aliases: &[],
    allowed: &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"],
    max: u64::MAX,
};

const BYTE_SIZE: Kind = Kind {
    what: "a size",
    steps: "bytes",
    example: "4 GiB",
    typical_unit: "MiB",
    units: &[
        ("B", 1),
        ("kB", 1_000),
        ("KiB", 1 << 10),
        ("MB", 1_000_000),
        ("MiB", 1 << 20),
        ("GB", 1_000_000_000),
        ("GiB", 1 << 30),
        ("TB", 1_000_000_000_000),
        ("TiB", 1 << 40),
    ],
    aliases: &[],
    allowed: &["B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"],
    max: u64::MAX,
};

const PROBABILITY: Kind = Kind {
    what: "a share",
    steps: "10^-10 %",
    example: "0.1 %",
    typical_unit: "%",
    units: &[("%", Probability::PARTS / 100)],
    aliases: &[],
    allowed: &["%"],
    max: Probability::PARTS,
};

/// More decimals than any exact form that a person would write; keeps the arithmetic within 128 bits.
const MOST_DECIMALS: usize = 20;

impl Kind {
    fn parse(&self, text: &str) -> Result<u64, QuantityError> {
        let text = text.trim();
        let quoted = || shortened(text);
        if text.is_empty() {
            return Err(QuantityError::Empty {
                example: self.example,
            });
        }
        if let Some(rest) = text.strip_prefix(['-', '\u{2212}'])
            && rest.trim_start().starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(QuantityError::Negative { text: quoted() });
        }
        let not_a_number = || QuantityError::NotANumber {
            text: quoted(),
            example: self.example,
        };
        let (whole, rest) = split_digits(text);
        let (decimals, rest) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("0", rest),
        };
        if whole.is_empty() || decimals.is_empty() || rest.starts_with(['.', ',', '_', '\'']) {
            return Err(not_a_number());
        }
        if let Some(exponent) = rest.strip_prefix(['e', 'E'])
            && exponent.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
        {
            return Err(QuantityError::Exponent { text: quoted() });
        }
        let unit = rest.trim_start();
        if unit.is_empty() {
            return Err(QuantityError::MissingUnit {
                number: quoted(),
                instead: self.with_unit(text, whole, decimals),
                what: self.what,
                allowed: self.allowed,
            });
        }
        let mut known = self.units.iter().chain(self.aliases);
        let Some(&(_, size)) = known.find(|(name, _)| *name == unit) else {
            return Err(QuantityError::UnknownUnit {
                unit: shortened(unit),
                what: self.what,
                allowed: self.allowed,
            });
        };
        match scaled(whole, decimals, size) {
            Scaled::Exact(value) if value <= self.max => Ok(value),
            Scaled::Exact(_) | Scaled::TooLarge => Err(QuantityError::TooLarge {
                text: quoted(),
                max: self.print(self.max),
            }),
            Scaled::NotExact => Err(QuantityError::NotExact {
                text: quoted(),
                steps: self.steps,
            }),
        }
    }

    /// What somebody who wrote a bare number may have meant: 0.001 is 0.1 %, 80 is 80 ms.
    fn with_unit(&self, text: &str, whole: &str, decimals: &str) -> String {
        if self.max == Probability::PARTS
            && let Scaled::Exact(parts) = scaled(whole, decimals, Probability::PARTS)
            && parts <= self.max
        {
            return self.print(parts);
        }
        format!("{} {}", shortened(text), self.typical_unit)
    }

    fn print(&self, value: u64) -> String {
        let mut best: Option<(String, &str)> = None;
        for &(unit, size) in self.units {
            // A number below one reads badly, unless there is no smaller unit.
            if value < size && best.is_some() {
                continue;
            }
            let limit = best.as_ref().map_or(usize::MAX, |(number, _)| number.len());
            if let Some(number) = decimal(value, size, limit) {
                best = Some((number, unit));
            }
        }
        let (number, unit) = best.expect("the smallest unit prints every value");
        // Zero has no best unit; the familiar one is as good as any.
        let unit = if value == 0 && self.what == SPAN.what {
            "s"
        } else {
            unit
        };
        format!("{number} {unit}")
    }
}

/// The text, cut so that a message stays readable.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

enum Scaled {
    Exact(u64),
    NotExact,
    TooLarge,
}

/// `whole.decimals × size`, where both texts are digits.
fn scaled(whole: &str, decimals: &str, size: u64) -> Scaled {
    let whole = whole.trim_start_matches('0');
    let decimals = decimals.trim_end_matches('0');
    if whole.len() > MOST_DECIMALS {
        return Scaled::TooLarge;
    }
    if decimals.len() > MOST_DECIMALS {
        return Scaled::NotExact;
    }
    // Both numbers are below 10^20 and a unit is below 10^13: the products stay below 2^128.
    let number = |digits: &str| digits.bytes().fold(0u128, |n, d| n * 10 + u128::from(d - b'0'));
    let size = u128::from(size);
    let power = decimals.bytes().fold(1u128, |power, _| power * 10);
    let part = number(decimals) * size;
    if part % power != 0 {
        return Scaled::NotExact;
    }
    match u64::try_from(number(whole) * size + part / power) {
        Ok(value) => Scaled::Exact(value),
        Err(_) => Scaled::TooLarge,
    }
}

/// `value / size` in decimal, exactly; `None` if that takes more than `limit` characters.
fn decimal(value: u64, size: u64, limit: usize) -> Option<String> {
    let mut text = (value / size).to_string();
    let mut rest = u128::from(value % size);
    if rest > 0 {
        text.push('.');
    }
    while rest > 0 && text.len() < limit && text.len() < 2 * MOST_DECIMALS {
        rest *= 10;
        let digit = (rest / u128::from(size)) as u8;
        text.push(char::from(b'0' + digit));
        rest %= u128::from(size);
    }
    (rest == 0 && text.len() <= limit).then_some(text)
}

macro_rules! text_form {
    ($type:ty, $kind:ident, $from:expr, $into:expr) => {
        #[doc = concat!("The exact text form; see [`crate::text`].")]
        impl FromStr for $type {
            type Err = QuantityError;
            fn from_str(text: &str) -> Result<$type, QuantityError> {
                $kind.parse(text).map($from)
            }
        }

        #[doc = concat!("The shortest text that reads back as the same value; see [`crate::text`].")]
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&$kind.print($into(*self)))
            }
        }
    };
}

text_form!(Span, SPAN, Span::from_ns, Span::as_ns);
text_form!(
    BitRate,
    BIT_RATE,
    BitRate::from_bits_per_s,
    BitRate::as_bits_per_s
);
text_form!(ByteSize, BYTE_SIZE, ByteSize::from_bytes, ByteSize::as_bytes);
text_form!(
    Probability,
    PROBABILITY,
    |parts| Probability::from_parts(parts).expect("the kind's maximum is one"),
    Probability::as_parts
);

#[cfg(test)]
mod tests;
