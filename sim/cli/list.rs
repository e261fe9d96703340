//! `longhaul list`: the scenarios and sweeps that come with the program.

use longhaul_reports::console::Style;
use longhaul_reports::wrap::wrap;
use longhaul_scenarios::library;
use longhaul_sweeps::library as sweeps;

use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the name of each scenario, and under it the question that it asks; then the sweeps.
pub fn list() -> Result<Exit, Failure> {
    let width = usize::from(Style::of_stdout(false).columns());
    let mut text = String::new();
    let mut add = |name: &str, question: &str| {
        text.push_str(name);
        text.push('\n');
        for line in wrap(question, width - 4, 0) {
            text.push_str(&format!("    {line}\n"));
        }
    };
    for entry in library::list() {
        add(entry.name, &entry.question());
    }
    for entry in sweeps::list() {
        add(&format!("{} (sweep)", entry.name), &entry.question());
    }
    output::print(&text)?;
    Ok(Exit::Passed)
}
