//! Who is in a federation, and who talks to whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use longhaul_core::machine::PeerId;
use serde::{Deserialize, Serialize};

use crate::ClusterId;

/// The most clusters of a federation.
pub const MAX_CLUSTERS: usize = 256;

/// A cluster of a federation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its number.
    pub id: ClusterId,
    /// Its name.
    pub name: String,
    /// The region that it is in.
    pub region: String,
    /// Its machine.
    pub peer: PeerId,
}

/// Who is connected with whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Topology {
    /// Everybody with everybody.
    Mesh,
    /// Everybody with one cluster, which passes on what it hears. If it fails, nobody hears of anybody.
    Star {
        /// The cluster in the middle.
        hub: ClusterId,
    },
    /// Everybody with the next one in the order of the members, and the last with the first. Everybody passes on what it
    /// hears.
    Ring,
}

/// Why members and topology do not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TopologyError {
    /// None, more than [`MAX_CLUSTERS`], one of them twice, or one without a name or region.
    #[error("a federation has 1 to {MAX_CLUSTERS} clusters, each with its own name and with a region")]
    Members,
    /// The hub is none of the members.
    #[error("the hub of the star is not in the federation")]
    Hub,
    /// A voter is none of the members.
    #[error("a voter is not in the federation")]
    Voter,
}

/// The members of a federation by region and the connections between them: what every cluster knows of all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegionManager {
    members: Vec<Member>,
    topology: Topology,
}

impl RegionManager {
    /// A federation of these members.
    ///
    /// # Errors
    /// [`TopologyError`]
    pub fn new(members: Vec<Member>, topology: Topology) -> Result<RegionManager, TopologyError> {
        let ids: BTreeSet<ClusterId> = members.iter().map(|member| member.id).collect();
        let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let complete = members
            .iter()
            .all(|member| !member.name.is_empty() && !member.region.is_empty());
        if !(1..=MAX_CLUSTERS).contains(&ids.len())
            || ids.len() != members.len()
            || names.len() != members.len()
            || !complete
        {
            return Err(TopologyError::Members);
        }
        if let Topology::Star { hub } = topology
            && !ids.contains(&hub)
        {
            return Err(TopologyError::Hub);
        }
        Ok(RegionManager { members, topology })
    }

    /// All members, in their order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A member.
    pub fn member(&self, id: ClusterId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Who is connected with whom.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// The clusters of each region.
    pub fn regions(&self) -> BTreeMap<&str, Vec<ClusterId>> {
        let mut regions: BTreeMap<&str, Vec<ClusterId>> = BTreeMap::new();
        for member in &self.members {
            regions.entry(&member.region).or_default().push(member.id);
        }
        regions
    }

    /// Whom a cluster is connected with, in the order of their numbers.
    pub fn neighbours(&self, of: ClusterId) -> Vec<ClusterId> {
        let others = self.members.iter().map(|member| member.id);
        let mut found: Vec<ClusterId> = match self.topology {
            Topology::Mesh => others.filter(|other| *other != of).collect(),
            Topology::Star { hub } if hub == of => others.filter(|other| *other != of).collect(),
            Topology::Star { hub } => vec![hub],
            Topology::Ring => self.beside(of),
        };
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether clusters pass on what they hear: where not all are connected with all.
    pub fn relays(&self) -> bool {
        let all = self.members.len() - 1;
        self.members
            .iter()
            .any(|member| self.neighbours(member.id).len() < all)
    }

    /// The neighbour through which a message goes to another cluster: the first step of a shortest way that does not
    /// begin with a neighbour that is out of reach, if there is one. What other clusters reach is not known here.
    pub fn next_hop(
        &self,
        from: ClusterId,
        to: ClusterId,
        reached: impl Fn(ClusterId) -> bool,
    ) -> Option<ClusterId> {
        let mut first_steps: BTreeMap<ClusterId, ClusterId> = BTreeMap::new();
        let mut waiting = VecDeque::new();
        for neighbour in self.neighbours(from) {
            if reached(neighbour) {
                first_steps.insert(neighbour, neighbour);
                waiting.push_back(neighbour);
            }
        }
        while let Some(place) = waiting.pop_front() {
            if place == to {
                return first_steps.get(&to).copied();
            }
            for next in self.neighbours(place) {
                if next != from && !first_steps.contains_key(&next) {
                    first_steps.insert(next, first_steps[&place]);
                    waiting.push_back(next);
                }
            }
        }
        None
    }

    fn beside(&self, of: ClusterId) -> Vec<ClusterId> {
        let count = self.members.len();
        let Some(place) = self.members.iter().position(|member| member.id == of) else {
            return Vec::new();
        };
        let beside = [(place + 1) % count, (place + count - 1) % count];
        let ids = beside.map(|other| self.members[other].id);
        ids.into_iter().filter(|other| *other != of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn federation(clusters: u32, topology: Topology) -> RegionManager {
        let member = |id| Member {
            id: ClusterId(id),
            name: format!("cluster-{id}"),
            region: format!("region-{}", id % 2),
            peer: PeerId(id),
        };
        RegionManager::new((0..clusters).map(member).collect(), topology).expect("a federation")
    }

    fn ids(of: &[u32]) -> Vec<ClusterId> {
        of.iter().copied().map(ClusterId).collect()
    }

    #[test]
    fn neighbours_are_those_of_the_topology() {
        let mesh = federation(4, Topology::Mesh);
        assert_eq!(mesh.neighbours(ClusterId(1)), ids(&[0, 2, 3]));
        let star = federation(4, Topology::Star { hub: ClusterId(2) });
        assert_eq!(star.neighbours(ClusterId(2)), ids(&[0, 1, 3]));
        assert_eq!(star.neighbours(ClusterId(0)), ids(&[2]));
        let ring = federation(4, Topology::Ring);
        assert_eq!(ring.neighbours(ClusterId(0)), ids(&[1, 3]));
        assert_eq!(federation(2, Topology::Ring).neighbours(ClusterId(0)), ids(&[1]));
        assert_eq!(federation(1, Topology::Ring).neighbours(ClusterId(0)), ids(&[]));
        assert_eq!(
            [&mesh, &star, &ring].map(RegionManager::relays),
            [false, true, true]
        );
        assert_eq!(mesh.regions()["region-1"], ids(&[1, 3]));
    }

    #[test]
    fn a_message_goes_round_a_neighbour_that_is_out_of_reach() {
        let ring = federation(5, Topology::Ring);
        let (from, to) = (ClusterId(0), ClusterId(2));
        assert_eq!(ring.next_hop(from, to, |_| true), Some(ClusterId(1)));
        assert_eq!(
            ring.next_hop(from, to, |id| id != ClusterId(1)),
            Some(ClusterId(4))
        );
        assert_eq!(ring.next_hop(from, to, |_| false), None);
        let star = federation(4, Topology::Star { hub: ClusterId(3) });
        assert_eq!(star.next_hop(from, to, |_| true), Some(ClusterId(3)));
        assert_eq!(star.next_hop(from, to, |id| id != ClusterId(3)), None);
    }

    #[test]
    fn members_have_names_and_regions_of_their_own() {
        let member = |id, name: &str, region: &str| Member {
            id: ClusterId(id),
            name: name.to_owned(),
            region: region.to_owned(),
            peer: PeerId(id),
        };
        for wrong in [
            vec![],
            vec![member(0, "", "r")],
            vec![member(0, "a", "")],
            vec![member(0, "a", "r"), member(0, "b", "r")],
            vec![member(0, "a", "r"), member(1, "a", "r")],
        ] {
            let refused = RegionManager::new(wrong, Topology::Mesh);
            assert_eq!(refused, Err(TopologyError::Members));
        }
        let hub = Topology::Star { hub: ClusterId(9) };
        let refused = RegionManager::new(vec![member(0, "a", "r")], hub);
        assert_eq!(refused, Err(TopologyError::Hub));
    }
}
