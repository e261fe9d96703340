//! The scenario language: from a text to something that can be run, or to everything that is wrong with it.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`source`] | finds the text, in the library or in a file |
//! | [`library`] | the scenarios that come with the program |
//! | [`syntax`] | from text to a tree of values that know where they stand |
//! | [`overrides`] | `--set path=value`, applied to the tree |
//! | [`decode`] | from the tree to a [`schema::Scenario`], with types, ranges and defaults |
//! | [`check`] | mistakes between items, and doubts (lint) |
//! | [`diagnose`] | places and messages |
//! | [`faults`] | when links fail, and which routes hold meanwhile |
//! | [`chaos`] | from faults that strike at random to those that do in one run |
//! | [`show`] | the canonical text of a scenario, and its hash |
//! | [`metric`] | what each metric measures and in which unit |
//! | [`import`] | a published topology as a scenario |
//! | [`schema`] | the scenario itself, resolved |
//! | [`run`] | runs it in virtual time |
//! | [`parallel`] | many runs at once |
//! | [`planning`] | its network for reservations and traffic engineering |
//! | [`what_if`] | what failures would do to its demands |
//! | [`theory`] | what no outcome can be beyond: rates of links, Mathis, windows, light |
//! | [`hunt`] | faults that make it fail, and the fewest of them that do |
//! | [`replay`] | replays it on a real kernel, and compares |
//!
//! [`load`] does all of it. Reading a scenario touches nothing but its text: whether the images that it names
//! exist is found out when it is built.

pub mod chaos;
pub mod check;
pub mod decode;
pub mod diagnose;
pub mod faults;
mod fidelity;
pub mod hunt;
pub mod import;
pub mod library;
pub mod metric;
pub mod overrides;
pub mod parallel;
pub mod path;
pub mod planning;
pub mod replay;
pub mod run;
pub mod schema;
pub mod show;
pub mod source;
pub mod suggest;
pub mod syntax;
pub mod theory;
pub mod what_if;

use std::path::PathBuf;
use std::sync::Arc;

use diagnose::{Diagnostic, Diagnostics, Place, Sink, Texts};
use schema::Scenario;
use source::Source;

/// Most overrides of one scenario.
pub const MOST_OVERRIDES: usize = 1_000;

/// A scenario that can run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The scenario.
    pub scenario: Scenario,
    /// What is doubtful about it.
    pub warnings: Diagnostics,
    /// Its canonical text: every default written out.
    pub canonical: String,
    /// BLAKE3 of the canonical text, in hexadecimal.
    pub hash: String,
    /// What the paths of memory images are relative to.
    pub base_dir: PathBuf,
}

impl Loaded {
    /// The scenario of a replication, which has the seed of the scenario plus its number; sources with a seed of their own
    /// keep it. Text and hash stay those of the scenario as it was read.
    pub fn replication(&self, number: u32) -> Loaded {
        let mut loaded = self.clone();
        loaded.scenario.seed = self.scenario.seed.wrapping_add(u64::from(number));
        loaded
    }
}

/// Reads a scenario: parses it, applies the overrides (`path=value`) and the seed, decodes and checks it.
///
/// # Errors
/// Everything that is wrong with it, at most [`diagnose::MOST_DIAGNOSTICS`] described. After a syntax error
/// only syntax errors are reported: what a broken text means cannot be known.
pub fn load(source: &Source, overrides: &[String], seed: Option<u64>) -> Result<Loaded, Diagnostics> {
    let mut texts = Texts::default();
    let mut sink = Sink::default();
    let file = texts.add(&source.name, if too_large(source) { "" } else { &source.text });
    for text in overrides.iter().take(MOST_OVERRIDES) {
        texts.add("--set", text);
    }
    if too_large(source) || overrides.len() > MOST_OVERRIDES {
        let message = format!(
            "more than {} bytes or {MOST_OVERRIDES} overrides",
            source::LARGEST_FILE
        );
        sink.push(Diagnostic::error(Place::default(), "", message));
    }
    let scenario = match sink
        .is_empty()
        .then(|| syntax::parse(&source.text, file, 0, &mut sink))
        .flatten()
    {
        Some(root) => interpret(root, source, overrides, seed, &mut sink),
        None => None,
    };
    let texts = Arc::new(texts);
    match scenario {
        Some((scenario, doubts)) if sink.is_empty() => {
            let canonical = show::canonical(&scenario);
            Ok(Loaded {
                scenario,
                warnings: Diagnostics::new(texts, doubts),
                hash: show::hash(&canonical),
                canonical,
                base_dir: source.base_dir.clone(),
            })
        }
        _ => {
            assert!(!sink.is_empty(), "a scenario was refused without a reason");
            Err(Diagnostics::new(texts, sink))
        }
    }
}

fn too_large(source: &Source) -> bool {
    source.text.len() as u64 > source::LARGEST_FILE
}

/// The scenario that a tree means, and the doubts about it. `None` if anything is wrong.
fn interpret(
    mut root: syntax::Node,
    source: &Source,
    overrides: &[String],
    seed: Option<u64>,
    sink: &mut Sink,
) -> Option<(Scenario, Sink)> {
    for (index, text) in (1..).zip(overrides) {
        overrides::apply(&mut root, text, index, sink);
    }
    let names = decode::Names::collect(&root, sink);
    let mut files = decode::Files::new(source.base_dir.clone());
    let mut decoded = decode::decode(&root, &names, &mut files, sink)?;
    if seed.is_some() {
        decoded.seed = seed;
    }
    check::check(&root, &decoded, sink);
    if !sink.is_empty() {
        return None;
    }
    let link_entries: Vec<usize> = decoded.links.good.iter().map(|(entry, _)| *entry).collect();
    let fault_entries: Vec<usize> = decoded.faults.good.iter().map(|(entry, _)| *entry).collect();
    let scenario = decoded.finish()?;
    check::fidelity(&root, &scenario, sink);
    if !sink.is_empty() {
        return None;
    }
    let concrete = match chaos::concrete(&scenario) {
        Ok(concrete) => concrete,
        Err(error) => {
            let place = path::locate(&root, "faults");
            sink.push(Diagnostic::error(place, "faults", error.to_string()));
            return None;
        }
    };
    let mut doubts = Sink::default();
    check::lint(
        &root,
        &scenario,
        &concrete.scenario,
        &link_entries,
        &fault_entries,
        &mut doubts,
    );
    Some((scenario, doubts))
}
