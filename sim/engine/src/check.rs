//! Conservation, asserted in release builds: what was offered was delivered, was dropped, or is still queued.

/// The books of a link, a queue or a connection, in bytes or in packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    /// What went in.
    pub offered: u64,
    /// What came out.
    pub delivered: u64,
    /// What was given up on purpose.
    pub dropped: u64,
    /// What is still inside, counted independently of the other three.
    pub queued: u64,
}

impl Ledger {
    /// `offered - delivered - dropped - queued`; 0 in sound books.
    pub fn imbalance(&self) -> i128 {
        i128::from(self.offered)
            - i128::from(self.delivered)
            - i128::from(self.dropped)
            - i128::from(self.queued)
    }

    /// Asserts that the books balance.
    ///
    /// # Panics
    /// With `name` and all four figures if they do not.
    pub fn assert_balanced(&self, name: &str) {
        assert!(
            self.imbalance() == 0,
            "{name} does not conserve: {} offered, {} delivered, {} dropped, {} queued: {:+} unaccounted for",
            self.offered,
            self.delivered,
            self.dropped,
            self.queued,
            self.imbalance()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_books_pass() {
        Ledger {
            offered: u64::MAX,
            delivered: u64::MAX - 3,
            dropped: 1,
            queued: 2,
        }
        .assert_balanced("link");
    }

    #[test]
    #[should_panic(expected = "fra->nyc does not conserve: 10 offered, 7 delivered, 1 dropped, 1 queued: +1")]
    fn a_lost_packet_is_named_with_its_link() {
        Ledger {
            offered: 10,
            delivered: 7,
            dropped: 1,
            queued: 1,
        }
        .assert_balanced("fra->nyc");
    }

    #[test]
    fn a_packet_out_of_nothing_is_an_imbalance_too() {
        let ledger = Ledger {
            delivered: u64::MAX,
            queued: u64::MAX,
            ..Ledger::default()
        };
        assert_eq!(ledger.imbalance(), -2 * i128::from(u64::MAX));
    }
}
