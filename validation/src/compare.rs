//! One configuration: measured and simulated completion times side by side.

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::validation::{ConfigurationRecord, DistributionRecord, ParametersRecord};

use crate::statistics::{median_noise, quantile, sorted_seconds};
use crate::table::{Configuration, LossModel, Parameters, Room};
use crate::testbed;

/// By how much of itself each quartile moves outwards in [`ConfigurationRecord::inside`].
const WIDENING: f64 = 0.1;
/// By how much of its width the range grows at either end in [`ConfigurationRecord::inside_narrow`].
const NARROW_WIDENING: f64 = 0.05;

/// Compares a configuration with its simulated runs; `None` if it is not modelled.
pub fn compare(configuration: &Configuration, simulated: Option<&[Option<Span>]>) -> ConfigurationRecord {
    let measured = sorted_seconds(configuration.measurements.iter().map(|m| Some(m.completion)));
    let simulated = simulated.map(|runs| sorted_seconds(runs.iter().copied()));
    let streams = Streams::new(1, 0);
    let noise =
        |sorted: &[f64], purpose| median_noise(sorted, &mut streams.stream(&configuration.name, purpose));
    let error = |q| {
        let (ours, theirs) = (quantile(simulated.as_deref()?, q)?, quantile(&measured, q)?);
        Some(ours / theirs - 1.0).filter(|error| error.is_finite())
    };
    let random = configuration.parameters.is_random();
    let range = simulated
        .as_deref()
        .filter(|_| random)
        .and_then(|runs| quantile(runs, 0.25).zip(quantile(runs, 0.75)));
    let median = quantile(&measured, 0.5);
    let inside = |widen: fn(f64, f64) -> (f64, f64)| {
        let ((first, third), median) = (range?, median?);
        let (least, most) = widen(first, third);
        Some(least <= median && median <= most)
    };
    ConfigurationRecord {
        name: configuration.name.clone(),
        parameters: parameters(&configuration.parameters),
        first_seed: testbed::first_seed(configuration),
        measured_noise: noise(&measured, "noise of the measured median"),
        simulated_noise: simulated
            .as_deref()
            .map(|runs| noise(runs, "noise of the simulated median")),
        error: error(0.5),
        first_quartile_error: error(0.25),
        third_quartile_error: error(0.75),
        random,
        inside: inside(|first, third| (first * (1.0 - WIDENING), third * (1.0 + WIDENING))),
        inside_narrow: inside(|first, third| {
            // Of an infinite range the lower end stays where it is.
            let widening = Some((third - first) * NARROW_WIDENING).filter(|w| w.is_finite());
            (first - widening.unwrap_or(0.0), third + widening.unwrap_or(0.0))
        }),
        simulated: simulated.as_deref().map(distribution),
        measured: distribution(&measured),
    }
}

fn distribution(sorted: &[f64]) -> DistributionRecord {
    let at = |q| {
        let seconds = quantile(sorted, q).filter(|seconds| seconds.is_finite())?;
        // Rounds to whole nanoseconds; times are not negative.
        Some((seconds * 1e9 + 0.5) as u64)
    };
    let unfinished = sorted.iter().filter(|seconds| seconds.is_infinite()).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    DistributionRecord {
        runs: count(sorted.len()),
        unfinished: count(unfinished),
        min_ns: at(0.0),
        first_quartile_ns: at(0.25),
        median_ns: at(0.5),
        third_quartile_ns: at(0.75),
        max_ns: at(1.0),
    }
}

fn parameters(parameters: &Parameters) -> ParametersRecord {
    let (room_packets, netem) = match parameters.room {
        Room::Netem(limit) => (limit, true),
        Room::Router(packets) => (packets, false),
    };
    ParametersRecord {
        rtt_ns: parameters.rtt.as_ns(),
        rate_bits_per_s: parameters.rate.as_bits_per_s(),
        loss_parts: parameters.loss.as_parts(),
        loss_model: parameters.loss_model.name().to_owned(),
        loss_burst: match parameters.loss_model {
            LossModel::Bursts { mean } => Some(mean),
            LossModel::None | LossModel::Independent => None,
        },
        jitter_ns: parameters.jitter.as_ns(),
        controller: parameters.controller.name().to_owned(),
        streams: parameters.streams,
        bytes: parameters.bytes.as_bytes(),
        room_packets,
        netem,
        buffers: parameters.buffers.to_string(),
    }
}
