//! The object codec: what goes in comes out, in the size that it should, and nothing else ever does.

use longhaul_core::random::{Stream, Streams};
use longhaul_hde::dictionary::{Dictionary, DictionaryError, DictionaryTrainer};
use longhaul_hde::object::{
    BLOCK_SIZE, FrameKind, MAX_REFERENCES, Matching, Object, ObjectDecoder, ObjectEncoder, ObjectError,
    ObjectHeader, ObjectId, ObjectOptions, References, seed_block_delta,
};
use proptest::prelude::*;

const LIMIT: usize = 4 << 20;

fn random(seed: u64) -> Stream {
    Streams::new(seed, 0).stream("object", "content")
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    random(seed).fill(&mut bytes);
    bytes
}

/// Something like the state of a cluster: one line of text per machine.
fn state(seed: u64, len: usize) -> Vec<u8> {
    let mut random = random(seed);
    let mut text = String::new();
    while text.len() < len {
        text += &format!(
            "{{\"node\":\"eu-west-{}\",\"cpu\":0.{},\"memory_mib\":{},\"healthy\":true}}\n",
            random.below(100_000),
            random.below(1000),
            random.below(65_536)
        );
    }
    text.truncate(len);
    text.into_bytes()
}

fn object(version: u64, bytes: impl Into<Vec<u8>>) -> Object {
    named("cluster-abc", version, bytes)
}

fn named(id: &str, version: u64, bytes: impl Into<Vec<u8>>) -> Object {
    Object::new(ObjectId::new(id).unwrap(), version, bytes.into()).unwrap()
}

fn every_option() -> Vec<ObjectOptions> {
    let mut all = vec![ObjectOptions::local()];
    for matching in [Matching::None, Matching::Blocks, Matching::Content] {
        for level in [None, Some(1), Some(3), Some(9)] {
            all.push(ObjectOptions { level, matching });
        }
    }
    all
}

/// Encodes, decodes, compares, and returns the kind and length of the frame.
fn round_trip(options: ObjectOptions, target: &Object, references: &[&Object]) -> (FrameKind, usize) {
    let encoded = ObjectEncoder::new(options).encode(target, references, None);
    let mut held: Vec<Object> = references.iter().copied().cloned().collect();
    let decoded = ObjectDecoder::new(LIMIT)
        .decode(&encoded.frame, &mut held)
        .unwrap();
    assert_eq!(decoded.object, *target);
    assert!(decoded.object.bytes() == target.bytes());
    assert_eq!(ObjectHeader::parse(&encoded.frame).unwrap(), encoded.header);
    assert_eq!(decoded.kind, encoded.header.kind);
    (decoded.kind, encoded.frame.len())
}

#[test]
fn every_size_and_strategy_gives_back_what_it_took_growing_and_shrinking() {
    let sizes = [
        0,
        1,
        7,
        8,
        5 << 10,
        10 << 10,
        100 << 10,
        (1 << 20) - 1,
        1 << 20,
        (1 << 20) + 1,
    ];
    let (text, blob) = (state(1, 2 << 20), noise(1, 2 << 20));
    for options in every_option() {
        for content in [&text, &blob] {
            for size in sizes {
                // The higher levels do nothing else, only more slowly.
                if size > 200_000 && options.level.is_some_and(|level| level != 3) {
                    continue;
                }
                let target = object(2, &content[..size]);
                round_trip(options, &target, &[]);
                for old_size in [
                    0,
                    1,
                    size / 2,
                    size.saturating_sub(1),
                    size,
                    size + 1,
                    size + 5000,
                ] {
                    let baseline = object(1, &content[..old_size]);
                    let (kind, len) = round_trip(options, &target, &[&baseline]);
                    assert!(
                        len <= size + 128,
                        "{options:?}: {size} from {old_size} takes {len}"
                    );
                    if options.matching == Matching::Content && size > 1000 && old_size >= size {
                        let expected = if size == old_size {
                            FrameKind::Identical
                        } else {
                            FrameKind::Delta
                        };
                        assert_eq!(kind, expected);
                        assert!(len < 160, "{size} from {old_size} takes {len}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_work_of_every_stage_is_counted() {
    let baseline = object(1, noise(1, 50_000));
    let mut bytes = baseline.bytes().to_vec();
    bytes.splice(1000..1000, noise(2, 500));
    let mut encoder = ObjectEncoder::new(ObjectOptions::regional());
    let target = object(2, bytes);
    let first = encoder.encode(&target, &[&baseline], None);
    let work = first.work;
    assert_eq!((work.frames, work.scanned, work.hashed), (1, 50_500, 101_000));
    assert_eq!((work.compared, work.searched), (50_000, 50_000 + 500));
    assert!((500..600).contains(&work.entropy), "{}", work.entropy);
    // The baseline is indexed once.
    assert_eq!(encoder.encode(&target, &[&baseline], None).work.searched, 500);
    let identical = encoder
        .encode(&object(2, baseline.bytes().to_vec()), &[&baseline], None)
        .work;
    assert_eq!(
        (identical.compared, identical.searched, identical.entropy),
        (0, 0, 0)
    );
    let whole = encoder.encode(&target, &[], None).work;
    assert_eq!((whole.compared, whole.searched), (0, 50_500));
    assert!(whole.entropy >= 50_500);

    let decoded = ObjectDecoder::new(LIMIT)
        .decode(&first.frame, &mut vec![baseline])
        .unwrap();
    let work = decoded.work;
    assert_eq!(
        (work.frames, work.rebuilt, work.hashed, work.entropy),
        (1, 50_500, 101_000, 0)
    );
}

#[test]
fn zeros_and_nothing_are_a_header() {
    for len in [0, 1, 100, 1 << 20] {
        for options in every_option() {
            let baseline = object(1, noise(1, 100));
            let (kind, size) = round_trip(options, &object(2, vec![0; len]), &[&baseline]);
            assert!(kind == FrameKind::Zero && size < 70, "{kind:?} {size}");
        }
    }
}

#[test]
fn an_insertion_costs_its_bytes_wherever_it_is() {
    for content in [noise(3, 256 << 10), state(3, 256 << 10)] {
        let baseline = object(1, content.clone());
        for (at, inserted) in [(0, 1), (1, 1), (100_000, 5), (256 << 10, 1), (40_000, 100)] {
            let mut bytes = content.clone();
            bytes.splice(at..at, noise(9, inserted));
            let (kind, len) = round_trip(ObjectOptions::regional(), &object(2, bytes), &[&baseline]);
            assert_eq!(kind, FrameKind::Delta);
            assert!(
                len < 120 + 8 + inserted,
                "{inserted} bytes inserted at {at} take {len}"
            );
        }
    }
}

#[test]
fn deleted_and_moved_parts_cost_next_to_nothing() {
    let content = noise(4, 300_000);
    let baseline = object(1, content.clone());
    let mut deleted = content.clone();
    deleted.drain(77_777..99_999);
    let mut rotated = content.clone();
    rotated.rotate_left(123_457);
    let mut shuffled: Vec<&[u8]> = content.chunks(10_007).collect();
    shuffled.reverse();
    for (changed, most) in [(deleted, 130), (rotated, 140), (shuffled.concat(), 600)] {
        let (_, len) = round_trip(ObjectOptions::regional(), &object(2, changed), &[&baseline]);
        assert!(len < most, "{len} of {most}");
    }
}

#[test]
fn parts_that_an_object_repeats_are_sent_once_however_far_apart() {
    let part = noise(5, 600_000);
    // Farther apart than any window of zstd that this codec uses would be for a longer object; here it must at
    // least not be sent twice without compression.
    let bytes = [&part[..], &noise(6, 300_000), &part[..500_000], &noise(7, 1000)].concat();
    let options = ObjectOptions {
        level: None,
        matching: Matching::Content,
    };
    let (kind, len) = round_trip(options, &object(1, bytes), &[]);
    assert_eq!(kind, FrameKind::Full);
    assert!(len < 901_000 + 300, "{len}");
}

#[test]
fn a_part_that_repeats_at_once_is_copied_without_reaching_ahead_of_itself() {
    let options = ObjectOptions {
        level: None,
        matching: Matching::Content,
    };
    for period in [600, 1000, 5000, 30_000] {
        let bytes: Vec<u8> = noise(period, period as usize)
            .into_iter()
            .cycle()
            .take(200_000)
            .collect();
        let (_, len) = round_trip(options, &object(1, bytes), &[]);
        assert!((len as u64) < 4 * period + 2000, "period {period}: {len}");
    }
}

#[test]
fn content_that_repeats_itself_everywhere_arrives_bit_exact() {
    for period in [1, 80, 600] {
        let bytes: Vec<u8> = noise(1, period).into_iter().cycle().take(1 << 20).collect();
        let mut changed = bytes.clone();
        changed.chunks_mut(50).for_each(|piece| piece[0] ^= 1);
        let (old, new) = (object(1, bytes), object(2, changed));
        for (target, references) in [(&old, &[][..]), (&new, &[]), (&new, &[&old])] {
            let (_, len) = round_trip(ObjectOptions::with_level(1), target, references);
            assert!(len < 200_000, "period {period}: {len}");
        }
    }
}

#[test]
fn other_objects_serve_as_references() {
    let (a, b) = (named("a", 7, noise(1, 100_000)), named("b", 8, noise(2, 100_000)));
    let bytes = [
        &b.bytes()[50_000..],
        &noise(3, 100),
        &a.bytes()[..30_000],
        &b.bytes()[..100],
    ]
    .concat();
    let target = object(1, bytes);
    let (kind, len) = round_trip(ObjectOptions::wan(), &target, &[&a, &b]);
    assert!(kind == FrameKind::Delta && len < 350, "{kind:?} {len}");
    let (kind, _) = round_trip(ObjectOptions::wan(), &named("c", 1, &b.bytes()[..]), &[&a, &b]);
    assert_eq!(kind, FrameKind::Identical);
    let many: Vec<Object> = (0..MAX_REFERENCES as u64)
        .map(|n| named("n", n, noise(n, 5000)))
        .collect();
    let all: Vec<u8> = many.iter().flat_map(|object| object.bytes().to_vec()).collect();
    let (kind, len) = round_trip(
        ObjectOptions::wan(),
        &target_of(all),
        &many.iter().collect::<Vec<_>>(),
    );
    assert!(kind == FrameKind::Delta && len < 600, "{kind:?} {len}");
}

fn target_of(bytes: Vec<u8>) -> Object {
    object(1, bytes)
}

#[test]
fn no_block_delta_is_larger_than_the_original_system_had_it() {
    for (blocks, changed) in [(16, 1), (256, 1), (256, 64)] {
        let old = noise(1, blocks * BLOCK_SIZE);
        let mut new = old.clone();
        for block in 0..changed {
            let at = block * (blocks / changed) * BLOCK_SIZE;
            // Incompressible in every byte, which no block delta can send for less.
            new[at..at + BLOCK_SIZE].copy_from_slice(&noise(block as u64 + 2, BLOCK_SIZE));
        }
        let seed = seed_block_delta("cluster-abc".len(), &old, &new).unwrap();
        for level in [None, Some(3)] {
            let options = ObjectOptions {
                level,
                matching: Matching::Blocks,
            };
            let (kind, len) = round_trip(options, &object(2, new.clone()), &[&object(1, old.clone())]);
            assert_eq!(kind, FrameKind::Delta);
            assert!(
                len as u64 <= seed,
                "{blocks} blocks, {changed} changed: {len}, was {seed}"
            );
        }
    }
}

#[test]
fn ratios_follow_the_share_of_changed_blocks() {
    let blocks = 1000;
    let old = state(1, blocks * BLOCK_SIZE);
    for (changed, least) in [(100, 9.0), (10, 50.0)] {
        let mut new = old.clone();
        for block in 0..changed {
            let at = block * (blocks / changed) * BLOCK_SIZE;
            new[at..at + BLOCK_SIZE].copy_from_slice(&noise(block as u64 + 2, BLOCK_SIZE));
        }
        for matching in [Matching::Blocks, Matching::Content] {
            let options = ObjectOptions {
                level: Some(3),
                matching,
            };
            let (_, len) = round_trip(options, &object(2, new.clone()), &[&object(1, old.clone())]);
            let ratio = new.len() as f64 / len as f64;
            assert!(ratio >= least, "{changed} of {blocks} blocks: {ratio}");
        }
    }
}

/// A sample frame of each kind, with what it needs.
fn samples() -> Vec<(Vec<u8>, Vec<Object>)> {
    let baseline = object(1, state(1, 3000));
    let other = named("other", 4, noise(5, 500));
    let mut changed = baseline.bytes().to_vec();
    changed.splice(100..120, *b"new");
    changed.extend_from_slice(&other.bytes()[..200]);
    let targets = [
        vec![0; 500],
        baseline.bytes().to_vec(),
        changed,
        noise(3, 400),
        state(4, 900),
    ];
    let mut encoder = ObjectEncoder::new(ObjectOptions::regional());
    targets
        .into_iter()
        .map(|target| {
            let frame = encoder
                .encode(&object(2, target), &[&baseline, &other], None)
                .frame;
            (frame.to_vec(), vec![baseline.clone(), other.clone()])
        })
        .collect()
}

#[test]
fn every_truncation_and_every_flipped_bit_is_noticed() {
    let mut decoder = ObjectDecoder::new(LIMIT);
    for (frame, mut held) in samples() {
        decoder.decode(&frame, &mut held).unwrap();
        for len in 0..frame.len() {
            let error = decoder.decode(&frame[..len], &mut held).unwrap_err();
            assert_eq!(error, ObjectError::Truncated, "{len} of {}", frame.len());
        }
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            decoder.decode(&damaged, &mut held).unwrap_err();
        }
        let longer = [&frame[..], &[0]].concat();
        assert_eq!(
            decoder.decode(&longer, &mut held),
            Err(ObjectError::Malformed("bytes after the frame"))
        );
    }
}

#[test]
fn damage_under_a_repaired_checksum_is_noticed_too() {
    let mut decoder = ObjectDecoder::new(LIMIT);
    for (frame, mut held) in samples() {
        let covered = frame.len() - 4;
        for bit in 0..covered * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let checksum = crc32c::crc32c(&damaged[..covered]);
            damaged[covered..].copy_from_slice(&checksum.to_le_bytes());
            // What still decodes says that it is another object or version: its content is that of the frame.
            if let Ok(decoded) = decoder.decode(&damaged, &mut held) {
                let original = decoder.decode(&frame, &mut held).unwrap();
                assert_eq!(decoded.object.hash(), original.object.hash(), "bit {bit}");
                assert!(decoded.object.bytes() == original.object.bytes());
            }
        }
    }
}

#[test]
fn a_wrong_or_missing_baseline_is_named() {
    let (baseline, other) = (object(1, state(1, 3000)), object(1, state(2, 3000)));
    let mut changed = baseline.bytes().to_vec();
    changed[7] ^= 1;
    for target in [changed, baseline.bytes().to_vec()] {
        let target = object(2, target);
        let frame = ObjectEncoder::new(ObjectOptions::wan())
            .encode(&target, &[&baseline], None)
            .frame;
        let mut decoder = ObjectDecoder::new(LIMIT);
        let name = || Box::new(baseline.name().clone());
        assert_eq!(
            decoder.decode(&frame, &mut vec![]),
            Err(ObjectError::MissingReference(name()))
        );
        assert_eq!(
            decoder.decode(&frame, &mut vec![other.clone()]),
            Err(ObjectError::WrongReference(name()))
        );
        assert_eq!(
            decoder.decode(&frame, &mut vec![object(3, baseline.bytes().to_vec())]),
            Err(ObjectError::MissingReference(name()))
        );
        decoder.decode(&frame, &mut vec![baseline.clone()]).unwrap();
    }
}

#[test]
fn an_object_beyond_the_receivers_limit_is_refused_before_anything_is_built() {
    for content in [vec![0; 1001], noise(1, 1001), vec![7; 1001]] {
        let frame = ObjectEncoder::new(ObjectOptions::wan())
            .encode(&object(1, content), &[], None)
            .frame;
        assert_eq!(
            ObjectDecoder::new(1000).decode(&frame, &mut vec![]),
            Err(ObjectError::TooLarge { bytes: 1001 })
        );
        ObjectDecoder::new(1001).decode(&frame, &mut vec![]).unwrap();
    }
}

/// Holds one dictionary.
struct WithDictionary(Option<Dictionary>);

impl References for WithDictionary {
    fn object(&mut self, _: &longhaul_hde::object::ObjectName) -> Option<Object> {
        None
    }

    fn dictionary(&mut self, _: &longhaul_hde::dictionary::DictionaryName) -> Option<Dictionary> {
        self.0.clone()
    }
}

fn trained(seed: u64) -> Dictionary {
    let mut trainer = DictionaryTrainer::new(16 << 10, 1 << 20).unwrap();
    for sample in 0..1500 {
        trainer.add(&state(seed + sample, 900));
    }
    assert!(trainer.held_bytes() <= 1 << 20);
    trainer.train(5, 1).unwrap()
}

#[test]
fn a_trained_dictionary_shortens_small_objects_and_is_named_in_the_frame() {
    let dictionary = trained(0);
    assert_eq!(dictionary, trained(0), "training is deterministic");
    let (mut plain_len, mut with_len) = (0, 0);
    for seed in 0..20 {
        let target = object(1, state(10_000 + seed, 400));
        let mut encoder = ObjectEncoder::new(ObjectOptions::wan());
        plain_len += encoder.encode(&target, &[], None).frame.len();
        let encoded = encoder.encode(&target, &[], Some(&dictionary));
        with_len += encoded.frame.len();
        assert_eq!(encoded.header.dictionary, Some(dictionary.name()));
        let mut decoder = ObjectDecoder::new(LIMIT);
        let mut decode = |held| decoder.decode(&encoded.frame, &mut WithDictionary(held));
        assert_eq!(decode(Some(dictionary.clone())).unwrap().object, target);
        assert_eq!(
            decode(None),
            Err(ObjectError::UnknownDictionary(dictionary.name()))
        );
        let other = Dictionary::new(5, 1, noise(1, 5000)).unwrap();
        assert_eq!(
            decode(Some(other)),
            Err(ObjectError::WrongDictionary(dictionary.name()))
        );
    }
    assert!(
        with_len * 10 < plain_len * 8,
        "{with_len} with, {plain_len} without"
    );
}

#[test]
fn dictionaries_have_bounds_and_travel_as_objects() {
    assert_eq!(
        Dictionary::new(1, 1, noise(1, 1023)),
        Err(DictionaryError::Size(1023))
    );
    assert_eq!(
        DictionaryTrainer::new(1023, 1 << 20).unwrap_err(),
        DictionaryError::Size(1023)
    );
    assert!(matches!(
        DictionaryTrainer::new(1024, 1 << 20).unwrap().train(1, 1),
        Err(DictionaryError::TooFewSamples { samples: 0, bytes: 0 })
    ));
    let dictionary = trained(1);
    let object = dictionary.to_object();
    assert_eq!(Dictionary::from_object(&object), Ok(Some(dictionary.clone())));
    assert_eq!(
        Dictionary::from_object(&self::object(1, noise(1, 2000))),
        Ok(None)
    );
    // A trained dictionary, damaged behind the mark by which zstd knows one.
    let mut damaged = dictionary.content().to_vec();
    damaged[8..200].fill(0xff);
    assert_eq!(Dictionary::new(5, 2, damaged), Err(DictionaryError::Malformed));
}

/// `cargo test --release -p longhaul-hde --test objects -- --ignored`: half a minute and 5 GB.
#[test]
#[ignore = "5 GB of memory"]
fn an_object_of_more_than_a_gibibyte_is_carried() {
    let len = (1 << 30) + 12_345;
    let mut content = noise(1, len / 2);
    content.extend(state(2, len - len / 2));
    let baseline = object(1, content.clone());
    // A large part moved, something new in front, an edit every 10 MB, and less at the end.
    content.rotate_left(300_000_000);
    content.splice(0..0, *b"new");
    for edit in content.chunks_mut(10_000_000) {
        edit[5000] ^= 1;
    }
    content.truncate(len - 1_000_000);
    let target = object(2, content);
    for options in [ObjectOptions::regional(), ObjectOptions::local()] {
        let encoded = ObjectEncoder::new(options).encode(&target, &[&baseline], None);
        let mut held = vec![baseline.clone()];
        let decoded = ObjectDecoder::new(2 << 30)
            .decode(&encoded.frame, &mut held)
            .unwrap();
        assert!(decoded.object == target && decoded.object.bytes() == target.bytes());
        if options == ObjectOptions::regional() {
            assert!(encoded.frame.len() < 200_000, "{}", encoded.frame.len());
        }
    }
}

#[test]
fn ids_have_1_to_255_bytes() {
    assert!(ObjectId::new("").is_err() && ObjectId::new(&"x".repeat(256)).is_err());
    let longest = named(&"x".repeat(255), u64::MAX, noise(1, 10));
    round_trip(ObjectOptions::wan(), &longest, &[]);
}

/// How a version follows from the one before.
#[derive(Clone, Debug)]
enum Edit {
    Insert {
        at: prop::sample::Index,
        seed: u64,
        len: usize,
    },
    Remove {
        at: prop::sample::Index,
        len: usize,
    },
    Overwrite {
        at: prop::sample::Index,
        seed: u64,
        len: usize,
    },
    Copy {
        from: prop::sample::Index,
        to: prop::sample::Index,
        len: usize,
    },
    Fill {
        at: prop::sample::Index,
        value: u8,
        len: usize,
    },
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u64>(), 1usize..300).prop_map(|(at, seed, len)| Edit::Insert { at, seed, len }),
        (at(), 1usize..3000).prop_map(|(at, len)| Edit::Remove { at, len }),
        (at(), any::<u64>(), 1usize..300).prop_map(|(at, seed, len)| Edit::Overwrite { at, seed, len }),
        (at(), at(), 1usize..5000).prop_map(|(from, to, len)| Edit::Copy { from, to, len }),
        (at(), any::<u8>(), 1usize..3000).prop_map(|(at, value, len)| Edit::Fill { at, value, len }),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    let place = |index: &prop::sample::Index| index.index(bytes.len() + 1);
    match edit {
        Edit::Insert { at, seed, len } => {
            let at = place(at);
            bytes.splice(at..at, noise(*seed, *len));
        }
        Edit::Remove { at, len } => {
            let at = place(at);
            bytes.drain(at..(at + len).min(bytes.len()));
        }
        Edit::Overwrite { at, seed, len } => {
            let at = place(at);
            let end = (at + len).min(bytes.len());
            bytes[at..end].copy_from_slice(&noise(*seed, end - at));
        }
        Edit::Copy { from, to, len } => {
            let (from, to) = (place(from), place(to));
            let piece = bytes[from..(from + len).min(bytes.len())].to_vec();
            bytes.splice(to..to, piece);
        }
        Edit::Fill { at, value, len } => {
            let at = place(at);
            let end = (at + len).min(bytes.len());
            bytes[at..end].fill(*value);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_edit_of_any_content_arrives_bit_exact(
        seed in any::<u64>(),
        kind in 0u8..4,
        len in 0usize..200_000,
        edits in prop::collection::vec(edit(), 0..12),
        options in prop::sample::select(every_option()),
        spare in prop::option::of(any::<u64>()),
    ) {
        let content = match kind {
            0 => noise(seed, len),
            1 => state(seed, len),
            2 => noise(seed, 80).into_iter().cycle().take(len).collect(),
            _ => vec![seed as u8; len],
        };
        let mut bytes = content.clone();
        for edit in &edits {
            apply(&mut bytes, edit);
        }
        let baseline = object(1, content);
        let mut references = vec![&baseline];
        let spare = spare.map(|seed| named("spare", 1, noise(seed, 1000)));
        references.extend(&spare);
        let target = object(2, bytes);
        let (_, with) = round_trip(options, &target, &references);
        let (_, without) = round_trip(options, &target, &[]);
        // Content that repeats itself within a few bytes is short either way.
        let most = if kind < 2 { without + 160 } else { 2 * without + 400 };
        prop_assert!(with <= most, "{with} with a baseline, {without} without");
        if kind < 2 && options.matching == Matching::Content && edits.is_empty() {
            prop_assert!(with < 120);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), head in 0usize..6) {
        let mut frame = b"LHDO\x01\x02"[..head].to_vec();
        frame.extend_from_slice(&bytes);
        prop_assert!(ObjectDecoder::new(LIMIT).decode(&frame, &mut Vec::<Object>::new()).is_err());
    }
}
