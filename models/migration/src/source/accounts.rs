//! What a migration was waiting for: where its time went.

use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// How the time of copying divides by what bounded it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// The streams would not take more.
    pub network: Span,
    /// The streams would have taken more, and nothing was encoded yet.
    pub processor: Span,
    /// The streams would have taken more, and `max-bandwidth` forbade it.
    pub bandwidth_limit: Span,
    /// Nothing was to be sent.
    pub idle: Span,
}

/// What bounds a migration at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    Network,
    Processor,
    BandwidthLimit,
    Idle,
}

/// Keeps the accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    bounds: Bounds,
    current: Option<(Instant, Bound)>,
}

impl Accounts {
    /// From now on this is the bound; `None` if nothing is copied.
    pub fn set(&mut self, now: Instant, bound: Option<Bound>) {
        self.bounds = self.bounds(now);
        self.current = bound.map(|bound| (now, bound));
    }

    /// The accounts as of now.
    pub fn bounds(&self, now: Instant) -> Bounds {
        let mut bounds = self.bounds;
        if let Some((since, bound)) = self.current {
            let account = match bound {
                Bound::Network => &mut bounds.network,
                Bound::Processor => &mut bounds.processor,
                Bound::BandwidthLimit => &mut bounds.bandwidth_limit,
                Bound::Idle => &mut bounds.idle,
            };
            *account += now.saturating_since(since);
        }
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_is_booked_once() {
        let at = |ms| Instant::ZERO + Span::from_ms(ms);
        let mut accounts = Accounts::default();
        accounts.set(at(5), Some(Bound::Network));
        accounts.set(at(7), Some(Bound::Processor));
        accounts.set(at(7), Some(Bound::BandwidthLimit));
        accounts.set(at(10), None);
        accounts.set(at(20), Some(Bound::Idle));
        let ms = Span::from_ms;
        let expected = Bounds {
            network: ms(2),
            processor: ms(0),
            bandwidth_limit: ms(3),
            idle: ms(4),
        };
        assert_eq!(accounts.bounds(at(24)), expected);
    }
}
