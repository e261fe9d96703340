//! The command that brings a run back, and what is said when this program has a bug.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use longhaul_scenarios::Loaded;
use longhaul_scenarios::schema::Replay;

use crate::args::{ReplayArgs, RunArgs};
use crate::exit::Exit;
use crate::output;
use crate::replay::Wish;

/// The command of the run under way, once there is one.
static COMMAND: OnceLock<String> = OnceLock::new();

/// The command that repeats a run: everything that its results depend on, and nothing else.
pub fn command(args: &RunArgs, seed: u64) -> String {
    let mut command = with_scenario("run", &args.scenario.scenario, seed, &args.scenario.set);
    if let Some(events) = args.events {
        command.push_str(&format!(" --events {events}"));
    }
    command
}

/// The command that repeats a replay.
pub fn replay_command(args: &ReplayArgs, scenario: &str, loaded: &Loaded, settings: &Replay) -> String {
    let mut command = with_scenario("replay", scenario, loaded.scenario.seed, &args.set);
    if let Some(factor) = args.scale {
        command.push_str(&format!(" --scale {factor}"));
    }
    command.push_str(&format!(
        " --replications {} --simulations {}",
        settings.replications, settings.simulations
    ));
    match &args.from {
        Some(path) => command.push_str(&format!(" --from {}", quoted(&path.to_string_lossy()))),
        None if args.backend != Wish::Auto => {
            let backend = format!("{:?}", args.backend).to_lowercase();
            command.push_str(&format!(" --backend {backend}"));
        }
        None => {}
    }
    if let Some(kernel) = &args.kernel {
        command.push_str(&format!(" --kernel {}", quoted(&kernel.to_string_lossy())));
    }
    command
}

fn with_scenario(verb: &str, scenario: &str, seed: u64, changes: &[String]) -> String {
    // A file called `-x` would be taken for an option.
    let prefix = if scenario.starts_with('-') { "./" } else { "" };
    let mut command = format!(
        "longhaul {verb} {} --seed {seed}",
        quoted(&format!("{prefix}{scenario}"))
    );
    for change in changes {
        command.push_str(&format!(" --set {}", quoted(change)));
    }
    command
}

/// Remembers the command for [`guard`].
pub fn remember(command: &str) {
    // One run per process: a second command would be a bug, and the first is as good for its report.
    let _ = COMMAND.set(command.to_owned());
}

/// The line that ends a message about a bug; empty before there is a run to reproduce.
pub fn line() -> String {
    COMMAND
        .get()
        .map_or(String::new(), |command| format!("reproduce: {command}\n"))
}

/// Runs the program; a panic in it is reported as the bug that it is, with the command that reproduces it.
pub fn guard(program: impl FnOnce() -> Exit) -> Exit {
    std::panic::set_hook(Box::new(|panic| output::note(&bug(&panic.to_string(), &line()))));
    // Unwinding lets a half-written run directory remove itself; nothing else is used afterwards.
    catch_unwind(AssertUnwindSafe(program)).unwrap_or(Exit::Internal)
}

fn bug(what: &str, reproduce: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("bug: {what}\nThis is a mistake in longhaul {version}, not in the scenario.\n{reproduce}")
}

/// `word` as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_every_word_back() {
        for word in [
            "plain-1.ron",
            "",
            "a b",
            "it's",
            "$HOME `id` \\ \"x\" *",
            "links[0].delay=80 ms",
            "zwei\nZeilen",
            "é",
        ] {
            let script = format!("printf %s {}", quoted(word));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word, "{script}");
        }
        assert_eq!(quoted("plain-1.ron"), "plain-1.ron");
    }

    #[test]
    fn a_bug_is_reported_with_the_command_that_reproduces_it() {
        remember("longhaul run x.ron --seed 7");
        let exit = guard(|| panic!("counters differ"));
        assert_eq!(exit, Exit::Internal);
        let report = bug("panicked at a.rs:1:2:\ncounters differ", &line());
        assert!(report.starts_with("bug: panicked at a.rs"));
        assert!(report.ends_with("reproduce: longhaul run x.ron --seed 7\n"));
    }
}
