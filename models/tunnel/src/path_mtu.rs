//! How large a packet may be on a path: packetization layer path MTU discovery for datagram transports (RFC 8899, "DPLPMTUD"),
//! for paths that drop what is too large without a word.
//!
//! Probes of chosen sizes are sent and acknowledged by the other end, and what was acknowledged passes. States are those of
//! section 5.2:
//!
//! | state | what happens |
//! | --- | --- |
//! | Base | a size that should pass everywhere is probed; packets have that size |
//! | Searching | larger sizes are probed |
//! | Search complete | the size in use is probed from time to time, the search begun anew after the raise timer |
//! | Error | not even the base passes: packets have the least size, the base is probed on and on |
//!
//! **Search** (section 5.3 leaves the order open). A probe that passes costs a round trip, one that does not costs
//! `max_probes` timers, so failures are what to save: the largest size first, since most paths carry it; then the sizes that
//! links and tunnels usually have, rising, until one fails; then the size one byte above the last that passed, since that was
//! probably an exact fit; then halving. The answer is exact to the byte.
//!
//! **Black holes** (4.3). If the size in use is not acknowledged `max_probes` times, it is given up for the base.
//!
//! Sizes are those of whole IP packets in bytes, so they compare with the MTU of links.

use std::collections::VecDeque;

use bytes::Bytes;
use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::overhead::{IpVersion, UDP_HEADER_BYTES};
use crate::path_mtu_wire::{self as wire, Message};

pub use crate::path_mtu_wire::ACKNOWLEDGEMENT_BYTES;

/// Sizes that paths often have: IPv6's least, tunnels in tunnels, WireGuard over IPv6 and IPv4, VXLAN over IPv6 and
/// IPv4, ESP, GRE, PPPoE (RFC 2516), Ethernet, and jumbo frames with and without VXLAN.
const USUAL: [u32; 12] = [
    1_280, 1_400, 1_420, 1_430, 1_440, 1_446, 1_450, 1_476, 1_492, 1_500, 8_950, 9_000,
];

/// How the search is set up. Names and recommendations are those of RFC 8899, section 5.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathMtuConfig {
    /// Version of IP, which gives the least size.
    pub version: IpVersion,
    /// Whether this end searches; an end that does not still acknowledges.
    pub searches: bool,
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
    fn header_bytes(&self) -> u32 {
        self.version.header_bytes() + UDP_HEADER_BYTES
    }

    fn check(&self) -> Result<(), PathMtuError> {
        let least = self.version.least_mtu();
        if !(least..=self.max).contains(&self.base) || self.max > 65_535 {
            return Err(PathMtuError::Sizes {
                least,
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
    #[error("sizes must rise from {least} over the base {base} to the largest {max} and 65535")]
    Sizes {
        /// The least that IP allows.
        least: u32,
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

/// Something worth telling. Sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum PathMtuEvent {
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

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Base,
    Search,
    Confirm,
}

/// A size under test. An acknowledgement of any of its probes counts.
#[derive(Clone, Copy, Debug)]
struct Probe {
    purpose: Purpose,
    size: u32,
    first_token: u64,
    lost: u32,
    timer: Instant,
}

/// Finds and watches the MTU of the path to a peer.
#[derive(Debug)]
pub struct PathMtu {
    config: PathMtuConfig,
    peer: PeerId,
    state: PathMtuState,
    mtu: u32,
    /// The smallest size that is known not to pass.
    fails: u32,
    /// Whether the largest size that may pass is to be tried before others.
    try_largest: bool,
    probe: Option<Probe>,
    next_token: u64,
    raise_at: Option<Instant>,
    confirm_at: Option<Instant>,
    outbox: VecDeque<Output<PathMtuEvent>>,
}

impl PathMtu {
    /// An end whose other end is `peer`.
    ///
    /// # Errors
    /// [`PathMtuError`]
    pub fn new(config: PathMtuConfig, peer: PeerId) -> Result<PathMtu, PathMtuError> {
        config.check()?;
        Ok(PathMtu {
            config,
            peer,
            state: PathMtuState::Disabled,
            mtu: config.base,
            fails: config.max + 1,
            try_largest: true,
            probe: None,
            next_token: 0,
            raise_at: None,
            confirm_at: None,
            outbox: VecDeque::new(),
        })
    }

    /// The size that packets may have now, in bytes (PLPMTU).
    pub fn mtu(&self) -> u32 {
        self.mtu
    }

    /// Where the search stands.
    pub fn state(&self) -> PathMtuState {
        self.state
    }

    fn tell(&mut self, event: PathMtuEvent) {
        self.outbox.push_back(Output::Event(event));
    }

    fn set_mtu(&mut self, to: u32) {
        let from = std::mem::replace(&mut self.mtu, to);
        if from != to {
            self.tell(PathMtuEvent::Changed { from, to });
        }
    }

    /// Puts a size under test.
    fn test(&mut self, now: Instant, purpose: Purpose, size: u32) {
        self.probe = Some(Probe {
            purpose,
            size,
            first_token: self.next_token,
            lost: 0,
            timer: now + self.config.probe_timer,
        });
        self.send_probe(size);
    }

    fn send_probe(&mut self, size: u32) {
        let token = self.next_token;
        self.next_token += 1;
        let payload = wire::probe(token, size, size - self.config.header_bytes());
        self.outbox.push_back(Output::Datagram {
            to: self.peer,
            payload: payload.into(),
        });
    }

    fn enter_base(&mut self, now: Instant) {
        self.state = PathMtuState::Base;
        (self.raise_at, self.confirm_at) = (None, None);
        self.set_mtu(self.config.base);
        self.test(now, Purpose::Base, self.config.base);
    }

    fn enter_error(&mut self, now: Instant) {
        if self.state != PathMtuState::Error {
            self.state = PathMtuState::Error;
            self.tell(PathMtuEvent::BaseLost);
        }
        (self.raise_at, self.confirm_at) = (None, None);
        self.set_mtu(self.config.version.least_mtu());
        // The path may have been cut altogether, so what failed on it proves nothing.
        (self.fails, self.try_largest) = (self.config.max + 1, true);
        self.test(now, Purpose::Base, self.config.base);
    }

    /// Tests the next size, or ends the search.
    fn search(&mut self, now: Instant) {
        if let Some(size) = self.next_size() {
            self.state = PathMtuState::Searching;
            self.test(now, Purpose::Search, size);
            return;
        }
        self.state = PathMtuState::SearchComplete;
        self.probe = None;
        self.raise_at = (self.mtu < self.config.max).then(|| now + self.config.raise_timer);
        self.confirm_at = self.config.confirmation_timer.map(|timer| now + timer);
        self.tell(PathMtuEvent::Found { mtu: self.mtu });
    }

    /// A size between the one that passes and the one that does not; `None` if there is none.
    fn next_size(&mut self) -> Option<u32> {
        let (passes, fails) = (self.mtu, self.fails);
        if fails - passes <= 1 {
            return None;
        }
        if std::mem::take(&mut self.try_largest) {
            return Some(fails - 1);
        }
        let usual = USUAL.into_iter().find(|size| (passes + 1..fails).contains(size));
        usual
            .or_else(|| USUAL.contains(&passes).then_some(passes + 1))
            .or(Some(passes + (fails - passes) / 2))
    }

    fn passed(&mut self, now: Instant, probe: Probe) {
        match probe.purpose {
            Purpose::Base => {
                self.set_mtu(self.config.base);
                self.search(now);
            }
            Purpose::Search => {
                self.set_mtu(probe.size);
                self.search(now);
            }
            Purpose::Confirm if self.state == PathMtuState::Searching => self.search(now),
            Purpose::Confirm => {
                self.probe = None;
                self.confirm_at = self.config.confirmation_timer.map(|timer| now + timer);
            }
        }
    }

    fn failed(&mut self, now: Instant, probe: Probe) {
        match probe.purpose {
            Purpose::Base => self.enter_error(now),
            Purpose::Search => {
                self.fails = self.fails.min(probe.size);
                self.search(now);
            }
            Purpose::Confirm => {
                self.tell(PathMtuEvent::BlackHole { was: probe.size });
                // The base is smaller, unless it is what failed.
                self.fails = probe.size.max(self.config.base + 1);
                self.try_largest = false;
                self.enter_base(now);
            }
        }
    }

    fn on_timers(&mut self, now: Instant) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.timer <= now) {
            probe.lost += 1;
            probe.timer = now + self.config.probe_timer;
            let probe = *probe;
            if probe.lost < self.config.max_probes {
                self.send_probe(probe.size);
            } else {
                self.failed(now, probe);
            }
        }
        if self.raise_at.take_if(|at| *at <= now).is_some() {
            (self.fails, self.try_largest) = (self.config.max + 1, true);
            self.confirm_at = None;
            self.search(now);
        }
        if self.confirm_at.take_if(|at| *at <= now).is_some() {
            self.test(now, Purpose::Confirm, self.mtu);
        }
    }

    fn on_datagram(&mut self, now: Instant, from: PeerId, payload: &Bytes) -> Option<()> {
        let header_bytes = self.config.header_bytes();
        match wire::parse(payload, header_bytes)? {
            Message::Probe { token, size } => self.outbox.push_back(Output::Datagram {
                to: from,
                payload: wire::acknowledgement(token, size).into(),
            }),
            Message::Acknowledgement { token, size } => {
                if from != self.peer {
                    return None;
                }
                // One that comes after its size was judged is too late.
                let tokens = |probe: &Probe| probe.first_token..self.next_token;
                let current = self
                    .probe
                    .filter(|probe| probe.size == size && tokens(probe).contains(&token));
                if let Some(probe) = current {
                    self.passed(now, probe);
                }
            }
        }
        Some(())
    }

    /// Section 4.6.2: an MTU that lies between what passes and what was probed is tried next; one below what
    /// passes shows a black hole; others say nothing.
    fn on_too_big(&mut self, now: Instant, mtu: u32) {
        let probed = self.probe.map_or(self.mtu, |probe| probe.size.max(self.mtu));
        let searches = !matches!(self.state, PathMtuState::Disabled | PathMtuState::Error);
        if !searches || mtu < self.config.version.least_mtu() || mtu >= probed {
            return;
        }
        let known = self.mtu;
        (self.fails, self.try_largest) = (mtu + 1, true);
        if mtu >= known {
            self.search(now);
            return;
        }
        self.tell(PathMtuEvent::BlackHole { was: known });
        if mtu < self.config.base {
            self.enter_error(now);
        } else {
            self.enter_base(now);
        }
    }
}

impl Machine for PathMtu {
    type Command = PathMtuCommand;
    type Event = PathMtuEvent;

    fn handle(&mut self, now: Instant, input: Input<PathMtuCommand>) {
        self.on_timers(now);
        match input {
            Input::Start if self.config.searches && self.state == PathMtuState::Disabled => {
                self.enter_base(now);
            }
            Input::Command(PathMtuCommand::Suspect) => {
                let confirms = self.probe.is_some_and(|probe| probe.purpose != Purpose::Search);
                let searches = [PathMtuState::Searching, PathMtuState::SearchComplete].contains(&self.state);
                if searches && !confirms {
                    self.confirm_at = None;
                    self.test(now, Purpose::Confirm, self.mtu);
                }
            }
            Input::Command(PathMtuCommand::PacketTooBig { mtu }) => self.on_too_big(now, mtu),
            Input::Datagram { from, payload } => {
                let read = match payload {
                    Payload::Real(bytes) => self.on_datagram(now, from, &bytes),
                    Payload::Synthetic(_) => None,
                };
                if read.is_none() {
                    self.tell(PathMtuEvent::Refused);
                }
            }
            // Waking was done above; this machine has no streams.
            _ => {}
        }
    }

    fn poll(&mut self) -> Output<PathMtuEvent> {
        if let Some(output) = self.outbox.pop_front() {
            return output;
        }
        let probe = self.probe.map(|probe| probe.timer);
        let wishes = [
            (probe, "probe"),
            (self.raise_at, "raise"),
            (self.confirm_at, "confirm"),
        ];
        crate::control::earliest(wishes).map_or(Output::Idle, |(at, why)| Output::WakeAt { at, why })
    }
}
