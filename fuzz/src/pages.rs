//! HDE of memory pages.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use longhaul_hde::{Decoder, Encoder, EncoderOptions, FrameHeader, PAGE_SIZE, PageInput, PageStore};
use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::{Decisions, noise};

type Page = [u8; PAGE_SIZE];
type Store = BTreeMap<u64, Box<Page>>;

/// Pages of the receiver: a few of noise, one of text, one of zeros.
fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(made_store)
}

fn made_store() -> Store {
    (0..8)
        .map(|number| {
            let content = match number {
                6 => vec![0; PAGE_SIZE],
                7 => b"all work and no play\n"
                    .iter()
                    .copied()
                    .cycle()
                    .take(PAGE_SIZE)
                    .collect(),
                _ => noise(number, PAGE_SIZE),
            };
            (number, page(&content))
        })
        .collect()
}

fn page(content: &[u8]) -> Box<Page> {
    let mut page = Box::new([0; PAGE_SIZE]);
    page[..content.len()].copy_from_slice(content);
    page
}

/// Repairs both checksums of a frame, so that the fuzzer need not find them. The places are those of the header's table.
fn reseal(frame: &mut [u8]) {
    const BODY_CHECKSUM: usize = 40;
    let Ok(header_len) = FrameHeader::encoded_len(frame) else {
        return;
    };
    if header_len < BODY_CHECKSUM + 12 || header_len > frame.len() {
        return;
    }
    let body = xxh3_64(&frame[header_len..]);
    frame[BODY_CHECKSUM..BODY_CHECKSUM + 8].copy_from_slice(&body.to_le_bytes());
    let (covered, checksum) = frame[..header_len].split_at_mut(header_len - 4);
    checksum.copy_from_slice(&crc32c::crc32c(covered).to_le_bytes());
}

/// A frame, as it is or with its checksums repaired (first byte), decoded against a store that holds pages 0 to 7.
pub fn decode(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let repaired = decisions.byte() & 1 == 1;
    let mut frame = decisions.rest().to_vec();
    if repaired {
        reseal(&mut frame);
    }
    if let Ok((header, len)) = FrameHeader::parse(&frame) {
        assert_eq!(header.encode(), &frame[..len], "one header, one encoding");
    }
    let before = store();
    let mut after = before.clone();
    match Decoder::new().decode(&frame, &mut after) {
        Err(_) => assert!(after == *before, "a refused frame changed the store"),
        Ok(decoded) => {
            let pages: u64 = decoded.runs.iter().map(|run| u64::from(run.count)).sum();
            assert_eq!(decoded.counts.total(), pages);
            let carried = |number: u64| decoded.runs.iter().any(|run| run.pages().contains(&number));
            for (number, content) in before {
                assert!(carried(*number) || after[number] == *content);
            }
            for run in &decoded.runs {
                assert!(run.pages().all(|number| after.page(number).is_some()));
            }
        }
    }
}

/// Frames against that store: every class of page, compressed and not.
pub fn decode_seeds() -> Vec<Vec<u8>> {
    let store = store();
    let mut seeds = vec![Vec::new()];
    for options in [
        EncoderOptions::raw(),
        EncoderOptions::hde(1),
        EncoderOptions::hde(3),
    ] {
        let mut changed = *store[&1];
        changed[100..140].fill(7);
        let contents = [
            (1, changed),
            (2, [0; PAGE_SIZE]),
            (3, changed),
            (9, *page(&noise(9, 700))),
            (12, *store[&7]),
        ];
        for count in 0..=contents.len() {
            let inputs: Vec<PageInput<'_>> = contents[..count]
                .iter()
                .map(|(number, content)| PageInput {
                    number: *number,
                    content,
                    baseline: store.get(number).map(Box::as_ref),
                })
                .collect();
            let frame = Encoder::new(options).encode(7, &inputs);
            seeds.push([&[1], &frame[..]].concat());
        }
    }
    seeds
}

/// Rounds of changes to up to 16 pages, sent by an encoder that knows what the receiver holds, and every frame also
/// damaged.
pub fn round_trip(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let options = match decisions.below(4) {
        0 => EncoderOptions::raw(),
        1 => EncoderOptions::hde(1),
        2 => EncoderOptions::hde(2),
        _ => EncoderOptions::hde(3),
    };
    let mut encoder = Encoder::new(options);
    let mut decoder = Decoder::new();
    let mut store = Store::new();
    for sequence in 0..16 {
        if decisions.is_over() {
            break;
        }
        let mut contents = BTreeMap::new();
        for _ in 0..=decisions.below(8) {
            let number = decisions.below(16) as u64;
            let old = contents.get(&number).or(store.get(&number));
            let old = old.cloned().unwrap_or_else(|| page(&[]));
            let content = changed(&mut decisions, old, &store);
            contents.insert(number, content);
        }
        let known = decisions.short();
        let inputs: Vec<PageInput<'_>> = contents
            .iter()
            .map(|(number, content)| PageInput {
                number: *number,
                content,
                baseline: store
                    .get(number)
                    .filter(|_| known >> number & 1 == 0)
                    .map(Box::as_ref),
            })
            .collect();
        let frame = encoder.encode(sequence, &inputs);
        refuse_damaged(&mut decisions, &frame, &store);
        decoder
            .decode(&frame, &mut store)
            .expect("a frame of this encoder");
        assert!(contents.iter().all(|(number, content)| store[number] == *content));
    }
}

/// What a page becomes.
fn changed(decisions: &mut Decisions<'_>, mut page: Box<Page>, store: &Store) -> Box<Page> {
    match decisions.below(5) {
        0 => page.fill(0),
        1 => page.copy_from_slice(&noise(decisions.byte().into(), PAGE_SIZE)),
        2 => {
            if let Some(other) = store.get(&(decisions.below(16) as u64)) {
                page = other.clone();
            }
        }
        3 => {
            let (at, len) = (decisions.below(PAGE_SIZE), decisions.byte());
            let piece = decisions.take(len.into());
            let len = piece.len().min(PAGE_SIZE - at);
            page[at..at + len].copy_from_slice(&piece[..len]);
        }
        _ => page.rotate_right(decisions.below(PAGE_SIZE)),
    }
    page
}

/// A frame with one bit flipped, or cut off, is refused and changes nothing.
fn refuse_damaged(decisions: &mut Decisions<'_>, frame: &[u8], store: &Store) {
    let at = decisions.short() % frame.len();
    let mut damaged = frame.to_vec();
    damaged[at] ^= 1 << (decisions.byte() % 8);
    let mut after = store.clone();
    let mut decoder = Decoder::new();
    decoder.decode(&damaged, &mut after).expect_err("a flipped bit");
    decoder
        .decode(&frame[..at], &mut after)
        .expect_err("a frame cut off");
    assert!(after == *store, "a refused frame changed the store");
}

/// Some rounds of every kind of change.
pub fn round_trip_seeds() -> Vec<Vec<u8>> {
    (0..8)
        .map(|seed| {
            let mut bytes = vec![seed % 4];
            bytes.extend(noise(seed.into(), 40 << (seed / 2)));
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
            // Repairing what is whole changes nothing.
            reseal(&mut frame);
            assert_eq!(frame, seed[1..]);
            Decoder::new()
                .decode(&frame, &mut store().clone())
                .expect("a sound frame");
        }
    }
}
