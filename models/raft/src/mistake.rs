//! Mistakes that a node can be told to make, in this crate's own tests alone: what a checker cannot catch it does not
//! check.

/// A classical way to get Raft wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mistake {
    /// Votes for everybody who asks, also twice in a term.
    VotesTwice,
    /// Votes without comparing logs.
    VotesForShorterLogs,
    /// Takes an entry for committed that no quorum has.
    CommitsAlone,
    /// Takes entries of earlier terms for committed because a quorum has them (the paper's figure 8).
    CommitsEarlierTerms,
    /// Votes and acknowledges before that is durable.
    AnswersBeforeWriting,
    /// Appends without comparing what the entries follow.
    AppendsBlindly,
    /// Keeps its own entries where the leader has others.
    KeepsConflicts,
    /// Answers reads without asking whether it still leads.
    ReadsAlone,
    /// Takes its own clock for the clock of all.
    TrustsClocks,
    /// Applies a command each time that it is in the log.
    AppliesRepeats,
    /// Takes snapshots without the sessions.
    ForgetsSessions,
}

/// Which mistake a node makes, if any.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Mistakes {
    #[cfg(test)]
    pub mistake: Option<Mistake>,
}

impl Mistakes {
    /// Whether it makes this one. Outside this crate's tests never, and the compiler knows.
    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, reason = "it has something in it in tests alone")
    )]
    pub fn include(self, mistake: Mistake) -> bool {
        #[cfg(test)]
        return self.mistake == Some(mistake);
        #[cfg(not(test))]
        {
            let _ = mistake;
            false
        }
    }
}
