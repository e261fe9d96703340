//! Names and their addresses: lookups that take time, answers that are kept until they are out of date (RFC 1035), and
//! what goes wrong with them.
//!
//! The lookup itself is not on the network: its time is given. What matters to a service is what a caller does with an
//! answer that is wrong, late or missing.

use longhaul_core::machine::PeerId;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// How a caller looks up the name of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NameOptions {
    /// For how long an answer is good.
    pub ttl: Span,
    /// How long a lookup takes.
    pub lookup_time: Span,
    /// After what time without an answer a lookup has failed.
    pub timeout: Span,
    /// For how long a failure is believed before the name is looked up again (RFC 2308).
    pub negative_ttl: Span,
    /// Whether an answer that is out of date is used while a newer one cannot be had (RFC 8767).
    pub serve_stale: bool,
}

impl Default for NameOptions {
    /// Answers that are good for 30 s and take 1 ms; after 5 s a lookup has failed (as the resolver of glibc), which is
    /// believed for 1 s.
    fn default() -> NameOptions {
        NameOptions {
            ttl: Span::from_s(30),
            lookup_time: Span::from_ms(1),
            timeout: Span::from_s(5),
            negative_ttl: Span::from_s(1),
            serve_stale: false,
        }
    }
}

/// What answers lookups from now on. What is remembered stays until it is out of date.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum NameFault {
    /// The right answer.
    #[default]
    None,
    /// These addresses, perhaps of replicas that are long gone.
    Stale(Vec<PeerId>),
    /// Nothing answers: lookups run into their timeout.
    BlackHole,
    /// An answer at once that there is no such name, or that the server failed.
    Failed,
}

/// What is known of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    /// The addresses may be used.
    Yes,
    /// It cannot be looked up.
    No,
    /// A lookup is under way.
    Soon,
}

/// The name of one service.
pub(crate) struct Names {
    options: Option<NameOptions>,
    right: Vec<PeerId>,
    fault: NameFault,
    addresses: Vec<PeerId>,
    good_until: Instant,
    bad_until: Instant,
    /// When the lookup under way ends, and with which addresses.
    lookup: Option<(Instant, Option<Vec<PeerId>>)>,
}

impl Names {
    /// Without options the addresses are known for ever.
    pub fn new(options: Option<NameOptions>, right: Vec<PeerId>) -> Names {
        let known = options.is_none();
        Names {
            options,
            addresses: if known { right.clone() } else { Vec::new() },
            right,
            fault: NameFault::None,
            good_until: if known { Instant::MAX } else { Instant::ZERO },
            bad_until: Instant::ZERO,
            lookup: None,
        }
    }

    /// Lookups that begin from now on go like this.
    pub fn set_fault(&mut self, fault: NameFault) {
        self.fault = fault;
    }

    pub fn fault(&self) -> &NameFault {
        &self.fault
    }

    /// The addresses that were found last.
    pub fn addresses(&self) -> &[PeerId] {
        &self.addresses
    }

    /// What is known now; begins a lookup if one is needed.
    pub fn ask(&mut self, now: Instant) -> Known {
        let Some(options) = self.options else {
            return Known::Yes;
        };
        if now < self.good_until {
            return Known::Yes;
        }
        if self.lookup.is_none() && now >= self.bad_until {
            let (takes, answer) = match &self.fault {
                NameFault::None => (options.lookup_time, Some(self.right.clone())),
                NameFault::Stale(addresses) => (options.lookup_time, Some(addresses.clone())),
                NameFault::BlackHole => (options.timeout, None),
                NameFault::Failed => (options.lookup_time, None),
            };
            self.lookup = Some((now.saturating_add(takes), answer));
        }
        let stale = options.serve_stale && !self.addresses.is_empty();
        match self.lookup {
            _ if stale => Known::Yes,
            Some(_) => Known::Soon,
            None => Known::No,
        }
    }

    /// Ends a lookup whose time has come; whether one ended, and if so whether with an answer.
    pub fn advance(&mut self, now: Instant) -> Option<bool> {
        let options = self.options?;
        let (at, _) = self.lookup.as_ref()?;
        if now < *at {
            return None;
        }
        let (at, answer) = self.lookup.take()?;
        Some(match answer {
            Some(addresses) => {
                self.addresses = addresses;
                // Even an answer that is good for no time serves those who waited for it.
                self.good_until = at.saturating_add(options.ttl.max(Span::from_ns(1)));
                true
            }
            None => {
                self.bad_until = at.saturating_add(options.negative_ttl);
                false
            }
        })
    }

    /// When a lookup ends.
    pub fn next_end(&self) -> Option<Instant> {
        self.lookup.as_ref().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    const RIGHT: [PeerId; 2] = [PeerId(1), PeerId(2)];

    fn names(serve_stale: bool) -> Names {
        let options = NameOptions {
            serve_stale,
            ..NameOptions::default()
        };
        Names::new(Some(options), RIGHT.to_vec())
    }

    #[test]
    fn an_answer_takes_time_and_is_good_until_it_is_out_of_date() {
        let mut names = names(false);
        assert_eq!(names.ask(at(0)), Known::Soon);
        assert_eq!((names.next_end(), names.advance(at(0))), (Some(at(1)), None));
        assert_eq!(names.advance(at(1)), Some(true));
        assert_eq!(
            (names.ask(at(30_000)), names.addresses()),
            (Known::Yes, &RIGHT[..])
        );
        // A fault is noticed when the answer is out of date, and so is its end.
        names.set_fault(NameFault::Stale(vec![PeerId(9)]));
        assert_eq!(names.ask(at(30_001)), Known::Soon);
        names.set_fault(NameFault::None);
        assert_eq!(names.advance(at(30_002)), Some(true));
        assert_eq!(names.ask(at(60_001)), Known::Yes);
        assert_eq!(names.addresses(), [PeerId(9)]);
    }

    #[test]
    fn a_black_hole_costs_the_timeout_and_a_failure_is_believed_for_a_while() {
        let mut names = names(false);
        names.set_fault(NameFault::BlackHole);
        assert_eq!(names.ask(at(0)), Known::Soon);
        names.set_fault(NameFault::Failed);
        assert_eq!(names.advance(at(4_999)), None);
        assert_eq!(names.advance(at(5_000)), Some(false));
        assert_eq!(names.ask(at(5_999)), Known::No);
        assert_eq!(names.ask(at(6_000)), Known::Soon);
        assert_eq!(names.advance(at(6_001)), Some(false));
    }

    #[test]
    fn an_old_answer_is_better_than_none_if_so_wished() {
        let mut names = names(true);
        assert_eq!(names.ask(at(0)), Known::Soon);
        assert_eq!(names.advance(at(1)), Some(true));
        names.set_fault(NameFault::Failed);
        assert_eq!(names.ask(at(40_000)), Known::Yes);
        assert_eq!(names.advance(at(40_001)), Some(false));
        assert_eq!((names.ask(at(40_001)), names.next_end()), (Known::Yes, None));
    }
}
