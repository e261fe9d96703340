//! The modules of a kernel: where they are, what they need, and their content unpacked.
//!
//! A kernel package that was only unpacked has no `modules.dep`, which `depmod` writes at installation. What a module
//! depends on is read from the module itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::elf;

/// Why a module cannot be had.
#[derive(Debug, Error)]
pub enum ModuleError {
    /// A file or directory.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The kernel does not have it.
    #[error(
        "the kernel {release} has no module {name}; Debian's linux-image-cloud-amd64 has it: run `longhaul doctor --fetch-kernel`"
    )]
    Missing {
        /// Of the kernel.
        release: String,
        /// Of the module.
        name: String,
    },
    /// Not a module, or packed in an unknown way.
    #[error("{0} is no kernel module in a form that is known here (.ko, .ko.xz, .ko.zst)")]
    Malformed(PathBuf),
}

/// A module, ready to be loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// With underscores.
    pub name: String,
    /// Not compressed.
    pub bytes: Vec<u8>,
}

/// All modules of a kernel.
#[derive(Debug)]
pub struct Modules {
    release: String,
    files: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
}

impl Modules {
    /// Those below `lib/modules/RELEASE`.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn open(directory: &Path, release: &str) -> Result<Modules, ModuleError> {
        let mut files = BTreeMap::new();
        collect(&directory.join("kernel"), &mut files)?;
        let list = directory.join("modules.builtin");
        let built_in = fs::read_to_string(&list).map_err(unreadable(&list))?;
        Ok(Modules {
            release: release.to_owned(),
            files,
            built_in: built_in
                .lines()
                .filter_map(|line| name_of(Path::new(line)))
                .collect(),
        })
    }

    /// Whether the kernel can do what the module is for.
    pub fn has(&self, name: &str) -> bool {
        self.built_in.contains(name) || self.files.contains_key(name)
    }

    /// These modules and what they depend on, in an order in which they can be loaded. What is built into the kernel
    /// is left out.
    ///
    /// # Errors
    /// If one is missing or cannot be read.
    pub fn with_dependencies(&self, names: &[&str]) -> Result<Vec<Module>, ModuleError> {
        let mut loaded = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names {
            self.add(name, &mut seen, &mut loaded)?;
        }
        Ok(loaded)
    }

    fn add(
        &self,
        name: &str,
        seen: &mut BTreeSet<String>,
        loaded: &mut Vec<Module>,
    ) -> Result<(), ModuleError> {
        if self.built_in.contains(name) || !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let path = self.files.get(name).ok_or_else(|| ModuleError::Missing {
            release: self.release.clone(),
            name: name.to_owned(),
        })?;
        let bytes = unpacked(path)?;
        let depends = elf::depends(&bytes).ok_or_else(|| ModuleError::Malformed(path.clone()))?;
        for dependency in depends {
            self.add(&dependency, seen, loaded)?;
        }
        let name = name.to_owned();
        loaded.push(Module { name, bytes });
        Ok(())
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ModuleError {
    let path = path.to_owned();
    |error| ModuleError::Unreadable { path, error }
}

/// All modules below a directory. The map sorts; names are unique in a kernel.
fn collect(directory: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), ModuleError> {
    for entry in fs::read_dir(directory).map_err(unreadable(directory))? {
        let entry = entry.map_err(unreadable(directory))?;
        let path = entry.path();
        // Links inside the tree of modules lead to headers and sources; following them could lead in circles.
        let kind = entry.file_type().map_err(unreadable(&path))?;
        if kind.is_dir() {
            collect(&path, files)?;
        } else if let Some(name) = name_of(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// `sch-netem.ko.xz` is the module `sch_netem`.
fn name_of(path: &Path) -> Option<String> {
    let (name, _) = path.file_name()?.to_str()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

fn unpacked(path: &Path) -> Result<Vec<u8>, ModuleError> {
    let bytes = fs::read(path).map_err(unreadable(path))?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => Ok(bytes),
        Some("zst") => zstd::decode_all(bytes.as_slice()).map_err(unreadable(path)),
        Some("xz") => {
            let mut module = Vec::new();
            lzma_rs::xz_decompress(&mut bytes.as_slice(), &mut module)
                .map_err(|error| unreadable(path)(io::Error::other(error.to_string())))?;
            Ok(module)
        }
        _ => Err(ModuleError::Malformed(path.to_owned())),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The least ELF file that says what it depends on.
    pub fn fake_module(depends: &str) -> Vec<u8> {
        use object::write::Object;
        use object::{Architecture, BinaryFormat, Endianness, SectionKind};
        let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let section = file.add_section(vec![], b".modinfo".to_vec(), SectionKind::ReadOnlyData);
        let information = format!("license=GPL\0depends={depends}\0name=x\0");
        file.append_section_data(section, information.as_bytes(), 1);
        file.write().expect("an ELF file")
    }

    /// A tree of modules: plain, compressed, built in.
    pub fn fake_tree(directory: &Path) {
        let folder = directory.join("kernel/net/sched");
        fs::create_dir_all(&folder).expect("a folder");
        let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a file");
        write("sch-top.ko", &fake_module("middle,built_in"));
        write(
            "middle.ko.zst",
            &zstd::encode_all(fake_module("base").as_slice(), 1).expect("compressed"),
        );
        let mut packed = Vec::new();
        lzma_rs::xz_compress(&mut fake_module("").as_slice(), &mut packed).expect("compressed");
        write("base.ko.xz", &packed);
        write("broken.ko", b"no module");
        write("odd.ko.lz4", b"?");
        fs::write(directory.join("modules.builtin"), "kernel/net/built-in.ko\n").expect("a list");
    }

    #[test]
    fn dependencies_come_first_and_once_whatever_packs_them() {
        let folder = tempfile::tempdir().expect("a folder");
        fake_tree(folder.path());
        let modules = Modules::open(folder.path(), "1.2").expect("modules");
        let loaded = modules
            .with_dependencies(&["base", "sch_top", "built_in", "middle"])
            .expect("modules");
        let names: Vec<&str> = loaded.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["base", "middle", "sch_top"]);
        assert_eq!(loaded[1].bytes, fake_module("base"));
        assert!(modules.has("built_in") && modules.has("sch_top") && !modules.has("sch_netem"));
    }

    #[test]
    fn what_is_missing_or_no_module_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fake_tree(folder.path());
        let modules = Modules::open(folder.path(), "1.2").expect("modules");
        let why = |name: &str| {
            modules
                .with_dependencies(&[name])
                .expect_err("an error")
                .to_string()
        };
        assert!(
            why("sch_netem").contains("the kernel 1.2 has no module sch_netem"),
            "{}",
            why("sch_netem")
        );
        assert!(why("broken").contains("broken.ko is no kernel module"));
        assert!(why("odd").contains("odd.ko.lz4 is no kernel module"));
        assert!(Modules::open(&folder.path().join("nowhere"), "1.2").is_err());
    }
}
