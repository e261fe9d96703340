//! Predicted against measured completion times: a scatter plot with logarithmic axes.

use longhaul_core::validation::{ConfigurationRecord, ValidationRecord};
use longhaul_plots::predicted::{self, Group, Pair, Predicted};
use longhaul_plots::{About, Drawing, PlotError, Quantity};

/// Width and height in pixels.
const SIZE: (f64, f64) = (760.0, 760.0);
/// Relative errors that are shown as ribbons.
const BANDS: [f64; 2] = [0.03, 0.12];

/// The plot: medians of each configuration that was simulated to its end, by controller.
///
/// # Errors
/// If there is nothing to plot.
pub fn plot(record: &ValidationRecord) -> Result<Drawing, PlotError> {
    let mut groups: Vec<Group> = Vec::new();
    for configuration in &record.configurations {
        let Some(pair) = pair(configuration) else {
            continue;
        };
        let name = configuration.parameters.controller.as_str();
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.pairs.push(pair),
            None => groups.push(Group {
                name: name.to_owned(),
                pairs: vec![pair],
            }),
        }
    }
    let n: usize = groups.iter().map(|group| group.pairs.len()).sum();
    let mut about = About::new(record.table.clone(), n as u64, "configurations").size(SIZE.0, SIZE.1);
    let all = record.groups.first();
    if let Some((median, p90)) = all.and_then(|all| all.median_error.zip(all.p90_error)) {
        about = about.remark(format!(
            "Error {:.1} % at the median, {:.1} % at the 90th percentile",
            median * 100.0,
            p90 * 100.0
        ));
    }
    predicted::draw(&Predicted {
        about,
        of: Quantity::log("median completion time", "s"),
        groups,
        margins: BANDS.to_vec(),
    })
}

/// Measured and simulated median in seconds.
fn pair(configuration: &ConfigurationRecord) -> Option<Pair> {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let measured = configuration.measured.median_ns.map(seconds)?;
    let predicted = configuration.simulated.as_ref()?.median_ns.map(seconds)?;
    // A logarithmic axis has no zero.
    (measured > 0.0 && predicted > 0.0).then(|| Pair {
        name: configuration.name.clone(),
        measured,
        predicted,
    })
}
