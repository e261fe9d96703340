//! Who may write into which directory, and what is left of what was in it.

use std::fs;

use longhaul_core::MODEL_VERSION;
use longhaul_sweeps::directory::{Claim, DirectoryError, Manifest, SweepDirectory};
use longhaul_sweeps::execute::Options;

use crate::common::{Place, contents, same, shard, threads, usual};

#[test]
fn a_directory_has_one_writer() {
    let place = Place::new();
    let manifest = Manifest::of(&place.prepare(&usual()), None);
    let take = |folder: &str, claim| SweepDirectory::take(&place.path(folder), &manifest, claim);
    let held = take("out", Claim::New).unwrap();
    let second = take("out", Claim::Resume).unwrap_err();
    assert!(matches!(second, DirectoryError::Locked { .. }), "{second}");
    drop(held);
    place.run(&usual(), "out", threads(2));
    let taken = take("out", Claim::New).unwrap_err();
    assert!(matches!(taken, DirectoryError::Taken { .. }), "{taken}");
    fs::create_dir(place.path("mine")).unwrap();
    fs::write(place.path("mine/thesis.tex"), "x").unwrap();
    let foreign = take("mine", Claim::Resume).unwrap_err();
    assert!(matches!(foreign, DirectoryError::Foreign { .. }), "{foreign}");
}

#[test]
fn only_the_same_sweep_goes_on_in_a_directory() {
    let place = Place::new();
    place.run(&usual(), "out", threads(2));
    place.run(&usual(), "part", shard(1, 2));
    let refused = |text: &str, folder: &str, options: Options| {
        let before = contents(&place.path(folder));
        let error = place.try_run(text, folder, options).err().unwrap().to_string();
        assert_eq!(before, contents(&place.path(folder)), "{error}");
        error
    };
    let other = usual().replace(r#"name: "small""#, r#"name: "large""#);
    assert!(
        refused(&other, "out", threads(2)).contains("holds the sweep `small`, which this is not: `large`")
    );
    assert!(
        refused(&usual(), "out", shard(1, 2)).contains("holds all points of the sweep, and not part 1/2")
    );
    assert!(refused(&usual(), "part", shard(2, 2)).contains("holds part 1/2 of the sweep, and not part 2/2"));
    let manifest = place.path("out/sweep.json");
    let text = fs::read_to_string(&manifest).unwrap();
    for (changed, what) in [
        (
            text.replace(r#""format": 1,"#, r#""format": 99,"#),
            "format 99; this program reads 1",
        ),
        (
            r#"{"rows": 12}"#.to_owned(),
            r#"holds "sweep.json", which no sweep wrote"#,
        ),
        ("thesis".to_owned(), r#"holds "sweep.json", which no sweep wrote"#),
    ] {
        assert_ne!(changed, text);
        fs::write(&manifest, changed).unwrap();
        let error = refused(&usual(), "out", threads(2));
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn a_manifest_that_a_crash_has_cut_is_written_again() {
    let place = Place::new();
    place.run(&usual(), "out", threads(2));
    place.run(&usual(), "clean", threads(2));
    let manifest = place.path("out/sweep.json");
    let text = fs::read(&manifest).unwrap();
    for cut in [
        Vec::new(),
        vec![0; 64],
        text[..9].to_vec(),
        text[..text.len() / 2].to_vec(),
    ] {
        fs::write(&manifest, cut).unwrap();
        let again = place.run(&usual(), "out", threads(2));
        assert_eq!((again.effort.simulated, again.effort.reused), (0, 24));
        same(&place.path("out"), &place.path("clean"));
    }
    // Whose it was cannot be known if there is something that no sweep writes.
    fs::write(&manifest, "").unwrap();
    fs::write(place.path("out/thesis.tex"), "x").unwrap();
    let foreign = place.try_run(&usual(), "out", threads(2)).err().unwrap();
    assert!(foreign.to_string().contains("thesis.tex"), "{foreign}");
}

#[test]
fn a_directory_tells_which_model_its_runs_are_of() {
    let place = Place::new();
    place.run(&usual(), "out", threads(2));
    let manifest = place.path("out/sweep.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let model = format!(r#""model_version": {MODEL_VERSION}"#);
    fs::write(&manifest, text.replace(&model, r#""model_version": 1"#)).unwrap();
    let now = Manifest::of(&place.prepare(&usual()), None);
    let directory = SweepDirectory::take(&place.path("out"), &now, Claim::Resume).unwrap();
    assert_eq!(directory.held().unwrap().model_version, 1);
}

#[test]
fn only_plots_of_the_sweep_are_removed_when_they_are_no_longer_asked_for() {
    let place = Place::new();
    place.run(&usual(), "out", threads(2));
    for (name, content) in [("notes.md", "x"), ("my.csv", "x"), ("my.svg", "x")] {
        fs::write(place.path(&format!("out/plots/{name}")), content).unwrap();
    }
    fs::create_dir(place.path("out/plots/times")).unwrap();
    fs::write(place.path("out/plots/times/times.csv"), "x").unwrap();
    fs::write(
        place.path("out/plots/times-of_old.svg"),
        "of a facet that there was",
    )
    .unwrap();
    place.run(&usual(), "out", threads(2));
    assert!(!place.path("out/plots/times-of_old.svg").exists());
    let fewer = usual().replace(r#"Line(name: "times""#, r#"Line(name: "lines""#);
    place.run(&fewer, "out", threads(2));
    place.run(&fewer, "clean", threads(2));
    let mut left = contents(&place.path("out"));
    for name in ["notes.md", "my.csv", "my.svg", "times/times.csv"] {
        assert!(left.remove(&format!("plots/{name}")).is_some(), "{name} is gone");
    }
    assert_eq!(left, contents(&place.path("clean")));
}
