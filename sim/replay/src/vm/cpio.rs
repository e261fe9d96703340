//! The archive that the Linux kernel unpacks as its first file system: cpio in the `newc` form
//! (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Names are sorted and times are 0, so equal content is equal bytes. Archives may follow each other.

use std::collections::BTreeMap;

/// Archives and the parts inside them begin at multiples of this.
const ALIGNMENT: usize = 4;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Entry {
    Directory,
    File { executable: bool, bytes: Vec<u8> },
}

/// Files by their paths. Directories above a file need not be named.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Adds an empty directory.
    pub fn directory(&mut self, path: &str) {
        self.entries.insert(inside(path), Entry::Directory);
        self.parents(path);
    }

    /// Adds a file; a later one of the same name replaces it.
    pub fn file(&mut self, path: &str, executable: bool, bytes: Vec<u8>) {
        self.entries
            .insert(inside(path), Entry::File { executable, bytes });
        self.parents(path);
    }

    fn parents(&mut self, path: &str) {
        let path = inside(path);
        for (end, _) in path.match_indices('/') {
            let above = self
                .entries
                .entry(path[..end].to_owned())
                .or_insert(Entry::Directory);
            assert!(
                matches!(above, Entry::Directory),
                "{} is a file and has {path} below it",
                &path[..end]
            );
        }
    }

    /// Paths of everything in it, in order.
    #[cfg(test)]
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The content of a file.
    #[cfg(test)]
    pub fn read(&self, path: &str) -> Option<&[u8]> {
        match self.entries.get(&inside(path))? {
            Entry::File { bytes, .. } => Some(bytes),
            Entry::Directory => None,
        }
    }

    /// The bytes of the archive.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            match entry {
                // Parents sort before their children, as the kernel needs it.
                Entry::Directory => append(&mut bytes, number, 0o040_755, 2, path, &[]),
                Entry::File {
                    executable,
                    bytes: content,
                } => {
                    let mode = if *executable { 0o100_755 } else { 0o100_644 };
                    append(&mut bytes, number, mode, 1, path, content);
                }
            }
        }
        append(&mut bytes, 0, 0, 1, "TRAILER!!!", &[]);
        bytes
    }
}

/// Paths in an archive are relative.
fn inside(path: &str) -> String {
    path.trim_matches('/').to_owned()
}

fn append(archive: &mut Vec<u8>, inode: u32, mode: u32, links: u32, path: &str, content: &[u8]) {
    let size = u32::try_from(content.len()).expect("a file of less than 4 GiB");
    let name_size = u32::try_from(path.len()).expect("a short name") + 1;
    // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
    archive.extend_from_slice(b"070701");
    for field in fields {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(path.as_bytes());
    archive.push(0);
    pad(archive);
    archive.extend_from_slice(content);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(ALIGNMENT), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_the_bytes_that_the_form_prescribes() {
        let mut archive = Archive::default();
        archive.file("/etc/hello", true, b"hi\n".to_vec());
        let zero = "00000000";
        let head = |ino: u32, mode: u32, links: u32, size: usize, name: usize| {
            format!(
                "070701{ino:08x}{mode:08x}{zero}{zero}{links:08x}{zero}{size:08x}{zero}{zero}{zero}{zero}{name:08x}{zero}"
            )
        };
        let expected = [
            head(1, 0o040_755, 2, 0, 4).as_str(),
            "etc\0\0\0",
            head(2, 0o100_755, 1, 3, 10).as_str(),
            "etc/hello\0hi\n\0",
            head(0, 0, 1, 0, 11).as_str(),
            "TRAILER!!!\0\0\0\0",
        ]
        .concat();
        let bytes = archive.to_bytes();
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
        assert_eq!(bytes.len() % ALIGNMENT, 0);
    }

    #[test]
    fn the_order_of_addition_changes_nothing() {
        let mut one = Archive::default();
        one.directory("proc");
        one.file("b/x", false, vec![1]);
        one.file("a", false, vec![2]);
        let mut other = Archive::default();
        other.file("a", false, vec![2]);
        other.file("b/x", false, vec![1]);
        other.directory("/proc/");
        assert_eq!(one.to_bytes(), other.to_bytes());
        assert_eq!(one.paths().collect::<Vec<_>>(), ["a", "b", "b/x", "proc"]);
    }

    #[test]
    #[should_panic(expected = "is a file")]
    fn a_file_has_nothing_below_it() {
        let mut archive = Archive::default();
        archive.file("a", false, vec![]);
        archive.file("a/b", false, vec![]);
    }
}
