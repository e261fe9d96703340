//! The messages of the source besides frames of pages.
//!
//! A frame begins with HDE's magic number `LHDE`, one of XBZRLE with `LHMX`; these have their own. The transport below
//! has checksums.
//!
//! | magic | what follows | what it says |
//! | --- | --- | --- |
//! | `LHMD` | as many synthetic bytes as it likes | a piece of device state |
//! | `LHMB` | a [part of a set](super::pages) | pages that were dirty when the guest was stopped for post-copy |
//! | `LHMP` | bytes of device state (8), processors | run the guest; its other pages will come |
//! | `LHME` | frames (8), real pages (8), BLAKE3 of them (32), bytes of device state (8), processors | that was all; if the guest does not run yet, run it |
//! | `LHMQ` | nothing | does the guest run with you? If it does not, it never must |
//!
//! Processors are their number (4) and the time of each in nanoseconds (8).

use bytes::Bytes;
use longhaul_hde::PAGE_SIZE;
use longhaul_memory::{CpuState, MAX_VCPUS};

use super::Reader;

/// A message of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    DeviceState,
    Dirty(Bytes),
    Package(Package),
    End(End),
    Query,
}

/// What lets a guest run before its memory is complete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Package {
    pub device_bytes: u64,
    pub cpu: CpuState,
}

/// The last message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Frames of the bulk lane since the last recovery.
    pub frames: u64,
    pub real: RealPages,
    pub device_bytes: u64,
    pub cpu: CpuState,
}

/// All real pages of a guest: their number, and the BLAKE3 hash over number (little endian) and content of each,
/// in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RealPages {
    pub pages: u64,
    pub hash: [u8; 32],
}

/// What is hashed at once: 128 chunks of BLAKE3, which processors with vectors hash side by side.
const HASHED_AT_ONCE: usize = 128 << 10;

/// Collects [`RealPages`].
#[derive(Default)]
pub struct RealPagesHasher {
    pages: u64,
    hasher: blake3::Hasher,
    /// What is not hashed yet.
    waiting: Vec<u8>,
}

impl RealPagesHasher {
    pub fn add(&mut self, number: u64, content: &[u8; PAGE_SIZE]) {
        self.pages += 1;
        self.waiting.extend_from_slice(&number.to_le_bytes());
        self.waiting.extend_from_slice(content);
        if let Some((whole, _)) = self.waiting.split_at_checked(HASHED_AT_ONCE) {
            self.hasher.update(whole);
            self.waiting.drain(..HASHED_AT_ONCE);
        }
    }

    pub fn finish(mut self) -> RealPages {
        self.hasher.update(&self.waiting);
        RealPages {
            pages: self.pages,
            hash: *self.hasher.finalize().as_bytes(),
        }
    }
}

const DEVICE_STATE: &[u8] = b"LHMD";
const DIRTY: &[u8] = b"LHMB";
const PACKAGE: &[u8] = b"LHMP";
const END: &[u8] = b"LHME";
const QUERY: &[u8] = b"LHMQ";

impl Message {
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Message::DeviceState => Bytes::from_static(DEVICE_STATE),
            Message::Query => Bytes::from_static(QUERY),
            Message::Dirty(part) => [DIRTY, part].concat().into(),
            Message::Package(package) => [
                PACKAGE,
                &package.device_bytes.to_be_bytes(),
                &cpu_to_bytes(&package.cpu),
            ]
            .concat()
            .into(),
            Message::End(end) => [
                END,
                &end.frames.to_be_bytes(),
                &end.real.pages.to_be_bytes(),
                &end.real.hash,
                &end.device_bytes.to_be_bytes(),
                &cpu_to_bytes(&end.cpu),
            ]
            .concat()
            .into(),
        }
    }

    /// Whether these bytes claim to be one of these messages, and not a frame.
    pub fn is_meant(bytes: &[u8]) -> bool {
        let magics = [DEVICE_STATE, DIRTY, PACKAGE, END, QUERY];
        magics.iter().any(|magic| bytes.starts_with(magic))
    }

    pub fn parse(bytes: &[u8]) -> Option<Message> {
        let mut reader = Reader::new(bytes);
        let message = match reader.take(4)? {
            DEVICE_STATE => Message::DeviceState,
            QUERY => Message::Query,
            DIRTY => return Some(Message::Dirty(Bytes::copy_from_slice(reader.rest()))),
            PACKAGE => Message::Package(Package {
                device_bytes: reader.u64()?,
                cpu: cpu(&mut reader)?,
            }),
            END => Message::End(End {
                frames: reader.u64()?,
                real: RealPages {
                    pages: reader.u64()?,
                    hash: reader.take(32)?.try_into().expect("32 bytes"),
                },
                device_bytes: reader.u64()?,
                cpu: cpu(&mut reader)?,
            }),
            _ => return None,
        };
        reader.is_empty().then_some(message)
    }
}

fn cpu_to_bytes(cpu: &CpuState) -> Vec<u8> {
    let count = u32::try_from(cpu.vcpu_ns.len()).expect("processors by the thousand");
    let mut bytes = count.to_be_bytes().to_vec();
    cpu.vcpu_ns
        .iter()
        .for_each(|ns| bytes.extend_from_slice(&ns.to_be_bytes()));
    bytes
}

fn cpu(reader: &mut Reader) -> Option<CpuState> {
    let count = reader.u32().filter(|count| *count <= MAX_VCPUS)?;
    let vcpu_ns: Option<_> = (0..count).map(|_| reader.u64()).collect();
    Some(CpuState { vcpu_ns: vcpu_ns? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_wire_form_and_nothing_else_passes() {
        let mut hasher = RealPagesHasher::default();
        hasher.add(7, &[1; PAGE_SIZE]);
        let cpu = CpuState {
            vcpu_ns: vec![3, u64::MAX],
        };
        let end = Message::End(End {
            frames: 3,
            real: hasher.finish(),
            device_bytes: 9,
            cpu: cpu.clone(),
        });
        let package = Message::Package(Package { device_bytes: 1, cpu });
        let dirty = Message::Dirty(Bytes::from_static(b"part"));
        for message in [end, package, dirty, Message::DeviceState, Message::Query] {
            let bytes = message.to_bytes();
            assert!(Message::is_meant(&bytes));
            assert_eq!(Message::parse(&bytes), Some(message.clone()));
            if !matches!(message, Message::Dirty(_)) {
                assert_eq!(Message::parse(&[&bytes, &b"+"[..]].concat()), None);
                assert_eq!(Message::parse(&bytes[..bytes.len() - 1]), None);
            }
        }
        let mut many = b"LHMP".to_vec();
        many.extend([0; 8]);
        many.extend(u32::MAX.to_be_bytes());
        assert_eq!(
            Message::parse(&many),
            None,
            "no room is made for what is not there"
        );
        assert!(!Message::is_meant(b"LHDE"));
    }

    #[test]
    fn the_hash_depends_on_where_a_page_lies() {
        let hash_at = |number| {
            let mut hasher = RealPagesHasher::default();
            hasher.add(number, &[1; PAGE_SIZE]);
            hasher.finish().hash
        };
        assert_ne!(hash_at(0), hash_at(1));
    }
}
