//! The generated guest: how much it writes, where, and what can be read afterwards.

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{ByteSize, Probability};
use longhaul_memory::bitmap::DirtyBitmap;
use longhaul_memory::generated::{
    DirtyOptions, GeneratedError, GeneratedMemory, GeneratedOptions, MAX_PAGES,
};
use longhaul_memory::locality::Locality;
use longhaul_memory::pattern::{Content, Pattern};
use longhaul_memory::{AccessError, GuestMemory, MAX_PAGES_PER_S, MAX_VCPUS, PAGE_SIZE, ReadOptions};
use proptest::prelude::*;

const BYTES_PER_WRITE: u64 = 100;

fn options(pattern: Pattern, pages: u64, pages_per_s: u64, working_set_percent: u64) -> GeneratedOptions {
    GeneratedOptions {
        pattern,
        size: ByteSize::from_bytes(pages * PAGE_SIZE as u64),
        vcpus: 1,
        reads: ReadOptions::NONE,
        dirty: DirtyOptions {
            pages_per_s,
            working_set: Probability::from_ratio(working_set_percent, 100).unwrap(),
            locality: Locality::Uniform,
            bytes_per_write: ByteSize::from_bytes(BYTES_PER_WRITE),
        },
    }
}

fn guest(options: &GeneratedOptions) -> (GeneratedMemory, DirtyBitmap) {
    let memory = GeneratedMemory::new(options, &Streams::new(3, 0), "vm").unwrap();
    let dirty = DirtyBitmap::new(memory.pages());
    (memory, dirty)
}

fn at(ns: u64) -> Instant {
    Instant::from_ns(ns)
}

fn seconds(s: u64) -> Instant {
    Instant::ZERO + Span::from_s(s)
}

fn versions(memory: &GeneratedMemory) -> Vec<u32> {
    (0..memory.pages()).map(|page| memory.version(page)).collect()
}

fn writes(memory: &GeneratedMemory) -> u64 {
    versions(memory).into_iter().map(u64::from).sum()
}

#[test]
fn the_write_rate_is_the_one_asked_for() {
    for (rate, time) in [(3, 30_000), (20_000, 10), (1_000_000, 1)] {
        let (mut memory, mut dirty) = guest(&options(Pattern::Constant, 10_000, rate, 100));
        memory.advance(seconds(time), &mut dirty);
        let expected = (rate * time) as f64;
        let deviations = (writes(&memory) as f64 - expected) / expected.sqrt();
        assert!(
            deviations.abs() < 3.0,
            "{rate}/s: off by {deviations} standard deviations"
        );
    }
}

#[test]
fn processors_share_the_rate_and_write_what_they_write_in_any_order() {
    for locality in [Locality::Uniform, Locality::Sequential] {
        let mut options = options(Pattern::Constant, 1_000, 20_000, 100);
        options.vcpus = 7;
        options.dirty.locality = locality;
        let (mut memory, mut dirty) = guest(&options);
        memory.advance(seconds(5), &mut dirty);
        assert!(writes(&memory).abs_diff(100_000) < 1_000, "{}", writes(&memory));
        assert_eq!(dirty.count(), 1_000);
    }
}

#[test]
fn writes_of_a_second_vary_like_a_poisson_count() {
    let (mut memory, mut dirty) = guest(&options(Pattern::Constant, 100, 400, 100));
    let mut before = 0;
    let mut squares = 0.0;
    for second in 1..=1000 {
        memory.advance(seconds(second), &mut dirty);
        let count = writes(&memory) - before;
        before += count;
        squares += (count as f64 - 400.0) * (count as f64 - 400.0);
    }
    // Variance equals mean; over 1,000 samples it has a relative standard deviation of 4.5 %.
    assert!((squares / 1000.0 / 400.0 - 1.0).abs() < 0.135);
}

#[test]
fn writes_hit_the_working_set_uniformly_and_nothing_else() {
    let (mut memory, mut dirty) = guest(&options(Pattern::Constant, 100_000, 20_000, 10));
    assert_eq!(memory.working_set_pages(), 10_000);
    memory.advance(seconds(1), &mut dirty);
    // Distinct pages among n uniform draws from W: mean W(1 − e^(−n/W)), variance W(e^(−n/W) − (1 + n/W) e^(−2n/W)).
    let (set, n) = (10_000.0, writes(&memory) as f64);
    let miss = libm::exp(-n / set);
    let mean = set * (1.0 - miss);
    let deviation = (set * (miss - (1.0 + n / set) * miss * miss)).sqrt();
    let distinct = dirty.count() as f64;
    assert!(
        (distinct - mean).abs() < 3.0 * deviation,
        "{distinct} distinct, {mean} expected"
    );
    memory.advance(seconds(20), &mut dirty);
    assert_eq!(dirty.count(), 10_000);
}

#[test]
fn the_working_set_holds_every_part_of_the_memory_in_proportion() {
    let (mut memory, mut dirty) = guest(&options(Pattern::RealWorld, 100_000, 100_000, 10));
    memory.advance(seconds(2), &mut dirty);
    assert_eq!(dirty.count(), 10_000);
    let (mut parts, mut every_tenth) = ([0u64; 10], 0);
    let mut cursor = 0;
    while let Some(page) = dirty.take_next(cursor) {
        cursor = page + 1;
        parts[(page / 10_000) as usize] += 1;
        every_tenth += u64::from(page % 10 == 0);
    }
    // 1,000 each; a sample of a tenth of the pages without replacement deviates by 28.5.
    for count in parts.into_iter().chain([every_tenth]) {
        assert!(count.abs_diff(1000) < 100, "{parts:?}, {every_tenth}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_does_not_depend_on_how_often_one_asks(
        rate in prop_oneof![Just(0u64), 1u64..100, 1000u64..50_000],
        steps in proptest::collection::vec(0u64..50_000_000, 1..60),
    ) {
        let options = options(Pattern::Bursty, 500, rate, 40);
        let (mut often, mut often_dirty) = guest(&options);
        let mut now = 0;
        for step in steps {
            now += step;
            often.advance(at(now), &mut often_dirty);
        }
        let (mut once, mut once_dirty) = guest(&options);
        once.advance(at(now), &mut once_dirty);
        prop_assert_eq!(versions(&often), versions(&once));
        prop_assert_eq!(often_dirty, once_dirty);
        prop_assert_eq!(often.next_change(), once.next_change());
    }

    #[test]
    fn a_throttled_guest_writes_the_same_later(
        percent in 1u64..100, at_full_speed in 0u64..20_000_000, slow in 0u64..20_000_000, vcpus in 1u32..4,
    ) {
        let options = GeneratedOptions { vcpus, ..options(Pattern::Constant, 200, 5_000, 100) };
        let speed = Probability::from_ratio(percent, 100).unwrap();
        let (mut throttled, mut dirty) = guest(&options);
        throttled.set_speed(at(at_full_speed), speed, &mut dirty);
        throttled.advance(at(at_full_speed + slow), &mut dirty);
        let (mut free, mut free_dirty) = guest(&options);
        free.advance(at(at_full_speed + slow * percent / 100), &mut free_dirty);
        prop_assert_eq!(versions(&throttled), versions(&free));
        prop_assert_eq!(&dirty, &free_dirty);
        if let Some(next) = throttled.next_change() {
            let before = writes(&throttled);
            throttled.advance(at(next.as_ns() - 1), &mut dirty);
            prop_assert_eq!(writes(&throttled), before);
            throttled.advance(next, &mut dirty);
            prop_assert!(writes(&throttled) > before);
        }
    }

    #[test]
    fn a_pause_shifts_the_writes_and_changes_nothing_else(
        run in 0u64..30_000_000,
        pause in 0u64..1_000_000_000,
        rest in 0u64..30_000_000,
    ) {
        let options = options(Pattern::Constant, 200, 5_000, 100);
        let (mut paused, mut dirty) = guest(&options);
        paused.pause(at(run), &mut dirty);
        let before = versions(&paused);
        prop_assert_eq!(paused.next_change(), None);
        paused.advance(at(run + pause), &mut dirty);
        prop_assert_eq!(&versions(&paused), &before, "a paused guest has written");
        paused.resume(at(run + pause));
        paused.advance(at(run + pause + rest), &mut dirty);
        let (mut running, mut running_dirty) = guest(&options);
        running.advance(at(run + rest), &mut running_dirty);
        prop_assert_eq!(versions(&paused), versions(&running));
        prop_assert_eq!(dirty, running_dirty);
    }
}

#[test]
fn the_next_change_is_when_the_next_page_becomes_dirty() {
    let (mut memory, mut dirty) = guest(&options(Pattern::Constant, 50, 300, 100));
    for _ in 0..100 {
        let next = memory.next_change().unwrap();
        memory.advance(at(next.as_ns() - 1), &mut dirty);
        assert!(dirty.is_empty());
        memory.advance(next, &mut dirty);
        assert!(dirty.take_next(0).is_some());
        dirty = DirtyBitmap::new(memory.pages());
    }
}

#[test]
fn a_guest_without_writes_is_idle_for_ever() {
    for options in [
        options(Pattern::Constant, 10, 0, 50),
        options(Pattern::Constant, 10, 1000, 0),
    ] {
        let (mut memory, mut dirty) = guest(&options);
        memory.advance(Instant::MAX, &mut dirty);
        assert!(dirty.is_empty());
        assert_eq!(memory.next_change(), None);
    }
}

#[test]
fn a_write_changes_its_bytes_and_nothing_else() {
    let options = options(Pattern::Sinusoidal, 4, 10, 100);
    let (mut memory, mut dirty) = guest(&options);
    memory.advance(seconds(20), &mut dirty);
    let base = Content::new(
        Pattern::Sinusoidal,
        4,
        &mut Streams::new(3, 0).stream("vm", "memory content"),
    );
    for page in 0..4 {
        assert!(memory.version(page) > 30);
        let mut old = [0; PAGE_SIZE];
        base.read(page, &mut old);
        for version in 0..=memory.version(page) {
            let mut new = [0; PAGE_SIZE];
            memory.read(page, version, &mut new);
            let changed: Vec<usize> = (0..PAGE_SIZE).filter(|i| old[*i] != new[*i]).collect();
            match version {
                0 => assert!(changed.is_empty(), "version 0 is the base content"),
                1..=16 => {
                    let spread = changed.last().unwrap() - changed[0];
                    assert!(changed.len() > 80 && spread < BYTES_PER_WRITE as usize);
                }
                // One write comes, another is undone.
                _ => assert!((80..=2 * BYTES_PER_WRITE as usize).contains(&changed.len())),
            }
            old = new;
        }
    }
}

#[test]
fn a_version_reads_the_same_whatever_was_written_since() {
    let (mut memory, mut dirty) = guest(&options(Pattern::RealWorld, 20, 1_000, 100));
    let mut seen = Vec::new();
    for tenth in 1..=30 {
        memory.advance(at(tenth * 100_000_000), &mut dirty);
        for page in 0..20 {
            let version = memory.version(page);
            let mut content = [0; PAGE_SIZE];
            memory.read(page, version, &mut content);
            seen.push((page, version, content));
        }
    }
    for (page, version, content) in seen {
        let mut again = [0; PAGE_SIZE];
        memory.read(page, version, &mut again);
        assert_eq!(again, content, "page {page} at version {version}");
    }
}

#[test]
fn strata_tell_regions_and_the_number_of_writes_apart_where_it_matters() {
    let (mut memory, mut dirty) = guest(&options(Pattern::RealWorld, 100, 1_000, 100));
    memory.advance(seconds(5), &mut dirty);
    let (zero, text, random) = (0, 50, 99);
    assert_ne!(memory.stratum(zero, 0), memory.stratum(text, 0));
    assert_ne!(memory.stratum(zero, 0), memory.stratum(zero, 1));
    assert_eq!(memory.stratum(zero, 16), memory.stratum(zero, 30));
    assert_eq!(memory.stratum(random, 0), memory.stratum(random, 30));
    assert_ne!(memory.stratum(zero, 16), memory.stratum(text, 0));
}

#[test]
fn options_out_of_range_are_refused() {
    let refuse = |change: &dyn Fn(&mut GeneratedOptions)| {
        let mut options = options(Pattern::Constant, 1, 1, 100);
        change(&mut options);
        GeneratedMemory::new(&options, &Streams::new(0, 0), "vm").map(|_| ())
    };
    let bytes = ByteSize::from_bytes;
    assert_eq!(refuse(&|_| {}), Ok(()));
    assert_eq!(
        refuse(&|o| o.size = bytes(0)),
        Err(GeneratedError::NotWholePages(0))
    );
    assert_eq!(
        refuse(&|o| o.size = bytes(4097)),
        Err(GeneratedError::NotWholePages(4097))
    );
    assert_eq!(
        refuse(&|o| o.size = bytes((MAX_PAGES + 1) * PAGE_SIZE as u64)),
        Err(GeneratedError::TooManyPages(MAX_PAGES + 1))
    );
    let too_many = GeneratedError::Access(AccessError::TooMany(MAX_PAGES_PER_S + 1));
    assert_eq!(
        refuse(&|o| o.dirty.pages_per_s = MAX_PAGES_PER_S + 1),
        Err(too_many)
    );
    assert_eq!(
        refuse(&|o| o.reads.pages_per_s = MAX_PAGES_PER_S + 1),
        Err(too_many)
    );
    for vcpus in [0, MAX_VCPUS + 1] {
        let processors = GeneratedError::Access(AccessError::Processors(vcpus));
        assert_eq!(refuse(&|o| o.vcpus = vcpus), Err(processors));
    }
    for exponent_millionths in [0, 10_000_001] {
        let exponent = GeneratedError::Access(AccessError::Exponent(exponent_millionths));
        let locality = Locality::Zipf { exponent_millionths };
        assert_eq!(refuse(&|o| o.dirty.locality = locality), Err(exponent));
        assert_eq!(refuse(&|o| o.reads.locality = locality), Err(exponent));
    }
    for size in [0, 4097] {
        assert_eq!(
            refuse(&|o| o.dirty.bytes_per_write = bytes(size)),
            Err(GeneratedError::WriteSize(size))
        );
    }
}

#[test]
fn the_same_guest_under_another_load_holds_the_same_memory() {
    let page = |rate| {
        let (memory, _) = guest(&options(Pattern::Constant, 8, rate, 100));
        let mut content = [0; PAGE_SIZE];
        memory.read(3, 0, &mut content);
        content
    };
    assert_eq!(page(0), page(1_000));
}
