//! What the two machines say to each other, byte by byte.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `preface` | how every stream begins: whose it is and what it carries |
//! | `data` | the messages of the source besides frames of pages; AMST carries them |
//! | `return_path` | the records of the destination on the stream that leads back |
//! | `pages` | a set of pages, as runs or as bits |
//!
//! All integers are big endian unless they are ULEB128. Nothing here trusts what it reads: lengths are checked before
//! anything is allocated.

pub mod data;
pub mod pages;
pub mod preface;
pub mod return_path;

/// Takes integers from the front of some bytes.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(head)
    }

    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }

    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes(bytes.try_into().expect("2 bytes")))
    }

    pub fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(u32::from_be_bytes(bytes.try_into().expect("4 bytes")))
    }

    pub fn u64(&mut self) -> Option<u64> {
        let bytes = self.take(8)?;
        Some(u64::from_be_bytes(bytes.try_into().expect("8 bytes")))
    }

    /// An unsigned LEB128: seven bits per byte, the lowest first.
    pub fn uleb128(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            value |= bits << shift;
            if bits << shift >> shift != bits {
                return None;
            }
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Appends an unsigned LEB128.
pub fn put_uleb128(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uleb128_survives_and_refuses_what_does_not_fit() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put_uleb128(&mut bytes, value);
                assert_eq!(Reader::new(&bytes).uleb128(), Some(value));
                assert_eq!(Reader::new(&bytes[..bytes.len() - 1]).uleb128(), None);
            }
        }
        assert_eq!(Reader::new(&[0xff; 11]).uleb128(), None);
        let mut above = [0xff; 10];
        above[9] = 2;
        assert_eq!(Reader::new(&above).uleb128(), None);
    }
}
