//! One TCP connection of a machine: what it has yet to write, what it reads, and how far its end has come.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use longhaul_core::machine::StreamId;
use longhaul_core::payload::{Payload, PayloadBuffer};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

use super::sockets;

/// What one call hands to the kernel at most, in bytes: what most applications write at once.
const WRITE: u64 = 128 << 10;
/// And in how many pieces.
const PIECES: usize = 64;
/// From so many bytes on a stream is written while its machine is still being polled.
const AHEAD: u64 = 16 << 10;
/// What one call takes from the kernel at most, of bytes that the machine wants.
const READ: usize = 64 << 10;
/// And of bytes that only count.
const DISCARD: usize = 256 << 10;
/// Stands for the content of synthetic payload.
static FILLER: [u8; WRITE as usize] = [0; WRITE as usize];

/// How long to wait for an answer.
const NOT_AT_ALL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Memory that reads share.
pub(super) struct Scratch {
    read: Vec<u8>,
    discarded: Vec<u8>,
}

impl Scratch {
    pub fn new() -> Scratch {
        Scratch {
            read: Vec::with_capacity(READ),
            discarded: vec![0; DISCARD],
        }
    }
}

/// How far the end of what this side sends has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// The machine may send more.
    Open,
    /// The machine has finished; the kernel hears of it when everything is written.
    Wanted,
    /// The kernel knows.
    Done,
}

/// What a read found.
pub(super) enum Read {
    /// The next bytes.
    Payload(Payload),
    /// Nothing for now.
    Nothing,
    /// The peer has finished.
    End,
    /// The connection is lost.
    Lost,
}

/// What a write did.
pub(super) enum Write {
    /// The kernel took so much; there may be room for more.
    Taken(u64),
    /// Nothing to write, or no room.
    Nothing,
    /// The connection is lost.
    Lost,
}

/// A connection.
pub(super) struct Stream {
    pub socket: OwnedFd,
    /// Index of its machine.
    pub host: usize,
    /// Its number there.
    pub id: StreamId,
    /// Whether its handshake is not over.
    pub connecting: bool,
    /// Whether the kernel may have bytes for it, or room.
    pub readable: bool,
    pub writable: bool,
    /// Whether the kernel has said that the peer finished: then a short read is not the last.
    pub peer_finished: bool,
    /// Whether the kernel has announced an error.
    pub failing: bool,
    /// Whether the machine knows that the peer finished.
    pub read_to_end: bool,
    /// Bytes that the kernel took ahead, of which the machine has not heard.
    pub untold: u64,
    /// Whether it waits for its turn.
    pub queued: bool,
    /// Bytes that may wait unsent in the kernel, if there is a limit.
    most_unsent: Option<u32>,
    ending: Ending,
    outbox: PayloadBuffer,
    /// Pieces of the outbox that are being written.
    pieces: VecDeque<Payload>,
    pieces_bytes: u64,
}

impl Stream {
    pub fn new(
        socket: OwnedFd,
        host: usize,
        id: StreamId,
        connecting: bool,
        most_unsent: Option<u32>,
    ) -> Stream {
        Stream {
            socket,
            host,
            id,
            connecting,
            readable: false,
            writable: false,
            peer_finished: false,
            failing: false,
            read_to_end: false,
            untold: 0,
            queued: false,
            most_unsent,
            ending: Ending::Open,
            outbox: PayloadBuffer::default(),
            pieces: VecDeque::new(),
            pieces_bytes: 0,
        }
    }

    /// Adds to what is to be written. What comes after the end is dropped, as in the simulation.
    pub fn push(&mut self, payload: Payload) {
        if self.ending == Ending::Open {
            self.outbox.push(payload);
        }
    }

    /// Nothing more will be written.
    pub fn finish(&mut self) {
        if self.ending == Ending::Open {
            self.ending = Ending::Wanted;
        }
    }

    /// Takes the error that the kernel holds for the connection, if there is one.
    pub fn has_failed(&self) -> bool {
        !matches!(rustix::net::sockopt::socket_error(&self.socket), Ok(Ok(())))
    }

    /// Whether both directions are done.
    pub fn is_over(&self) -> bool {
        self.read_to_end && self.ending == Ending::Done
    }

    /// Whether it has something to write, the end included.
    pub fn wants_to_write(&self) -> bool {
        self.unwritten() > 0 || self.ending == Ending::Wanted
    }

    fn unwritten(&self) -> u64 {
        self.pieces_bytes + self.outbox.len()
    }

    /// Hands the next piece to the kernel, or the end.
    pub fn write(&mut self) -> Write {
        if self.unwritten() == 0 {
            if self.ending == Ending::Wanted {
                self.ending = Ending::Done;
                if rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write).is_err() {
                    return Write::Lost;
                }
            }
            return Write::Nothing;
        }
        self.write_pieces(u64::MAX)
    }

    /// Hands the kernel what it takes now, while the machine is not done with sending: encoding takes time here, and
    /// the network would stand still meanwhile. The last byte stays, so that what ends the burst is not a segment cut
    /// short.
    pub fn write_ahead(&mut self) {
        while self.writable && !self.connecting && self.outbox.len() >= AHEAD {
            match self.write_pieces(self.outbox.len() - 1) {
                Write::Taken(bytes) => self.untold += bytes,
                // A loss comes out at its next turn.
                Write::Nothing | Write::Lost => return,
            }
        }
    }

    /// Hands over what is left of the last call and up to `more` bytes of the outbox.
    fn write_pieces(&mut self, mut more: u64) -> Write {
        let room = self.room();
        if room == 0 {
            self.wait_for_room();
            return Write::Nothing;
        }
        let most = room.min(WRITE);
        while self.pieces_bytes < most
            && self.pieces.len() < PIECES
            && let Some(piece) = self.outbox.pop(more.min(most - self.pieces_bytes))
        {
            more -= piece.len();
            self.pieces_bytes += piece.len();
            self.pieces.push_back(piece);
        }
        let slices: Vec<IoSlice<'_>> = self.pieces.iter().map(slice).collect();
        let mut flags = SendFlags::NOSIGNAL;
        if !self.outbox.is_empty() {
            // The stream goes on: the kernel must not cut a segment short here.
            flags |= SendFlags::MORE;
        }
        let sent = rustix::net::sendmsg(&self.socket, &slices, &mut SendAncillaryBuffer::default(), flags);
        match sent {
            Ok(bytes) => {
                self.taken(bytes as u64);
                if bytes as u64 >= room {
                    self.wait_for_room();
                }
                Write::Taken(bytes as u64)
            }
            Err(Errno::AGAIN) => {
                self.writable = false;
                Write::Nothing
            }
            Err(Errno::INTR) => Write::Nothing,
            Err(_) => Write::Lost,
        }
    }

    /// What may be written until as much waits unsent as may. The kernel would take up to 64 KiB more: it asks
    /// whether there is room once for each of its buffers and then fills it.
    fn room(&self) -> u64 {
        self.most_unsent.map_or(u64::MAX, |most| {
            u64::from(most).saturating_sub(sockets::unsent(&self.socket))
        })
    }

    /// The kernel says when half of what waits is sent, but only to those that have asked while more did.
    fn wait_for_room(&mut self) {
        let mut asked = [PollFd::new(&self.socket, PollFlags::OUT)];
        let answer = rustix::event::poll(&mut asked, Some(&NOT_AT_ALL));
        // What is wrong with the connection the next write will tell.
        self.writable = answer != Ok(0);
    }

    fn taken(&mut self, mut bytes: u64) {
        self.pieces_bytes -= bytes;
        while bytes > 0 {
            let piece = self
                .pieces
                .front_mut()
                .expect("the kernel takes what it is given");
            let part = bytes.min(piece.len());
            let _ = piece.split_to(part);
            bytes -= part;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    /// Takes the next bytes from the kernel: their number if they are `synthetic`, and then nothing is copied.
    pub fn read(&mut self, synthetic: bool, scratch: &mut Scratch) -> Read {
        let (received, most) = if synthetic {
            let flags = RecvFlags::TRUNC;
            let received = rustix::net::recv(&self.socket, &mut scratch.discarded[..], flags);
            (received.map(|(_, bytes)| bytes), DISCARD)
        } else {
            scratch.read.clear();
            let room = spare_capacity(&mut scratch.read);
            let received = rustix::net::recv(&self.socket, room, RecvFlags::empty());
            (received.map(|(_, bytes)| bytes), READ)
        };
        match received {
            Ok(0) => {
                self.readable = false;
                Read::End
            }
            Ok(bytes) => {
                // A short read has emptied the buffer, and what comes next is an event of its own.
                self.readable = bytes == most || self.peer_finished;
                let payload = if synthetic {
                    Payload::Synthetic(bytes as u64)
                } else {
                    Payload::Real(scratch.take())
                };
                Read::Payload(payload)
            }
            Err(Errno::AGAIN) => {
                self.readable = false;
                Read::Nothing
            }
            Err(Errno::INTR) => Read::Nothing,
            Err(_) => Read::Lost,
        }
    }
}

impl Scratch {
    /// What was read, without pinning much more memory than it needs.
    fn take(&mut self) -> Bytes {
        if self.read.len() < READ / 2 {
            return Bytes::copy_from_slice(&self.read);
        }
        std::mem::replace(&mut self.read, Vec::with_capacity(READ)).into()
    }
}

fn slice(piece: &Payload) -> IoSlice<'_> {
    IoSlice::new(match piece {
        Payload::Real(bytes) => bytes,
        // No piece is longer than a write.
        Payload::Synthetic(bytes) => &FILLER[..*bytes as usize],
    })
}
