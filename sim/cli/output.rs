//! Standard output carries what was asked for, standard error everything else. Colour is decided for each of
//! them, and a reader who has seen enough and closes the pipe is no error.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;

use crate::exit::Failure;

/// When to use colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Colour {
    // Not documentation: help would explain what the words already say.
    // On a terminal, unless NO_COLOR is set or TERM is `dumb`.
    Auto,
    Always,
    Never,
}

/// Whether to colour standard output.
pub fn colour_of_stdout(colour: Colour) -> bool {
    decide(colour, io::stdout().is_terminal())
}

/// Whether to colour standard error.
pub fn colour_of_stderr(colour: Colour) -> bool {
    decide(colour, io::stderr().is_terminal())
}

fn decide(colour: Colour, terminal: bool) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal && !environment_refuses_colour(),
    }
}

/// <https://no-color.org>: any value but the empty one.
#[expect(clippy::disallowed_methods, reason = "decides about colour and nothing else")]
fn environment_refuses_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    no_color || dumb
}

/// Writes to standard output.
///
/// # Errors
/// If that is neither possible nor refused by a closed pipe.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    forgive_broken_pipe(written).map_err(Failure::Output)
}

/// Takes a closed pipe for success: the reader has what it wanted.
///
/// # Errors
/// All others.
pub fn forgive_broken_pipe(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes to standard error. If that cannot be written there is nobody left to tell.
pub fn note(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
