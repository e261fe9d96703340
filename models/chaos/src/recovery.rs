//! How a fault ends.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::kind::Kind;

/// How a fault ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Recovery {
    /// When its duration is over; what then has to start again takes its time for that.
    Automatic,
    /// When its duration is over, and what has crashed is back at the same moment.
    Immediate,
    /// When somebody says so.
    Manual,
    /// When its duration is over it begins to fade.
    Gradual(Gradual),
}

/// Most steps of a gradual recovery.
pub const MOST_STEPS: u32 = 100;

/// A fault that fades: of `n` steps the first has the whole strength, the second `(n − 1) / n` of it, and so on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Gradual {
    /// How many steps: 1 to [`MOST_STEPS`].
    pub steps: u32,
    /// How long each lasts.
    pub step: Span,
}

impl Default for Gradual {
    /// Five steps of two seconds: 100, 80, 60, 40 and 20 %.
    fn default() -> Gradual {
        Gradual {
            steps: 5,
            step: Span::from_s(2),
        }
    }
}

impl Gradual {
    /// From the end of the duration until nothing is left.
    pub fn length(self) -> Span {
        self.step.saturating_mul(u64::from(self.steps))
    }

    /// What is left of `kind` this long after its duration, if anything. `normal` is as in [`Kind::scaled`].
    pub fn left(self, kind: &Kind, after: Span, normal: BitRate) -> Option<Kind> {
        let step = after.as_ns().checked_div(self.step.as_ns())?;
        let done = u32::try_from(step).unwrap_or(u32::MAX);
        kind.scaled(self.steps.saturating_sub(done), self.steps, normal)
    }
}

impl Recovery {
    /// How long after its duration something of `kind` is still felt.
    pub fn tail(self, kind: &Kind) -> Span {
        match self {
            Recovery::Automatic | Recovery::Manual => kind.restart(),
            Recovery::Immediate => Span::ZERO,
            Recovery::Gradual(gradual) => gradual.length(),
        }
    }

    /// Refuses what cannot be done with `kind`.
    ///
    /// # Errors
    /// [`Error::NotGradual`] if `kind` has no magnitude and is to fade, [`Error::NoSteps`] if the fading has no length or too many steps.
    pub fn check(self, kind: &Kind) -> Result<(), Error> {
        let Recovery::Gradual(gradual) = self else {
            return Ok(());
        };
        if !kind.has_magnitude() {
            return Err(Error::NotGradual(kind.name()));
        }
        if !(1..=MOST_STEPS).contains(&gradual.steps) || gradual.step == Span::ZERO {
            return Err(Error::NoSteps);
        }
        Ok(())
    }
}
