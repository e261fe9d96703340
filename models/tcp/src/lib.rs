//! TCP as Linux does it, as a sans-IO state machine.
//!
//! A [`Connection`] moves *counts*: a [`Segment`] names a range of the stream, and whoever carries it keeps the
//! bytes. The caller brings segments and time in and draws segments and events out; there is no clock, socket
//! or random draw inside.
//!
//! ```
//! use longhaul_core::time::Instant;
//! use longhaul_tcp::{Config, Connection, Event};
//!
//! let mut client = Connection::connect(Config::default(), Instant::ZERO);
//! let mut server = Connection::listen(Config::default());
//! client.write(Instant::ZERO, 100_000);
//! client.shutdown(Instant::ZERO);
//! // A network without delay: pass segments to and fro until both fall silent.
//! let mut received = 0;
//! loop {
//!     let mut silent = true;
//!     while let Some(segment) = client.poll_segment(Instant::ZERO) {
//!         server.on_segment(Instant::ZERO, &segment);
//!         silent = false;
//!     }
//!     while let Some(event) = server.poll_event() {
//!         match event {
//!             Event::Received(bytes) => received += bytes,
//!             Event::PeerFinished => server.shutdown(Instant::ZERO),
//!             _ => {}
//!         }
//!     }
//!     while let Some(segment) = server.poll_segment(Instant::ZERO) {
//!         client.on_segment(Instant::ZERO, &segment);
//!         silent = false;
//!     }
//!     if silent {
//!         break;
//!     }
//! }
//! assert_eq!(received, 100_000);
//! ```
//!
//! # What is modelled
//!
//! The reference is Linux 6.1 with its default settings, `HZ` = 250.
//!
//! | part | where | source |
//! | --- | --- | --- |
//! | handshake, FIN, RST, their retries | [`connection`] | RFC 9293, `tcp_input.c` |
//! | RTT, timeout, backoff, the kernel's timer wheel | `rtt`, `timer` | RFC 6298, `tcp_rtt_estimator`, `kernel/time/timer.c` |
//! | SACK scoreboard, RACK and its adaptation to reordering, loss probes | `send` | RFC 2018, 2883, 8985, `tcp_recovery.c` |
//! | window reduction (PRR), restart after idle, window validation | `send` | RFC 6937, 2861, `tcp_input.c` |
//! | Reno, CUBIC, HyStart | `congestion` | RFC 5681, 9438, `tcp_cubic.c` |
//! | BBR v1: Startup to ProbeRtt, policers, ACK aggregation, its own recovery | `congestion::bbr` | `tcp_bbr.c` |
//! | delivery-rate samples, application-limited phases | `send::rate` | `tcp_rate.c` |
//! | pacing by TCP itself, for BBR alone as in Linux | `send::pacing` | `tcp_pacing_check`, `tcp_update_skb_after_send` |
//! | explicit congestion notification, if [`Config::ecn`] | `ecn` | RFC 3168, `tcp_ecn_check_ce`, `tcp_enter_cwr` |
//! | the offered window and how it grows | `autotuning` | `tcp_rcv_space_adjust`, `tcp_grow_window` |
//! | delayed, quick and thinned ACKs | `delayed_ack` | `tcp_output.c`, `tcp_input.c` |
//! | taking back needless reductions (DSACK, Eifel, F-RTO) | `send::undo` | RFC 3522, 3708, 5682, `tcp_try_undo_*`, `tcp_process_loss` |
//! | bursts of segmentation offload | `send::burst` | `tcp_tso_autosize`, `tcp_tso_should_defer` |
//! | what the sender's own queue refuses or still holds | [`Connection::on_local_drop`], [`Connection::on_local_queue`] | `tcp_enter_cwr`, `skb_still_in_host_queue` |
//! | a reader that stands still, and probes of the window that it closes | `receive`, `send::persist` | `tcp_cleanup_rbuf`, `__tcp_select_window`, `tcp_probe_timer` |
//! | a process that is killed | [`Connection::kill`] | `tcp_close`, `tcp_v4_send_reset` |
//!
//! # What is not
//!
//! - Nagle's algorithm: a last short segment leaves at once when nothing else is queued.
//! - Growth of the send buffer, which in Linux stays ahead of the window, and the memory that Linux counts beside
//!   payload: a packet is taken to cost twice its payload (see [`Config`]).
//! - A reader that lags by itself: the application reads at once, or stands still ([`Connection::pause`]) and then
//!   reads everything at once.
//! - A queue that paces (`fq`) and its delivery times in the future; TCP small queues: under a `netem` of the
//!   sender's own they bind nothing (it orphans what it delays), nor where the device is faster than the path.
//! - BBR's larger share of the send buffer (`sndbuf_expand`): the buffer is there in full.
//! - Accurate ECN, DCTCP, ECN on control packets; keepalive, TIME-WAIT, SACK reneging, path MTU discovery.

pub mod config;
pub mod connection;
pub mod event;
pub mod segment;
pub mod stats;

mod autotuning;
mod congestion;
mod delayed_ack;
mod ecn;
mod ranges;
mod receive;
mod rtt;
mod send;
mod timer;

pub use config::{Config, ConfigError, Controller};
pub use congestion::rounds::{RoundController, SlowStartRound};
pub use connection::Connection;
pub use event::{Event, Failure};
pub use segment::{Ecn, Flags, HEADER_BYTES, Header, SackBlock, SackBlocks, Segment};
pub use stats::Stats;
