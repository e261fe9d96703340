//! The guest's first and only file system: longhaul as `/init`, the network tools, kernel modules and the job.
//!
//! Equal inputs give equal bytes. The job is an archive of its own that follows the one that all boots share.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use super::cpio::Archive;
use super::elf;
use super::guest::{self, JOB, MODULES_BEFORE, MODULES_FOR_ANSWER, TABLES};
use super::kernel::Kernel;
use super::modules::{ModuleError, Modules};
use crate::tools::{Tools, output_of};

/// Programs that a replay starts in the guest, and the packages they come from.
const PROGRAMS: [(&str, &str); 3] = [("ip", "iproute2"), ("tc", "iproute2"), ("ethtool", "ethtool")];

/// What plans need of the kernel; loaded before the job starts.
const NETWORK: [&str; 10] = [
    "veth",
    "sch_netem",
    "sch_tbf",
    "sch_htb",
    "sch_prio",
    "sch_codel",
    "sch_fq_codel",
    "sch_fq",
    "tcp_bbr",
    "sch_ingress",
];

/// The way of the answer; loaded after the job has ended, so that it disturbs nothing.
const ANSWER: [&str; 2] = ["virtio_pci", "virtio_console"];

/// Where distributions keep the tables of jitter distributions.
const TABLE_PLACES: [&str; 6] = [
    "/usr/lib/tc",
    "/lib/tc",
    "/usr/lib64/tc",
    "/usr/share/tc",
    "/usr/lib/x86_64-linux-gnu/tc",
    "/usr/share/iproute2/tc",
];

/// Why there is no file system.
#[derive(Debug, Error)]
pub enum InitrdError {
    /// A program that is not installed.
    #[error("there is no {name}: run `apt-get install {package}`")]
    NoProgram {
        /// Of the program.
        name: &'static str,
        /// That has it.
        package: &'static str,
    },
    /// iproute2 without its tables.
    #[error(
        "the tables of iproute2 (normal.dist, …) are nowhere: run `apt-get install --reinstall iproute2`"
    )]
    NoTables,
    /// A file.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A library.
    #[error("cannot tell which libraries {program} needs: {why}")]
    Libraries {
        /// Of which program.
        program: PathBuf,
        /// What `ldd` says.
        why: String,
    },
    /// A module.
    #[error(transparent)]
    Modules(#[from] ModuleError),
}

/// What all boots share.
///
/// # Errors
/// If a part is missing on this machine.
pub fn base(program: &Path, kernel: &Kernel, tools: &Tools) -> Result<Archive, InitrdError> {
    let mut archive = Archive::default();
    for directory in guest::MOUNT_POINTS {
        archive.directory(directory);
    }
    executable(&mut archive, "/init", program, tools)?;
    for (name, package) in PROGRAMS {
        let path = tools.find(name).ok_or(InitrdError::NoProgram { name, package })?;
        executable(&mut archive, &format!("/usr/bin/{name}"), &path, tools)?;
    }
    for path in tables()? {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        archive.file(&format!("{TABLES}/{name}"), false, read(&path)?);
    }
    modules(&mut archive, &Modules::open(&kernel.modules, &kernel.release)?)?;
    Ok(archive)
}

/// The job, as an archive that follows [`base`].
pub fn job(bytes: &[u8]) -> Archive {
    let mut archive = Archive::default();
    archive.file(JOB, false, bytes.to_vec());
    archive
}

/// iproute2's tables, in order of their names.
///
/// # Errors
/// If there are none.
pub fn tables() -> Result<Vec<PathBuf>, InitrdError> {
    let is_table = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "dist");
    let of = |place: &str| {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_table).collect();
        paths.sort();
        paths
    };
    let found = TABLE_PLACES.into_iter().map(of).find(|paths| !paths.is_empty());
    found.ok_or(InitrdError::NoTables)
}

/// The modules, numbered in the order in which they are to be loaded.
fn modules(archive: &mut Archive, all: &Modules) -> Result<(), ModuleError> {
    let before = all.with_dependencies(&NETWORK)?;
    let known: BTreeSet<String> = before.iter().map(|module| module.name.clone()).collect();
    let mut after = all.with_dependencies(&ANSWER)?;
    after.retain(|module| !known.contains(&module.name));
    for (directory, modules) in [(MODULES_BEFORE, before), (MODULES_FOR_ANSWER, after)] {
        archive.directory(directory);
        for (number, module) in modules.into_iter().enumerate() {
            archive.file(
                &format!("{directory}/{number:02}-{}.ko", module.name),
                false,
                module.bytes,
            );
        }
    }
    Ok(())
}

/// A program and the libraries that it is linked to.
fn executable(archive: &mut Archive, place: &str, path: &Path, tools: &Tools) -> Result<(), InitrdError> {
    archive.file(place, true, elf::loaded_part(read(path)?));
    for library in libraries(path, tools)? {
        let name = library.to_string_lossy().into_owned();
        archive.file(&name, true, elf::loaded_part(read(&library)?));
    }
    Ok(())
}

fn libraries(program: &Path, tools: &Tools) -> Result<Vec<PathBuf>, InitrdError> {
    let failed = |why: String| InitrdError::Libraries {
        program: program.to_owned(),
        why,
    };
    let ldd = tools
        .find("ldd")
        .ok_or_else(|| failed("there is no ldd".to_owned()))?;
    match output_of(Command::new(ldd).arg(program)) {
        Ok(text) => listed(&text).map_err(failed),
        Err(why) if why.contains("not a dynamic executable") => Ok(Vec::new()),
        Err(why) => Err(failed(why)),
    }
}

/// The paths in what `ldd` prints: `libc.so.6 => /lib/libc.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn listed(text: &str) -> Result<Vec<PathBuf>, String> {
    if let Some(line) = text.lines().find(|line| line.contains("not found")) {
        return Err(line.trim().to_owned());
    }
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(words.map(PathBuf::from).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, InitrdError> {
    fs::read(path).map_err(|error| InitrdError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ldd_prints_is_understood() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x7)\n";
        assert_eq!(
            listed(text),
            Ok(vec!["/lib/x/libc.so.6".into(), "/lib64/ld.so.2".into()])
        );
        assert_eq!(listed("\tstatically linked\n"), Ok(vec![]));
        assert_eq!(
            listed("\tlibelf.so.1 => not found\n"),
            Err("libelf.so.1 => not found".to_owned())
        );
    }

    /// Fake tools with a fake `ldd`, and a kernel with fake modules.
    fn place(folder: &Path) -> (Tools, Kernel) {
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).expect("a folder");
        let script = |name: &str, text: &str| {
            use std::os::unix::fs::PermissionsExt;
            let path = bin.join(name);
            fs::write(&path, text).expect("a script");
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("an executable");
        };
        let library = folder.join("libfake.so");
        fs::write(&library, "library").expect("a library");
        script(
            "ldd",
            &format!("#!/bin/sh\necho \"libfake.so => {} (0x1)\"\n", library.display()),
        );
        for name in ["ip", "tc", "ethtool"] {
            script(name, "#!/bin/sh\n");
        }
        let modules = folder.join("modules");
        fs::create_dir_all(modules.join("kernel")).expect("a folder");
        for name in NETWORK.iter().chain(&ANSWER) {
            let depends = if *name == "virtio_console" {
                "virtio_ring,veth"
            } else {
                ""
            };
            let module = super::super::modules::tests::fake_module(depends);
            fs::write(modules.join(format!("kernel/{name}.ko")), module).expect("a module");
        }
        let ring = super::super::modules::tests::fake_module("");
        fs::write(modules.join("kernel/virtio_ring.ko"), ring).expect("a module");
        fs::write(modules.join("modules.builtin"), "").expect("a list");
        let kernel = Kernel {
            image: folder.join("vmlinuz"),
            release: "1.2".to_owned(),
            modules,
        };
        (Tools::in_directories([bin]), kernel)
    }

    #[test]
    fn it_holds_what_the_guest_needs_and_is_the_same_every_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let (tools, kernel) = place(folder.path());
        if tables().is_err() {
            eprintln!("skipped: iproute2's tables are not installed");
            return;
        }
        let program = folder.path().join("longhaul");
        fs::write(&program, "the program").expect("a program");
        let archive = base(&program, &kernel, &tools).expect("an archive");
        assert_eq!(archive.read("/init"), Some(&b"the program"[..]));
        let library = folder.path().join("libfake.so").to_string_lossy().into_owned();
        assert_eq!(archive.read(&library), Some(&b"library"[..]));
        let paths: Vec<&str> = archive.paths().collect();
        for path in [
            "proc",
            "sys",
            "usr/bin/tc",
            "usr/lib/tc/normal.dist",
            "longhaul-guest/before/00-veth.ko",
            "longhaul-guest/before/01-sch_netem.ko",
            // virtio_console's dependency comes before it; veth is there already.
            "longhaul-guest/answer/01-virtio_ring.ko",
            "longhaul-guest/answer/02-virtio_console.ko",
        ] {
            assert!(paths.contains(&path), "{path} is not in {paths:#?}");
        }
        let again = base(&program, &kernel, &tools).expect("an archive");
        assert_eq!(archive.to_bytes(), again.to_bytes());
        assert_eq!(job(b"x").read(JOB), Some(&b"x"[..]));
    }

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let folder = tempfile::tempdir().expect("a folder");
        let (tools, kernel) = place(folder.path());
        let program = folder.path().join("longhaul");
        fs::write(&program, "").expect("a program");
        fs::remove_file(folder.path().join("bin/ethtool")).expect("removed");
        let why = base(&program, &kernel, &tools).expect_err("an error").to_string();
        assert_eq!(why, "there is no ethtool: run `apt-get install ethtool`");
    }
}
