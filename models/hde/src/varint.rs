//! Variable-length integers: seven bits per byte, least significant first, the top bit says "more follows".

/// Longest encoding of a `u64`.
pub(crate) const MAX_LEN: usize = 10;

/// Appends `value`.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a value from the front of `input`; `None` if it is cut off, above 64 bits or longer than necessary
/// (one value, one encoding).
pub(crate) fn take(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (i, byte) in input.iter().enumerate().take(MAX_LEN) {
        let bits = u64::from(byte & 0x7f);
        if i == MAX_LEN - 1 && bits > 1 {
            return None;
        }
        value |= bits << (7 * i);
        if byte & 0x80 == 0 {
            if *byte == 0 && i > 0 {
                return None;
            }
            *input = &input[i + 1..];
            return Some(value);
        }
    }
    None
}

/// Appends a signed value, small magnitudes short: 0, -1, 1, -2, … become 0, 1, 2, 3, …
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Takes what [`put_signed`] wrote.
pub(crate) fn take_signed(input: &mut &[u8]) -> Option<i64> {
    take(input).map(|zigzag| (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_survives_and_stays_within_the_longest() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put(&mut bytes, value);
                assert!(bytes.len() <= MAX_LEN);
                let mut rest = bytes.as_slice();
                assert_eq!(take(&mut rest), Some(value));
                assert!(rest.is_empty());
                assert_eq!(take(&mut &bytes[..bytes.len() - 1]), None, "{value} cut off");
            }
        }
    }

    #[test]
    fn signed_values_survive() {
        for value in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, value);
            assert_eq!(take_signed(&mut bytes.as_slice()), Some(value));
        }
    }

    #[test]
    fn padded_and_oversized_encodings_are_refused() {
        assert_eq!(take(&mut [0x80, 0x00].as_slice()), None);
        let mut above = [0xff; MAX_LEN];
        above[MAX_LEN - 1] = 0x02;
        assert_eq!(take(&mut above.as_slice()), None);
        assert_eq!(take(&mut [0xff; 11].as_slice()), None);
    }
}
