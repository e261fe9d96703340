//! The text forms: closed examples, and properties over the whole range.

use std::fmt::{Debug, Display};

use proptest::prelude::*;

use super::*;

fn read<T: FromStr<Err = QuantityError>>(text: &str) -> Result<T, QuantityError> {
    text.parse()
}

fn refusal<T: FromStr<Err = QuantityError> + Debug>(text: &str) -> String {
    read::<T>(text).expect_err(text).to_string()
}

#[test]
fn quantities_read_as_their_integers() {
    assert_eq!(read("80 ms"), Ok(Span::from_ms(80)));
    assert_eq!(read("1.5 s"), Ok(Span::from_ms(1500)));
    assert_eq!(read("30 min"), Ok(Span::from_s(1800)));
    assert_eq!(read("2 h"), Ok(Span::from_s(7200)));
    assert_eq!(read("7 ns"), Ok(Span::from_ns(7)));
    for micro in ["250 us", "250 µs", "250 μs", "  250   us ", "250us", "250.000 us"] {
        assert_eq!(read(micro), Ok(Span::from_us(250)), "{micro}");
    }
    assert_eq!(read("10 Gbit/s"), Ok(BitRate::from_bits_per_s(10_000_000_000)));
    assert_eq!(read("56 kbit/s"), Ok(BitRate::from_bits_per_s(56_000)));
    assert_eq!(read("4 GiB"), Ok(ByteSize::from_bytes(4 << 30)));
    assert_eq!(read("30 MB"), Ok(ByteSize::from_bytes(30_000_000)));
    assert_eq!(read("1500 B"), Ok(ByteSize::from_bytes(1500)));
    assert_eq!(read("0.1 %"), Ok(Probability::from_ratio(1, 1000).unwrap()));
    assert_eq!(read("100 %"), Ok(Probability::ONE));
    assert_eq!(read("0.0000000001 %").map(Probability::as_parts), Ok(1));
}

#[test]
fn printing_chooses_the_unit_that_a_person_would() {
    for text in [
        "80 ms", "1.5 s", "30 min", "2 h", "250 us", "7 ns", "0 s", "90 s", "5 min",
    ] {
        assert_eq!(read::<Span>(text).unwrap().to_string(), text);
    }
    for text in ["7 Gbit/s", "2.5 Gbit/s", "100 Mbit/s", "1 bit/s", "0 bit/s"] {
        assert_eq!(read::<BitRate>(text).unwrap().to_string(), text);
    }
    for text in [
        "4 GiB", "64 KiB", "1514 B", "30 MB", "1.5 MiB", "0 B", "1 TiB", "100 kB",
    ] {
        assert_eq!(read::<ByteSize>(text).unwrap().to_string(), text);
    }
    for text in ["0.1 %", "0 %", "100 %", "33.3333333333 %"] {
        assert_eq!(read::<Probability>(text).unwrap().to_string(), text);
    }
    assert_eq!(Span::MAX.to_string(), "18446744073709551615 ns");
    assert_eq!(format!("{:>8}", Span::from_ms(80)), "   80 ms");
}

#[test]
fn what_is_no_quantity_is_refused_with_the_reason() {
    assert_eq!(
        refusal::<Probability>("0.001"),
        "`0.001` has no unit; write `0.1 %` (units of a share: %)"
    );
    assert_eq!(
        refusal::<Span>("80"),
        "`80` has no unit; write `80 ms` (units of a time: ns, us, ms, s, min, h)"
    );
    assert_eq!(
        refusal::<BitRate>("10 MB/s"),
        "`MB/s` is not a unit of a rate; the units are bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s"
    );
    assert_eq!(
        refusal::<Span>("0.5 ns"),
        "`0.5 ns` is not a whole number of nanoseconds"
    );
    assert_eq!(refusal::<Span>("-5 ms"), "`-5 ms` is negative");
    assert_eq!(
        refusal::<Span>("1e3 ms"),
        "`1e3 ms` has an exponent; write the digits out"
    );
    assert_eq!(
        refusal::<Probability>("100.1 %"),
        "`100.1 %` is more than 100 %, the most that can be represented"
    );
    assert!(matches!(
        read::<ByteSize>("16777216 TiB"),
        Err(QuantityError::TooLarge { .. })
    ));
    assert!(matches!(
        read::<Span>("99999999999999999999999999 ns"),
        Err(QuantityError::TooLarge { .. })
    ));
    assert!(matches!(
        read::<Span>("0.0000000000000000000000000000001 s"),
        Err(QuantityError::NotExact { .. })
    ));
    assert!(matches!(read::<Span>("  "), Err(QuantityError::Empty { .. })));
    for text in [
        "NaN s", "inf s", ".5 s", "5. s", "1,5 s", "1_000 s", "s", "1.2.3 s", "+5 s", "- s",
    ] {
        assert!(
            matches!(read::<Span>(text), Err(QuantityError::NotANumber { .. })),
            "{text}"
        );
    }
    for text in ["80 MS", "80 m s", "80 ms s", "80 d", "80 Gbit/s"] {
        assert!(
            matches!(read::<Span>(text), Err(QuantityError::UnknownUnit { .. })),
            "{text}"
        );
    }
}

#[test]
fn a_message_quotes_no_more_than_a_line_can_hold() {
    assert!(refusal::<Span>(&"7".repeat(100_000)).len() < 300);
    assert!(refusal::<Span>(&format!("7 {}", "é".repeat(100_000))).len() < 300);
}

fn comes_back<T: FromStr<Err = QuantityError> + Display + PartialEq + Debug>(value: &T) {
    assert_eq!(value.to_string().parse().as_ref(), Ok(value));
}

/// Whole numbers of every magnitude, round and crooked.
fn any_magnitude() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (any::<u64>(), 0u32..64).prop_map(|(n, shift)| n >> shift),
        (1u64..1000, 0u32..17).prop_map(|(n, power)| n.saturating_mul(10u64.pow(power))),
        (1u64..1000, 0u32..54).prop_map(|(n, shift)| n << shift),
    ]
}

proptest! {
    #[test]
    fn every_value_survives_its_text_form(n in any_magnitude()) {
        comes_back(&Span::from_ns(n));
        comes_back(&BitRate::from_bits_per_s(n));
        comes_back(&ByteSize::from_bytes(n));
        comes_back(&Probability::from_parts(n % (Probability::PARTS + 1)).unwrap());
    }

    #[test]
    fn every_text_that_reads_prints_to_an_equal_value(
        whole in 0u64..100_000, decimals in "[0-9]{1,12}", unit in 0usize..9,
    ) {
        let text = format!("{whole}.{decimals} {}", BYTE_SIZE.units[unit].0);
        if let Ok(size) = text.parse::<ByteSize>() {
            comes_back(&size);
            // The printed form is never longer than the written one.
            prop_assert!(size.to_string().trim_end_matches(char::is_alphabetic).len() <= text.len());
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,40}") {
        let _ = (read::<Span>(&text), read::<BitRate>(&text), read::<ByteSize>(&text), read::<Probability>(&text));
    }
}
