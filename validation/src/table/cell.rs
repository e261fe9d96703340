//! Single cells: plain decimal numbers in the column's unit, and words.

use std::fmt::Display;
use std::str::FromStr;

use longhaul_core::text::QuantityError;
use longhaul_core::time::Span;

use super::error::Trouble;

/// Nanoseconds have nine decimals in seconds; measured times may have been written with more.
const MOST_DECIMALS_OF_SECONDS: usize = 9;

/// A cell with the name of its column.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'t> {
    pub column: &'static str,
    pub text: &'t str,
}

impl Cell<'_> {
    /// The mistake that `message` describes.
    pub fn refuse(self, message: impl Into<String>) -> Trouble {
        Trouble::Cell {
            column: self.column,
            message: message.into(),
        }
    }

    /// A plain decimal number, as a quantity of `unit`.
    pub fn quantity<T: FromStr<Err = QuantityError>>(self, unit: &str) -> Result<T, Trouble> {
        let plain = self.text.starts_with(|c: char| c.is_ascii_digit())
            && self.text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !plain {
            let found = self.found();
            return Err(self.refuse(format!(
                "a plain decimal number of {unit} is expected, found {found}"
            )));
        }
        format!("{} {unit}", self.text)
            .parse()
            .map_err(|error: QuantityError| self.refuse(error.to_string()))
    }

    /// A quantity within `least..=most`.
    pub fn quantity_within<T>(self, unit: &str, least: T, most: T) -> Result<T, Trouble>
    where
        T: FromStr<Err = QuantityError> + PartialOrd + Display + Copy,
    {
        let value: T = self.quantity(unit)?;
        if value < least || value > most {
            return Err(self.refuse(format!("{value} is out of range: {least} to {most}")));
        }
        Ok(value)
    }

    /// A measured time in seconds, above zero; what is finer than a nanosecond is cut off.
    pub fn seconds(self, most: Span) -> Result<Span, Trouble> {
        let end = match self.text.find('.') {
            Some(point) => self.text.len().min(point + 1 + MOST_DECIMALS_OF_SECONDS),
            None => self.text.len(),
        };
        // Where the cut would hide something that is no digit, or fall into a character, there is none.
        let cut = match self.text.get(end..) {
            Some(rest) if rest.bytes().all(|b| b.is_ascii_digit()) => &self.text[..end],
            _ => self.text,
        };
        let cell = Cell { text: cut, ..self };
        cell.quantity_within("s", Span::from_ns(1), most)
    }

    /// A whole number within `least..=most`.
    pub fn integer(self, least: u32, most: u32) -> Result<u32, Trouble> {
        let digits = !self.text.is_empty() && self.text.bytes().all(|b| b.is_ascii_digit());
        match self.text.parse() {
            Ok(value) if digits && (least..=most).contains(&value) => Ok(value),
            _ => Err(self.refuse(format!(
                "a whole number from {least} to {most} is expected, found {}",
                self.found()
            ))),
        }
    }

    /// What stands in the cell, for messages.
    pub fn found(self) -> String {
        if self.text.is_empty() {
            return "nothing".to_owned();
        }
        let shown: String = self
            .text
            .chars()
            .take(40)
            .flat_map(char::escape_default)
            .collect();
        format!("`{shown}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> Cell<'_> {
        Cell { column: "c", text }
    }

    #[test]
    fn numbers_are_plain_decimals() {
        assert_eq!(cell("0.5").quantity("ms"), Ok(Span::from_us(500)));
        for wrong in [
            "", "-1", "+1", "1e3", "40 ms", "1,5", ".5", "5.", "NaN", "inf", " 1", "1.2.3",
        ] {
            assert!(cell(wrong).quantity::<Span>("ms").is_err(), "{wrong}");
        }
    }

    #[test]
    fn measured_seconds_are_cut_at_the_nanosecond() {
        let most = Span::from_s(100);
        assert_eq!(
            cell("5.2264590001239").seconds(most),
            Ok(Span::from_ns(5_226_459_000))
        );
        assert_eq!(cell("7").seconds(most), Ok(Span::from_s(7)));
        for wrong in [
            "0",
            "0.0000000001",
            "101",
            "5.226459000x",
            "5.22645900é",
            "-3",
            "5.226459000é1",
        ] {
            assert!(cell(wrong).seconds(most).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whole_numbers_have_nothing_but_digits() {
        assert_eq!(cell("16").integer(1, 256), Ok(16));
        for wrong in ["", "0", "257", "+4", "4.0", "99999999999"] {
            assert!(cell(wrong).integer(1, 256).is_err(), "{wrong}");
        }
    }
}
