//! Every target over its seeds, its committed corpus, and mutations of both that are the same every time.

use std::path::Path;

use longhaul_core::random::{Stream, Streams};
use longhaul_fuzz::{TARGETS, Target};

/// The target's inputs, in a fixed order.
fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    #[expect(clippy::disallowed_methods, reason = "sorted below")]
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no corpus", target.name);
    let corpus = paths
        .iter()
        .map(|path| std::fs::read(path).expect("a readable file"));
    corpus.chain((target.seeds)()).collect()
}

/// A few changes of the kinds that libFuzzer makes.
fn mutate(random: &mut Stream, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let len = 1 << random.below(6);
        let end = (at + len).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.u32() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let mut fresh = vec![0; len];
                random.fill(&mut fresh);
                bytes.splice(at..at, fresh);
            }
            5 => bytes[at..end].fill([0, 0xff, 0x80, 0x7f][random.below(4) as usize]),
            6 => {
                let from = random.below(other.len() as u64 + 1) as usize;
                let piece = &other[from..(from + len).min(other.len())];
                bytes.splice(at..end, piece.iter().copied());
            }
            _ => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Runs a target over all of its inputs, and over `mutations` mutations. What was run last is written down when it fails.
fn replay(name: &str, mutations: u64) {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a target");
    let inputs = inputs(target);
    let mut random = Streams::new(1, 0).stream(name, "mutations");
    let mutated = (0..mutations).map(|_| {
        let mut choose = || &inputs[random.below(inputs.len() as u64) as usize];
        let (input, other) = (choose(), choose());
        mutate(&mut random, input, other)
    });
    for input in inputs.iter().cloned().chain(mutated) {
        let outcome = std::panic::catch_unwind(|| (target.run)(&input));
        if outcome.is_err() {
            let path = std::env::temp_dir().join(format!("longhaul-{name}-failed"));
            std::fs::write(&path, &input).expect("a folder for temporary files");
            panic!("{name} fails on {}", path.display());
        }
    }
}

macro_rules! replays {
    ($($name:ident: $mutations:expr, $many:expr;)*) => {
        /// A test per target.
        mod corpus {
            $(#[test]
            fn $name() {
                super::replay(stringify!($name), $mutations);
            })*
        }

        /// `cargo test --release -p longhaul-fuzz -- --ignored`: some minutes.
        mod longer {
            $(#[test]
            #[ignore = "minutes"]
            fn $name() {
                super::replay(stringify!($name), $many);
            })*
        }

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|target| target.name).eq(replayed));
        }
    };
}

replays! {
    page_decode: 1500, 200_000;
    page_round_trip: 300, 20_000;
    object_decode: 3000, 500_000;
    object_round_trip: 600, 100_000;
    baseline_propagation: 600, 100_000;
    transport_receiver: 3000, 500_000;
    transport_sender: 3000, 500_000;
    raft_message: 3000, 500_000;
    raft_member: 1500, 200_000;
    federation_frame: 3000, 500_000;
    federation_cluster: 600, 50_000;
    migration_destination: 600, 100_000;
    replication_message: 3000, 500_000;
    replication_replica: 600, 100_000;
    tunnel_ends: 1500, 200_000;
    path_mtu: 1500, 200_000;
    edge_message: 3000, 500_000;
    edge_machine: 2000, 200_000;
    service_frame: 3000, 500_000;
    service_server: 1500, 200_000;
}
