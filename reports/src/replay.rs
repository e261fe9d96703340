//! The results of a replay for programs and for the eye: JSON, a plot of both distributions, and values as people read
//! them.

mod plot;

use longhaul_core::replay::{ComparisonRecord, MarginRecord, Quantity, ReplayRecord};
use longhaul_core::units::Probability;

pub use plot::plot;

use crate::human;
use crate::json::pretty;

/// The text of `replay.json`.
pub fn json(record: &ReplayRecord) -> String {
    pretty(record)
}

/// A metric in words: `completion time` for `TransferCompletionTime`.
pub(crate) fn metric_in_words(metric: &str) -> &str {
    match metric {
        "MigrationTotalTime" => "total time",
        "MigrationDowntime" => "downtime",
        "MigrationTransferred" => "transferred",
        "MigrationCompressionRatio" => "compression ratio",
        "MigrationDirtySyncCount" => "rounds",
        "MigrationSuccess" => "success",
        "TransferCompletionTime" => "completion time",
        "TransferGoodput" => "goodput",
        "TransferFairness" => "fairness",
        "LinkUtilisation" => "utilisation",
        "LinkLoss" => "loss",
        "LinkQueueDrops" => "queue drops",
        "LinkQueueDelay" => "queue delay",
        "LinkDelivered" => "delivered",
        other => other,
    }
}

/// A value of a metric.
pub(crate) fn value(quantity: Quantity, exact: u64) -> String {
    match quantity {
        Quantity::Time => human::span(exact),
        Quantity::Size => human::bytes(exact),
        Quantity::Rate => human::rate(exact),
        Quantity::Share => human::share(exact, Probability::PARTS),
        Quantity::Number => number(exact),
    }
}

/// A plain number in millionths.
fn number(millionths: u64) -> String {
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A difference in the unit of its margin, with its sign.
pub(crate) fn difference(comparison: &ComparisonRecord, exact: i64) -> String {
    let size = match comparison.margin {
        MarginRecord::Relative(_) => {
            // Millionths to hundredths of a percent, to the nearest.
            let hundredths = (exact.unsigned_abs() + 50) / 100;
            format!("{}.{:02} %", hundredths / 100, hundredths % 100)
        }
        MarginRecord::Absolute(_) => value(comparison.quantity, exact.unsigned_abs()),
    };
    match exact {
        0 => size,
        1.. => format!("+{size}"),
        _ => format!("−{size}"),
    }
}

#[cfg(test)]
mod tests;
