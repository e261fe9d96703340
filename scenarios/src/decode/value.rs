//! Single values: texts, names, numbers, quantities, and their ranges.

use std::fmt::Display;
use std::str::FromStr;

use longhaul_core::text::QuantityError;
use longhaul_memory::MAX_PAGES_PER_S;

use crate::suggest;
use crate::syntax::{Kind, Node};

use super::context::{At, Context};

/// Longest name in characters; names become parts of file names and of table columns.
pub const LONGEST_NAME: usize = 64;

/// The text of a string. `--set name=foo` needs no quotes, so a bare word counts where it does not come from
/// the file itself.
pub fn text_of(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Text(text) => Some(text),
        Kind::Word(word) if node.place.text > 0 => Some(word),
        _ => None,
    }
}

/// A string.
pub fn text(cx: &mut Context, at: &At) -> Option<String> {
    match text_of(at.node) {
        Some(text) => Some(text.to_owned()),
        None => cx.refuse(
            at,
            format!("a string \"…\" is expected, found {}", at.node.describe()),
        ),
    }
}

/// A string with something in it.
pub fn sentence(cx: &mut Context, at: &At) -> Option<String> {
    let text = text(cx, at)?;
    if text.trim().is_empty() {
        return cx.refuse(at, "this text is empty");
    }
    Some(text)
}

/// Whether names may have this character.
pub fn may_be_in_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '-'
}

/// A name: 1 to 64 letters, digits, `_` and `-`.
pub fn name(cx: &mut Context, at: &At) -> Option<String> {
    let name = text(cx, at)?;
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !name.chars().all(may_be_in_name) {
        let message = format!("a name has 1 to {LONGEST_NAME} ASCII letters, digits, `_` and `-`");
        return cx.refuse(at, message);
    }
    Some(name)
}

/// A quantity such as `"80 ms"`.
pub fn quantity<T: FromStr<Err = QuantityError>>(cx: &mut Context, at: &At) -> Option<T> {
    let written = match (&at.node.kind, text_of(at.node)) {
        (_, Some(text)) => text,
        // Reading the bare number gives the message that says which unit is missing.
        (Kind::Number(number), None) => number,
        _ => {
            let message = format!(
                "a string such as \"80 ms\" is expected, found {}",
                at.node.describe()
            );
            return cx.refuse(at, message);
        }
    };
    match written.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            let near = match &error {
                QuantityError::UnknownUnit { unit, allowed, .. } => {
                    suggest::nearest(unit, allowed.iter().copied())
                }
                _ => None,
            };
            match near {
                Some(near) => cx.refuse_with_help(at, error.to_string(), format!("did you mean `{near}`?")),
                None => cx.refuse(at, error.to_string()),
            }
        }
    }
}

/// A value within `least..=most`.
pub fn within<T: PartialOrd + Display>(
    cx: &mut Context,
    at: &At,
    value: T,
    least: &T,
    most: &T,
) -> Option<T> {
    if value < *least || value > *most {
        return cx.refuse(at, format!("{value} is out of range: {least} to {most}"));
    }
    Some(value)
}

/// A quantity within `least..=most`.
pub fn quantity_within<T: FromStr<Err = QuantityError> + PartialOrd + Display>(
    cx: &mut Context,
    at: &At,
    least: &T,
    most: &T,
) -> Option<T> {
    let value = quantity(cx, at)?;
    within(cx, at, value, least, most)
}

/// A whole number within `least..=most`. Underscores may group its digits.
pub fn integer(cx: &mut Context, at: &At, least: u64, most: u64) -> Option<u64> {
    let Kind::Number(written) = &at.node.kind else {
        return cx.refuse(
            at,
            format!("a whole number is expected, found {}", at.node.describe()),
        );
    };
    let digits = written.replace('_', "");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return cx.refuse(
            at,
            format!("`{written}` is not a whole number from {least} to {most}"),
        );
    }
    match digits.parse() {
        Ok(value) => within(cx, at, value, &least, &most),
        Err(_) => cx.refuse(at, format!("{written} is out of range: {least} to {most}")),
    }
}

/// A truth value. `--set path=true` needs no quotes, and neither does a file.
pub fn boolean(cx: &mut Context, at: &At) -> Option<bool> {
    match at.node.kind {
        Kind::Bool(value) => Some(value),
        _ => cx.refuse(
            at,
            format!("`true` or `false` is expected, found {}", at.node.describe()),
        ),
    }
}

/// Whole millionths in one.
pub const MILLION: i64 = 1_000_000;

/// A decimal number of up to six decimals, in millionths, within `least..=most` (in millionths).
pub fn millionths(cx: &mut Context, at: &At, least: i64, most: i64) -> Option<i64> {
    let Kind::Number(written) = &at.node.kind else {
        return cx.refuse(at, format!("a number is expected, found {}", at.node.describe()));
    };
    let Some(value) = parse_millionths(written) else {
        return cx.refuse(
            at,
            format!("`{written}` is not a decimal number of up to six decimals"),
        );
    };
    if value < least || value > most {
        let (least, most) = (print_millionths(least), print_millionths(most));
        return cx.refuse(at, format!("{written} is out of range: {least} to {most}"));
    }
    Some(value)
}

/// A decimal number of up to six decimals, in millionths; `None` if the text is anything else or out of range.
pub fn parse_millionths(written: &str) -> Option<i64> {
    let (negative, unsigned) = match written.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, written),
    };
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.trim_end_matches('0').len() > 6 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let part: i64 = format!("{decimals:0<6}")[..6].parse().ok()?;
    let value = whole.checked_mul(MILLION)?.checked_add(part)?;
    Some(if negative { -value } else { value })
}

/// Millionths as a decimal number with at least one decimal, which RON reads as a float: `-74.006`, `1.0`.
pub fn print_millionths(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (whole, part) = (value.unsigned_abs() / 1_000_000, value.unsigned_abs() % 1_000_000);
    let decimals = format!("{part:06}");
    let decimals = decimals.trim_end_matches('0');
    format!(
        "{sign}{whole}.{}",
        if decimals.is_empty() { "0" } else { decimals }
    )
}

/// A rate of pages: `"2000 pages/s"`, whole, at most [`MAX_PAGES_PER_S`].
pub fn pages_per_s(cx: &mut Context, at: &At) -> Option<u64> {
    let refusal = "a rate of pages is written \"2000 pages/s\", a whole number";
    let Some(written) = text_of(at.node) else {
        return cx.refuse(at, refusal);
    };
    let number = written.trim().strip_suffix("pages/s").map(str::trim_end);
    let Some(number) = number.filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) else {
        return cx.refuse(at, refusal);
    };
    match number.parse() {
        Ok(rate) if rate <= MAX_PAGES_PER_S => Some(rate),
        _ => cx.refuse(at, format!("more than {MAX_PAGES_PER_S} pages/s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millionths_are_exact_in_both_directions() {
        for (text, value) in [
            ("-74.006", -74_006_000),
            ("1.0", 1_000_000),
            ("0.000001", 1),
            ("51.5074", 51_507_400),
        ] {
            assert_eq!(parse_millionths(text), Some(value));
            assert_eq!(print_millionths(value), text);
        }
        assert_eq!(parse_millionths("40"), Some(40_000_000));
        assert_eq!(parse_millionths("1.50000000"), Some(1_500_000));
        for text in [
            "1.0000001",
            "1e3",
            ".5",
            "5.",
            "-",
            "",
            "+1",
            "99999999999999999999",
            "9223372036854.9",
        ] {
            assert_eq!(parse_millionths(text), None, "{text}");
        }
    }
}
