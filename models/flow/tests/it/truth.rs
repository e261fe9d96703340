//! Against a real kernel: `transfers.csv` holds transfers that Linux 6.1 made through `tc netem`.
//!
//! ```text
//! cargo test --release -p longhaul-flow --test it -- --ignored --nocapture truth
//! ```
//! reads `transfers.csv` in `$LONGHAUL_TRUTH` (default `../shared/truth` beside the repository) and skips with a note
//! where that is absent. `TRUTH_VERBOSE=1` prints a line per configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::link::{LinkSpec, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_tcp::{Config, Controller};

use crate::lab::{CUBIC, FlowLab, Transfer, pair, quantile};

/// What the measuring machine itself adds to each way, as for the packets' test.
const HOST: Span = Span::from_us(23);
/// Runs of each lossy configuration.
const SEEDS: u32 = 21;

/// One configuration and what the kernel needed.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    rtt: Span,
    rate_mbit: u64,
    /// In 10^-4.
    loss_permyriad: u64,
    loss_model: String,
    jitter: Span,
    controller: Controller,
    streams: u64,
    bytes: u64,
    limit: u32,
    default_buffers: bool,
    completion_s: Vec<f64>,
    retransmits: Vec<f64>,
}

fn shared() -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the measurements lie, not what the model does"
    )]
    let root = std::env::var_os("LONGHAUL_TRUTH");
    root.map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/truth"),
        PathBuf::from,
    )
}

fn is_verbose() -> bool {
    #[expect(clippy::disallowed_methods, reason = "how much to print")]
    std::env::var_os("TRUTH_VERBOSE").is_some()
}

fn read_cases() -> Option<Vec<Case>> {
    let path = shared().join("transfers.csv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split(',').collect();
    let mut cases: BTreeMap<u32, Case> = BTreeMap::new();
    for line in lines {
        let row: BTreeMap<&str, &str> = names.iter().copied().zip(line.split(',')).collect();
        let number = |name: &str| row[name].parse::<f64>().expect("a number");
        let config = number("config") as u32;
        let case = cases.entry(config).or_insert_with(|| Case {
            name: config.to_string(),
            rtt: Span::from_us((number("rtt_ms") * 1e3) as u64),
            rate_mbit: number("rate_mbit") as u64,
            loss_permyriad: (number("loss_percent") * 100.0).round() as u64,
            loss_model: row["loss_model"].to_owned(),
            jitter: Span::from_us((number("jitter_ms") * 1e3) as u64),
            controller: match row["controller"] {
                "reno" => Controller::Reno,
                "cubic" => Controller::Cubic,
                "bbr" => Controller::Bbr,
                other => panic!("controller {other}"),
            },
            streams: number("streams") as u64,
            bytes: number("bytes") as u64,
            limit: number("netem_limit") as u32,
            default_buffers: row["buffers"] == "default",
            completion_s: Vec::new(),
            retransmits: Vec::new(),
        });
        case.completion_s.push(number("completion_s"));
        case.retransmits.push(number("retransmits"));
    }
    Some(cases.into_values().collect())
}

impl Case {
    fn link(&self) -> LinkSpec {
        let mean = Probability::from_ratio(self.loss_permyriad, 10_000).expect("at most one");
        LinkSpec {
            loss: match self.loss_model.as_str() {
                _ if self.loss_permyriad == 0 => Loss::None,
                "iid" => Loss::Independent(mean),
                _ => Loss::GilbertElliott {
                    mean,
                    burst_packets: 4,
                },
            },
            ..LinkSpec::fifo(
                BitRate::from_bits_per_s(self.rate_mbit * 1_000_000),
                self.rtt / 2 + HOST,
                QueueLimit::Inside(self.limit),
            )
        }
    }

    fn run(&self, seed: u32) -> f64 {
        let (send_buffer, receive_buffer) = if self.default_buffers {
            (4 << 20, 3 << 20)
        } else {
            (256 << 20, 128 << 20)
        };
        let config = Config {
            controller: self.controller,
            send_buffer,
            receive_buffer,
            segmentation_offload: true,
            ..CUBIC
        };
        let transfer = Transfer::new(0, 1, self.bytes / self.streams, config);
        let mut lab = FlowLab::new(7, seed, 2, &pair(0, 1, &self.link()));
        lab.run(
            &vec![transfer; usize::try_from(self.streams).expect("few")],
            Span::from_s(7200),
        );
        let seconds = lab.transfers.iter().map(Transfer::seconds);
        seconds.fold(0.0, f64::max)
    }

    /// Round trips of the whole transfer, as the kernel made it.
    fn round_trips(&self) -> f64 {
        quantile(&mut self.completion_s.clone(), 0.5) / self.rtt.as_s_f64()
    }
}

/// Prints errors of completion time by class and returns the median and the 90th percentile of the cases that
/// `pick` picks.
fn compare(pick: impl Fn(&Case) -> bool) -> Option<(f64, f64)> {
    let cases = read_cases()?;
    let mut classes: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for case in cases.iter().filter(|case| pick(case)) {
        let seeds = if case.loss_permyriad == 0 { 1 } else { SEEDS };
        let mut ours: Vec<f64> = (0..seeds).map(|seed| case.run(seed)).collect();
        let ours = quantile(&mut ours, 0.5);
        let theirs = quantile(&mut case.completion_s.clone(), 0.5);
        let error = ours / theirs - 1.0;
        if is_verbose() {
            println!(
                "{:>4} {:>4} ms {:>4} Mbit/s loss {:>5.2} % {:8} jitter {:>6} us {:?} x{:<2} {:>9} B limit {:>5} {}: \
                 linux {:9.4} ours {:9.4} error {:+7.1} %  resent {}",
                case.name,
                case.rtt.as_ns() / 1_000_000,
                case.rate_mbit,
                case.loss_permyriad as f64 / 100.0,
                case.loss_model,
                case.jitter.as_ns() / 1000,
                case.controller,
                case.streams,
                case.bytes,
                case.limit,
                if case.default_buffers { "default" } else { "big" },
                theirs,
                ours,
                error * 100.0,
                quantile(&mut case.retransmits.clone(), 0.5),
            );
        }
        let loss = match case.loss_permyriad {
            0 => "loss-free",
            1..=10 => "loss to 0.1 %",
            11..=100 => "loss to 1 %",
            _ => "loss to 5 %",
        };
        let streams = if case.streams > 1 { "several" } else { "one" };
        for class in [
            "all".to_owned(),
            format!("{:?}", case.controller),
            format!("{:?}, {loss}", case.controller),
            format!("{loss}, {streams}"),
        ] {
            classes.entry(class).or_default().push(error.abs());
        }
    }
    println!("{:32} {:>5} {:>9} {:>9}", "class", "n", "median", "90th");
    for (class, errors) in &mut classes {
        println!(
            "{class:32} {:>5} {:>8.1} % {:>7.1} %",
            errors.len(),
            quantile(errors, 0.5) * 100.0,
            quantile(errors, 0.9) * 100.0
        );
    }
    let all = classes.get_mut("all").expect("a case");
    Some((quantile(all, 0.5), quantile(all, 0.9)))
}

#[test]
#[ignore = "needs the measurements and a release build"]
fn truth_of_ten_round_trips_and_more() {
    let pick = |case: &Case| case.jitter == Span::ZERO && case.round_trips() >= 10.0;
    if let Some((median, high)) = compare(pick) {
        assert!(median <= 0.08, "median error {median}");
        // Bursty loss shared by several streams is what lies beyond a quarter: each stream has its own law here.
        assert!(high <= 0.35, "90th percentile {high}");
    }
}

#[test]
#[ignore = "needs the measurements and a release build"]
fn truth_of_short_transfers_for_information() {
    compare(|case| case.jitter == Span::ZERO && case.round_trips() < 10.0);
}

#[test]
#[ignore = "needs the measurements and a release build"]
fn truth_with_jitter_for_information() {
    compare(|case| case.jitter > Span::ZERO);
}
