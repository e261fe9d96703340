//! What goes in comes out, and travels in the class that it should.

use std::collections::BTreeMap;

use longhaul_hde::{
    ClassCounts, Decoder, Encoder, EncoderOptions, FrameHeader, MAX_PAGES_PER_FRAME, PAGE_SIZE, PageInput,
    PageRun,
};
use proptest::prelude::*;

type Page = [u8; PAGE_SIZE];
type Store = BTreeMap<u64, Box<Page>>;

/// A page that no other seed gives.
fn random(seed: u64) -> Page {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    std::array::from_fn(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
}

/// A sender and a receiver in step.
struct Pair {
    encoder: Encoder,
    decoder: Decoder,
    store: Store,
    sequence: u64,
}

impl Pair {
    fn new(options: EncoderOptions) -> Pair {
        Pair {
            encoder: Encoder::new(options),
            decoder: Decoder::new(),
            store: Store::new(),
            sequence: 0,
        }
    }

    /// Sends pages with the receiver's content as their baseline where `with_baseline` says so.
    fn send(&mut self, pages: &BTreeMap<u64, Page>, with_baseline: impl Fn(u64) -> bool) -> ClassCounts {
        let inputs: Vec<PageInput<'_>> = pages
            .iter()
            .map(|(number, content)| PageInput {
                number: *number,
                content,
                baseline: self
                    .store
                    .get(number)
                    .map(Box::as_ref)
                    .filter(|_| with_baseline(*number)),
            })
            .collect();
        let frame = self.encoder.encode(self.sequence, &inputs);
        let decoded = self
            .decoder
            .decode(&frame, &mut self.store)
            .expect("a sound frame");
        assert_eq!(decoded.sequence, self.sequence);
        assert!(
            decoded
                .runs
                .iter()
                .flat_map(PageRun::pages)
                .eq(pages.keys().copied())
        );
        for (number, content) in pages {
            assert_eq!(*self.store[number], *content, "page {number}");
        }
        self.sequence += 1;
        decoded.counts
    }

    fn send_one(&mut self, number: u64, content: Page) -> ClassCounts {
        self.send(&BTreeMap::from([(number, content)]), |_| true)
    }
}

fn counts(zero: u64, duplicate: u64, delta: u64, literal: u64) -> ClassCounts {
    ClassCounts {
        zero,
        duplicate,
        delta,
        literal,
    }
}

/// How a page gets its next content.
#[derive(Clone, Debug)]
enum Change {
    Zero,
    Template(u64),
    Random(u64),
    CopyOf(u64),
    Poke { at: usize, len: usize, value: u8 },
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Zero),
        (0u64..4).prop_map(Change::Template),
        any::<u64>().prop_map(Change::Random),
        (0u64..40).prop_map(Change::CopyOf),
        (0..PAGE_SIZE, 1usize..4000, any::<u8>()).prop_map(|(at, len, value)| Change::Poke {
            at,
            len,
            value
        }),
    ]
}

fn options() -> impl Strategy<Value = EncoderOptions> {
    let level = proptest::option::of(1i32..6);
    (
        level,
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just(0usize), Just(5), Just(1 << 20)],
    )
        .prop_map(|(level, delta, duplicates, index_pages)| EncoderOptions {
            level,
            delta,
            duplicates,
            index_pages,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sequence_of_updates_arrives_bit_exact(
        options in options(),
        rounds in proptest::collection::vec(
            (proptest::collection::btree_map(0u64..40, change(), 0..24), any::<u64>()), 1..8),
    ) {
        let mut pair = Pair::new(options);
        let mut sent = 0;
        for (changes, baselines) in rounds {
            let content = |number: &u64| pair.store.get(number).map_or([0; PAGE_SIZE], |page| **page);
            let pages: BTreeMap<u64, Page> = changes
                .iter()
                .map(|(number, change)| (*number, match change {
                    Change::Zero => [0; PAGE_SIZE],
                    Change::Template(seed) | Change::Random(seed) => random(*seed),
                    Change::CopyOf(other) => content(other),
                    Change::Poke { at, len, value } => {
                        let mut page = content(number);
                        page[*at..(at + len).min(PAGE_SIZE)].fill(*value);
                        page
                    }
                }))
                .collect();
            let counts = pair.send(&pages, |number| baselines & (1 << number) != 0);
            prop_assert_eq!(counts.total(), pages.len() as u64);
            prop_assert!(options.delta || counts.delta == 0);
            prop_assert!(options.duplicates || counts.duplicate == 0);
            sent += counts.total();
        }
        let stats = pair.encoder.stats();
        prop_assert_eq!(stats.pages.total(), sent);
        prop_assert_eq!(stats.raw_bytes, sent * PAGE_SIZE as u64);
        prop_assert_eq!(stats.frames, pair.sequence);
    }
}

#[test]
fn every_class_is_used_where_it_is_cheapest() {
    let mut pair = Pair::new(EncoderOptions::hde(3));
    assert_eq!(pair.send_one(0, [0; PAGE_SIZE]), counts(1, 0, 0, 0));
    assert_eq!(pair.send_one(1, random(1)), counts(0, 0, 0, 1));
    assert_eq!(
        pair.send_one(2, random(1)),
        counts(0, 1, 0, 0),
        "duplicate of another page"
    );
    assert_eq!(
        pair.send_one(1, random(1)),
        counts(0, 1, 0, 0),
        "sent again unchanged"
    );
    let mut changed = random(1);
    changed[17..80].fill(0xaa);
    assert_eq!(pair.send_one(1, changed), counts(0, 0, 1, 0));
    assert_eq!(
        pair.send_one(1, random(2)),
        counts(0, 0, 0, 1),
        "too different for a delta"
    );
    let in_frame = BTreeMap::from([(7, random(7)), (8, random(7)), (1000, random(7))]);
    assert_eq!(pair.send(&in_frame, |_| true), counts(0, 2, 0, 1));
}

#[test]
fn an_overwritten_page_is_never_the_original_of_a_duplicate() {
    let mut pair = Pair::new(EncoderOptions::hde(1));
    pair.send_one(1, random(1));
    // Page 1 gets new content, in an earlier frame or earlier in the same one: its old content is gone.
    assert_eq!(pair.send_one(1, random(2)).literal, 1);
    assert_eq!(pair.send_one(2, random(1)).literal, 1);
    let same_frame = BTreeMap::from([(2, random(3)), (3, random(1))]);
    assert_eq!(pair.send(&same_frame, |_| true).literal, 2);
    // Overwritten with zeros, or with a copy of another page.
    assert_eq!(pair.send_one(3, [0; PAGE_SIZE]).zero, 1);
    assert_eq!(pair.send_one(4, random(1)).literal, 1);
    assert_eq!(pair.send_one(4, random(2)).duplicate, 1);
    assert_eq!(pair.send_one(5, random(1)).literal, 1);
}

#[test]
fn a_duplicate_may_refer_to_a_page_that_its_own_frame_overwrites_later() {
    let mut pair = Pair::new(EncoderOptions::hde(1));
    pair.send_one(5, random(1));
    let moved = BTreeMap::from([(4, random(1)), (5, random(2)), (6, random(2))]);
    assert_eq!(pair.send(&moved, |_| true), counts(0, 2, 0, 1));
}

#[test]
fn a_page_changed_by_other_means_is_not_referred_to() {
    let mut pair = Pair::new(EncoderOptions::hde(1));
    pair.send_one(1, random(1));
    pair.store.insert(1, Box::new(random(9)));
    pair.encoder.forget(1);
    assert_eq!(pair.send_one(2, random(1)).literal, 1);
}

#[test]
fn without_compression_a_frame_is_its_pages_and_little_else() {
    let mut encoder = Encoder::new(EncoderOptions::raw());
    let page = random(1);
    let zero = [0; PAGE_SIZE];
    let pages: Vec<PageInput<'_>> = (0..200)
        .map(|number| PageInput {
            number,
            content: if number < 100 { &zero } else { &page },
            baseline: Some(&page),
        })
        .collect();
    let frame = encoder.encode(0, &pages);
    let (_, header_len) = FrameHeader::parse(&frame).unwrap();
    assert_eq!(frame.len(), header_len + 200 + 100 * PAGE_SIZE);
    assert_eq!(encoder.stats().pages, counts(100, 0, 0, 100));
}

#[test]
fn the_largest_frame_is_carried_and_an_empty_one_too() {
    let content: Vec<Page> = (0..MAX_PAGES_PER_FRAME as u64).map(random).collect();
    // Every second page: as many runs as pages, far apart.
    let pages: Vec<PageInput<'_>> = content
        .iter()
        .zip(0u64..)
        .map(|(content, i)| PageInput {
            number: i << 39,
            content,
            baseline: None,
        })
        .collect();
    let mut encoder = Encoder::new(EncoderOptions::hde(1));
    let mut store = Store::new();
    let frame = encoder.encode(0, &pages);
    assert!((frame.len() as f64) < 1.01 * (content.len() * PAGE_SIZE) as f64);
    let decoded = Decoder::new().decode(&frame, &mut store).unwrap();
    assert_eq!(decoded.counts.literal, MAX_PAGES_PER_FRAME as u64);
    assert!(pages.iter().all(|page| *store[&page.number] == *page.content));

    let empty = encoder.encode(1, &[]);
    assert_eq!(
        Decoder::new().decode(&empty, &mut store).unwrap().counts.total(),
        0
    );
}

#[test]
#[should_panic(expected = "must strictly ascend")]
fn pages_out_of_order_are_a_broken_invariant() {
    let content = [1; PAGE_SIZE];
    let page = |number| PageInput {
        number,
        content: &content,
        baseline: None,
    };
    Encoder::new(EncoderOptions::raw()).encode(0, &[page(3), page(2)]);
}
