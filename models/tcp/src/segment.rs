//! What travels between two endpoints.

use longhaul_core::time::Instant;

/// Ethernet (14), IPv4 (20) and TCP (20) headers and the timestamp option (12) of one packet, in bytes.
pub const HEADER_BYTES: u32 = 66;
/// A SYN carries all its options: MSS, SACK permitted, timestamps, window scale.
pub const SYN_BYTES: u32 = 74;
/// SACK blocks that fit beside timestamps (RFC 2018).
pub const MAX_SACK_BLOCKS: usize = 3;

/// Control bits of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u8);

impl Flags {
    /// No bit set.
    pub const NONE: Flags = Flags(0);
    /// Opens a connection.
    pub const SYN: Flags = Flags(1);
    /// The `ack` field counts.
    pub const ACK: Flags = Flags(2);
    /// The last byte of this segment is the last byte of the stream.
    pub const FIN: Flags = Flags(4);
    /// The connection is gone.
    pub const RST: Flags = Flags(8);
    /// Echo of congestion (RFC 3168); in a SYN, with [`Flags::CWR`], the offer to use it.
    pub const ECE: Flags = Flags(16);
    /// The window was reduced: the answer to an echo.
    pub const CWR: Flags = Flags(32);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// What the IP header says of explicit congestion notification (RFC 3168 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ecn {
    /// A queue that is congested must drop the packet.
    #[default]
    NotCapable,
    /// It may mark the packet instead.
    Capable,
    /// A queue did.
    Congestion,
}

/// A range of the stream that arrived out of order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SackBlock {
    /// First byte.
    pub start: u64,
    /// Byte after the last one.
    pub end: u64,
}

/// A segment but for its SACK blocks: it names a range of the stream and carries no payload.
///
/// Sequence numbers are 64-bit offsets in the stream. The first byte after the SYN has number 0 (a SYN takes
/// none), a FIN takes the number after the last byte. A simulated stream never reaches 2^63 bytes, so there is
/// no arithmetic modulo 2^32 anywhere.
///
/// With segmentation offload (see [`Config`](crate::Config)) one value stands for a burst of `packets` packets
/// that share the fate of one queue entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Number of the first byte.
    pub seq: u64,
    /// Next byte expected from the peer, if [`Flags::ACK`] is set.
    pub ack: u64,
    /// The sender's clock when it sent this.
    pub ts_val: Instant,
    /// The `ts_val` that this answers.
    pub ts_ecr: Instant,
    /// Bytes that the peer may send beyond `ack`; at most [`Config::LARGEST_WINDOW`](crate::Config::LARGEST_WINDOW)
    /// counts.
    pub window: u32,
    /// Payload in bytes.
    pub len: u32,
    /// Packets on the wire; 1 without segmentation offload.
    pub packets: u16,
    /// Control bits.
    pub flags: Flags,
    ecn: Ecn,
}

impl Header {
    /// The codepoint of the IP header.
    pub fn ecn(&self) -> Ecn {
        self.ecn
    }

    /// Whether a queue may call [`Header::mark_congestion`] instead of dropping this.
    pub fn ecn_capable(&self) -> bool {
        self.ecn != Ecn::NotCapable
    }

    /// The ends of the connection understand marks.
    pub(crate) fn set_ecn_capable(&mut self) {
        self.ecn = Ecn::Capable;
    }

    /// A queue on the way is congested: the receiver hears of it and tells the sender. A second mark changes
    /// nothing.
    ///
    /// # Panics
    /// If the segment is not [`Header::ecn_capable`].
    pub fn mark_congestion(&mut self) {
        assert!(self.ecn_capable(), "only what is capable may be marked");
        self.ecn = Ecn::Congestion;
    }

    /// Number after the last byte, and after the FIN if there is one.
    pub fn end(&self) -> u64 {
        self.seq
            .saturating_add(u64::from(self.len) + u64::from(self.flags.has(Flags::FIN)))
    }
}

/// The SACK blocks of a segment, in the order in which they were pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SackBlocks {
    start: [u64; MAX_SACK_BLOCKS],
    len: [u32; MAX_SACK_BLOCKS],
    count: u8,
}

impl SackBlocks {
    const NONE: SackBlocks = SackBlocks {
        start: [0; MAX_SACK_BLOCKS],
        len: [0; MAX_SACK_BLOCKS],
        count: 0,
    };
}

/// A segment: its [`Header`], as which it reads and writes, and SACK blocks.
///
/// Few segments have blocks. Where many are kept, [`Segment::split`] tells the two parts from each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    header: Header,
    sack: SackBlocks,
}

impl std::ops::Deref for Segment {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        &self.header
    }
}

impl std::ops::DerefMut for Segment {
    #[inline]
    fn deref_mut(&mut self) -> &mut Header {
        &mut self.header
    }
}

impl Segment {
    /// A segment with no payload and no blocks.
    #[inline]
    pub fn control(flags: Flags, seq: u64, now: Instant) -> Segment {
        Segment {
            header: Header {
                seq,
                ack: 0,
                ts_val: now,
                ts_ecr: Instant::ZERO,
                window: 0,
                len: 0,
                packets: 1,
                flags,
                ecn: Ecn::NotCapable,
            },
            sack: SackBlocks::NONE,
        }
    }

    /// What every segment has, and what few have.
    #[inline]
    pub fn split(self) -> (Header, Option<SackBlocks>) {
        (self.header, self.has_sack().then_some(self.sack))
    }

    /// The segment that [`Segment::split`] took apart.
    #[inline]
    pub fn join(header: Header, sack: Option<SackBlocks>) -> Segment {
        Segment {
            header,
            sack: sack.unwrap_or(SackBlocks::NONE),
        }
    }

    /// Bytes on the wire as `netem` counts a rate: whole Ethernet frames without preamble and checksum.
    #[inline]
    pub fn frame_bytes(&self) -> u32 {
        if self.flags.has(Flags::SYN) {
            return SYN_BYTES;
        }
        let sack = if self.has_sack() {
            4 + 8 * u32::from(self.sack.count)
        } else {
            0
        };
        self.len + u32::from(self.packets) * (HEADER_BYTES + sack)
    }

    /// Appends a block. One longer than 4 GiB is cut short: it cannot come from a window of at most 1 GiB.
    ///
    /// # Panics
    /// If the block is empty or there are [`MAX_SACK_BLOCKS`] already.
    pub fn push_sack(&mut self, block: SackBlock) {
        assert!(block.start < block.end, "an empty SACK block");
        let slot = usize::from(self.sack.count);
        self.sack.start[slot] = block.start;
        self.sack.len[slot] = u32::try_from(block.end - block.start).unwrap_or(u32::MAX);
        self.sack.count += 1;
    }

    /// The blocks, in the order in which they were pushed.
    pub fn sack_blocks(&self) -> impl Iterator<Item = SackBlock> + '_ {
        let count = usize::from(self.sack.count);
        self.sack.start[..count]
            .iter()
            .zip(&self.sack.len[..count])
            .map(|(&start, &len)| SackBlock {
                start,
                end: start.saturating_add(u64::from(len)),
            })
    }

    /// Whether there is at least one SACK block.
    #[inline]
    pub fn has_sack(&self) -> bool {
        self.sack.count > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_stays_small() {
        assert!(size_of::<Header>() <= 48);
        assert!(size_of::<Segment>() <= 88);
    }

    #[test]
    fn a_segment_survives_being_taken_apart() {
        let mut segment = Segment::control(Flags::ACK, 7, Instant::from_ns(9));
        (segment.ack, segment.window, segment.len, segment.packets) = (1 << 60, 1 << 30, 2_896, 2);
        segment.ts_ecr = Instant::from_ns(3);
        segment.set_ecn_capable();
        segment.mark_congestion();
        let (header, sack) = segment.split();
        assert_eq!((Segment::join(header, sack), sack), (segment, None));
        segment.push_sack(SackBlock {
            start: 0,
            end: u64::MAX,
        });
        let (header, sack) = segment.split();
        assert_eq!(Segment::join(header, sack), segment);
        assert!(sack.is_some());
    }

    #[test]
    fn frames_have_their_size_on_a_real_wire() {
        let mut ack = Segment::control(Flags::ACK, 0, Instant::ZERO);
        assert_eq!(ack.frame_bytes(), 66);
        ack.push_sack(SackBlock { start: 10, end: 20 });
        assert_eq!(ack.frame_bytes(), 66 + 12);
        ack.push_sack(SackBlock { start: 30, end: 40 });
        assert_eq!(ack.frame_bytes(), 66 + 20);
        let mut full = Segment::control(Flags::ACK, 0, Instant::ZERO);
        full.len = 1448;
        assert_eq!(full.frame_bytes(), 1514);
        let mut burst = full;
        (burst.len, burst.packets) = (2900, 3);
        assert_eq!(burst.frame_bytes(), 2900 + 3 * 66);
        assert_eq!(Segment::control(Flags::SYN, 0, Instant::ZERO).frame_bytes(), 74);
    }

    #[test]
    fn blocks_come_back_in_order() {
        let mut ack = Segment::control(Flags::ACK, 0, Instant::ZERO);
        let blocks = [SackBlock { start: 30, end: 40 }, SackBlock { start: 10, end: 20 }];
        for block in blocks {
            ack.push_sack(block);
        }
        assert!(ack.sack_blocks().eq(blocks));
    }
}
