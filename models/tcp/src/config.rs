//! What may differ between two TCP endpoints.

use serde::{Deserialize, Serialize};

/// Congestion controller of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Controller {
    /// RFC 5681 as in `net/ipv4/tcp_cong.c`.
    Reno,
    /// RFC 9438 as in `net/ipv4/tcp_cubic.c`.
    Cubic,
    /// BBR version 1 as in `net/ipv4/tcp_bbr.c`; paces by itself.
    Bbr,
}

/// Options of one endpoint. The default is Linux with 4 MiB to send from and a 3 MiB window.
///
/// # Which buffer sizes stand for which sysctl
///
/// Linux counts memory, this model counts stream bytes:
/// - a `tcp_rmem` maximum of 6 MiB offers half of it (`tcp_adv_win_scale` 1): `receive_buffer` 3 MiB;
/// - a `tcp_wmem` maximum of 4 MiB holds between 3 and 4 MiB of stream, depending on how small the pieces are
///   into which the kernel cuts it: `send_buffer` 4 MiB is the upper end. It rarely matters, because the
///   receiver's 3 MiB bind first.
///
/// The second numbers of the triples, where buffers start, are Linux's defaults if `autotuning` is on. The send
/// buffer is there in full from the start: Linux grows it ahead of the congestion window
/// (`tcp_sndbuf_expand`), so that it limits nothing before it reaches its maximum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Largest payload of one packet in bytes, [`Config::MSS`]. 1448 is what timestamps leave of an MTU of 1500.
    pub mss: u32,
    /// Congestion window at the start in segments, [`Config::INITIAL_WINDOW`] (RFC 6928: 10).
    pub initial_window_segments: u32,
    /// Bytes written and not yet acknowledged, at most; at least one segment.
    pub send_buffer: u64,
    /// Bytes written and not yet sent, at most (`tcp_notsent_lowat`, `TCP_NOTSENT_LOWAT`); at least one segment.
    /// `u64::MAX`, as in Linux's default, leaves the send buffer as the only limit. An application that decides
    /// late what to send on which connection wants it low: what is in the buffer can no longer be redirected.
    pub notsent_lowat: u64,
    /// Largest offered window in bytes, from one segment to [`Config::LARGEST_WINDOW`].
    pub receive_buffer: u64,
    /// Whether the offered window starts at 64 KiB, for a `tcp_rmem` of 128 KiB, and follows the sender up to
    /// `receive_buffer` (`tcp_moderate_rcvbuf`). While it grows, every segment is acknowledged by itself. Without,
    /// `receive_buffer` is offered from the start.
    pub autotuning: bool,
    /// Congestion controller.
    pub controller: Controller,
    /// Whether CUBIC leaves slow start early when delay or the length of an ACK train grows. Reno ignores it,
    /// as in Linux.
    pub hystart: bool,
    /// Whether new data leaves in bursts of several packets, sized as `tcp_tso_autosize` does it (at least two,
    /// about a millisecond's worth).
    ///
    /// Linux builds such bursts even where the device's offloads are off, and cuts them into packets only
    /// *below* the queueing discipline. So a `netem` on the sender's own device draws one loss, and counts one
    /// place in its queue, for the whole burst. Behind a router the packets are separate: `false`.
    pub segmentation_offload: bool,
    /// Whether to offer and to accept explicit congestion notification (RFC 3168, `tcp_ecn` = 1). It is used if
    /// both ends have it. Linux's default, accepting without offering, makes no difference between two such ends.
    pub ecn: bool,
    /// What the random choices of this end derive from. Only BBR makes any: the phase in which it begins a gain
    /// cycle. Give every connection another, or they probe for bandwidth in step.
    pub seed: u64,
}

/// Why a [`Config`] is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// `mss` lies outside [`Config::MSS`].
    Mss,
    /// `initial_window_segments` lies outside [`Config::INITIAL_WINDOW`].
    InitialWindow,
    /// `send_buffer` is smaller than one segment.
    SendBuffer,
    /// `notsent_lowat` is smaller than one segment.
    NotsentLowat,
    /// `receive_buffer` is smaller than one segment or larger than [`Config::LARGEST_WINDOW`].
    ReceiveBuffer,
}

impl Config {
    /// Allowed payload of a packet, in bytes.
    pub const MSS: std::ops::RangeInclusive<u32> = 64..=65_000;
    /// Allowed initial congestion window, in segments.
    pub const INITIAL_WINDOW: std::ops::RangeInclusive<u32> = 1..=10_000;
    /// What a 16-bit window scaled by 14 bits can express (RFC 7323), in bytes.
    pub const LARGEST_WINDOW: u64 = 1 << 30;

    /// Checks every range.
    ///
    /// # Errors
    /// The first field that lies outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let segment = u64::from(self.mss);
        if !Config::MSS.contains(&self.mss) {
            Err(ConfigError::Mss)
        } else if !Config::INITIAL_WINDOW.contains(&self.initial_window_segments) {
            Err(ConfigError::InitialWindow)
        } else if self.send_buffer < segment {
            Err(ConfigError::SendBuffer)
        } else if self.notsent_lowat < segment {
            Err(ConfigError::NotsentLowat)
        } else if !(segment..=Config::LARGEST_WINDOW).contains(&self.receive_buffer) {
            Err(ConfigError::ReceiveBuffer)
        } else {
            Ok(())
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mss: 1448,
            initial_window_segments: 10,
            send_buffer: 4 << 20,
            notsent_lowat: u64::MAX,
            receive_buffer: 3 << 20,
            autotuning: true,
            controller: Controller::Cubic,
            hystart: true,
            segmentation_offload: false,
            ecn: false,
            seed: 0,
        }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (low, high) = (Config::MSS.start(), Config::MSS.end());
        match self {
            ConfigError::Mss => write!(f, "mss must lie in {low}..={high} bytes"),
            ConfigError::InitialWindow => {
                let (low, high) = (Config::INITIAL_WINDOW.start(), Config::INITIAL_WINDOW.end());
                write!(f, "initial_window_segments must lie in {low}..={high}")
            }
            ConfigError::SendBuffer => write!(f, "send_buffer must hold one segment"),
            ConfigError::NotsentLowat => write!(f, "notsent_lowat must hold one segment"),
            ConfigError::ReceiveBuffer => {
                write!(
                    f,
                    "receive_buffer must lie between one segment and {} bytes",
                    Config::LARGEST_WINDOW
                )
            }
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_checked() {
        let good = Config::default();
        assert_eq!(good.check(), Ok(()));
        assert_eq!(Config { mss: 63, ..good }.check(), Err(ConfigError::Mss));
        assert_eq!(
            Config {
                initial_window_segments: 0,
                ..good
            }
            .check(),
            Err(ConfigError::InitialWindow)
        );
        assert_eq!(
            Config {
                send_buffer: 1447,
                ..good
            }
            .check(),
            Err(ConfigError::SendBuffer)
        );
        for receive_buffer in [1447, Config::LARGEST_WINDOW + 1] {
            assert_eq!(
                Config {
                    receive_buffer,
                    ..good
                }
                .check(),
                Err(ConfigError::ReceiveBuffer)
            );
        }
    }
}
