//! Against a real kernel: `transfers.csv` holds transfers that Linux 6.1 made through `tc netem`.
//!
//! ```text
//! cargo test --release -p longhaul-tcp --test it -- --ignored --nocapture truth
//! ```
//! reads `transfers.csv` in `$LONGHAUL_TRUTH` (default `../shared/truth` beside the repository) and skips with a note where that is absent.
//! `TRUTH_VERBOSE=1` prints a line per configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_tcp::{Config, Controller};

use crate::harness::{Link, Loss, Network};

/// What the measuring machine itself adds to each way: `handshake_s` exceeds the RTT by 46 µs and the time of the
/// SYN on the wire.
const HOST: Span = Span::from_us(23);
/// What its application takes for one step, from run to run a little more: with several streams the shares of a
/// full queue depend on who comes first, and that is chance.
const STEP: Span = Span::from_us(20);
const MORE_STEP: Span = Span::from_ns(300);
/// Runs of each lossy or jittery configuration.
const SEEDS: u32 = 33;
/// Runs of other configurations with several streams.
const ORDERS: u32 = 9;

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
    controller: Option<Controller>,
    streams: u64,
    bytes: u64,
    limit: usize,
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

fn is_set(name: &str) -> bool {
    #[expect(clippy::disallowed_methods, reason = "how much to print")]
    std::env::var_os(name).is_some()
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
                "reno" => Some(Controller::Reno),
                "cubic" => Some(Controller::Cubic),
                "bbr" => Some(Controller::Bbr),
                _ => None,
            },
            streams: number("streams") as u64,
            bytes: number("bytes") as u64,
            limit: number("netem_limit") as usize,
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
    fn loss(&self, streams: &Streams) -> Loss {
        let mean = Probability::from_ratio(self.loss_permyriad, 10_000).expect("at most one");
        let stream = streams.stream("forward", "loss");
        match self.loss_model.as_str() {
            _ if self.loss_permyriad == 0 => Loss::None,
            "iid" => Loss::Independent(mean, stream),
            _ => Loss::Bursts {
                // Mean burst 4 packets: r = 1/4, p = m·r/(1 - m).
                worse: Probability::from_ratio(self.loss_permyriad, 4 * (10_000 - self.loss_permyriad))
                    .expect("at most one"),
                better: Probability::from_ratio(1, 4).expect("at most one"),
                bad: false,
                stream,
            },
        }
    }

    fn run(&self, seed: u32, offload: bool) -> (f64, f64) {
        let streams = Streams::new(7, seed);
        let jitter = (self.jitter > Span::ZERO).then(|| (self.jitter, streams.stream("forward", "jitter")));
        let link = Link {
            delay: self.rtt / 2 + HOST,
            limit: self.limit,
            tells: true,
            loss: self.loss(&streams),
            jitter,
            ..Link::new(Some(self.rate_mbit), self.rtt)
        };
        let (send_buffer, receive_buffer) = if self.default_buffers {
            (4 << 20, 3 << 20)
        } else {
            (256 << 20, 128 << 20)
        };
        let config = Config {
            controller: self
                .controller
                .expect("only controllers that are modelled are run"),
            send_buffer,
            receive_buffer,
            segmentation_offload: offload,
            seed: u64::from(seed) << 32,
            ..Config::default()
        };
        let mut network = Network::new(link, config, config, self.streams, self.bytes)
            .with_steps(STEP + MORE_STEP * u64::from(seed));
        network.run(Span::from_s(3600));
        // A long burst of losses can outlast TCP's patience.
        let completion = network
            .completion()
            .map_or(f64::INFINITY, |end| end.as_ns() as f64 / 1e9);
        let retransmits: u64 = network
            .pairs
            .iter()
            .map(|pair| pair[0].tcp.stats().retransmits)
            .sum();
        (completion, retransmits as f64)
    }
}

fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() - 1) as f64 * q;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    values[low] + (values[high] - values[low]) * (place - place.floor())
}

/// How far two samples lie apart, in standard deviations of the rank sum (Mann and Whitney): beyond 3 chance is
/// no explanation.
fn rank_distance(ours: &[f64], theirs: &[f64]) -> f64 {
    let (n, m) = (ours.len() as f64, theirs.len() as f64);
    let below = |x: f64| {
        let share = |y: &f64| match y.total_cmp(&x) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        };
        theirs.iter().map(share).sum::<f64>()
    };
    let wins: f64 = ours.iter().map(|&x| below(x)).sum();
    (wins - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

/// What one comparison of many configurations has shown.
#[derive(Default)]
struct Summary {
    /// Absolute relative errors of the median completion time, by class.
    errors: BTreeMap<String, Vec<f64>>,
    /// Configurations with random draws, and those whose measured median lies between the simulated quartiles
    /// widened by a tenth of themselves.
    random: u32,
    within_quartiles: u32,
}

impl Summary {
    fn quantile(&mut self, class: &str, q: f64) -> f64 {
        quantile(self.errors.get_mut(class).expect("a class with members"), q)
    }

    fn share_within_quartiles(&self) -> f64 {
        f64::from(self.within_quartiles) / f64::from(self.random)
    }

    fn add(&mut self, case: &Case, offload: bool) {
        // BBR draws by itself, too.
        let random =
            case.loss_permyriad > 0 || case.jitter > Span::ZERO || case.controller == Some(Controller::Bbr);
        let seeds = match case.streams {
            _ if random => SEEDS,
            1 => 1,
            _ => ORDERS,
        };
        let (mut sample, mut resent): (Vec<f64>, Vec<f64>) =
            (0..seeds).map(|seed| case.run(seed, offload)).unzip();
        let ours = quantile(&mut sample, 0.5);
        let theirs = quantile(&mut case.completion_s.clone(), 0.5);
        let (low, high) = (
            quantile(&mut sample, 0.25) * 0.9,
            quantile(&mut sample, 0.75) * 1.1,
        );
        let within = (low..=high).contains(&theirs);
        let error = ours / theirs - 1.0;
        if is_set("TRUTH_VERBOSE") {
            println!(
                "{:>4} {:>4} ms {:>4} Mbit/s loss {:>5.2} % {:8} jitter {:>6} us {:?} x{:<2} {:>9} B limit {:>5} {}: \
                 linux {:9.4} ours {:9.4} error {:+7.1} %  ranks {:+5.1} {}  resent {} / {}",
                case.name,
                case.rtt.as_ns() / 1_000_000,
                case.rate_mbit,
                case.loss_permyriad as f64 / 100.0,
                case.loss_model,
                case.jitter.as_ns() / 1000,
                case.controller.expect("filtered"),
                case.streams,
                case.bytes,
                case.limit,
                if case.default_buffers { "default" } else { "big" },
                theirs,
                ours,
                error * 100.0,
                rank_distance(&sample, &case.completion_s),
                if within { "in " } else { "out" },
                quantile(&mut case.retransmits.clone(), 0.5),
                quantile(&mut resent, 0.5),
            );
        }
        self.random += u32::from(random);
        self.within_quartiles += u32::from(random && within);
        let loss = match case.loss_permyriad {
            0 => "loss-free",
            1..=10 => "loss to 0.1 %",
            11..=100 => "loss to 1 %",
            _ => "loss to 5 %",
        };
        let controller = format!("{:?}", case.controller.expect("filtered"));
        for class in [
            "all".to_owned(),
            loss.to_owned(),
            format!("{controller}, {loss}"),
            controller,
            format!("{loss}, {}", size(case.bytes)),
        ] {
            self.errors.entry(class).or_default().push(error.abs());
        }
    }

    fn print(&mut self) {
        println!(
            "{:32} {:>5} {:>9} {:>9} {:>9}",
            "class", "n", "median", "90th", "largest"
        );
        for (class, errors) in &mut self.errors {
            let mut at = |q| quantile(errors, q) * 100.0;
            let (median, high, largest) = (at(0.5), at(0.9), at(1.0));
            println!(
                "{class:32} {:>5} {median:>7.1} % {high:>7.1} % {largest:>7.1} %",
                errors.len(),
            );
        }
        println!(
            "measured median within the simulated quartiles, widened by 10 %: {} of {}",
            self.within_quartiles, self.random
        );
    }
}

/// Compares all configurations with or without jitter, and prints the errors by class.
fn compare(jitter: bool, offload: bool) -> Option<Summary> {
    let cases = read_cases()?;
    let mut summary = Summary::default();
    for case in cases.iter().filter(|case| case.controller.is_some()) {
        if (case.jitter > Span::ZERO) == jitter {
            summary.add(case, offload);
        }
    }
    summary.print();
    Some(summary)
}

fn size(bytes: u64) -> &'static str {
    match bytes {
        0..1_000_000 => "0.1 MB",
        1_000_000..10_000_000 => "1 MB",
        _ => "10 MB and more",
    }
}

#[test]
#[ignore = "needs the measurements and a release build"]
fn completion_times_without_jitter_are_those_of_linux() {
    if let Some(mut summary) = compare(false, true) {
        let (median, high) = (summary.quantile("all", 0.5), summary.quantile("all", 0.9));
        assert!(median <= 0.015, "median error {median}");
        assert!(high <= 0.12, "90th percentile of the errors {high}");
        let (median, high) = (
            summary.quantile("loss-free", 0.5),
            summary.quantile("loss-free", 0.9),
        );
        assert!(median <= 0.005, "median error without loss {median}");
        assert!(high <= 0.03, "90th percentile of the errors without loss {high}");
        let share = summary.share_within_quartiles();
        assert!(
            share >= 0.93,
            "{share} of the configurations within the quartiles"
        );
    }
}

#[test]
#[ignore = "needs the measurements and a release build"]
fn completion_times_with_jitter_are_those_of_linux() {
    if let Some(mut summary) = compare(true, true) {
        let median = summary.quantile("all", 0.5);
        assert!(median <= 0.015, "median error {median}");
        let high = summary.quantile("loss-free", 0.9);
        assert!(high <= 0.03, "90th percentile of the errors without loss {high}");
        let share = summary.share_within_quartiles();
        assert!(share >= 0.9, "{share} of the configurations within the quartiles");
    }
}

#[test]
#[ignore = "needs the measurements and a release build"]
fn completion_times_without_offload_for_information() {
    compare(false, false);
}
