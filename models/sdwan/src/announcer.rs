//! The part of an edge that finds the other sites: it announces its own, and hears of the others through hubs.
//!
//! At first a site knows the keys of the others and where the hubs are. It announces itself to the hubs at once and then
//! each interval, so that one announcement that is lost is made good by the next. A hub passes on what it believes to
//! every other site that it knows, and what it knows to a site of which it hears for the first time. A site that is
//! silent for longer than the timeout is forgotten.
//!
//! Without loss, when all begin at one moment and the one-way delays to and from the hub are d₁ ≤ d₂ ≤ …, site i knows j
//! at max(dᵢ, dⱼ) + dᵢ, and everybody knows everybody at twice the greatest delay.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use longhaul_core::machine::{Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::address::{Prefix, SiteId};
use crate::discovery::{self, Announcement, Change, Directory, Endpoint, KeyError, Refused};

/// How a site finds others and is found.
#[derive(Clone, Debug)]
pub struct AnnouncerConfig {
    /// The own site.
    pub site: SiteId,
    /// The seed of the key that signs (RFC 8032, section 5.1.5).
    pub key: [u8; 32],
    /// The public key of its tunnels.
    pub tunnel_key: [u8; 32],
    /// Where it can be reached; see [`Announcement::endpoints`].
    pub endpoints: Vec<Endpoint>,
    /// What lies behind it.
    pub prefixes: Vec<Prefix>,
    /// How often it announces itself; above zero.
    pub interval: Span,
    /// To whom: the hubs, itself not among them.
    pub hubs: Vec<PeerId>,
    /// Whether it is a hub.
    pub relays: bool,
    /// At which addresses sites are, to be used once they have announced themselves.
    pub addresses: BTreeMap<SiteId, PeerId>,
    /// What is believed.
    pub directory: discovery::Config,
}

/// Why an announcer cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AnnouncerError {
    /// A key of another site.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The own announcement has a field out of its range.
    #[error("the announcement of {0} cannot be made")]
    Announcement(SiteId),
    /// Announcements would never stop.
    #[error("announcements every 0 ns")]
    Interval,
}

/// What an announcer reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DiscoveryEvent {
    /// A site is known that was not.
    Joined {
        /// Which one.
        site: SiteId,
    },
    /// A site has announced something else than before.
    Changed {
        /// Which one.
        site: SiteId,
    },
    /// A site was silent for too long.
    Expired {
        /// Which one.
        site: SiteId,
    },
    /// An announcement was not believed.
    Refused {
        /// Why.
        reason: Refused,
    },
}

/// What an announcer has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DiscoveryCounters {
    /// Announcements of its own that were sent, to each receiver.
    pub announced: u64,
    /// Those of others that were passed on.
    pub relayed: u64,
    /// Bytes of both, without headers.
    pub bytes_sent: u64,
    /// Announcements that were believed.
    pub believed: u64,
    /// Copies of the last one of their site, which came another way as well.
    pub duplicates: u64,
    /// Refused: no announcements.
    pub malformed: u64,
    /// Refused: of a site whose key is not known.
    pub unknown: u64,
    /// Refused: not signed with the key of the site.
    pub signature: u64,
    /// Refused: issued too long ago or in the future.
    pub time: u64,
    /// Refused: older than the last one of the site.
    pub replayed: u64,
    /// Sites that were silent for too long.
    pub expired: u64,
}

impl DiscoveryCounters {
    /// All announcements that were refused.
    pub fn refused(&self) -> u64 {
        self.malformed + self.unknown + self.signature + self.time + self.replayed
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: DiscoveryCounters) -> DiscoveryCounters {
        DiscoveryCounters {
            announced: self.announced + other.announced,
            relayed: self.relayed + other.relayed,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            believed: self.believed + other.believed,
            duplicates: self.duplicates + other.duplicates,
            malformed: self.malformed + other.malformed,
            unknown: self.unknown + other.unknown,
            signature: self.signature + other.signature,
            time: self.time + other.time,
            replayed: self.replayed + other.replayed,
            expired: self.expired + other.expired,
        }
    }
}

/// Announces a site and hears of others.
#[derive(Debug)]
pub struct Announcer {
    config: AnnouncerConfig,
    key: SigningKey,
    directory: Directory,
    /// The last announcement of each site as it came.
    last: BTreeMap<SiteId, (Instant, Bytes)>,
    announce_at: Option<Instant>,
    /// The own announcement of this interval.
    own: Bytes,
    counters: DiscoveryCounters,
    outputs: VecDeque<Output<DiscoveryEvent>>,
}

impl Announcer {
    /// One that begins with [`Announcer::start`] and believes these public keys of other sites.
    ///
    /// # Errors
    /// [`AnnouncerError`]
    pub fn new<'a>(
        config: AnnouncerConfig,
        keys: impl IntoIterator<Item = (SiteId, &'a [u8])>,
    ) -> Result<Announcer, AnnouncerError> {
        if config.interval == Span::ZERO {
            return Err(AnnouncerError::Interval);
        }
        let mut announcer = Announcer {
            key: SigningKey::from_bytes(&config.key),
            own: Bytes::new(),
            directory: Directory::new(config.directory, keys)?,
            config,
            last: BTreeMap::new(),
            announce_at: None,
            counters: DiscoveryCounters::default(),
            outputs: VecDeque::new(),
        };
        match announcer.issue(Instant::ZERO) {
            Some(own) => announcer.own = own,
            None => return Err(AnnouncerError::Announcement(announcer.config.site)),
        }
        Ok(announcer)
    }

    /// What it has done so far.
    pub fn counters(&self) -> DiscoveryCounters {
        self.counters
    }

    /// Who is known.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Begins.
    pub fn start(&mut self, now: Instant) {
        if self.announce_at.is_none() {
            self.announce_at = Some(now);
            self.wake(now);
        }
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Instant) {
        for site in self.directory.expire(now) {
            self.counters.expired += 1;
            self.tell(DiscoveryEvent::Expired { site });
        }
        if self.announce_at.is_some_and(|at| at <= now) {
            self.announce_at = Some(now + self.config.interval);
            self.own = self.issue(now).expect("it could be made before");
            let mut to = self.config.hubs.clone();
            if self.config.relays {
                let known = self.known().filter(|(_, at)| !self.config.hubs.contains(at));
                to.extend(known.map(|(_, at)| at));
            }
            for to in to {
                self.announce(to);
            }
        }
    }

    /// An announcement has come from a machine. Nothing is taken in before the start.
    pub fn receive(&mut self, now: Instant, from: PeerId, payload: &Payload) {
        if self.announce_at.is_none() {
            return;
        }
        let bytes = match payload {
            Payload::Real(bytes) => bytes.clone(),
            Payload::Synthetic(_) => Bytes::new(),
        };
        let (site, change) = match self.directory.receive(now, &bytes) {
            Ok(heard) => heard,
            Err(reason) => return self.refuse(reason, &bytes),
        };
        self.counters.believed += 1;
        self.last.insert(site, (now, bytes.clone()));
        match change {
            Change::Joined => self.tell(DiscoveryEvent::Joined { site }),
            Change::Changed => self.tell(DiscoveryEvent::Changed { site }),
            Change::Unchanged => {}
        }
        if !self.config.relays {
            return;
        }
        let others: Vec<(SiteId, PeerId)> = self.known().filter(|(other, _)| *other != site).collect();
        for (_, to) in others.iter().filter(|(_, to)| *to != from) {
            self.relay(*to, bytes.clone());
        }
        let Some(&newcomer) = self.config.addresses.get(&site) else {
            return;
        };
        if change == Change::Joined {
            self.announce(newcomer);
            for (other, _) in others {
                let heard = self.last.get(&other);
                // What is too old for the newcomer to believe is not worth sending.
                let skew = self.config.directory.skew;
                let fresh = heard.filter(|(at, _)| now.saturating_since(*at) < skew);
                if let Some((_, bytes)) = fresh {
                    self.relay(newcomer, bytes.clone());
                }
            }
        }
    }

    fn refuse(&mut self, reason: Refused, bytes: &Bytes) {
        let counters = &mut self.counters;
        match reason {
            Refused::Malformed => counters.malformed += 1,
            Refused::Unknown(_) => counters.unknown += 1,
            Refused::Signature(_) => counters.signature += 1,
            Refused::Time { .. } => counters.time += 1,
            Refused::Replayed(site) => {
                if self.last.get(&site).is_some_and(|(_, last)| last == bytes) {
                    counters.duplicates += 1;
                    return;
                }
                counters.replayed += 1;
            }
        }
        self.tell(DiscoveryEvent::Refused { reason });
    }

    /// The other sites that are known, and where they are.
    fn known(&self) -> impl Iterator<Item = (SiteId, PeerId)> + '_ {
        let known = self.directory.active().map(|announcement| announcement.site);
        known.filter_map(|site| Some((site, *self.config.addresses.get(&site)?)))
    }

    /// An own announcement of this moment.
    fn issue(&self, now: Instant) -> Option<Bytes> {
        let announcement = Announcement {
            site: self.config.site,
            issued_at: now,
            tunnel_key: self.config.tunnel_key,
            endpoints: self.config.endpoints.clone(),
            prefixes: self.config.prefixes.clone(),
        };
        announcement.sign(&self.key)
    }

    fn announce(&mut self, to: PeerId) {
        self.counters.announced += 1;
        self.send(to, self.own.clone());
    }

    fn relay(&mut self, to: PeerId, bytes: Bytes) {
        self.counters.relayed += 1;
        self.send(to, bytes);
    }

    fn send(&mut self, to: PeerId, bytes: Bytes) {
        self.counters.bytes_sent += bytes.len() as u64;
        let payload = Payload::from(bytes);
        self.outputs.push_back(Output::Datagram { to, payload });
    }

    fn tell(&mut self, event: DiscoveryEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// The next datagram to send or event to hear of.
    pub fn poll(&mut self) -> Option<Output<DiscoveryEvent>> {
        self.outputs.pop_front()
    }

    /// When [`Announcer::wake`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        [self.announce_at, self.directory.due()]
            .into_iter()
            .flatten()
            .min()
    }
}
