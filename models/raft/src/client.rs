//! A client: asks member after member until it has an answer. Each command has a number in the client's session, so
//! however often it is sent, it is applied once (thesis, sections 6.2 and 6.3).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use longhaul_core::time::{Instant, Span};

use crate::NodeId;
use crate::entry::{CommandTag, SessionId};
use crate::request::{Answer, Ask, Origin, Reply, Request};

/// How a client works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientConfig {
    /// Where it is. If that is a member, it is asked first.
    pub home: NodeId,
    /// Its number among the clients there.
    pub client: u32,
    /// All members.
    pub members: Vec<NodeId>,
    /// After this long without an answer it asks the next member. At least 1 ns.
    pub patience: Span,
    /// After this long it gives up, if ever.
    pub give_up: Option<Span>,
    /// Commands and reads that are under way at a time; more wait. At most the window of the members' sessions.
    pub window: usize,
    /// Commands and reads that may wait; more are refused.
    pub room: usize,
}

/// Names a command or read of a client, in the order in which they were given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticket(pub u64);

/// What a client wants done, or reports.
#[derive(Clone, PartialEq, Debug)]
pub enum ClientOutput {
    /// Bring this request to a member.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        request: Request,
    },
    /// A command was applied, or a read answered.
    Done {
        /// Which one.
        ticket: Ticket,
        /// The state machine's answer.
        data: Bytes,
    },
    /// It will not be asked again.
    Failed {
        /// Which one.
        ticket: Ticket,
        /// Why.
        error: ClientError,
    },
}

/// Why a client gave up. A command may have been applied, once, except where it says otherwise.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// Time is up.
    #[error("no answer within {} s; silent: {}", .after.as_s_f64(), names(.silent))]
    Timeout {
        /// How long.
        after: Span,
        /// The members that were asked and said nothing.
        silent: Vec<NodeId>,
    },
    /// The members have forgotten the session.
    #[error("the session has expired")]
    Expired,
    /// The command is too long. It was not applied.
    #[error("the command is too long")]
    TooLong,
    /// Too many wait already. It was not applied.
    #[error("too many commands and reads wait")]
    Full,
}

fn names(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[derive(Clone, Debug)]
enum What {
    Open,
    /// Its session and number are given when it leaves.
    Command {
        kind: u8,
        data: Bytes,
        session: SessionId,
        sequence: u64,
    },
    Read {
        query: Bytes,
    },
}

#[derive(Debug)]
struct Pending {
    what: What,
    given: Instant,
    /// The request that an answer must name.
    request: u64,
    asked: NodeId,
    ask_again: Instant,
    /// How often in a row it was sent on to somebody else.
    sent_on: usize,
    /// Who was asked and has not said anything.
    silent: BTreeSet<NodeId>,
}

/// A client. Driven like a machine: feed `on_…`, drain `poll`, wake it at `wake_at`.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    /// Whom it asks first: who answered last, or is said to lead.
    favourite: NodeId,
    session: Option<SessionId>,
    next_ticket: u64,
    next_sequence: u64,
    next_request: u64,
    waiting: VecDeque<(Ticket, What, Instant)>,
    /// Under way; the session's opening has no ticket and is kept apart.
    pending: BTreeMap<Ticket, Pending>,
    opening: Option<Pending>,
    by_request: BTreeMap<u64, Option<Ticket>>,
    outputs: VecDeque<ClientOutput>,
    retries: u64,
}

impl Client {
    /// A client that has not asked for anything.
    ///
    /// # Panics
    /// If there are no members, or the window is 0.
    pub fn new(config: ClientConfig) -> Client {
        assert!(!config.members.is_empty() && config.window > 0);
        let at_home = config.members.contains(&config.home);
        Client {
            favourite: if at_home { config.home } else { config.members[0] },
            config,
            session: None,
            next_ticket: 1,
            next_sequence: 1,
            next_request: 1,
            waiting: VecDeque::new(),
            pending: BTreeMap::new(),
            opening: None,
            by_request: BTreeMap::new(),
            outputs: VecDeque::new(),
            retries: 0,
        }
    }

    /// Asks that a command be applied.
    ///
    /// # Errors
    /// [`ClientError::Full`]
    pub fn command(&mut self, now: Instant, kind: u8, data: Bytes) -> Result<Ticket, ClientError> {
        let (session, sequence) = (SessionId::NONE, 0);
        let command = What::Command {
            kind,
            data,
            session,
            sequence,
        };
        self.give(now, command)
    }

    /// Asks what the state is.
    ///
    /// # Errors
    /// [`ClientError::Full`]
    pub fn read(&mut self, now: Instant, query: Bytes) -> Result<Ticket, ClientError> {
        self.give(now, What::Read { query })
    }

    /// Commands and reads that have no answer yet.
    pub fn unanswered(&self) -> usize {
        self.waiting.len() + self.pending.len()
    }

    /// How often it asked again.
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// An answer arrived.
    pub fn on_answer(&mut self, now: Instant, answer: Answer) {
        if (answer.to.node, answer.to.client) != (self.config.home, self.config.client) {
            return;
        }
        // An answer to a request that was repeated since is as good, but its name is gone; the repetition brings it.
        let Some(ticket) = self.by_request.remove(&answer.to.request) else {
            return;
        };
        let pending = match ticket {
            None => self.opening.take(),
            Some(ticket) => self.pending.remove(&ticket),
        };
        let Some(mut pending) = pending else { return };
        pending.silent.remove(&pending.asked);
        match answer.reply {
            Reply::Opened { session } if ticket.is_none() => {
                self.favourite = pending.asked;
                self.session = Some(session);
                self.next_sequence = 1;
            }
            Reply::Done { data } if ticket.is_some() => {
                self.favourite = pending.asked;
                let ticket = ticket.expect("a ticket");
                self.outputs.push_back(ClientOutput::Done { ticket, data });
            }
            Reply::NotLeader { leader: Some(leader) }
                if leader != pending.asked && pending.sent_on < self.config.members.len() =>
            {
                self.favourite = leader;
                pending.sent_on += 1;
                self.ask(now, ticket, pending, leader);
            }
            // Nobody knows better: the next one, when patience ends.
            Reply::NotLeader { .. } | Reply::Busy => self.keep(ticket, pending),
            Reply::Expired => {
                self.fail(ticket, ClientError::Expired);
                self.forget_session(&pending.what);
            }
            Reply::TooLong => self.fail(ticket, ClientError::TooLong),
            Reply::Opened { .. } | Reply::Done { .. } => self.keep(ticket, pending),
        }
        self.fill(now);
    }

    /// The time that [`Client::wake_at`] named has come, or some other.
    pub fn on_wake(&mut self, now: Instant) {
        let due: Vec<Option<Ticket>> = self
            .everything()
            .filter(|(_, pending)| self.due(pending) <= now)
            .map(|(ticket, _)| ticket)
            .collect();
        for ticket in due {
            let pending = match ticket {
                None => self.opening.take(),
                Some(ticket) => self.pending.remove(&ticket),
            };
            let Some(pending) = pending else { continue };
            self.by_request.remove(&pending.request);
            let over = self.give_up_at(pending.given).is_some_and(|end| end <= now);
            if over && ticket.is_some() {
                let error = self.timeout(&pending.silent);
                self.fail(ticket, error);
            } else if over {
                // Nobody waits for a session as such; those who do give up themselves.
                continue;
            } else {
                let next = self.after(pending.asked);
                if self.favourite == pending.asked {
                    self.favourite = next;
                }
                self.retries += 1;
                self.ask(
                    now,
                    ticket,
                    Pending {
                        sent_on: 0,
                        ..pending
                    },
                    next,
                );
            }
        }
        let silent = self.opening.as_ref().map(|opening| opening.silent.clone());
        while let Some((_, _, given)) = self.waiting.front()
            && self.give_up_at(*given).is_some_and(|end| end <= now)
        {
            let (ticket, ..) = self.waiting.pop_front().expect("the front");
            let error = self.timeout(silent.as_ref().unwrap_or(&BTreeSet::new()));
            self.fail(Some(ticket), error);
        }
        self.fill(now);
    }

    /// What it wants done next.
    pub fn poll(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    /// When it wants to be woken.
    pub fn wake_at(&self) -> Option<Instant> {
        let waiting = self.waiting.front();
        let waiting = waiting.and_then(|(_, _, given)| self.give_up_at(*given));
        let pending = self.everything().map(|(_, pending)| self.due(pending));
        pending.chain(waiting).min()
    }

    fn everything(&self) -> impl Iterator<Item = (Option<Ticket>, &Pending)> {
        let pending = self
            .pending
            .iter()
            .map(|(ticket, pending)| (Some(*ticket), pending));
        self.opening.iter().map(|opening| (None, opening)).chain(pending)
    }

    fn due(&self, pending: &Pending) -> Instant {
        let end = self.give_up_at(pending.given).unwrap_or(Instant::MAX);
        pending.ask_again.min(end)
    }

    fn give_up_at(&self, given: Instant) -> Option<Instant> {
        self.config.give_up.map(|span| given.saturating_add(span))
    }

    fn timeout(&self, silent: &BTreeSet<NodeId>) -> ClientError {
        ClientError::Timeout {
            after: self.config.give_up.expect("time is up for those who have one"),
            silent: silent.iter().copied().collect(),
        }
    }

    fn give(&mut self, now: Instant, what: What) -> Result<Ticket, ClientError> {
        if self.waiting.len() >= self.config.room {
            return Err(ClientError::Full);
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.push_back((ticket, what, now));
        self.fill(now);
        Ok(ticket)
    }

    /// The session is gone, and with it the knowledge which of its commands were applied: none may be sent in another.
    fn forget_session(&mut self, of: &What) {
        let What::Command { session: gone, .. } = of else {
            return;
        };
        if self.session == Some(*gone) {
            self.session = None;
        }
        let lost = self.pending.extract_if(
            ..,
            |_, pending| matches!(pending.what, What::Command { session, .. } if session == *gone),
        );
        let lost: Vec<(Ticket, Pending)> = lost.collect();
        for (ticket, pending) in lost {
            self.by_request.remove(&pending.request);
            self.fail(Some(ticket), ClientError::Expired);
        }
    }

    /// Asks for what waits, as far as the window and the session allow.
    fn fill(&mut self, now: Instant) {
        if self.session.is_none() {
            let needed = self
                .waiting
                .iter()
                .any(|(_, what, _)| matches!(what, What::Command { .. }));
            if needed && self.opening.is_none() {
                let pending = self.pending(What::Open, now);
                self.ask(now, None, pending, self.favourite);
            }
        }
        while self.pending.len() < self.config.window {
            let ready = self
                .waiting
                .front()
                .is_some_and(|(_, what, _)| self.session.is_some() || matches!(what, What::Read { .. }));
            if !ready || !self.has_room() {
                return;
            }
            let (ticket, mut what, given) = self.waiting.pop_front().expect("the front");
            if let What::Command {
                session, sequence, ..
            } = &mut what
            {
                *session = self.session.expect("it is ready");
                *sequence = self.next_sequence;
                self.next_sequence += 1;
            }
            let pending = self.pending(what, given);
            self.ask(now, Some(ticket), pending, self.favourite);
        }
    }

    /// Whether the next command's number is within the window that members keep answers for.
    fn has_room(&self) -> bool {
        self.next_sequence - self.lowest_unanswered() < self.config.window as u64
    }

    fn lowest_unanswered(&self) -> u64 {
        let sequences = self.pending.values().filter_map(|pending| match pending.what {
            What::Command { sequence, .. } => Some(sequence),
            What::Open | What::Read { .. } => None,
        });
        sequences.min().unwrap_or(self.next_sequence)
    }

    fn pending(&self, what: What, given: Instant) -> Pending {
        Pending {
            what,
            given,
            request: 0,
            asked: self.favourite,
            ask_again: given,
            sent_on: 0,
            silent: BTreeSet::new(),
        }
    }

    fn ask(&mut self, now: Instant, ticket: Option<Ticket>, mut pending: Pending, to: NodeId) {
        let request = self.next_request;
        self.next_request += 1;
        pending.request = request;
        pending.asked = to;
        pending.ask_again = now.saturating_add(self.config.patience);
        pending.silent.insert(to);
        let what = pending.what.clone();
        self.keep(ticket, pending);
        let ask = match what {
            What::Open => Ask::Open,
            What::Read { query } => Ask::Read { query },
            What::Command {
                kind,
                data,
                session,
                sequence,
            } => Ask::Command {
                tag: CommandTag {
                    kind,
                    session,
                    sequence,
                    unanswered: self.lowest_unanswered(),
                },
                data,
            },
        };
        let origin = Origin {
            node: self.config.home,
            client: self.config.client,
            request,
        };
        let request = Request { origin, ask };
        self.outputs.push_back(ClientOutput::Send { to, request });
    }

    fn keep(&mut self, ticket: Option<Ticket>, pending: Pending) {
        self.by_request.insert(pending.request, ticket);
        match ticket {
            None => self.opening = Some(pending),
            Some(ticket) => {
                self.pending.insert(ticket, pending);
            }
        }
    }

    fn fail(&mut self, ticket: Option<Ticket>, error: ClientError) {
        if let Some(ticket) = ticket {
            self.outputs.push_back(ClientOutput::Failed { ticket, error });
        }
    }

    fn after(&self, node: NodeId) -> NodeId {
        let members = &self.config.members;
        let position = members.iter().position(|member| *member == node);
        members[position.map_or(0, |position| (position + 1) % members.len())]
    }
}

#[cfg(test)]
mod tests;
