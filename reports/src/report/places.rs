//! Where regions are, as the resolved scenario says it. Only these fields are read; the rest of the language is not known
//! here.

use ron::extensions::Extensions;
use serde::Deserialize;

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

/// The regions of a resolved scenario in its order; none if the text is not one, which costs a report only its map.
pub(super) fn read(scenario: &str) -> Vec<Place> {
    #[derive(Deserialize)]
    #[serde(rename = "Scenario")]
    struct Outline {
        #[serde(default)]
        regions: Vec<Place>,
    }
    ron::Options::default()
        .with_default_extension(Extensions::IMPLICIT_SOME)
        .from_str::<Outline>(scenario)
        .map_or_else(|_| Vec::new(), |outline| outline.regions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regions_are_looked_at() {
        let text = r#"Scenario(version: 1, name: "x", queue: Bytes("1 MB"), jitter: None, faults: [Kill(region: "a")],
            regions: [(name: "a", location: (lat: 37.5, lon: -122)), (name: "b")])"#;
        let places = read(text);
        assert_eq!(
            places[0].location,
            Some(Location {
                lat: 37.5,
                lon: -122.0
            })
        );
        assert_eq!((places[1].name.as_str(), places[1].location), ("b", None));
        assert!(read("no scenario").is_empty());
    }
}
