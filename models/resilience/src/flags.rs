//! Feature flags, by themselves or tied to the level of degradation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::degradation::Level;

/// A feature's switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Whether it is on at all.
    pub enabled: bool,
    /// The worst level at which it is on; without it, at every level.
    pub up_to: Option<Level>,
}

/// The switches of a service's features.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags {
    flags: BTreeMap<String, Flag>,
}

impl Flags {
    /// Sets a feature's switch, and gives the former one.
    pub fn set(&mut self, feature: &str, flag: Flag) -> Option<Flag> {
        self.flags.insert(feature.to_owned(), flag)
    }

    /// Whether a feature is on at this level. One that nobody has set is on.
    pub fn is_on(&self, feature: &str, level: Level) -> bool {
        self.flags
            .get(feature)
            .is_none_or(|flag| flag.enabled && flag.up_to.is_none_or(|up_to| level <= up_to))
    }

    /// The features that a change of level switches, in order of their names, and whether they are on afterwards.
    pub fn switched(&self, from: Level, to: Level) -> impl Iterator<Item = (&str, bool)> {
        self.flags.keys().filter_map(move |feature| {
            let on = self.is_on(feature, to);
            (on != self.is_on(feature, from)).then_some((feature.as_str(), on))
        })
    }
}
