//! What scenarios are on a real kernel, without one.

/// Compares with the snapshot, whose header then holds no copy of the test's source.
macro_rules! pinned {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($text);
        })
    };
}

mod plans;
mod refusals;

use longhaul_scenarios::source::Source;
use longhaul_scenarios::{Loaded, load};

/// A scenario of these regions, links and more.
fn scenario(regions: &str, links: &str, rest: &str) -> Loaded {
    let regions: Vec<String> = regions
        .split(' ')
        .map(|name| format!("(name: \"{name}\")"))
        .collect();
    let text = format!(
        "Scenario(version: 1, name: \"s\", question: \"q\", expect: \"e\", horizon: \"10 s\", \
         sample_interval: \"1 s\", regions: [{}], links: [{links}], {rest})",
        regions.join(", ")
    );
    let directory = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/replay");
    let source = Source {
        name: "s.ron".to_owned(),
        text,
        base_dir: directory,
    };
    load(&source, &[], None).unwrap_or_else(|errors| panic!("{errors}"))
}
