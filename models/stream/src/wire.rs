//! The bytes of a stream's datagrams.
//!
//! Integers are big endian.
//!
//! | offset | bytes | field |
//! | --: | --: | --- |
//! | 0 | 4 | what it is in the upper two bits (0 datagram, 1 end, 2 report), its number in the rest |
//! | 4 | 8 | when it was sent, in nanoseconds by the clock of who sent it |
//! | 12 | 4 | CRC-32C of the version of the format, 1, as four bytes and of everything else |
//! | 16 | … | the body |
//!
//! The number is the sequence number of a datagram, from 0, and the count of datagrams in an end or a report. The body
//! of a datagram is zeros up to its length, that of an end is empty, that of a report is the fields of
//! [`Report`] as eight bytes each, without `expected` and `lost`, which follow from the rest.

use bytes::Bytes;
use longhaul_core::time::{Instant, Span};

use crate::report::{Delays, Gap, Report};

/// Length of the header, and the least length of a datagram.
pub const HEADER_BYTES: usize = 16;
/// Greatest length of a datagram: what Ethernet carries over IPv4 and UDP in one packet (1500 - 20 - 8).
pub const DATAGRAM_BYTES_MAX: usize = 1472;
/// Length of a report.
pub const REPORT_BYTES: usize = HEADER_BYTES + 8 * REPORT_FIELDS;
/// Sequence numbers, and the greatest count of datagrams: 2^30 - 1.
pub const COUNT_MAX: u32 = (1 << NUMBER_BITS) - 1;

const NUMBER_BITS: u32 = 30;
const REPORT_FIELDS: usize = 16;
const VERSION: u32 = 1;

/// What the ends of a stream send each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// When it was sent.
    pub sent: Instant,
    /// What it is.
    pub content: Content,
}

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// A datagram of the stream.
    Datagram {
        /// Its sequence number, below [`COUNT_MAX`].
        sequence: u32,
        /// Its length in bytes, header included: [`HEADER_BYTES`] to [`DATAGRAM_BYTES_MAX`].
        bytes: u16,
    },
    /// The stream is over.
    End {
        /// How many datagrams it had, up to [`COUNT_MAX`].
        count: u32,
    },
    /// The answer to an end; `expected` is at most [`COUNT_MAX`].
    Report(Report),
}

/// Why bytes are no message of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// Not the length of such a message.
    #[error("a length of {0} bytes")]
    Length(usize),
    /// An unknown type of message.
    #[error("unknown type")]
    Kind,
    /// The CRC-32C does not match.
    #[error("damaged, or of something else")]
    Checksum,
    /// Fields outside their range, or that contradict each other.
    #[error("field out of range")]
    Range,
}

impl Message {
    /// The message in bytes.
    ///
    /// # Panics
    /// If a number or a length is outside its range.
    pub fn to_bytes(&self) -> Bytes {
        let (kind, number, len) = match &self.content {
            Content::Datagram { sequence, bytes } => (0, *sequence, usize::from(*bytes)),
            Content::End { count } => (1, *count, HEADER_BYTES),
            Content::Report(report) => {
                let count = u32::try_from(report.expected).expect("a count in range");
                (2, count, REPORT_BYTES)
            }
        };
        assert!(number <= COUNT_MAX, "a number out of range");
        assert!(
            (HEADER_BYTES..=DATAGRAM_BYTES_MAX).contains(&len),
            "a length out of range"
        );
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&(kind << NUMBER_BITS | number).to_be_bytes());
        out.extend_from_slice(&self.sent.as_ns().to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        if let Content::Report(report) = &self.content {
            for field in fields(report) {
                out.extend_from_slice(&field.to_be_bytes());
            }
        }
        out.resize(len, 0);
        let checksum = checksum(&out);
        out[12..16].copy_from_slice(&checksum.to_be_bytes());
        out.into()
    }

    /// Reads a message that fills all of `bytes`.
    ///
    /// # Errors
    /// The first rule that it breaks. Nothing but a whole and undamaged message is accepted.
    pub fn parse(bytes: &[u8]) -> Result<Message, WireError> {
        let len = bytes.len();
        if !(HEADER_BYTES..=DATAGRAM_BYTES_MAX).contains(&len) {
            return Err(WireError::Length(len));
        }
        if u32_at(bytes, 12) != checksum(bytes) {
            return Err(WireError::Checksum);
        }
        let (kind, number) = (u32_at(bytes, 0) >> NUMBER_BITS, u32_at(bytes, 0) & COUNT_MAX);
        let content = match kind {
            0 if number == COUNT_MAX => return Err(WireError::Range),
            0 => Content::Datagram {
                sequence: number,
                // Checked above.
                bytes: len as u16,
            },
            1 if len == HEADER_BYTES => Content::End { count: number },
            2 if len == REPORT_BYTES => Content::Report(report(number, &bytes[HEADER_BYTES..])?),
            1 | 2 => return Err(WireError::Length(len)),
            _ => return Err(WireError::Kind),
        };
        let sent = Instant::from_ns(u64_at(bytes, 4));
        Ok(Message { sent, content })
    }
}

/// In the order of the wire. Gaps and delays that there are not are zeros: a gap is longer than nothing, and there
/// are delays if and only if something was received.
fn fields(report: &Report) -> [u64; REPORT_FIELDS] {
    let gap = report
        .longest_gap
        .map_or([0; 2], |gap| [gap.began.as_ns(), gap.length.as_ns()]);
    let delays = report.delays.map_or([0; 7], |delays| {
        [
            delays.min.as_ns(),
            delays.mean.as_ns(),
            delays.max.as_ns(),
            delays.p50.as_ns(),
            delays.p95.as_ns(),
            delays.p99.as_ns(),
            delays.above_p99,
        ]
    });
    [
        report.received,
        report.loss_bursts,
        report.longest_loss_burst,
        report.duplicates,
        report.reordered,
        report.too_late,
        gap[0],
        gap[1],
        report.jitter.as_ns(),
        delays[0],
        delays[1],
        delays[2],
        delays[3],
        delays[4],
        delays[5],
        delays[6],
    ]
}

fn report(count: u32, body: &[u8]) -> Result<Report, WireError> {
    let field = |index: usize| u64_at(body, 8 * index);
    let span = |index| Span::from_ns(field(index));
    let expected = u64::from(count);
    let received = field(0);
    let length = span(7);
    let report = Report {
        expected,
        received,
        lost: expected.checked_sub(received).ok_or(WireError::Range)?,
        loss_bursts: field(1),
        longest_loss_burst: field(2),
        duplicates: field(3),
        reordered: field(4),
        too_late: field(5),
        longest_gap: (length > Span::ZERO).then(|| Gap {
            began: Instant::from_ns(field(6)),
            length,
        }),
        jitter: span(8),
        delays: (received > 0).then(|| Delays {
            min: span(9),
            mean: span(10),
            max: span(11),
            p50: span(12),
            p95: span(13),
            p99: span(14),
            above_p99: field(15),
        }),
    };
    let consistent = report.loss_bursts <= report.lost
        && report.longest_loss_burst <= report.lost
        && report.reordered <= received
        && report.delays.is_none_or(|delays| delays.above_p99 <= received);
    if consistent {
        Ok(report)
    } else {
        Err(WireError::Range)
    }
}

fn checksum(message: &[u8]) -> u32 {
    let version = crc32c::crc32c(&VERSION.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(version, &message[..12]), &message[16..])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<Message> {
        let ms = Span::from_ms;
        let full = Report {
            expected: 100,
            received: 90,
            lost: 10,
            loss_bursts: 3,
            longest_loss_burst: 5,
            duplicates: 2,
            reordered: 7,
            too_late: 1,
            longest_gap: Some(Gap {
                began: Instant::ZERO + ms(70),
                length: ms(120),
            }),
            jitter: ms(4),
            delays: Some(Delays {
                min: ms(40),
                mean: ms(45),
                max: ms(90),
                p50: ms(44),
                p95: ms(80),
                p99: ms(85),
                above_p99: 1,
            }),
        };
        let nothing = Report {
            expected: 100,
            lost: 100,
            loss_bursts: 1,
            longest_loss_burst: 100,
            ..Report::default()
        };
        let contents = [
            Content::Datagram {
                sequence: 0,
                bytes: 16,
            },
            Content::Datagram {
                sequence: COUNT_MAX - 1,
                bytes: 1472,
            },
            Content::End { count: COUNT_MAX },
            Content::Report(full),
            Content::Report(nothing),
        ];
        let sent = Instant::from_ns(0x0102_0304_0506_0708);
        contents.map(|content| Message { sent, content }).into()
    }

    #[test]
    fn messages_survive_the_wire() {
        for message in messages() {
            assert_eq!(Message::parse(&message.to_bytes()), Ok(message));
        }
    }

    #[test]
    fn a_changed_bit_or_another_length_is_noticed() {
        for message in messages() {
            let bytes = message.to_bytes();
            for bit in 0..8 * bytes.len() {
                let mut damaged = bytes.to_vec();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Message::parse(&damaged), Err(WireError::Checksum), "bit {bit}");
            }
            assert!(Message::parse(&bytes[..bytes.len() - 1]).is_err());
            assert!(Message::parse(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn undamaged_nonsense_is_refused() {
        let sealed = |mut bytes: Vec<u8>| {
            let checksum = checksum(&bytes);
            bytes[12..16].copy_from_slice(&checksum.to_be_bytes());
            Message::parse(&bytes)
        };
        let mut kind = vec![0; 16];
        kind[0] = 0xc0;
        assert_eq!(sealed(kind), Err(WireError::Kind));
        let mut end = vec![0; 17];
        end[0] = 0x40;
        assert_eq!(sealed(end), Err(WireError::Length(17)));
        assert_eq!(
            sealed([vec![0x3f, 255, 255, 255], vec![0; 12]].concat()),
            Err(WireError::Range)
        );
        // More received than sent, more bursts than losses.
        for field in [0, 1] {
            let mut report = vec![0; REPORT_BYTES];
            report[0] = 0x80;
            report[HEADER_BYTES + 8 * field + 7] = 1;
            assert_eq!(sealed(report), Err(WireError::Range));
        }
    }
}
