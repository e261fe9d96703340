//! The canonical text of loads and of laws of times.

use longhaul_core::time::Span;
use longhaul_service::{Arrivals, Load, Pattern, Rate, Step, TimeLaw};

use crate::decode::{print_millionths, rate_of};

pub fn load(load: &Load) -> String {
    match load {
        Load::Open(Arrivals { pattern, rate }) => {
            let pattern = match pattern {
                Pattern::Regular => "Regular",
                Pattern::Poisson => "Poisson",
            };
            format!("Open(pattern: {pattern}, rate: {})", rate_text(rate))
        }
        Load::Closed { users, think } => format!("Closed(users: {users}, think: {})", time_law(think)),
    }
}

fn rate_text(rate: &Rate) -> String {
    match rate {
        Rate::Steady { interval } => format!("Steady({})", requests(*interval)),
        Rate::Bursts { on, off, interval } => {
            format!("Bursts(on: \"{on}\", off: \"{off}\", {})", requests(*interval))
        }
        Rate::Sinusoidal {
            interval,
            amplitude,
            period,
        } => format!(
            "Sinusoidal({}, amplitude: \"{amplitude}\", period: \"{period}\")",
            requests(*interval)
        ),
        Rate::Steps(steps) => {
            let steps: Vec<String> = steps.iter().map(step).collect();
            format!("Steps(steps: [{}])", steps.join(", "))
        }
    }
}

fn step(step: &Step) -> String {
    let Step { at, interval } = step;
    let requests = interval.map_or("rate: 0.0".to_owned(), requests);
    format!("(at: \"{at}\", {requests})")
}

/// As a rate if that reads back as the same interval.
fn requests(interval: Span) -> String {
    match rate_of(interval) {
        Some(millionths) => {
            let rate = i64::try_from(millionths).expect("at most 10^15 millionths");
            format!("rate: {}", print_millionths(rate))
        }
        None => format!("interval: \"{interval}\""),
    }
}

pub fn time_law(law: &TimeLaw) -> String {
    match law {
        TimeLaw::Constant(time) => format!("Constant(time: \"{time}\")"),
        TimeLaw::Uniform { min, max } => format!("Uniform(min: \"{min}\", max: \"{max}\")"),
        TimeLaw::Exponential { mean } => format!("Exponential(mean: \"{mean}\")"),
        TimeLaw::LogNormal { mean, sigma } => {
            // It was read as a whole number of millionths.
            let sigma = print_millionths((sigma * 1e6).round() as i64);
            format!("LogNormal(mean: \"{mean}\", sigma: {sigma})")
        }
        TimeLaw::Bimodal {
            short,
            long,
            long_share,
        } => format!("Bimodal(short: \"{short}\", long: \"{long}\", long_share: \"{long_share}\")"),
    }
}
