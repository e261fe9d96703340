//! Load shedding: the more load above the limit, the more calls are dropped.

use serde::{Deserialize, Serialize};

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
