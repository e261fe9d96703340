//! HDE of byte objects.

use std::sync::OnceLock;

use longhaul_hde::dictionary::{Dictionary, DictionaryName};
use longhaul_hde::object::{
    ContentHash, Matching, Object, ObjectDecoder, ObjectEncoder, ObjectError, ObjectHeader, ObjectId,
    ObjectName, ObjectOptions, References,
};

use crate::bytes::{Decisions, noise};

/// The largest object of these targets.
const LIMIT: usize = 1 << 20;

/// What the receiver of these targets holds.
#[derive(Clone)]
struct Held {
    objects: Vec<Object>,
    dictionary: Dictionary,
}

impl References for Held {
    fn object(&mut self, name: &ObjectName) -> Option<Object> {
        self.objects.object(name)
    }

    fn dictionary(&mut self, name: &DictionaryName) -> Option<Dictionary> {
        let held = self.dictionary.name();
        ((held.id, held.version) == (name.id, name.version)).then(|| self.dictionary.clone())
    }
}

fn object(id: &str, version: u64, bytes: Vec<u8>) -> Object {
    Object::new(ObjectId::new(id).expect("a short id"), version, bytes).expect("a small object")
}

/// Lines of text with numbers.
fn text(seed: u64, lines: usize) -> Vec<u8> {
    let numbers = noise(seed, 2 * lines);
    let (pairs, _) = numbers.as_chunks::<2>();
    let line = |pair: &[u8; 2]| format!("node-{}: {{ cpu: {}, healthy: true }}\n", pair[0], pair[1]);
    pairs.iter().flat_map(|pair| line(pair).into_bytes()).collect()
}

fn held() -> Held {
    // Always the same, and dear to make.
    static HELD: OnceLock<Held> = OnceLock::new();
    let made = || Held {
        objects: vec![
            object("state", 1, text(1, 100)),
            object("other", 2, noise(2, 3000)),
        ],
        dictionary: Dictionary::new(1, 1, text(3, 60)).expect("content of a fitting size"),
    };
    HELD.get_or_init(made).clone()
}

/// Repairs the checksum, so that the fuzzer need not find it.
fn reseal(frame: &mut [u8]) {
    if let Some((covered, checksum)) = frame.split_last_chunk_mut::<4>() {
        *checksum = crc32c::crc32c(covered).to_le_bytes();
    }
}

/// A frame, as it is or with its checksum repaired (first byte), decoded by a receiver that holds two objects and a
/// dictionary.
pub fn decode(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let repaired = decisions.byte() & 1 == 1;
    let mut frame = decisions.rest().to_vec();
    if repaired {
        reseal(&mut frame);
    }
    let parsed = ObjectHeader::parse(&frame);
    let decoded = ObjectDecoder::new(LIMIT).decode(&frame, &mut held());
    match (parsed, decoded) {
        (Ok(header), Ok(decoded)) => {
            assert_eq!(*decoded.object.name(), header.object);
            assert_eq!(decoded.object.bytes().len(), header.object_len);
            assert_eq!(ContentHash::of(decoded.object.bytes()), header.object.hash);
        }
        (Err(why), Ok(_)) => panic!("decoded without a header: {why}"),
        (_, Err(_)) => {}
    }
}

/// Frames of every kind against that receiver.
pub fn decode_seeds() -> Vec<Vec<u8>> {
    let held = held();
    let references: Vec<&Object> = held.objects.iter().collect();
    let (baseline, other) = (held.objects[0].bytes(), held.objects[1].bytes());
    let edited = [&b"new"[..], &baseline[..700], &other[100..900], &baseline[900..]].concat();
    let targets = [
        Vec::new(),
        vec![0; 4000],
        baseline.to_vec(),
        edited,
        text(4, 8),
        noise(5, 200),
        noise(6, 70_000).repeat(2),
    ];
    let mut seeds = vec![Vec::new()];
    for level in [None, Some(3)] {
        let mut encoder = ObjectEncoder::new(ObjectOptions {
            level,
            matching: Matching::Content,
        });
        // Seven objects, of which the last is long: it is there once.
        for target in &targets[..if level.is_none() { 6 } else { 7 }] {
            let target = object("state", 2, target.clone());
            for dictionary in [None, Some(&held.dictionary)] {
                let frame = encoder.encode(&target, &references, dictionary).frame;
                seeds.push([&[1], &frame[..]].concat());
            }
        }
    }
    seeds.dedup();
    // A long frame makes a slow target, and its content is noise.
    seeds.retain(|seed| seed.len() < 8000);
    seeds
}

/// An object that follows from another by edits, encoded in some way and decoded again; then damaged.
pub fn round_trip(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let options = ObjectOptions {
        level: [None, Some(1), Some(3), Some(9)][decisions.below(4)],
        matching: [
            Matching::None,
            Matching::Blocks,
            Matching::Content,
            Matching::Content,
        ][decisions.below(4)],
    };
    let mut content = match decisions.below(4) {
        0 => noise(decisions.byte().into(), decisions.short()),
        1 => text(decisions.byte().into(), decisions.below(1500)),
        2 => vec![decisions.byte(); decisions.short()],
        _ => {
            let len = decisions.byte().into();
            decisions.take(len).to_vec()
        }
    };
    let baseline = object("state", 1, content.clone());
    let spare = object("spare", 7, text(7, 200));
    let (known, dictionary) = (decisions.below(4), decisions.below(2) == 1);
    for _ in 0..decisions.below(24) {
        edit(&mut decisions, &mut content, &spare);
    }
    let references: Vec<&Object> = [&baseline, &spare][..known.min(2)].to_vec();
    let target = object("state", 2, content);
    let dictionary = dictionary.then(|| held().dictionary);
    let encoded = ObjectEncoder::new(options).encode(&target, &references, dictionary.as_ref());
    assert!(
        encoded.frame.len() <= target.bytes().len() + 256,
        "a frame that grew"
    );
    let mut held = Held {
        objects: vec![baseline.clone(), spare.clone()],
        dictionary: self::held().dictionary,
    };
    let mut decoder = ObjectDecoder::new(LIMIT);
    let decoded = decoder
        .decode(&encoded.frame, &mut held)
        .expect("a frame of this encoder");
    assert!(decoded.object == target && decoded.object.bytes() == target.bytes());

    let mut damaged = encoded.frame.to_vec();
    let at = decisions.short() % damaged.len();
    damaged[at] ^= 1 << (decisions.byte() % 8);
    decoder.decode(&damaged, &mut held).expect_err("a flipped bit");
    decoder
        .decode(&encoded.frame[..at], &mut held)
        .expect_err("a frame cut off");
    // Even under a sound checksum nothing decodes to other bytes.
    reseal(&mut damaged);
    if let Ok(decoded) = decoder.decode(&damaged, &mut held) {
        assert!(decoded.object.bytes() == target.bytes());
    }
    // Nor does a baseline of another content.
    held.objects = vec![object("state", 1, text(8, 30)), object("spare", 7, noise(8, 500))];
    match decoder.decode(&encoded.frame, &mut held) {
        Ok(decoded) => assert!(encoded.header.references.is_empty() && decoded.object == target),
        Err(error) => assert!(
            matches!(error, ObjectError::WrongReference(_)) && !encoded.header.references.is_empty(),
            "{error}"
        ),
    }
}

fn edit(decisions: &mut Decisions<'_>, content: &mut Vec<u8>, spare: &Object) {
    let place = decisions.short() % (content.len() + 1);
    let end = |len: usize| (place + len).min(content.len());
    match decisions.below(6) {
        0 => {
            let len = decisions.byte().into();
            let piece = decisions.take(len);
            content.splice(place..place, piece.iter().copied());
        }
        1 => {
            content.drain(place..end(decisions.short()));
        }
        2 => {
            let end = end(decisions.byte().into());
            content[place..end].fill(decisions.byte());
        }
        3 => {
            let from = decisions.short() % (content.len() + 1);
            let len = decisions.below(5000).min(content.len() - from);
            let piece = content[from..from + len].to_vec();
            content.splice(place..place, piece);
        }
        4 => {
            let from = decisions.below(spare.bytes().len());
            let len = decisions.below(3000).min(spare.bytes().len() - from);
            content.splice(place..place, spare.bytes()[from..from + len].iter().copied());
        }
        _ => content.rotate_left(place),
    }
    content.truncate(LIMIT / 2);
}

/// Some edits of every kind of content.
pub fn round_trip_seeds() -> Vec<Vec<u8>> {
    (0..16u8)
        .map(|seed| {
            let mut bytes = vec![seed % 4, 2 + seed % 2, seed / 4];
            bytes.extend(noise(seed.into(), 150));
            bytes
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_are_frames_that_the_receiver_takes() {
        for seed in &decode_seeds()[1..] {
            let mut frame = seed[1..].to_vec();
            reseal(&mut frame);
            assert_eq!(frame, seed[1..]);
            ObjectDecoder::new(LIMIT)
                .decode(&frame, &mut held())
                .expect("a sound frame");
        }
    }
}
