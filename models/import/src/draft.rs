//! What all formats have in common: nodes and edges as a file lists them, and the topology that they make.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::geo::Coordinates;
use longhaul_routing::{
    Builder, Demands, GroupId, LinkId, LinkState, MAX_REGIONS, RegionId, Topology, TopologyError,
};
use thiserror::Error;

/// Nanoseconds per kilometre of light in fibre, at 200,000 km/s.
const FIBRE_NS_PER_KM: f64 = 5_000.0;

/// What to assume where a file is silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Defaults {
    /// Capacity of a link that states none.
    pub capacity: BitRate,
    /// One-way latency of a link that states neither a delay nor a length and whose ends have no coordinates.
    pub latency: Span,
    /// How much longer than the straight line a cable is, in percent: 100 is straight.
    pub route_percent: u32,
    /// Bits per second of one unit of capacity or demand, in formats that do not say.
    pub unit: u64,
}

impl Default for Defaults {
    /// 10 Gbit/s, 1 ms, 180 %, Mbit/s.
    fn default() -> Defaults {
        Defaults {
            capacity: BitRate::from_bits_per_s(10_000_000_000),
            latency: Span::from_ms(1),
            route_percent: 180,
            unit: 1_000_000,
        }
    }
}

/// A topology with what else its file says.
#[derive(Clone, Debug)]
pub struct Import {
    /// The topology. Opposite links between two regions are one shared-risk group, since a cable is cut as a whole.
    pub topology: Topology,
    /// The regions, in the order of the file.
    pub regions: Vec<ImportedRegion>,
    /// The links, in the order of the file; an undirected edge gives two, forward first.
    pub links: Vec<ImportedLink>,
    /// The demands in the file, in bit/s.
    pub demands: Demands,
    /// Probability of failure by group, where the file states one.
    pub failures: BTreeMap<GroupId, Probability>,
    /// What was made of oddities.
    pub notes: Vec<Note>,
    /// Places of regions in the file.
    by_key: BTreeMap<String, usize>,
}

impl Import {
    /// The region that the file calls `key` (its id, number or name, whichever edges use).
    pub fn region(&self, key: &str) -> Option<RegionId> {
        let place = self.by_key.get(key)?;
        Some(self.regions[*place].id)
    }

    /// How many parts the topology falls into when directions are ignored.
    pub fn components(&self) -> usize {
        components(&self.topology)
    }
}

/// A region as the file has it.
#[derive(Clone, PartialEq, Debug)]
pub struct ImportedRegion {
    /// Its id in the topology.
    pub id: RegionId,
    /// What edges of the file call it.
    pub key: String,
    /// What sort of place it is, if the file says.
    pub kind: Option<String>,
    /// Where it is, if the file says so in degrees.
    pub place: Option<Coordinates>,
}

/// A link as the file has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImportedLink {
    /// Its id in the topology.
    pub id: LinkId,
    /// The place of its edge in the file, from 0, counting those that were left out.
    pub edge: usize,
    /// Whether it is the way back of an undirected edge.
    pub reverse: bool,
}

/// Something odd that was put up with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Line in the file, from 1; 0 if it concerns all of it.
    pub line: usize,
    /// Which node or edge, as the file calls it.
    pub element: String,
    /// What.
    pub remark: Remark,
}

/// What was odd, and what was made of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remark {
    /// An edge from a node to itself was left out.
    SelfLoop,
    /// Another edge joins the same nodes: both are kept, under different names.
    Parallel,
    /// Another node has the same label: both got their ids appended.
    RepeatedLabel,
    /// A node states no position.
    NoCoordinates,
    /// Positions are outside the ranges of degrees, so all of them were ignored.
    PlanarCoordinates,
    /// A link states no capacity: the default was taken.
    NoCapacity,
    /// Nothing tells the latency of a link: the default was taken.
    NoLatency,
    /// A link has no capacity at all.
    ZeroCapacity,
    /// The graph falls into this many parts.
    Disconnected(usize),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Remark::SelfLoop => "from a node to itself: left out",
            Remark::Parallel => "a further edge between the same nodes",
            Remark::RepeatedLabel => "several nodes have this label: their ids are appended",
            Remark::NoCoordinates => "no position",
            Remark::PlanarCoordinates => "positions that are not degrees: all are ignored",
            Remark::NoCapacity => "no capacity: the default is taken",
            Remark::NoLatency => "nothing tells the delay: the default is taken",
            Remark::ZeroCapacity => "a capacity of zero",
            Remark::Disconnected(parts) => return write!(f, "falls into {parts} parts"),
        })
    }
}

/// Why a file is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("line {line}: {element}: {problem}")]
pub struct ImportError {
    /// Line in the file, from 1; 0 if it concerns all of it.
    pub line: usize,
    /// Which part of the file, as the file calls it.
    pub element: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Problem {
    /// The text does not follow the grammar of the format.
    #[error("{0}")]
    Syntax(String),
    /// Something that must be there is not.
    #[error("no {0}")]
    Missing(&'static str),
    /// Text where a number belongs.
    #[error("\"{0}\" is not a number")]
    NotANumber(String),
    /// A number that makes no sense there: negative, not finite, too large.
    #[error("{what} of {value} is out of range")]
    OutOfRange {
        /// Which quantity.
        what: &'static str,
        /// The number as written.
        value: String,
    },
    /// Two nodes have one id.
    #[error("a second node of this id")]
    RepeatedId,
    /// An edge or demand names a node that does not exist.
    #[error("no node \"{0}\"")]
    UnknownNode(String),
    /// Fewer or more entries than the file itself announces or needs.
    #[error("{found} entries instead of {expected}")]
    Count {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The topology cannot be built.
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

/// Makes an error.
pub(crate) fn fail(line: usize, element: impl Into<String>, problem: Problem) -> ImportError {
    ImportError {
        line,
        element: element.into(),
        problem,
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub line: usize,
    pub key: String,
    /// Empty if the file gives none.
    pub label: String,
    pub kind: Option<String>,
    /// (longitude, latitude) as written.
    pub position: Option<(f64, f64)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub line: usize,
    pub element: String,
    pub from: String,
    pub to: String,
    pub directed: bool,
    /// bit/s.
    pub capacity: Option<f64>,
    /// One way, ns.
    pub latency: Option<f64>,
    pub length_km: Option<f64>,
    pub cost: Option<f64>,
    pub failure: Option<f64>,
}

impl Edge {
    pub fn new(line: usize, element: String, from: String, to: String, directed: bool) -> Edge {
        Edge {
            line,
            element,
            from,
            to,
            directed,
            capacity: None,
            latency: None,
            length_km: None,
            cost: None,
            failure: None,
        }
    }
}

/// Nodes and edges as read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    nodes: Vec<Node>,
    by_key: BTreeMap<String, usize>,
    edges: Vec<Edge>,
    /// Whether nodes are expected to have positions.
    positions: bool,
    notes: Vec<Note>,
}

impl Draft {
    pub fn new(positions: bool) -> Draft {
        Draft {
            positions,
            ..Draft::default()
        }
    }

    pub fn node(&mut self, node: Node) -> Result<(), ImportError> {
        if self.nodes.len() == MAX_REGIONS {
            let problem = TopologyError::TooMany(MAX_REGIONS).into();
            return Err(fail(node.line, format!("node {}", node.key), problem));
        }
        let before = self.by_key.insert(node.key.clone(), self.nodes.len());
        if before.is_some() {
            return Err(fail(node.line, format!("node {}", node.key), Problem::RepeatedId));
        }
        self.nodes.push(node);
        Ok(())
    }

    pub fn edge(&mut self, edge: Edge) {
        self.edges.push(edge);
    }

    fn note(&mut self, line: usize, element: String, remark: Remark) {
        self.notes.push(Note {
            line,
            element,
            remark,
        });
    }

    /// Unique names for all nodes. Which of two nodes comes first in the file makes no difference.
    fn names(&mut self) -> Vec<String> {
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        for node in &self.nodes {
            *uses.entry(node.label.clone()).or_default() += 1;
        }
        let mut taken: BTreeSet<String> = uses
            .iter()
            .filter(|(_, count)| **count == 1)
            .map(|(label, _)| label.clone())
            .collect();
        let mut by_key: Vec<usize> = (0..self.nodes.len()).collect();
        by_key.sort_by(|a, b| self.nodes[*a].key.cmp(&self.nodes[*b].key));
        let mut names = vec![String::new(); self.nodes.len()];
        for place in by_key {
            let Node { line, key, label, .. } = self.nodes[place].clone();
            let unique = uses[&label] == 1 && !label.is_empty();
            let mut name = match (unique, label.is_empty()) {
                (true, _) => label.clone(),
                (false, true) => key.clone(),
                (false, false) => format!("{label} #{key}"),
            };
            if !unique {
                while !taken.insert(name.clone()) {
                    name.push('\'');
                }
                if !label.is_empty() {
                    self.note(line, format!("node {key}"), Remark::RepeatedLabel);
                }
            }
            names[place] = name;
        }
        names
    }

    /// Positions of all nodes, none if they are no degrees.
    fn places(&mut self) -> Vec<Option<Coordinates>> {
        let planar = self.nodes.iter().find(|node| {
            let inside = |(longitude, latitude): (f64, f64)| {
                (-180.0..=180.0).contains(&longitude) && (-90.0..=90.0).contains(&latitude)
            };
            node.position.is_some_and(|position| !inside(position))
        });
        if let Some(Node { line, key, .. }) = planar.cloned() {
            self.note(line, format!("node {key}"), Remark::PlanarCoordinates);
            return vec![None; self.nodes.len()];
        }
        let place = |(longitude, latitude): (f64, f64)| Coordinates {
            latitude_microdegrees: (latitude * 1e6).round() as i32,
            longitude_microdegrees: (longitude * 1e6).round() as i32,
        };
        let places = self.nodes.iter().map(|node| node.position.map(place)).collect();
        if self.positions {
            let missing = self.nodes.iter().filter(|node| node.position.is_none());
            let missing: Vec<_> = missing.map(|node| (node.line, node.key.clone())).collect();
            for (line, key) in missing {
                self.note(line, format!("node {key}"), Remark::NoCoordinates);
            }
        }
        places
    }

    /// Builds the topology.
    pub fn finish(mut self, defaults: &Defaults) -> Result<Import, ImportError> {
        let names = self.names();
        let places = self.places();
        let mut builder = Builder::new();
        for (node, name) in self.nodes.iter().zip(&names) {
            let added = builder.region(name);
            added.map_err(|error| fail(node.line, format!("node {}", node.key), error.into()))?;
        }
        // The n-th link from a to b and the n-th from b to a are one cable.
        let mut between: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut groups: BTreeMap<(usize, usize, usize), String> = BTreeMap::new();
        let mut group_names = BTreeSet::new();
        let mut added = Vec::new();
        let mut failures: BTreeMap<String, Probability> = BTreeMap::new();
        for (place, edge) in std::mem::take(&mut self.edges).into_iter().enumerate() {
            let refuse = |problem| fail(edge.line, edge.element.clone(), problem);
            let end = |key: &String| {
                let known = self.by_key.get(key).copied();
                known.ok_or_else(|| refuse(Problem::UnknownNode(key.clone())))
            };
            let (from, to) = (end(&edge.from)?, end(&edge.to)?);
            if from == to {
                self.note(edge.line, edge.element.clone(), Remark::SelfLoop);
                continue;
            }
            let state = self.state(&edge, places[from], places[to], defaults)?;
            let failure = edge.failure.map(probability).transpose().map_err(refuse)?;
            let directions: &[(usize, usize, bool)] = if edge.directed {
                &[(from, to, false)]
            } else {
                &[(from, to, false), (to, from, true)]
            };
            for &(from, to, reverse) in directions {
                let nth = between.entry((from, to)).or_default();
                *nth += 1;
                let nth = *nth;
                if nth > 1 && !reverse {
                    self.note(edge.line, edge.element.clone(), Remark::Parallel);
                }
                let suffix = if nth == 1 {
                    String::new()
                } else {
                    format!("#{nth}")
                };
                let cable = (from.min(to), from.max(to), nth);
                let group = groups.entry(cable).or_insert_with(|| {
                    let (a, b) = (names[from].as_str(), names[to].as_str());
                    let mut group = format!("{} - {}{suffix}", a.min(b), a.max(b));
                    while !group_names.insert(group.clone()) {
                        group.push('\'');
                    }
                    group
                });
                if let Some(failure) = failure {
                    let known = failures.entry(group.clone()).or_default();
                    *known = failure.max(*known);
                }
                builder
                    .link(&names[from], &names[to], &suffix, state, &[group])
                    .map_err(|error| refuse(error.into()))?;
                added.push((names[from].clone(), names[to].clone(), suffix, place, reverse));
            }
        }
        let topology = builder.build();
        let parts = components(&topology);
        if parts > 1 {
            self.note(0, "graph".to_owned(), Remark::Disconnected(parts));
        }
        let numbered = self.nodes.iter().zip(&names).zip(places);
        let regions = numbered.map(|((node, name), place)| ImportedRegion {
            id: topology.region(name).expect("a region that was added"),
            key: node.key.clone(),
            kind: node.kind.clone(),
            place,
        });
        let links = added.iter().map(|(from, to, name, edge, reverse)| ImportedLink {
            id: topology.find_link(from, to, name).expect("a link that was added"),
            edge: *edge,
            reverse: *reverse,
        });
        let failures = topology
            .groups()
            .filter_map(|(id, name, _)| failures.get(name).map(|failure| (id, *failure)));
        Ok(Import {
            regions: regions.collect(),
            links: links.collect(),
            demands: Demands::new(),
            failures: failures.collect(),
            notes: self.notes,
            by_key: self.by_key,
            topology,
        })
    }

    fn state(
        &mut self,
        edge: &Edge,
        from: Option<Coordinates>,
        to: Option<Coordinates>,
        defaults: &Defaults,
    ) -> Result<LinkState, ImportError> {
        let refuse = |problem| fail(edge.line, edge.element.clone(), problem);
        let whole = |what, value| whole(what, value).map_err(refuse);
        let percent = f64::from(defaults.route_percent) / 100.0;
        let latency = match (edge.latency, edge.length_km, from.zip(to)) {
            (Some(ns), _, _) => whole("delay", ns)?,
            (None, Some(km), _) => whole("length", km * FIBRE_NS_PER_KM * percent)?,
            (None, None, Some((from, to))) => from.route_delay(to, defaults.route_percent).as_ns(),
            (None, None, None) => {
                self.note(edge.line, edge.element.clone(), Remark::NoLatency);
                defaults.latency.as_ns()
            }
        };
        let capacity = match edge.capacity {
            Some(rate) => whole("capacity", rate)?,
            None => {
                self.note(edge.line, edge.element.clone(), Remark::NoCapacity);
                defaults.capacity.as_bits_per_s()
            }
        };
        if capacity == 0 {
            self.note(edge.line, edge.element.clone(), Remark::ZeroCapacity);
        }
        let cost = edge.cost.map(|cost| whole("weight", cost)).transpose()?;
        Ok(LinkState {
            cost: cost.unwrap_or(1),
            ..LinkState::idle(Span::from_ns(latency), BitRate::from_bits_per_s(capacity))
        })
    }
}

/// A number that counts something, rounded.
pub(crate) fn whole(what: &'static str, value: f64) -> Result<u64, Problem> {
    // Beyond 2^53 not every integer is a double; 10^18 bit/s are more than any link has.
    if (0.0..=1e18).contains(&value) {
        Ok(value.round() as u64)
    } else {
        let value = value.to_string();
        Err(Problem::OutOfRange { what, value })
    }
}

fn probability(value: f64) -> Result<Probability, Problem> {
    let parts = (0.0..=1.0)
        .contains(&value)
        .then(|| (value * 1e12).round() as u64);
    let known = parts.and_then(Probability::from_parts);
    known.ok_or_else(|| Problem::OutOfRange {
        what: "probability",
        value: value.to_string(),
    })
}

/// A number as text.
pub(crate) fn number(text: &str) -> Result<f64, Problem> {
    let parsed: Result<f64, _> = text.parse();
    match parsed {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Problem::NotANumber(text.chars().take(40).collect())),
    }
}

fn components(topology: &Topology) -> usize {
    let mut seen = vec![false; topology.region_count()];
    let mut count = 0;
    for start in topology.regions() {
        if seen[start.index()] {
            continue;
        }
        count += 1;
        let mut stack = vec![start];
        seen[start.index()] = true;
        while let Some(region) = stack.pop() {
            let near = topology.leaving(region).iter().chain(topology.arriving(region));
            for &(far, _) in near {
                if !std::mem::replace(&mut seen[far.index()], true) {
                    stack.push(far);
                }
            }
        }
    }
    count
}
