//! `longhaul list`: the scenarios that come with the program.

use longhaul_reports::console::Style;
use longhaul_reports::wrap::wrap;
use longhaul_scenarios::library;

use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the name of each scenario, and under it the question that it asks.
pub fn list() -> Result<Exit, Failure> {
    let width = usize::from(Style::of_stdout(false).columns());
    let mut text = String::new();
    for entry in library::list() {
        text.push_str(entry.name);
        text.push('\n');
        for line in wrap(&entry.question(), width - 4, 0) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    output::print(&text)?;
    Ok(Exit::Passed)
}
