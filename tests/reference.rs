//! Published results and closed forms, each as a scenario of the library whose assertions are the published
//! figures.

use longhaul_core::record::Verdict;

use crate::common::{reference_scenarios, run};

#[test]
fn every_reference_scenario_reproduces_its_published_result() {
    for path in reference_scenarios() {
        let record = run(&path, &[]).record;
        let held: Vec<String> = record
            .assertions
            .iter()
            .map(|assertion| {
                let value = assertion.value.as_deref().unwrap_or("nothing");
                format!(
                    "{:?} {} {} of {}: {value}, wanted {}",
                    assertion.verdict,
                    assertion.statistic,
                    assertion.metric,
                    assertion.scope,
                    assertion.bound
                )
            })
            .collect();
        assert_eq!(record.verdict, Verdict::Pass, "{}: {held:#?}", path.display());
        assert!(
            record.assertions.iter().all(|assertion| assertion.critical),
            "{} holds nothing",
            path.display()
        );
    }
}
