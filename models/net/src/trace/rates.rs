//! Rates over time, as throughput was measured: one `time rate` pair per line.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;

use super::{TraceError, shortened};
use crate::course::{Step, Steps};

const NS_PER_S: f64 = 1e9;
const BITS_PER_MBIT: f64 = 1e6;

/// Reads a rate trace: lines of `seconds Mbit/s`, separated by blanks, tabs or a comma, as steps of the rate.
/// Times rise; each rate holds until the next line's time. The first line's time becomes the start, and the
/// steps repeat after the last one has held for as long as the one before it (a single one: for a second).
/// Empty lines and lines that start with `#` are skipped. A rate of zero is an outage.
///
/// Numbers are rounded to whole nanoseconds and bits per second.
///
/// # Errors
/// [`TraceError`], with the line.
pub fn rate_trace(text: &str) -> Result<Steps, TraceError> {
    let mut first = None;
    let mut steps: Vec<Step> = Vec::new();
    let mut last_length = Span::from_s(1);
    for (line, entry) in (1..).zip(text.lines().map(str::trim)) {
        if entry.is_empty() || entry.starts_with('#') {
            continue;
        }
        let mut fields = entry
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|field| !field.is_empty());
        let (Some(time), Some(rate), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(TraceError::Malformed {
                line,
                expected: "a time in seconds and a rate in Mbit/s",
                found: shortened(entry),
            });
        };
        let time = scaled(time, NS_PER_S, line, "a time in seconds")?;
        let rate = scaled(rate, BITS_PER_MBIT, line, "a rate in Mbit/s")?;
        let start = *first.get_or_insert(time);
        let Some(since) = time.checked_sub(start) else {
            return Err(TraceError::TimeGoesBack { line });
        };
        let at = Span::from_ns(since);
        if let Some(last) = steps.last() {
            if at <= last.at {
                return Err(TraceError::TimeGoesBack { line });
            }
            last_length = at - last.at;
        }
        if steps.len() == Steps::MOST {
            let most = Steps::MOST;
            return Err(TraceError::TooLong { line, most });
        }
        steps.push(Step {
            at,
            rate: Some(BitRate::from_bits_per_s(rate)),
            ..Step::default()
        });
    }
    let period = match steps.last() {
        None => return Err(TraceError::Empty),
        Some(last) => last.at.saturating_add(last_length),
    };
    Ok(Steps::new(steps, Some(period))?)
}

/// A decimal number not below zero, times `unit`, rounded to a whole number.
fn scaled(text: &str, unit: f64, line: usize, expected: &'static str) -> Result<u64, TraceError> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let value = text.parse::<f64>().ok().filter(|&value| plain && value >= 0.0);
    let Some(value) = value else {
        let found = shortened(text);
        return Err(TraceError::Malformed {
            line,
            expected,
            found,
        });
    };
    let scaled = value * unit + 0.5;
    // 2^63: half the range, so that sums of two stay in it.
    if scaled >= 9_223_372_036_854_775_808.0 {
        return Err(TraceError::TooLarge { line });
    }
    Ok(scaled as u64)
}
