//! Damage, wrong baselines and hostile bytes: a typed error, and a store that is as it was.

use std::collections::BTreeMap;

use longhaul_hde::{
    BodyForm, DecodeError, Decoder, Encoder, EncoderOptions, FrameHeader, MAX_PAGES_PER_FRAME, PAGE_SIZE,
    PageInput, PageRun, encode_synthetic_header,
};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

type Page = [u8; PAGE_SIZE];
type Store = BTreeMap<u64, Box<Page>>;

fn text(seed: usize) -> Page {
    std::array::from_fn(|i| b"the quick brown fox jumps over the lazy dog"[(i * (seed + 1) + seed) % 43])
}

/// A store, and a frame for it with a zero page, duplicates of both kinds, a delta and a literal.
fn sample(level: Option<i32>) -> (Store, Vec<u8>) {
    let mut encoder = Encoder::new(EncoderOptions {
        level,
        ..EncoderOptions::hde(1)
    });
    let mut store = Store::new();
    let old: Vec<Page> = (0..4).map(text).collect();
    let first: Vec<PageInput<'_>> = (10..)
        .zip(&old)
        .map(|(number, content)| PageInput {
            number,
            content,
            baseline: None,
        })
        .collect();
    Decoder::new()
        .decode(&encoder.encode(1, &first), &mut store)
        .unwrap();

    let mut touched = old[0];
    touched[100..140].fill(b'x');
    let (zero, fresh) = ([0; PAGE_SIZE], text(9));
    let second = [
        (10, &touched, Some(&old[0])),
        (11, &zero, Some(&old[1])),
        (20, &old[2], None),
        (21, &fresh, None),
        (22, &fresh, None),
    ]
    .map(|(number, content, baseline)| PageInput {
        number,
        content,
        baseline,
    });
    let frame = encoder.encode(2, &second).to_vec();
    let mut check = store.clone();
    let counts = Decoder::new().decode(&frame, &mut check).unwrap().counts;
    assert_eq!(
        (counts.zero, counts.duplicate, counts.delta, counts.literal),
        (1, 2, 1, 1)
    );
    (store, frame)
}

/// Decodes into a copy of the store and checks that a refusal leaves it alone.
fn refused(decoder: &mut Decoder, frame: &[u8], store: &Store) -> DecodeError {
    let mut copy = store.clone();
    let error = decoder
        .decode(frame, &mut copy)
        .expect_err("a frame that must be refused");
    assert_eq!(copy, *store, "a refused frame has changed the store");
    error
}

#[test]
fn every_flipped_bit_is_detected() {
    let (store, frame) = sample(Some(3));
    let mut decoder = Decoder::new();
    for bit in 0..frame.len() * 8 {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        refused(&mut decoder, &damaged, &store);
    }
}

#[test]
fn every_truncation_says_how_much_is_missing() {
    let (store, frame) = sample(Some(3));
    let (_, header_len) = FrameHeader::parse(&frame).unwrap();
    let mut decoder = Decoder::new();
    for have in 0..frame.len() {
        let needed = match have {
            0..8 => 8,
            _ if have < header_len => header_len,
            _ => frame.len(),
        };
        assert_eq!(
            refused(&mut decoder, &frame[..have], &store),
            DecodeError::Truncated { needed, have }
        );
    }
    let longer = [&frame[..], &[0]].concat();
    assert_eq!(
        refused(&mut decoder, &longer, &store),
        DecodeError::Malformed("bytes after the body")
    );
}

#[test]
fn any_other_content_of_a_page_built_upon_is_a_wrong_baseline() {
    for level in [None, Some(3)] {
        let (store, frame) = sample(level);
        let mut decoder = Decoder::new();
        // Page 10 is the baseline of the delta, page 12 the original of the duplicate.
        for number in [10, 12] {
            for place in (0..PAGE_SIZE).step_by(61) {
                let mut corrupted = store.clone();
                corrupted.get_mut(&number).unwrap()[place] ^= 0x10;
                assert_eq!(
                    refused(&mut decoder, &frame, &corrupted),
                    DecodeError::WrongBaseline
                );
            }
            let mut missing = store.clone();
            missing.remove(&number);
            assert_eq!(
                refused(&mut decoder, &frame, &missing),
                DecodeError::MissingPage(number)
            );
        }
        let mut swapped = store.clone();
        swapped.insert(10, store[&12].clone());
        swapped.insert(12, store[&10].clone());
        assert_eq!(
            refused(&mut decoder, &frame, &swapped),
            DecodeError::WrongBaseline
        );
    }
}

#[test]
fn a_frame_decoded_twice_is_refused_where_it_would_do_harm() {
    let (mut store, frame) = sample(Some(1));
    let mut decoder = Decoder::new();
    decoder.decode(&frame, &mut store).unwrap();
    assert_eq!(refused(&mut decoder, &frame, &store), DecodeError::WrongBaseline);
}

#[test]
fn pages_that_are_not_those_encoded_are_refused_even_under_sound_checksums() {
    let (store, frame) = sample(None);
    let (header, header_len) = FrameHeader::parse(&frame).unwrap();
    let mut decoder = Decoder::new();
    // The last page of the body is the literal.
    let mut body = frame[header_len..].to_vec();
    *body.last_mut().unwrap() ^= 1;
    let forged = FrameHeader {
        body_checksum: xxh3_64(&body),
        ..header.clone()
    };
    let forged = [&forged.encode()[..], &body].concat();
    assert_eq!(
        refused(&mut decoder, &forged, &store),
        DecodeError::ResultMismatch
    );
    // The same contents under other page numbers.
    let mut moved = header;
    moved.runs.last_mut().unwrap().count -= 1;
    moved.runs.push(PageRun { start: 99, count: 1 });
    let moved = [&moved.encode()[..], &frame[header_len..]].concat();
    assert_eq!(refused(&mut decoder, &moved, &store), DecodeError::ResultMismatch);
}

#[test]
fn other_bytes_and_other_versions_are_named() {
    let (store, frame) = sample(Some(1));
    let mut decoder = Decoder::new();
    let altered = |at: usize, value: u8| {
        let mut frame = frame.clone();
        frame[at] = value;
        frame
    };
    assert_eq!(
        refused(&mut decoder, &altered(0, b'X'), &store),
        DecodeError::BadMagic
    );
    assert_eq!(
        refused(&mut decoder, &altered(4, 2), &store),
        DecodeError::BadVersion(2)
    );
    assert_eq!(
        refused(&mut decoder, &altered(8, 77), &store),
        DecodeError::HeaderChecksum
    );
    let last = frame.len() - 1;
    assert_eq!(
        refused(&mut decoder, &altered(last, !frame[last]), &store),
        DecodeError::BodyChecksum
    );
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
        refused(&mut Decoder::new(), &header, &Store::new()),
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
    assert_eq!(
        resealed(&|bytes| bytes[52..56].fill(0xff)),
        Err(DecodeError::TooLarge)
    );
    assert_eq!(
        resealed(&|bytes| bytes[56..58].fill(0xff)),
        Err(DecodeError::TooLarge)
    );
    assert_eq!(
        resealed(&|bytes| bytes[58..60].fill(0xff)),
        Err(DecodeError::TooLarge)
    );
    // The count of the only run: 4096 is the varint 80 20.
    assert_eq!(resealed(&|bytes| bytes[62] = 0x7f), Err(DecodeError::TooLarge));
}

#[test]
#[should_panic(expected = "not ascending and apart")]
fn a_synthetic_header_of_overlapping_runs_is_a_broken_invariant() {
    let runs = [PageRun { start: 5, count: 3 }, PageRun { start: 8, count: 1 }];
    encode_synthetic_header(&runs, 0, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        refused(&mut Decoder::new(), &bytes, &Store::new());
    }

    #[test]
    fn arbitrary_headers_under_a_sound_checksum_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 60..200),
        small in any::<bool>(),
    ) {
        let len = (bytes.len() + 4) as u16;
        bytes[..5].copy_from_slice(b"LHDE\x01");
        bytes[5] %= 4;
        bytes[6..8].copy_from_slice(&len.to_le_bytes());
        if small {
            // Low counts and lengths get further.
            for high in [50, 51, 54, 55, 57, 59] {
                bytes[high] = 0;
            }
            bytes[58] %= 8;
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
    fn arbitrary_bodies_under_sound_checksums_are_refused(
        classes in proptest::collection::vec(0u8..6, 1..12),
        references in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..20),
        data_pages in 0usize..8,
        compressed in any::<bool>(),
    ) {
        let (store, _) = sample(None);
        let raw = [&classes[..], &references, &vec![7; data_pages * PAGE_SIZE]].concat();
        let packed = zstd::bulk::compress(&raw, 1).unwrap();
        let (form, body) = if compressed && packed.len() < raw.len() {
            (BodyForm::Zstd, &packed)
        } else {
            (BodyForm::Stored, &raw)
        };
        prop_assume!(raw.len() <= classes.len() * (PAGE_SIZE + 1));
        let header = FrameHeader {
            sequence: 0,
            runs: vec![PageRun { start: 10, count: classes.len() as u32 }],
            form,
            raw_len: raw.len() as u32,
            body_len: body.len() as u32,
            body_checksum: xxh3_64(body),
            baseline_hash: 0,
            result_hash: 0,
        };
        let frame = [&header.encode()[..], body].concat();
        let error = refused(&mut Decoder::new(), &frame, &store);
        let expected = matches!(
            error,
            DecodeError::Malformed(_)
                | DecodeError::MissingPage(_)
                | DecodeError::WrongBaseline
                | DecodeError::ResultMismatch
        );
        prop_assert!(expected, "{error}");
    }

    #[test]
    fn a_body_that_decompresses_to_another_length_is_refused(claimed in 0usize..8000) {
        let raw = [3; 5000];
        prop_assume!(claimed != raw.len());
        let body = zstd::bulk::compress(&raw, 1).unwrap();
        prop_assume!(body.len() < claimed);
        let header = FrameHeader {
            sequence: 0,
            runs: vec![PageRun { start: 0, count: 2 }],
            form: BodyForm::Zstd,
            raw_len: claimed as u32,
            body_len: body.len() as u32,
            body_checksum: xxh3_64(&body),
            baseline_hash: 0,
            result_hash: 0,
        };
        let frame = [&header.encode()[..], &body].concat();
        let error = refused(&mut Decoder::new(), &frame, &Store::new());
        prop_assert_eq!(error, DecodeError::Malformed("body does not decompress to its length"));
    }
}
