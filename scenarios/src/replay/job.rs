//! Everything that a replay needs, as bytes: what goes into a virtual machine, and what the host replays itself, so
//! that both replay the same. The files that a scenario names travel with it under names of their own.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::diagnose::Diagnostics;
use crate::schema::{Jitter, Memory, Rate, Scenario};
use crate::source::Source;
use crate::{Loaded, load, show};

/// Version of the form.
const JOB_FORMAT: u32 = 1;

/// What to replay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// Canonical text of the scenario, whose files are called as [`Job::unpack`] writes them.
    pub scenario: String,
    /// Contents of these files.
    pub files: Vec<Vec<u8>>,
    /// Which replications.
    pub replications: Range<u32>,
    /// Whether to keep the tapes of the machines.
    pub tapes: bool,
}

/// The head of a job; the files follow it, one behind the other.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    scenario: String,
    file_bytes: Vec<usize>,
    replications: Range<u32>,
    tapes: bool,
}

/// Why there is no job.
#[derive(Debug, Error)]
pub enum JobError {
    /// A file of the scenario.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file of the job.
    #[error("cannot write {path}: {error}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Bytes that are no job.
    #[error("this is no job of a replay: {0}")]
    Malformed(String),
    /// A scenario that another version wrote.
    #[error("the scenario of the job is refused:\n{0}")]
    Scenario(Box<Diagnostics>),
}

impl Job {
    /// The job of replaying a scenario.
    ///
    /// # Errors
    /// If one of its files cannot be read.
    pub fn of(loaded: &Loaded, replications: Range<u32>, tapes: bool) -> Result<Job, JobError> {
        let mut scenario = loaded.scenario.clone();
        let mut paths: Vec<String> = Vec::new();
        for name in file_names(&mut scenario) {
            let known = paths.iter().position(|path| path == name);
            let index = known.unwrap_or_else(|| {
                paths.push(name.clone());
                paths.len() - 1
            });
            *name = packed_name(index);
        }
        let read = |path: &String| {
            let path = loaded.base_dir.join(path);
            fs::read(&path).map_err(|error| JobError::Unreadable { path, error })
        };
        Ok(Job {
            scenario: show::canonical(&scenario),
            files: paths.iter().map(read).collect::<Result<_, _>>()?,
            replications,
            tapes,
        })
    }

    /// The same for other replications.
    pub fn part(&self, replications: Range<u32>) -> Job {
        Job {
            replications,
            ..self.clone()
        }
    }

    /// A line of JSON and the files. Equal jobs give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = Head {
            format: JOB_FORMAT,
            scenario: self.scenario.clone(),
            file_bytes: self.files.iter().map(Vec::len).collect(),
            replications: self.replications.clone(),
            tapes: self.tapes,
        };
        let mut bytes = serde_json::to_vec(&head).expect("a job has a JSON form");
        bytes.push(b'\n');
        bytes.extend(self.files.iter().flatten());
        bytes
    }

    /// Reads what [`Job::to_bytes`] wrote.
    ///
    /// # Errors
    /// If it did not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Job, JobError> {
        let malformed = |why: &str| JobError::Malformed(why.to_owned());
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (head, mut rest) = bytes.split_at(end.ok_or_else(|| malformed("no head"))?);
        let head: Head = serde_json::from_slice(head).map_err(|error| malformed(&error.to_string()))?;
        if head.format != JOB_FORMAT {
            return Err(malformed("another format"));
        }
        rest = &rest[1..];
        let mut files = Vec::new();
        for length in head.file_bytes {
            let (file, after) = rest
                .split_at_checked(length)
                .ok_or_else(|| malformed("cut short"))?;
            files.push(file.to_vec());
            rest = after;
        }
        if !rest.is_empty() {
            return Err(malformed("more than its files"));
        }
        Ok(Job {
            scenario: head.scenario,
            files,
            replications: head.replications,
            tapes: head.tapes,
        })
    }

    /// Writes the files to a directory and reads the scenario there.
    ///
    /// # Errors
    /// If the files cannot be written, or the scenario is refused.
    pub fn unpack(&self, directory: &Path) -> Result<Loaded, JobError> {
        for (index, content) in self.files.iter().enumerate() {
            let path = directory.join(packed_name(index));
            fs::write(&path, content).map_err(|error| JobError::Unwritable { path, error })?;
        }
        let source = Source {
            name: "the job".to_owned(),
            text: self.scenario.clone(),
            base_dir: directory.to_owned(),
        };
        load(&source, &[], None).map_err(|mistakes| JobError::Scenario(Box::new(mistakes)))
    }
}

fn packed_name(index: usize) -> String {
    format!("input-{index}")
}

/// The names of all files of a scenario, each as often as it is named.
fn file_names(scenario: &mut Scenario) -> Vec<&mut String> {
    let mut names = Vec::new();
    for link in &mut scenario.links {
        match &mut link.rate {
            Rate::Deliveries { file } | Rate::Recorded { file } => names.push(file),
            Rate::Constant(_) | Rate::Poisson(_) => {}
        }
        match &mut link.jitter {
            Jitter::Table { file, .. } | Jitter::Measured { file } => names.push(file),
            Jitter::None
            | Jitter::Normal(_)
            | Jitter::Uniform { .. }
            | Jitter::Pareto(_)
            | Jitter::ParetoNormal(_) => {}
        }
    }
    for vm in &mut scenario.vms {
        if let Memory::Images { files, .. } = &mut vm.memory {
            names.extend(files);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::compare::tests::loaded;

    #[test]
    fn a_job_survives_its_bytes_and_brings_its_files_along() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("delays.txt"), "1\n2\n3\n").unwrap();
        let mut loaded = loaded(&[
            r#"links[0].jitter=Measured(file: "delays.txt")"#,
            r#"links[1].jitter=Measured(file: "delays.txt")"#,
        ]);
        loaded.base_dir = home.path().to_owned();
        let job = Job::of(&loaded, 5..10, true).unwrap();
        assert_eq!(job.files, [b"1\n2\n3\n"]);
        let read = Job::from_bytes(&job.to_bytes()).unwrap();
        assert_eq!(read, job);
        let other = tempfile::tempdir().unwrap();
        let there = read.unpack(other.path()).unwrap();
        assert_eq!(fs::read(other.path().join("input-0")).unwrap(), b"1\n2\n3\n");
        assert_eq!(
            there.scenario.links[1].jitter,
            Jitter::Measured {
                file: "input-0".to_owned()
            }
        );
        assert_eq!(there.scenario.seed, loaded.scenario.seed);
        assert_eq!(job.part(0..1).replications, 0..1);
    }

    #[test]
    fn a_missing_file_is_named_and_other_bytes_are_refused() {
        let loaded = loaded(&[r#"links[0].jitter=Measured(file: "nowhere.txt")"#]);
        let error = Job::of(&loaded, 0..1, false).unwrap_err().to_string();
        assert!(error.starts_with("cannot read nowhere.txt"), "{error}");
        let job = Job {
            scenario: String::new(),
            files: vec![vec![10, 0, 255]],
            replications: 0..1,
            tapes: false,
        };
        let bytes = job.to_bytes();
        for wrong in [
            &b""[..],
            b"{}\n",
            b"no\n",
            &bytes[..bytes.len() - 1],
            &[&bytes[..], b"x"].concat(),
        ] {
            assert!(
                matches!(Job::from_bytes(wrong), Err(JobError::Malformed(_))),
                "{wrong:?}"
            );
        }
    }
}
