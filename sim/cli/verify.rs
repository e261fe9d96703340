//! `run --verify`: the same scenario once more in a second process, compared down to the first event that
//! differs.

use std::ops::Range;

use longhaul_reports::human;
use longhaul_scenarios::Loaded;
use longhaul_scenarios::run::verify::{Divergence, compare_windows, first_divergence};

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output;
use crate::replica::{self, Fingerprint, Outcome, ReplicaOptions};

/// What is compared, and how the second run is to be perturbed, if at all.
pub struct Verification<'a> {
    /// The scenario.
    pub loaded: &'a Loaded,
    /// The run already made in this process.
    pub first: &'a Fingerprint,
    /// Event budget of both.
    pub events: Option<u64>,
    /// The canary.
    pub inject_divergence: Option<u64>,
    /// The command for the message.
    pub reproduce: &'a str,
}

impl Verification<'_> {
    /// Runs again and compares. `None` if both runs are equal, else the exit code.
    ///
    /// # Errors
    /// If the second process does not do its work.
    pub fn verify(&self, interrupt: &Interrupt) -> Result<Option<Exit>, Failure> {
        let second = match self.replica(self.inject_divergence, None, interrupt)? {
            Outcome::Finished(second) => second,
            Outcome::Interrupted(exit) => return Ok(Some(exit)),
        };
        let Some(window) = first_divergence(&self.first.checkpoints, &second.checkpoints) else {
            let events = self.first.checkpoints.last().map_or(0, |end| end.events);
            if let Some(event) = self.inject_divergence {
                assert!(
                    event >= events,
                    "the injected divergence at event {event} of {events} went unnoticed"
                );
                return Err(Failure::NothingToPerturb { event, events });
            }
            output::note(&format!(
                "verified: a second process did the same {} events with the same digest\n",
                human::count(events)
            ));
            return Ok(None);
        };
        let mut recordings = Vec::new();
        for inject_divergence in [None, self.inject_divergence] {
            match self.replica(inject_divergence, Some(window.clone()), interrupt)? {
                Outcome::Finished(recording) => recordings.push(recording.trace()),
                Outcome::Interrupted(exit) => return Ok(Some(exit)),
            }
        }
        let first_event = compare_windows(&recordings[0], &recordings[1]);
        output::note(&message(&window, first_event.as_ref(), self.reproduce));
        Ok(Some(Exit::Nondeterminism))
    }

    fn replica(
        &self,
        inject_divergence: Option<u64>,
        window: Option<Range<u64>>,
        interrupt: &Interrupt,
    ) -> Result<Outcome, Failure> {
        let options = ReplicaOptions {
            events: self.events,
            window,
            inject_divergence,
        };
        Ok(replica::run(self.loaded, &options, interrupt)?)
    }
}

fn message(window: &Range<u64>, first_event: Option<&Divergence>, reproduce: &str) -> String {
    let mut text = format!(
        "NONDETERMINISM: two runs of the same scenario and seed differ between events {} and {}\n",
        window.start, window.end
    );
    match first_event {
        Some(divergence) => {
            text.push_str(&format!(
                "the first event that differs is number {} (counted from 0)\n",
                divergence.index
            ));
            for (run, event) in [("first", divergence.left), ("second", divergence.right)] {
                let event = event.map_or("had already ended".to_owned(), |event| event.to_string());
                text.push_str(&format!("  {run} run: {event}\n"));
            }
        }
        None => text.push_str("two further runs agreed there, so the cause comes and goes\n"),
    }
    text.push_str(&format!("reproduce: {reproduce} --verify\n"));
    text
}
