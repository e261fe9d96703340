//! The results of a validation for programs and for the eye: JSON, CSV and a plot.

mod plot;

use std::fmt::Write as _;

use longhaul_core::validation::{ConfigurationRecord, ValidationRecord};

pub use plot::plot;

use crate::human::percentage;
use crate::json::pretty;

/// The whole record, pretty-printed.
pub fn json(record: &ValidationRecord) -> String {
    pretty(record)
}

/// One line per configuration. Times are seconds, errors, noise and shares fractions; what does not exist is
/// empty.
pub fn csv(record: &ValidationRecord) -> String {
    let mut text = String::from(
        "config,rtt_ms,rate_mbit,loss_percent,loss_model,jitter_ms,controller,streams,bytes,room_packets,netem,\
         buffers,first_seed,measurements,measured_q1_s,measured_median_s,measured_q3_s,measured_noise,runs,\
         unfinished,simulated_q1_s,simulated_median_s,simulated_q3_s,simulated_noise,error,q1_error,q3_error,inside\n",
    );
    for configuration in &record.configurations {
        write_line(&mut text, configuration);
    }
    text
}

fn write_line(text: &mut String, c: &ConfigurationRecord) {
    let p = &c.parameters;
    let simulated = c.simulated.as_ref();
    let of_runs = |of: fn(&longhaul_core::validation::DistributionRecord) -> Option<u64>| {
        seconds(simulated.and_then(of))
    };
    let loss = percentage(p.loss_parts);
    let fields = [
        c.name.clone(),
        decimal(p.rtt_ns, 1_000_000),
        decimal(p.rate_bits_per_s, 1_000_000),
        loss.trim_end_matches(" %").to_owned(),
        p.loss_model.clone(),
        decimal(p.jitter_ns, 1_000_000),
        p.controller.clone(),
        p.streams.to_string(),
        p.bytes.to_string(),
        p.room_packets.to_string(),
        p.netem.to_string(),
        p.buffers.clone(),
        c.first_seed.to_string(),
        c.measured.runs.to_string(),
        seconds(c.measured.first_quartile_ns),
        seconds(c.measured.median_ns),
        seconds(c.measured.third_quartile_ns),
        c.measured_noise.to_string(),
        simulated.map_or(0, |s| s.runs).to_string(),
        simulated.map_or(0, |s| s.unfinished).to_string(),
        of_runs(|s| s.first_quartile_ns),
        of_runs(|s| s.median_ns),
        of_runs(|s| s.third_quartile_ns),
        text_of(c.simulated_noise),
        text_of(c.error),
        text_of(c.first_quartile_error),
        text_of(c.third_quartile_error),
        text_of(c.inside),
    ];
    writeln!(text, "{}", fields.join(",")).expect("writing to a string never fails");
}

fn text_of<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn seconds(ns: Option<u64>) -> String {
    ns.map_or_else(String::new, |ns| decimal(ns, 1_000_000_000))
}

/// `value / unit` as an exact decimal, where `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
