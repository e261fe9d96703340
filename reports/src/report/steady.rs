//! The long run: means of time series once the warm-up is cut off, with intervals from batches of one run.
//!
//! Only who made the scenario knows that it is about the long run, so this is made when it is asked for, and refused of a
//! run that ended by itself.

use longhaul_core::record::Ended;
use longhaul_statistics::{Horizon, Level, StatisticsError, SteadyState};

use super::ReportError;
use super::load::Story;
use super::series::Track;
use crate::console::{Note, Section};
use crate::human;
use crate::table::{Align, Table};

/// How a value is said.
type Words = fn(f64) -> String;

fn bits(value: f64) -> String {
    human::rate((value * 8.0).round() as u64)
}

fn bytes(value: f64) -> String {
    human::bytes(value.round() as u64)
}

fn span(value: f64) -> String {
    human::span(value.round() as u64)
}

fn each_second(value: f64) -> String {
    format!("{}/s", number(value))
}

fn number(value: f64) -> String {
    let decimals = [100.0, 10.0, 1.0].iter().filter(|size| value < **size).count();
    format!("{value:.decimals$}")
}

/// What has a long run: the quantity of the series, its name, and how it is said.
const QUANTITIES: [(&str, &str, Words); 10] = [
    ("delivered_bytes", "throughput", bits),
    ("queue_bytes", "queue", bytes),
    ("received_bytes", "goodput", bits),
    ("received_datagrams", "datagrams", each_second),
    ("requests_succeeded", "requests in time", each_second),
    ("attempts", "attempts", each_second),
    ("requests_queued", "waiting requests", number),
    ("recovery_point_ns", "recovery point", span),
    ("waiting_changes", "waiting changes", number),
    ("rtt_mean_ns", "round trip by probes", span),
];

/// The table of what the run was like in the long run.
///
/// # Errors
/// [`ReportError::Terminating`].
pub(super) fn section(story: &Story) -> Result<Section, ReportError> {
    if story.record.ended == Ended::Done {
        return Err(ReportError::Terminating {
            at: human::span(story.record.simulated_ns),
        });
    }
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    for (metric, name, words) in QUANTITIES {
        for track in story.series.of(metric) {
            let entity = human::printable(&track.entity.replace("->", " → "));
            match row(track, words) {
                Ok(cells) => {
                    let name = format!("{name} of {entity}");
                    rows.push([name].into_iter().chain(cells).collect());
                }
                Err(why) => notes.push(Note {
                    status: "no mean",
                    text: format!("{name} of {entity}: {why}"),
                }),
            }
        }
    }
    let columns = vec![
        ("series", Align::Left),
        ("warm-up", Align::Right),
        ("n", Align::Right),
        ("mean", Align::Right),
        ("95 % interval", Align::Right),
    ];
    notes.insert(
        0,
        Note {
            status: "method",
            text: "the warm-up by MSER-5, the interval by the means of 40 batches of what follows it (Law and Carson, \
                   1979); n counts samples of one run"
                .to_owned(),
        },
    );
    Ok(Section {
        heading: "Steady state",
        table: Table {
            columns,
            name_column: 0,
            rows,
        },
        notes,
    })
}

fn row(track: &Track, words: Words) -> Result<[String; 4], StatisticsError> {
    let whole = SteadyState::new(Horizon::SteadyState, &track.values)?;
    let cut = whole.mser5()?.deleted;
    let kept = SteadyState::new(Horizon::SteadyState, &track.values[cut..])?;
    let interval = kept.batch_means(Level::P95)?.interval;
    let warm_up = if cut == 0 {
        "none".to_owned()
    } else {
        format!("{} samples", human::count(cut as u64))
    };
    Ok([
        warm_up,
        human::count((track.values.len() - cut) as u64),
        words(interval.estimate),
        // What cannot be below zero is not said to be.
        format!("{} to {}", words(interval.low.max(0.0)), words(interval.high)),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::series::Way;
    use super::*;

    /// Values of which no neighbour tells anything (the finaliser of SplitMix64).
    fn noise(place: u64) -> u64 {
        let mixed = (place ^ (place >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 100
    }

    fn track(values: impl Iterator<Item = u64>) -> Track {
        let mut track = Track::new("shop", "requests_queued", Way::Level);
        for (second, value) in values.enumerate() {
            track.sample(second as u64 * 1_000_000_000, value, u64::MAX);
        }
        track
    }

    #[test]
    fn the_warm_up_is_cut_off_and_the_mean_is_that_of_what_follows() {
        let begin = (0..50).map(|place| 5_000 - place * 100);
        let cells = row(&track(begin.chain((0..1_009).map(noise))), number).unwrap();
        assert_eq!(cells[0], "50 samples");
        assert_eq!(cells[1], "1,009");
        let truth = (0..1_009).map(noise).sum::<u64>() as f64 / 1_009.0;
        let mean: f64 = cells[2].parse().unwrap();
        // 9 values at the start are left out, so that all batches have one size.
        assert!((mean - truth).abs() < 0.5, "{mean} {truth}");
        let ends: Vec<f64> = cells[3].split(" to ").map(|end| end.parse().unwrap()).collect();
        assert!(
            ends[0] < truth && truth < ends[1] && ends[1] - ends[0] < 8.0,
            "{ends:?}"
        );
    }

    #[test]
    fn a_run_that_is_too_short_has_no_mean() {
        let why = |values: u64| {
            row(&track((0..values).map(noise)), number)
                .unwrap_err()
                .to_string()
        };
        assert!(
            why(20).contains("MSER-5") && why(200).contains("batch means"),
            "{}",
            why(200)
        );
        let rises = track(0..1_000);
        assert!(row(&rises, number).unwrap_err().to_string().contains("too short"));
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([0.123, 12.34, 123.4].map(number), ["0.123", "12.3", "123"]);
    }
}
