//! Client sessions: a command that is in the log twice, because its client tried again, is applied once (thesis,
//! section 6.3). Sessions are part of the replicated state: all members agree on them.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};

use crate::Index;
use crate::entry::{CommandTag, SessionId};

/// The bounds of a session table. All members must have the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionLimits {
    /// Sessions that are remembered; opening another forgets the one that was not used for the longest time.
    pub sessions: usize,
    /// How far the number of a command may be beyond the lowest that its client has no answer to: so many answers are
    /// kept.
    pub window: u64,
}

impl Default for SessionLimits {
    /// 1,024 sessions of 1,024 answers.
    fn default() -> SessionLimits {
        SessionLimits {
            sessions: 1_024,
            window: 1_024,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Session {
    last_used: Index,
    unanswered: u64,
    answers: BTreeMap<u64, Bytes>,
}

/// Who has a session, and the answers that may have to be given again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sessions {
    limits: SessionLimits,
    open: BTreeMap<SessionId, Session>,
}

/// Whether a command is to be applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    /// For the first time: apply it.
    Fresh,
    /// It was applied before, with this answer.
    Repeat(Bytes),
    /// It was answered long ago, and the client said that it knows.
    Forgotten,
    /// There is no such session, or no longer.
    Expired,
    /// Its number is beyond the window.
    TooFarAhead,
}

/// Why bytes are no session table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a damaged session table")]
pub struct SessionsError;

impl Sessions {
    /// A table without sessions.
    pub fn new(limits: SessionLimits) -> Sessions {
        Sessions {
            limits,
            open: BTreeMap::new(),
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens the session that has the name of its entry's index.
    pub fn open(&mut self, index: Index) -> SessionId {
        while self.open.len() >= self.limits.sessions.max(1) {
            let oldest = self
                .open
                .iter()
                .min_by_key(|(id, session)| (session.last_used, **id));
            let oldest = *oldest.expect("a full table").0;
            self.open.remove(&oldest);
        }
        let session = Session {
            last_used: index,
            unanswered: 1,
            answers: BTreeMap::new(),
        };
        self.open.insert(SessionId(index.0), session);
        SessionId(index.0)
    }

    /// Whether a command at this index is to be applied. If it is fresh, its answer must be [noted](Sessions::note).
    pub fn admit(&mut self, index: Index, tag: &CommandTag) -> Admission {
        if tag.session == SessionId::NONE {
            return Admission::Fresh;
        }
        let Some(session) = self.open.get_mut(&tag.session) else {
            return Admission::Expired;
        };
        session.last_used = index;
        // A copy that was long on its way does not take back what the client has said since.
        if tag.unanswered > session.unanswered {
            session.unanswered = tag.unanswered;
            session.answers = session.answers.split_off(&tag.unanswered);
        }
        if tag.sequence < session.unanswered {
            return Admission::Forgotten;
        }
        if let Some(answer) = session.answers.get(&tag.sequence) {
            return Admission::Repeat(answer.clone());
        }
        if tag.sequence - session.unanswered >= self.limits.window {
            return Admission::TooFarAhead;
        }
        Admission::Fresh
    }

    /// The answer to a command that was fresh.
    pub fn note(&mut self, tag: &CommandTag, answer: &Bytes) {
        if let Some(session) = self.open.get_mut(&tag.session) {
            session.answers.insert(tag.sequence, answer.clone());
        }
    }

    /// Appends the table's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.open.len() as u64);
        for (id, session) in &self.open {
            out.put_u64(id.0);
            out.put_u64(session.last_used.0);
            out.put_u64(session.unanswered);
            out.put_u64(session.answers.len() as u64);
            for (sequence, answer) in &session.answers {
                out.put_u64(*sequence);
                out.put_u64(answer.len() as u64);
                out.put_slice(answer);
            }
        }
    }

    /// Cuts a table off the front of `bytes`.
    ///
    /// # Errors
    /// [`SessionsError`]
    pub fn take(limits: SessionLimits, bytes: &mut Bytes) -> Result<Sessions, SessionsError> {
        fn u64(bytes: &mut Bytes) -> Result<u64, SessionsError> {
            bytes.try_get_u64().map_err(|_| SessionsError)
        }
        let mut table = Sessions::new(limits);
        for _ in 0..u64(bytes)? {
            let id = SessionId(u64(bytes)?);
            let mut session = Session {
                last_used: Index(u64(bytes)?),
                unanswered: u64(bytes)?,
                answers: BTreeMap::new(),
            };
            for _ in 0..u64(bytes)? {
                let sequence = u64(bytes)?;
                let length = usize::try_from(u64(bytes)?).map_err(|_| SessionsError)?;
                if length > bytes.len() {
                    return Err(SessionsError);
                }
                session.answers.insert(sequence, bytes.split_to(length));
            }
            table.open.insert(id, session);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(session: SessionId, sequence: u64, unanswered: u64) -> CommandTag {
        CommandTag {
            kind: 0,
            session,
            sequence,
            unanswered,
        }
    }

    #[test]
    fn a_repeated_command_gets_its_answer_again_until_the_client_has_it() {
        let mut sessions = Sessions::new(SessionLimits::default());
        let id = sessions.open(Index(5));
        let (first, second) = (tag(id, 1, 1), tag(id, 2, 1));
        let answer = Bytes::from_static(b"one");
        assert_eq!(sessions.admit(Index(6), &first), Admission::Fresh);
        sessions.note(&first, &answer);
        assert_eq!(sessions.admit(Index(7), &first), Admission::Repeat(answer));
        assert_eq!(sessions.admit(Index(8), &second), Admission::Fresh);
        assert_eq!(sessions.admit(Index(9), &tag(id, 3, 3)), Admission::Fresh);
        assert_eq!(sessions.admit(Index(10), &first), Admission::Forgotten);
        // An old copy of the second command, with the old mark, changes nothing.
        assert_eq!(sessions.admit(Index(11), &second), Admission::Forgotten);
    }

    #[test]
    fn sessions_and_answers_are_bounded() {
        let limits = SessionLimits {
            sessions: 2,
            window: 3,
        };
        let mut sessions = Sessions::new(limits);
        let (a, b) = (sessions.open(Index(1)), sessions.open(Index(2)));
        assert_eq!(sessions.admit(Index(3), &tag(a, 4, 1)), Admission::TooFarAhead);
        assert_eq!(sessions.admit(Index(4), &tag(a, 3, 1)), Admission::Fresh);
        let c = sessions.open(Index(5));
        assert_eq!(sessions.admit(Index(6), &tag(b, 1, 1)), Admission::Expired);
        assert_eq!((sessions.len(), c), (2, SessionId(5)));
    }

    #[test]
    fn a_table_survives_its_bytes_and_damage_is_an_error() {
        let mut sessions = Sessions::new(SessionLimits::default());
        let id = sessions.open(Index(5));
        assert_eq!(sessions.admit(Index(6), &tag(id, 1, 1)), Admission::Fresh);
        sessions.note(&tag(id, 1, 1), &Bytes::from_static(b"answer"));
        let mut bytes = Vec::new();
        sessions.encode(&mut bytes);
        let whole = Bytes::from(bytes);
        let read = |mut bytes: Bytes| Sessions::take(SessionLimits::default(), &mut bytes);
        assert_eq!(read(whole.clone()), Ok(sessions));
        for len in 0..whole.len() {
            assert_eq!(read(whole.slice(..len)), Err(SessionsError));
        }
    }
}
