//! Where a scenario comes from: the library or a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::library;

/// Largest scenario file.
pub const LARGEST_FILE: u64 = 16 << 20;

/// The text of a scenario and where it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// How messages call it: the path as given, or the library's.
    pub name: String,
    /// The text.
    pub text: String,
    /// What paths in the scenario are relative to.
    pub base_dir: PathBuf,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Neither in the library nor a file.
    #[error("{asked}: no such file, and no such {what} in the library{}", did_you_mean(.suggestion.as_deref()))]
    Unknown {
        /// The kind of thing: a scenario, or what other libraries hold.
        what: &'static str,
        /// What was asked for.
        asked: String,
        /// A name of the library that resembles it.
        suggestion: Option<&'static str>,
    },
    /// The operating system refuses.
    #[error("{path}: {error}")]
    Io {
        /// The path.
        path: String,
        /// Its reason.
        error: io::Error,
    },
    /// A directory.
    #[error("{path}: a directory, not a file")]
    Directory {
        /// The path.
        path: String,
    },
    /// More than [`LARGEST_FILE`].
    #[error("{path}: more than 16 MiB")]
    TooLarge {
        /// The path.
        path: String,
    },
    /// Nothing in it.
    #[error("{path}: the file is empty")]
    Empty {
        /// The path.
        path: String,
    },
    /// A NUL byte: no text file.
    #[error("{path}: byte {offset} is NUL; a text file is expected")]
    Binary {
        /// The path.
        path: String,
        /// Offset from the start.
        offset: usize,
    },
    /// Not UTF-8.
    #[error("{path}: byte {offset} is not UTF-8; a text file in UTF-8 is expected")]
    NotUtf8 {
        /// The path.
        path: String,
        /// Offset from the start.
        offset: usize,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or(String::new(), |name| format!("; did you mean `{name}`?"))
}

/// The scenario of this name in the library, else the file at this path.
///
/// # Errors
/// If there is neither, or the file is no text: see [`ReadError`].
pub fn open(name_or_path: &str) -> Result<Source, ReadError> {
    if let Some(entry) = library::find(name_or_path) {
        return Ok(entry.source());
    }
    let path = Path::new(name_or_path);
    match read_file(path) {
        Err(ReadError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            Err(ReadError::Unknown {
                what: "scenario",
                asked: name_or_path.to_owned(),
                suggestion: library::nearest(name_or_path),
            })
        }
        result => result,
    }
}

/// The scenario in a file.
///
/// # Errors
/// If it cannot be read or is no text: see [`ReadError`].
pub fn read_file(path: &Path) -> Result<Source, ReadError> {
    Ok(Source {
        name: path.display().to_string(),
        text: read_text(path)?,
        base_dir: path.parent().unwrap_or(Path::new("")).to_owned(),
    })
}

/// The text of a file: a scenario, or a table or trace that belongs to one.
///
/// # Errors
/// If it cannot be read or is no text: see [`ReadError`].
pub fn read_text(path: &Path) -> Result<String, ReadError> {
    let name = path.display().to_string();
    let io_error = |error| ReadError::Io {
        path: path.display().to_string(),
        error,
    };
    let file = File::open(path).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    if metadata.is_dir() {
        return Err(ReadError::Directory { path: name });
    }
    if metadata.len() > LARGEST_FILE {
        return Err(ReadError::TooLarge { path: name });
    }
    let mut bytes = Vec::new();
    // A pipe or a device does not tell its length, and a file may grow: the limit holds for what is read, too.
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(ReadError::TooLarge { path: name });
    }
    if bytes.is_empty() {
        return Err(ReadError::Empty { path: name });
    }
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        return Err(ReadError::Binary { path: name, offset });
    }
    String::from_utf8(bytes).map_err(|error| ReadError::NotUtf8 {
        path: name,
        offset: error.utf8_error().valid_up_to(),
    })
}
