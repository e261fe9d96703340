//! How much a path carries while nothing shapes it: one plain connection, as fast as it goes.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};

use rustix::net::RecvFlags;

use super::NodeError;
use crate::driver::{SocketOptions, monotonic_ns, plain_connect};

/// What one call moves.
const PIECE: usize = 128 << 10;

/// Reads what one connection brings.
pub(super) struct Sink(TcpListener);

impl Sink {
    pub fn listen(address: SocketAddrV4) -> io::Result<Sink> {
        TcpListener::bind(address).map(Sink)
    }

    /// Accepts a connection and reads it to its end, without copying anything.
    pub fn drain(self) -> Result<(), NodeError> {
        let (stream, _) = self.0.accept()?;
        let mut room = vec![0; PIECE];
        loop {
            match rustix::net::recv(&stream, &mut room[..], RecvFlags::TRUNC) {
                Ok((_, 0)) => return Ok(()),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }
}

/// Writes until `bytes` are written or `ns` have passed; returns what has arrived at a sink, and how long that took.
pub(super) fn push(from: Ipv4Addr, to: SocketAddrV4, bytes: u64, ns: u64) -> Result<(u64, u64), NodeError> {
    let started = monotonic_ns();
    let mut stream = TcpStream::from(plain_connect(from, to, &SocketOptions::default())?);
    stream.set_nonblocking(false)?;
    let piece = vec![0; PIECE];
    let mut written = 0;
    while written < bytes && monotonic_ns() - started < ns {
        stream.write_all(&piece)?;
        written += piece.len() as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    // The sink closes when it has read everything.
    let _ = stream.read(&mut [0])?;
    Ok((written, (monotonic_ns() - started).max(1)))
}
