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
use longhaul_core::time::Instant;

use crate::path_mtu_wire::{self as wire, Message};

pub use crate::path_mtu_config::{
    PathMtuCommand, PathMtuConfig, PathMtuError, PathMtuEvent, PathMtuPurpose, PathMtuState,
};
pub use crate::path_mtu_wire::ACKNOWLEDGEMENT_BYTES;

/// Sizes that paths often have: IPv6's least, tunnels in tunnels, WireGuard over IPv6 and IPv4, VXLAN over IPv6 and
/// IPv4, ESP, GRE, PPPoE (RFC 2516), Ethernet, and jumbo frames of 9000 bytes with
/// and without VXLAN and of 9216 bytes.
const USUAL: [u32; 13] = [
    1_280, 1_400, 1_420, 1_430, 1_440, 1_446, 1_450, 1_476, 1_492, 1_500, 8_950, 9_000, 9_216,
];

/// A size under test. An acknowledgement of any of its probes counts.
#[derive(Clone, Copy, Debug)]
struct Probe {
    purpose: PathMtuPurpose,
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

    /// Probes sent so far, repeated ones included.
    pub fn probes_sent(&self) -> u64 {
        self.next_token
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
    fn test(&mut self, now: Instant, purpose: PathMtuPurpose, size: u32) {
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
        self.test(now, PathMtuPurpose::Base, self.config.base);
    }

    fn enter_error(&mut self, now: Instant) {
        if self.state != PathMtuState::Error {
            self.state = PathMtuState::Error;
            self.tell(PathMtuEvent::BaseLost);
        }
        (self.raise_at, self.confirm_at) = (None, None);
        self.set_mtu(self.config.min);
        // The path may have been cut altogether, so what failed on it proves nothing.
        (self.fails, self.try_largest) = (self.config.max + 1, true);
        self.test(now, PathMtuPurpose::Base, self.config.base);
    }

    /// Tests the next size, or ends the search.
    fn search(&mut self, now: Instant) {
        if let Some(size) = self.next_size() {
            self.state = PathMtuState::Searching;
            self.test(now, PathMtuPurpose::Search, size);
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
        let Probe {
            size, purpose, lost, ..
        } = probe;
        if purpose != PathMtuPurpose::Confirm {
            let probes = lost + 1;
            self.tell(PathMtuEvent::Passed {
                size,
                probes,
                purpose,
            });
        }
        match purpose {
            PathMtuPurpose::Base => {
                self.set_mtu(self.config.base);
                self.search(now);
            }
            PathMtuPurpose::Search => {
                self.set_mtu(probe.size);
                self.search(now);
            }
            PathMtuPurpose::Confirm if self.state == PathMtuState::Searching => self.search(now),
            PathMtuPurpose::Confirm => {
                self.probe = None;
                self.confirm_at = self.config.confirmation_timer.map(|timer| now + timer);
            }
        }
    }

    fn failed(&mut self, now: Instant, probe: Probe) {
        let Probe {
            size, purpose, lost, ..
        } = probe;
        // On a path that is down the base is probed on and on.
        if self.state != PathMtuState::Error {
            self.tell(PathMtuEvent::Lost {
                size,
                probes: lost,
                purpose,
            });
        }
        match purpose {
            PathMtuPurpose::Base => self.enter_error(now),
            PathMtuPurpose::Search => {
                self.fails = self.fails.min(probe.size);
                self.search(now);
            }
            PathMtuPurpose::Confirm => {
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
            self.test(now, PathMtuPurpose::Confirm, self.mtu);
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
                let confirms = self
                    .probe
                    .is_some_and(|probe| probe.purpose != PathMtuPurpose::Search);
                let searches = [PathMtuState::Searching, PathMtuState::SearchComplete].contains(&self.state);
                if searches && !confirms {
                    self.confirm_at = None;
                    self.test(now, PathMtuPurpose::Confirm, self.mtu);
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
