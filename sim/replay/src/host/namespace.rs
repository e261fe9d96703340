//! Work inside a network namespace, in a thread of its own.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::HostError;
use crate::plan::Setting;

/// Where `ip` keeps its named namespaces.
pub const DIRECTORY: &str = "/run/netns";

/// Runs `work` inside a named namespace. The thread ends with it, so that nothing else is moved.
pub fn run_in<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> Result<T, HostError> {
    let path = PathBuf::from(DIRECTORY).join(namespace);
    let file_error = |error: std::io::Error| HostError::File {
        path: path.display().to_string(),
        error,
    };
    let file = File::open(&path).map_err(file_error)?;
    let inside = || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(work())
    };
    let done: rustix::io::Result<T> = std::thread::scope(|scope| {
        let thread = scope.spawn(inside);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    done.map_err(|error| file_error(error.into()))
}

/// Writes settings under `/proc/sys` of the namespace that this thread is in. What concerns IPv6 need not exist.
pub fn write_settings(settings: &[Setting]) -> Result<(), HostError> {
    for setting in settings {
        let path = PathBuf::from("/proc/sys").join(setting.name.replace('.', "/"));
        if setting.name.starts_with("net.ipv6.") && !path.exists() {
            continue;
        }
        fs::write(&path, &setting.value).map_err(|error| HostError::File {
            path: path.display().to_string(),
            error,
        })?;
    }
    Ok(())
}
