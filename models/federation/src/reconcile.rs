//! Finding differences between two states, and agreeing again: hash trees from the root down, then the heads of the
//! records of each range that differs.
//!
//! Of two neighbours the one that dials leads. When a connection is up, each side first sends what waits for the other.
//! Once that is acknowledged it tells its root. If the roots differ, the leader sends the sums of the next level, the
//! follower names those that differ, and so on to the leaves. For each leaf that differs the leader sends what it has
//! there, without the values; the follower sends what the leader lacks or has older, and asks for what it lacks
//! itself. Then both begin again, until the roots are the same, or nothing that is older than the round has differed:
//! then what differs is on its way.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes};
use longhaul_core::time::Instant;

use crate::record::{Record, Relation};
use crate::state::State;
use crate::tree::{NodeAt, Sum};
use crate::wire::{FrameError, put_key, take_key, take_u8, take_u16, take_u32, take_u64};
use crate::{Key, tree};

/// Leaves on the way at a time.
const LEAVES_AT_ONCE: usize = 16;

/// Bytes of heads in one message, about.
const LEAF_BYTES: usize = 128 << 10;

/// What two clusters tell each other about their states.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Talk {
    /// The other has acknowledged everything that this side had to send; this is the root.
    Root {
        /// The sum of everything.
        sum: Sum,
    },
    /// From the leader: sums of nodes whose parents differ.
    Nodes {
        /// Of which round.
        round: u32,
        /// The nodes, each with its sum.
        nodes: Vec<(NodeAt, Sum)>,
    },
    /// From the follower: those of them that differ.
    Differ {
        /// Of which round.
        round: u32,
        /// The nodes.
        nodes: Vec<NodeAt>,
    },
    /// From the leader: what it has in a leaf, or in a part of it.
    Leaf {
        /// Of which round.
        round: u32,
        /// The leaf.
        leaf: u16,
        /// The part begins after this key.
        after: Option<Key>,
        /// It goes to the end of the leaf, else to its last key.
        last: bool,
        /// Keys and what is known of them, without values.
        items: Vec<(Key, Record)>,
    },
    /// From the follower: the answer to a part of a leaf.
    Want {
        /// Of which round.
        round: u32,
        /// The leaf.
        leaf: u16,
        /// Keys that the leader is to send.
        keys: Vec<Key>,
        /// How many keys the follower sends.
        sends: u32,
        /// How many differences were older than the round.
        older: u32,
    },
    /// From the leader: all differences have been told.
    RoundOver {
        /// Both agree, or will when what is on its way has arrived.
        finished: bool,
    },
}

impl Talk {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let put_node = |out: &mut Vec<u8>, node: &NodeAt| {
            out.put_u8(node.level);
            out.put_u16(node.place);
        };
        match self {
            Talk::Root { sum } => {
                out.put_u8(1);
                out.put_u128(sum.0);
            }
            Talk::Nodes { round, nodes } => {
                out.put_u8(2);
                out.put_u32(*round);
                for (node, sum) in nodes {
                    put_node(out, node);
                    out.put_u128(sum.0);
                }
            }
            Talk::Differ { round, nodes } => {
                out.put_u8(3);
                out.put_u32(*round);
                nodes.iter().for_each(|node| put_node(out, node));
            }
            Talk::Leaf {
                round,
                leaf,
                after,
                last,
                items,
            } => {
                out.put_u8(4);
                out.put_u32(*round);
                out.put_u16(*leaf);
                out.put_u8(u8::from(*last) | u8::from(after.is_some()) << 1);
                if let Some(after) = after {
                    put_key(out, after);
                }
                for (key, record) in items {
                    put_key(out, key);
                    record.encode_head(out);
                }
            }
            Talk::Want {
                round,
                leaf,
                keys,
                sends,
                older,
            } => {
                out.put_u8(5);
                out.put_u32(*round);
                out.put_u16(*leaf);
                out.put_u32(*sends);
                out.put_u32(*older);
                keys.iter().for_each(|key| put_key(out, key));
            }
            Talk::RoundOver { finished } => {
                out.put_u8(6);
                out.put_u8(u8::from(*finished));
            }
        }
    }

    pub(crate) fn take(body: &mut Bytes) -> Result<Talk, FrameError> {
        let kind = take_u8(body)?;
        Ok(match kind {
            1 => Talk::Root { sum: take_sum(body)? },
            2 => {
                let round = take_u32(body)?;
                let mut nodes = Vec::new();
                while !body.is_empty() {
                    nodes.push((take_node(body)?, take_sum(body)?));
                }
                Talk::Nodes { round, nodes }
            }
            3 => {
                let round = take_u32(body)?;
                let mut nodes = Vec::new();
                while !body.is_empty() {
                    nodes.push(take_node(body)?);
                }
                Talk::Differ { round, nodes }
            }
            4 => {
                let (round, leaf, flags) = (take_u32(body)?, take_leaf(body)?, take_u8(body)?);
                if flags > 3 {
                    return Err(FrameError::Range);
                }
                let after = if flags & 2 != 0 {
                    Some(take_key(body)?)
                } else {
                    None
                };
                let mut items: Vec<(Key, Record)> = Vec::new();
                while !body.is_empty() {
                    let key = take_key(body)?;
                    let previous = items.last().map(|(key, _)| key).or(after.as_ref());
                    if previous.is_some_and(|previous| *previous >= key) {
                        return Err(FrameError::Range);
                    }
                    let record = Record::take_head(body).map_err(|_| FrameError::Range)?;
                    items.push((key, record));
                }
                let last = flags & 1 != 0;
                if !last && items.is_empty() {
                    return Err(FrameError::Range);
                }
                Talk::Leaf {
                    round,
                    leaf,
                    after,
                    last,
                    items,
                }
            }
            5 => {
                let (round, leaf) = (take_u32(body)?, take_leaf(body)?);
                let (sends, older) = (take_u32(body)?, take_u32(body)?);
                let mut keys = Vec::new();
                while !body.is_empty() {
                    keys.push(take_key(body)?);
                }
                Talk::Want {
                    round,
                    leaf,
                    keys,
                    sends,
                    older,
                }
            }
            6 => match take_u8(body)? {
                0 => Talk::RoundOver { finished: false },
                1 => Talk::RoundOver { finished: true },
                _ => return Err(FrameError::Range),
            },
            _ => return Err(FrameError::Kind),
        })
    }
}

fn take_node(body: &mut Bytes) -> Result<NodeAt, FrameError> {
    let node = NodeAt {
        level: take_u8(body)?,
        place: take_u16(body)?,
    };
    if node.exists() {
        Ok(node)
    } else {
        Err(FrameError::Range)
    }
}

fn take_leaf(body: &mut Bytes) -> Result<u16, FrameError> {
    let leaf = take_u16(body)?;
    if usize::from(leaf) < tree::LEAVES {
        Ok(leaf)
    } else {
        Err(FrameError::Range)
    }
}

fn take_sum(body: &mut Bytes) -> Result<Sum, FrameError> {
    let (high, low) = (take_u64(body)?, take_u64(body)?);
    Ok(Sum(u128::from(high) << 64 | u128::from(low)))
}

/// What came of a step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// What to tell the other.
    pub talk: Vec<Talk>,
    /// Keys to send the other, at once.
    pub send: Vec<Key>,
    /// Both agree, or will.
    pub finished: bool,
}

/// How far two neighbours have come in agreeing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Nothing to do.
    Idle,
    /// This side waits until the other has acknowledged what it has to send.
    Sending,
    /// It has told its root and waits for the other's.
    Told,
    /// Differences are looked for.
    Comparing,
}

/// The side of one cluster in agreeing with one neighbour again. It neither sends nor keeps time.
#[derive(Clone, Debug)]
pub struct Reconciler {
    leads: bool,
    stage: Stage,
    other_root: Option<Sum>,
    round: u32,
    round_began: Instant,
    /// Leader: messages that are not answered.
    unanswered: usize,
    /// Leader: leaves that differ and have not been sent.
    leaves: VecDeque<u16>,
    /// Leader: parts on their way, by leaf.
    leaves_under_way: BTreeMap<u16, usize>,
    /// Follower: parts that came while there was no room to act on them.
    postponed: VecDeque<Talk>,
    /// Differences of this round that are older than it.
    older: u64,
    /// Differences of all rounds.
    differences: u64,
    rounds: u32,
}

impl Reconciler {
    /// Nothing to do yet.
    pub fn new(leads: bool) -> Reconciler {
        Reconciler {
            leads,
            stage: Stage::Idle,
            other_root: None,
            round: 0,
            round_began: Instant::ZERO,
            unanswered: 0,
            leaves: VecDeque::new(),
            leaves_under_way: BTreeMap::new(),
            postponed: VecDeque::new(),
            older: 0,
            differences: 0,
            rounds: 0,
        }
    }

    /// A connection is up, or it is time to compare.
    pub fn begin(&mut self) {
        let leads = self.leads;
        *self = Reconciler {
            stage: Stage::Sending,
            round: self.round,
            ..Reconciler::new(leads)
        };
    }

    /// The connection is gone.
    pub fn stop(&mut self) {
        self.begin();
        self.stage = Stage::Idle;
    }

    /// Whether it has something to do.
    pub fn is_busy(&self) -> bool {
        self.stage != Stage::Idle
    }

    /// Whether it waits for what this side has to send to be acknowledged ([`Reconciler::on_sent`]).
    pub fn waits_for_sending(&self) -> bool {
        self.stage == Stage::Sending
    }

    /// Rounds in which differences were looked for, and how many were found, as far as this side knows.
    pub fn found(&self) -> (u32, u64) {
        (self.rounds, self.differences)
    }

    /// The other has acknowledged everything that this side had to send.
    pub fn on_sent(&mut self, now: Instant, state: &State) -> Step {
        let mut step = Step::default();
        if self.stage == Stage::Sending {
            self.stage = Stage::Told;
            step.talk.push(Talk::Root { sum: state.hash() });
            self.compare_roots(now, state, &mut step);
        }
        step
    }

    /// The other says something. `room` is how many keys this side may send now.
    pub fn on_talk(&mut self, now: Instant, state: &State, talk: Talk, room: usize) -> Step {
        let mut step = Step::default();
        match talk {
            Talk::Root { sum } => {
                if self.stage == Stage::Idle {
                    // The other finds it time to compare.
                    self.begin();
                }
                self.other_root = Some(sum);
                self.compare_roots(now, state, &mut step);
            }
            Talk::Nodes { round, nodes } if !self.leads && self.stage != Stage::Idle => {
                self.follow_round(now, round);
                let differ = nodes
                    .into_iter()
                    .filter(|(node, sum)| state.tree().sum(*node) != *sum);
                let nodes = differ.map(|(node, _)| node).collect();
                step.talk.push(Talk::Differ { round, nodes });
            }
            Talk::Differ { round, nodes } if self.leads && round == self.round => {
                self.on_differ(state, nodes, &mut step);
                self.go_on(state, room, &mut step);
            }
            Talk::Leaf { .. } if !self.leads && self.stage != Stage::Idle => {
                // A leader has no more than a few leaves on their way; what is too much is not answered.
                if self.postponed.len() < 1_024 {
                    self.postponed.push_back(talk);
                }
                self.answer_leaves(now, state, room, &mut step);
            }
            Talk::Want {
                round,
                leaf,
                keys,
                sends,
                older,
            } if self.leads && round == self.round => {
                if let Some(parts) = self.leaves_under_way.get_mut(&leaf) {
                    *parts -= 1;
                    if *parts == 0 {
                        self.leaves_under_way.remove(&leaf);
                    }
                    self.older += u64::from(older);
                    self.differences += keys.len() as u64 + u64::from(sends);
                    step.send.extend(keys);
                }
                self.go_on(state, room, &mut step);
            }
            Talk::RoundOver { finished } if !self.leads && self.stage != Stage::Idle => {
                self.end_round(finished, &mut step);
            }
            _ => {}
        }
        step
    }

    /// There may be room again.
    pub fn on_room(&mut self, now: Instant, state: &State, room: usize) -> Step {
        let mut step = Step::default();
        if self.leads {
            self.go_on(state, room, &mut step);
        } else {
            self.answer_leaves(now, state, room, &mut step);
        }
        step
    }

    fn compare_roots(&mut self, now: Instant, state: &State, step: &mut Step) {
        let Some(other) = self.other_root.filter(|_| self.stage == Stage::Told) else {
            return;
        };
        if !self.leads {
            return;
        }
        self.other_root = None;
        if other == state.hash() {
            step.talk.push(Talk::RoundOver { finished: true });
            self.end_round(true, step);
            return;
        }
        self.stage = Stage::Comparing;
        self.round += 1;
        self.rounds += 1;
        self.round_began = now;
        self.older = 0;
        self.unanswered = 0;
        self.leaves.clear();
        self.leaves_under_way.clear();
        self.ask(state, NodeAt::ROOT, step);
    }

    /// Leader: sends the sums of a node's children.
    fn ask(&mut self, state: &State, node: NodeAt, step: &mut Step) {
        let nodes = node.children().map(|child| (child, state.tree().sum(child)));
        step.talk.push(Talk::Nodes {
            round: self.round,
            nodes: nodes.collect(),
        });
        self.unanswered += 1;
    }

    fn on_differ(&mut self, state: &State, nodes: Vec<NodeAt>, step: &mut Step) {
        self.unanswered = self.unanswered.saturating_sub(1);
        for node in nodes {
            if node.is_leaf() {
                // Each leaf once, whatever the other says.
                if self.leaves.len() < tree::LEAVES {
                    self.leaves.push_back(node.place);
                }
            } else if self.unanswered < tree::LEAVES {
                self.ask(state, node, step);
            }
        }
    }

    /// Leader: sends leaves as far as there is room, and ends the round after the last.
    fn go_on(&mut self, state: &State, room: usize, step: &mut Step) {
        if self.stage != Stage::Comparing || !self.leads {
            return;
        }
        while room > 0 && self.leaves_under_way.values().sum::<usize>() < LEAVES_AT_ONCE {
            let Some(leaf) = self.leaves.pop_front() else {
                break;
            };
            self.send_leaf(state, leaf, step);
        }
        if self.unanswered == 0 && self.leaves.is_empty() && self.leaves_under_way.is_empty() {
            let finished = self.older == 0;
            step.talk.push(Talk::RoundOver { finished });
            self.end_round(finished, step);
        }
    }

    fn send_leaf(&mut self, state: &State, leaf: u16, step: &mut Step) {
        let mut parts = 0;
        let mut after = None;
        let mut items: Vec<(Key, Record)> = Vec::new();
        let mut bytes = 0;
        for key in state.tree().keys(leaf) {
            if bytes >= LEAF_BYTES {
                let last_key = items.last().map(|(key, _)| key.clone());
                step.talk.push(Talk::Leaf {
                    round: self.round,
                    leaf,
                    after: std::mem::replace(&mut after, last_key),
                    last: false,
                    items: std::mem::take(&mut items),
                });
                parts += 1;
                bytes = 0;
            }
            let record = state.get(key).expect("a key of the tree");
            let head = Record {
                value: record.value.as_ref().map(|_| Bytes::new()),
                ..record.clone()
            };
            let mut encoded = Vec::new();
            head.encode_head(&mut encoded);
            bytes += key.as_str().len() + 1 + encoded.len();
            items.push((key.clone(), head));
        }
        step.talk.push(Talk::Leaf {
            round: self.round,
            leaf,
            after,
            last: true,
            items,
        });
        self.leaves_under_way.insert(leaf, parts + 1);
    }

    fn follow_round(&mut self, now: Instant, round: u32) {
        if round != self.round || self.stage != Stage::Comparing {
            self.round = round;
            self.rounds += 1;
            self.round_began = now;
            self.stage = Stage::Comparing;
            self.other_root = None;
            self.postponed.clear();
        }
    }

    /// Follower: answers the parts of leaves that came, as far as there is room.
    fn answer_leaves(&mut self, now: Instant, state: &State, mut room: usize, step: &mut Step) {
        while room > 0 {
            let Some(Talk::Leaf {
                round,
                leaf,
                after,
                last,
                items,
            }) = self.postponed.pop_front()
            else {
                return;
            };
            self.follow_round(now, round);
            let end = if last {
                None
            } else {
                items.last().map(|(key, _)| key.clone())
            };
            let theirs: BTreeMap<Key, Record> = items.into_iter().collect();
            let sent_before = step.send.len();
            let (mut keys, mut older) = (Vec::new(), 0);
            let is_older = |record: &Record| u32::from(record.stamp.time < self.round_began);
            for (key, record) in &theirs {
                let relation = state
                    .get(key)
                    .map_or(Relation::Before, |own| own.versions.relation(&record.versions));
                if matches!(relation, Relation::Before | Relation::Concurrent) {
                    keys.push(key.clone());
                    older += is_older(record);
                }
                if matches!(relation, Relation::After | Relation::Concurrent) {
                    step.send.push(key.clone());
                    older += state.get(key).map_or(0, is_older);
                }
            }
            let in_part = |key: &&Key| {
                after.as_ref().is_none_or(|after| *key > after) && end.as_ref().is_none_or(|end| *key <= end)
            };
            for key in state.tree().keys(leaf).filter(in_part) {
                if !theirs.contains_key(key) {
                    step.send.push(key.clone());
                    older += state.get(key).map_or(0, is_older);
                }
            }
            let sends = step.send.len() - sent_before;
            self.differences += (keys.len() + sends) as u64;
            room = room.saturating_sub(sends);
            step.talk.push(Talk::Want {
                round,
                leaf,
                keys,
                sends: u32::try_from(sends).unwrap_or(u32::MAX),
                older,
            });
        }
    }

    fn end_round(&mut self, finished: bool, step: &mut Step) {
        self.postponed.clear();
        self.other_root = None;
        if finished {
            self.stage = Stage::Idle;
            step.finished = true;
        } else {
            self.stage = Stage::Sending;
        }
    }
}
