//! What a replay has made outside its own memory, noted in `/run/longhaul` before it is made.
//!
//! A note names the process, the namespaces, and settings of the kernel as they were. It is made where none was, so of
//! two replays one goes on; it is removed last, so what is left has a note. `/run` is empty after a boot, as are
//! namespaces and settings.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::HostError;
use super::namespace::DIRECTORY as NAMESPACES;
use super::tool::{self, How};
use crate::plan::{DelayTable, KernelSetting, Plan, Tool};

/// Where the notes are.
const DIRECTORY: &str = "/run/longhaul";

/// The content of a note.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Note {
    run: String,
    pid: u32,
    /// When the process started, in ticks after the boot: another one may have its number later.
    started: u64,
    namespaces: Vec<String>,
    /// The kernel's settings as they were before.
    before: Vec<KernelSetting>,
}

/// The note of this process's replay.
#[derive(Debug)]
pub struct State {
    note: Note,
}

impl State {
    /// Notes what a plan will make.
    ///
    /// # Errors
    /// If there is a note of its name, a namespace of one of its names, or the directory cannot be written.
    pub fn claim(plan: &Plan) -> Result<State, HostError> {
        fs::create_dir_all(DIRECTORY).map_err(|error| file(DIRECTORY, error))?;
        let path = note_path(&plan.run);
        let pid = std::process::id();
        let mut before = Vec::new();
        for setting in &plan.kernel_settings {
            let value = fs::read_to_string(&setting.path).map_err(|error| file(&setting.path, error))?;
            // `Y` and `N`, or a number; written back as it was read.
            let (path, value) = (setting.path.clone(), value.trim().to_owned());
            before.push(KernelSetting { path, value });
        }
        let note = Note {
            run: plan.run.clone(),
            pid,
            started: started(pid).unwrap_or(0),
            namespaces: plan.namespaces(),
            before,
        };
        let mut new = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(new) => new,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(taken(&path)),
            Err(error) => return Err(file(&path.display().to_string(), error)),
        };
        let state = State { note };
        let text = serde_json::to_string_pretty(&state.note).expect("a note is plain data");
        let noted = new.write_all(text.as_bytes());
        let clash = state
            .note
            .namespaces
            .iter()
            .find(|name| namespace_path(name).exists());
        let refusal = match (noted, clash) {
            (Err(error), _) => file(&path.display().to_string(), error),
            (Ok(()), Some(name)) => HostError::Clash(name.clone()),
            (Ok(()), None) => return Ok(state),
        };
        // Nothing is ours yet but the note.
        fs::remove_file(&path).map_err(|error| file(&path.display().to_string(), error))?;
        Err(refusal)
    }

    /// Where `tc` finds the plan's tables.
    pub fn tables(&self) -> PathBuf {
        tables_path(&self.note.run)
    }

    /// Writes the tables in netem's form.
    pub fn write_tables(&self, tables: &[DelayTable]) -> Result<(), HostError> {
        let directory = self.tables();
        fs::create_dir_all(&directory).map_err(|error| file(&directory.display().to_string(), error))?;
        for table in tables {
            let path = directory.join(format!("{}.dist", table.name));
            let lines = table.entries.chunks(8).map(|chunk| {
                let words: Vec<String> = chunk.iter().map(ToString::to_string).collect();
                words.join(" ")
            });
            let text = lines.collect::<Vec<_>>().join("\n") + "\n";
            fs::write(&path, text).map_err(|error| file(&path.display().to_string(), error))?;
        }
        Ok(())
    }

    /// Sets what concerns the whole kernel, where it is not so already.
    pub fn set_kernel(&self, settings: &[KernelSetting]) -> Result<(), HostError> {
        let pairs = settings.iter().zip(&self.note.before);
        let mut changed = pairs.filter(|(setting, before)| setting.value != before.value);
        changed.try_for_each(|(setting, _)| write(setting))
    }

    /// Removes everything, the note last; says what it was.
    pub fn remove(&self) -> Result<Vec<String>, HostError> {
        remove(&self.note)
    }
}

/// Removes what killed replays left: namespaces and settings, nothing but what their notes name. Says what it did, a
/// line each.
///
/// # Errors
/// [`HostError`].
pub fn cleanup() -> Result<Vec<String>, HostError> {
    let mut done = Vec::new();
    for (path, note) in notes()? {
        match note {
            Some(note) if is_alive(&note) => {
                done.push(format!(
                    "left alone: the replay of process {}, which is running",
                    note.pid
                ));
            }
            Some(note) => done.extend(remove(&note)?),
            // Killed between making the note and writing it: nothing was made yet.
            None => {
                fs::remove_file(&path).map_err(|error| file(&path.display().to_string(), error))?;
                done.push(format!("removed the unfinished note {}", path.display()));
            }
        }
    }
    Ok(done)
}

fn remove(note: &Note) -> Result<Vec<String>, HostError> {
    let left: Vec<&String> = note
        .namespaces
        .iter()
        .filter(|name| namespace_path(name).exists())
        .collect();
    let lines: Vec<String> = left.iter().map(|name| format!("netns delete {name}")).collect();
    let how = How {
        force: true,
        ..How::default()
    };
    // Even if one cannot be deleted, the settings are put back.
    let deleted = if lines.is_empty() {
        Ok(String::new())
    } else {
        tool::batch(Tool::Ip, &lines, how)
    };
    let mut done: Vec<String> = left
        .iter()
        .map(|name| format!("removed the namespace {name}"))
        .collect();
    for setting in &note.before {
        let now = fs::read_to_string(&setting.path).unwrap_or_default();
        if now.trim() != setting.value {
            write(setting)?;
            done.push(format!("put {} back to {}", setting.path, setting.value));
        }
    }
    deleted?;
    let tables = tables_path(&note.run);
    if tables.exists() {
        fs::remove_dir_all(&tables).map_err(|error| file(&tables.display().to_string(), error))?;
    }
    let path = note_path(&note.run);
    fs::remove_file(&path).map_err(|error| file(&path.display().to_string(), error))?;
    Ok(done)
}

/// Every note, in the order of their names; `None` for one that means nothing.
fn notes() -> Result<Vec<(PathBuf, Option<Note>)>, HostError> {
    let entries = match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file(DIRECTORY, error)),
    };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    paths.sort();
    Ok(paths
        .into_iter()
        .map(|path| (path.clone(), read(&path)))
        .collect())
}

fn read(path: &Path) -> Option<Note> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Why a note that exists stands in the way.
fn taken(path: &Path) -> HostError {
    match read(path) {
        Some(note) if is_alive(&note) => HostError::Running { pid: note.pid },
        _ => HostError::Leftovers,
    }
}

fn is_alive(note: &Note) -> bool {
    started(note.pid) == Some(note.started)
}

/// When a process started, in ticks after the boot; `None` if there is none.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in brackets, which may hold anything; the state after it is the third.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn write(setting: &KernelSetting) -> Result<(), HostError> {
    fs::write(&setting.path, &setting.value).map_err(|error| file(&setting.path, error))
}

fn note_path(run: &str) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{run}.json"))
}

fn tables_path(run: &str) -> PathBuf {
    Path::new(DIRECTORY).join(run)
}

fn namespace_path(name: &str) -> PathBuf {
    Path::new(NAMESPACES).join(name)
}

fn file(path: &str, error: std::io::Error) -> HostError {
    let path = path.to_owned();
    HostError::File { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_number_and_its_start() {
        let pid = std::process::id();
        let note = |started| Note {
            run: "x".to_owned(),
            pid,
            started,
            namespaces: Vec::new(),
            before: Vec::new(),
        };
        let started = started(pid).expect("this process");
        assert!(is_alive(&note(started)));
        assert!(
            !is_alive(&note(started + 1)),
            "another process with the same number"
        );
    }
}
