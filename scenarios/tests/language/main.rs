//! Tests of the scenario language through its public door, `load`.

/// Compares with the snapshot, whose header then holds no copy of the test's source.
macro_rules! pinned {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($text);
        })
    };
}

mod aborts;
mod chaos;
mod disks;
mod doubts;
mod faults;
mod hunts;
mod knobs;
mod library;
mod messages;
mod migrations;
mod networks;
mod overrides;
mod reading;
mod replications;
mod seeds;
mod services;
mod syntax;

use std::path::PathBuf;

use longhaul_scenarios::diagnose::Diagnostics;
use longhaul_scenarios::source::Source;
use longhaul_scenarios::{Loaded, load};

/// A scenario with every field of the language, but for those of [`DEMANDS`] and [`CONTROLLED`].
const FULL: &str = include_str!("full.ron");

/// Demands, which do not go with links whose rate changes.
const DEMANDS: &str = include_str!("demands.ron");

/// A controller of routes, which does not go with reservations and demands.
const CONTROLLED: &str = include_str!("controlled.ron");

fn source(text: &str) -> Source {
    Source {
        name: "test.ron".to_owned(),
        text: text.to_owned(),
        base_dir: PathBuf::new(),
    }
}

fn read(text: &str) -> Result<Loaded, Diagnostics> {
    load(&source(text), &[], None)
}

fn read_with(text: &str, overrides: &[&str]) -> Result<Loaded, Diagnostics> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    load(&source(text), &overrides, None)
}
