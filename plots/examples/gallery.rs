//! Writes one plot of every kind into a directory, as SVG and PNG:
//! `cargo run -p longhaul-plots --example gallery -- DIRECTORY`.

#[path = "../tests/fixture.rs"]
mod fixture;

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = PathBuf::from(std::env::args_os().nth(1).ok_or("name a directory")?);
    std::fs::create_dir_all(&directory)?;
    for (name, drawing) in fixture::all() {
        std::fs::write(directory.join(format!("{name}.svg")), drawing.svg())?;
        std::fs::write(directory.join(format!("{name}.png")), drawing.png(2.0)?)?;
    }
    Ok(())
}
