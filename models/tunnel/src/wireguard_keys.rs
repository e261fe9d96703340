//! Keys that a WireGuard handshake agreed on, and the protection against replay that belongs to them.

use longhaul_core::time::Instant;

/// Keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    /// What the peer names them by.
    pub(crate) local: u32,
    /// What the peer wants them named by.
    pub(crate) remote: u32,
    pub(crate) born: Instant,
    /// Whether this end began the handshake.
    pub(crate) initiator: bool,
    /// The counter of the next message.
    pub(crate) sent: u64,
    pub(crate) seen: Window,
}

impl Session {
    pub(crate) fn new(local: u32, remote: u32, born: Instant, initiator: bool) -> Session {
        Session {
            local,
            remote,
            born,
            initiator,
            sent: 0,
            seen: Window::default(),
        }
    }
}

/// Which counters were received: the highest and, as bits, the 64 up to it (RFC 6479's idea, shorter).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    above_highest: u64,
    bits: u64,
}

impl Window {
    /// Whether a counter is new; notes it.
    pub(crate) fn admit(&mut self, counter: u64) -> bool {
        let Some(above) = counter.checked_add(1) else {
            return false;
        };
        if above > self.above_highest {
            let shift = u32::try_from(above - self.above_highest).unwrap_or(u32::MAX);
            self.bits = self.bits.checked_shl(shift).unwrap_or(0) | 1;
            self.above_highest = above;
            return true;
        }
        let back = u32::try_from(self.above_highest - above).unwrap_or(u32::MAX);
        let bit = 1u64.checked_shl(back).unwrap_or(0);
        let new = bit != 0 && self.bits & bit == 0;
        self.bits |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_counter_is_admitted_once_and_not_when_it_is_64_behind(jumps in proptest::collection::vec(any::<i8>(), 1..300)) {
            let (mut window, mut seen, mut counter) = (Window::default(), BTreeSet::new(), 1_000u64);
            for jump in jumps {
                counter = counter.saturating_add_signed(i64::from(jump));
                let recent = seen.last().is_none_or(|highest: &u64| counter + 64 > *highest);
                prop_assert_eq!(window.admit(counter), recent && !seen.contains(&counter));
                if recent {
                    seen.insert(counter);
                }
            }
        }
    }

    #[test]
    fn the_last_counter_is_never_admitted() {
        let mut window = Window::default();
        assert!(window.admit(u64::MAX - 1) && !window.admit(u64::MAX - 1));
        assert!(!window.admit(u64::MAX) && !window.admit(0));
    }
}
