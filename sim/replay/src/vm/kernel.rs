//! Which kernel the virtual machine boots: an image and the modules that belong to it.
//!
//! In this order: what the user names; the cache that `longhaul doctor --fetch-kernel` fills, which is
//! `$XDG_CACHE_HOME/longhaul/kernel` or `~/.cache/longhaul/kernel` (besides `PATH`, the only place where the
//! environment is looked at); a kernel that is installed here.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use super::modules::{ModuleError, Modules};
use crate::tools::{Tools, output_of};

/// The package whose dependency is the kernel: small, and with netem.
const META_PACKAGE: &str = "linux-image-cloud-amd64";
/// Without it there is nothing to replay with.
const NETEM: &str = "sch_netem";

/// A kernel that can be booted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// The image (`vmlinuz`).
    pub image: PathBuf,
    /// As `uname -r` will say.
    pub release: String,
    /// `lib/modules/RELEASE`.
    pub modules: PathBuf,
}

/// Why there is no kernel.
#[derive(Debug, Error)]
pub enum KernelError {
    /// Nowhere.
    #[error(
        "no kernel for the virtual machine: run `longhaul doctor --fetch-kernel`, or name one with --kernel"
    )]
    Nowhere,
    /// A file or directory.
    #[error("cannot read the kernel {path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Something else.
    #[error("{0} is no x86 kernel image (vmlinuz), no directory with boot/vmlinuz-* in it, and no .deb")]
    NotAKernel(PathBuf),
    /// An image alone.
    #[error(
        "the kernel {image} has no modules: there is no lib/modules/{release} beside its directory or in /"
    )]
    NoModules {
        /// The image.
        image: PathBuf,
        /// What it calls itself.
        release: String,
    },
    /// The modules.
    #[error(transparent)]
    Modules(#[from] ModuleError),
    /// There is nowhere to keep it.
    #[error("no directory for kernels: neither XDG_CACHE_HOME nor HOME is an absolute path")]
    NoCache,
    /// A step of fetching or unpacking.
    #[error("cannot fetch a kernel: {0}")]
    Fetch(String),
}

/// Where kernels are looked for.
#[derive(Clone, Debug)]
pub struct Places {
    /// Kernels that were fetched, one directory each.
    pub cache: Option<PathBuf>,
    /// Where the system's own `boot` and `lib/modules` are.
    pub system: PathBuf,
}

impl Places {
    /// Of this machine and user.
    #[expect(
        clippy::disallowed_methods,
        reason = "where the user keeps caches; a result names the kernel that it was made with"
    )]
    pub fn of_system() -> Places {
        let absolute = |path: PathBuf| path.is_absolute().then_some(path);
        let named = std::env::var_os("XDG_CACHE_HOME").and_then(|path| absolute(path.into()));
        let home = || std::env::var_os("HOME").and_then(|path| absolute(path.into()));
        Places {
            cache: named
                .or_else(|| Some(home()?.join(".cache")))
                .map(|cache| cache.join("longhaul/kernel")),
            system: PathBuf::from("/"),
        }
    }

    /// The kernel to boot, which has netem.
    ///
    /// # Errors
    /// If there is none; or what the user named is none.
    pub fn find(&self, named: Option<&Path>, tools: &Tools) -> Result<Kernel, KernelError> {
        let kernel = match named {
            Some(path) => self.named(path, tools)?,
            None => self.newest_of_all()?,
        };
        let modules = Modules::open(&kernel.modules, &kernel.release)?;
        if modules.has(NETEM) {
            Ok(kernel)
        } else {
            let (release, name) = (kernel.release, NETEM.to_owned());
            Err(ModuleError::Missing { release, name }.into())
        }
    }

    fn named(&self, path: &Path, tools: &Tools) -> Result<Kernel, KernelError> {
        let kind = fs::metadata(path).map_err(unreadable(path))?;
        if kind.is_dir() {
            let newest = newest(images(path))?;
            return newest.ok_or_else(|| KernelError::NotAKernel(path.to_owned()));
        }
        if path.extension().is_some_and(|extension| extension == "deb") {
            let unpacked = self.unpacked(path, tools)?;
            let newest = newest(images(&unpacked))?;
            return newest.ok_or_else(|| KernelError::NotAKernel(path.to_owned()));
        }
        self.of_image(path)
    }

    fn newest_of_all(&self) -> Result<Kernel, KernelError> {
        let fetched = self.cache.as_deref().map(directories).unwrap_or_default();
        let fetched = fetched.iter().flat_map(|directory| images(directory));
        if let Some(kernel) = newest(fetched.collect())? {
            return Ok(kernel);
        }
        // Of the installed ones, the newest that this user may read and that has its modules and netem.
        let mut installed: Vec<Kernel> = images(&self.system)
            .iter()
            .filter_map(|image| self.of_image(image).ok())
            .filter(|kernel| Modules::open(&kernel.modules, &kernel.release).is_ok_and(|all| all.has(NETEM)))
            .collect();
        installed.sort_by(|a, b| by_version(&a.release, &b.release));
        installed.pop().ok_or(KernelError::Nowhere)
    }

    /// The image and its modules: those of the tree that it lies in (`TREE/boot/vmlinuz`), or the installed ones.
    fn of_image(&self, image: &Path) -> Result<Kernel, KernelError> {
        let release = release_of(image)?;
        let image = fs::canonicalize(image).map_err(unreadable(image))?;
        let own_tree = image.parent().and_then(Path::parent).map(Path::to_owned);
        let trees = own_tree.into_iter().chain([self.system.clone()]);
        match trees.into_iter().find_map(|tree| modules_in(&tree, &release)) {
            Some(modules) => Ok(Kernel {
                image,
                release,
                modules,
            }),
            None => Err(KernelError::NoModules { image, release }),
        }
    }

    /// Where this package is unpacked; it is, unless that was done before.
    fn unpacked(&self, package: &Path, tools: &Tools) -> Result<PathBuf, KernelError> {
        let content = fs::read(package).map_err(unreadable(package))?;
        let stem = package
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = format!("{stem}-{:08x}", crc32c::crc32c(&content));
        let cache = self.cache.as_ref().ok_or(KernelError::NoCache)?;
        let place = cache.join(&name);
        if !place.is_dir() {
            fill(cache, &name, |new| unpack(package, new, tools))?;
        }
        Ok(place)
    }

    /// Fetches Debian's kernel for virtual machines with `apt-get` and unpacks it into the cache; it is not installed,
    /// and no privilege is needed. One that is there already is kept.
    ///
    /// # Errors
    /// If the package manager or the file system refuses.
    pub fn fetch(&self, tools: &Tools) -> Result<Kernel, KernelError> {
        let cache = self.cache.as_ref().ok_or(KernelError::NoCache)?;
        let tool = |name: &str| {
            let missing =
                || KernelError::Fetch(format!("there is no {name}; name a kernel with --kernel instead"));
            tools.find(name).ok_or_else(missing)
        };
        let depends = output_of(Command::new(tool("apt-cache")?).args(["depends", META_PACKAGE]))
            .map_err(|_| KernelError::Fetch(lists_missing()))?;
        let package = depends
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .find(|name| name.starts_with("linux-image-"))
            .ok_or_else(|| KernelError::Fetch(lists_missing()))?;
        let apt_get = tool("apt-get")?;
        if !cache.join(package).is_dir() {
            fill(cache, package, |new| {
                let mut download = Command::new(apt_get);
                download.args(["-q", "download", package]).current_dir(new);
                output_of(&mut download)
                    .map_err(|why| KernelError::Fetch(format!("{why}; {}", lists_missing())))?;
                let downloaded = entries(new);
                let deb = downloaded
                    .iter()
                    .find(|path| path.extension().is_some_and(|end| end == "deb"));
                let deb = deb
                    .ok_or_else(|| KernelError::Fetch(format!("apt-get download {package} gave no file")))?;
                unpack(deb, new, tools)?;
                fs::remove_file(deb).map_err(unreadable(deb))
            })?;
        }
        self.find(Some(&cache.join(package)), tools)
    }
}

fn lists_missing() -> String {
    format!("apt may not know {META_PACKAGE} yet: run `apt-get update` as root, then this again")
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> KernelError {
    let path = path.to_owned();
    |error| KernelError::Unreadable { path, error }
}

/// Makes `cache/name` whole or not at all. What a killed process left half made is replaced by the next.
fn fill(
    cache: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let place = cache.join(name);
    let new = cache.join(format!(".new-{name}"));
    let failed = |error: io::Error| KernelError::Fetch(format!("{}: {error}", new.display()));
    if new.exists() {
        fs::remove_dir_all(&new).map_err(failed)?;
    }
    fs::create_dir_all(&new).map_err(failed)?;
    let made = make(&new).and_then(|()| fs::rename(&new, &place).map_err(failed));
    if made.is_err() {
        let _ = fs::remove_dir_all(&new);
    }
    made
}

fn unpack(package: &Path, into: &Path, tools: &Tools) -> Result<(), KernelError> {
    let tool = tools
        .find("dpkg-deb")
        .ok_or_else(|| KernelError::Fetch("there is no dpkg-deb to unpack the package with".to_owned()))?;
    output_of(Command::new(tool).arg("-x").arg(package).arg(into))
        .map(drop)
        .map_err(KernelError::Fetch)
}

/// What is in a directory, in order; nothing if it cannot be read.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn directories(cache: &Path) -> Vec<PathBuf> {
    let hidden = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'))
    };
    entries(cache)
        .into_iter()
        .filter(|path| path.is_dir() && !hidden(path))
        .collect()
}

/// The images of a tree.
fn images(tree: &Path) -> Vec<PathBuf> {
    let is_image = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
    };
    entries(&tree.join("boot")).into_iter().filter(is_image).collect()
}

/// The newest of these images, each with the modules of its own tree.
fn newest(images: Vec<PathBuf>) -> Result<Option<Kernel>, KernelError> {
    let mut kernels = Vec::new();
    for image in images {
        let release = release_of(&image)?;
        let tree = image
            .parent()
            .and_then(Path::parent)
            .expect("images lie in TREE/boot")
            .to_owned();
        match modules_in(&tree, &release) {
            Some(modules) => kernels.push(Kernel {
                image,
                release,
                modules,
            }),
            None => return Err(KernelError::NoModules { image, release }),
        }
    }
    kernels.sort_by(|a, b| by_version(&a.release, &b.release));
    Ok(kernels.pop())
}

/// Packages of Debian 13 and later have their modules in `usr/lib`.
fn modules_in(tree: &Path, release: &str) -> Option<PathBuf> {
    let places = ["lib/modules", "usr/lib/modules"].map(|place| tree.join(place).join(release));
    places.into_iter().find(|place| place.join("kernel").is_dir())
}

/// What the image calls itself (Documentation/arch/x86/boot.rst: `kernel_version`).
fn release_of(image: &Path) -> Result<String, KernelError> {
    let mut head = Vec::new();
    let file = File::open(image).map_err(unreadable(image))?;
    file.take(1 << 16)
        .read_to_end(&mut head)
        .map_err(unreadable(image))?;
    release_in(&head).ok_or_else(|| KernelError::NotAKernel(image.to_owned()))
}

fn release_in(head: &[u8]) -> Option<String> {
    if head.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let pointer = u16::from_le_bytes(head.get(0x20e..0x210)?.try_into().ok()?);
    let text = head.get(usize::from(pointer) + 0x200..)?;
    let release = text.split(|&byte| byte == b' ' || byte == 0).next()?;
    let release = std::str::from_utf8(release).ok()?;
    // It becomes part of a path.
    (!release.is_empty() && !release.contains('/') && !release.starts_with('.')).then(|| release.to_owned())
}

/// Runs of digits compare as numbers: 6.1.0-9 is older than 6.1.0-48.
fn by_version(a: &str, b: &str) -> Ordering {
    parts(a).cmp(&parts(b)).then_with(|| a.cmp(b))
}

fn parts(release: &str) -> Vec<(u64, &str)> {
    let pieces = release.split(['.', '-', '+', '~']);
    pieces
        .map(|piece| piece.parse().map_or((0, piece), |number| (number, "")))
        .collect()
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
