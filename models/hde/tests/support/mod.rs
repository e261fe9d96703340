//! What the tests of the codec share: pages, and a receiver.

#![allow(dead_code, reason = "every test uses its own part")]

use std::collections::BTreeMap;

use longhaul_hde::{
    ClassCounts, DecodeError, DecodedFrame, Decoder, Encoder, ImageId, PAGE_SIZE, PageInput, PageStore,
};

pub type Page = [u8; PAGE_SIZE];

/// A page that no other seed gives.
pub fn random(seed: u64) -> Page {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    std::array::from_fn(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
}

/// The bytes of `pages`, one after the other, from `offset` on.
pub fn window(pages: [&Page; 2], offset: usize) -> Page {
    let both = [pages[0].as_slice(), pages[1]].concat();
    both[offset..offset + PAGE_SIZE].try_into().expect("a page")
}

/// What a receiver holds: the image that frames update, and others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Receiver {
    pub pages: BTreeMap<u64, Box<Page>>,
    pub images: BTreeMap<(ImageId, u64), Box<Page>>,
}

impl PageStore for Receiver {
    fn page(&self, number: u64) -> Option<&Page> {
        self.pages.get(&number).map(Box::as_ref)
    }

    fn page_of(&self, image: ImageId, number: u64) -> Option<&Page> {
        self.images.get(&(image, number)).map(Box::as_ref)
    }

    fn install(&mut self, number: u64, content: &Page) {
        self.pages.insert(number, Box::new(*content));
    }
}

/// Decodes into a copy of the receiver and checks that a refusal leaves it alone.
pub fn refused(decoder: &mut Decoder, frame: &[u8], receiver: &Receiver) -> DecodeError {
    let mut copy = receiver.clone();
    let error = decoder
        .decode(frame, &mut copy)
        .expect_err("a frame that must be refused");
    assert_eq!(copy, *receiver, "a refused frame has changed the store");
    error
}

/// A sender and a receiver in step.
pub struct Pair {
    pub encoder: Encoder,
    pub decoder: Decoder,
    pub receiver: Receiver,
    pub sequence: u64,
}

impl Pair {
    pub fn new(encoder: Encoder) -> Pair {
        Pair {
            encoder,
            decoder: Decoder::new(),
            receiver: Receiver::default(),
            sequence: 0,
        }
    }

    /// A pair whose receiver holds these pages, as the sender knows.
    pub fn with_pages(encoder: Encoder, pages: impl IntoIterator<Item = (u64, Page)>) -> Pair {
        let mut pair = Pair::new(encoder);
        for (number, content) in pages {
            pair.encoder.learn(number, &content);
            pair.receiver.install(number, &content);
        }
        pair
    }

    /// Encodes pages, with the receiver's content as their baseline where `with_baseline` says so, and with all that
    /// the receiver holds if `with_held`.
    pub fn encode(
        &mut self,
        pages: &BTreeMap<u64, Page>,
        with_baseline: impl Fn(u64) -> bool,
        with_held: bool,
    ) -> Vec<u8> {
        let inputs: Vec<PageInput<'_>> = pages
            .iter()
            .map(|(number, content)| PageInput {
                number: *number,
                content,
                baseline: self.receiver.page(*number).filter(|_| with_baseline(*number)),
            })
            .collect();
        let frame = if with_held {
            self.encoder.encode_with(self.sequence, &inputs, &self.receiver)
        } else {
            self.encoder.encode(self.sequence, &inputs)
        };
        self.sequence += 1;
        frame.to_vec()
    }

    /// Decodes a frame of these pages and checks what arrives.
    pub fn decode(&mut self, frame: &[u8], pages: &BTreeMap<u64, Page>) -> DecodedFrame {
        let decoded = self
            .decoder
            .decode(frame, &mut self.receiver)
            .expect("a sound frame");
        assert_eq!(decoded.sequence + 1, self.sequence);
        let numbers = decoded.runs.iter().flat_map(longhaul_hde::PageRun::pages);
        assert!(numbers.eq(pages.keys().copied()));
        for (number, content) in pages {
            assert_eq!(self.receiver.page(*number), Some(content), "page {number}");
        }
        decoded
    }

    /// Sends pages with their baselines and returns their classes and the length of the frame.
    pub fn send(&mut self, pages: &BTreeMap<u64, Page>) -> (ClassCounts, usize) {
        let frame = self.encode(pages, |_| true, true);
        (self.decode(&frame, pages).counts, frame.len())
    }

    pub fn send_one(&mut self, number: u64, content: Page) -> ClassCounts {
        self.send(&BTreeMap::from([(number, content)])).0
    }
}
