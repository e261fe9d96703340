//! One boot of QEMU, in virtual time that counts instructions: equal inputs and seed give an equal run.
//!
//! Nothing of it outlives this process. Files are anonymous memory (`memfd`) that QEMU opens through `/proc`, and
//! the kernel kills QEMU when the thread that started it ends (`setpriv --pdeathsig`).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;

use super::frame::{self, Answer};
use super::guest::PORT;

/// The processor: everything that is emulated, but for two promises about string instructions. A kernel or a C library
/// that believes them copies with `rep movsb`, one byte per counted instruction, instead of 8 or 32.
const CPU: &str = "max,-erms,-fsrm";
/// How often a running boot is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// Lines of the console that an error shows.
const LAST_LINES: usize = 12;

/// What a boot needs.
#[derive(Debug)]
pub struct Boot<'a> {
    /// `qemu-system-x86_64`.
    pub qemu: &'a Path,
    /// `setpriv`.
    pub setpriv: &'a Path,
    /// `vmlinuz`.
    pub kernel: &'a Path,
    /// Parts of the first file system, one after the other.
    pub initrd: [&'a [u8]; 2],
    /// Of everything that the guest takes for chance.
    pub seed: u64,
    /// MiB.
    pub memory_mib: u32,
    /// Wall time that it may take.
    pub watchdog: Duration,
}

/// How a boot ended.
#[derive(Debug)]
pub enum End {
    /// With an answer.
    Answered(Vec<u8>),
    /// Without: why.
    Failed(String),
    /// Because it was to stop.
    Stopped,
}

/// A finished boot.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// All that the guest wrote to its console.
    pub console: String,
    /// Wall time.
    pub wall: Duration,
}

impl Boot<'_> {
    /// Boots, and waits for the end.
    ///
    /// # Errors
    /// If the operating system refuses memory or processes.
    pub fn run(&self, stop: &(dyn Fn() -> bool + Sync)) -> io::Result<Finished> {
        let begun = Instant::now();
        let mut initrd = memory("longhaul-initrd")?;
        for part in self.initrd {
            initrd.write_all(part)?;
        }
        let [mut console, mut answer, mut complaints] = [
            memory("longhaul-console")?,
            memory("longhaul-answer")?,
            memory("longhaul-qemu")?,
        ];
        let mut child = Running(
            self.command(&path_of(&initrd), &path_of(&console), &path_of(&answer))
                .stderr(complaints.try_clone()?)
                .spawn()?,
        );
        let cut_short = loop {
            if let Some(status) = child.0.try_wait()? {
                break (!status.success()).then(|| End::Failed(format!("QEMU ended with {status}")));
            }
            if stop() {
                break Some(End::Stopped);
            }
            if begun.elapsed() >= self.watchdog {
                break Some(End::Failed(format!(
                    "it did not end within {} s",
                    self.watchdog.as_secs()
                )));
            }
            thread::sleep(GLANCE);
        };
        drop(child);
        let mut text = String::from_utf8_lossy(&content(&mut console)?).replace('\r', "");
        text.push_str(&String::from_utf8_lossy(&content(&mut complaints)?));
        let end = match cut_short {
            Some(end) => end,
            None if stop() => End::Stopped,
            None => match frame::unwrap(&content(&mut answer)?) {
                Ok(Answer::Done(bytes)) => End::Answered(bytes),
                Ok(Answer::Failed(why)) => End::Failed(why),
                Err(error) => End::Failed(verdict(&text).unwrap_or_else(|| error.to_string())),
            },
        };
        Ok(Finished {
            end,
            console: text,
            wall: begun.elapsed(),
        })
    }

    fn command(&self, initrd: &str, console: &str, answer: &str) -> Command {
        let mut command = Command::new(self.setpriv);
        command.args(["--pdeathsig", "KILL"]).arg(self.qemu);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-machine", "q35,accel=tcg", "-cpu", CPU, "-smp", "1"]);
        command.args(["-icount", "shift=0,sleep=off", "-rtc", "base=2020-01-01,clock=vm"]);
        command.args([
            "-m",
            &self.memory_mib.to_string(),
            "-seed",
            &self.seed.to_string(),
        ]);
        command.arg("-kernel").arg(self.kernel).args(["-initrd", initrd]);
        command.args(["-append", "console=ttyS0 quiet panic=-1 nokaslr"]);
        command.args(["-chardev", &format!("file,id=console,path={console}")]);
        command.args(["-serial", "chardev:console"]);
        command.args(["-chardev", &format!("file,id=answer,path={answer}")]);
        command.args(["-device", "virtio-serial-pci"]);
        command.args(["-device", &format!("virtserialport,chardev=answer,name={PORT}")]);
        // Ctrl-C on the terminal is for longhaul, which then ends QEMU.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// A process that is killed, and waited for, when nobody needs it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file in memory.
fn memory(name: &str) -> io::Result<File> {
    Ok(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?.into())
}

/// A name by which another process of this user opens it.
fn path_of(file: &File) -> String {
    let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    path.to_string_lossy().into_owned()
}

fn content(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the kernel's last words say about an end without answer.
fn verdict(console: &str) -> Option<String> {
    if console.contains("Out of memory") || console.contains("System is deadlocked on memory") {
        return Some("it ran out of memory".to_owned());
    }
    console
        .contains("Kernel panic")
        .then(|| "its kernel panicked".to_owned())
}

/// The last lines of a console, without control sequences; of a panic those that begin with its cause, since a long
/// trace of calls follows it.
pub fn last_lines(console: &str) -> String {
    let lines: Vec<String> = console
        .lines()
        .map(|line| {
            line.chars()
                .filter(|c| !c.is_control() || *c == '\t')
                .collect::<String>()
        })
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.iter().position(|line| line.contains("Kernel panic"));
    let from = from.unwrap_or_else(|| lines.len().saturating_sub(LAST_LINES));
    lines[from..]
        .iter()
        .take(LAST_LINES)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_kernel_are_understood() {
        let panic = "boot\n[    1.2] Kernel panic - not syncing: Attempted to kill init!\n";
        assert_eq!(verdict(panic).as_deref(), Some("its kernel panicked"));
        let memory = "Out of memory and no killable processes\nKernel panic - not syncing\n";
        assert_eq!(verdict(memory).as_deref(), Some("it ran out of memory"));
        assert_eq!(verdict("reboot: Power down\n"), None);
    }

    #[test]
    fn only_the_last_lines_are_shown() {
        let console: String = (0..100).map(|line| format!("\u{1b}line {line}\n\n")).collect();
        let last = last_lines(&console);
        assert_eq!(last.lines().count(), LAST_LINES);
        assert!(
            last.starts_with("line 88\n") && last.ends_with("line 99"),
            "{last}"
        );
        assert_eq!(last_lines(""), "");
        let panic = format!("{console}Kernel panic - not syncing\n{console}");
        assert!(
            last_lines(&panic).starts_with("Kernel panic - not syncing\nline 0\n"),
            "the cause comes first"
        );
    }

    #[test]
    fn memory_is_shared_by_its_name() {
        let mut file = memory("test").expect("memory");
        std::fs::write(path_of(&file), b"written by name").expect("written");
        assert_eq!(content(&mut file).expect("content"), b"written by name");
    }
}
