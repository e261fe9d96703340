//! Against a real kernel: the committed sample must stay within its tolerances, and a wrong table must not.

use std::path::Path;

use longhaul_core::record::{Fidelity, Verdict};
use longhaul_core::time::Span;
use longhaul_core::validation::{HostDelaySource, ValidationRecord};
use longhaul_scenarios::parallel::Aborted;
use longhaul_validation::simulate::{SimulateError, Unwatched, Watch};
use longhaul_validation::table::Table;
use longhaul_validation::tolerance::Tolerances;
use longhaul_validation::{Options, validate};

const SAMPLE: &str = include_str!("../samples/linux_netem.csv");

fn options(filter: &str, seeds: u32, threads: usize) -> Options {
    Options {
        filter: if filter.is_empty() {
            Default::default()
        } else {
            filter.parse().unwrap()
        },
        seeds,
        host_delay: None,
        call_time: Span::from_us(23),
        threads,
        fidelity: Fidelity::Packet,
        tolerances: Tolerances::promised(Fidelity::Packet),
    }
}

fn run(text: &str, options: &Options) -> ValidationRecord {
    let table = Table::parse("sample.csv", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    validate(&table, options, &Unwatched).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_simulator_keeps_its_tolerances_on_the_measured_sample() {
    let record = run(SAMPLE, &options("", 16, 2));
    assert_eq!(record.verdict, Verdict::Pass, "{:#?}", record.tolerances);
    assert_eq!(record.tolerances.len(), 4);
    // The guests' own processing: tens of microseconds, found from their handshakes.
    assert!(matches!(
        record.host_delay_source,
        HostDelaySource::Handshakes(3..)
    ));
    assert!(
        (15_000..40_000).contains(&record.host_delay_ns),
        "{}",
        record.host_delay_ns
    );
    let all = &record.groups[0];
    assert_eq!(all.configurations + all.not_modelled, 17);
    assert!(all.configurations >= 16 && all.random >= 6, "{all:?}");
}

#[test]
fn a_table_of_another_network_misses_the_tolerances() {
    // The transfers of 80 ms and 150 ms declared to be of 40 ms: only the model's agreement with the measured
    // round trips can make the test above pass.
    let wrong = SAMPLE
        .replace("174,80,", "174,40,")
        .replace("113,150,", "113,40,");
    let record = run(&wrong, &options("config=174|113", 1, 1));
    assert_eq!(record.verdict, Verdict::Fail);
    let errors: Vec<f64> = record.configurations.iter().filter_map(|c| c.error).collect();
    assert!(
        errors.len() == 2 && errors.iter().all(|error| *error < -0.3),
        "{errors:?}"
    );
}

#[test]
fn neither_threads_nor_the_selection_of_others_change_a_result() {
    let one = run(SAMPLE, &options("config=12|146|97", 6, 1));
    let many = run(SAMPLE, &options("config=12|146|97", 6, 4));
    assert_eq!(one, many);
    let alone = run(SAMPLE, &options("config=146", 6, 3));
    let among = one.configurations.iter().find(|c| c.name == "146");
    assert_eq!(alone.configurations.first(), among);
}

#[test]
fn what_the_measurements_alone_would_move_is_zero_without_chance_and_more_with_it() {
    let record = run(SAMPLE, &options("streams<=8", 1, 1));
    let noise = |name: &str| {
        record
            .configurations
            .iter()
            .find(|c| c.name == name)
            .unwrap()
            .measured_noise
    };
    assert!(noise("174") < 1e-6);
    assert!(noise("20") > 1e-3 && noise("20") < 0.2, "{}", noise("20"));
}

#[test]
fn a_watch_that_wants_an_end_gets_it() {
    struct Impatient;
    impl Watch for Impatient {
        fn progress(&self, _done: u64, _all: u64) {}
        fn wants_end(&self) -> bool {
            true
        }
    }
    let table = Table::parse("sample.csv", SAMPLE.as_bytes()).unwrap();
    let end = validate(&table, &options("", 4, 2), &Impatient);
    assert!(matches!(end, Err(SimulateError::Aborted(Aborted::Ended))));
}

/// The whole table, where it is at hand: `LONGHAUL_TRUTH` names its folder (default `../shared/truth` beside the
/// repository).
/// `cargo test --release -p longhaul-validation --test kernel -- --ignored --nocapture`
#[test]
#[ignore = "needs the measurements and a release build"]
fn the_whole_table_is_simulated_and_its_noise_is_what_is_published() {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the measurements lie, not what the model does"
    )]
    let root = std::env::var_os("LONGHAUL_TRUTH");
    let root = root.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/truth"),
        Into::into,
    );
    let path = root.join("transfers.csv");
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return;
    }
    let table = Table::open(&path).unwrap_or_else(|error| panic!("{error}"));
    let record = validate(&table, &options("", 32, 2), &Unwatched).unwrap();
    for tolerance in &record.tolerances {
        println!("{tolerance:?}");
    }
    let all = &record.groups[0];
    assert_eq!(all.configurations + all.not_modelled, 174);
    assert!(all.median_error.is_some_and(|error| error < 0.03), "{all:?}");
    assert!(
        all.noise_median
            .is_some_and(|noise| (0.002..0.006).contains(&noise)),
        "{all:?}"
    );
}
