//! From a name or a path to a text.

use std::fs;
use std::path::Path;

use longhaul_scenarios::source::{self, LARGEST_FILE, ReadError};

fn refusal(path: &Path) -> ReadError {
    source::read_file(path).expect_err("refused")
}

#[test]
fn a_name_of_the_library_comes_before_a_path() {
    let source = source::open("smoke/bulk_reno").unwrap();
    assert_eq!(source.name, "scenarios/smoke/bulk_reno.ron");
    let unknown = source::open("cross_regoin").expect_err("refused").to_string();
    assert!(unknown.ends_with("did you mean `cross_region`?"), "{unknown}");
}

#[test]
fn a_file_knows_its_name_and_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.ron");
    fs::write(&path, "Scenario()").unwrap();
    let source = source::open(path.to_str().unwrap()).unwrap();
    assert_eq!(
        (source.text.as_str(), source.base_dir.as_path()),
        ("Scenario()", folder.path())
    );
    assert_eq!(source.name, path.to_str().unwrap());
}

#[test]
fn what_is_no_text_file_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    assert!(matches!(refusal(folder.path()), ReadError::Directory { .. }));
    assert!(matches!(refusal(&file("empty", b"")), ReadError::Empty { .. }));
    assert!(matches!(
        refusal(&file("binary", b"abc\0def")),
        ReadError::Binary { offset: 3, .. }
    ));
    assert!(matches!(
        refusal(&file("latin1", b"caf\xe9")),
        ReadError::NotUtf8 { offset: 3, .. }
    ));
    let large = file("large", b"");
    fs::File::options()
        .write(true)
        .open(&large)
        .unwrap()
        .set_len(LARGEST_FILE + 1)
        .unwrap();
    assert!(matches!(refusal(&large), ReadError::TooLarge { .. }));
    assert!(matches!(
        refusal(&folder.path().join("absent")),
        ReadError::Io { .. }
    ));
    // A device tells no length and never ends.
    assert!(matches!(
        refusal(Path::new("/dev/zero")),
        ReadError::TooLarge { .. }
    ));
}
