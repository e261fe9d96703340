//! Recorded guest memory for tests and benches: `vm-memory` in the data folder, 256 MiB per image.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use longhaul_hde::PAGE_SIZE;
use zstd::stream::read::Decoder;

/// Bytes of one image.
const IMAGE_BYTES: usize = 256 << 20;

/// The pages of one image.
pub type Image = Vec<[u8; PAGE_SIZE]>;

/// The first `count` images of the series. If the data folder (`LONGHAUL_DATA`, by default `../shared/data` beside
/// the workspace) has none, says so and returns `None`.
pub fn images(count: usize) -> Option<Vec<Image>> {
    let folder = data_folder().join("vm-memory");
    let first = folder.join("mem.0.zst");
    if !first.exists() {
        println!(
            "skipped: no recorded memory at {} (set LONGHAUL_DATA)",
            first.display()
        );
        return None;
    }
    let mut images = vec![unpack(&first, &[])];
    for k in 1..count {
        let patch = folder.join(format!("mem.{k}.patch.zst"));
        images.push(unpack(&patch, images[k - 1].as_flattened()));
    }
    Some(images)
}

#[expect(
    clippy::disallowed_methods,
    reason = "where test data lies is up to the machine"
)]
fn data_folder() -> PathBuf {
    match std::env::var_os("LONGHAUL_DATA") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    }
}

/// Unpacks one image; every image but the first is packed with the one before it as its prefix.
fn unpack(path: &Path, prefix: &[u8]) -> Image {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = Decoder::with_ref_prefix(BufReader::new(file), prefix).expect("a zstd context");
    decoder.window_log_max(28).expect("a window of one image");
    let mut image = vec![[0; PAGE_SIZE]; IMAGE_BYTES / PAGE_SIZE];
    decoder
        .read_exact(image.as_flattened_mut())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    image
}
