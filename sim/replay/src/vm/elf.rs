//! What the guest needs to know of ELF files: which modules a kernel module depends on, and what of a program the
//! kernel loads at all.

use object::elf::{FileHeader64, PT_LOAD, SHF_ALLOC};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSection};

/// Names of the modules that must be loaded before this one (`depends` in `.modinfo`); `None` if it is no module.
pub fn depends(module: &[u8]) -> Option<Vec<String>> {
    let file = object::File::parse(module).ok()?;
    let information = file.section_by_name(".modinfo")?.data().ok()?;
    let entries = information.split(|&byte| byte == 0);
    let names = entries
        .filter_map(|entry| entry.strip_prefix(b"depends="))
        .flat_map(|list| list.split(|&byte| byte == b','))
        .filter(|name| !name.is_empty());
    Some(
        names
            .map(|name| String::from_utf8_lossy(name).replace('-', "_"))
            .collect(),
    )
}

/// The program without what is never loaded, such as symbols and debugging information, which are most of a debug
/// build: the segments are kept as they are, and the table of sections goes. Anything else comes back unchanged.
pub fn loaded_part(mut program: Vec<u8>) -> Vec<u8> {
    let Some(end) = end_of_segments(&program) else {
        return program;
    };
    program.truncate(end);
    // e_shoff, and e_shentsize, e_shnum, e_shstrndx: there is no table of sections.
    program[0x28..0x30].fill(0);
    program[0x3a..0x40].fill(0);
    program
}

/// Where the last byte of the file that is loaded ends.
fn end_of_segments(program: &[u8]) -> Option<usize> {
    let header = FileHeader64::<Endianness>::parse(program).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, program).ok()?;
    let loaded = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD);
    let end = loaded
        .map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)))
        .max()?;
    let end = usize::try_from(end).ok()?;
    // Not a file that lies about itself, and not one with loaded sections outside of segments.
    let sections = header.sections(endian, program).ok()?;
    let inside = sections.iter().all(|section| {
        let loaded = section.sh_flags(endian) & u64::from(SHF_ALLOC) != 0;
        !loaded
            || section
                .file_range(endian)
                .is_none_or(|(start, size)| start + size <= end as u64)
    });
    (end <= program.len() && end > 0x40 && inside).then_some(end)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_runs_without_what_is_not_loaded() {
        let this = std::fs::read("/proc/self/exe").expect("this test");
        let before = this.len();
        let part = loaded_part(this);
        assert!(part.len() < before * 9 / 10, "{} of {before}", part.len());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("part");
        std::fs::write(&path, part).expect("a written program");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("an executable");
        let output = Command::new(&path).arg("--list").output().expect("a process");
        let list = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && list.contains("a_program_runs_without"),
            "{list}"
        );
    }

    #[test]
    fn what_is_no_program_is_left_alone() {
        for text in [
            &b""[..],
            b"#!/bin/sh\nexit 0\n",
            b"\x7fELF\x02\x01\x01 and nothing more",
        ] {
            assert_eq!(loaded_part(text.to_vec()), text);
            assert_eq!(depends(text), None);
        }
    }
}
