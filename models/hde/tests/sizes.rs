//! Images that grow and shrink, and images of another guest, at every level.

mod support;

use std::collections::BTreeMap;

use longhaul_hde::{DecodeError, Decoder, Encoder, EncoderOptions, PageStore};

use support::{Page, Pair, Receiver, random, refused};

/// Numbers of pages of an image from moment to moment; none are powers of two, one moment has no page at all.
const SIZES: [u64; 8] = [7, 3, 13, 0, 5, 5, 97, 11];

/// A page that has something in common with itself at other moments, and with every third page.
fn content(number: u64, moment: u64) -> Page {
    let mut page = random(number % 3);
    page[64..128].copy_from_slice(&random(number + 100)[..64]);
    page[1024..1040].copy_from_slice(&random(moment + 1000)[..16]);
    page
}

#[test]
fn an_image_that_grows_and_shrinks_arrives_at_every_moment() {
    for options in [
        EncoderOptions::raw(),
        EncoderOptions::hde(1),
        EncoderOptions::hde(3),
    ] {
        let mut pair = Pair::new(Encoder::new(options));
        for (moment, size) in (0..).zip(SIZES) {
            // What is beyond the end is gone on both sides.
            let gone: Vec<u64> = pair.receiver.pages.range(size..).map(|page| *page.0).collect();
            for number in gone {
                pair.receiver.pages.remove(&number);
                pair.encoder.forget(number);
            }
            let pages: BTreeMap<u64, Page> = (0..size)
                .map(|number| (number, content(number, moment)))
                .collect();
            // Checks what arrives.
            pair.send(&pages);
            assert_eq!(pair.receiver.pages.len() as u64, size);
        }
    }
}

#[test]
fn pages_that_nobody_said_were_gone_are_missed_and_come_again() {
    let mut pair = Pair::new(Encoder::new(EncoderOptions::hde(1)));
    let pages: BTreeMap<u64, Page> = (0..9).map(|number| (number, random(number))).collect();
    pair.send(&pages);
    // The receiver's image shrinks; the next frame, a copy of page 8, was encoded before the sender knew.
    let copy = BTreeMap::from([(1, random(8))]);
    let frame = pair.encode(&copy, |_| true, true);
    pair.receiver.pages.remove(&8);
    let receiver = pair.receiver.clone();
    assert_eq!(
        refused(&mut pair.decoder, &frame, &receiver),
        DecodeError::MissingPage(8)
    );
    // Told, an encoder with a fresh start does without.
    let mut again = Encoder::new(EncoderOptions::hde(1));
    for (number, content) in &receiver.pages {
        again.learn(*number, content);
    }
    let mut restarted = Pair::new(again);
    restarted.receiver = receiver;
    assert_eq!(restarted.send(&copy).0.literal, 1);
}

#[test]
fn the_image_of_another_guest_is_a_wrong_baseline_whatever_its_size() {
    let pages: BTreeMap<u64, Page> = (0..20).map(|number| (number, content(number, 0))).collect();
    let changed: BTreeMap<u64, Page> = (0..20).map(|number| (number, content(number, 1))).collect();
    for level in [1, 3] {
        let mut pair = Pair::new(Encoder::new(EncoderOptions::hde(level)));
        pair.send(&pages);
        let frame = pair.encode(&changed, |_| true, true);
        for size in [0, 1, 19, 20, 21, 64] {
            let mut other = Receiver::default();
            for number in 0..size {
                other.install(number, &random(number + 5000));
            }
            // A decoder that takes any frame as its first.
            let error = refused(&mut Decoder::new(), &frame, &other);
            if size < 20 {
                assert!(matches!(error, DecodeError::MissingPage(_)), "{size}: {error}");
            } else {
                assert_eq!(error, DecodeError::WrongBaseline, "{size}");
            }
        }
        // Nobody's harm: the frame still decodes where it belongs.
        pair.decode(&frame, &changed);
    }
}
