//! What is written is read back, and other bytes are refused.

use proptest::prelude::*;

use super::*;

const NUMBERS: [u64; 3] = [5, 8, PAGE_NUMBER_LIMIT - 1];

fn runs() -> impl Strategy<Value = UnitSet> {
    proptest::collection::vec((0..UNITS, 0..=UNITS), 0..6).prop_map(|ranges| {
        let mut set = UnitSet::NONE;
        for (start, len) in ranges {
            set.add(start..(start + len).min(UNITS));
        }
        set
    })
}

/// A piece of page 8, the second one, at some units: where its source lies, and its origin.
fn piece(units: Range<u16>, page: u64, offset: usize, origin: Origin) -> Piece {
    let len = usize::from(units.end - units.start) * UNIT;
    let offset = offset.min(PAGE_SIZE - len);
    Piece {
        start: units.start,
        end: units.end,
        origin,
        page,
        shift: offset.cast_signed() - (usize::from(units.start) * UNIT).cast_signed(),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        changed in runs(),
        cuts in proptest::collection::btree_set(0u16..=256, 2..12),
        pages in proptest::collection::vec((0u64..PAGE_NUMBER_LIMIT, 0..PAGE_SIZE, 0u8..4), 12),
    ) {
        let mut writer = PlanWriter::default();
        let images = [7, u64::MAX].map(|id| writer.image(ImageId(id)).unwrap());
        let cuts: Vec<u16> = cuts.into_iter().collect();
        let pieces: Vec<Piece> = cuts
            .chunks_exact(2)
            .zip(pages)
            .map(|(cut, (page, offset, kind))| match kind {
                0 => piece(cut[0]..cut[1], page, offset, Origin::Store),
                1 => piece(cut[0]..cut[1], NUMBERS[0], offset, Origin::Frame),
                _ => piece(cut[0]..cut[1], page, offset, Origin::Image(images[usize::from(kind) - 2])),
            })
            .collect();
        writer.assembly(NUMBERS[0], Class::Delta, &changed, &[]);
        writer.assembly(NUMBERS[1], Class::Patched, &changed, &pieces);
        writer.duplicate_of_image(NUMBERS[2], images[1], 0);
        let mut bytes = Vec::new();
        writer.finish(&mut bytes);
        prop_assert!(bytes.len() <= max_len(NUMBERS.len()));
        let plan = Plan::parse(&bytes, &NUMBERS).unwrap();
        prop_assert_eq!(&plan.pieces, &pieces);
        prop_assert_eq!(&plan.images, &[ImageId(7), ImageId(u64::MAX)]);
        prop_assert_eq!(&plan.recipes, &[
            Recipe::Assembly { class: Class::Delta, changed, pieces: 0..0 },
            Recipe::Assembly { class: Class::Patched, changed, pieces: 0..pieces.len() },
            Recipe::DuplicateOfImage(ImageId(u64::MAX), 0),
        ]);
        prop_assert!(plan.takes_from_store());
    }
}

fn parse(write: impl FnOnce(&mut PlanWriter)) -> Result<Plan, DecodeError> {
    let mut writer = PlanWriter::default();
    write(&mut writer);
    let mut bytes = Vec::new();
    writer.finish(&mut bytes);
    Plan::parse(&bytes, &[5, 8])
}

#[test]
fn plans_that_cannot_be_carried_out_are_refused() {
    let all = UnitSet::ALL;
    let sound = piece(0..256, 5, 0, Origin::Frame);
    let assembled = |pieces: Vec<Piece>, changed: UnitSet| {
        parse(|plan| {
            plan.plain(Class::Zero);
            plan.assembly(8, Class::Assembled, &changed, &pieces);
        })
        .err()
    };
    assert_eq!(assembled(vec![sound], UnitSet::NONE), None);
    let refused = |why| Some(DecodeError::Malformed(why));
    let later = Piece { page: 8, ..sound };
    assert_eq!(
        assembled(vec![later], all),
        refused("piece of a page that is not earlier in the frame")
    );
    let beyond = Piece { shift: 1, ..sound };
    assert_eq!(
        assembled(vec![beyond], all),
        refused("piece beyond the page of its source")
    );
    let unknown = Piece {
        origin: Origin::Image(0),
        ..sound
    };
    assert_eq!(
        assembled(vec![unknown], all),
        refused("piece of an unknown image")
    );
    let half = piece(0..128, 5, 0, Origin::Frame);
    assert_eq!(
        assembled(vec![half], UnitSet::NONE),
        refused("units copied from nowhere")
    );
    assert_eq!(
        parse(|plan| plan.plain(Class::Zero)).err(),
        refused("plan shorter than its columns")
    );
    let back = |places| {
        parse(|plan| {
            plan.plain(Class::Zero);
            plan.duplicate_in_frame(places);
        })
        .err()
    };
    assert_eq!(back(1), None);
    assert_eq!(back(0), refused("reference to an earlier page"));
    assert_eq!(back(2), refused("reference to an earlier page"));
    let below_zero = parse(|plan| {
        plan.plain(Class::Zero);
        plan.references.extend([17]);
        plan.plain(Class::DuplicateInStore);
    });
    assert_eq!(below_zero.err(), refused("reference to a page"));
}

#[test]
fn there_is_room_for_so_many_images_and_no_more() {
    let mut plan = PlanWriter::default();
    for id in 0..MAX_IMAGES as u64 {
        assert_eq!(plan.image(ImageId(id)), Some(id as u8));
    }
    assert_eq!(plan.image(ImageId(1 << 40)), None);
    assert_eq!(plan.image(ImageId(3)), Some(3));
}
