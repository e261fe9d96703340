//! Writes the seeds of every target into a folder each, from where libFuzzer starts: `seeds FOLDER`.

use std::path::Path;

use longhaul_fuzz::TARGETS;

fn main() {
    let folder = std::env::args().nth(1).expect("usage: seeds FOLDER");
    for target in TARGETS {
        let folder = Path::new(&folder).join(target.name);
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for (number, seed) in (target.seeds)().iter().enumerate() {
            let path = folder.join(format!("seed-{number:02}"));
            std::fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}
