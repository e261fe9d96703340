//! Raft: what peers and clients may send to a member.

use bytes::Bytes;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_raft::disk::Disk;
use longhaul_raft::entry::{CommandTag, SessionId};
use longhaul_raft::log::Mark;
use longhaul_raft::message::{Append, AppendAnswer, Body, Candidacy, Chunk, Outcome};
use longhaul_raft::replica::{ReplicaOutput, RestoreError, StateMachine};
use longhaul_raft::request::{Answer, Ask, Origin, Reply, Request};
use longhaul_raft::session::SessionLimits;
use longhaul_raft::{Config, Entry, EntryKind, Index, Message, NodeId, Replica, Term};

use crate::bytes::{Decisions, noise};

/// Anything that is read is written the same again.
pub fn message(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(message) = Message::parse(&bytes) {
        assert_eq!(message.to_bytes(), bytes);
    }
    if let Ok(request) = Request::parse(&bytes) {
        assert_eq!(request.to_bytes(), bytes);
    }
    if let Ok(answer) = Answer::parse(&bytes) {
        assert_eq!(answer.to_bytes(), bytes);
    }
}

/// One message of each kind.
pub fn message_seeds() -> Vec<Vec<u8>> {
    let content = noise(1, 200);
    let mut decisions = Decisions::new(&content);
    let bodies = (0..9).map(|kind| body(&mut decisions, kind));
    let messages = bodies.map(|body| {
        let message = Message {
            from: NodeId(1),
            to: NodeId(0),
            term: Term(7),
            body,
        };
        message.to_bytes().to_vec()
    });
    let request = Request {
        origin: origin(3),
        ask: Ask::Read {
            query: Bytes::from_static(b"name"),
        },
    };
    let answer = Answer {
        to: origin(3),
        reply: Reply::NotLeader {
            leader: Some(NodeId(2)),
        },
    };
    messages
        .chain([request.to_bytes().to_vec(), answer.to_bytes().to_vec()])
        .collect()
}

/// A member of three that is told anything. What it holds for committed never changes, and its disk stays sound.
pub fn member(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let config = Config {
        pre_vote: decisions.below(2) == 0,
        check_quorum: decisions.below(2) == 0,
        batch_interval: Span::ZERO,
        snapshot_after: 4,
        snapshot_keep: 1,
        snapshot_chunk: 8,
        max_snapshot_bytes: 1 << 10,
        uncommitted_bytes: 1 << 10,
        ..Config::new(
            NodeId(0),
            vec![NodeId(0), NodeId(1), NodeId(2)],
            Span::from_ms(100),
        )
    };
    let random = Streams::new(1, 0).stream("member", "elections");
    let limits = SessionLimits {
        sessions: 2,
        window: 3,
    };
    let mut disk = Disk::default();
    let mut now = Instant::ZERO;
    let mut replica = Replica::new(config, limits, disk.stable(), Sum::default(), random, now)
        .expect("a sound configuration");
    while !decisions.is_over() {
        let committed = replica.node().commit();
        let mark = replica.node().log().mark(committed);
        match decisions.below(10) {
            0 => {
                now += Span::from_ms(decisions.byte().into());
                replica.on_wake(now);
            }
            1 => {
                let tag = CommandTag {
                    kind: decisions.byte(),
                    session: SessionId(decisions.below(6) as u64),
                    sequence: decisions.below(6) as u64,
                    unanswered: decisions.below(6) as u64,
                };
                let len = decisions.below(40);
                let data = Bytes::copy_from_slice(decisions.take(len));
                let ask = match decisions.below(3) {
                    0 => Ask::Open,
                    1 => Ask::Read { query: data },
                    _ => Ask::Command { tag, data },
                };
                let origin = origin(decisions.byte().into());
                replica.on_request(now, Request { origin, ask });
            }
            _ => {
                let kind = decisions.below(9);
                let message = Message {
                    from: NodeId(decisions.below(4) as u32),
                    to: NodeId(0),
                    term: Term(term_near(&mut decisions, replica.node().hard_state().term.0)),
                    body: body(&mut decisions, kind),
                };
                let parsed = Message::parse(&message.to_bytes());
                if let Ok(message) = parsed {
                    replica.on_message(now, message);
                }
            }
        }
        while let Some(output) = replica.poll() {
            if let ReplicaOutput::Persist(write) = output {
                disk.push(write);
                let id = disk.sync_one().expect("the write");
                replica.on_persisted(now, id);
            }
        }
        let node = replica.node();
        assert!(node.commit() >= committed, "less is committed");
        if node.commit() == committed && node.log().base().index <= committed && mark.is_some() {
            assert_eq!(node.log().mark(committed), mark, "something else is committed");
        }
    }
    disk.stable()
        .check()
        .expect("a disk that a member can start from");
}

/// Entries that follow each other, votes, and noise.
pub fn member_seeds() -> Vec<Vec<u8>> {
    (0..8u8)
        .map(|seed| {
            let mut bytes = vec![seed % 2, seed / 2 % 2];
            for index in 0..12 {
                // An append from member 1 in the term of this one, or the next.
                bytes.extend([2, 4, 1, 1, index, 1, index, 1, 1 + seed % 3, 0, 0, 0]);
                bytes.extend(noise(seed.into(), 3));
            }
            bytes.extend([0, 250, 0, 250]);
            for _ in 0..4 {
                bytes.extend([2, 3, 1, 1, 1, 2, 3, 2, 1, 1]);
            }
            bytes.extend(noise(seed.into(), 60));
            bytes
        })
        .collect()
}

fn origin(request: u64) -> Origin {
    Origin {
        node: NodeId(0),
        client: 0,
        request,
    }
}

fn term_near(decisions: &mut Decisions<'_>, term: u64) -> u64 {
    match decisions.below(8) {
        0 => 1 << decisions.below(60),
        1 => term.saturating_sub(1),
        2 => term + 1,
        _ => term,
    }
}

fn body(decisions: &mut Decisions<'_>, kind: usize) -> Body {
    let mut index = || Index(decisions.below(12) as u64);
    match kind {
        0 | 2 => {
            let candidacy = Candidacy {
                last_index: index(),
                last_term: Term(decisions.below(6) as u64),
            };
            if kind == 0 {
                Body::PreVote(candidacy)
            } else {
                Body::Vote(candidacy)
            }
        }
        1 => Body::PreVoteAnswer {
            granted: decisions.below(2) == 1,
        },
        3 => Body::VoteAnswer {
            granted: decisions.below(2) == 1,
        },
        4 => {
            let (previous, commit) = (index(), index());
            let previous_term = Term(decisions.below(4) as u64);
            let mut term = previous_term.0;
            let entries = (1..=decisions.below(4) as u64).map(|offset| {
                term += decisions.below(2) as u64;
                let data = Bytes::copy_from_slice(decisions.take(3));
                let tag = CommandTag {
                    kind: 0,
                    session: SessionId(decisions.below(4) as u64),
                    sequence: decisions.below(4) as u64,
                    unanswered: decisions.below(4) as u64,
                };
                let kind = match decisions.below(4) {
                    0 => EntryKind::OpenSession,
                    1 => EntryKind::Noop,
                    _ => EntryKind::Command(tag),
                };
                let data = if matches!(kind, EntryKind::Command(_)) {
                    data
                } else {
                    Bytes::new()
                };
                Entry::new(Term(term), previous + offset, kind, data)
            });
            Body::Append(Append {
                previous,
                previous_term,
                commit,
                round: 1,
                entries: entries.collect(),
            })
        }
        5 | 6 => {
            let (first, second) = (index(), index());
            let outcome = match decisions.below(3) {
                0 | 1 => Outcome::Matches(first),
                _ => Outcome::Differs {
                    previous: first,
                    hint: second,
                    hint_term: Some(Term(decisions.below(4) as u64)).filter(|term| term.0 > 0),
                },
            };
            Body::AppendAnswer(AppendAnswer {
                round: decisions.byte().into(),
                outcome,
            })
        }
        7 => {
            let at = Mark {
                index: index(),
                term: Term(decisions.below(4) as u64),
                chain: decisions.below(2) as u64,
            };
            // A snapshot of no sessions and a sum, in two pieces, perhaps damaged.
            let mut state = vec![0; 16];
            state[15] = decisions.byte();
            state[decisions.below(16)] ^= decisions.below(2) as u8;
            let offset = decisions.below(2) as u64 * 8;
            Body::Snapshot(Chunk {
                at,
                total: 16,
                hash: *blake3::hash(&state).as_bytes(),
                offset,
                round: 1,
                data: Bytes::copy_from_slice(&state[offset as usize..offset as usize + 8]),
            })
        }
        _ => Body::SnapshotAnswer {
            index: index(),
            received: decisions.byte().into(),
        },
    }
}

/// A state machine that adds up bytes.
#[derive(Default)]
struct Sum(u64);

impl StateMachine for Sum {
    fn apply(&mut self, _kind: u8, command: &Bytes) -> Bytes {
        self.0 += command.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        Bytes::new()
    }

    fn query(&self, _query: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn digest(&self) -> u64 {
        self.0
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }

    fn restore(&mut self, snapshot: Bytes) -> Result<(), RestoreError> {
        let bytes = snapshot[..].try_into().map_err(|_| RestoreError)?;
        let sum = u64::from_be_bytes(bytes);
        // Sums that could overflow are no states.
        if sum > u64::MAX / 2 {
            return Err(RestoreError);
        }
        self.0 = sum;
        Ok(())
    }
}
