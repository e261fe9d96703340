//! How an edge works.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::machine::PeerId;
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;

use crate::address::SiteId;
use crate::policy::Policies;
use crate::routes::Routes;
use crate::standing::Hysteresis;
use crate::{bandwidth, bfd, probe};

/// The most backups of a primary path.
pub const BACKUPS_MAX: usize = 3;
/// The most paths of an edge.
pub const PATHS_MAX: usize = 10_000;

/// A path to another site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathConfig {
    /// The other site's edge as it is reached over this path.
    pub peer: PeerId,
    /// What the path is called, such as "mpls". One name for each path to a site.
    pub name: String,
    /// The other site.
    pub site: SiteId,
    /// Its rate, if that is known; above zero.
    pub rate: Option<BitRate>,
    /// Its price in millionths of a dollar for each 10^9 bytes.
    pub microdollars_per_gb: Option<u64>,
}

impl PathConfig {
    /// A path of unknown rate and price.
    pub fn new(peer: PeerId, name: &str, site: SiteId) -> PathConfig {
        PathConfig {
            peer,
            name: name.to_owned(),
            site,
            rate: None,
            microdollars_per_gb: None,
        }
    }
}

/// A fixed order of the paths to a site: the first one that is up carries everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redundancy {
    primary: PeerId,
    backups: Vec<PeerId>,
    hold: Span,
}

/// Why an order of paths was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RedundancyError {
    /// More than [`BACKUPS_MAX`].
    #[error("{0} backups: a primary path has at most {BACKUPS_MAX}")]
    TooManyBackups(usize),
    /// A path stands in the order twice.
    #[error("a path stands twice in the order of paths")]
    Twice,
}

impl Redundancy {
    /// A primary path and its backups in order. A path that has been down is come back to after it has been up for
    /// `hold`.
    ///
    /// # Errors
    /// More than three backups, or one path twice.
    pub fn new(primary: PeerId, backups: Vec<PeerId>, hold: Span) -> Result<Redundancy, RedundancyError> {
        if backups.len() > BACKUPS_MAX {
            return Err(RedundancyError::TooManyBackups(backups.len()));
        }
        let mut all: BTreeSet<PeerId> = backups.iter().copied().collect();
        if !all.insert(primary) || all.len() != backups.len() + 1 {
            return Err(RedundancyError::Twice);
        }
        Ok(Redundancy {
            primary,
            backups,
            hold,
        })
    }

    /// All of them, in order.
    pub fn order(&self) -> impl Iterator<Item = PeerId> + '_ {
        std::iter::once(self.primary).chain(self.backups.iter().copied())
    }

    /// Its hysteresis: the score plays no part.
    pub(crate) fn hysteresis(&self) -> Hysteresis {
        Hysteresis {
            leave: 0,
            back: 0,
            hold: self.hold,
            advantage: 0,
        }
    }
}

/// How an [`Edge`](crate::Edge) works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Its paths to other sites. Their order breaks ties.
    pub paths: Vec<PathConfig>,
    /// Which site a destination belongs to.
    pub routes: Routes,
    /// What traffic wants. Default: [`Policies::default`].
    pub policies: Policies,
    /// Whether other sites are strangers at first: their paths are neither watched nor used before
    /// [`Command::Meet`](crate::Command::Meet). Default: no.
    pub strangers: bool,
    /// How paths are probed. Default: each second, see [`probe::Config`].
    pub probe: probe::Config,
    /// How sessions detect failures. Default: 300 ms × 3, see [`bfd::Config`]. Without sessions, lost probes alone take a
    /// path down. Both ends of a path have sessions, or neither.
    pub bfd: Option<bfd::Config>,
    /// How rates are measured. Default: a train each minute, see [`bandwidth::Config`]. Without it, rates are those of
    /// [`PathConfig::rate`].
    pub bandwidth: Option<bandwidth::Config>,
    /// When traffic leaves a path that is up, and when it comes back. Default: 50, 80 and 60 s, see [`Hysteresis`]. Without
    /// it, traffic follows the momentarily best path at every review.
    pub hysteresis: Option<Hysteresis>,
    /// Sites whose paths are used in a fixed order instead of by policy. Paths that are not in the order are watched and
    /// not used. Default: none.
    pub redundancy: BTreeMap<SiteId, Redundancy>,
    /// How often it is looked for better paths while there are flows; above zero. Default 5 s.
    pub review: Span,
    /// Flows that are silent for longer are forgotten; above zero. Default 5 min. Without it they stay until they are
    /// ended.
    pub idle_timeout: Option<Span>,
    /// How often each path's figures are reported; above zero. Default 10 s. Without it, never.
    pub report: Option<Span>,
}

/// Why a configuration was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// More than [`PATHS_MAX`].
    #[error("{0} paths: an edge has at most {PATHS_MAX}")]
    TooManyPaths(usize),
    /// Two paths have one peer.
    #[error("two paths have peer {}", .0.0)]
    SamePeer(PeerId),
    /// Two paths to a site have one name.
    #[error("two paths to {site} are named {name:?}")]
    SameName {
        /// The site.
        site: SiteId,
        /// The name.
        name: String,
    },
    /// The rate of a path is zero.
    #[error("path {0:?} has a rate of zero")]
    NoRate(String),
    /// A number is out of its range.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// The order of a site's paths names a peer that is no path to it.
    #[error("peer {} in the order of paths is no path to {site}", .peer.0)]
    StrangePath {
        /// The site.
        site: SiteId,
        /// The peer.
        peer: PeerId,
    },
}

impl Config {
    /// An edge with these paths and routes, and the defaults that stand at the fields.
    pub fn new(paths: Vec<PathConfig>, routes: Routes) -> Config {
        Config {
            paths,
            routes,
            policies: Policies::default(),
            strangers: false,
            probe: probe::Config::default(),
            bfd: Some(bfd::Config::default()),
            bandwidth: Some(bandwidth::Config::default()),
            hysteresis: Some(Hysteresis::default()),
            redundancy: BTreeMap::new(),
            review: Span::from_s(5),
            idle_timeout: Some(Span::from_s(300)),
            report: Some(Span::from_s(10)),
        }
    }

    /// Checks everything.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_paths()?;
        let hysteresis = self.hysteresis.unwrap_or_default();
        let ordered =
            hysteresis.leave <= hysteresis.back && hysteresis.back <= 100 && hysteresis.advantage <= 100;
        let rules = [
            (
                self.bfd.is_none_or(|bfd| bfd.is_valid()),
                "the interval or multiplier of BFD",
            ),
            (ordered, "a bound of the hysteresis"),
            (self.review > Span::ZERO, "the interval of reviews"),
            (self.idle_timeout != Some(Span::ZERO), "the idle time of flows"),
            (self.report != Some(Span::ZERO), "the interval of reports"),
        ];
        let broken = rules
            .into_iter()
            .find_map(|(holds, name)| (!holds).then_some(name));
        let broken = broken
            .or_else(|| self.probe.first_error())
            .or_else(|| self.bandwidth.and_then(|bandwidth| bandwidth.first_error()));
        broken.map_or(Ok(()), |name| Err(ConfigError::Range(name)))
    }

    fn check_paths(&self) -> Result<(), ConfigError> {
        if self.paths.len() > PATHS_MAX {
            return Err(ConfigError::TooManyPaths(self.paths.len()));
        }
        let (mut peers, mut names) = (BTreeMap::new(), BTreeSet::new());
        for path in &self.paths {
            if peers.insert(path.peer, path.site).is_some() {
                return Err(ConfigError::SamePeer(path.peer));
            }
            if !names.insert((path.site, path.name.as_str())) {
                return Err(ConfigError::SameName {
                    site: path.site,
                    name: path.name.clone(),
                });
            }
            if path.rate == Some(BitRate::default()) {
                return Err(ConfigError::NoRate(path.name.clone()));
            }
        }
        for (&site, redundancy) in &self.redundancy {
            if let Some(peer) = redundancy.order().find(|peer| peers.get(peer) != Some(&site)) {
                return Err(ConfigError::StrangePath { site, peer });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Config {
        let path = |peer, name, site| PathConfig::new(PeerId(peer), name, SiteId(site));
        let mut config = Config::new(
            vec![path(1, "mpls", 7), path(2, "lte", 7), path(3, "mpls", 8)],
            Routes::default(),
        );
        let redundancy = Redundancy::new(PeerId(1), vec![PeerId(2)], Span::from_s(60)).unwrap();
        config.redundancy.insert(SiteId(7), redundancy);
        config
    }

    #[test]
    fn every_rule_has_a_configuration_that_breaks_it() {
        assert_eq!(good().check(), Ok(()));
        type Change = fn(&mut Config);
        let wrong: [(ConfigError, Change); 11] = [
            (ConfigError::SamePeer(PeerId(1)), |c| c.paths[2].peer = PeerId(1)),
            (
                ConfigError::SameName {
                    site: SiteId(7),
                    name: "mpls".to_owned(),
                },
                |c| c.paths[1].name = "mpls".to_owned(),
            ),
            (ConfigError::NoRate("lte".to_owned()), |c| {
                c.paths[1].rate = Some(BitRate::default());
            }),
            (
                ConfigError::StrangePath {
                    site: SiteId(7),
                    peer: PeerId(2),
                },
                |c| c.paths[1].site = SiteId(8),
            ),
            (ConfigError::Range("the interval or multiplier of BFD"), |c| {
                c.bfd = Some(bfd::Config {
                    interval: Span::from_ns(1),
                    ..bfd::Config::default()
                });
            }),
            (ConfigError::Range("a bound of the hysteresis"), |c| {
                c.hysteresis = Some(Hysteresis {
                    leave: 90,
                    ..Hysteresis::default()
                });
            }),
            (ConfigError::Range("the interval of reviews"), |c| {
                c.review = Span::ZERO;
            }),
            (ConfigError::Range("the idle time of flows"), |c| {
                c.idle_timeout = Some(Span::ZERO);
            }),
            (ConfigError::Range("the interval of reports"), |c| {
                c.report = Some(Span::ZERO);
            }),
            (ConfigError::Range("the timeout of probes"), |c| {
                c.probe.timeout = Span::ZERO;
            }),
            (ConfigError::Range("the packets of a train"), |c| {
                c.bandwidth = Some(bandwidth::Config {
                    packets: 1,
                    ..bandwidth::Config::default()
                });
            }),
        ];
        for (error, change) in wrong {
            let mut config = good();
            change(&mut config);
            assert_eq!(config.check(), Err(error));
        }
    }

    #[test]
    fn a_primary_has_at_most_three_backups_each_once() {
        let order = |backups: &[u32]| {
            let backups = backups.iter().copied().map(PeerId).collect();
            Redundancy::new(PeerId(0), backups, Span::from_s(60))
        };
        assert_eq!(order(&[1, 2, 3]).unwrap().order().count(), 4);
        assert_eq!(order(&[1, 2, 3, 4]), Err(RedundancyError::TooManyBackups(4)));
        assert_eq!(order(&[1, 0]), Err(RedundancyError::Twice));
        assert_eq!(order(&[1, 1]), Err(RedundancyError::Twice));
    }
}
