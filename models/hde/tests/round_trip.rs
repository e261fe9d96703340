//! What goes in comes out, and travels in the class that it should.

mod support;

use std::collections::BTreeMap;

use longhaul_hde::{
    ClassCounts, Decoder, Encoder, EncoderOptions, FrameHeader, ImageId, MAX_PAGES_PER_FRAME, PAGE_SIZE,
    PageInput, PageStore,
};
use proptest::prelude::*;

use support::{Page, Pair, Receiver, random, window};

fn pair() -> Pair {
    Pair::new(Encoder::new(EncoderOptions::hde(3)))
}

fn zero() -> ClassCounts {
    ClassCounts {
        zero: 1,
        ..ClassCounts::default()
    }
}

fn duplicate() -> ClassCounts {
    ClassCounts {
        duplicate: 1,
        ..ClassCounts::default()
    }
}

fn delta() -> ClassCounts {
    ClassCounts {
        delta: 1,
        ..ClassCounts::default()
    }
}

fn similar() -> ClassCounts {
    ClassCounts {
        similar: 1,
        ..ClassCounts::default()
    }
}

fn literal() -> ClassCounts {
    ClassCounts {
        literal: 1,
        ..ClassCounts::default()
    }
}

/// How a page gets its next content.
#[derive(Clone, Debug)]
enum Change {
    Zero,
    Template(u64),
    Random(u64),
    CopyOf(u64),
    Poke {
        at: usize,
        len: usize,
        value: u8,
    },
    /// A window over two pages, as in a log into which pages are copied behind headers.
    Moved {
        from: u64,
        offset: usize,
    },
    /// The same of the other image.
    OfImage {
        from: u64,
        offset: usize,
    },
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
        (0u64..40, 0..PAGE_SIZE).prop_map(|(from, offset)| Change::Moved { from, offset }),
        (0u64..8, 0..PAGE_SIZE).prop_map(|(from, offset)| Change::OfImage { from, offset }),
    ]
}

fn options() -> impl Strategy<Value = EncoderOptions> {
    let level = proptest::option::of(1i32..6);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    let pages = prop_oneof![Just(0usize), Just(5), Just(1 << 20)];
    let anchors = prop_oneof![Just(0usize), Just(100), Just(1 << 20)];
    (level, switches, pages, anchors).prop_map(
        |(level, (delta, duplicates, similar), index_pages, index_anchors)| EncoderOptions {
            level,
            delta,
            duplicates,
            similar,
            index_pages,
            index_anchors,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sequence_of_updates_arrives_bit_exact(
        options in options(),
        rounds in proptest::collection::vec(
            (proptest::collection::btree_map(0u64..40, change(), 0..24), any::<u64>(), any::<bool>()), 1..8),
    ) {
        let mut pair = Pair::new(Encoder::new(options));
        let image = ImageId(7);
        for number in 0..8 {
            let content = random(1000 + number);
            pair.encoder.learn_of(image, number, &content);
            pair.receiver.images.insert((image, number), Box::new(content));
        }
        let mut sent = 0;
        for (changes, baselines, with_held) in rounds {
            let held = |number: u64| pair.receiver.page(number).copied().unwrap_or([0; PAGE_SIZE]);
            let pages: BTreeMap<u64, Page> = changes
                .iter()
                .map(|(number, change)| (*number, match change {
                    Change::Zero => [0; PAGE_SIZE],
                    Change::Template(seed) | Change::Random(seed) => random(*seed),
                    Change::CopyOf(other) => held(*other),
                    Change::Poke { at, len, value } => {
                        let mut page = held(*number);
                        page[*at..(at + len).min(PAGE_SIZE)].fill(*value);
                        page
                    }
                    Change::Moved { from, offset } => window([&held(*from), &held(from + 1)], *offset),
                    Change::OfImage { from, offset } => {
                        window([&random(1000 + from), &random(1001 + from)], *offset)
                    }
                }))
                .collect();
            let frame = pair.encode(&pages, |number| baselines & (1 << number) != 0, with_held);
            let counts = pair.decode(&frame, &pages).counts;
            prop_assert_eq!(counts.total(), pages.len() as u64);
            prop_assert!(options.delta || counts.delta == 0);
            prop_assert!(options.duplicates || counts.duplicate == 0);
            prop_assert!(options.similar || counts.similar == 0);
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
    let mut pair = pair();
    assert_eq!(pair.send_one(0, [0; PAGE_SIZE]), zero());
    assert_eq!(pair.send_one(1, random(1)), literal());
    assert_eq!(pair.send_one(2, random(1)), duplicate(), "of another page");
    assert_eq!(pair.send_one(1, random(1)), duplicate(), "sent again unchanged");
    let mut changed = random(1);
    changed[17..80].fill(0xaa);
    assert_eq!(pair.send_one(1, changed), delta());
    assert_eq!(
        pair.send_one(1, random(2)),
        literal(),
        "too different for a delta"
    );
    assert_eq!(
        pair.send_one(3, window([&random(3), &random(2)], 1000)),
        similar()
    );
    let in_frame = BTreeMap::from([(7, random(7)), (8, random(7)), (1000, random(7))]);
    let expected = ClassCounts {
        duplicate: 2,
        ..literal()
    };
    assert_eq!(pair.send(&in_frame).0, expected);
}

#[test]
fn moved_content_is_found_at_any_offset_and_costs_next_to_nothing() {
    for offset in [1, 24, 777, 2048, 4095] {
        // Over old content, and where nothing was known; there only by whole pairs of bytes.
        for number in [13, 20] {
            if number == 20 && offset % 2 == 1 {
                continue;
            }
            let mut pair = Pair::with_pages(
                Encoder::new(EncoderOptions::hde(3)),
                (10..14).map(|n| (n, random(n))),
            );
            let moved = window([&random(10), &random(11)], offset);
            let (counts, len) = pair.send(&BTreeMap::from([(number, moved)]));
            assert_eq!(counts, similar(), "offset {offset}");
            // The ends of both parts are less than a unit, and not worth a piece below 128 bytes.
            assert!(len < 300, "offset {offset}: {len} bytes");
        }
    }
}

#[test]
fn an_edited_copy_costs_its_edits() {
    let original = random(1);
    let mut pair = Pair::with_pages(Encoder::new(EncoderOptions::hde(3)), [(1, original)]);
    let mut copy = window([&random(9), &original], PAGE_SIZE - 40);
    for at in (100..4000).step_by(400) {
        copy[at..at + 8].copy_from_slice(b"edited!!");
    }
    let (counts, len) = pair.send(&BTreeMap::from([(2, copy)]));
    assert_eq!(counts, similar());
    // 40 bytes of another page and 80 bytes of edits.
    assert!(len < 400, "{len} bytes");
}

#[test]
fn content_moves_within_a_frame_even_if_nothing_else_is_known() {
    let mut pair = pair();
    let pages = BTreeMap::from([
        (1, random(1)),
        (2, random(2)),
        (3, window([&random(1), &random(2)], 500)),
    ]);
    let frame = pair.encode(&pages, |_| false, false);
    let counts = pair.decode(&frame, &pages).counts;
    assert_eq!((counts.literal, counts.similar), (2, 1));
    assert!(frame.len() < 2 * PAGE_SIZE + 300, "{} bytes", frame.len());

    // Two pages swap their halves: each is found in the old content of the other one.
    let mut pair = self::pair();
    pair.send(&BTreeMap::from([(1, random(1)), (2, random(2))]));
    let swapped = BTreeMap::from([
        (1, window([&random(1), &random(2)], 2048)),
        (2, window([&random(2), &random(1)], 2048)),
    ]);
    let frame = pair.encode(&swapped, |_| true, false);
    assert_eq!(pair.decode(&frame, &swapped).counts.similar, 2);
    assert!(frame.len() < 400, "{} bytes", frame.len());
}

#[test]
fn contents_of_another_image_are_taken_if_the_caller_declares_it() {
    let image = ImageId(0xfeed);
    let mut pair = pair();
    let twice = BTreeMap::from([(1, random(5)), (2, window([&random(5), &random(6)], 100))]);
    assert_eq!(pair.send(&twice).0.literal, 1, "not declared");

    let mut pair = self::pair();
    for number in [5, 6] {
        pair.encoder.learn_of(image, number, &random(number));
        pair.receiver
            .images
            .insert((image, number), Box::new(random(number)));
    }
    let (counts, len) = pair.send(&twice);
    assert_eq!((counts.duplicate, counts.similar), (1, 1));
    assert!(len < 300, "{len} bytes");

    pair.encoder.forget_image(image);
    assert_eq!(pair.send_one(3, random(6)), literal(), "retracted");
}

#[test]
fn an_overwritten_page_is_never_the_original_of_a_duplicate() {
    let mut pair = pair();
    pair.send_one(1, random(1));
    // Page 1 gets new content, in an earlier frame or earlier in the same one: its old content is gone.
    assert_eq!(pair.send_one(1, random(2)), literal());
    assert_eq!(pair.send_one(2, random(1)), literal());
    let same_frame = BTreeMap::from([(2, random(3)), (3, random(1))]);
    let counts = pair.send(&same_frame).0;
    // What page 2 held is still there until the frame is decoded, so page 3 is put together from it.
    assert_eq!((counts.literal, counts.duplicate, counts.similar), (1, 0, 1));
    // Overwritten with zeros, or with a copy of another page.
    assert_eq!(pair.send_one(3, [0; PAGE_SIZE]), zero());
    assert_eq!(pair.send_one(4, random(1)), literal());
    assert_eq!(pair.send_one(4, random(3)), duplicate());
    assert_eq!(pair.send_one(5, random(1)), literal());
}

#[test]
fn a_duplicate_may_refer_to_a_page_that_its_own_frame_overwrites_later() {
    let mut pair = pair();
    pair.send_one(5, random(1));
    let moved = BTreeMap::from([(4, random(1)), (5, random(2)), (6, random(2))]);
    let counts = pair.send(&moved).0;
    assert_eq!((counts.duplicate, counts.literal), (2, 1));
}

#[test]
fn a_page_changed_by_other_means_is_not_referred_to() {
    let mut pair = pair();
    pair.send_one(1, random(1));
    pair.receiver.install(1, &random(9));
    pair.encoder.forget(1);
    assert_eq!(pair.send_one(2, random(1)), literal());
    // Where the contents are at hand, even one that nobody told of is noticed.
    pair.receiver.install(2, &random(8));
    assert_eq!(pair.send_one(3, random(1)), literal());
}

#[test]
fn baselines_that_the_caller_does_not_state_are_taken_from_what_the_receiver_holds() {
    let mut pair = pair();
    pair.send_one(1, random(1));
    let mut changed = random(1);
    changed[0] ^= 1;
    let page = BTreeMap::from([(1, changed)]);
    let frame = pair.encode(&page, |_| false, true);
    assert_eq!(pair.decode(&frame, &page).counts, delta());
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
    let little = frame.len() - header_len - 100 * PAGE_SIZE;
    // A byte per page, and the lengths of columns and sections.
    assert!((200..240).contains(&little), "{little}");
    let counts = encoder.stats().pages;
    assert_eq!((counts.zero, counts.literal), (100, 100));
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
    let mut receiver = Receiver::default();
    let mut decoder = Decoder::new();
    let frame = encoder.encode(0, &pages);
    assert!((frame.len() as f64) < 1.01 * (content.len() * PAGE_SIZE) as f64);
    let decoded = decoder.decode(&frame, &mut receiver).unwrap();
    assert_eq!(decoded.counts.literal, MAX_PAGES_PER_FRAME as u64);
    assert!(
        pages
            .iter()
            .all(|page| receiver.page(page.number) == Some(page.content))
    );

    let empty = encoder.encode(1, &[]);
    assert_eq!(decoder.decode(&empty, &mut receiver).unwrap().counts.total(), 0);
}

#[test]
fn the_same_calls_give_the_same_bytes() {
    let encode = || {
        let mut pair = pair();
        let frames = (0..4u64).map(|round| {
            let pages = (0..30)
                .map(|n| {
                    (
                        n,
                        window([&random(n + round), &random(n + 1)], (round * n) as usize),
                    )
                })
                .collect();
            let frame = pair.encode(&pages, |n| n % 3 > 0, round % 2 > 0);
            pair.decode(&frame, &pages);
            frame
        });
        frames.collect::<Vec<_>>()
    };
    assert_eq!(encode(), encode());
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
