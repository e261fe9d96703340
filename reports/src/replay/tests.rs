//! Values as people read them, and the record as programs do.

use super::*;
use crate::fixture;

#[test]
fn the_record_survives_its_json_form_exactly() {
    let record = fixture::replay();
    let read: ReplayRecord = serde_json::from_str(&json(&record)).unwrap();
    assert_eq!(read, record);
    assert!(json(&record).contains("18446744073709551615"));
}

#[test]
fn differences_have_the_unit_of_their_margin_and_a_sign() {
    let mut comparison = fixture::replay().comparisons.remove(0);
    comparison.margin = MarginRecord::Relative(50_000);
    for (exact, text) in [
        (0, "0.00 %"),
        (12_345, "+1.23 %"),
        (-49, "−0.00 %"),
        (-5_000_000, "−500.00 %"),
    ] {
        assert_eq!(difference(&comparison, exact), text);
    }
    comparison.margin = MarginRecord::Absolute(1);
    assert_eq!(difference(&comparison, -1_500_000), "−1.5 ms");
    comparison.quantity = Quantity::Number;
    assert_eq!(difference(&comparison, 2_000_000), "+2");
    assert_eq!(value(Quantity::Number, 3_970_000), "3.97");
    assert_eq!(value(Quantity::Share, 10_000_000_000), "1.00 %");
}
