//! Tests of the search for a kernel, with fake ones.

use super::*;

/// The head of an image.
fn image(release: &str) -> Vec<u8> {
    let mut head = vec![0; 0x400];
    head[0x202..0x206].copy_from_slice(b"HdrS");
    head[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    head.truncate(0x300);
    head.extend_from_slice(format!("{release} (someone@somewhere) #1\0").as_bytes());
    head
}

/// A tree with a kernel; `lib` is where its modules lie.
fn tree(root: &Path, release: &str, lib: &str, modules: &[&str]) {
    let place = root.join(lib).join("modules").join(release);
    fs::create_dir_all(place.join("kernel")).expect("a folder");
    fs::create_dir_all(root.join("boot")).expect("a folder");
    fs::write(root.join(format!("boot/vmlinuz-{release}")), image(release)).expect("an image");
    fs::write(place.join("modules.builtin"), "").expect("a list");
    for name in modules {
        fs::write(place.join(format!("kernel/{name}.ko")), "").expect("a module");
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    places: Places,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let places = Places {
            cache: Some(folder.path().join("cache")),
            system: folder.path().join("system"),
        };
        Fixture { folder, places }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn find(&self, named: Option<&Path>) -> Result<String, String> {
        let found = self.places.find(named, &Tools::of_system());
        found
            .map(|kernel| kernel.release)
            .map_err(|error| error.to_string())
    }
}

#[test]
fn the_newest_fetched_kernel_goes_before_installed_ones() {
    let fixture = Fixture::new();
    assert!(
        fixture
            .find(None)
            .is_err_and(|why| why.contains("doctor --fetch-kernel"))
    );
    tree(&fixture.path("system"), "7.0", "lib", &["sch_netem"]);
    tree(&fixture.path("system"), "8.0", "lib", &[]);
    assert_eq!(fixture.find(None).as_deref(), Ok("7.0"), "8.0 has no netem");
    tree(&fixture.path("cache/a"), "6.1.0-9-cloud", "lib", &["sch_netem"]);
    tree(
        &fixture.path("cache/b"),
        "6.1.0-48-cloud",
        "usr/lib",
        &["sch_netem"],
    );
    tree(
        &fixture.path("cache/.new-c"),
        "6.1.0-99-cloud",
        "lib",
        &["sch_netem"],
    );
    assert_eq!(fixture.find(None).as_deref(), Ok("6.1.0-48-cloud"));
}

#[test]
fn a_named_image_brings_the_modules_of_its_tree() {
    let fixture = Fixture::new();
    let root = fixture.path("unpacked");
    tree(&root, "6.1.0", "lib", &["sch_netem"]);
    assert_eq!(fixture.find(Some(&root)).as_deref(), Ok("6.1.0"));
    let image = root.join("boot/vmlinuz-6.1.0");
    assert_eq!(fixture.find(Some(&image)).as_deref(), Ok("6.1.0"));
    // Elsewhere it has none, unless they are installed.
    let alone = fixture.path("vmlinuz");
    fs::copy(&image, &alone).expect("a copy");
    assert!(
        fixture
            .find(Some(&alone))
            .is_err_and(|why| why.contains("there is no lib/modules/6.1.0"))
    );
    tree(&fixture.path("system"), "6.1.0", "lib", &["sch_netem"]);
    assert_eq!(fixture.find(Some(&alone)).as_deref(), Ok("6.1.0"));
}

#[test]
fn what_is_no_kernel_is_refused_in_one_line() {
    let fixture = Fixture::new();
    let file = fixture.path("file");
    fs::write(&file, "text").expect("a file");
    let empty = fixture.path("empty");
    fs::create_dir(&empty).expect("a folder");
    let bad_deb = fixture.path("bad.deb");
    fs::write(&bad_deb, "text").expect("a file");
    let plain = fixture.path("plain");
    tree(&plain, "6.1.0", "lib", &[]);
    for (path, expected) in [
        (&file, "is no x86 kernel image"),
        (&empty, "is no x86 kernel image"),
        (&fixture.path("nowhere"), "cannot read the kernel"),
        (&bad_deb, "cannot fetch a kernel: "),
        (&plain, "has no module sch_netem"),
    ] {
        let why = fixture.find(Some(path)).expect_err("an error");
        assert!(why.contains(expected) && !why.contains('\n'), "{why}");
    }
    assert_eq!(
        entries(&fixture.path("cache")),
        Vec::<PathBuf>::new(),
        "nothing is left behind"
    );
}

#[test]
fn an_image_with_a_strange_name_leads_nowhere_else() {
    for release in ["", "../../etc", ".hidden", "a/b"] {
        assert_eq!(release_in(&image(release)), None, "{release}");
    }
    assert_eq!(
        release_in(&image("6.1.0-48-cloud-amd64")).as_deref(),
        Some("6.1.0-48-cloud-amd64")
    );
    assert_eq!(release_in(&[0; 0x210]), None);
    assert_eq!(release_in(b"HdrS"), None);
}

#[test]
fn without_a_package_manager_fetching_says_so() {
    let fixture = Fixture::new();
    let why = fixture
        .places
        .fetch(&Tools::in_directories([]))
        .expect_err("an error")
        .to_string();
    assert!(
        why.contains("there is no apt-cache") && why.contains("--kernel"),
        "{why}"
    );
}
