//! Content that a guest copies costs little, wherever in its memory it goes, and also after frames have been lost.

use std::collections::BTreeMap;

use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_frames::{Frame, PayloadMode, Picker, Sampling};
use longhaul_hde::{Decoder, EncoderOptions, PAGE_SIZE};
use longhaul_memory::bitmap::DirtyBitmap;
use longhaul_memory::images::{Image, ImageSeries};
use longhaul_memory::{GuestMemory, ReadOptions};

const PAGES: u64 = 1_024;

type Store = BTreeMap<u64, Box<[u8; PAGE_SIZE]>>;

/// A content that nothing shortens, then twice with its lower half copied over the upper one: many frames away, and by no
/// whole number of pages.
fn guest() -> ImageSeries {
    let mut random = Streams::new(3, 0).stream("vm", "content");
    let mut content = vec![0; PAGES as usize * PAGE_SIZE];
    random.fill(&mut content);
    let images: Vec<Image> = (0..3)
        .map(|number| {
            if number > 0 {
                let half = content.len() / 2;
                let away = 1_111 * number;
                content.copy_within(..half - away, half + away);
            }
            Image {
                name: format!("image {number}"),
                content: content.as_slice().into(),
            }
        })
        .collect();
    let streams = Streams::new(3, 0);
    ImageSeries::new(&images, Span::from_s(1), 1, ReadOptions::NONE, &streams, "vm").unwrap()
}

struct World {
    memory: ImageSeries,
    picker: Picker,
    store: Store,
    decoder: Decoder,
    log: DirtyBitmap,
}

impl World {
    fn new(payload: PayloadMode) -> World {
        let memory = guest();
        let random = Streams::new(3, 0).stream("vm", "sampling");
        let sampling = Sampling::new(payload, PAGES, random);
        let mut picker = Picker::new(PAGES, sampling, EncoderOptions::hde(1));
        picker.dirty_mut().set_all();
        World {
            memory,
            picker,
            store: Store::new(),
            decoder: Decoder::unordered(),
            log: DirtyBitmap::new(PAGES),
        }
    }

    /// Lets the guest change to the next image.
    fn next_image(&mut self, number: u64) {
        let at = Instant::ZERO + Span::from_s(number);
        self.memory.advance(at, &mut self.log);
        self.picker.dirty_mut().absorb(&mut self.log);
        assert_eq!(self.picker.remaining_pages(), PAGES / 2);
    }

    fn frames(&mut self) -> Vec<Frame> {
        let frames = || self.picker.next_frame(&self.memory, &mut |_, _| {});
        std::iter::from_fn(frames).collect()
    }

    /// The receiver gets these frames; returns the bytes of real ones.
    fn receive(&mut self, frames: &[Frame]) -> u64 {
        let mut bytes = 0;
        for frame in frames {
            let mut content = frame.content.clone();
            let len = content.len();
            if let Some(Payload::Real(real)) = content.pop(len)
                && real.len() as u64 == len
            {
                self.decoder.decode(&real, &mut self.store).unwrap();
                bytes += len;
            }
        }
        bytes
    }

    /// Everything that is real is at the receiver as it is in the guest; returns how many pages that are.
    fn compare(&self) -> u64 {
        let mut content = [0; PAGE_SIZE];
        for page in 0..PAGES {
            assert_eq!(
                self.store.contains_key(&page),
                self.picker.sampling().is_real(page)
            );
        }
        for (page, there) in &self.store {
            self.memory.read(*page, self.memory.version(*page), &mut content);
            assert!(content == **there, "page {page}");
        }
        self.store.len() as u64
    }
}

#[test]
fn copied_content_costs_a_fraction_also_after_frames_were_lost() {
    let mut world = World::new(PayloadMode::Real);
    let frames = world.frames();
    let whole = world.receive(&frames);
    assert_eq!(world.compare(), PAGES);

    world.next_image(1);
    let frames = world.frames();
    let copied = world.receive(&frames);
    assert_eq!(world.compare(), PAGES);
    assert!(copied < whole / 50, "{copied} of {whole}");

    // Only some of the third image arrive, and the rest is made again.
    world.next_image(2);
    let frames = world.frames();
    let arrive = frames.len() / 3;
    world.receive(&frames[..arrive]);
    world.picker.recall();
    for frame in frames[arrive..].iter().rev() {
        world.picker.take_back(frame.sequence, &frame.before);
    }
    let frames = world.frames();
    let copied = world.receive(&frames);
    assert_eq!(world.compare(), PAGES);
    assert!(copied < whole / 50, "{copied} of {whole}");
}

#[test]
fn pages_that_the_receiver_has_only_as_a_length_are_never_copied_from() {
    let share = Probability::from_ratio(1, 2).unwrap();
    let mut world = World::new(PayloadMode::Sampled { share });
    for number in 0..3 {
        if number > 0 {
            world.next_image(number);
        }
        let frames = world.frames();
        world.receive(&frames);
        let real = world.compare();
        assert!((PAGES / 4..PAGES * 3 / 4).contains(&real), "{real}");
    }
}
