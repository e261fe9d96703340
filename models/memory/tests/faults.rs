//! A guest that moves, and one that runs while pages are missing.

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{ByteSize, Probability};
use longhaul_memory::bitmap::DirtyBitmap;
use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
use longhaul_memory::images::{Image, ImageSeries};
use longhaul_memory::locality::Locality;
use longhaul_memory::pattern::Pattern;
use longhaul_memory::{CpuState, Fault, GuestMemory, PAGE_SIZE, ReadOptions, RestoreError};
use proptest::prelude::*;

const PAGES: u64 = 50;

fn at(ns: u64) -> Instant {
    Instant::from_ns(ns)
}

fn ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

fn generated(vcpus: u32, writes_per_s: u64, reads_per_s: u64) -> GeneratedMemory {
    let options = GeneratedOptions {
        pattern: Pattern::Constant,
        size: ByteSize::from_bytes(PAGES * PAGE_SIZE as u64),
        vcpus,
        dirty: DirtyOptions {
            pages_per_s: writes_per_s,
            working_set: Probability::ONE,
            locality: Locality::Uniform,
            bytes_per_write: ByteSize::from_bytes(8),
        },
        reads: ReadOptions {
            pages_per_s: reads_per_s,
            working_set: Probability::ONE,
            locality: Locality::Zipf {
                exponent_millionths: 500_000,
            },
        },
    };
    GeneratedMemory::new(&options, &Streams::new(9, 0), "vm").unwrap()
}

fn versions(memory: &impl GuestMemory) -> Vec<u32> {
    (0..memory.pages()).map(|page| memory.version(page)).collect()
}

fn all_missing() -> DirtyBitmap {
    let mut missing = DirtyBitmap::new(PAGES);
    missing.set_all();
    missing
}

/// A guest that has moved: another object of the same description, running since `now`.
fn moved(vcpus: u32, writes_per_s: u64, reads_per_s: u64, now: Instant) -> GeneratedMemory {
    let mut there = generated(vcpus, writes_per_s, reads_per_s);
    let mut here = generated(vcpus, writes_per_s, reads_per_s);
    here.pause(now, &mut DirtyBitmap::new(PAGES));
    there.restore(now, &here.cpu_state(now)).unwrap();
    assert_eq!(versions(&there), versions(&here));
    there.resume(now);
    there
}

#[test]
fn a_guest_that_moved_goes_on_where_it_stood() {
    let (mut here, mut dirty) = (generated(3, 10_000, 0), DirtyBitmap::new(PAGES));
    here.set_speed(ms(20), Probability::from_ratio(1, 2).unwrap(), &mut dirty);
    here.pause(ms(50), &mut dirty);
    let state = here.cpu_state(ms(60));
    assert_eq!(state.vcpu_ns, [35_000_000; 3]);
    let mut there = generated(3, 10_000, 0);
    there.restore(ms(90), &state).unwrap();
    assert_eq!(versions(&here), versions(&there));
    assert_eq!(there.next_change(), None);
    there.resume(ms(100));
    there.advance(ms(170), &mut dirty);
    let mut stayed = generated(3, 10_000, 0);
    stayed.advance(ms(105), &mut dirty);
    assert_eq!(versions(&stayed), versions(&there), "it runs at full speed again");
}

#[test]
fn a_state_of_another_guest_or_of_the_future_is_refused() {
    let mut memory = generated(2, 10_000, 0);
    let state = |vcpu_ns: &[u64]| CpuState {
        vcpu_ns: vcpu_ns.to_vec(),
    };
    let (expected, found) = (2, 1);
    assert_eq!(
        memory.restore(ms(1), &state(&[0])),
        Err(RestoreError::Processors { expected, found })
    );
    assert_eq!(
        memory.restore(ms(1), &state(&[0, u64::MAX])),
        Err(RestoreError::Future)
    );
    assert_eq!(memory.restore(ms(1), &state(&[0, 1_000_000])), Ok(()));
}

#[test]
fn a_processor_waits_for_its_page_and_its_time_stands_still_meanwhile() {
    let (mut memory, mut dirty) = (moved(1, 1_000, 0, ms(10)), DirtyBitmap::new(PAGES));
    let mut missing = all_missing();
    let mut faults = Vec::new();
    let first = memory.next_fault(&missing).unwrap();
    memory.run(at(first.as_ns() - 1), &missing, &mut dirty, &mut faults);
    assert_eq!(faults, []);
    memory.run(first, &missing, &mut dirty, &mut faults);
    let [fault] = faults[..] else { panic!("{faults:?}") };
    assert_eq!((fault.at, fault.vcpu, fault.write), (first, 0, true));
    assert_eq!(memory.next_fault(&missing), None, "nobody runs");
    memory.run(ms(500), &missing, &mut dirty, &mut faults);
    assert_eq!((faults.len(), dirty.count()), (1, 0));
    let before = memory.cpu_state(ms(500));
    assert_eq!(before.vcpu_ns, [first.as_ns()]);
    missing.clear(fault.page);
    assert_eq!(memory.page_arrived(ms(500), fault.page), 1);
    memory.run(ms(500), &missing, &mut dirty, &mut faults);
    assert!(dirty.test(fault.page), "the write that waited");
    let second = memory.next_fault(&missing).unwrap();
    memory.run(second, &missing, &mut dirty, &mut faults);
    assert_eq!(faults.len(), 2);
    assert_eq!(
        memory.cpu_state(second).vcpu_ns,
        [first.as_ns() + (second - ms(500)).as_ns()]
    );
}

#[test]
fn the_others_go_on() {
    let (mut memory, mut dirty) = (moved(4, 4_000, 0, ms(0)), DirtyBitmap::new(PAGES));
    let missing = all_missing();
    let mut faults = Vec::new();
    memory.run(ms(1_000), &missing, &mut dirty, &mut faults);
    let mut stopped: Vec<u32> = faults.iter().map(|fault| fault.vcpu).collect();
    assert!(faults.is_sorted_by_key(|fault| fault.at));
    stopped.sort_unstable();
    assert_eq!(stopped, [0, 1, 2, 3]);
    let page = faults[0].page;
    let waiting = faults.iter().filter(|fault| fault.page == page).count();
    assert_eq!(memory.page_arrived(ms(1_000), page) as usize, waiting);
}

#[test]
fn reads_stop_a_guest_and_leave_no_trace() {
    let (mut memory, mut dirty) = (moved(1, 0, 1_000, ms(3)), DirtyBitmap::new(PAGES));
    let mut missing = all_missing();
    let (mut faults, mut now) = (Vec::new(), ms(3));
    while let Some(next) = memory.next_fault(&missing) {
        now = next;
        memory.run(now, &missing, &mut dirty, &mut faults);
        if let Some(fault) = faults.last().filter(|fault| missing.test(fault.page)) {
            missing.clear(fault.page);
            memory.page_arrived(now, fault.page);
        }
        if missing.is_empty() {
            break;
        }
    }
    // Every page once, although it reads the hot ones far more often.
    assert_eq!(faults.len() as u64, PAGES);
    assert!(faults.iter().all(|fault| !fault.write) && dirty.is_empty());
    assert!(now > ms(60), "{now:?}");
}

#[test]
fn a_recorded_guest_waits_for_the_pages_of_its_next_image() {
    let image = |fill: [u8; 3]| Image {
        name: "image".into(),
        content: fill.iter().flat_map(|byte| [*byte; PAGE_SIZE]).collect(),
    };
    let images = [image([1, 1, 1]), image([2, 1, 2]), image([2, 3, 3])];
    let interval = Span::from_ms(100);
    let guest =
        || ImageSeries::new(&images, interval, 2, ReadOptions::NONE, &Streams::new(1, 0), "vm").unwrap();
    let (mut memory, mut dirty, mut missing) = (guest(), DirtyBitmap::new(3), DirtyBitmap::new(3));
    missing.set_all();
    memory
        .restore(
            ms(90),
            &CpuState {
                vcpu_ns: vec![50_000_000; 2],
            },
        )
        .unwrap();
    memory.resume(ms(90));
    let mut faults = Vec::new();
    assert_eq!(memory.next_fault(&missing), Some(ms(140)));
    memory.run(ms(150), &missing, &mut dirty, &mut faults);
    for (arrival, page) in [(150, 0), (170, 2)] {
        let Fault {
            page: wanted, write, ..
        } = *faults.last().unwrap();
        assert_eq!((wanted, write), (page, true));
        missing.clear(page);
        assert_eq!(memory.page_arrived(ms(arrival), page), 1);
        memory.run(ms(arrival), &missing, &mut dirty, &mut faults);
    }
    assert_eq!(versions(&memory), [1, 0, 1]);
    // It stood still for 30 ms.
    assert_eq!(memory.next_fault(&missing), Some(ms(270)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn with_every_page_there_a_guest_runs_as_ever(
        vcpus in 1u32..4, steps in proptest::collection::vec(0u64..5_000_000, 1..20),
    ) {
        let (mut running, mut dirty) = (moved(vcpus, 5_000, 5_000, ms(7)), DirtyBitmap::new(PAGES));
        let (missing, mut faults) = (DirtyBitmap::new(PAGES), Vec::new());
        let mut now = ms(7);
        for step in steps {
            now += Span::from_ns(step);
            if step % 2 == 0 {
                running.next_fault(&missing);
            }
            running.run(now, &missing, &mut dirty, &mut faults);
        }
        let mut plain = moved(vcpus, 5_000, 5_000, ms(7));
        plain.advance(now, &mut dirty);
        prop_assert_eq!(versions(&running), versions(&plain));
        prop_assert_eq!(faults, vec![]);
    }

    #[test]
    fn faults_do_not_depend_on_how_often_one_asks(
        vcpus in 1u32..4,
        arrivals in proptest::collection::vec((1u64..3_000_000, 0..PAGES), 1..60),
        questions in proptest::collection::vec(0u64..3, 60),
    ) {
        let run = |asks: bool| {
            let (mut memory, mut dirty) = (moved(vcpus, 3_000, 9_000, ms(1)), DirtyBitmap::new(PAGES));
            let (mut missing, mut faults) = (all_missing(), Vec::new());
            let mut now = ms(1);
            for ((gap, page), question) in arrivals.iter().zip(&questions) {
                let arrival = now + Span::from_ns(*gap);
                if asks {
                    for part in 0..*question {
                        memory.run(now + Span::from_ns(gap * part / 3), &missing, &mut dirty, &mut faults);
                        let next = memory.next_fault(&missing);
                        assert!(next.is_none_or(|next| next >= now));
                    }
                }
                now = arrival;
                memory.run(now, &missing, &mut dirty, &mut faults);
                if missing.clear(*page) {
                    memory.page_arrived(now, *page);
                }
            }
            memory.run(now, &missing, &mut dirty, &mut faults);
            (versions(&memory), memory.cpu_state(now), faults, dirty)
        };
        prop_assert_eq!(run(true), run(false));
    }

    #[test]
    fn the_next_fault_is_never_late(vcpus in 1u32..4, present in proptest::collection::vec(0..PAGES, 0..80)) {
        let (mut memory, mut dirty) = (moved(vcpus, 3_000, 100_000, ms(1)), DirtyBitmap::new(PAGES));
        let mut missing = all_missing();
        present.iter().for_each(|page| { missing.clear(*page); });
        let mut faults = Vec::new();
        for _ in 0..20 {
            let Some(next) = memory.next_fault(&missing) else { break };
            memory.run(at(next.as_ns() - 1), &missing, &mut dirty, &mut faults);
            prop_assert!(faults.iter().all(|fault| !missing.test(fault.page)), "a fault before its time");
            let before = faults.len();
            memory.run(next, &missing, &mut dirty, &mut faults);
            for fault in &faults[before..] {
                prop_assert_eq!(fault.at, next);
                missing.clear(fault.page);
                memory.page_arrived(next, fault.page);
            }
        }
    }
}
