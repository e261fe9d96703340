//! How path MTU discovery is set up, what it is told and what it reports.

use longhaul_core::time::Span;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::overhead::{IpVersion, UDP_HEADER_BYTES};

/// How the search is set up. Names and recommendations are those of RFC 8899, section 5.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathMtuConfig {
    /// Version of IP.
    pub version: IpVersion,
    /// Whether this end searches; an end that does not still acknowledges.
    pub searches: bool,
    /// Smallest size to use, MIN_PLPMTU, which packets have when not even the base passes: at least what every link must
    /// carry, 68 over IPv4 and 1280 over IPv6.
    pub min: u32,
    /// Size that should pass everywhere, BASE_PLPMTU: 1200 over IPv4, 1280 over IPv6.
    pub base: u32,
    /// Largest size to try, MAX_PLPMTU: the MTU of the local interface.
    pub max: u32,
    /// Wait for an acknowledgement, PROBE_TIMER: at least 1 s, recommended to be above 15 s where the round trip is not known.
    pub probe_timer: Span,
    /// How many probes of a size must be lost in a row, MAX_PROBES, at least 1: 3.
    pub max_probes: u32,
    /// How long a completed search stands before larger sizes are tried again, PMTU_RAISE_TIMER: 600 s.
    pub raise_timer: Span,
    /// How often the size in use is confirmed, CONFIRMATION_TIMER. Without it only [`PathMtuCommand`] tells of black holes.
    pub confirmation_timer: Option<Span>,
}

impl PathMtuConfig {
    /// As recommended, for an interface with this MTU. The size in use is confirmed every 30 s.
    pub fn new(version: IpVersion, max: u32) -> PathMtuConfig {
        PathMtuConfig {
            version,
            searches: true,
            min: version.least_mtu(),
            base: match version {
                IpVersion::V4 => 1_200,
                IpVersion::V6 => 1_280,
            },
            max,
            probe_timer: Span::from_s(15),
            max_probes: 3,
            raise_timer: Span::from_s(600),
            confirmation_timer: Some(Span::from_s(30)),
        }
    }

    /// IP and UDP before the datagram, in bytes.
    pub(crate) fn header_bytes(&self) -> u32 {
        self.version.header_bytes() + UDP_HEADER_BYTES
    }

    pub(crate) fn check(&self) -> Result<(), PathMtuError> {
        let least = self.version.least_mtu();
        let rise = [least, self.min, self.base, self.max, 65_535].is_sorted();
        if !rise {
            return Err(PathMtuError::Sizes {
                least,
                min: self.min,
                base: self.base,
                max: self.max,
            });
        }
        let times = [
            self.probe_timer,
            self.raise_timer,
            self.confirmation_timer.unwrap_or(Span::from_s(1)),
        ];
        let range = Span::from_s(1)..=Span::from_s(86_400);
        if let Some(time) = times.iter().find(|time| !range.contains(time)) {
            return Err(PathMtuError::Timer(time.as_ns()));
        }
        if self.max_probes == 0 {
            return Err(PathMtuError::NoProbes);
        }
        Ok(())
    }
}

/// What makes a configuration impossible.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PathMtuError {
    /// The sizes do not rise.
    #[error(
        "sizes must rise from {least} over the least {min}, the base {base} and the largest {max} to 65535"
    )]
    Sizes {
        /// The least that IP allows.
        least: u32,
        /// The least that is used.
        min: u32,
        /// The base.
        base: u32,
        /// The largest.
        max: u32,
    },
    /// A timer out of range, in ns.
    #[error("a timer of {0} ns; allowed are 1 s to a day")]
    Timer(u64),
    /// No probe would ever be sent.
    #[error("at least one probe of each size must be sent")]
    NoProbes,
}

/// Where the search stands: RFC 8899, section 5.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PathMtuState {
    /// Not begun, or this end does not search.
    Disabled,
    /// The base is probed.
    Base,
    /// Larger sizes are probed.
    Searching,
    /// The size is found.
    SearchComplete,
    /// Not even the base passes.
    Error,
}

/// What the driver may have noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PathMtuCommand {
    /// Large packets seem to be lost: confirm the size in use now.
    Suspect,
    /// An ICMP "packet too big" that quotes a packet of ours arrived (section 4.6).
    PacketTooBig {
        /// The MTU that it names, in bytes.
        mtu: u32,
    },
}

/// What a size is probed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PathMtuPurpose {
    /// Whether the base passes.
    Base,
    /// Whether a larger size passes.
    Search,
    /// Whether the size in use still passes.
    Confirm,
}

/// Something worth telling. Sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum PathMtuEvent {
    /// A larger size passes, or the base, that was not known to.
    Passed {
        /// The size.
        size: u32,
        /// How many probes of it were sent.
        probes: u32,
        /// What it was probed for.
        purpose: PathMtuPurpose,
    },
    /// A size does not pass: none of its probes was acknowledged.
    Lost {
        /// The size.
        size: u32,
        /// How many probes of it were sent.
        probes: u32,
        /// What it was probed for.
        purpose: PathMtuPurpose,
    },
    /// Packets may have another size from now on.
    Changed {
        /// Before.
        from: u32,
        /// Now.
        to: u32,
    },
    /// The search is over: a packet of one byte more does not pass.
    Found {
        /// The path's MTU.
        mtu: u32,
    },
    /// The size in use does not pass any more.
    BlackHole {
        /// That size.
        was: u32,
    },
    /// Not even the base passes.
    BaseLost,
    /// A datagram was no message of this protocol.
    Refused,
}
