//! Load shedding: the more load above the limit, the more calls are dropped.

use serde::{Deserialize, Serialize};

use longhaul_core::random::Stream;
use longhaul_core::units::Probability;

use crate::call::Priority;
use crate::check::{COUNT_MAX, Check, FieldError};

/// What the load is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LoadSource {
    /// What the caller reported last; nothing before that.
    Reported,
    /// Calls that are inside, for each of this many; 1 to 10^6.
    Inside {
        /// How many calls are a load of one.
        capacity: u32,
    },
}

/// How load is shed: above `max_load`, with probability min(cap, (load − max) / max).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SheddingConfig {
    /// What the load is.
    pub load: LoadSource,
    /// The load at which shedding begins; above zero. Default of the named operations: 0.8.
    pub max_load: Probability,
    /// The highest probability; above zero. Default of the named operations: 0.9.
    pub cap: Probability,
    /// Calls of this priority and above are never dropped.
    pub exempt: Option<Priority>,
}

impl SheddingConfig {
    /// # Errors
    /// Loads, capacities and probabilities of zero or beyond sense, and an exemption for everything.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        if let LoadSource::Inside { capacity } = self.load {
            check.count("load.capacity", capacity, COUNT_MAX);
        }
        check.positive("max_load", self.max_load);
        check.positive("cap", self.cap);
        if self.exempt == Some(Priority::Background) {
            check.contradiction("exempt", "nothing could be dropped");
        }
        check.done()
    }
}

/// A load: how many times the capacity, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Load(pub u64);

impl Load {
    /// Parts of a load of one.
    pub const PARTS: u64 = 1_000_000;
}

/// Decides about dropping calls.
#[derive(Clone, Debug)]
pub struct Shedder {
    config: SheddingConfig,
    reported: Load,
    inside: u32,
    shed: u64,
}

impl Shedder {
    /// The configuration should have passed its check.
    pub fn new(config: &SheddingConfig) -> Shedder {
        Shedder {
            config: *config,
            reported: Load::default(),
            inside: 0,
            shed: 0,
        }
    }

    /// The load at the moment.
    pub fn load(&self) -> Load {
        match self.config.load {
            LoadSource::Reported => self.reported,
            LoadSource::Inside { capacity } => {
                Load(u64::from(self.inside) * Load::PARTS / u64::from(capacity.max(1)))
            }
        }
    }

    /// What the load is, for [`LoadSource::Reported`].
    pub fn report(&mut self, load: Load) {
        self.reported = load;
    }

    /// Takes a call in or drops it. Randomness is drawn only above the limit.
    #[inline]
    pub fn enter(&mut self, priority: Priority, random: &mut Stream) -> bool {
        let exempt = self.config.exempt.is_some_and(|exempt| priority >= exempt);
        if !exempt {
            let p = self.config.probability(self.load());
            if p > Probability::ZERO && random.chance(p) {
                self.shed += 1;
                return false;
            }
        }
        self.inside += 1;
        true
    }

    /// A call that was taken in has ended.
    #[inline]
    pub fn leave(&mut self) {
        self.inside -= 1;
    }

    /// How many were dropped.
    pub fn shed(&self) -> u64 {
        self.shed
    }
}

impl SheddingConfig {
    /// With what probability a call is dropped.
    pub fn probability(&self, load: Load) -> Probability {
        let parts = u128::from(Probability::PARTS);
        let load = u128::from(load.0) * (parts / u128::from(Load::PARTS));
        let most = u128::from(self.max_load.as_parts());
        let above = load.saturating_sub(most) * parts / most.max(1);
        let bounded = above.min(u128::from(self.cap.as_parts()));
        Probability::from_parts(bounded as u64).expect("at most the cap")
    }
}
