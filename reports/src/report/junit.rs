//! JUnit XML, as continuous integration reads it: a test case for each assertion.

use std::fmt::Write as _;

use longhaul_core::record::{AssertionRecord, RunRecord, Verdict};
use longhaul_plots::escape;

use super::load::Story;
use crate::console;

/// The text of `junit.xml`. A critical assertion that does not hold is a failure, one that cannot be told an error, since
/// missing data is never a pass; advisory ones are skipped with their reason. The first case is the run itself, which is to
/// blame where the verdict is no pass and no assertion says why.
pub fn junit(story: &Story) -> String {
    let record = &story.record;
    let suite = escape(&record.scenario);
    let asserted = record.assertions.iter().map(case);
    let mut cases: Vec<Case> = asserted.collect();
    cases.insert(0, run(record, &cases));
    let count = |element: &str| cases.iter().filter(|case| case.1 == element).count();
    let (failures, errors, skipped) = (count("failure"), count("error"), count("skipped"));
    let tests = cases.len();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        xml,
        "<testsuites name=\"longhaul\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n  \
         <testsuite name=\"{suite}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">\n    \
         <properties>"
    );
    for (name, value) in [
        ("seed", record.seed.to_string()),
        ("model_version", record.model_version.to_string()),
        ("scenario_hash", record.scenario_hash.clone()),
        ("digest", record.digest.clone()),
        ("simulated_ns", record.simulated_ns.to_string()),
        ("reproduce", record.reproduce.clone()),
    ] {
        let _ = writeln!(
            xml,
            "      <property name=\"{name}\" value=\"{}\"/>",
            escape(&value)
        );
    }
    xml.push_str("    </properties>\n");
    for (name, element, message) in &cases {
        let _ = write!(
            xml,
            "    <testcase classname=\"{suite}\" name=\"{}\"",
            escape(name)
        );
        if element.is_empty() {
            xml.push_str("/>\n");
        } else {
            let _ = writeln!(xml, "><{element} message=\"{}\"/></testcase>", escape(message));
        }
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Name, element inside it, and its message.
type Case = (String, &'static str, String);

/// The run as a case beside those of its assertions.
fn run(record: &RunRecord, assertions: &[Case]) -> Case {
    let blamed = assertions
        .iter()
        .any(|case| ["failure", "error"].contains(&case.1));
    let element = match record.verdict {
        Verdict::Fail if !blamed => "failure",
        Verdict::Inconclusive if !blamed => "error",
        _ => "",
    };
    ("run".to_owned(), element, console::verdict_reasons(record))
}

fn case(of: &AssertionRecord) -> Case {
    let name = format!("{} {}", console::asserted(of), of.bound);
    let value = console::asserted_value(of).unwrap_or_else(|| "no value".to_owned());
    let message = format!("{value}: {}", of.reason);
    match (of.verdict, of.critical) {
        (Verdict::Pass, _) => (name, "", String::new()),
        (Verdict::Fail, true) => (name, "failure", message),
        (Verdict::Inconclusive, true) => (name, "error", format!("inconclusive: {message}")),
        (_, false) => (name, "skipped", format!("advisory: {message}")),
    }
}
