//! Each classical mistake is found: what the checker does not catch it does not check.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::schedule::{isolate_leaders, run};
use super::world::Failure;
use crate::check::Violation;
use crate::mistake::Mistake;

/// The first failure that a mistake leads to within 300 schedules.
fn found(mistake: Mistake, run: impl Fn(u64, Option<Mistake>) -> Option<Failure>) -> Failure {
    for seed in 0..300 {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, Some(mistake))));
        // Sometimes an assertion of the node itself is first to notice; the checker is what is tried here.
        if let Ok(Some(failure @ (Failure::Unsafe(_) | Failure::NotLinearizable { .. }))) = outcome {
            println!("{mistake:?} in schedule {seed}: {failure:?}");
            return failure;
        }
    }
    panic!("{mistake:?} goes unnoticed");
}

fn in_random_schedules(mistake: Mistake) -> Failure {
    found(mistake, |seed, mistake| run(seed, mistake).err())
}

#[test]
fn wrong_votes_are_found() {
    assert!(matches!(
        in_random_schedules(Mistake::VotesTwice),
        Failure::Unsafe(Violation::TwoVotes(..) | Violation::TwoLeaders(..))
    ));
    assert!(matches!(
        in_random_schedules(Mistake::VotesForShorterLogs),
        Failure::Unsafe(Violation::Incomplete(..) | Violation::CommittedTwice(..))
    ));
}

#[test]
fn wrong_commitment_is_found() {
    assert!(matches!(
        in_random_schedules(Mistake::CommitsAlone),
        Failure::Unsafe(Violation::NotDurable(..))
    ));
    assert!(matches!(
        in_random_schedules(Mistake::CommitsEarlierTerms),
        Failure::Unsafe(Violation::EarlierTerm(..))
    ));
    assert!(matches!(
        in_random_schedules(Mistake::AnswersBeforeWriting),
        Failure::Unsafe(_)
    ));
}

#[test]
fn wrong_logs_are_found() {
    for mistake in [Mistake::AppendsBlindly, Mistake::KeepsConflicts] {
        assert!(matches!(
            in_random_schedules(mistake),
            Failure::Unsafe(Violation::LogMatching(..) | Violation::CommittedTwice(..))
        ));
    }
}

#[test]
fn commands_applied_twice_are_found() {
    assert!(matches!(
        in_random_schedules(Mistake::AppliesRepeats),
        Failure::NotLinearizable { .. }
    ));
    assert!(matches!(
        in_random_schedules(Mistake::ForgetsSessions),
        Failure::Unsafe(Violation::StatesDiffer(..)) | Failure::NotLinearizable { .. }
    ));
}

#[test]
fn stale_reads_are_found() {
    for (mistake, lease) in [(Mistake::ReadsAlone, false), (Mistake::TrustsClocks, true)] {
        let run = |seed, mistake| isolate_leaders(seed, lease, mistake).err();
        assert!(matches!(found(mistake, run), Failure::NotLinearizable { .. }));
    }
}

#[test]
fn without_a_mistake_reads_are_never_stale() {
    for seed in 0..10 {
        for lease in [false, true] {
            let terms = isolate_leaders(seed, lease, None);
            assert!(matches!(terms, Ok(5..)), "seed {seed}, lease {lease}: {terms:?}");
        }
    }
}
