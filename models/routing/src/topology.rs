//! Regions and the directed links between them, with their live state.
//!
//! Regions are numbered in the order of their names, and links in the order of (start, end, name), whatever the
//! order in which they were added: a tie that is broken by the lower number is broken by name, so no answer
//! depends on the order of a file.
//!
//! Every change of state raises the [version](Topology::version), which is what caches are keyed by.

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// A region, by the rank of its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegionId(pub u32);

/// A directed link, by the rank of (start, end, name).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u32);

/// Links that fail together, by the rank of the group's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupId(pub u32);

impl RegionId {
    /// The number as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl LinkId {
    /// The number as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Highest number of regions.
pub const MAX_REGIONS: usize = 1 << 20;

/// Highest number of links.
pub const MAX_LINKS: usize = 1 << 24;

/// Highest weight of a link in any metric. Nanoseconds up to here are 73 minutes; the sum over a route of
/// [`MAX_REGIONS`] fits in 62 bits.
pub const MAX_WEIGHT: u64 = 1 << 42;

/// The weight of a link that cannot be used.
pub const UNUSABLE: u64 = u64::MAX;

/// What is known about a link now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkState {
    /// Whether it carries traffic.
    pub up: bool,
    /// One-way delay, at most [`MAX_WEIGHT`] ns.
    pub latency: Span,
    /// What it costs to use, in whatever unit the owner chose (money per volume, an IGP metric), at most
    /// [`MAX_WEIGHT`].
    pub cost: u64,
    /// Rate at which it sends.
    pub capacity: BitRate,
    /// Share of the capacity that is in use.
    pub utilisation: Probability,
    /// Probability that a packet is lost.
    pub loss: Probability,
}

impl LinkState {
    /// An idle link without cost and loss.
    pub fn idle(latency: Span, capacity: BitRate) -> LinkState {
        LinkState {
            up: true,
            latency,
            cost: 0,
            capacity,
            utilisation: Probability::ZERO,
            loss: Probability::ZERO,
        }
    }

    /// The rate that is left over: capacity × (1 − utilisation), rounded down.
    #[inline]
    pub fn residual(&self) -> BitRate {
        let free = u128::from(Probability::PARTS - self.utilisation.as_parts());
        let rate = u128::from(self.capacity.as_bits_per_s()) * free / u128::from(Probability::PARTS);
        BitRate::from_bits_per_s(u64::try_from(rate).expect("a part of a rate"))
    }
}

/// Why a topology cannot be built or changed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TopologyError {
    /// Two regions have one name.
    #[error("two regions are named \"{0}\"")]
    DuplicateRegion(String),
    /// There is no region of this name.
    #[error("no region is named \"{0}\"")]
    UnknownRegion(String),
    /// Two links between the same regions have one name.
    #[error("two links from \"{from}\" to \"{to}\" are named \"{name}\"")]
    DuplicateLink {
        /// Where they start.
        from: String,
        /// Where they end.
        to: String,
        /// What both are called.
        name: String,
    },
    /// There is no such link.
    #[error("no link from \"{from}\" to \"{to}\" is named \"{name}\"")]
    UnknownLink {
        /// Where it should start.
        from: String,
        /// Where it should end.
        to: String,
        /// What it should be called.
        name: String,
    },
    /// A link leads back to where it starts.
    #[error("a link leads from \"{0}\" to itself")]
    SelfLoop(String),
    /// A latency or cost above [`MAX_WEIGHT`].
    #[error("the {what} {value} of a link is above {MAX_WEIGHT}")]
    TooHeavy {
        /// "latency" or "cost".
        what: &'static str,
        /// The value, in nanoseconds or units of cost.
        value: u64,
    },
    /// More than [`MAX_REGIONS`] or [`MAX_LINKS`].
    #[error("more than {0} regions or links")]
    TooMany(usize),
}

/// A directed link: what does not change while it exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Region at the sending end.
    pub from: RegionId,
    /// Region at the receiving end.
    pub to: RegionId,
    /// Tells parallel links apart; often empty.
    pub name: String,
    /// Hash of the names of the ends and of the link: the same in every topology that has the link.
    pub key: u64,
    /// The groups that it fails with, ascending.
    pub groups: Vec<GroupId>,
}

/// Which additive metric of a link counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Metric {
    /// Nanoseconds of one-way delay.
    Latency,
    /// Units of cost.
    Cost,
    /// One per link.
    Hops,
}

/// Rows of different lengths in one vector.
#[derive(Clone, Debug, Default)]
struct Rows {
    starts: Vec<u32>,
    cells: Vec<(RegionId, LinkId)>,
}

impl Rows {
    /// Rows by the first part of each triple; within a row the order of the list.
    fn new(rows: usize, list: &[(RegionId, RegionId, LinkId)]) -> Rows {
        let mut starts = vec![0u32; rows + 1];
        for (row, _, _) in list {
            starts[row.index() + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut cells = vec![(RegionId(0), LinkId(0)); list.len()];
        for &(row, far, link) in list {
            let place = &mut next[row.index()];
            cells[*place as usize] = (far, link);
            *place += 1;
        }
        Rows { starts, cells }
    }

    #[inline]
    fn row(&self, region: RegionId) -> &[(RegionId, LinkId)] {
        let start = self.starts[region.index()] as usize;
        let end = self.starts[region.index() + 1] as usize;
        &self.cells[start..end]
    }
}

/// Regions, links, and the state of both.
#[derive(Clone, Debug)]
pub struct Topology {
    names: Vec<String>,
    regions_up: Vec<bool>,
    links: Vec<Link>,
    states: Vec<LinkState>,
    leaving: Rows,
    arriving: Rows,
    groups: Vec<(String, Vec<LinkId>)>,
    /// Weights by link, [`UNUSABLE`] where the link or one of its ends is down.
    latency: Vec<u64>,
    cost: Vec<u64>,
    hops: Vec<u64>,
    /// Residual bit/s by link; 0 where the link or one of its ends is down.
    residual: Vec<u64>,
    version: u64,
}

impl Topology {
    /// Grows with every change of state.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many regions there are.
    #[inline]
    pub fn region_count(&self) -> usize {
        self.names.len()
    }

    /// How many links there are.
    #[inline]
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// All regions, in the order of their names.
    pub fn regions(&self) -> impl DoubleEndedIterator<Item = RegionId> + use<> {
        (0..self.names.len() as u32).map(RegionId)
    }

    /// All links, in the order of (start, end, name).
    pub fn links(&self) -> impl DoubleEndedIterator<Item = LinkId> + use<> {
        (0..self.links.len() as u32).map(LinkId)
    }

    /// All shared-risk groups with their links, in the order of their names.
    pub fn groups(&self) -> impl Iterator<Item = (GroupId, &str, &[LinkId])> {
        let numbered = (0..).map(GroupId).zip(&self.groups);
        numbered.map(|(id, (name, links))| (id, name.as_str(), links.as_slice()))
    }

    /// The links of a shared-risk group.
    #[inline]
    pub fn group(&self, group: GroupId) -> &[LinkId] {
        &self.groups[group.0 as usize].1
    }

    /// The name of a region.
    ///
    /// # Panics
    /// If the region is not of this topology, as with every method that takes an id.
    pub fn name(&self, region: RegionId) -> &str {
        &self.names[region.index()]
    }

    /// The region of this name.
    ///
    /// # Errors
    /// [`TopologyError::UnknownRegion`].
    pub fn region(&self, name: &str) -> Result<RegionId, TopologyError> {
        match self.names.binary_search_by(|known| known.as_str().cmp(name)) {
            Ok(rank) => Ok(RegionId(rank as u32)),
            Err(_) => Err(TopologyError::UnknownRegion(name.to_owned())),
        }
    }

    /// A link.
    #[inline]
    pub fn link(&self, link: LinkId) -> &Link {
        &self.links[link.index()]
    }

    /// The link of this name between two regions, by their names.
    ///
    /// # Errors
    /// [`TopologyError::UnknownRegion`], [`TopologyError::UnknownLink`].
    pub fn find_link(&self, from: &str, to: &str, name: &str) -> Result<LinkId, TopologyError> {
        let (start, end) = (self.region(from)?, self.region(to)?);
        let mut between = self.leaving(start).iter().filter(|(far, _)| *far == end);
        let found = between.find(|(_, link)| self.link(*link).name == name);
        found
            .map(|(_, link)| *link)
            .ok_or_else(|| TopologyError::UnknownLink {
                from: from.to_owned(),
                to: to.to_owned(),
                name: name.to_owned(),
            })
    }

    /// Links that leave a region with their far ends, in the order of (far end, name).
    #[inline]
    pub fn leaving(&self, region: RegionId) -> &[(RegionId, LinkId)] {
        self.leaving.row(region)
    }

    /// Links that arrive at a region with their far ends.
    #[inline]
    pub fn arriving(&self, region: RegionId) -> &[(RegionId, LinkId)] {
        self.arriving.row(region)
    }

    /// The state of a link.
    #[inline]
    pub fn state(&self, link: LinkId) -> &LinkState {
        &self.states[link.index()]
    }

    /// Whether a region works.
    #[inline]
    pub fn region_up(&self, region: RegionId) -> bool {
        self.regions_up[region.index()]
    }

    /// Whether a link and both of its ends work.
    #[inline]
    pub fn usable(&self, link: LinkId) -> bool {
        self.hops[link.index()] != UNUSABLE
    }

    /// What each link weighs in a metric; [`UNUSABLE`] where it cannot be used.
    #[inline]
    pub fn weights(&self, metric: Metric) -> &[u64] {
        match metric {
            Metric::Latency => &self.latency,
            Metric::Cost => &self.cost,
            Metric::Hops => &self.hops,
        }
    }

    /// The rate in bit/s that each link has left; 0 where it cannot be used.
    #[inline]
    pub fn residuals(&self) -> &[u64] {
        &self.residual
    }

    /// Sets the state of a link. Whether that changed anything.
    ///
    /// # Errors
    /// [`TopologyError::TooHeavy`]; then nothing has changed.
    pub fn set_link(&mut self, link: LinkId, state: LinkState) -> Result<bool, TopologyError> {
        check_weights(&state)?;
        let known = &mut self.states[link.index()];
        if *known == state {
            return Ok(false);
        }
        *known = state;
        self.weigh(link);
        self.version += 1;
        Ok(true)
    }

    /// Brings a link up or takes it down. Whether that changed anything.
    pub fn set_link_up(&mut self, link: LinkId, up: bool) -> bool {
        let state = LinkState {
            up,
            ..self.states[link.index()]
        };
        self.set_link(link, state)
            .expect("weights that were accepted before")
    }

    /// Brings a region up or takes it down, and with it every link that ends there. Whether that changed
    /// anything.
    pub fn set_region_up(&mut self, region: RegionId, up: bool) -> bool {
        if self.regions_up[region.index()] == up {
            return false;
        }
        self.regions_up[region.index()] = up;
        for place in 0..self.leaving(region).len() {
            self.weigh(self.leaving(region)[place].1);
        }
        for place in 0..self.arriving(region).len() {
            self.weigh(self.arriving(region)[place].1);
        }
        self.version += 1;
        true
    }

    /// Brings the weights of a link up to date.
    fn weigh(&mut self, id: LinkId) {
        let at = id.index();
        let (link, state) = (&self.links[at], &self.states[at]);
        let usable = state.up && self.regions_up[link.from.index()] && self.regions_up[link.to.index()];
        let weight = |weight| if usable { weight } else { UNUSABLE };
        self.latency[at] = weight(state.latency.as_ns());
        self.cost[at] = weight(state.cost);
        self.hops[at] = weight(1);
        self.residual[at] = if usable {
            state.residual().as_bits_per_s()
        } else {
            0
        };
    }
}

fn check_weights(state: &LinkState) -> Result<(), TopologyError> {
    for (what, value) in [("latency", state.latency.as_ns()), ("cost", state.cost)] {
        if value > MAX_WEIGHT {
            return Err(TopologyError::TooHeavy { what, value });
        }
    }
    Ok(())
}

/// Collects regions and links, in any order.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    regions: BTreeMap<String, ()>,
    links: BTreeMap<(String, String, String), (LinkState, Vec<String>)>,
}

impl Builder {
    /// Nothing yet.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Adds a region.
    ///
    /// # Errors
    /// [`TopologyError::DuplicateRegion`], [`TopologyError::TooMany`].
    pub fn region(&mut self, name: &str) -> Result<&mut Builder, TopologyError> {
        if self.regions.len() == MAX_REGIONS {
            return Err(TopologyError::TooMany(MAX_REGIONS));
        }
        match self.regions.insert(name.to_owned(), ()) {
            None => Ok(self),
            Some(()) => Err(TopologyError::DuplicateRegion(name.to_owned())),
        }
    }

    /// Adds a directed link between regions that were added before. Links of the same shared-risk group fail
    /// together; a link may be in several.
    ///
    /// # Errors
    /// [`TopologyError::UnknownRegion`], [`TopologyError::SelfLoop`], [`TopologyError::DuplicateLink`],
    /// [`TopologyError::TooHeavy`], [`TopologyError::TooMany`].
    pub fn link(
        &mut self,
        from: &str,
        to: &str,
        name: &str,
        state: LinkState,
        groups: &[&str],
    ) -> Result<&mut Builder, TopologyError> {
        for end in [from, to] {
            if !self.regions.contains_key(end) {
                return Err(TopologyError::UnknownRegion(end.to_owned()));
            }
        }
        if from == to {
            return Err(TopologyError::SelfLoop(from.to_owned()));
        }
        if self.links.len() == MAX_LINKS {
            return Err(TopologyError::TooMany(MAX_LINKS));
        }
        check_weights(&state)?;
        let key = (from.to_owned(), to.to_owned(), name.to_owned());
        if self.links.contains_key(&key) {
            let (from, to, name) = key;
            return Err(TopologyError::DuplicateLink { from, to, name });
        }
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        self.links.insert(key, (state, groups));
        Ok(self)
    }

    /// Removes a region and every link that ends there.
    ///
    /// # Errors
    /// [`TopologyError::UnknownRegion`].
    pub fn remove_region(&mut self, name: &str) -> Result<&mut Builder, TopologyError> {
        if self.regions.remove(name).is_none() {
            return Err(TopologyError::UnknownRegion(name.to_owned()));
        }
        self.links.retain(|(from, to, _), _| from != name && to != name);
        Ok(self)
    }

    /// Removes a link.
    ///
    /// # Errors
    /// [`TopologyError::UnknownLink`].
    pub fn remove_link(&mut self, from: &str, to: &str, name: &str) -> Result<&mut Builder, TopologyError> {
        let key = (from.to_owned(), to.to_owned(), name.to_owned());
        if self.links.remove(&key).is_none() {
            let (from, to, name) = key;
            return Err(TopologyError::UnknownLink { from, to, name });
        }
        Ok(self)
    }

    /// The topology, with every region up.
    pub fn build(&self) -> Topology {
        let names: Vec<String> = self.regions.keys().cloned().collect();
        let rank = |name: &String| RegionId(names.binary_search(name).expect("a known region") as u32);
        let mut groups: BTreeMap<&str, Vec<LinkId>> = BTreeMap::new();
        for (id, (_, of_link)) in (0..).map(LinkId).zip(self.links.values()) {
            for group in of_link {
                let members = groups.entry(group).or_default();
                // A group named twice for one link still holds it once.
                if members.last() != Some(&id) {
                    members.push(id);
                }
            }
        }
        let mut links = Vec::with_capacity(self.links.len());
        for (from, to, name) in self.links.keys() {
            links.push(Link {
                from: rank(from),
                to: rank(to),
                name: name.clone(),
                key: key(from, to, name),
                groups: Vec::new(),
            });
        }
        for (id, members) in (0..).map(GroupId).zip(groups.values()) {
            for link in members {
                links[link.index()].groups.push(id);
            }
        }
        let numbered = || (0..).map(LinkId).zip(&links);
        let leaving: Vec<_> = numbered().map(|(id, link)| (link.from, link.to, id)).collect();
        let arriving: Vec<_> = numbered().map(|(id, link)| (link.to, link.from, id)).collect();
        let mut topology = Topology {
            leaving: Rows::new(names.len(), &leaving),
            arriving: Rows::new(names.len(), &arriving),
            groups: groups
                .into_iter()
                .map(|(name, links)| (name.to_owned(), links))
                .collect(),
            regions_up: vec![true; names.len()],
            names,
            states: self.links.values().map(|(state, _)| *state).collect(),
            latency: vec![0; links.len()],
            cost: vec![0; links.len()],
            hops: vec![0; links.len()],
            residual: vec![0; links.len()],
            links,
            version: 0,
        };
        for link in topology.links() {
            topology.weigh(link);
        }
        topology
    }
}

/// A hash of a link's names. Lengths keep ("ab", "c") apart from ("a", "bc").
fn key(from: &str, to: &str, name: &str) -> u64 {
    let mut text = Vec::with_capacity(from.len() + to.len() + name.len() + 24);
    for part in [from, to, name] {
        text.extend((part.len() as u64).to_le_bytes());
        text.extend(part.as_bytes());
    }
    xxh3_64(&text)
}
