//! The window that a loss rate sustains, against the tables of RFC 9438 section 5 (restated below) and the response
//! functions of Reno.
//!
//! The tables follow from the window law alone with one loss after every 1/p packets. Loss at *exactly* equal
//! distances is no fair test of an implementation in whole segments, though: CUBIC's curve stays for seconds
//! within half a segment of its flat point, so that a whole range of windows comes back to itself, and the one
//! that slow start happened to leave stays for good. One loss per epoch at a distance that varies by a quarter
//! is what the tables are held against; [`equal_distances_keep_the_window_they_began_with`] shows the range.
//!
//! At one loss in a hundred packets the law does not hold for any real TCP: a window of twelve segments pays for
//! the three ACKs that tell of a loss, for the round trip of the repair and for halves of segments.

use std::collections::BTreeSet;

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_tcp::{Config, Controller};

use crate::harness::{Link, Loss, Network, reno};
use crate::window_law;

const RENO: Controller = Controller::Reno;
const CUBIC: Controller = Controller::Cubic;

/// A published mean window.
#[derive(Clone, Copy, Debug)]
struct Cell {
    controller: Controller,
    rtt_ms: u64,
    packets_per_loss: u64,
    /// In segments.
    published: f64,
}

const fn cell(controller: Controller, rtt_ms: u64, packets_per_loss: u64, published: f64) -> Cell {
    Cell {
        controller,
        rtt_ms,
        packets_per_loss,
        published,
    }
}

/// Tables 1 and 2 down to one loss in 10,000, and the cells of table 3 (the loss at which a throughput at 100 ms is
/// sustained, in packets of 1500 B) of that size.
const FREQUENT: [Cell; 10] = [
    cell(RENO, 100, 1_000, 38.0),
    cell(RENO, 100, 10_000, 120.0),
    cell(RENO, 10, 1_000, 38.0),
    cell(RENO, 10, 10_000, 120.0),
    cell(CUBIC, 100, 1_000, 38.0),
    cell(CUBIC, 100, 10_000, 187.0),
    cell(CUBIC, 10, 1_000, 38.0),
    cell(CUBIC, 10, 10_000, 120.0),
    // 10 Mbit/s at 2.0e-4 and 2.9e-4.
    cell(RENO, 100, 5_000, 83.3),
    cell(CUBIC, 100, 3_448, 83.3),
];

/// The same at rarer loss, as far as packets can be simulated one by one in a minute. CUBIC at one loss in a million
/// (5,926 segments) is not among them: it reaches 5,303, 10.5 % less. A distance that varies lets fast convergence act
/// (RFC 9438 section 4.7), which the published function leaves out.
const RARE: [Cell; 7] = [
    cell(RENO, 100, 100_000, 379.0),
    cell(RENO, 100, 1_000_000, 1_200.0),
    cell(CUBIC, 100, 100_000, 1_054.0),
    cell(CUBIC, 10, 100_000, 379.0),
    cell(CUBIC, 10, 1_000_000, 1_200.0),
    // 100 Mbit/s at 1.4e-5.
    cell(CUBIC, 100, 71_429, 833.3),
    cell(RENO, 10, 100_000, 379.0),
];

/// Mean window in segments: what is delivered per round trip in which about `losses` are expected, after 15 more.
fn mean_window(cell: Cell, loss: Loss, losses: u64) -> f64 {
    let config = Config {
        controller: cell.controller,
        hystart: false,
        ..reno()
    };
    let rtt = Span::from_ms(cell.rtt_ms);
    let link = Link {
        loss,
        ..Link::new(None, rtt)
    };
    let rounds = |losses: u64| losses * cell.packets_per_loss / cell.published as u64;
    let (first, last) = (rounds(15), rounds(15 + losses));
    let mut network = Network::new(link, config, config, 1, u64::MAX);
    network.run(rtt * first);
    let before = network.client().tcp.stats().delivered;
    network.run(rtt * last);
    (network.client().tcp.stats().delivered - before) as f64 / (last - first) as f64
}

/// One loss after `packets_per_loss` packets, give or take up to `spread`. The first comes at packet number `first`,
/// while slow start has sent about as much as its window then is.
fn losses(cell: Cell, first: u64, spread: u64) -> Loss {
    let mut stream = Streams::new(1, 0).stream("link", "loss");
    let mut number = first;
    let numbers = (0..120).map(|_| {
        let this = number;
        number += cell.packets_per_loss - spread + stream.below(2 * spread + 1);
        this
    });
    Loss::These(numbers.collect::<BTreeSet<u64>>())
}

fn one_per_epoch(cell: Cell) -> Loss {
    losses(cell, cell.published as u64 + 10, cell.packets_per_loss / 4)
}

fn independent(cell: Cell) -> Loss {
    let probability = Probability::from_ratio(1, cell.packets_per_loss).expect("at most one");
    Loss::Independent(probability, Streams::new(1, 0).stream("link", "loss"))
}

fn assert_within_a_tenth(cells: &[Cell]) {
    for &cell in cells {
        let window = mean_window(cell, one_per_epoch(cell), 60);
        let error = window / cell.published - 1.0;
        println!("{cell:?}: {window:.1} segments, {:+.1} %", 100.0 * error);
        assert!(error.abs() < 0.1, "{cell:?}: {window:.1} segments");
    }
}

#[test]
fn one_loss_per_epoch_sustains_the_published_windows() {
    assert_within_a_tenth(&FREQUENT);
}

/// About a minute:
/// `cargo test --release -p longhaul-tcp --test it -- --ignored --nocapture published_windows_of_rare_loss`
#[test]
#[ignore = "hundreds of millions of packets"]
fn one_loss_per_epoch_sustains_the_published_windows_of_rare_loss() {
    assert_within_a_tenth(&RARE);
}

#[test]
fn a_small_window_pays_for_detection_and_repair() {
    for cell in [
        cell(RENO, 100, 100, 12.0),
        cell(CUBIC, 100, 100, 12.0),
        cell(CUBIC, 10, 100, 12.0),
    ] {
        let window = mean_window(cell, one_per_epoch(cell), 60);
        println!("{cell:?}: {window:.1} segments");
        let share = window / cell.published;
        // Less than the law promises, but no more than a round trip in six and two segments less.
        assert!((0.7..1.0).contains(&share), "{cell:?}: {window:.1} segments");
    }
}

#[test]
fn equal_distances_keep_the_window_they_began_with() {
    let cell = cell(CUBIC, 100, 10_000, 187.0);
    let from_below = mean_window(cell, losses(cell, 100, 0), 60);
    let from_above = mean_window(cell, losses(cell, cell.packets_per_loss, 0), 60);
    println!("{from_below:.1} to {from_above:.1} segments");
    assert!(from_below < 0.95 * cell.published, "{from_below:.1} segments");
    assert!(from_above > 1.05 * cell.published, "{from_above:.1} segments");
}

/// With independent loss the distances between losses are exponential, and the tables no longer apply: Reno sustains
/// 1.31/√p instead of 1.22/√p segments (Ott, Kemperman and Mathis, 1996), CUBIC at 100 ms a sixth more than its tables.
/// So the law itself is played with loss of the same kind.
fn assert_window_of_the_law(cells: &[Cell], losses: u64, tolerance: f64) {
    for &cell in cells {
        let window = mean_window(cell, independent(cell), losses);
        let probability = Probability::from_ratio(1, cell.packets_per_loss).expect("at most one");
        let stream = Streams::new(2, 0).stream("law", "loss");
        let rtt = cell.rtt_ms as f64 / 1e3;
        let law = window_law::mean_window(cell.controller, rtt, probability, losses, stream);
        println!(
            "{cell:?}: {window:.1} segments, law {law:.1} ({:+.1} %), published {:+.1} %",
            100.0 * (window / law - 1.0),
            100.0 * (window / cell.published - 1.0)
        );
        assert!(
            (window / law - 1.0).abs() < tolerance,
            "{cell:?}: {window:.1} segments, law {law:.1}"
        );
    }
}

#[test]
fn independent_loss_sustains_the_window_of_the_law() {
    let thousandth = [
        cell(RENO, 100, 1_000, 38.0),
        cell(CUBIC, 100, 1_000, 38.0),
        cell(CUBIC, 10, 1_000, 38.0),
    ];
    assert_window_of_the_law(&thousandth, 1_000, 0.1);
    // Of twelve segments two go into detection and repair, as above.
    let hundredth = [
        cell(RENO, 100, 100, 12.0),
        cell(CUBIC, 100, 100, 12.0),
        cell(CUBIC, 10, 100, 12.0),
    ];
    assert_window_of_the_law(&hundredth, 2_000, 0.2);
}

/// `cargo test --release -p longhaul-tcp --test it -- --ignored --nocapture rare_independent_loss`: half a minute.
#[test]
#[ignore = "sixty million packets"]
fn rare_independent_loss_sustains_the_window_of_the_law() {
    let cells = [
        cell(RENO, 100, 10_000, 120.0),
        cell(CUBIC, 100, 10_000, 187.0),
        cell(CUBIC, 10, 10_000, 120.0),
    ];
    assert_window_of_the_law(&cells, 1_500, 0.1);
}
