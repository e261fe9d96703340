//! The memory of a server's process.

use longhaul_core::units::Probability;

use crate::options::MemoryOptions;

/// What is in use.
pub(crate) struct Memory {
    options: MemoryOptions,
    used: u64,
    /// What something else takes of the limit.
    taken: u64,
    /// In use at most without slowing the process.
    free_of_pressure: u64,
}

impl Memory {
    pub fn new(options: MemoryOptions) -> Memory {
        let limit = u128::from(options.limit.as_bytes());
        let from = limit * u128::from(options.pressure_from.as_parts()) / u128::from(Probability::PARTS);
        Memory {
            used: options.base.as_bytes(),
            taken: 0,
            // A share of the limit.
            free_of_pressure: from as u64,
            options,
        }
    }

    /// What a request with so many bytes in bodies needs.
    pub fn need(&self, bodies: u64) -> u64 {
        self.options.per_request.as_bytes() + bodies
    }

    /// Takes some. Whether there was enough; if not, the process is killed.
    #[must_use]
    pub fn take(&mut self, bytes: u64) -> bool {
        self.used = self.used.saturating_add(bytes);
        self.is_enough()
    }

    /// Something else takes this share of the limit from now on: as others in a control group do, of which the kernel kills
    /// one when their memory together reaches the limit. Whether there is enough; if not, the process is killed.
    #[must_use]
    pub fn press(&mut self, share: Probability) -> bool {
        let limit = u128::from(self.options.limit.as_bytes());
        // A share of the limit.
        self.taken = (limit * u128::from(share.as_parts()) / u128::from(Probability::PARTS)) as u64;
        self.is_enough()
    }

    fn is_enough(&self) -> bool {
        self.in_use() <= self.options.limit.as_bytes()
    }

    /// With what something else takes.
    fn in_use(&self) -> u64 {
        self.used.saturating_add(self.taken)
    }

    pub fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    pub fn used(&self) -> u64 {
        self.used
    }

    /// The share of its speed that the process has.
    pub fn speed(&self) -> Probability {
        if self.in_use() <= self.free_of_pressure {
            return Probability::ONE;
        }
        let limit = u128::from(self.options.limit.as_bytes());
        let parts = u128::from(Probability::PARTS);
        let from = u128::from(self.free_of_pressure);
        let used = u128::from(self.in_use()).min(limit);
        let slowest = u128::from(self.options.slowest.as_parts());
        let share = parts - (parts - slowest) * (used - from) / (limit - from).max(1);
        // At most all parts.
        Probability::from_parts(share as u64).unwrap_or(Probability::ONE)
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::units::ByteSize;

    use super::*;

    #[test]
    fn speed_falls_from_the_threshold_to_the_limit() {
        let share = |percent| Probability::from_ratio(percent, 100).expect("a share");
        let mut memory = Memory::new(MemoryOptions {
            limit: ByteSize::from_bytes(1_000),
            base: ByteSize::from_bytes(700),
            per_request: ByteSize::from_bytes(10),
            pressure_from: share(80),
            slowest: share(10),
        });
        assert_eq!(memory.need(5), 15);
        assert!(memory.take(100));
        assert_eq!(memory.speed(), Probability::ONE);
        assert!(memory.take(100));
        assert_eq!(memory.speed(), share(55));
        assert!(memory.take(100));
        assert_eq!(memory.speed(), share(10));
        assert!(!memory.take(1));
        memory.give_back(301);
        assert_eq!((memory.used(), memory.speed()), (700, Probability::ONE));
        // Something else takes part of it: of 1,000 bytes 800 are free of pressure.
        assert!(memory.press(share(10)));
        assert_eq!(memory.speed(), Probability::ONE);
        assert!(memory.press(share(20)));
        assert_eq!((memory.used(), memory.speed()), (700, share(55)));
        assert!(memory.take(100) && !memory.take(1));
        memory.give_back(101);
        assert!(!memory.press(share(31)) && memory.press(share(0)));
        assert_eq!(memory.speed(), Probability::ONE);
    }
}
