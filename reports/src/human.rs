//! Quantities as people read them: three significant digits and a decimal prefix, computed with integers.
//!
//! A text with fewer digits than three is exact ("4 s" is four seconds to the nanosecond, "4.00 s" was
//! rounded). Files keep the exact integers; these texts are for eyes only.

use longhaul_core::record::{RunRecord, SeedsRecord};
use longhaul_core::units::Probability;

/// What stands where there is no value. Never a zero: "no downtime" and "never paused" are different things.
pub const MISSING: &str = "–";

/// A time in nanoseconds: `4.12 s`, `850 ms`, `121 µs`, `30 min`, `12 min 34 s`, `3 h 05 min`.
pub fn span(ns: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    if ns < 600 * SECOND {
        return scaled(ns, &[(1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (SECOND, "s")]);
    }
    let seconds = ns / SECOND + u64::from(ns % SECOND >= SECOND / 2);
    if seconds < 7_200 {
        if ns.is_multiple_of(60 * SECOND) {
            return format!("{} min", seconds / 60);
        }
        return format!("{} min {:02} s", seconds / 60, seconds % 60);
    }
    let minutes = seconds / 60 + u64::from(seconds % 60 >= 30);
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}

/// A size in bytes: `512 B`, `1.07 GB`.
pub fn bytes(bytes: u64) -> String {
    scaled(
        bytes,
        &[
            (1, "B"),
            (KILO, "kB"),
            (MEGA, "MB"),
            (GIGA, "GB"),
            (TERA, "TB"),
            (PETA, "PB"),
            (EXA, "EB"),
        ],
    )
}

/// A rate in bits per second: `350 Mbit/s`.
pub fn rate(bits_per_s: u64) -> String {
    scaled(
        bits_per_s,
        &[
            (1, "bit/s"),
            (KILO, "kbit/s"),
            (MEGA, "Mbit/s"),
            (GIGA, "Gbit/s"),
            (TERA, "Tbit/s"),
            (PETA, "Pbit/s"),
            (EXA, "Ebit/s"),
        ],
    )
}

/// A count with its digits in groups of three: `12,345,678`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole` as a percentage, or [`MISSING`] for a share of nothing. A share that is neither none nor
/// all is never rounded to 0 % or 100 %.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return MISSING.to_owned();
    }
    let hundredths = ratio_in(part, whole, 10_000);
    match hundredths {
        0 if part > 0 => "< 0.01 %".to_owned(),
        10_000 if part < whole => "> 99.99 %".to_owned(),
        _ => format!("{} %", decimal(hundredths, 100, 2)),
    }
}

/// A probability or declared share in parts of 10^12 as an exact percentage: `1 %`, `0.1 %`.
pub fn percentage(parts: u64) -> String {
    const PERCENT: u64 = Probability::PARTS / 100;
    let text = decimal(parts, PERCENT, 10);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `numerator / denominator` as a factor: `3.97×`; [`MISSING`] for a ratio to nothing.
pub fn factor(numerator: u64, denominator: u64) -> String {
    if denominator == 0 {
        return MISSING.to_owned();
    }
    format!("{}×", decimal(ratio_in(numerator, denominator, 100), 100, 2))
}

/// Text from a scenario with its control characters made visible, so that no name can drive the terminal.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The same for text of several lines, whose ends and tabulators stay.
pub(crate) fn printable_lines(text: &str) -> String {
    let keep = |c: char| c == '\n' || c == '\t' || !c.is_control();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if keep(c) {
            safe.push(c);
        } else {
            safe.extend(c.escape_default());
        }
    }
    safe
}

const KILO: u64 = 1_000;
const MEGA: u64 = 1_000_000;
const GIGA: u64 = 1_000_000_000;
const TERA: u64 = 1_000_000_000_000;
const PETA: u64 = 1_000_000_000_000_000;
const EXA: u64 = 1_000_000_000_000_000_000;

/// `value` in the largest unit that leaves at least one whole, to three significant digits. `units` rise, and
/// the first is 1.
fn scaled(value: u64, units: &[(u64, &str)]) -> String {
    let mut index = units.iter().rposition(|&(size, _)| value >= size).unwrap_or(0);
    // 999.6 MB would round to 1000 MB, which is 1.00 GB.
    if let Some(&(larger, _)) = units.get(index + 1)
        && ratio_in(value, units[index].0, 1) >= larger / units[index].0
    {
        index += 1;
    }
    let (size, name) = units[index];
    // The smallest unit has no decimals to show.
    let mut decimals = if size == 1 { 0 } else { 2 };
    while decimals > 0 && ratio_in(value, size, 10_u64.pow(decimals)) >= 1_000 {
        decimals -= 1;
    }
    let parts = 10_u64.pow(decimals);
    let rounded = ratio_in(value, size, parts);
    let exact = u128::from(rounded) * u128::from(size) == u128::from(value) * u128::from(parts);
    let text = decimal(rounded, parts, decimals as usize);
    let text = if exact && decimals > 0 {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text} {name}")
}

/// `numerator * parts / denominator`, rounded half up, saturating.
fn ratio_in(numerator: u64, denominator: u64, parts: u64) -> u64 {
    let denominator = u128::from(denominator);
    let rounded = (u128::from(numerator) * u128::from(parts) + denominator / 2) / denominator;
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

/// `parts / size` with `decimals` digits after the point; `size` is `10^decimals`.
fn decimal(parts: u64, size: u64, decimals: usize) -> String {
    if decimals == 0 {
        return parts.to_string();
    }
    format!("{}.{:0decimals$}", parts / size, parts % size)
}

/// The root seed of a run, and those of the sources of chance if they are not the same: `1 (workload 1, network 7, faults 1)`.
pub fn seeds(record: &RunRecord) -> String {
    match record.seeds {
        None => record.seed.to_string(),
        Some(SeedsRecord {
            workload,
            network,
            faults,
        }) => format!(
            "{} (workload {workload}, network {network}, faults {faults})",
            record.seed
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_significant_digits_and_exact_when_shorter() {
        for (ns, text) in [
            (0, "0 ns"),
            (7, "7 ns"),
            (121_120, "121 µs"),
            (850_000_000, "850 ms"),
            (4_000_000_000, "4 s"),
            (4_000_000_001, "4.00 s"),
            (4_123_456_789, "4.12 s"),
            (4_500_000_000, "4.5 s"),
            (59_960_000_000, "60.0 s"),
            (300_000_000_000, "300 s"),
            (1_800_000_000_000, "30 min"),
            (1_800_000_000_001, "30 min 00 s"),
            (754_000_000_000, "12 min 34 s"),
            (11_100_000_000_000, "3 h 05 min"),
        ] {
            assert_eq!(span(ns), text);
        }
        assert_eq!(span(u64::MAX), "5124095 h 35 min");
    }

    #[test]
    fn rounding_up_carries_into_the_next_unit() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(999_499), "999 kB");
        assert_eq!(bytes(999_500), "1.00 MB");
        assert_eq!(bytes(9_995), "10.0 kB");
        assert_eq!(bytes(1_073_741_824), "1.07 GB");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(rate(350_000_000), "350 Mbit/s");
        assert_eq!(rate(10_000_000_000), "10 Gbit/s");
    }

    #[test]
    fn a_share_never_claims_none_or_all_by_rounding() {
        assert_eq!(share(0, 0), MISSING);
        assert_eq!(share(0, 5), "0.00 %");
        assert_eq!(share(1, 1_000_000), "< 0.01 %");
        assert_eq!(share(999_999, 1_000_000), "> 99.99 %");
        assert_eq!(share(5, 5), "100.00 %");
        assert_eq!(share(1, 8), "12.50 %");
        assert_eq!(share(u64::MAX, u64::MAX), "100.00 %");
    }

    #[test]
    fn a_declared_share_is_shown_exactly() {
        assert_eq!(percentage(0), "0 %");
        assert_eq!(percentage(10_000_000_000), "1 %");
        assert_eq!(percentage(1_000_000_000), "0.1 %");
        assert_eq!(percentage(1), "0.0000000001 %");
        assert_eq!(percentage(Probability::PARTS), "100 %");
    }

    #[test]
    fn a_factor_of_nothing_is_missing() {
        assert_eq!(factor(397, 100), "3.97×");
        assert_eq!(factor(1, 0), MISSING);
    }

    #[test]
    fn digits_come_in_groups_of_three() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(printable("fra→nyc"), "fra→nyc");
    }
}
