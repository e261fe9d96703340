//! Where the programs of the system are that a replay starts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Directories that hold `tc` and its like; the path of an ordinary user often lacks them.
const ADMINISTRATION: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Directories that are searched for programs, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tools {
    directories: Vec<PathBuf>,
}

impl Tools {
    /// Those of `PATH`, then the usual ones for administration.
    #[expect(
        clippy::disallowed_methods,
        reason = "PATH decides which program is started, as for every other program"
    )]
    pub fn of_system() -> Tools {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let named = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
        Tools::in_directories(named.chain(ADMINISTRATION.map(PathBuf::from)))
    }

    /// Those and no others.
    pub fn in_directories(directories: impl IntoIterator<Item = PathBuf>) -> Tools {
        Tools {
            directories: directories.into_iter().collect(),
        }
    }

    /// The program of this name that would be started.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let candidates = self.directories.iter().map(|directory| directory.join(name));
        candidates.into_iter().find(|path| is_executable(path))
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// What a program says, or why it failed: the last line of its standard error, or its status.
///
/// # Errors
/// If it cannot be started or does not succeed.
pub fn output_of(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.lines().rev().find(|line| !line.trim().is_empty());
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy();
    Err(match last {
        Some(line) => format!("{name}: {}", line.trim().trim_start_matches("E: ")),
        None => format!("{name}: {}", output.status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_given_directories_are_searched() {
        assert!(Tools::of_system().find("sh").is_some());
        assert_eq!(Tools::in_directories([]).find("sh"), None);
        let elsewhere = Tools::in_directories([PathBuf::from("/proc")]);
        assert_eq!(elsewhere.find("version"), None, "not executable");
    }

    #[test]
    fn a_failed_program_is_told_by_its_last_words() {
        let shell = |script: &str| output_of(Command::new("/bin/sh").args(["-c", script]));
        assert_eq!(shell("echo yes").as_deref(), Ok("yes\n"));
        assert_eq!(
            shell("echo one >&2; echo two >&2; exit 3"),
            Err("sh: two".to_owned())
        );
        assert!(shell("exit 3").is_err_and(|why| why.contains('3')));
    }
}
