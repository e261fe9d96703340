//! Taking the place of an older run without ever taking that of anything else.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{DirectoryError, MANIFEST, Manifest, TOOL};

/// Largest manifest that is read to find out whether a directory may be replaced.
const LARGEST_MANIFEST: u64 = 16 << 20;

/// The real place of `target`: links are followed, so that a link to a run directory stays a link.
pub(super) fn resolve(target: &Path) -> Result<PathBuf, DirectoryError> {
    let resolved = match fs::canonicalize(target) {
        Ok(path) => path,
        // A link to nowhere: only the final rename would find out.
        Err(_) if target.is_symlink() => {
            return Err(DirectoryError::NotADirectory {
                path: target.to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => target.to_owned(),
        Err(error) => return Err(DirectoryError::of(target, error)),
    };
    // Typed paths stay as typed where nothing needed resolving: messages should look like the command line.
    let moved = target.is_symlink() || target.file_name().is_none();
    let resolved = if moved { resolved } else { target.to_owned() };
    match resolved.file_name() {
        Some(_) => Ok(resolved),
        None => Err(DirectoryError::Nameless {
            path: target.to_owned(),
        }),
    }
}

/// Whether `target` is free, empty, or holds nothing but files that its own manifest names.
pub(super) fn check_replaceable(target: &Path) -> Result<(), DirectoryError> {
    match fs::metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(DirectoryError::of(target, error)),
        Ok(metadata) if !metadata.is_dir() => {
            return Err(DirectoryError::NotADirectory {
                path: target.to_owned(),
            });
        }
        Ok(metadata) if is_mount_point(target, &metadata) => {
            return Err(DirectoryError::MountPoint {
                path: target.to_owned(),
            });
        }
        Ok(_) => {}
    }
    let known: Vec<String> = read_manifest(target).map_or_else(Vec::new, |manifest| {
        let files = manifest.files.into_iter().map(|file| file.name);
        files.chain([MANIFEST.to_owned()]).collect()
    });
    let foreign = entries(target)
        .map_err(|source| DirectoryError::of(target, source))?
        .into_iter()
        .find(|entry| !known.contains(entry));
    match foreign {
        None => Ok(()),
        Some(entry) => Err(DirectoryError::Foreign {
            path: target.to_owned(),
            entry,
        }),
    }
}

/// Whether a directory lies on another device than its parent, so that it cannot be renamed.
fn is_mount_point(directory: &Path, metadata: &Metadata) -> bool {
    fs::metadata(directory.join("..")).is_ok_and(|parent| parent.dev() != metadata.dev())
}

/// The manifest of a run directory; `None` if there is none, or it is something else of the same name.
pub(super) fn read_manifest(directory: &Path) -> Option<Manifest> {
    let mut text = Vec::new();
    let file = File::open(directory.join(MANIFEST)).ok()?;
    file.take(LARGEST_MANIFEST).read_to_end(&mut text).ok()?;
    let manifest: Manifest = serde_json::from_slice(&text).ok()?;
    (manifest.tool == TOOL).then_some(manifest)
}

/// Names of everything in a directory, sorted; of a directory in it the names of what it holds: `tapes/0-1.jsonl`.
#[expect(clippy::disallowed_methods, reason = "the names are sorted")]
fn entries(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A link is a thing of its own, wherever it leads.
        let inner = if entry.file_type()?.is_dir() {
            entries(&entry.path())?
        } else {
            Vec::new()
        };
        if inner.is_empty() {
            names.push(name);
        } else {
            names.extend(inner.iter().map(|inner| format!("{name}/{inner}")));
        }
    }
    names.sort();
    Ok(names)
}

/// A new empty directory `.<name>.<purpose>-<process>` beside `target`, numbered on if that is taken: process
/// numbers repeat, and containers that share a directory may both be process 1.
pub(super) fn create_sibling(target: &Path, purpose: &str) -> Result<PathBuf, DirectoryError> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let process = std::process::id();
    let mut attempt = 0_u32;
    loop {
        let number = if attempt == 0 {
            String::new()
        } else {
            format!("-{attempt}")
        };
        let sibling = target.with_file_name(format!(".{name}.{purpose}-{process}{number}"));
        match fs::create_dir(&sibling) {
            Ok(()) => return Ok(sibling),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
            Err(error) => return Err(DirectoryError::of(&sibling, error)),
        }
    }
}

/// Renames `partial` to `target`. An older run is moved aside first, moved back if that fails, and removed
/// if it succeeds.
pub(super) fn swap_in(partial: &Path, target: &Path) -> Result<(), DirectoryError> {
    // The run may have taken hours; somebody may have put something there meanwhile.
    check_replaceable(target)?;
    let failed = |source| DirectoryError::of(target, source);
    if !target.exists() {
        return fs::rename(partial, target).map_err(failed);
    }
    // A rename takes the place of an empty directory.
    let aside = create_sibling(target, "replaced")?;
    fs::rename(target, &aside).map_err(|source| {
        let _ = fs::remove_dir(&aside);
        failed(source)
    })?;
    fs::rename(partial, target).map_err(|source| {
        let _ = fs::rename(&aside, target);
        failed(source)
    })?;
    // The new run is in its place; calling that a failure because of leftovers of the old one would be wrong.
    let _ = fs::remove_dir_all(&aside);
    Ok(())
}
