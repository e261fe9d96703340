//! What pictures are called, and what tells them and their lines apart: values of axes in words, exactly.

use std::collections::BTreeSet;

use longhaul_core::units::Probability;
use longhaul_scenarios::metric::Unit;

use crate::space::shown;

/// Most letters of a value in the name of a picture.
const MOST_OF_VALUE: usize = 24;
/// Most letters of such a name, of the 255 bytes that file systems allow.
const MOST_OF_NAME: usize = 140;
/// Most letters of a value in a title or a legend.
const MOST_OF_TITLE: usize = 48;
/// Letters of the hash that tells names apart that are too long, or alike.
const OF_HASH: usize = 8;

/// A value as a table of a unit has it, in words and with all of its digits: `100.1 ms`, `0.1 %`. What is no quantity is as it
/// stands.
pub fn in_words(unit: &str, value: &str) -> String {
    let whole = |unit| value.parse().ok().map(|exact: i64| shown(unit, exact));
    let words = match unit {
        "ns" => whole(Unit::Time),
        "bytes" => whole(Unit::Size),
        "bit/s" => whole(Unit::Rate),
        "pages/s" => Some(format!("{value} pages/s")),
        // Tables have shares of one, and the nearest double of each of them.
        "share" => (value.parse().ok())
            .map(|share: f64| shown(Unit::Share, (share * Probability::PARTS as f64).round() as i64)),
        _ => None,
    };
    words.unwrap_or_else(|| value.to_owned())
}

/// A text for a title or a legend: of a long one both ends.
pub fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= MOST_OF_TITLE {
        return text.to_owned();
    }
    let end = MOST_OF_TITLE / 3;
    let first: String = text.chars().take(MOST_OF_TITLE - end - 1).collect();
    let last: String = text.chars().skip(length - end).collect();
    format!("{first}…{last}")
}

/// The names of all pictures of a sweep: of what may be in the name of a file, not too long for one, and no two alike, not even
/// where upper and lower case are the same.
#[derive(Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// A name for a picture of a plot, at these values of its facets.
    pub fn of(&mut self, plot: &str, facets: &[String]) -> String {
        let mut name = plot.to_owned();
        let mut whole = true;
        for facet in facets {
            let word = word(facet);
            whole &= word.len() <= MOST_OF_VALUE;
            name.push('-');
            name.extend(word.chars().take(MOST_OF_VALUE));
        }
        whole &= name.len() <= MOST_OF_NAME;
        if !(whole && self.0.insert(name.to_ascii_lowercase())) {
            let mut hash = blake3::Hasher::new();
            for facet in facets {
                hash.update(&(facet.len() as u64).to_le_bytes());
                hash.update(facet.as_bytes());
            }
            // ASCII throughout, so that every place is between two letters.
            name.truncate(MOST_OF_NAME);
            name = format!("{name}-{}", &hash.finalize().to_hex()[..OF_HASH]);
            while !self.0.insert(name.to_ascii_lowercase()) {
                name.push('x');
            }
        }
        name
    }
}

/// A value as a part of a name: letters, digits and single `_`. A point would end the stem of a file.
fn word(value: &str) -> String {
    let spelt = value.replace('%', " percent").replace('µ', "u");
    let parts = spelt.split(|c: char| !c.is_ascii_alphanumeric());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_all_of_their_digits_and_their_unit() {
        for (unit, value, words) in [
            ("ns", "100100000", "100.1 ms"),
            ("ns", "100200000", "100.2 ms"),
            ("bit/s", "409069000", "409069 kbit/s"),
            ("share", "0.001", "0.1 %"),
            ("share", "0.123456789012", "12.3456789012 %"),
            ("number", "0.25", "0.25"),
            ("pages/s", "500", "500 pages/s"),
            ("number", "LowestLatency", "LowestLatency"),
            ("ns", "", ""),
        ] {
            assert_eq!(in_words(unit, value), words);
        }
    }

    #[test]
    fn of_long_texts_both_ends_are_shown() {
        assert_eq!(shortened("10 ms"), "10 ms");
        let long = format!("ä{}ö", "x".repeat(100));
        let short = shortened(&long);
        assert_eq!(short.chars().count(), MOST_OF_TITLE);
        assert!(short.starts_with("äx") && short.ends_with("xö") && short.contains('…'));
    }

    #[test]
    fn names_are_readable_short_and_never_alike() {
        let mut names = Names::default();
        let mut name = |facets: &[&str]| {
            let facets: Vec<String> = facets.iter().map(|facet| (*facet).to_owned()).collect();
            names.of("box", &facets)
        };
        assert_eq!(name(&[]), "box");
        assert_eq!(
            name(&["100.1 ms", "0.5 %", "100 Mbit/s"]),
            "box-100_1_ms-0_5_percent-100_Mbit_s"
        );
        let (long, longer) = ("x".repeat(5_000), "x".repeat(5_001));
        let mut all: Vec<String> = ["a b", "a_b", "A:B", "-1", "1", &long, &longer]
            .map(|facet| name(&[facet]))
            .to_vec();
        let many: Vec<&str> = vec!["a value among many"; 300];
        all.push(name(&many));
        all.push(name(&many[1..]));
        let lower: BTreeSet<String> = all.iter().map(|name| name.to_ascii_lowercase()).collect();
        assert_eq!(lower.len(), all.len(), "{all:?}");
        for name in &all {
            assert!(name.len() <= MOST_OF_NAME + OF_HASH + 1, "{name}");
            assert!(
                name.chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'),
                "{name}"
            );
        }
        assert_eq!(all[0], "box-a_b", "the first of them needs no hash");
    }
}
