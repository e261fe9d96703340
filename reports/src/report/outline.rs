//! What a report reads of the resolved scenario: where regions are, and when links change. Only these fields are looked at;
//! the rest of the language is not known here.

use ron::extensions::Extensions;
use serde::Deserialize;

use crate::human;

/// Links whose changes are told.
const LINKS: usize = 6;
/// Changes of one link that are told.
const CHANGES: usize = 8;

/// Nothing at all if the text is no scenario, which costs a report its map and no more.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(rename = "Scenario", default)]
pub(super) struct Outline {
    pub regions: Vec<Place>,
    pub links: Vec<Link>,
}

/// A region.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Place {
    pub name: String,
    #[serde(default)]
    pub location: Option<Location>,
}

/// Degrees, north and east positive.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
pub(super) struct Location {
    pub lat: f64,
    pub lon: f64,
}

/// One direction of a link.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct Link {
    from: String,
    to: String,
    #[serde(default)]
    changes: Vec<Change>,
    #[serde(default)]
    period: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
struct Change {
    at: String,
}

impl Outline {
    /// Of a resolved scenario.
    pub fn read(scenario: &str) -> Outline {
        let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
        options.from_str(scenario).unwrap_or_default()
    }

    /// Which links change and when, in half a sentence; empty if none does. Both directions of a link that change alike are
    /// told once.
    pub fn changes(&self) -> String {
        let mut told: Vec<(String, &Link)> = Vec::new();
        for link in self.links.iter().filter(|link| !link.changes.is_empty()) {
            let back = told.iter_mut().find(|(_, other)| {
                (&other.from, &other.to) == (&link.to, &link.from)
                    && (&other.changes, &other.period) == (&link.changes, &link.period)
            });
            match back {
                Some((name, other)) => *name = format!("{} ↔ {}", other.from, other.to),
                None => told.push((format!("{} → {}", link.from, link.to), link)),
            }
        }
        let mut texts: Vec<String> = told
            .iter()
            .take(LINKS)
            .map(|(name, link)| {
                let mut times: Vec<&str> = link.changes.iter().map(|change| change.at.as_str()).collect();
                let more = times.len().saturating_sub(CHANGES);
                times.truncate(CHANGES);
                let more = if more > 0 {
                    format!(" and {more} times more")
                } else {
                    String::new()
                };
                let again = link.period.as_ref();
                let again = again.map_or_else(String::new, |period| format!(", again every {period}"));
                human::printable(&format!("{name} at {}{more}{again}", times.join(", ")))
            })
            .collect();
        if told.len() > LINKS {
            texts.push(format!("{} links more", told.len() - LINKS));
        }
        texts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regions_and_links_are_looked_at() {
        let text = r#"Scenario(version: 1, name: "x", queue: Bytes("1 MB"), jitter: None, faults: [Kill(region: "a")],
            regions: [(name: "a", location: (lat: 37.5, lon: -122)), (name: "b")])"#;
        let places = Outline::read(text).regions;
        assert_eq!(
            places[0].location,
            Some(Location {
                lat: 37.5,
                lon: -122.0
            })
        );
        assert_eq!((places[1].name.as_str(), places[1].location), ("b", None));
        assert_eq!(Outline::read("no scenario"), Outline::default());
    }

    #[test]
    fn changes_of_links_are_told_once_for_both_directions() {
        let text = r#"Scenario(links: [
            (from: "a", to: "b", rate: "1 Mbit/s", changes: [(at: "3 s", rate: "5 Mbit/s"), (at: "8 s", delay: "1 ms")], period: "10 s"),
            (from: "b", to: "a", changes: [(at: "3 s"), (at: "8 s")], period: "10 s"),
            (from: "b", to: "c", changes: [(at: "1 s")]),
            (from: "c", to: "b", changes: []),
        ])"#;
        assert_eq!(
            Outline::read(text).changes(),
            "a ↔ b at 3 s, 8 s, again every 10 s; b → c at 1 s"
        );
        assert_eq!(Outline::default().changes(), "");
    }
}
