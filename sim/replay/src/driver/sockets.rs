//! TCP sockets with the options that a replay wants, and what the kernel counted for them.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use longhaul_core::machine::PathInfo;
use longhaul_core::time::Span;
use nix::sys::socket::{GetSockOpt, SetSockOpt, sockopt};
// `sockopt_impl!` calls the other two by their bare names.
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};

use crate::outcome::TcpCounters;

/// Handshakes that a listening socket keeps until they are accepted; the kernel may keep fewer (`somaxconn`).
const BACKLOG: i32 = 4096;

// nix writes the two system calls; the sizes of the types are those that the kernel documents.
sockopt_impl!(
    /// Bytes written and not yet sent, at most.
    NotsentLowat,
    Both,
    libc::IPPROTO_TCP,
    libc::TCP_NOTSENT_LOWAT,
    u32
);
sockopt_impl!(
    /// The first [`INFO_BYTES`] of `struct tcp_info`, which every kernel since 5.4 has.
    TcpInfo,
    GetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    [u8; INFO_BYTES]
);

/// See [`TcpInfo`].
const INFO_BYTES: usize = 232;
/// Offset of `tcpi_snd_mss`.
const SND_MSS: usize = 16;
/// Offset of `tcpi_rtt`, in microseconds.
const RTT: usize = 68;
/// Offset of `tcpi_snd_cwnd`, in segments.
const SND_CWND: usize = 80;
/// Offset of `tcpi_total_retrans`.
const TOTAL_RETRANS: usize = 100;
/// Offset of `tcpi_bytes_acked`.
const BYTES_ACKED: usize = 120;
/// Offset of `tcpi_segs_out`.
const SEGS_OUT: usize = 136;
/// Offset of `tcpi_notsent_bytes`.
const NOTSENT_BYTES: usize = 144;
/// Offset of `tcpi_snd_wnd`.
const SND_WND: usize = 228;

/// Options of a machine's connections, of those that it opens and of those that it accepts: the very numbers that
/// `setsockopt` gets. `None` leaves the kernel's own.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SocketOptions {
    /// `TCP_CONGESTION`: `cubic`, `reno`, `bbr`.
    pub congestion: Option<String>,
    /// `SO_RCVBUF` in bytes. The kernel doubles it and stops adapting it.
    pub receive_buffer: Option<u32>,
    /// `SO_SNDBUF` in bytes. The kernel doubles it and stops adapting it.
    pub send_buffer: Option<u32>,
    /// `TCP_NOTSENT_LOWAT` in bytes.
    pub notsent_lowat: Option<u32>,
    /// `SO_PRIORITY`.
    pub priority: Option<u32>,
}

impl SocketOptions {
    /// Sets them, and what is the same for all: no Nagle, as the simulated TCP has none; and a socket whose process
    /// dies resets its connection, so that the peer cannot take a death for an end.
    fn apply(&self, socket: &OwnedFd) -> Result<(), SocketError> {
        use rustix::net::sockopt as options;
        options::set_tcp_nodelay(socket, true).map_err(refused("TCP_NODELAY"))?;
        options::set_socket_linger(socket, Some(Duration::ZERO)).map_err(refused("SO_LINGER"))?;
        if let Some(name) = &self.congestion {
            options::set_tcp_congestion(socket, name).map_err(refused("TCP_CONGESTION"))?;
        }
        // Privilege lifts the limits of net.core.rmem_max and wmem_max; without it the kernel cuts off silently.
        if let Some(bytes) = self.receive_buffer {
            let bytes = bytes as usize;
            options::set_socket_recv_buffer_size_force(socket, bytes)
                .or_else(|_| options::set_socket_recv_buffer_size(socket, bytes))
                .map_err(refused("SO_RCVBUF"))?;
        }
        if let Some(bytes) = self.send_buffer {
            let bytes = bytes as usize;
            options::set_socket_send_buffer_size_force(socket, bytes)
                .or_else(|_| options::set_socket_send_buffer_size(socket, bytes))
                .map_err(refused("SO_SNDBUF"))?;
        }
        if let Some(bytes) = self.notsent_lowat {
            NotsentLowat
                .set(socket, &bytes)
                .map_err(refused("TCP_NOTSENT_LOWAT"))?;
        }
        self.prioritise(socket)
    }

    fn prioritise(&self, socket: &OwnedFd) -> Result<(), SocketError> {
        let Some(priority) = self.priority else {
            return Ok(());
        };
        sockopt::Priority
            .set(socket, &priority.cast_signed())
            .map_err(refused("SO_PRIORITY"))
    }
}

/// What the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
pub struct SocketError {
    what: String,
    error: io::Error,
}

fn refused<E: Into<io::Error>>(what: &str) -> impl FnOnce(E) -> SocketError {
    move |error| SocketError {
        what: what.to_owned(),
        error: error.into(),
    }
}

fn tcp_socket(options: &SocketOptions) -> Result<OwnedFd, SocketError> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
        .map_err(refused("a TCP socket"))?;
    options.apply(&socket)?;
    Ok(socket)
}

/// A socket that listens on `address`; what it accepts inherits the options.
pub(super) fn listen(address: SocketAddrV4, options: &SocketOptions) -> Result<OwnedFd, SocketError> {
    let socket = tcp_socket(options)?;
    // A replication may follow another on the same ports.
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true).map_err(refused("SO_REUSEADDR"))?;
    rustix::net::bind(&socket, &address).map_err(refused(&format!("cannot bind {address}")))?;
    rustix::net::listen(&socket, BACKLOG).map_err(refused(&format!("cannot listen on {address}")))?;
    Ok(socket)
}

/// The next connection that a listening socket has, if there is one.
pub(super) fn accept(listener: &OwnedFd, options: &SocketOptions) -> Result<Option<OwnedFd>, SocketError> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    loop {
        match rustix::net::accept_with(listener, flags) {
            Ok(socket) => {
                // The one option that is not inherited.
                options.prioritise(&socket)?;
                return Ok(Some(socket));
            }
            Err(Errno::AGAIN) => return Ok(None),
            // The peer took it back before it was accepted.
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(error) => return Err(refused("cannot accept a connection")(error)),
        }
    }
}

/// A socket whose handshake from `from` to `to` has begun.
pub(crate) fn connect(
    from: Ipv4Addr,
    to: SocketAddrV4,
    options: &SocketOptions,
) -> Result<OwnedFd, SocketError> {
    let socket = tcp_socket(options)?;
    let any_port = SocketAddrV4::new(from, 0);
    rustix::net::bind(&socket, &any_port).map_err(refused(&format!("cannot bind {from}")))?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(refused(&format!("cannot connect to {to}"))(error)),
    }
}

/// Adds what the kernel counted for a connection so far.
pub(super) fn count(socket: &impl AsFd, counters: &mut TcpCounters) {
    let Ok(info) = TcpInfo.get(socket) else {
        return;
    };
    counters.segments += number(&info, SEGS_OUT);
    counters.retransmits += number(&info, TOTAL_RETRANS);
}

/// What the kernel knows of a connection's path.
pub(super) fn path_info(socket: &impl AsFd) -> Option<PathInfo> {
    let info = TcpInfo.get(socket).ok()?;
    let buffer = rustix::net::sockopt::socket_send_buffer_size(socket).ok()?;
    Some(PathInfo {
        srtt: Span::from_us(number(&info, RTT)),
        segments_sent: number(&info, SEGS_OUT),
        segments_retransmitted: number(&info, TOTAL_RETRANS),
        bytes_acked: long_number(&info, BYTES_ACKED),

        congestion_window_bytes: number(&info, SND_CWND) * number(&info, SND_MSS),
        // Half of the buffer is the kernel's own overhead.
        buffer_window_bytes: number(&info, SND_WND).min(buffer as u64 / 2),
    })
}

/// Bytes that a connection holds and has not sent once.
pub(super) fn unsent(socket: &impl AsFd) -> u64 {
    TcpInfo.get(socket).map_or(0, |info| number(&info, NOTSENT_BYTES))
}

fn long_number(info: &[u8; INFO_BYTES], offset: usize) -> u64 {
    let bytes = info[offset..offset + 8].try_into().expect("eight bytes");
    u64::from_ne_bytes(bytes)
}

fn number(info: &[u8; INFO_BYTES], offset: usize) -> u64 {
    let bytes = info[offset..offset + 4].try_into().expect("four bytes");
    u64::from(u32::from_ne_bytes(bytes))
}
