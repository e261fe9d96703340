//! Single nodes, told what arrives: batches, votes on disk, the paper's figure 8, and messages that make no sense.

use bytes::Bytes;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};

use crate::disk::Disk;
use crate::entry::CommandTag;
use crate::event::Refusal;
use crate::log::Mark;
use crate::message::{Append, AppendAnswer, Body, Candidacy, Chunk, Outcome};
use crate::node::{ProposeError, Role};
use crate::stable::Stable;
use crate::{Config, Entry, EntryKind, Event, Index, Message, Node, NodeId, Output, Term};

const COMMAND: EntryKind = EntryKind::Command(CommandTag {
    kind: 0,
    session: crate::entry::SessionId::NONE,
    sequence: 0,
    unanswered: 0,
});

/// A node with a disk that takes no time.
struct Bench {
    node: Node,
    disk: Disk,
    now: Instant,
    sent: Vec<Message>,
    events: Vec<Event>,
}

impl Bench {
    /// Member `id` of `members`, without pre-vote, with what survived.
    fn new(id: u32, members: u32, stable: Stable) -> Bench {
        let config = Config {
            pre_vote: false,
            check_quorum: false,
            ..Config::new(NodeId(id), (0..members).map(NodeId).collect(), Span::from_ms(100))
        };
        let random = Streams::new(7, 0).stream("member", "elections");
        let node = Node::new(config, &stable, random, Instant::ZERO).expect("a sound start");
        Bench {
            node,
            disk: Disk::new(stable),
            now: Instant::ZERO,
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll() {
            match output {
                Output::Persist(write) => {
                    self.disk.push(write);
                    let id = self.disk.sync_one().expect("the write");
                    self.node.on_persisted(self.now, id);
                }
                Output::Send(message) => self.sent.push(message),
                Output::Event(event) => self.events.push(event),
                Output::Offer { .. } => self.node.install(self.now),
                _ => {}
            }
        }
    }

    fn hear(&mut self, from: u32, term: u64, body: Body) -> Vec<Message> {
        let message = Message {
            from: NodeId(from),
            to: self.node.config().id,
            term: Term(term),
            body,
        };
        self.node.on_message(self.now, message);
        self.drain();
        std::mem::take(&mut self.sent)
    }

    /// Campaigns and gets the votes of the others.
    fn win(&mut self) -> Vec<Message> {
        self.now = self.node.wake_at().0;
        self.node.on_wake(self.now);
        self.drain();
        let term = self.node.hard_state().term.0;
        let voters: Vec<NodeId> = self.node.config().peers().collect();
        let mut sent = Vec::new();
        for voter in voters {
            sent.extend(self.hear(voter.0, term, Body::VoteAnswer { granted: true }));
        }
        assert_eq!(self.node.role(), Role::Leader);
        sent
    }
}

fn entry(term: u64, index: u64) -> Entry {
    Entry::new(Term(term), Index(index), COMMAND, Bytes::from_static(b"command"))
}

fn append(previous: (u64, u64), commit: u64, entries: Vec<Entry>) -> Body {
    Body::Append(Append {
        previous: Index(previous.0),
        previous_term: Term(previous.1),
        commit: Index(commit),
        round: 0,
        entries,
    })
}

fn matches(index: u64) -> Body {
    Body::AppendAnswer(AppendAnswer {
        round: 0,
        outcome: Outcome::Matches(Index(index)),
    })
}

/// Entries of each message that has some.
fn batches(sent: &[Message]) -> Vec<usize> {
    let appends = sent.iter().filter_map(|message| match &message.body {
        Body::Append(append) if !append.entries.is_empty() => Some(append.entries.len()),
        _ => None,
    });
    appends.collect()
}

#[test]
fn a_hundred_commands_are_a_batch_and_fewer_wait_ten_milliseconds() {
    let mut bench = Bench::new(0, 2, Stable::default());
    bench.win();
    bench.hear(1, 1, matches(1));
    for _ in 0..250 {
        let proposed = bench.node.propose(bench.now, COMMAND, Bytes::from_static(b"x"));
        assert!(proposed.is_ok());
        bench.drain();
    }
    assert_eq!(batches(&std::mem::take(&mut bench.sent)), [100, 100]);
    let due = bench.now + Span::from_ms(10);
    assert!(bench.node.wake_at().0 <= due);
    bench.now = due;
    bench.node.on_wake(bench.now);
    bench.drain();
    assert_eq!(batches(&bench.sent), [50]);
}

#[test]
fn a_vote_is_remembered_across_a_crash() {
    let mut bench = Bench::new(0, 3, Stable::default());
    let candidacy = Candidacy {
        last_index: Index(0),
        last_term: Term(0),
    };
    let answer = |sent: Vec<Message>| sent.into_iter().map(|message| message.body).collect::<Vec<_>>();
    let yes = answer(bench.hear(1, 5, Body::Vote(candidacy)));
    assert_eq!(yes, [Body::VoteAnswer { granted: true }]);
    let mut again = Bench::new(0, 3, bench.disk.stable().clone());
    let no = answer(again.hear(2, 5, Body::Vote(candidacy)));
    assert_eq!(no, [Body::VoteAnswer { granted: false }]);
    let same = answer(again.hear(1, 5, Body::Vote(candidacy)));
    assert_eq!(same, [Body::VoteAnswer { granted: true }]);
}

#[test]
fn nothing_is_acknowledged_before_it_is_on_disk() {
    let mut bench = Bench::new(0, 3, Stable::default());
    let message = Message {
        from: NodeId(1),
        to: NodeId(0),
        term: Term(1),
        body: append((0, 0), 0, vec![entry(1, 1)]),
    };
    bench.node.on_message(bench.now, message);
    let mut write = None;
    while let Some(output) = bench.node.poll() {
        match output {
            Output::Persist(it) => write = Some(it),
            Output::Send(message) => panic!("{message:?} before the write"),
            _ => {}
        }
    }
    let write = write.expect("a write");
    assert_eq!(
        (write.hard_state.map(|hard| hard.term), write.entries.len()),
        (Some(Term(1)), 1)
    );
    bench.node.on_persisted(bench.now, write.id);
    bench.drain();
    assert_eq!(bench.sent[0].body, matches(1));
}

/// The paper's figure 8: an entry of an earlier term on a majority is not committed until one of the own term is.
#[test]
fn an_entry_of_an_earlier_term_is_not_committed_by_counting() {
    let mut stable = Stable::default();
    stable.hard_state.term = Term(2);
    stable.log.append(entry(1, 1));
    stable.log.append(entry(2, 2));
    let mut bench = Bench::new(0, 5, stable);
    bench.win();
    let term = bench.node.hard_state().term.0;
    assert_eq!(
        bench.node.log().last().index,
        Index(3),
        "with the new leader's own entry"
    );
    // Index 2, of term 2, is on three of five.
    bench.hear(1, term, matches(2));
    bench.hear(2, term, matches(2));
    assert_eq!(bench.node.commit(), Index(0));
    // With index 3, of its own term, all before it are committed.
    bench.hear(1, term, matches(3));
    bench.hear(2, term, matches(3));
    assert_eq!(bench.node.commit(), Index(3));
}

#[test]
fn a_leader_skips_a_whole_term_for_each_answer() {
    // The leader has 1,000 entries of term 9; the follower has 300 of each of terms 4, 5 and 6 instead.
    let mut stable = Stable::default();
    stable.hard_state.term = Term(9);
    for index in 1..=1_000 {
        stable.log.append(entry(9, index));
    }
    let mut leader = Bench::new(0, 2, stable);
    let mut stable = Stable::default();
    stable.hard_state.term = Term(9);
    for index in 1..=900 {
        stable.log.append(entry(4 + (index - 1) / 300, index));
    }
    let mut follower = Bench::new(1, 2, stable);
    let mut waiting = leader.win();
    let term = leader.node.hard_state().term.0;
    let mut refusals = 0;
    while !waiting.is_empty() {
        let mut answers = Vec::new();
        for message in waiting {
            answers.extend(follower.hear(0, term, message.body));
        }
        waiting = Vec::new();
        for answer in answers {
            let differs = matches!(
                answer.body,
                Body::AppendAnswer(AppendAnswer {
                    outcome: Outcome::Differs { .. },
                    ..
                })
            );
            refusals += u32::from(differs);
            waiting.extend(leader.hear(1, term, answer.body));
        }
    }
    assert_eq!(follower.node.log().last(), leader.node.log().last());
    assert!((3..=5).contains(&refusals), "{refusals} refusals");
}

#[test]
fn what_contradicts_is_refused_and_changes_nothing() {
    let mut bench = Bench::new(0, 3, Stable::default());
    bench.hear(
        1,
        3,
        append((0, 0), 2, vec![entry(1, 1), entry(1, 2), entry(2, 3)]),
    );
    let last = bench.node.log().last();
    let chunk = |at, total| {
        Body::Snapshot(Chunk {
            at,
            total,
            hash: [0; 32],
            offset: 0,
            round: 0,
            data: Bytes::from_static(b"state"),
        })
    };
    let far = Mark {
        index: Index(50),
        term: Term(3),
        chain: 0,
    };
    let cases = [
        (2, 3, append((0, 0), 0, vec![]), Refusal::SecondLeader),
        (7, 9, append((0, 0), 0, vec![]), Refusal::Stranger),
        (1, 3, append((1, 1), 0, vec![entry(3, 2)]), Refusal::Contradiction),
        (1, 3, append((2, 2), 0, vec![]), Refusal::Contradiction),
        (1, 3, append((3, 2), 0, vec![entry(4, 4)]), Refusal::Nonexistent),
        (1, 3, chunk(far, u64::MAX / 2), Refusal::SnapshotTooLong),
        (1, 3, chunk(far, 5), Refusal::SnapshotHash),
    ];
    for (from, term, body, why) in cases {
        bench.events.clear();
        bench.hear(from, term, body);
        assert!(
            matches!(bench.events[..], [Event::Refused { why: found, .. }] if found == why),
            "{why:?}: {:?}",
            bench.events
        );
        assert_eq!((bench.node.log().last(), bench.node.commit()), (last, Index(2)));
    }
    assert_eq!(
        bench.node.propose(bench.now, COMMAND, Bytes::new()),
        Err(ProposeError::NotLeader {
            leader: Some(NodeId(1))
        })
    );
}

/// Whatever well-formed messages come in whatever order: no panic, and what was committed stays.
#[test]
fn any_message_at_any_time_is_survived() {
    let mut random = Streams::new(99, 0).stream("messages", "any");
    for _ in 0..60 {
        let mut bench = Bench::new(0, 3, Stable::default());
        for _ in 0..1_500 {
            let small = |random: &mut longhaul_core::random::Stream| random.below(9);
            let body = match random.below(10) {
                0 => Body::PreVote(Candidacy {
                    last_index: Index(small(&mut random)),
                    last_term: Term(small(&mut random)),
                }),
                1 => Body::PreVoteAnswer {
                    granted: random.below(2) == 0,
                },
                2 => Body::Vote(Candidacy {
                    last_index: Index(small(&mut random)),
                    last_term: Term(small(&mut random)),
                }),
                3 => Body::VoteAnswer {
                    granted: random.below(4) > 0,
                },
                4..=6 => {
                    let (previous, mut term) = (small(&mut random), small(&mut random));
                    let first_term = term;
                    let entries = (0..random.below(4)).map(|offset| {
                        term += random.below(2);
                        entry(term, previous + 1 + offset)
                    });
                    let entries = entries.collect();
                    append((previous, first_term), small(&mut random), entries)
                }
                7 => Body::AppendAnswer(AppendAnswer {
                    round: small(&mut random),
                    outcome: match random.below(2) {
                        0 => Outcome::Matches(Index(small(&mut random))),
                        _ => Outcome::Differs {
                            previous: Index(small(&mut random)),
                            hint: Index(small(&mut random)),
                            hint_term: Some(Term(random.below(5))).filter(|term| term.0 > 0),
                        },
                    },
                }),
                8 => {
                    let data = Bytes::from_static(b"whatever state");
                    Body::Snapshot(Chunk {
                        at: Mark {
                            index: Index(small(&mut random)),
                            term: Term(small(&mut random)),
                            chain: random.below(2),
                        },
                        total: data.len() as u64,
                        hash: *blake3::hash(&data).as_bytes(),
                        offset: 0,
                        round: small(&mut random),
                        data,
                    })
                }
                _ => Body::SnapshotAnswer {
                    index: Index(small(&mut random)),
                    received: small(&mut random),
                },
            };
            let committed = bench.node.commit();
            let kept = bench.node.log().mark(committed);
            let term = bench.node.hard_state().term.0 + random.below(3);
            bench.hear(random.below(4) as u32, term.saturating_sub(1), body);
            if random.below(8) == 0 {
                bench.now += Span::from_ms(random.below(150));
                bench.node.on_wake(bench.now);
                bench.drain();
            }
            if random.below(20) == 0 {
                let _ = bench.node.propose(bench.now, COMMAND, Bytes::from_static(b"own"));
                bench.drain();
            }
            assert!(bench.node.commit() >= committed);
            if bench.node.log().base().index <= committed && bench.node.commit() == committed {
                assert_eq!(bench.node.log().mark(committed), kept);
            }
        }
        assert_eq!(bench.disk.stable().check(), Ok(()));
    }
}
