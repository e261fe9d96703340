//! One configuration: measured and simulated completion times side by side.

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::validation::{ConfigurationRecord, DistributionRecord, ParametersRecord};

use crate::table::{Configuration, LossModel, Parameters, Room};
use crate::testbed;
use longhaul_statistics::quantile::{quantile, sorted_seconds};
use longhaul_statistics::resample::median_noise;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    fn configuration(loss: &str, times: &[&str]) -> Configuration {
        let mut text = "rtt_ms,rate_mbit,controller,bytes,completion_s,netem_limit,loss_percent\n".to_owned();
        for time in times {
            text += &format!("40,50,cubic,1000,{time},9,{loss}\n");
        }
        Table::parse("t", text.as_bytes())
            .unwrap()
            .configurations
            .remove(0)
    }

    fn seconds(times: &[u64]) -> Vec<Option<Span>> {
        times.iter().map(|&time| Some(Span::from_s(time))).collect()
    }

    #[test]
    fn an_error_is_simulated_over_measured_quantile_minus_one() {
        let configuration = configuration("1", &["1", "2", "3", "4", "5"]);
        let record = compare(&configuration, Some(&seconds(&[3, 1, 2, 9, 4])));
        assert_eq!(record.measured.median_ns, Some(3_000_000_000));
        assert_eq!(record.error, Some(0.0));
        assert_eq!(record.first_quartile_error, Some(0.0));
        assert_eq!(record.third_quartile_error, Some(0.0));
        let record = compare(&configuration, Some(&seconds(&[6])));
        assert_eq!((record.error, record.inside), (Some(1.0), Some(false)));
    }

    #[test]
    fn inside_moves_the_quartiles_by_a_tenth_of_themselves_and_narrowly_by_a_twentieth_of_their_distance() {
        // Quartiles 10 and 12: from 9 to 13.2, narrowly from 9.9 to 12.1.
        let runs = seconds(&[8, 10, 11, 12, 14]);
        for (measured, inside, narrow) in [
            ("8.9", false, false),
            ("9.1", true, false),
            ("9.95", true, true),
            ("12.05", true, true),
            ("13.1", true, false),
            ("13.3", false, false),
        ] {
            let record = compare(&configuration("1", &[measured]), Some(&runs));
            assert_eq!(
                (record.inside, record.inside_narrow),
                (Some(inside), Some(narrow)),
                "{measured}"
            );
        }
        let clean = compare(&configuration("0", &["11"]), Some(&runs));
        assert_eq!((clean.inside, clean.random), (None, false));
    }

    #[test]
    fn what_is_not_modelled_or_not_finished_has_no_error_instead_of_none_at_all() {
        let configuration = configuration("1", &["1", "2"]);
        let record = compare(&configuration, None);
        assert_eq!(
            (record.simulated, record.error, record.inside),
            (None, None, None)
        );
        let record = compare(&configuration, Some(&[None, None, Some(Span::from_s(1))]));
        assert_eq!(record.error, None);
        let simulated = record.simulated.unwrap();
        assert_eq!((simulated.unfinished, simulated.median_ns), (2, None));
        assert_eq!(simulated.min_ns, Some(1_000_000_000));
    }
}
