//! The `longhaul` program. Each verb has a file; what they share:
//!
//! | file | what it holds |
//! | --- | --- |
//! | `args` | the command line |
//! | `exit` | exit codes, and what leads to each |
//! | `output` | the two streams: colour per stream, a broken pipe is no error |
//! | `progress` | how far a run has got |
//! | `interrupt` | the first Ctrl-C ends cleanly, the second at once |
//! | `reproduce` | the command that brings a run back, and the message of a bug |
//! | `replica` | a run in a process of its own, for `run --verify` |
//! | `guest` | what this program does inside the virtual machine of a replay |
//! | `verify` | two runs compared, down to the first event in which they differ |

mod args;
mod check;
mod compare;
mod digest;
mod doctor;
mod exit;
mod guest;
mod hunt;
mod import;
mod interrupt;
mod list;
mod merge;
mod node;
mod output;
mod progress;
mod replay;
mod replica;
mod report;
mod reproduce;
mod run;
mod show;
mod single;
mod sweep;
mod validate;
mod verify;
mod watch;
mod what_if;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Verb};
use exit::{Exit, Failure};
use longhaul_replay::vm;

fn main() -> ExitCode {
    if vm::guest::is_init() {
        vm::guest::init();
        return ExitCode::FAILURE;
    }
    let exit = reproduce::guard(|| match Args::try_parse() {
        Ok(args) => dispatch(&args),
        Err(message) => usage(&message),
    });
    ExitCode::from(exit)
}

/// Runs the verb and says on standard error what stopped it.
fn dispatch(args: &Args) -> Exit {
    let colour = args.color;
    let result = match &args.verb {
        Verb::Run(verb) => run::run(verb, colour),
        Verb::Check(verb) => check::check(verb, colour),
        Verb::Hunt(verb) => hunt::hunt(verb, colour),
        Verb::Show(verb) => show::show(verb),
        Verb::Sweep(verb) => sweep::sweep(verb, colour),
        Verb::Merge(verb) => merge::merge(verb, colour),
        Verb::Compare(verb) => compare::compare(verb, colour),
        Verb::Import(verb) => import::import(verb),
        Verb::List => list::list(),
        Verb::WhatIf(verb) => what_if::what_if(verb, colour),
        Verb::Report(verb) => report::report(verb, colour),
        Verb::Validate(verb) => validate::validate(verb, colour),
        Verb::Doctor(verb) => doctor::doctor(verb, colour),
        Verb::Replay(verb) => replay::replay(verb, colour),
        Verb::Guest => guest::guest(),
        Verb::Digest(verb) => digest::digest(verb),
        Verb::Single(verb) => single::single(verb),
        Verb::Node => node::node(),
    };
    result.unwrap_or_else(|failure: Failure| {
        output::note(&failure.message(output::colour_of_stderr(colour)));
        failure.exit()
    })
}

/// Prints clap's message: help and version to standard output, mistakes to standard error.
fn usage(message: &clap::Error) -> Exit {
    match output::forgive_broken_pipe(message.print()) {
        Ok(()) if message.use_stderr() => Exit::Usage,
        Ok(()) => Exit::Passed,
        Err(error) => {
            let failure = Failure::Output(error);
            output::note(&failure.message(false));
            failure.exit()
        }
    }
}
