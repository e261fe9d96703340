//! A receiver that loses the last frames again and again, and in the end holds the guest's memory all the same.

use std::collections::BTreeMap;

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{ByteSize, Probability};
use longhaul_frames::{Frame, PayloadMode, Picker, Sampling};
use longhaul_hde::{Decoder, EncoderOptions, FrameHeader, PAGE_SIZE};
use longhaul_memory::bitmap::DirtyBitmap;
use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
use longhaul_memory::locality::Locality;
use longhaul_memory::pattern::Pattern;
use longhaul_memory::{GuestMemory, ReadOptions};
use proptest::prelude::*;

type Store = BTreeMap<u64, Box<[u8; PAGE_SIZE]>>;

fn guest(pages: u64, writes_per_s: u64) -> GeneratedMemory {
    let options = GeneratedOptions {
        pattern: Pattern::RealWorld,
        size: ByteSize::from_bytes(pages * PAGE_SIZE as u64),
        vcpus: 1,
        reads: ReadOptions::NONE,
        dirty: DirtyOptions {
            pages_per_s: writes_per_s,
            working_set: Probability::from_ratio(1, 2).unwrap(),
            locality: Locality::Uniform,
            bytes_per_write: ByteSize::from_bytes(100),
        },
    };
    GeneratedMemory::new(&options, &Streams::new(5, 0), "vm").unwrap()
}

fn picker(memory: &GeneratedMemory, payload: PayloadMode) -> Picker {
    let pages = GuestMemory::pages(memory);
    let random = Streams::new(5, 0).stream("vm", "sampling");
    let mut sampling = Sampling::new(payload, pages, random);
    sampling.cover_classes(memory, 0..pages);
    let mut picker = Picker::new(pages, sampling, EncoderOptions::hde(1));
    picker.dirty_mut().set_all();
    picker
}

/// Decodes a frame of real pages, and of others only looks at the header.
fn receive(frame: &Frame, store: &mut Store, decoder: &mut Decoder) {
    let mut content = frame.content.clone();
    let len = content.len() as usize;
    match content.pop_real(len) {
        Some(bytes) => {
            let decoded = decoder.decode(&bytes, store).unwrap();
            assert_eq!(decoded.sequence, frame.sequence);
        }
        None => {
            let Some(longhaul_core::payload::Payload::Real(header)) = content.pop(u64::MAX) else {
                panic!("a frame begins with its header")
            };
            assert_eq!(FrameHeader::parse(&header).unwrap().0.sequence, frame.sequence);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn frames_that_are_lost_are_made_again_and_nothing_is_decoded_wrongly(
        pages in 1u64..700,
        writes_per_s in 0u64..20_000,
        share in prop::option::of(0u64..=10),
        rounds in prop::collection::vec((1usize..30, 0usize..40, any::<bool>()), 1..12),
    ) {
        let mut memory = guest(pages, writes_per_s);
        let payload = match share {
            None => PayloadMode::Real,
            Some(tenths) => PayloadMode::Sampled { share: Probability::from_ratio(tenths, 10).unwrap() },
        };
        let mut picker = picker(&memory, payload);
        let (mut store, mut decoder) = (Store::new(), Decoder::unordered());
        let mut log = DirtyBitmap::new(pages);
        let mut now = Instant::ZERO;
        for (made, lost, start_over) in rounds {
            let mut frames = Vec::new();
            while frames.len() < made
                && let Some(frame) = picker.next_frame(&memory, &mut |_, _| {})
            {
                frames.push(frame);
            }
            let arrive = frames.len().saturating_sub(lost);
            for frame in &frames[..arrive] {
                receive(frame, &mut store, &mut decoder);
            }
            picker.recall();
            for frame in frames[arrive..].iter().rev() {
                picker.take_back(frame.sequence, &frame.before);
            }
            if start_over {
                store.clear();
                picker.start_over();
                picker.dirty_mut().set_all();
            }
            now += Span::from_ms(20);
            memory.advance(now, &mut log);
            picker.dirty_mut().absorb(&mut log);
        }
        let mut seen = BTreeMap::new();
        while let Some(frame) = picker.next_frame(&memory, &mut |page, content| { seen.insert(page, *content); }) {
            receive(&frame, &mut store, &mut decoder);
        }
        prop_assert_eq!(picker.remaining_pages(), 0);
        let mut content = [0; PAGE_SIZE];
        for page in 0..pages {
            prop_assert_eq!(store.contains_key(&page), picker.sampling().is_real(page));
            memory.read(page, GuestMemory::version(&memory, page), &mut content);
            if let Some(there) = store.get(&page) {
                prop_assert_eq!(&content, &**there, "page {}", page);
            }
            if let Some(told) = seen.get(&page) {
                prop_assert_eq!(&content, told, "page {}", page);
            }
        }
    }
}

#[test]
#[should_panic(expected = "frames are taken back from the last one on")]
fn a_frame_in_the_middle_cannot_be_taken_back() {
    let memory = guest(200, 0);
    let mut picker = picker(&memory, PayloadMode::Real);
    let first = picker.next_frame(&memory, &mut |_, _| {}).unwrap();
    picker.next_frame(&memory, &mut |_, _| {}).unwrap();
    picker.recall();
    picker.take_back(first.sequence, &first.before);
}
