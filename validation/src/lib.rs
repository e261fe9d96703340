//! Holds the simulator against a table of measured bulk transfers.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`table`] | reads the table: configurations and their measured completion times |
//! | [`filter`] | selects configurations |
//! | [`testbed`] | turns a configuration into a scenario, as a user would write it |
//! | [`simulate`] | runs the scenarios, in parallel |
//! | [`compare`] | from both sets of completion times to the error of each configuration |
//! | [`groups`] | errors by class |
//! | [`tolerance`] | what was declared, and whether it holds |
//!
//! What runs is [`longhaul_scenarios::run::Simulation`] on the text of a scenario: the simulator that users
//! run, not a harness beside it. [`validate`] does all of it; the form of the table is described in
//! `validation/README.md`. The result depends on the table and the options alone, not on the number of threads.

pub mod compare;
pub mod filter;
pub mod groups;
pub mod simulate;
pub mod table;
pub mod testbed;
pub mod tolerance;

use longhaul_core::MODEL_VERSION;
use longhaul_core::record::Fidelity;
use longhaul_core::time::Span;
use longhaul_core::validation::{HostDelaySource, VALIDATION_FORMAT, ValidationRecord};

use crate::filter::Filter;
use crate::simulate::{SimulateError, Watch};
use crate::table::Table;
use crate::testbed::Testbed;
use crate::tolerance::Tolerances;

/// How to validate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which configurations of the table.
    pub filter: Filter,
    /// Runs of each configuration, at least 1.
    pub seeds: u32,
    /// Time that the measuring hosts add to each way; `None` derives it from the table.
    pub host_delay: Option<Span>,
    /// Time that each call of the sending application takes.
    pub call_time: Span,
    /// Threads, at least 1. They change nothing but the time that it takes.
    pub threads: usize,
    /// How the network is simulated.
    pub fidelity: Fidelity,
    /// What the result must satisfy.
    pub tolerances: Tolerances,
}

/// The testbed that a table was measured on, as far as the table tells, and where its host delay comes from.
pub fn testbed_of(
    table: &Table,
    host_delay: Option<Span>,
    call_time: Span,
    fidelity: Fidelity,
) -> (Testbed, HostDelaySource) {
    let (host_delay, source) = match host_delay {
        Some(given) => (given, HostDelaySource::Given),
        None => testbed::host_delay_of(table),
    };
    // Flow fidelity does not model the calls of applications.
    let call_time = match fidelity {
        Fidelity::Packet => call_time,
        Fidelity::Flow => Span::ZERO,
    };
    let testbed = Testbed {
        table: table.name.clone(),
        host_delay,
        call_time,
        fidelity,
    };
    (testbed, source)
}

/// Simulates the selected configurations of a table and compares them. `watch` sees every finished run and
/// can end it all.
///
/// # Errors
/// A configuration that the scenario language refuses, or an end that `watch` asked for.
pub fn validate(
    table: &Table,
    options: &Options,
    watch: &dyn Watch,
) -> Result<ValidationRecord, SimulateError> {
    let (testbed, host_delay_source) =
        testbed_of(table, options.host_delay, options.call_time, options.fidelity);
    let selected = options.filter.select(table);
    let simulated = simulate::simulate(&selected, &testbed, options.seeds, options.threads, watch)?;
    let configurations: Vec<_> = selected
        .iter()
        .zip(&simulated)
        .map(|(configuration, runs)| compare::compare(configuration, runs.as_deref()))
        .collect();
    let groups = groups::groups(&configurations);
    let tolerances = options.tolerances.judge(&configurations);
    Ok(ValidationRecord {
        format: VALIDATION_FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        model_version: MODEL_VERSION,
        table: table.name.clone(),
        table_blake3: table.blake3.clone(),
        filter: options.filter.to_string(),
        fidelity: options.fidelity,
        seeds: options.seeds,
        host_delay_ns: testbed.host_delay.as_ns(),
        host_delay_source,
        call_time_ns: testbed.call_time.as_ns(),
        groups,
        verdict: tolerance::overall(&tolerances),
        tolerances,
        configurations,
    })
}
