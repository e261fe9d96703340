//! Live migration of a real guest: images of its memory, recorded while it worked.
//!
//! The images are in `vm-memory` of the data folder (`LONGHAUL_DATA`, by default `../shared/data` beside the
//! repository). Where there are none, the test says so and is skipped.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use longhaul_core::record::Progress;

use crate::common::{data_folder, run};

/// Bytes of one image.
const IMAGE_BYTES: usize = 256 << 20;

/// Unpacks one image; every image but the first is packed with the one before it as its prefix.
fn unpack(path: &Path, prefix: &[u8]) -> Vec<u8> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = zstd::Decoder::with_ref_prefix(BufReader::new(file), prefix).expect("a zstd context");
    decoder.window_log_max(28).expect("a window of one image");
    let mut image = vec![0; IMAGE_BYTES];
    decoder
        .read_exact(&mut image)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    image
}

#[test]
fn a_real_guest_arrives_bit_by_bit_while_its_memory_changes() {
    let packed = data_folder().join("vm-memory");
    if !packed.join("mem.0.zst").exists() {
        println!(
            "skipped: no recorded memory in {} (set LONGHAUL_DATA)",
            packed.display()
        );
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut image = unpack(&packed.join("mem.0.zst"), &[]);
    for number in 0..3 {
        if number > 0 {
            image = unpack(&packed.join(format!("mem.{number}.patch.zst")), &image);
        }
        std::fs::write(folder.path().join(format!("mem.{number}")), &image).expect("an image on disk");
    }
    let scenario = folder.path().join("recorded.ron");
    let text = r#"Scenario(
        version: 1, name: "recorded", question: "q", expect: "e", seed: 1, horizon: "60 s",
        regions: [(name: "here"), (name: "there")],
        links: [(between: ("here", "there"), rtt: "20 ms", rate: "100 Mbit/s", loss: Independent(mean: "0.01 %"))],
        vms: [(name: "redis", region: "here", memory: Images(files: ["mem.0", "mem.1", "mem.2"], interval: "1 s"))],
        migrations: [(name: "move", vm: "redis", to: "there", encoding: Hde(level: 3))],
    )"#;
    std::fs::write(&scenario, text).expect("a scenario on disk");

    let record = run(&scenario, &[]).record;
    let migration = &record.migrations[0];
    assert_eq!(migration.progress, Progress::Completed);
    // The destination has compared every page with the last image, and found them equal.
    assert_eq!(migration.verified_pages, (IMAGE_BYTES / 4096) as u64);
    assert_eq!(record.inputs.len(), 3);
    // Two images' worth of changes came during the copy. Pages that the copy had passed travelled again, most of them
    // as differences to themselves or to other pages; the others are in the dirty bitmap too, as in QEMU, but do not
    // differ any more.
    assert!(migration.ram.dirty_sync_count >= 3);
    assert!(
        migration.encoding.delta_pages > 100 && migration.encoding.similar_pages > 1_000,
        "{:?}",
        migration.encoding
    );
    let ratio = migration.encoding.raw_bytes as f64 / migration.ram.transferred as f64;
    assert!(ratio > 4.5, "a ratio of {ratio}");
    // 52 MB at 100 Mbit/s take 4.2 s; slow start and the rounds at the end are not free.
    let total = migration.total_time_ns.expect("completed") as f64 / 1e9;
    assert!((4.1..6.5).contains(&total), "{total} s");
}
