//! The four impact levels, and faults that fade.

use longhaul_chaos::{
    Action, Direction, Entry, Error, Gradual, Impact, Kind, Magnitudes, Overlay, Recovery, Schedule,
};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use proptest::prelude::*;

use crate::histories::{NORMAL, kinds, ms};

#[test]
fn the_levels_have_the_values_of_the_table() {
    let rows: Vec<[u64; 5]> = Impact::ALL
        .into_iter()
        .map(Impact::magnitudes)
        .chain([Magnitudes::named("catastrophic")])
        .map(|level| {
            [
                level.latency.as_ns() / 1_000_000,
                level.jitter.as_ns() / 1_000_000,
                level.loss.as_parts() * 100 / Probability::PARTS,
                level.bandwidth.as_bits_per_s() / 1_000_000,
                level.skew.as_ns() / 1_000_000,
            ]
        })
        .collect();
    let table = [
        [50, 5, 1, 1000, 100],
        [200, 20, 5, 100, 1_000],
        [500, 50, 15, 10, 10_000],
        [2_000, 200, 50, 1, 60_000],
        // What stands for a level that nobody knows.
        [100, 10, 5, 100, 1_000],
    ];
    assert_eq!(rows, table);
    assert_eq!(Magnitudes::named("HIGH"), Impact::High.magnitudes());
}

/// What is felt of a fault of one second that then fades, every second from its end.
fn fading(kind: Kind) -> Vec<longhaul_chaos::Effective> {
    let entry = Entry {
        at: Span::ZERO,
        target: (),
        fault: "fading".to_owned(),
        action: Action::Inject {
            kind,
            duration: Some(Span::from_s(1)),
            recovery: Recovery::Gradual(Gradual::default()),
        },
    };
    let overlay = Overlay::new(&Schedule::new(vec![entry]).expect("valid"));
    (0..7)
        .map(|step| overlay.effective(&(), Span::from_s(1 + 2 * step), NORMAL))
        .collect()
}

#[test]
fn high_latency_fades_in_five_steps() {
    let felt = fading(Impact::High.magnitudes().latency());
    let latencies: Vec<u64> = felt.iter().map(|felt| felt.latency.as_ns() / 1_000_000).collect();
    assert_eq!(latencies, [500, 400, 300, 200, 100, 0, 0]);
    let jitters: Vec<u64> = felt.iter().map(|felt| felt.jitter.as_ns() / 1_000_000).collect();
    assert_eq!(jitters, [50, 40, 30, 20, 10, 0, 0]);
}

#[test]
fn medium_bandwidth_rises_in_five_steps() {
    let felt = fading(Impact::Medium.magnitudes().bandwidth());
    let rates: Vec<Option<u64>> = felt
        .iter()
        .map(|felt| Some(felt.bandwidth?.as_bits_per_s() / 1_000_000))
        .collect();
    let rising = [100, 2080, 4060, 6040, 8020].map(Some);
    assert_eq!(rates[..5], rising);
    assert_eq!(rates[5..], [None, None]);
}

#[test]
fn what_is_there_or_not_cannot_fade() {
    for kind in [
        Kind::Partition(Direction::Both),
        Kind::DiskFull,
        Kind::RegionOutage,
    ] {
        let recovery = Recovery::Gradual(Gradual::default());
        assert_eq!(recovery.check(&kind), Err(Error::NotGradual(kind.name())));
    }
    let loss = Impact::Low.magnitudes().loss();
    for (steps, step) in [(0, ms(1)), (1, Span::ZERO), (101, ms(1))] {
        let recovery = Recovery::Gradual(Gradual { steps, step });
        assert_eq!(recovery.check(&loss), Err(Error::NoSteps));
    }
}

/// The magnitudes of a kind, larger where it is stronger.
fn magnitudes(kind: &Kind) -> Vec<u64> {
    match *kind {
        Kind::Latency { extra, jitter } => vec![extra.as_ns(), jitter.as_ns()],
        Kind::Loss { probability }
        | Kind::Errors { probability }
        | Kind::Panics { probability }
        | Kind::Timeouts { probability, .. } => vec![probability.as_parts()],
        Kind::Bandwidth { rate } => vec![u64::MAX - rate.as_bits_per_s()],
        Kind::DiskSlow { slowdown } => vec![u64::from(slowdown.0)],
        Kind::MemoryPressure { share } | Kind::CpuStarvation { share } => vec![share.as_parts()],
        Kind::ClockSkew { ns } => vec![ns.unsigned_abs()],
        Kind::ClockDrift { ppb } => vec![ppb.unsigned_abs()],
        Kind::Leak { bytes_per_s } => vec![bytes_per_s],
        Kind::Gray { probability, extra } => vec![probability.as_parts(), extra.as_ns()],
        _ => vec![1],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn less_of_a_fault_is_never_more(kind in kinds(), whole in 1..200_u32, part in 0..200_u32, normal in any::<u32>()) {
        let normal = BitRate::from_bits_per_s(u64::from(normal) * 5);
        prop_assert_eq!(kind.scaled(0, whole, normal), None);
        prop_assert_eq!(kind.scaled(whole, whole, normal), Some(kind));
        let part = part.min(whole);
        let (more, less) = (kind.scaled(part, whole, normal), kind.scaled(part.saturating_sub(1), whole, normal));
        if let Some(less) = less {
            let more = more.expect("more than something is something");
            prop_assert_eq!(more.name(), less.name());
            for (more, less) in magnitudes(&more).into_iter().zip(magnitudes(&less)) {
                prop_assert!(more >= less);
            }
            prop_assert!(less.check().is_ok());
        }
    }
}
