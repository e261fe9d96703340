//! How well a disk does: what machines that write to one are told of its faults.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// How well a disk does. The default is a disk that is well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct DiskCondition {
    /// How many times as long a write takes, in thousandths, at least 1: 1000 is the normal time.
    pub slowdown: u32,
    /// There is no space left (`ENOSPC`): nothing new is written; what is there can be read.
    pub full: bool,
    /// Reads and writes fail (`EIO`).
    pub failed: bool,
}

impl Default for DiskCondition {
    fn default() -> DiskCondition {
        DiskCondition {
            slowdown: 1_000,
            full: false,
            failed: false,
        }
    }
}

impl DiskCondition {
    /// Whether what is written becomes durable.
    pub fn writes(&self) -> bool {
        !self.full && !self.failed
    }

    /// Whether there is no space on a disk that works otherwise.
    pub fn is_out_of_space(&self) -> bool {
        self.full && !self.failed
    }

    /// A write that takes `normal` otherwise takes this long, rounded up.
    pub fn takes(&self, normal: Span) -> Span {
        DiskCondition::default().rescaled(normal, *self)
    }

    /// A write under way, of which `left` was left in this condition, has this left in the condition `now`, rounded up.
    pub fn rescaled(&self, left: Span, now: DiskCondition) -> Span {
        let scaled = u128::from(left.as_ns()) * u128::from(now.slowdown);
        let ns = scaled.div_ceil(u128::from(self.slowdown.max(1)));
        Span::from_ns(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_under_way_goes_on_at_the_new_speed() {
        let well = DiskCondition::default();
        let slow = DiskCondition {
            slowdown: 2_500,
            ..well
        };
        assert_eq!(well.takes(Span::from_ms(4)), Span::from_ms(4));
        assert_eq!(slow.takes(Span::from_ms(4)), Span::from_ms(10));
        assert_eq!(well.rescaled(Span::from_ns(3), slow), Span::from_ns(8));
        assert_eq!(slow.rescaled(Span::from_ms(10), well), Span::from_ms(4));
        assert_eq!(slow.rescaled(Span::MAX, slow), Span::MAX);
        let (full, failed) = (
            DiskCondition { full: true, ..well },
            DiskCondition { failed: true, ..slow },
        );
        let both = DiskCondition { full: true, ..failed };
        let facts = [well, slow, full, failed, both].map(|disk| (disk.writes(), disk.is_out_of_space()));
        let expected = [
            (true, false),
            (true, false),
            (false, true),
            (false, false),
            (false, false),
        ];
        assert_eq!(facts, expected);
    }
}
