//! The flow table: which path each flow is on.
//!
//! Flows of one site, policy and path stand together, so that a decision is taken once for all of them and an idle flow
//! costs nothing but its place. Each flow is looked at once in an idle time, to see whether it has been silent.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::time::{Instant, Span};

use crate::address::SiteId;

/// What decides together: flows to one site under one policy, on one path or waiting for one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Group {
    /// Where they go.
    pub site: SiteId,
    /// Their policy, by its place.
    pub policy: usize,
    /// The path that they are on.
    pub path: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    group: Group,
    seen_at: Instant,
    check_at: Instant,
}

/// All flows of an edge.
#[derive(Clone, Debug, Default)]
pub struct FlowTable {
    /// Flows that are silent for longer are forgotten; `None` keeps them until they are ended.
    idle_timeout: Option<Span>,
    flows: BTreeMap<u64, Flow>,
    groups: BTreeMap<Group, BTreeSet<u64>>,
    checks: BTreeSet<(Instant, u64)>,
}

impl FlowTable {
    /// An empty table.
    pub fn new(idle_timeout: Option<Span>) -> FlowTable {
        FlowTable {
            idle_timeout,
            ..FlowTable::default()
        }
    }

    /// Flows in it.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// The group of a flow.
    pub fn group_of(&self, flow: u64) -> Option<Group> {
        self.flows.get(&flow).map(|flow| flow.group)
    }

    /// Flows on a path.
    pub fn on_path(&self, path: usize) -> usize {
        let groups = self.groups.iter().filter(|(group, _)| group.path == Some(path));
        groups.map(|(_, flows)| flows.len()).sum()
    }

    /// When a flow that was seen or checked now is looked at next: a whole number of sixteenths of the idle time, so
    /// that many are looked at together.
    fn next_check(&self, seen_at: Instant) -> Option<Instant> {
        let idle = self.idle_timeout?;
        let step = (idle.as_ns() / 16).max(1);
        let exact = seen_at.saturating_add(idle).as_ns();
        Some(Instant::from_ns(exact.div_ceil(step).saturating_mul(step)))
    }

    /// Puts a flow into a group, also one that is in another.
    pub fn insert(&mut self, now: Instant, flow: u64, group: Group) {
        self.remove(flow);
        let check_at = self.next_check(now).unwrap_or(Instant::MAX);
        if check_at < Instant::MAX {
            self.checks.insert((check_at, flow));
        }
        let seen_at = now;
        self.flows.insert(
            flow,
            Flow {
                group,
                seen_at,
                check_at,
            },
        );
        self.groups.entry(group).or_default().insert(flow);
    }

    /// A flow was active; returns whether it is known.
    pub fn touch(&mut self, now: Instant, flow: u64) -> bool {
        let known = self.flows.get_mut(&flow);
        known.map(|known| known.seen_at = now).is_some()
    }

    /// Forgets a flow; returns whether it was known.
    pub fn remove(&mut self, flow: u64) -> bool {
        let Some(known) = self.flows.remove(&flow) else {
            return false;
        };
        self.checks.remove(&(known.check_at, flow));
        if let Some(flows) = self.groups.get_mut(&known.group) {
            flows.remove(&flow);
            if flows.is_empty() {
                self.groups.remove(&known.group);
            }
        }
        true
    }

    /// The groups to a site, in order.
    pub fn groups_of(&self, site: SiteId) -> Vec<Group> {
        let least = Group {
            site,
            policy: 0,
            path: None,
        };
        let from = self.groups.range(least..);
        from.map(|(group, _)| *group)
            .take_while(|group| group.site == site)
            .collect()
    }

    /// The sites that flows go to.
    pub fn sites(&self) -> BTreeSet<SiteId> {
        self.groups.keys().map(|group| group.site).collect()
    }

    /// Moves all flows of a group to another path; returns them in the order of their numbers.
    pub fn move_group(&mut self, group: Group, path: Option<usize>) -> Vec<u64> {
        let Some(flows) = self.groups.remove(&group) else {
            return Vec::new();
        };
        let to = Group { path, ..group };
        for flow in &flows {
            self.flows
                .get_mut(flow)
                .expect("flows of groups are in the table")
                .group = to;
        }
        let moved = flows.iter().copied().collect();
        self.groups.entry(to).or_default().extend(flows);
        moved
    }

    /// Forgets the flows that have been silent for the idle time and are due to be looked at; returns them.
    pub fn expire(&mut self, now: Instant) -> Vec<u64> {
        let mut expired = Vec::new();
        while let Some((check_at, flow)) = self.checks.first().copied()
            && check_at <= now
        {
            let Some(idle) = self.idle_timeout else { break };
            let seen_at = self.flows[&flow].seen_at;
            if now.saturating_since(seen_at) >= idle {
                self.remove(flow);
                expired.push(flow);
                continue;
            }
            self.checks.remove(&(check_at, flow));
            let next = self.next_check(seen_at).unwrap_or(Instant::MAX);
            self.checks.insert((next, flow));
            self.flows.get_mut(&flow).expect("it was found above").check_at = next;
        }
        expired
    }

    /// When a flow is to be looked at next.
    pub fn due(&self) -> Option<Instant> {
        self.checks.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_s(s: u64) -> Instant {
        Instant::ZERO + Span::from_s(s)
    }

    fn group(site: u32, policy: usize, path: Option<usize>) -> Group {
        Group {
            site: SiteId(site),
            policy,
            path,
        }
    }

    #[test]
    fn groups_move_together_and_merge() {
        let mut table = FlowTable::new(None);
        for flow in 0..6 {
            table.insert(at_s(0), flow, group(flow as u32 % 2, 0, Some(flow as usize / 4)));
        }
        assert_eq!(
            table.groups_of(SiteId(0)),
            [group(0, 0, Some(0)), group(0, 0, Some(1))]
        );
        assert_eq!(table.move_group(group(0, 0, Some(0)), Some(1)), [0, 2]);
        assert_eq!(table.groups_of(SiteId(0)), [group(0, 0, Some(1))]);
        assert_eq!((table.on_path(1), table.on_path(0), table.len()), (4, 2, 6));
        assert!(table.remove(4) && !table.remove(4));
        assert_eq!(table.move_group(group(0, 0, Some(1)), None), [0, 2]);
        assert_eq!(table.group_of(2), Some(group(0, 0, None)));
        assert_eq!(table.due(), None);
    }

    #[test]
    fn only_flows_that_are_silent_for_the_idle_time_expire() {
        let mut table = FlowTable::new(Some(Span::from_s(160)));
        table.insert(at_s(3), 1, group(0, 0, None));
        table.insert(at_s(5), 2, group(0, 0, None));
        // Both are looked at together.
        assert_eq!(table.due(), Some(at_s(170)));
        assert!(table.touch(at_s(100), 2) && !table.touch(at_s(100), 3));
        assert_eq!(table.expire(at_s(169)), [0; 0]);
        assert_eq!(table.expire(at_s(170)), [1]);
        assert_eq!(table.due(), Some(at_s(260)));
        assert_eq!(table.expire(at_s(260)), [2]);
        assert!(table.is_empty() && table.due().is_none());
    }
}
