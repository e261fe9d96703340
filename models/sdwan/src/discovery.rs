//! How sites find each other: signed announcements.
//!
//! A site announces the key of its tunnels, where it can be reached, and which prefixes lie behind it. The announcement
//! is signed with Ed25519 (RFC 8032), and a directory knows beforehand which key belongs to which site: a signature by
//! any other key proves nothing, also if the announcement brings that key along. The time of issue is in what is
//! signed. It must be close to the reader's time and later than that of the site's last announcement, so that a
//! recording of an older one is refused.
//!
//! An announcement in bytes, integers big endian:
//!
//! | bytes | field |
//! | --: | --- |
//! | 2 | magic, `LA` |
//! | 1 | version, 1 |
//! | 4 | site |
//! | 8 | time of issue, in nanoseconds |
//! | 32 | the tunnels' public key |
//! | 1 | number of endpoints; each: 1 length of the name, the name, 1 family (4 or 6), 4 or 16 address, 2 port |
//! | 2 | number of prefixes; each: 1 family, 4 or 16 address, 1 length |
//! | 64 | signature of everything before |

use core::net::IpAddr;
use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH, Signature, Signer, SigningKey, VerifyingKey};
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::address::{Prefix, SiteId};

/// The most endpoints of a site.
pub const ENDPOINTS_MAX: usize = 16;
/// The most prefixes of a site.
pub const PREFIXES_MAX: usize = 256;
/// The longest name of an endpoint in bytes.
pub const NAME_BYTES_MAX: usize = 64;

const MAGIC: [u8; 2] = *b"LA";
const VERSION: u8 = 1;
/// Up to the site.
const SITE_AT: usize = 3;

/// Where a site can be reached.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// What the way to it is called, such as "mpls"; at most [`NAME_BYTES_MAX`].
    pub name: String,
    /// Its address, not the unspecified one.
    pub address: IpAddr,
    /// Its port, above zero.
    pub port: u16,
}

/// What a site announces.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Announcement {
    /// Who it is.
    pub site: SiteId,
    /// When this was issued, by the site's clock.
    pub issued_at: Instant,
    /// The public key of its tunnels. It is another key than the one that signs.
    pub tunnel_key: [u8; 32],
    /// Where it can be reached, one for each name; 1 to [`ENDPOINTS_MAX`].
    pub endpoints: Vec<Endpoint>,
    /// What lies behind it; at most [`PREFIXES_MAX`].
    pub prefixes: Vec<Prefix>,
}

/// Why an announcement was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Refused {
    /// Not an announcement of this version, or cut short.
    #[error("not an announcement")]
    Malformed,
    /// No key is pinned for the site.
    #[error("no key is known of {0}")]
    Unknown(SiteId),
    /// It was not signed with the site's key, or has been changed since.
    #[error("the signature is not that of {0}")]
    Signature(SiteId),
    /// It was issued too long ago, or in the future.
    #[error("{site} issued it at {issued_at:?}, too far from now")]
    Time {
        /// The site.
        site: SiteId,
        /// The time of issue.
        issued_at: Instant,
    },
    /// It is not newer than the site's last one.
    #[error("{0} has announced something newer")]
    Replayed(SiteId),
}

impl Announcement {
    /// Whether every field is in its range.
    fn is_valid(&self) -> bool {
        let mut names: Vec<&str> = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.name.as_str())
            .collect();
        names.sort_unstable();
        (1..=ENDPOINTS_MAX).contains(&self.endpoints.len())
            && self.prefixes.len() <= PREFIXES_MAX
            && names.windows(2).all(|pair| pair[0] != pair[1])
            && self.endpoints.iter().all(|endpoint| {
                let named = (1..=NAME_BYTES_MAX).contains(&endpoint.name.len());
                named && !endpoint.address.is_unspecified() && endpoint.port > 0
            })
    }

    /// The announcement in bytes, signed; `None` if a field is out of its range.
    pub fn sign(&self, key: &SigningKey) -> Option<Bytes> {
        if !self.is_valid() {
            return None;
        }
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.site.0.to_be_bytes());
        out.extend_from_slice(&self.issued_at.as_ns().to_be_bytes());
        out.extend_from_slice(&self.tunnel_key);
        out.push(u8::try_from(self.endpoints.len()).ok()?);
        for endpoint in &self.endpoints {
            out.push(u8::try_from(endpoint.name.len()).ok()?);
            out.extend_from_slice(endpoint.name.as_bytes());
            put_address(&mut out, endpoint.address);
            out.extend_from_slice(&endpoint.port.to_be_bytes());
        }
        out.extend_from_slice(&u16::try_from(self.prefixes.len()).ok()?.to_be_bytes());
        for prefix in &self.prefixes {
            put_address(&mut out, prefix.address());
            out.push(prefix.length());
        }
        let signature = key.sign(&out);
        out.extend_from_slice(&signature.to_bytes());
        Some(out.into())
    }

    /// Reads what was signed, without the signature.
    fn parse(mut bytes: &[u8]) -> Option<Announcement> {
        let input = &mut bytes;
        input.advance(SITE_AT);
        let site = SiteId(input.try_get_u32().ok()?);
        let issued_at = Instant::from_ns(input.try_get_u64().ok()?);
        let mut tunnel_key = [0; 32];
        input.try_copy_to_slice(&mut tunnel_key).ok()?;
        let mut endpoints = Vec::new();
        for _ in 0..input.try_get_u8().ok()? {
            let mut name = vec![0; usize::from(input.try_get_u8().ok()?)];
            input.try_copy_to_slice(&mut name).ok()?;
            endpoints.push(Endpoint {
                name: String::from_utf8(name).ok()?,
                address: take_address(input)?,
                port: input.try_get_u16().ok()?,
            });
        }
        let mut prefixes = Vec::new();
        for _ in 0..input.try_get_u16().ok()? {
            let address = take_address(input)?;
            prefixes.push(Prefix::new(address, input.try_get_u8().ok()?).ok()?);
        }
        let announcement = Announcement {
            site,
            issued_at,
            tunnel_key,
            endpoints,
            prefixes,
        };
        (input.is_empty() && announcement.is_valid()).then_some(announcement)
    }
}

fn put_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            out.push(4);
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.push(6);
            out.extend_from_slice(&v6.octets());
        }
    }
}

fn take_address(input: &mut &[u8]) -> Option<IpAddr> {
    match input.try_get_u8().ok()? {
        4 => Some(IpAddr::V4(input.try_get_u32().ok()?.into())),
        6 => Some(IpAddr::V6(input.try_get_u128().ok()?.into())),
        _ => None,
    }
}

/// The public key that belongs to the seed of a key.
pub fn public_key(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// How a directory works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// A site that has announced nothing for longer is inactive. Default 120 s.
    pub timeout: Span,
    /// An announcement is refused if it was issued longer ago than this, or as much in the future. Covers the way and
    /// the difference of clocks. Default 30 s.
    pub skew: Span,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            timeout: Span::from_s(120),
            skew: Span::from_s(30),
        }
    }
}

/// Why a key cannot be pinned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Not as long as a key.
    #[error("the key of {site} has {bytes} bytes instead of {PUBLIC_KEY_LENGTH}")]
    Length {
        /// The site.
        site: SiteId,
        /// How many it has.
        bytes: usize,
    },
    /// No point of the curve, or one for which anybody could sign.
    #[error("the key of {0} is no usable Ed25519 key")]
    Unusable(SiteId),
    /// The site has a key already.
    #[error("two keys for {0}")]
    Twice(SiteId),
}

/// What an announcement has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// The site is active and was not before.
    Joined,
    /// It is still active, with other endpoints, prefixes or another key for its tunnels.
    Changed,
    /// It is still there.
    Unchanged,
}

/// A tunnel that this site should have.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Peering {
    /// To which site.
    pub site: SiteId,
    /// To which of its endpoints.
    pub endpoint: Endpoint,
    /// The public key of the other end.
    pub tunnel_key: [u8; 32],
}

/// What one site knows of the others.
#[derive(Clone, Debug)]
pub struct Directory {
    config: Config,
    pins: BTreeMap<SiteId, VerifyingKey>,
    /// The last announcement of each site, also of those that are inactive, to refuse replays.
    heard: BTreeMap<SiteId, Announcement>,
    /// When each active site was last heard.
    active: BTreeMap<SiteId, Instant>,
}

impl Directory {
    /// A directory that has heard of nobody and believes these public keys.
    ///
    /// # Errors
    /// The first key that cannot be pinned.
    pub fn new<'a>(
        config: Config,
        pins: impl IntoIterator<Item = (SiteId, &'a [u8])>,
    ) -> Result<Directory, KeyError> {
        let mut pinned = BTreeMap::new();
        for (site, key) in pins {
            let bytes = key.len();
            let key: &[u8; PUBLIC_KEY_LENGTH] =
                key.try_into().map_err(|_| KeyError::Length { site, bytes })?;
            let key = VerifyingKey::from_bytes(key).map_err(|_| KeyError::Unusable(site))?;
            if key.is_weak() {
                return Err(KeyError::Unusable(site));
            }
            if pinned.insert(site, key).is_some() {
                return Err(KeyError::Twice(site));
            }
        }
        Ok(Directory {
            config,
            pins: pinned,
            heard: BTreeMap::new(),
            active: BTreeMap::new(),
        })
    }

    /// An announcement arrives.
    ///
    /// # Errors
    /// Why it is not believed. Nothing has changed then.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(SiteId, Change), Refused> {
        let length = bytes
            .len()
            .checked_sub(SIGNATURE_LENGTH)
            .ok_or(Refused::Malformed)?;
        let (body, signature) = bytes.split_at(length);
        let site: Option<[u8; 4]> = body
            .get(SITE_AT..SITE_AT + 4)
            .and_then(|site| site.try_into().ok());
        let site = SiteId(u32::from_be_bytes(site.ok_or(Refused::Malformed)?));
        if body[..2] != MAGIC || body[2] != VERSION {
            return Err(Refused::Malformed);
        }
        let key = self.pins.get(&site).ok_or(Refused::Unknown(site))?;
        let signature = Signature::from_slice(signature).map_err(|_| Refused::Malformed)?;
        key.verify_strict(body, &signature)
            .map_err(|_| Refused::Signature(site))?;
        let announcement = Announcement::parse(body).ok_or(Refused::Malformed)?;
        let issued_at = announcement.issued_at;
        let apart = now
            .saturating_since(issued_at)
            .max(issued_at.saturating_since(now));
        if apart > self.config.skew {
            return Err(Refused::Time { site, issued_at });
        }
        let before = self.heard.get(&site);
        if before.is_some_and(|before| before.issued_at >= issued_at) {
            return Err(Refused::Replayed(site));
        }
        let same = before.is_some_and(|before| {
            let after = &announcement;
            (&before.tunnel_key, &before.endpoints, &before.prefixes)
                == (&after.tunnel_key, &after.endpoints, &after.prefixes)
        });
        self.heard.insert(site, announcement);
        let change = match self.active.insert(site, now) {
            None => Change::Joined,
            Some(_) if same => Change::Unchanged,
            Some(_) => Change::Changed,
        };
        Ok((site, change))
    }

    /// The sites that have become inactive.
    pub fn expire(&mut self, now: Instant) -> Vec<SiteId> {
        let timeout = self.config.timeout;
        let silent = self
            .active
            .iter()
            .filter(|(_, at)| now.saturating_since(**at) > timeout);
        let silent: Vec<SiteId> = silent.map(|(site, _)| *site).collect();
        self.active.retain(|site, _| !silent.contains(site));
        silent
    }

    /// When a site becomes inactive next, if nothing is heard of it.
    pub fn due(&self) -> Option<Instant> {
        let first = self.active.values().min()?;
        Some(
            first
                .saturating_add(self.config.timeout)
                .saturating_add(Span::from_ns(1)),
        )
    }

    /// The last announcements of the sites that are active, in the order of the sites.
    pub fn active(&self) -> impl Iterator<Item = &Announcement> + '_ {
        self.active.keys().filter_map(|site| self.heard.get(site))
    }

    /// The tunnels that this site should have: one to each endpoint of each active site, in order.
    pub fn peerings(&self) -> Vec<Peering> {
        let to = |announcement: &Announcement| {
            let (site, tunnel_key) = (announcement.site, announcement.tunnel_key);
            let peering = move |endpoint: &Endpoint| Peering {
                site,
                endpoint: endpoint.clone(),
                tunnel_key,
            };
            announcement
                .endpoints
                .iter()
                .map(peering)
                .collect::<Vec<Peering>>()
        };
        let mut peerings: Vec<Peering> = self.active().flat_map(to).collect();
        peerings.sort_unstable();
        peerings
    }
}
