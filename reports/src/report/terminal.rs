//! A report for those who have only a terminal: the course of the run in sparklines, and one distribution.

use std::fmt::Write as _;

use longhaul_core::record::QuantileRecord;

use super::load::Story;
use super::series::Track;
use crate::console::{self, Style};
use crate::human;
use crate::wrap::wrap;

/// What a terminal can show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signs {
    /// Blocks of Unicode.
    Blocks,
    /// ASCII alone.
    Ascii,
}

impl Signs {
    /// From low to high.
    fn levels(self) -> &'static [char] {
        match self {
            Signs::Blocks => &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            Signs::Ascii => &['_', '.', '-', '=', '+', '*', '#', '@'],
        }
    }

    /// Words in which arrows and dashes are what the terminal has.
    fn words(self, text: &str) -> String {
        match self {
            Signs::Blocks => text.to_owned(),
            Signs::Ascii => text
                .chars()
                .map(|c| match c {
                    '→' | '↔' => "->".to_owned(),
                    '≤' => "<=".to_owned(),
                    '≥' => ">=".to_owned(),
                    '–' | '—' | '−' | '─' => "-".to_owned(),
                    '×' => "x".to_owned(),
                    '…' => ".".to_owned(),
                    'µ' => "u".to_owned(),
                    c if c.is_ascii() => c.to_string(),
                    _ => "?".to_owned(),
                })
                .collect(),
        }
    }
}

/// Lines of values over the run, in columns of equal time: the highest of each. A column without a value between two that
/// have one shows what was before it; the others are blank.
pub(super) fn sparkline(points: &[(f64, f64)], end: f64, columns: usize, signs: Signs) -> String {
    let mut highest: Vec<Option<f64>> = vec![None; columns];
    for &(at, value) in points {
        let column = ((at / end.max(1e-12)) * columns as f64) as usize;
        let of = &mut highest[column.min(columns.saturating_sub(1))];
        *of = Some(of.map_or(value, |most| most.max(value)));
    }
    let most = highest
        .iter()
        .flatten()
        .fold(0.0_f64, |most, value| most.max(*value));
    let last = highest.iter().rposition(Option::is_some).unwrap_or(0);
    let levels = signs.levels();
    let level = |value: f64| {
        let share = if most > 0.0 { value / most } else { 0.0 };
        // Below the number of levels.
        levels[((share * levels.len() as f64) as usize).min(levels.len() - 1)]
    };
    let mut before = None;
    let sign = |(column, value): (usize, Option<f64>)| {
        before = value.or(before);
        before.filter(|_| column <= last).map_or(' ', level)
    };
    highest.into_iter().enumerate().map(sign).collect()
}

/// How a value is said.
type Words = fn(f64) -> String;

/// The report: verdict, sparklines with their highest values, faults below the time that they struck, and a distribution.
pub fn terminal(story: &Story, style: Style, signs: Signs) -> String {
    let width = usize::from(style.columns()).min(120);
    let mut text = console::verdict(&story.record, style);
    let end = story.record.simulated_ns as f64 / 1e9;
    const NAME: usize = 24;
    const MOST: usize = 16;
    let columns = width.saturating_sub(NAME + MOST + 2).max(8);
    let groups: [(&str, &str, Words); 8] = [
        ("throughput of links", "delivered_bytes", |value| {
            human::rate((value * 8.0) as u64)
        }),
        ("goodput of transfers", "received_bytes", |value| {
            human::rate((value * 8.0) as u64)
        }),
        ("requests in time", "requests_succeeded", |value| {
            format!("{value:.1}/s")
        }),
        ("datagrams", "received_datagrams", |value| format!("{value:.1}/s")),
        ("memory not yet handed on", "remaining_bytes", |value| {
            human::bytes(value as u64)
        }),
        ("recovery point", "recovery_point_ns", |value| {
            human::span(value as u64)
        }),
        ("waiting changes", "waiting_changes", |value| {
            human::count(value as u64)
        }),
        ("round trips of paths", "rtt_mean_ns", |value| {
            human::span(value as u64)
        }),
    ];
    for (heading, metric, words) in groups {
        let tracks: Vec<&Track> = story.series.of(metric).collect();
        if tracks.is_empty() {
            continue;
        }
        let left_out = story.series.entities(metric).saturating_sub(tracks.len() as u64);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\n{heading}, 0 to {}, and the most",
            human::span(story.record.simulated_ns)
        );
        for track in tracks {
            let name = fit(&human::printable(&track.entity.replace("->", " → ")), NAME);
            let line = sparkline(&track.points, end, columns, signs);
            let most = track.points.iter().map(|point| point.1).fold(0.0, f64::max);
            let _ = writeln!(text, "{name} {line} {}", words(most));
        }
        if left_out > 0 {
            let _ = writeln!(text, "… and {} more", human::count(left_out));
        }
        let faults = strip(story, columns, signs);
        if !faults.trim().is_empty() {
            let _ = writeln!(text, "{} {}", fit("faults", NAME), faults.trim_end());
        }
    }
    // One that varies tells more than one that does not.
    let spread = |track: &&Track| {
        let values = || track.values.iter().copied();
        values().fold(0.0, f64::max) - values().fold(f64::INFINITY, f64::min)
    };
    let widest = ["recovery_point_ns", "rtt_mean_ns"]
        .into_iter()
        .find_map(|metric| {
            let tracks = story.series.of(metric).filter(|track| track.n >= 20);
            tracks.max_by(|one, other| spread(one).total_cmp(&spread(other)))
        });
    if let Some(track) = widest {
        distribution(&mut text, track, width, signs);
    }
    latencies(&mut text, story, width, signs);
    if let Some(section) = &story.steady_state {
        text.push_str(&console::section(section, style));
    }
    signs.words(&text)
}

/// Exactly so many characters.
fn fit(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count <= width {
        return format!("{name}{}", " ".repeat(width - count));
    }
    let short: String = name.chars().take(width - 1).collect();
    format!("{short}…")
}

fn strip(story: &Story, columns: usize, signs: Signs) -> String {
    let end = story.record.simulated_ns.max(1);
    // At most `columns - 1`.
    let column = |at: u64| (u128::from(at) * columns as u128 / u128::from(end)) as usize;
    let sign = if signs == Signs::Blocks { '×' } else { 'x' };
    (0..columns)
        .map(|here| {
            let struck = story
                .events
                .outages
                .iter()
                .any(|of| (column(of.from_ns)..=column(of.to_ns)).contains(&here));
            if struck { sign } else { ' ' }
        })
        .collect()
}

/// A CDF lying down: for shares from 10 % to the last the value that is not exceeded, as a bar.
fn distribution(text: &mut String, track: &Track, width: usize, signs: Signs) {
    let mut sorted = track.values.clone();
    sorted.sort_by(f64::total_cmp);
    let quantity = if track.metric == "rtt_mean_ns" {
        "round trip"
    } else {
        "recovery point"
    };
    let name = human::printable(&track.entity.replace("->", " → "));
    let _ = writeln!(
        text,
        "\n{quantity} of {name}: values not exceeded (n = {} samples of one run)",
        track.n
    );
    let rare = [(0.999, "p99.9")].into_iter().filter(|_| sorted.len() >= 10_000);
    let common = [
        (0.1, "p10"),
        (0.25, "p25"),
        (0.5, "p50"),
        (0.75, "p75"),
        (0.9, "p90"),
        (0.95, "p95"),
        (0.99, "p99"),
    ];
    // A quantile of fewer than ten values beyond it is noise.
    let known = |of: &(f64, &str)| sorted.len() as f64 * (1.0 - of.0) >= 10.0 || of.0 <= 0.5;
    let shares = common.into_iter().filter(known).chain(rare).chain([(1.0, "max")]);
    let bars = shares.map(|(share, label)| {
        let place = (share * (sorted.len() - 1) as f64).round() as usize;
        (label.to_owned(), sorted[place.min(sorted.len() - 1)] as u64)
    });
    bar_chart(text, bars.collect(), width, signs);
}

/// The latencies of the client that got the fewest answers, or the slowest: quantiles of all its requests, of which those
/// without an answer are the slowest.
fn latencies(text: &mut String, story: &Story, width: usize, signs: Signs) {
    let clients = story.record.clients.iter().filter(|client| client.started > 0);
    let worst = clients.max_by_key(|client| {
        let unanswered = u128::from(client.unanswered()) * 1_000 / u128::from(client.started);
        let slowest = client.request_quantiles.last().map_or(0, |last| last.value_ns);
        (unanswered, slowest)
    });
    let Some(client) = worst else {
        return;
    };
    let heading = format!(
        "latency of {}, not exceeded by its requests (n = {}), of which {} failed or had no answer yet",
        human::printable(&client.name),
        human::count(client.started),
        human::count(client.unanswered())
    );
    let _ = writeln!(text, "\n{}", wrap(&heading, width, 2).join("\n"));
    // A page draws all of them; a terminal has room for those that people ask for.
    let asked = [
        100_000, 500_000, 750_000, 900_000, 950_000, 990_000, 999_000, 999_900,
    ];
    let told = client.request_quantiles.iter();
    let told = told.filter(|of| asked.contains(&of.share_parts));
    let bars = told.map(|of| {
        let percent = f64::from(of.share_parts) * 100.0 / f64::from(QuantileRecord::PARTS);
        (format!("p{percent}"), of.value_ns)
    });
    bar_chart(text, bars.collect(), width, signs);
}

/// Spans as bars below each other.
fn bar_chart(text: &mut String, bars: Vec<(String, u64)>, width: usize, signs: Signs) {
    let most = bars.iter().map(|bar| bar.1).max().unwrap_or(0).max(1);
    let room = width.saturating_sub(28).max(8);
    let sign = if signs == Signs::Blocks { '█' } else { '#' };
    for (label, ns) in bars {
        let length = (ns as f64 / most as f64 * room as f64).round() as usize;
        let bar: String = std::iter::repeat_n(sign, length).collect();
        let _ = writeln!(text, "{label:>8} {bar} {}", human::span(ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparklines_rise_with_the_values_and_go_on_between_them() {
        let points = [(0.5, 0.0), (1.5, 5.0), (3.5, 10.0)];
        assert_eq!(sparkline(&points, 4.0, 4, Signs::Blocks), "▁▅▅█");
        assert_eq!(sparkline(&points, 4.0, 4, Signs::Ascii), "_++@");
        assert_eq!(sparkline(&points[1..2], 4.0, 4, Signs::Ascii), " @  ");
        assert_eq!(sparkline(&[], 4.0, 4, Signs::Ascii), "    ");
        assert_eq!(fit("ab", 4), "ab  ");
        assert_eq!(fit("abcdef", 4), "abc…");
    }
}
