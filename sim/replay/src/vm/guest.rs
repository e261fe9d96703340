//! Inside the virtual machine: longhaul as process 1.
//!
//! It prepares the system, starts itself once more for the job, waits for it (and for every orphan), sends the answer
//! out and powers off. The job runs in a process of its own, so its panic or its end for want of memory is an answer
//! too: that it failed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::mount::{MountFlags, mount};
use rustix::process::{WaitOptions, WaitStatus, wait};
use rustix::system::{RebootCommand, finit_module, reboot};

use super::frame::{self, Answer};
use crate::tools::output_of;

/// Its presence says that this is the guest.
const MARKER: &str = "/longhaul-guest";
/// The job's bytes.
pub(super) const JOB: &str = "/longhaul-guest/job";
/// Modules for the job, to be loaded in the order of their names.
pub(super) const MODULES_BEFORE: &str = "/longhaul-guest/before";
/// Modules for sending the answer.
pub(super) const MODULES_FOR_ANSWER: &str = "/longhaul-guest/answer";
/// iproute2's tables.
pub(super) const TABLES: &str = "/usr/lib/tc";
/// Directories that something is mounted on.
pub(super) const MOUNT_POINTS: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];
/// Name of the port that the answer leaves by.
pub(super) const PORT: &str = "longhaul.answer";
/// Where the job leaves its answer.
const ANSWER: &str = "/run/longhaul-answer";
/// The hidden verb that does the job.
pub const VERB: &str = "guest";
/// Looks for the port, one per millisecond; it is there a moment after its modules.
const LOOKS: u32 = 5_000;

/// Whether this process is the first of the guest.
pub fn is_init() -> bool {
    std::process::id() == 1 && Path::new(MARKER).is_dir()
}

/// Is process 1, and does not come back: the machine is off afterwards.
pub fn init() {
    let answer = match prepare().and_then(|()| job()) {
        Ok(bytes) => Answer::Done(bytes),
        Err(why) => Answer::Failed(why),
    };
    if let Err(why) = send(&frame::wrap(&answer)) {
        eprintln!("longhaul: cannot send the answer: {why}");
    }
    rustix::fs::sync();
    let refused = reboot(RebootCommand::PowerOff);
    // Returning ends process 1, which the kernel answers with a panic and QEMU with its end.
    eprintln!("longhaul: cannot power off: {refused:?}");
}

/// The body of the hidden verb: does the job, and leaves what it answers where process 1 finds it. The job may be a
/// good part of the guest's memory, so whoever does it gets the only copy.
///
/// # Errors
/// If this is not the guest, or the job fails.
pub fn work(answer: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, String>) -> Result<(), String> {
    if !Path::new(MARKER).is_dir() {
        return Err("this is not the virtual machine of a replay".to_owned());
    }
    let job = fs::read(JOB).map_err(|error| format!("{JOB}: {error}"))?;
    fs::remove_file(JOB).map_err(|error| format!("{JOB}: {error}"))?;
    let answer = match answer(job) {
        Ok(bytes) => Answer::Done(bytes),
        Err(why) => Answer::Failed(why),
    };
    fs::write(ANSWER, frame::wrap(&answer)).map_err(|error| format!("{ANSWER}: {error}"))
}

fn prepare() -> Result<(), String> {
    for (kind, place) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
    ] {
        match mount(kind, place, kind, MountFlags::empty(), None) {
            // The kernel may have mounted /dev already.
            Ok(()) | Err(rustix::io::Errno::BUSY) => {}
            Err(error) => return Err(format!("cannot mount {place}: {error}")),
        }
    }
    load(MODULES_BEFORE)?;
    output_of(Command::new("/usr/bin/ip").args(["link", "set", "dev", "lo", "up"])).map(drop)
}

fn load(directory: &str) -> Result<(), String> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{directory}: {error}"))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let loaded = File::open(&path).and_then(|file| Ok(finit_module(&file, c"", 0)?));
        loaded.map_err(|error| format!("cannot load {}: {error}", path.display()))?;
    }
    Ok(())
}

/// Starts the job and waits for its end; in between, for that of every orphan.
fn job() -> Result<Vec<u8>, String> {
    let child = Command::new("/init")
        .arg(VERB)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("TC_LIB_DIR", TABLES)
        .env("HOME", "/tmp")
        .current_dir("/")
        .spawn()
        .map_err(|error| format!("cannot start the job: {error}"))?;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_pid().cast_unsigned() == child.id() => {
                return ended(status);
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("cannot wait for the job: {error}")),
        }
    }
}

fn ended(status: WaitStatus) -> Result<Vec<u8>, String> {
    if status.exit_status() == Some(0) {
        let frame = fs::read(ANSWER).map_err(|error| format!("the job left no answer: {error}"))?;
        return match frame::unwrap(&frame) {
            Ok(Answer::Done(bytes)) => Ok(bytes),
            Ok(Answer::Failed(why)) => Err(why),
            Err(error) => Err(error.to_string()),
        };
    }
    Err(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("the job ended with exit code {code}"),
        (_, Some(9)) => "the job was killed; it ran out of memory unless something killed it".to_owned(),
        (_, Some(signal)) => format!("the job was ended by signal {signal}"),
        _ => "the job ended in an unknown way".to_owned(),
    })
}

/// Writes to the port that leads out.
fn send(frame: &[u8]) -> Result<(), String> {
    if !Path::new("/sys/class").is_dir() {
        return Err("there is no /sys".to_owned());
    }
    load(MODULES_FOR_ANSWER)?;
    let port = port().ok_or_else(|| "the port did not appear".to_owned())?;
    let written = OpenOptions::new()
        .write(true)
        .open(&port)
        .and_then(|mut file| file.write_all(frame));
    written.map_err(|error: io::Error| format!("{}: {error}", port.display()))
}

/// The device of the port with our name.
fn port() -> Option<PathBuf> {
    for _ in 0..LOOKS {
        let ports = fs::read_dir("/sys/class/virtio-ports")
            .into_iter()
            .flatten()
            .flatten();
        for entry in ports {
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            let device = Path::new("/dev").join(entry.file_name());
            if name.trim() == PORT && device.exists() {
                return Some(device);
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}
