//! `longhaul report`: a page about a finished run, from its directory alone.

use std::path::{Path, PathBuf};

use longhaul_reports::console::Style;
use longhaul_reports::report::{self, Replayable, Signs, Story};
use longhaul_scenarios::replay::plan::{NotReplayable, PlanError, plan};
use longhaul_scenarios::{load, source};

use crate::args::{Paper, ReportArgs};
use crate::exit::{Exit, Failure};
use crate::output::{self, Colour};

/// Writes the report of a run, or prints it.
pub fn report(args: &ReportArgs, colour: Colour) -> Result<Exit, Failure> {
    let mut story = report::load(&args.directory)?;
    story.replayable = replayable(&args.directory);
    if args.steady_state {
        story.add_steady_state()?;
    }
    if args.terminal {
        let signs = if args.ascii || !speaks_unicode() {
            Signs::Ascii
        } else {
            Signs::Blocks
        };
        let style = Style::of_stdout(output::colour_of_stdout(colour));
        output::print(&report::terminal(&story, style, signs))?;
        return Ok(Exit::Passed);
    }
    if let Some(paper) = args.print {
        output::print(&text(&story, paper)?)?;
        return Ok(Exit::Passed);
    }
    let written = report::write(&story, &args.directory, args.out.as_deref())?;
    output::print(&paths(&written))?;
    Ok(Exit::Passed)
}

/// What the resolved scenario of a run says of a replay; nothing is known of one in another version's language.
fn replayable(directory: &Path) -> Replayable {
    let source = source::read_file(&directory.join("scenario.resolved.ron"));
    let Some(loaded) = source.ok().and_then(|source| load(&source, &[], None).ok()) else {
        return Replayable::Unknown;
    };
    match plan(&loaded) {
        Ok(_) => Replayable::Yes,
        Err(PlanError::NotReplayable(refused)) => {
            // Things of one kind have one reason.
            let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
            for NotReplayable { path, reason } in refused {
                match reasons.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, paths)) => paths.push(path),
                    None => reasons.push((reason, vec![path])),
                }
            }
            let texts = reasons
                .iter()
                .map(|(reason, paths)| format!("{}: {reason}", paths.join(", ")));
            Replayable::No(texts.collect::<Vec<_>>().join("; "))
        }
        // A file that it names lies somewhere else.
        Err(PlanError::File(_)) => Replayable::Unknown,
    }
}

fn text(story: &Story, paper: Paper) -> Result<String, Failure> {
    Ok(match paper {
        Paper::Html => report::html(story)?,
        Paper::Markdown => report::markdown(story),
        Paper::Junit => report::junit(story),
    })
}

fn paths(written: &[PathBuf]) -> String {
    let line = |path: &PathBuf| format!("{}\n", Path::display(path));
    written.iter().map(line).collect()
}

/// What POSIX says of the locale: the first of these that is set and not empty decides.
#[expect(
    clippy::disallowed_methods,
    reason = "decides about the signs of a terminal and nothing else"
)]
fn speaks_unicode() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    locale.is_some_and(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
