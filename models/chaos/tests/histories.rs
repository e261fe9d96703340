//! Random schedules for the other tests.

use longhaul_chaos::{Action, Direction, Entry, Gradual, Kind, Loses, Recovery, Schedule, Slowdown};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use proptest::prelude::*;

pub const NORMAL: BitRate = BitRate::from_bits_per_s(10_000_000_000);

pub fn percent(percent: u64) -> Probability {
    Probability::from_ratio(percent, 100).expect("at most one hundred")
}

pub fn ms(ms: u64) -> Span {
    Span::from_ms(ms)
}

pub fn kinds() -> impl Strategy<Value = Kind> {
    let chance = || (1..=100_u64).prop_map(percent);
    let directions = prop_oneof![
        Just(Direction::Both),
        Just(Direction::Outbound),
        Just(Direction::Inbound)
    ];
    prop_oneof![
        directions.prop_map(Kind::Partition),
        (1..500_u64, 0..50_u64).prop_map(|(extra, jitter)| Kind::Latency {
            extra: ms(extra),
            jitter: ms(jitter),
        }),
        chance().prop_map(|probability| Kind::Loss { probability }),
        (0..20_000_000_000_u64).prop_map(|rate| Kind::Bandwidth {
            rate: BitRate::from_bits_per_s(rate),
        }),
        (0..3000_u64).prop_map(|restart| Kind::Crash {
            loses: if restart % 2 == 0 {
                Loses::Memory
            } else {
                Loses::Disk
            },
            restart: ms(restart),
        }),
        Just(Kind::DiskFull),
        Just(Kind::DiskFailed),
        (1001..90_000_u32).prop_map(|slowdown| Kind::DiskSlow {
            slowdown: Slowdown(slowdown),
        }),
        chance().prop_map(|share| Kind::MemoryPressure { share }),
        chance().prop_map(|share| Kind::CpuStarvation { share }),
        (1..5_000_i64).prop_map(|ns| Kind::ClockSkew {
            ns: if ns % 2 == 0 { ns } else { -ns }
        }),
        (1..500_000_i64).prop_map(|ppb| Kind::ClockDrift {
            ppb: if ppb % 2 == 0 { ppb } else { -ppb }
        }),
        Just(Kind::DnsFailure),
        Just(Kind::DnsStale),
        chance().prop_map(|probability| Kind::Errors { probability }),
        (chance(), 1..900_u64).prop_map(|(probability, after)| Kind::Timeouts {
            probability,
            after: ms(after)
        }),
        chance().prop_map(|probability| Kind::Panics { probability }),
        (1..900_000_u64).prop_map(|bytes_per_s| Kind::Leak { bytes_per_s }),
        (chance(), 0..90_u64).prop_map(|(probability, extra)| Kind::Gray {
            probability,
            extra: ms(extra)
        }),
        Just(Kind::RegionOutage),
        Just(Kind::SharedRiskOutage),
    ]
}

/// An injection at one of three targets in the first ten seconds, by hand with a recovery or not.
pub fn injections(number: usize) -> impl Strategy<Value = Vec<Entry<u8>>> {
    (0..10_000_u64, 1..5_000_u64, 0..4_u8, 0..3_u8, kinds()).prop_map(
        move |(at, length, how, target, kind)| {
            let fault = format!("f{number}");
            let recovery = match how {
                0 => Recovery::Immediate,
                1 => Recovery::Manual,
                2 if kind.has_magnitude() => Recovery::Gradual(Gradual {
                    steps: 4,
                    step: ms(250),
                }),
                _ => Recovery::Automatic,
            };
            let manual = recovery == Recovery::Manual;
            let mut entries = vec![Entry {
                at: ms(at),
                target,
                fault: fault.clone(),
                action: Action::Inject {
                    kind,
                    duration: (!manual).then_some(ms(length)),
                    recovery,
                },
            }];
            if manual && length.is_multiple_of(2) {
                entries.push(Entry {
                    at: ms(at + length),
                    target,
                    fault,
                    action: Action::Recover,
                });
            }
            entries
        },
    )
}

pub fn schedules(most: usize) -> impl Strategy<Value = Schedule<u8>> {
    let list: Vec<_> = (0..most).map(injections).collect();
    (list, 0..=most).prop_map(|(list, kept)| {
        let entries = list.into_iter().take(kept).flatten().collect();
        Schedule::new(entries).expect("valid entries")
    })
}
