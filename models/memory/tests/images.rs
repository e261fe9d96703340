//! The recorded guest: when pages change, what they hold, and which series are refused.

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_memory::bitmap::DirtyBitmap;
use longhaul_memory::images::{Image, ImageError, ImageSeries};
use longhaul_memory::{AccessError, GuestMemory, PAGE_SIZE, ReadOptions};

const INTERVAL: Span = Span::from_ms(100);

/// An image of one page per byte of `fill`.
fn image(name: &str, fill: &[u8]) -> Image {
    let bytes: Vec<u8> = fill.iter().flat_map(|byte| [*byte; PAGE_SIZE]).collect();
    Image {
        name: name.into(),
        content: bytes.into(),
    }
}

fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

fn series() -> (ImageSeries, DirtyBitmap) {
    let images = [
        image("a", &[1, 1, 0]),
        image("b", &[1, 2, 0]),
        image("c", &[1, 3, 4]),
    ];
    (guest(&images, INTERVAL, 1).unwrap(), DirtyBitmap::new(3))
}

fn guest(images: &[Image], interval: Span, vcpus: u32) -> Result<ImageSeries, ImageError> {
    ImageSeries::new(
        images,
        interval,
        vcpus,
        ReadOptions::NONE,
        &Streams::new(1, 0),
        "vm",
    )
}

fn take_all(dirty: &mut DirtyBitmap) -> Vec<u64> {
    std::iter::from_fn(|| dirty.take_next(0)).collect()
}

fn fill(series: &ImageSeries, page: u64, version: u32) -> u8 {
    let mut content = [0; PAGE_SIZE];
    series.read(page, version, &mut content);
    assert!(content.iter().all(|byte| *byte == content[0]));
    content[0]
}

#[test]
fn pages_change_when_their_image_becomes_current() {
    let (mut series, mut dirty) = series();
    assert_eq!(series.next_change(), Some(at_ms(100)));
    series.advance(at_ms(99), &mut dirty);
    assert!(dirty.is_empty());
    series.advance(at_ms(100), &mut dirty);
    assert_eq!(take_all(&mut dirty), [1]);
    assert_eq!(series.next_change(), Some(at_ms(200)));
    series.advance(at_ms(250), &mut dirty);
    assert_eq!(take_all(&mut dirty), [1, 2]);
    assert_eq!(series.next_change(), None);
    series.advance(Instant::MAX, &mut dirty);
    assert!(dirty.is_empty());
    assert_eq!([0, 1, 2].map(|page| series.version(page)), [0, 2, 2]);
}

#[test]
fn every_version_of_a_page_can_be_read() {
    let (mut series, mut dirty) = series();
    series.advance(at_ms(1000), &mut dirty);
    assert_eq!([0, 1, 2].map(|version| fill(&series, 1, version)), [1, 2, 3]);
    assert_eq!([0, 1, 2].map(|version| fill(&series, 2, version)), [0, 0, 4]);
    assert_eq!(fill(&series, 0, 0), 1);
    assert_ne!(series.stratum(2, 0), series.stratum(2, 2), "zero and not");
}

#[test]
fn several_images_at_once_are_as_good_as_one_by_one() {
    let (mut once, mut dirty_once) = series();
    once.advance(at_ms(300), &mut dirty_once);
    let (mut often, mut dirty_often) = series();
    for ms in 0..=300 {
        often.advance(at_ms(ms), &mut dirty_often);
    }
    assert_eq!(dirty_once, dirty_often);
    assert!((0..3).all(|page| once.version(page) == often.version(page)));
}

#[test]
fn a_paused_guest_keeps_its_image() {
    let (mut series, mut dirty) = series();
    series.pause(at_ms(150), &mut dirty);
    assert_eq!(take_all(&mut dirty), [1]);
    series.advance(at_ms(5_000), &mut dirty);
    assert!(dirty.is_empty());
    series.resume(at_ms(5_000));
    assert_eq!(series.next_change(), Some(at_ms(5_050)));
    series.advance(at_ms(5_049), &mut dirty);
    assert!(dirty.is_empty());
    series.advance(at_ms(5_050), &mut dirty);
    assert_eq!(take_all(&mut dirty), [1, 2]);
}

#[test]
fn a_series_that_is_not_one_is_refused_by_the_name_of_its_image() {
    let refuse = |images: &[Image]| guest(images, INTERVAL, 1).unwrap_err();
    let good = image("good", &[1, 2]);
    let bytes = |name: &str, len: usize| Image {
        name: name.into(),
        content: vec![0; len].into(),
    };
    assert_eq!(refuse(&[]), ImageError::NoImages);
    assert_eq!(
        refuse(&[good.clone(), bytes("none", 0)]).to_string(),
        "none: the image is empty"
    );
    assert_eq!(
        refuse(&[bytes("odd", 4097)]),
        ImageError::NotWholePages {
            name: "odd".into(),
            bytes: 4097
        }
    );
    assert_eq!(
        refuse(&[good.clone(), image("small", &[1])]).to_string(),
        "small: 4096 bytes, but good has 8192; memory that grows or shrinks (hot-plug) is not modelled"
    );
    assert_eq!(
        guest(std::slice::from_ref(&good), Span::ZERO, 1).unwrap_err(),
        ImageError::NoInterval
    );
    assert_eq!(
        guest(&[good], INTERVAL, 0).unwrap_err(),
        ImageError::Access(AccessError::Processors(0))
    );
}
