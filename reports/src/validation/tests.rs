//! What the files of a validation say.

use longhaul_core::validation::ValidationRecord;
use longhaul_plots::PlotError;

use super::*;
use crate::console::{self, Style};
use crate::fixture;

#[test]
fn every_configuration_is_a_line_with_as_many_fields_as_the_header() {
    let record = fixture::validation();
    let text = csv(&record);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + record.configurations.len());
    let fields = |line: &str| line.split(',').count();
    assert!(
        lines.iter().all(|line| fields(line) == fields(lines[0])),
        "{text}"
    );
    assert!(
        lines[1].starts_with("17,40.5,50,0.01,gemodel,0.5,cubic,2,30000000,250,true,big,"),
        "{text}"
    );
    // What is not modelled has no numbers, least of all zeros.
    assert!(
        lines[2].contains(",0,0,,,,,,,,") && lines[2].ends_with(','),
        "{text}"
    );
}

#[test]
fn the_record_survives_its_json_form_exactly() {
    let record = fixture::validation();
    let read: ValidationRecord = serde_json::from_str(&json(&record)).unwrap();
    assert_eq!(read, record);
}

#[test]
fn the_plot_names_its_axes_with_units_the_controllers_and_their_numbers() {
    let drawing = plot(&fixture::validation()).unwrap();
    let svg = drawing.svg();
    for text in [
        "<svg",
        "measured median completion time (s)",
        "predicted median completion time (s)",
        "cubic (n = 1)",
        "transfers.csv",
        "n = 1 configurations",
        "Error 7.1 % at the median",
        "±3 %",
        "±12 %",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(
        !svg.contains("bbr"),
        "a controller without simulated runs is on the plot"
    );
}

#[test]
fn without_anything_simulated_there_is_no_plot() {
    let mut record = fixture::validation();
    record
        .configurations
        .retain(|configuration| configuration.simulated.is_none());
    assert!(matches!(plot(&record), Err(PlotError::Empty { .. })));
}

#[test]
fn the_console_names_what_is_not_modelled_and_what_is_missed_and_fits_its_width() {
    let text = console::validation(&fixture::validation(), Style::PIPED);
    for part in [
        "not modelled: 1, with bbr",
        "host delay: 24.2 µs each way",
        "+7.10 %",
        "FAIL: 0 of 1 tolerances kept; missed: median",
        "--emit 17",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\u{1b}'));
}
