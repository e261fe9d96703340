//! The direction of dependencies and the licences of everything that is linked, over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Who may depend on whom inside the workspace (normal dependencies). What is not listed is forbidden:
/// models cannot see the engine, the engine cannot see a protocol, reports see only records.
const ALLOWED: &[(&str, &[&str])] = &[
    ("longhaul-core", &[]),
    ("longhaul-engine", &["longhaul-core"]),
    ("longhaul-replay", &["longhaul-core"]),
    ("longhaul-statistics", &["longhaul-core"]),
    ("longhaul-tcp", &["longhaul-core"]),
    (
        "longhaul-net",
        &["longhaul-core", "longhaul-routing", "longhaul-tcp"],
    ),
    (
        "longhaul-flow",
        &["longhaul-core", "longhaul-net", "longhaul-tcp"],
    ),
    ("longhaul-hde", &["longhaul-core"]),
    ("longhaul-memory", &["longhaul-core"]),
    ("longhaul-amst", &["longhaul-core"]),
    ("longhaul-bulk", &["longhaul-core"]),
    ("longhaul-chaos", &["longhaul-core"]),
    ("longhaul-raft", &["longhaul-core"]),
    (
        "longhaul-federation",
        &["longhaul-core", "longhaul-amst", "longhaul-hde", "longhaul-raft"],
    ),
    (
        "longhaul-frames",
        &["longhaul-core", "longhaul-hde", "longhaul-memory"],
    ),
    (
        "longhaul-replication",
        &[
            "longhaul-core",
            "longhaul-amst",
            "longhaul-frames",
            "longhaul-hde",
            "longhaul-memory",
        ],
    ),
    ("longhaul-resilience", &["longhaul-core"]),
    ("longhaul-service", &["longhaul-core", "longhaul-resilience"]),
    ("longhaul-routing", &["longhaul-core"]),
    ("longhaul-sdwan", &["longhaul-core"]),
    ("longhaul-stream", &["longhaul-core"]),
    ("longhaul-te", &["longhaul-core", "longhaul-routing"]),
    ("longhaul-reservation", &["longhaul-core", "longhaul-routing"]),
    ("longhaul-tunnel", &["longhaul-core"]),
    (
        "longhaul-import",
        &["longhaul-core", "longhaul-net", "longhaul-routing"],
    ),
    (
        "longhaul-migration",
        &[
            "longhaul-core",
            "longhaul-amst",
            "longhaul-frames",
            "longhaul-hde",
            "longhaul-memory",
        ],
    ),
    ("longhaul-plots", &["longhaul-core", "longhaul-statistics"]),
    (
        "longhaul-reports",
        &["longhaul-core", "longhaul-plots", "longhaul-statistics"],
    ),
    (
        "longhaul-scenarios",
        &[
            "longhaul-core",
            "longhaul-engine",
            "longhaul-amst",
            "longhaul-bulk",
            "longhaul-chaos",
            "longhaul-federation",
            "longhaul-flow",
            "longhaul-frames",
            "longhaul-hde",
            "longhaul-import",
            "longhaul-memory",
            "longhaul-migration",
            "longhaul-net",
            "longhaul-raft",
            "longhaul-replay",
            "longhaul-replication",
            "longhaul-reservation",
            "longhaul-te",
            "longhaul-resilience",
            "longhaul-routing",
            "longhaul-sdwan",
            "longhaul-service",
            "longhaul-statistics",
            "longhaul-stream",
            "longhaul-tcp",
            "longhaul-tunnel",
        ],
    ),
    (
        "longhaul-fuzz",
        &[
            "longhaul-core",
            "longhaul-amst",
            "longhaul-federation",
            "longhaul-hde",
            "longhaul-memory",
            "longhaul-migration",
            "longhaul-raft",
            "longhaul-replication",
            "longhaul-resilience",
            "longhaul-service",
            "longhaul-tunnel",
            "longhaul-sdwan",
        ],
    ),
    (
        "longhaul-sweeps",
        &[
            "longhaul-core",
            "longhaul-plots",
            "longhaul-reports",
            "longhaul-scenarios",
            "longhaul-statistics",
        ],
    ),
    (
        "longhaul-validation",
        &["longhaul-core", "longhaul-scenarios", "longhaul-statistics"],
    ),
    (
        "longhaul",
        &[
            "longhaul-core",
            "longhaul-import",
            "longhaul-replay",
            "longhaul-scenarios",
            "longhaul-sweeps",
            "longhaul-reports",
            "longhaul-validation",
        ],
    ),
];

/// Licences that a dependency may offer; one of those it offers must be here.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "CC0-1.0",
    "0BSD",
    "Unicode-3.0",
    "Unlicense",
    "BSL-1.0",
    "MIT-0",
    "Apache-2.0 WITH LLVM-exception",
];

/// Only what this platform needs: of the rest nothing may have been downloaded.
fn metadata() -> Metadata {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc");
    let text = String::from_utf8(rustc.stdout).expect("text");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    let platform = host.expect("a host platform").to_owned();
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .other_options([
            "--locked".to_owned(),
            "--offline".to_owned(),
            "--filter-platform".to_owned(),
            platform,
        ])
        .exec()
        .expect("cargo metadata")
}

#[test]
fn dependencies_point_in_the_direction_that_the_design_allows() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let members: BTreeSet<String> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    for package in metadata.workspace_packages() {
        let may = allowed
            .get(package.name.as_str())
            .unwrap_or_else(|| panic!("{} is not listed", package.name));
        for dependency in &package.dependencies {
            let inside = members.contains(&dependency.name);
            if inside && dependency.kind == DependencyKind::Normal {
                assert!(
                    may.contains(&dependency.name.as_str()),
                    "{} must not depend on {}",
                    package.name,
                    dependency.name
                );
            }
        }
    }
}

#[test]
fn every_dependency_offers_a_licence_on_the_list() {
    for package in &metadata().packages {
        let licence = package.license.as_deref().unwrap_or("");
        // SPDX: every AND part must offer one licence on the list.
        let permitted = licence.replace('/', " OR ").split(" AND ").all(|part| {
            part.trim_matches(['(', ')'])
                .split(" OR ")
                .any(|offer| LICENCES.contains(&offer.trim_matches(['(', ')', ' '])))
        });
        assert!(
            permitted,
            "{} {} is under {licence:?}",
            package.name, package.version
        );
    }
}

#[test]
fn pure_crates_do_not_reach_for_files_sockets_or_processes() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["sim/core/src", "sim/engine/src", "sim/statistics/src", "models"] {
        for (path, text) in sources(&root.join(folder)) {
            // Tests and benches of these crates may read data; what ships may not.
            if path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs") {
                continue;
            }
            let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
            for banned in [
                "std::fs",
                "std::net",
                "std::process",
                "std::thread",
                "std::env",
                "std::os",
            ] {
                assert!(!shipped.contains(banned), "{} uses {banned}", path.display());
            }
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for_and_stays_readable() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [
        "sim",
        "models",
        "scenarios",
        "sweeps",
        "validation",
        "plots",
        "reports",
        "tests",
        "benches",
        "fuzz",
    ] {
        for (path, text) in sources(&root.join(folder)) {
            assert!(text.starts_with("//!"), "{} has no header", path.display());
            let lines = text.lines().count();
            assert!(
                lines <= 700,
                "{} has {lines} lines: split it by subject",
                path.display()
            );
        }
    }
}

/// All Rust sources below a folder, in the order of their paths.
fn sources(folder: &std::path::Path) -> BTreeMap<std::path::PathBuf, String> {
    let mut found = BTreeMap::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "the map sorts what the directory gives in any order"
    )]
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a readable source file");
            found.insert(path, text);
        }
    }
    found
}
