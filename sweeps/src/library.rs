//! The sweeps that come with the program.

use std::path::PathBuf;

use longhaul_scenarios::diagnose::Sink;
use longhaul_scenarios::source::{self, ReadError, Source};
use longhaul_scenarios::suggest;
use longhaul_scenarios::syntax;
use thiserror::Error;

/// Why there is no text of a sweep.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The name of a scenario.
    #[error(
        "`{name}` is a scenario, not a sweep: `longhaul run {name}` runs it, and the file of a sweep says what changes in it"
    )]
    Scenario {
        /// The name.
        name: String,
    },
    /// Neither in the library nor a file.
    #[error("{asked}: no such file, and no such sweep in the library{}", did_you_mean(*.suggestion))]
    Unknown {
        /// What was asked for.
        asked: String,
        /// A name of the library that resembles it.
        suggestion: Option<&'static str>,
    },
    /// No text.
    #[error(transparent)]
    Read(#[from] ReadError),
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or(String::new(), |name| format!("; did you mean `{name}`?"))
}

/// A sweep of the library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// How it is called.
    pub name: &'static str,
    /// The text of its file.
    pub text: &'static str,
}

macro_rules! entries {
    ($($name:literal),* $(,)?) => {
        &[$(Entry { name: $name, text: include_str!(concat!("../../scenarios/sweeps/", $name, ".ron")) }),*]
    };
}

/// Every sweep of the library, by name.
const ENTRIES: &[Entry] = entries![
    "delay_of_a_datagram",
    "dirty_rate_by_bandwidth",
    "path_choice",
    "retry_by_outage",
    "routing_by_load",
    "streams_by_rtt",
    "what_matters_to_a_transfer",
    "which_cities",
];

impl Entry {
    /// The question that it asks, as its file has it.
    ///
    /// # Panics
    /// If the file has none; a test reads them all.
    pub fn question(&self) -> String {
        let tree = syntax::parse(self.text, 0, 0, &mut Sink::default());
        let question = tree.as_ref().and_then(|root| root.field("question")?.text());
        question
            .expect("every sweep of the library has a question")
            .to_owned()
    }
}

/// Every sweep of the library, by name.
pub fn list() -> &'static [Entry] {
    ENTRIES
}

/// The sweep of this name in the library, else the file at this path.
///
/// # Errors
/// If there is neither, or the file is no text.
pub fn open(name_or_path: &str) -> Result<Source, OpenError> {
    if let Some(entry) = ENTRIES.iter().find(|entry| entry.name == name_or_path) {
        return Ok(Source {
            name: format!("scenarios/sweeps/{}.ron", entry.name),
            text: entry.text.to_owned(),
            base_dir: PathBuf::new(),
        });
    }
    match source::read_file(name_or_path.as_ref()) {
        Err(ReadError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
            let asked = name_or_path.to_owned();
            if longhaul_scenarios::library::find(name_or_path).is_some() {
                return Err(OpenError::Scenario { name: asked });
            }
            let names = ENTRIES.iter().map(|entry| entry.name);
            Err(OpenError::Unknown {
                asked,
                suggestion: suggest::nearest(name_or_path, names),
            })
        }
        result => Ok(result?),
    }
}
