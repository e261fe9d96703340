//! Damage, wrong baselines and hostile bytes: a typed error, and a store that is as it was.

mod support;

use std::collections::BTreeMap;

use longhaul_hde::dictionary::Dictionary;
use longhaul_hde::{
    BodyForm, DecodeError, Decoder, Encoder, EncoderOptions, FrameHeader, ImageId, MAX_PAGES_PER_FRAME,
    PAGE_SIZE, PageRun, PageStore, encode_synthetic_header,
};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use support::{Page, Pair, Receiver, random, refused, window};

const IMAGE: ImageId = ImageId(0xabcd);

fn text(seed: usize) -> Page {
    std::array::from_fn(|i| b"the quick brown fox jumps over the lazy dog"[(i * (seed + 1) + seed) % 43])
}

/// A receiver, and a frame for it with a page of every class, in this order: a delta (page 10), zero, duplicates of
/// an earlier page, of the receiver's page 12 and of page 5 of another image, a page patched from page 13 and the other
/// image (page 14), one assembled from an earlier one (page 24), a literal (page 25).
fn sample(level: Option<i32>) -> (Receiver, Vec<u8>) {
    let mut pair = Pair::with_pages(
        Encoder::new(EncoderOptions {
            level,
            ..EncoderOptions::hde(1)
        }),
        [
            (10, text(0)),
            (11, text(1)),
            (12, text(2)),
            (13, random(13)),
            (14, text(4)),
        ],
    );
    let other = random(55);
    pair.encoder.learn_of(IMAGE, 5, &other);
    pair.receiver.images.insert((IMAGE, 5), Box::new(other));

    let mut touched = text(0);
    touched[100..140].fill(b'x');
    let mut patched = window([&random(13), &other], 2048);
    patched[..512].copy_from_slice(&text(4)[..512]);
    let mut assembled = [b'-'; PAGE_SIZE];
    assembled[24..3000].copy_from_slice(&patched[1000..3976]);
    let pages = BTreeMap::from([
        (10, touched),
        (11, [0; PAGE_SIZE]),
        (14, patched),
        (20, touched),
        (21, text(2)),
        (22, other),
        (24, assembled),
        (25, text(9)),
    ]);
    let frame = pair.encode(&pages, |_| true, true);
    let receiver = pair.receiver.clone();
    let counts = pair.decode(&frame, &pages).counts;
    assert_eq!(
        (
            counts.zero,
            counts.duplicate,
            counts.delta,
            counts.similar,
            counts.literal
        ),
        (1, 3, 1, 2, 1)
    );
    (receiver, frame)
}

/// A frame with this body and otherwise as it was, its checksums sound.
fn with_body(frame: &[u8], body: &[u8]) -> Vec<u8> {
    let (header, _) = FrameHeader::parse(frame).unwrap();
    let header = FrameHeader {
        body_len: body.len() as u32,
        body_checksum: xxh3_64(body),
        ..header
    };
    [&header.encode()[..], body].concat()
}

#[test]
fn every_flipped_bit_is_detected() {
    for level in [None, Some(3)] {
        let (receiver, frame) = sample(level);
        let mut decoder = Decoder::new();
        // Without compression the frame is long, and one bit of every byte has to do.
        let step = if level.is_none() { 8 } else { 1 };
        for bit in (0..frame.len() * 8).step_by(step) {
            let bit = bit + bit / 8 % step;
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            decoder
                .decode(&damaged, &mut Unchanging(&receiver))
                .expect_err("a damaged frame");
        }
    }
}

/// A store that is not to be written to.
struct Unchanging<'a>(&'a Receiver);

impl PageStore for Unchanging<'_> {
    fn page(&self, number: u64) -> Option<&Page> {
        self.0.page(number)
    }

    fn page_of(&self, image: ImageId, number: u64) -> Option<&Page> {
        self.0.page_of(image, number)
    }

    fn install(&mut self, number: u64, _: &Page) {
        panic!("a refused frame has installed page {number}");
    }
}

#[test]
fn every_truncation_says_how_much_is_missing() {
    let (receiver, frame) = sample(Some(3));
    let (_, header_len) = FrameHeader::parse(&frame).unwrap();
    let mut decoder = Decoder::new();
    for have in 0..frame.len() {
        let needed = match have {
            0..8 => 8,
            _ if have < header_len => header_len,
            _ => frame.len(),
        };
        assert_eq!(
            refused(&mut decoder, &frame[..have], &receiver),
            DecodeError::Truncated { needed, have }
        );
    }
    let longer = [&frame[..], &[0]].concat();
    assert_eq!(
        refused(&mut decoder, &longer, &receiver),
        DecodeError::Malformed("bytes after the body")
    );
}

#[test]
fn a_forged_body_is_refused_or_means_the_same() {
    // What no channel does, but a forger can: the checks behind the checksums hold on their own. Not every bit matters:
    // some of zstd's mean nothing, and a lone literal page may be of any sort.
    for level in [None, Some(3)] {
        let (receiver, frame) = sample(level);
        let (_, header_len) = FrameHeader::parse(&frame).unwrap();
        let mut expected = receiver.clone();
        Decoder::new().decode(&frame, &mut expected).unwrap();
        for at in 0..frame.len() - header_len {
            for mask in [0x01, 0x10, 0xff] {
                let mut body = frame[header_len..].to_vec();
                body[at] ^= mask;
                let mut copy = receiver.clone();
                let decoded = Decoder::new().decode(&with_body(&frame, &body), &mut copy);
                let allowed = if decoded.is_ok() { &expected } else { &receiver };
                assert_eq!(copy, *allowed, "byte {at}, mask {mask:#x}");
            }
        }
    }
}

#[test]
fn any_other_content_of_a_page_built_upon_is_a_wrong_baseline() {
    for level in [None, Some(3)] {
        let (receiver, frame) = sample(level);
        let mut decoder = Decoder::new();
        // The bytes of pages that the frame copies. Page 10 is the baseline of a delta, but for the units changed;
        // page 12 the original of a duplicate; the upper half of page 13 is a piece.
        let used = [
            (10, 0..96),
            (10, 144..PAGE_SIZE),
            (12, 0..PAGE_SIZE),
            (13, 2560..PAGE_SIZE),
        ];
        for (number, places) in used {
            for place in places.step_by(61) {
                let mut corrupted = receiver.clone();
                corrupted.pages.get_mut(&number).unwrap()[place] ^= 0x10;
                assert_eq!(
                    refused(&mut decoder, &frame, &corrupted),
                    DecodeError::WrongBaseline,
                    "page {number}, byte {place}"
                );
            }
        }
        for number in [10, 12, 13, 14] {
            let mut missing = receiver.clone();
            missing.pages.remove(&number);
            assert_eq!(
                refused(&mut decoder, &frame, &missing),
                DecodeError::MissingPage(number)
            );
        }
        let mut swapped = receiver.clone();
        swapped.pages.insert(10, receiver.pages[&12].clone());
        swapped.pages.insert(12, receiver.pages[&10].clone());
        assert_eq!(
            refused(&mut decoder, &frame, &swapped),
            DecodeError::WrongBaseline
        );

        let mut corrupted = receiver.clone();
        corrupted.images.get_mut(&(IMAGE, 5)).unwrap()[7] ^= 1;
        assert_eq!(
            refused(&mut decoder, &frame, &corrupted),
            DecodeError::WrongBaseline
        );
        let mut missing = receiver.clone();
        missing.images.clear();
        assert_eq!(
            refused(&mut decoder, &frame, &missing),
            DecodeError::MissingImagePage {
                image: IMAGE.0,
                page: 5
            }
        );
    }
}

#[test]
fn context_that_differs_is_a_wrong_baseline_or_does_not_matter() {
    // Bytes beside changed units are no more than what zstd may refer to. If it does, the result differs.
    let (receiver, frame) = sample(Some(3));
    for place in 96..144 {
        let mut corrupted = receiver.clone();
        corrupted.pages.get_mut(&10).unwrap()[place] ^= 0x10;
        let mut decoded = corrupted.clone();
        match Decoder::new().decode(&frame, &mut decoded) {
            Ok(_) => {
                let mut expected = receiver.clone();
                Decoder::new().decode(&frame, &mut expected).unwrap();
                assert_eq!(decoded, expected);
            }
            Err(error) => assert_eq!(error, DecodeError::WrongBaseline),
        }
    }
}

/// Frames that depend on nothing but their order: each page is new content under the same number.
fn independent_frames() -> (Receiver, Vec<Vec<u8>>) {
    let mut pair = Pair::new(Encoder::new(EncoderOptions::hde(1)));
    let start = pair.receiver.clone();
    let frames = (0..5)
        .map(|seed| {
            let pages = BTreeMap::from([(1, random(seed))]);
            let frame = pair.encode(&pages, |_| false, false);
            assert_eq!(pair.decode(&frame, &pages).counts.literal, 1);
            frame
        })
        .collect();
    (start, frames)
}

#[test]
fn frames_out_of_order_are_refused_even_if_they_depend_on_nothing() {
    let (mut receiver, frames) = independent_frames();
    let mut decoder = Decoder::new();
    // Any frame may be the first: a receiver can join in the middle.
    decoder.decode(&frames[1], &mut receiver).unwrap();
    for wrong in [0, 1, 3, 4] {
        assert_eq!(
            refused(&mut decoder, &frames[wrong], &receiver),
            DecodeError::OutOfOrder
        );
    }
    decoder.decode(&frames[2], &mut receiver).unwrap();
    decoder.decode(&frames[3], &mut receiver).unwrap();
    assert_eq!(
        refused(&mut decoder, &frames[2], &receiver),
        DecodeError::OutOfOrder
    );
    // A frame that was refused for another reason can come again.
    let mut damaged = frames[4].clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(
        refused(&mut decoder, &damaged, &receiver),
        DecodeError::BodyChecksum
    );
    decoder.decode(&frames[4], &mut receiver).unwrap();
    assert_eq!(receiver.page(1), Some(&random(4)));
}

#[test]
fn an_unordered_decoder_leaves_the_order_to_its_caller() {
    let (mut receiver, frames) = independent_frames();
    let mut decoder = Decoder::unordered();
    for order in [3, 0, 0, 4] {
        decoder.decode(&frames[order], &mut receiver).unwrap();
    }
    assert_eq!(receiver.page(1), Some(&random(4)));
}

#[test]
fn a_frame_whose_dictionary_is_not_the_decoders_is_refused() {
    let content: Vec<u8> = text(3).into_iter().chain(text(7)).collect();
    let dictionary = |version, content: &[u8]| Dictionary::new(9, version, content.to_vec()).unwrap();
    let right = dictionary(1, &content);
    let page = window([&text(3), &text(7)], 1500);
    let mut pair = Pair::new(Encoder::new(EncoderOptions::hde(3)));
    let pages = BTreeMap::from([(1, page)]);
    let without = pair.encode(&pages, |_| false, false);
    pair.encoder = Encoder::new(EncoderOptions::hde(3));
    pair.encoder.set_dictionary(Some(right.clone()));
    pair.sequence = 0;
    let frame = pair.encode(&pages, |_| false, false);
    assert!(
        frame.len() < without.len(),
        "{} of {}",
        frame.len(),
        without.len()
    );

    let (name, receiver) = (right.name(), pair.receiver.clone());
    let refuse = |decoder: &mut Decoder| {
        assert_eq!(
            refused(decoder, &frame, &receiver),
            DecodeError::UnknownDictionary(name)
        );
    };
    refuse(&mut Decoder::new());
    // Another version, or the same one with another content.
    for wrong in [dictionary(2, &content), dictionary(1, &content[1..])] {
        let mut decoder = Decoder::new();
        decoder.add_dictionary(wrong);
        refuse(&mut decoder);
    }
    pair.decoder.add_dictionary(right);
    assert_eq!(pair.decode(&frame, &pages).counts.literal, 1);
    pair.decoder.remove_dictionary(name);
    assert_eq!(FrameHeader::parse(&frame).unwrap().0.dictionary, Some(name));
}

#[test]
fn frames_of_another_encoder_are_refused() {
    let (mut receiver, frames) = independent_frames();
    let mut decoder = Decoder::new();
    decoder.decode(&frames[0], &mut receiver).unwrap();
    let mut other = Encoder::new(EncoderOptions::hde(1));
    for sequence in 0..2 {
        let frame = other.encode(sequence, &[]);
        assert_eq!(refused(&mut decoder, &frame, &receiver), DecodeError::OutOfOrder);
    }
}

#[test]
fn the_same_frame_twice_in_a_row_is_told_apart_by_its_place() {
    let mut encoder = Encoder::new(EncoderOptions::raw());
    let [first, second] = [0; 2].map(|sequence| encoder.encode(sequence, &[]));
    assert_ne!(first, second);
    let mut decoder = Decoder::new();
    let mut receiver = Receiver::default();
    decoder.decode(&first, &mut receiver).unwrap();
    assert_eq!(
        decoder.decode(&first, &mut receiver),
        Err(DecodeError::OutOfOrder)
    );
    decoder.decode(&second, &mut receiver).unwrap();
}

#[test]
fn a_frame_decoded_twice_does_no_harm() {
    let (mut receiver, frame) = sample(Some(1));
    let mut decoder = Decoder::new();
    decoder.decode(&frame, &mut receiver).unwrap();
    assert_eq!(refused(&mut decoder, &frame, &receiver), DecodeError::OutOfOrder);
    // A decoder that has not seen it before installs the same pages again, or finds that it cannot.
    let mut again = receiver.clone();
    if let Err(error) = Decoder::new().decode(&frame, &mut again) {
        assert_eq!(error, DecodeError::WrongBaseline);
    }
    assert_eq!(again, receiver);
}

#[test]
fn pages_that_are_not_those_encoded_are_refused_even_under_sound_checksums() {
    let (receiver, frames) = independent_frames();
    let (header, header_len) = FrameHeader::parse(&frames[0]).unwrap();
    let mut body = frames[0][header_len..].to_vec();
    *body.last_mut().unwrap() ^= 1;
    assert_eq!(
        refused(&mut Decoder::new(), &with_body(&frames[0], &body), &receiver),
        DecodeError::ResultMismatch
    );
    // The same content under another page number.
    let moved = FrameHeader {
        runs: vec![PageRun { start: 99, count: 1 }],
        ..header
    };
    let moved = [&moved.encode()[..], &frames[0][header_len..]].concat();
    assert_eq!(
        refused(&mut Decoder::new(), &moved, &receiver),
        DecodeError::ResultMismatch
    );
}

#[test]
fn other_bytes_and_other_versions_are_named() {
    let (receiver, frame) = sample(Some(1));
    let mut decoder = Decoder::new();
    let altered = |at: usize, value: u8| {
        let mut frame = frame.clone();
        frame[at] = value;
        frame
    };
    let mut refuse = |frame: &[u8]| refused(&mut decoder, frame, &receiver);
    assert_eq!(refuse(&altered(0, b'X')), DecodeError::BadMagic);
    for version in [0, 1, 3] {
        assert_eq!(refuse(&altered(4, version)), DecodeError::BadVersion(version));
    }
    assert_eq!(refuse(&altered(8, 77)), DecodeError::HeaderChecksum);
    let last = frame.len() - 1;
    assert_eq!(refuse(&altered(last, !frame[last])), DecodeError::BodyChecksum);
}

#[test]
fn a_synthetic_frame_has_a_header_and_nothing_to_decode() {
    let runs = [
        PageRun { start: 5, count: 3 },
        PageRun {
            start: 1 << 40,
            count: 1000,
        },
    ];
    let header = encode_synthetic_header(&runs, 9, 123_456);
    let (parsed, len) = FrameHeader::parse(&header).unwrap();
    assert_eq!(len, header.len());
    assert_eq!(
        (parsed.sequence, parsed.form, parsed.body_len),
        (9, BodyForm::Synthetic, 123_456)
    );
    assert_eq!(parsed.runs, runs);
    assert_eq!(parsed.page_count(), 1003);
    assert_eq!(parsed.pages().nth(3), Some(1 << 40));
    assert_eq!(FrameHeader::encoded_len(&header[..8]), Ok(len));
    assert_eq!(
        refused(&mut Decoder::new(), &header, &Receiver::default()),
        DecodeError::Synthetic
    );
}

#[test]
fn a_header_that_declares_too_much_is_refused_before_anything_is_allocated() {
    let header = encode_synthetic_header(
        &[PageRun {
            start: 0,
            count: MAX_PAGES_PER_FRAME as u32,
        }],
        0,
        0,
    );
    let resealed = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = header.to_vec();
        let end = bytes.len() - 4;
        change(&mut bytes[..end]);
        let checksum = crc32c::crc32c(&bytes[..end]);
        bytes[end..].copy_from_slice(&checksum.to_le_bytes());
        FrameHeader::parse(&bytes).map(|_| ())
    };
    assert_eq!(resealed(&|_| {}), Ok(()));
    for field in [48..52, 52..54, 54..56] {
        let too_much = resealed(&|bytes| bytes[field.clone()].fill(0xff));
        assert_eq!(too_much, Err(DecodeError::TooLarge), "{field:?}");
    }
    // The count of the only run, minus two: 4094 is the varint fe 1f.
    assert_eq!(resealed(&|bytes| bytes[58] = 0x7f), Err(DecodeError::TooLarge));
}

/// A body of two stored sections.
fn body_of(plan: &[u8], data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for section in [plan, data] {
        body.push(0);
        for _ in 0..2 {
            put_varint(&mut body, section.len() as u64);
        }
        body.extend_from_slice(section);
    }
    body
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A frame of pages 10, 11, … with this body.
fn forged(pages: u32, body: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        sequence: 0,
        runs: vec![PageRun {
            start: 10,
            count: pages,
        }],
        form: BodyForm::Pages,
        body_len: body.len() as u32,
        body_checksum: xxh3_64(body),
        dictionary: None,
        chain: 0,
        result_hash: 0,
    };
    [&header.encode()[..], body].concat()
}

#[test]
fn a_section_that_decompresses_to_more_than_a_frame_holds_is_refused_by_its_length() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    let receiver = Receiver::default();
    // Honest about its length, or as long as allowed and in truth longer.
    for (claimed, expected) in [
        (64 << 20, DecodeError::TooLarge),
        (
            PAGE_SIZE as u64,
            DecodeError::Malformed("section does not decompress to its length"),
        ),
    ] {
        let plan = [0, 0, 0, 0, 0, 0, 0, 0, 7];
        let mut body = vec![0, plan.len() as u8, plan.len() as u8];
        body.extend_from_slice(&plan);
        let bomb = &bomb[..bomb.len().min(claimed as usize - 1)];
        body.push(1);
        put_varint(&mut body, claimed);
        put_varint(&mut body, bomb.len() as u64);
        body.extend_from_slice(bomb);
        assert_eq!(
            refused(&mut Decoder::new(), &forged(1, &body), &receiver),
            expected
        );
    }
}

#[test]
#[should_panic(expected = "not ascending and apart")]
fn a_synthetic_header_of_overlapping_runs_is_a_broken_invariant() {
    let runs = [PageRun { start: 5, count: 3 }, PageRun { start: 8, count: 1 }];
    encode_synthetic_header(&runs, 0, 0);
}

/// Columns that are sometimes sound.
fn columns() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let small = || proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..20);
    let runs = proptest::collection::vec(
        prop_oneof![
            Just(vec![255, 0, 1]),
            Just(vec![0, 255, 0, 1]),
            (0u8..=255).prop_map(|kept| vec![kept, 255 - kept, 1]),
            small(),
        ],
        0..6,
    );
    (small(), runs, small(), small(), small(), small(), small()).prop_map(
        |(references, runs, counts, gaps, lengths, kinds, shifts)| {
            vec![references, runs.concat(), counts, gaps, lengths, kinds, shifts]
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        refused(&mut Decoder::new(), &bytes, &Receiver::default());
    }

    #[test]
    fn arbitrary_headers_under_a_sound_checksum_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 56..200),
        small in any::<bool>(),
    ) {
        let len = (bytes.len() + 4) as u16;
        bytes[..5].copy_from_slice(b"LHDE\x02");
        bytes[5] %= 4;
        bytes[6..8].copy_from_slice(&len.to_le_bytes());
        if small {
            // Low counts and lengths get further.
            for high in [50, 51, 53, 55] {
                bytes[high] = 0;
            }
            bytes[54] %= 8;
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        if let Ok((header, len)) = FrameHeader::parse(&bytes) {
            prop_assert_eq!(header.encode(), &bytes[..len], "one header, one encoding");
        }
    }

    #[test]
    fn every_synthetic_header_survives(
        sequence in any::<u64>(),
        gaps in proptest::collection::vec((1u64..1 << 40, 1u32..100), 0..40),
        body_len in 0u64..16 << 20,
    ) {
        let mut runs: Vec<PageRun> = Vec::new();
        for (gap, count) in gaps {
            let start = runs.last().map_or(gap - 1, |run| run.end() + gap);
            runs.push(PageRun { start, count });
        }
        let header = encode_synthetic_header(&runs, sequence, body_len);
        let (parsed, len) = FrameHeader::parse(&header).unwrap();
        prop_assert_eq!(len, header.len());
        prop_assert_eq!((parsed.sequence, u64::from(parsed.body_len)), (sequence, body_len));
        prop_assert_eq!(parsed.runs, runs);
    }

    #[test]
    fn arbitrary_plans_under_sound_checksums_are_refused(
        classes in proptest::collection::vec(0u8..12, 1..8),
        images in 0usize..3,
        columns in columns(),
        data_units in 0usize..600,
    ) {
        let (receiver, _) = sample(None);
        let mut plan = Vec::new();
        put_varint(&mut plan, 8 * images as u64);
        for column in &columns {
            put_varint(&mut plan, column.len() as u64);
        }
        plan.extend_from_slice(&classes);
        for _ in 0..images {
            plan.extend_from_slice(&IMAGE.0.to_le_bytes());
        }
        plan.extend(columns.concat());
        let data = vec![7; (data_units * 16).min(classes.len() * PAGE_SIZE)];
        let frame = forged(classes.len() as u32, &body_of(&plan, &data));
        let error = refused(&mut Decoder::new(), &frame, &receiver);
        let expected = matches!(
            error,
            DecodeError::Malformed(_)
                | DecodeError::MissingPage(_)
                | DecodeError::MissingImagePage { .. }
                | DecodeError::WrongBaseline
                | DecodeError::ResultMismatch
        );
        prop_assert!(expected, "{error}");
    }

    #[test]
    fn spliced_frames_are_refused(cut in any::<prop::sample::Index>(), other in 0u64..4) {
        // The head of one frame and the tail of another.
        let (receiver, frame) = sample(Some(1));
        let (_, frames) = independent_frames();
        let tail = &frames[other as usize];
        let cut = cut.index(frame.len());
        let spliced = [&frame[..cut], &tail[cut.min(tail.len())..]].concat();
        prop_assume!(spliced != *tail && spliced != frame);
        refused(&mut Decoder::new(), &spliced, &receiver);
    }
}
