//! What is doubtful about federations.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};

use super::Lint;
use crate::diagnose::approximate;
use crate::schema::{Federation, UpdatePriority};

impl Lint<'_> {
    pub(super) fn federations(&mut self) {
        let scenario = self.scenario;
        for (index, federation) in scenario.federations.iter().enumerate() {
            let at = format!("federations[{index}]");
            let mut longest = Span::ZERO;
            for (one, other) in federation.neighbours() {
                let members = &federation.members;
                let path = self.path(&members[one], &members[other]);
                longest = longest.max(path.round_trip);
                self.has_room(&at, federation, other, path.rate);
            }
            self.ends_in_time(&at, federation.at, federation.duration);
            self.answers_in_time(&at, federation, longest);
            self.idle_settings(index, federation);
        }
    }

    /// A connection that carries less than clients write falls behind for ever.
    fn has_room(&mut self, at: &str, federation: &Federation, other: usize, rate: BitRate) {
        let Some(load) = federation.state else { return };
        let times = |every: Span| u128::from(federation.duration.as_ns() / every.as_ns());
        let sync = &federation.settings.sync;
        let mut updates = times(load.every);
        if sync.coalesce && load.priority != UpdatePriority::High {
            updates = updates.min(u128::from(load.keys) * (times(sync.interval) + 1));
        }
        // What changed travels at least; it has 6 bits of entropy in a byte.
        let changed = u128::from(load.value.as_bytes()) * u128::from(load.changed.as_parts());
        let bytes = updates * changed / u128::from(Probability::PARTS) * 3 / 4;
        if bytes > u128::from(rate.bytes_in(federation.duration)) {
            let message = format!(
                "clients of one cluster change at least {} MB that have to travel, and in the time the path to `{}` \
                 carries {} MB",
                bytes / 1_000_000,
                federation.members[other],
                rate.bytes_in(federation.duration) / 1_000_000
            );
            self.warn(&format!("{at}.state"), message);
        }
    }

    /// A peer that counts as lost before it can answer is never there, and a leader that is deposed before it is heard
    /// never leads.
    fn answers_in_time(&mut self, at: &str, federation: &Federation, round_trip: Span) {
        let settings = &federation.settings;
        let timeout = settings.connection.answer_timeout;
        if timeout <= round_trip {
            let round_trip = approximate(round_trip);
            let message =
                format!("silent for {timeout} counts as lost, and an answer takes {round_trip} at least");
            self.warn(&format!("{at}.settings.answer_timeout"), message);
        }
        if let Some(log) = &settings.consensus
            && log.election_timeout <= round_trip
        {
            let message = format!(
                "elections begin after {}, and to win one takes {} at least",
                log.election_timeout,
                approximate(round_trip)
            );
            self.warn(&format!("{at}.settings.consensus"), message);
        }
    }

    fn idle_settings(&mut self, index: usize, federation: &Federation) {
        let at = |field: &str| format!("federations[{index}].{field}");
        let adaptive = federation.settings.encoding.adaptive;
        if !adaptive && self.written("federations", index, &["settings", "bandwidth_threshold"]) {
            let message = "the level is fixed, so this has no effect".to_owned();
            self.warn(&at("settings.bandwidth_threshold"), message);
        }
        if let Some(load) = federation.state {
            let idle = [
                ("hot_updates", load.hot_keys.as_parts() == 0, "no key is hot"),
                (
                    "hot_keys",
                    load.hot_updates.as_parts() == 0,
                    "no update goes to hot keys",
                ),
            ];
            for (field, has_no_effect, why) in idle {
                if has_no_effect && self.written("federations", index, &["state", field]) {
                    self.warn(
                        &at(&format!("state.{field}")),
                        format!("{why}, so this has no effect"),
                    );
                }
            }
        }
        if federation.state.is_none() && federation.commands.is_none() {
            let message = "clients do nothing: neither `state` nor `commands` is given".to_owned();
            self.warn(&format!("federations[{index}]"), message);
        }
    }
}
