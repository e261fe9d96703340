//! Which traffic wants what of its path: application policies.

use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::address::{FlowKey, Prefix, Protocol, TrafficClass};
use crate::score::{Objective, Weights};

/// What a policy applies to. Everything that is given must match; what is `None` matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Match {
    /// The sender's address is in it.
    pub source: Option<Prefix>,
    /// The receiver's address is in it.
    pub destination: Option<Prefix>,
    /// The protocol above IP.
    pub protocol: Option<Protocol>,
    /// The sender's port is in it.
    pub source_ports: Option<RangeInclusive<u16>>,
    /// The receiver's port is in it.
    pub destination_ports: Option<RangeInclusive<u16>>,
    /// The flow is marked with this class.
    pub class: Option<TrafficClass>,
}

impl Match {
    /// Whether a flow is meant.
    pub fn applies_to(&self, key: &FlowKey) -> bool {
        self.source.is_none_or(|prefix| prefix.contains(key.source))
            && self
                .destination
                .is_none_or(|prefix| prefix.contains(key.destination))
            && self.protocol.is_none_or(|protocol| protocol == key.protocol)
            && self
                .source_ports
                .as_ref()
                .is_none_or(|ports| ports.contains(&key.source_port))
            && self
                .destination_ports
                .as_ref()
                .is_none_or(|ports| ports.contains(&key.destination_port))
            && self.class.is_none_or(|class| Some(class) == key.class)
    }
}

/// What some traffic wants of its path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// Its name, of which there is one.
    pub name: String,
    /// The lowest number is asked first.
    pub priority: u32,
    /// Which traffic.
    pub applies_to: Match,
    /// What it wants.
    pub objective: Objective,
}

/// The policies of an edge, in the order in which they are asked: by priority, then by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policies(Vec<Policy>);

/// Why policies were refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PolicyError {
    /// Two have one name.
    #[error("two policies are named {0:?}")]
    Twice(String),
    /// The weights of one do not add up.
    #[error("the weights of {0:?} do not add up to 1000 thousandths")]
    Weights(String),
    /// A range of ports of one ends before it begins.
    #[error("{0:?} has a range of ports that ends before it begins")]
    Ports(String),
    /// None applies to all traffic, so that some flows would have no policy.
    #[error("no policy applies to all traffic")]
    NoDefault,
}

impl Policies {
    /// These policies.
    ///
    /// # Errors
    /// Two of one name, weights that do not add up, empty ranges of ports, or none that applies to everything.
    pub fn new(mut policies: Vec<Policy>) -> Result<Policies, PolicyError> {
        policies.sort_by(|one, other| (one.priority, &one.name).cmp(&(other.priority, &other.name)));
        let mut names: Vec<&String> = policies.iter().map(|policy| &policy.name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(PolicyError::Twice(pair[0].clone()));
        }
        for policy in &policies {
            let Match {
                source_ports,
                destination_ports,
                ..
            } = &policy.applies_to;
            if [source_ports, destination_ports]
                .into_iter()
                .flatten()
                .any(RangeInclusive::is_empty)
            {
                return Err(PolicyError::Ports(policy.name.clone()));
            }
            if matches!(policy.objective, Objective::Weighted(weights) if !weights.is_valid()) {
                return Err(PolicyError::Weights(policy.name.clone()));
            }
        }
        if !policies
            .iter()
            .any(|policy| policy.applies_to == Match::default())
        {
            return Err(PolicyError::NoDefault);
        }
        Ok(Policies(policies))
    }

    /// The first policy that applies to a flow, by its place.
    pub fn classify(&self, key: &FlowKey) -> usize {
        let place = self.0.iter().position(|policy| policy.applies_to.applies_to(key));
        place.expect("one of them applies to all traffic")
    }

    /// All of them, in the order in which they are asked.
    pub fn as_slice(&self) -> &[Policy] {
        &self.0
    }
}

impl Default for Policies {
    /// Voice and video by the ports of SIP (5060 and 5061, any protocol), games (UDP 27000 to 28000), bulk transfers
    /// (the ports of FTP, TCP 20 and 21), and the rest, which is balanced.
    fn default() -> Policies {
        let policy = |name: &str, priority, protocol, destination_ports, objective| Policy {
            name: name.to_owned(),
            priority,
            applies_to: Match {
                protocol,
                destination_ports,
                ..Match::default()
            },
            objective,
        };
        let latency_sensitive = Objective::Weighted(Weights::LATENCY_SENSITIVE);
        let (tcp, udp) = (Some(Protocol::TCP), Some(Protocol::UDP));
        let policies = vec![
            policy("VoIP/Video", 1, None, Some(5060..=5061), latency_sensitive),
            policy("Gaming", 2, udp, Some(27_000..=28_000), Objective::LowestLatency),
            policy(
                "Bulk Transfers",
                3,
                tcp,
                Some(20..=21),
                Objective::HighestBandwidth,
            ),
            policy("Default", 100, None, None, Objective::Weighted(Weights::BALANCED)),
        ];
        Policies::new(policies).expect("they are valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(protocol: Protocol, port: u16) -> FlowKey {
        FlowKey {
            source: "192.168.1.7".parse().unwrap(),
            destination: "10.2.0.1".parse().unwrap(),
            protocol,
            source_port: 40_000,
            destination_port: port,
            class: None,
        }
    }

    #[test]
    fn the_default_policies_find_their_traffic() {
        let policies = Policies::default();
        for (protocol, port, name) in [
            (Protocol::UDP, 5060, "VoIP/Video"),
            (Protocol::TCP, 5061, "VoIP/Video"),
            (Protocol::UDP, 27_015, "Gaming"),
            (Protocol::TCP, 27_015, "Default"),
            (Protocol::TCP, 21, "Bulk Transfers"),
            (Protocol::UDP, 21, "Default"),
            (Protocol::TCP, 443, "Default"),
        ] {
            let found = policies.classify(&key(protocol, port));
            assert_eq!(policies.as_slice()[found].name, name, "{protocol:?} {port}");
        }
        assert_eq!(policies.as_slice().len(), 4);
    }

    #[test]
    fn every_condition_of_a_policy_counts() {
        let prefix = |text: &str, length| Prefix::new(text.parse().unwrap(), length).ok();
        let narrow = Match {
            source: prefix("192.168.1.0", 24),
            destination: prefix("10.2.0.0", 16),
            protocol: Some(Protocol::TCP),
            source_ports: Some(40_000..=40_001),
            destination_ports: Some(443..=443),
            class: Some(TrafficClass::Interactive),
        };
        let inside = FlowKey {
            class: Some(TrafficClass::Interactive),
            ..key(Protocol::TCP, 443)
        };
        assert!(narrow.applies_to(&inside));
        type Change = fn(&mut FlowKey);
        let changes: [Change; 6] = [
            |key| key.source = "192.168.2.1".parse().unwrap(),
            |key| key.destination = "10.3.0.1".parse().unwrap(),
            |key| key.protocol = Protocol::UDP,
            |key| key.source_port = 40_002,
            |key| key.destination_port = 80,
            |key| key.class = None,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut outside = inside;
            change(&mut outside);
            assert!(!narrow.applies_to(&outside), "condition {number}");
        }
    }

    #[test]
    fn policies_are_asked_by_priority_and_checked() {
        let policy = |name: &str, priority| Policy {
            name: name.to_owned(),
            priority,
            applies_to: Match::default(),
            objective: Objective::LowestCost,
        };
        let sorted = Policies::new(vec![policy("b", 7), policy("c", 1), policy("a", 7)]).unwrap();
        let names: Vec<&str> = sorted
            .as_slice()
            .iter()
            .map(|policy| policy.name.as_str())
            .collect();
        assert_eq!(names, ["c", "a", "b"]);
        assert_eq!(
            Policies::new(vec![policy("a", 1), policy("a", 2)]),
            Err(PolicyError::Twice("a".to_owned()))
        );
        let mut some = policy("a", 1);
        some.applies_to.protocol = Some(Protocol::TCP);
        assert_eq!(Policies::new(vec![some]), Err(PolicyError::NoDefault));
        let mut empty = policy("a", 1);
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
        {
            empty.applies_to.source_ports = Some(2..=1);
        }
        assert_eq!(
            Policies::new(vec![empty]),
            Err(PolicyError::Ports("a".to_owned()))
        );
        let mut light = policy("a", 1);
        light.objective = Objective::Weighted(Weights {
            cost: 1,
            ..Weights::BALANCED
        });
        assert_eq!(
            Policies::new(vec![light]),
            Err(PolicyError::Weights("a".to_owned()))
        );
    }
}
