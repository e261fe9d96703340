//! Loss laws: which frames a link loses at random, before any queue is asked.

use longhaul_core::random::Stream;
use longhaul_core::units::Probability;
use thiserror::Error;

/// The loss law of a link, as a scenario states it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Loss {
    /// Nothing is lost at random.
    #[default]
    None,
    /// Each frame independently.
    Independent(Probability),
    /// Gilbert–Elliott with every frame lost in the bad state and none in the good one. It is described by
    /// what a user can measure, the *mean* loss m and the *mean* burst length B, from which follow
    /// P(bad → good) = 1/B and P(good → bad) = m / (B (1 − m)). netem calls these `r` and `p`.
    GilbertElliott {
        /// Long-run share of frames lost, at most B / (B + 1): two bursts have a delivered frame between them.
        mean: Probability,
        /// Mean number of consecutive frames lost, at least 1.
        burst_packets: u32,
    },
    /// Gilbert–Elliott with a loss probability in each state, netem's `gemodel p r 1-h 1-k`. It is described by
    /// the mean loss m and the mean stay in the bad state B, from which follow the share of frames that meet
    /// the bad state b = (m − good) / (bad − good), P(bad → good) = 1/B and P(good → bad) = b / (B (1 − b)).
    TwoState {
        /// Long-run share of frames lost, from `good` to below `bad`.
        mean: Probability,
        /// Mean number of consecutive frames that meet the bad state, at least 1.
        stay_packets: u32,
        /// Probability of loss in the bad state (netem: 1-h), above that in the good one.
        bad: Probability,
        /// Probability of loss in the good state (netem: 1-k).
        good: Probability,
    },
}

/// Why no law has the requested parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LawError {
    /// A burst has at least one packet.
    #[error("a mean burst of 0 packets: at least 1 is needed")]
    EmptyBurst,
    /// The good state would have to be left with a probability above one.
    #[error(
        "a mean loss of {} % cannot come in bursts of {burst_packets} packets: at most {} % can",
        mean.as_f64() * 100.0,
        f64::from(*burst_packets) / (f64::from(*burst_packets) + 1.0) * 100.0
    )]
    MeanTooHigh {
        /// The mean that was asked for.
        mean: Probability,
        /// The burst length that was asked for.
        burst_packets: u32,
    },
    /// The good state would be left with a probability that rounds to zero, so nothing would ever be lost.
    #[error(
        "a mean loss of {} % in bursts of {burst_packets} packets starts a burst with a probability below 10^-12",
        mean.as_f64() * 100.0
    )]
    BurstTooRare {
        /// The mean that was asked for.
        mean: Probability,
        /// The burst length that was asked for.
        burst_packets: u32,
    },
    /// The mean lies outside what the two states can mix.
    #[error(
        "a mean loss of {} % cannot be mixed of {} % in the good state and more, {} %, in the bad one",
        mean.as_f64() * 100.0,
        good.as_f64() * 100.0,
        bad.as_f64() * 100.0
    )]
    MeanOutside {
        /// The mean that was asked for.
        mean: Probability,
        /// Loss in the bad state.
        bad: Probability,
        /// Loss in the good state.
        good: Probability,
    },
}

/// A loss law as a chain of two states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TwoStates {
    /// P(good → bad) after each frame.
    pub to_bad: Probability,
    /// P(bad → good) after each frame.
    pub to_good: Probability,
    /// Loss in the bad state.
    pub loss_in_bad: Probability,
    /// Loss in the good state.
    pub loss_in_good: Probability,
}

/// A [`Loss`] law at work: its state and its random stream.
#[derive(Clone, Debug)]
pub struct LossProcess {
    law: Law,
    stream: Stream,
}

#[derive(Clone, Copy, Debug)]
enum Law {
    None,
    Independent(Probability),
    GilbertElliott { chain: Chain },
    TwoState { chain: Chain, loss: [Probability; 2] },
}

/// The two states, and which one the next frame meets.
#[derive(Clone, Copy, Debug)]
struct Chain {
    to_bad: Probability,
    to_good: Probability,
    bad: bool,
}

impl Chain {
    /// A chain in its stationary distribution, in which `share` of all frames meet the bad state.
    fn new(share: Probability, stay_packets: u32, stream: &mut Stream) -> Result<Chain, LawError> {
        let (to_bad, to_good) = Loss::transitions(share, stay_packets)?;
        let bad = stream.chance(share);
        Ok(Chain { to_bad, to_good, bad })
    }

    /// Whether the next frame meets the bad state; the state changes after it.
    #[inline]
    fn step(&mut self, stream: &mut Stream) -> bool {
        let bad = self.bad;
        if stream.chance(if bad { self.to_good } else { self.to_bad }) {
            self.bad = !bad;
        }
        bad
    }
}

impl Loss {
    /// The share of the frames that it takes in the long run.
    pub fn mean(&self) -> Probability {
        match *self {
            Loss::None => Probability::ZERO,
            Loss::Independent(mean) | Loss::GilbertElliott { mean, .. } | Loss::TwoState { mean, .. } => mean,
        }
    }

    /// Whether the law's parameters fit together.
    ///
    /// # Errors
    /// [`LawError`].
    pub fn check(self) -> Result<(), LawError> {
        match self {
            Loss::None | Loss::Independent(_) => Ok(()),
            Loss::GilbertElliott { mean, burst_packets } => Loss::transitions(mean, burst_packets).map(drop),
            Loss::TwoState {
                mean,
                stay_packets,
                bad,
                good,
            } => Loss::transitions(bad_share(mean, bad, good)?, stay_packets).map(drop),
        }
    }

    /// The law as two states, which is what netem's `gemodel` takes; `None` for laws without memory.
    ///
    /// # Errors
    /// [`LawError`].
    pub fn chain(self) -> Result<Option<TwoStates>, LawError> {
        let (share, stay_packets, loss_in_bad, loss_in_good) = match self {
            Loss::None | Loss::Independent(_) => return Ok(None),
            Loss::GilbertElliott { mean, burst_packets } => {
                (mean, burst_packets, Probability::ONE, Probability::ZERO)
            }
            Loss::TwoState {
                mean,
                stay_packets,
                bad,
                good,
            } => (bad_share(mean, bad, good)?, stay_packets, bad, good),
        };
        let (to_bad, to_good) = Loss::transitions(share, stay_packets)?;
        Ok(Some(TwoStates {
            to_bad,
            to_good,
            loss_in_bad,
            loss_in_good,
        }))
    }

    /// P(good → bad) and P(bad → good) of the Gilbert–Elliott chain with this mean loss and mean burst.
    ///
    /// # Errors
    /// If no such chain exists: see [`LawError`].
    pub fn transitions(
        mean: Probability,
        burst_packets: u32,
    ) -> Result<(Probability, Probability), LawError> {
        let to_good = Probability::from_ratio(1, u64::from(burst_packets)).ok_or(LawError::EmptyBurst)?;
        let parts = u128::from(Probability::PARTS);
        let lost = u128::from(mean.as_parts());
        let denominator = u128::from(burst_packets) * (parts - lost);
        if lost > denominator {
            return Err(LawError::MeanTooHigh { mean, burst_packets });
        }
        // Not zero: a mean of one is above every bound.
        let rounded = (lost * parts + denominator / 2) / denominator;
        if rounded == 0 && lost > 0 {
            return Err(LawError::BurstTooRare { mean, burst_packets });
        }
        let to_bad = u64::try_from(rounded).ok().and_then(Probability::from_parts);
        Ok((to_bad.expect("at most one, as checked above"), to_good))
    }
}

impl LossProcess {
    /// The law `loss`, fed by `stream`. A Gilbert–Elliott chain starts in its stationary distribution, so the
    /// first frames are lost as often as any others.
    ///
    /// # Errors
    /// If the law's parameters contradict each other: see [`LawError`].
    pub fn new(loss: Loss, mut stream: Stream) -> Result<LossProcess, LawError> {
        let law = Law::new(loss, &mut stream)?;
        Ok(LossProcess { law, stream })
    }

    /// Goes on with another law, from its own start and with the same stream.
    ///
    /// # Panics
    /// If the law's parameters contradict each other: [`Loss::check`] tells.
    pub(crate) fn change(&mut self, loss: Loss) {
        let law = Law::new(loss, &mut self.stream);
        self.law = law.expect("the laws of a link are checked when it is built");
    }

    /// Whether the next frame is lost. As in netem, a frame meets the state that the frame before it left
    /// behind, and the state changes after it.
    #[inline]
    pub fn lose(&mut self) -> bool {
        // Most links lose nothing.
        match self.law {
            Law::None => false,
            _ => self.lose_some(),
        }
    }

    fn lose_some(&mut self) -> bool {
        match &mut self.law {
            Law::None => false,
            Law::Independent(mean) => self.stream.chance(*mean),
            Law::GilbertElliott { chain } => chain.step(&mut self.stream),
            Law::TwoState { chain, loss } => {
                let bad = chain.step(&mut self.stream);
                self.stream.chance(loss[usize::from(bad)])
            }
        }
    }
}

impl Law {
    fn new(loss: Loss, stream: &mut Stream) -> Result<Law, LawError> {
        Ok(match loss {
            Loss::None => Law::None,
            Loss::Independent(mean) => Law::Independent(mean),
            Loss::GilbertElliott { mean, burst_packets } => Law::GilbertElliott {
                chain: Chain::new(mean, burst_packets, stream)?,
            },
            Loss::TwoState {
                mean,
                stay_packets,
                bad,
                good,
            } => Law::TwoState {
                chain: Chain::new(bad_share(mean, bad, good)?, stay_packets, stream)?,
                loss: [good, bad],
            },
        })
    }
}

/// The share of frames that must meet the bad state for this mean loss.
fn bad_share(mean: Probability, bad: Probability, good: Probability) -> Result<Probability, LawError> {
    let outside = LawError::MeanOutside { mean, bad, good };
    let parts = |probability: Probability| probability.as_parts();
    let (Some(excess), Some(range)) = (
        parts(mean).checked_sub(parts(good)),
        parts(bad).checked_sub(parts(good)),
    ) else {
        return Err(outside);
    };
    Probability::from_ratio(excess, range).ok_or(outside)
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    fn percent(numerator: u64, denominator: u64) -> Probability {
        Probability::from_ratio(numerator, 100 * denominator).unwrap()
    }

    #[test]
    fn a_law_with_memory_is_a_chain_with_its_mean() {
        let burst = Loss::GilbertElliott {
            mean: percent(5, 1),
            burst_packets: 4,
        };
        let chain = burst.chain().unwrap().unwrap();
        // 5 % of 4: 0.05 / (4 × 0.95).
        assert_eq!(chain.to_bad, Probability::from_ratio(5, 380).unwrap());
        assert_eq!(
            (chain.to_good, chain.loss_in_bad),
            (percent(25, 1), Probability::ONE)
        );
        let two = Loss::TwoState {
            mean: percent(1, 1),
            stay_packets: 5,
            bad: percent(50, 1),
            good: Probability::ZERO,
        };
        let chain = two.chain().unwrap().unwrap();
        // 2 % of the frames meet the bad state.
        assert_eq!(chain.to_bad, Probability::from_ratio(2, 490).unwrap());
        assert_eq!(
            (chain.loss_in_bad, chain.loss_in_good),
            (percent(50, 1), Probability::ZERO)
        );
        assert_eq!(Loss::Independent(percent(1, 1)).chain(), Ok(None));
    }

    fn process(loss: Loss, seed: u64) -> LossProcess {
        LossProcess::new(loss, Streams::new(seed, 0).stream("a->b", "loss")).unwrap()
    }

    /// Share of frames lost and mean length of the bursts among `n` frames.
    fn measure(mut process: LossProcess, n: u32) -> (f64, f64) {
        let (mut lost, mut bursts, mut before) = (0u32, 0u32, false);
        for _ in 0..n {
            let now = process.lose();
            lost += u32::from(now);
            bursts += u32::from(now && !before);
            before = now;
        }
        (
            f64::from(lost) / f64::from(n),
            f64::from(lost) / f64::from(bursts),
        )
    }

    #[test]
    fn independent_loss_has_its_mean_and_bursts_by_chance_only() {
        let (mean, burst) = measure(process(Loss::Independent(percent(2, 1)), 1), 1_000_000);
        // Standard deviation of the mean: sqrt(0.02 · 0.98 / 10^6) = 0.00014.
        assert!((mean - 0.02).abs() < 0.0005, "{mean}");
        assert!((burst - 1.0 / 0.98).abs() < 0.01, "{burst}");
    }

    #[test]
    fn gilbert_elliott_has_the_mean_and_the_burst_length_it_was_asked_for() {
        for (mean, burst_packets) in [
            (percent(1, 10), 3),
            (percent(5, 10), 5),
            (percent(1, 1), 10),
            (percent(3, 1), 50),
            (percent(5, 1), 20),
            (percent(5, 1), 1),
            (percent(80, 1), 4),
        ] {
            let loss = Loss::GilbertElliott { mean, burst_packets };
            let (share, burst) = measure(process(loss, 2), 3_000_000);
            let (m, b) = (mean.as_f64(), f64::from(burst_packets));
            // Lost frames come in bursts: about n·m/B of them, each with a spread of about B frames, so the
            // relative standard deviation of both figures is at most sqrt(2B / (n·m)).
            let tolerance = 4.5 * (2.0 * b / (3e6 * m)).sqrt();
            assert!((share / m - 1.0).abs() < tolerance, "{loss:?}: mean {share}");
            assert!((burst / b - 1.0).abs() < tolerance, "{loss:?}: burst {burst}");
        }
    }

    #[test]
    fn five_percent_in_bursts_of_twenty_is_five_percent() {
        // The process "start a burst of B with probability s" loses sB / (1 + s(B − 1)): 51.3 % for s = 5 %.
        // A mean m wants s = m / (B − m(B − 1)). There, the frame after a burst may start the next one; here
        // it never does, and P(good → bad) = s / (1 − s) makes up for it.
        let (to_bad, to_good) = Loss::transitions(percent(5, 1), 20).unwrap();
        let start = 0.05 / (20.0 - 0.05 * 19.0);
        assert!((start - 0.002_624_7f64).abs() < 5e-8);
        assert!((to_bad.as_f64() - start / (1.0 - start)).abs() < 1e-12);
        assert_eq!(to_good, percent(5, 1));
    }

    #[test]
    fn the_chain_starts_in_its_stationary_distribution() {
        let loss = Loss::GilbertElliott {
            mean: percent(30, 1),
            burst_packets: 100,
        };
        let first = (0..4_000).filter(|&seed| process(loss, seed).lose()).count();
        // 1,200 ± 29.
        assert!((1_070..1_330).contains(&first), "{first}");
    }

    #[test]
    fn contradictory_parameters_are_refused() {
        assert_eq!(Loss::transitions(percent(1, 1), 0), Err(LawError::EmptyBurst));
        let half = percent(50, 1);
        assert_eq!(
            Loss::transitions(half, 1),
            Ok((Probability::ONE, Probability::ONE))
        );
        let above = Probability::from_parts(half.as_parts() + 1).unwrap();
        assert!(matches!(
            Loss::transitions(above, 1),
            Err(LawError::MeanTooHigh { .. })
        ));
        assert!(matches!(
            Loss::transitions(Probability::ONE, u32::MAX),
            Err(LawError::MeanTooHigh { .. })
        ));
        let tiny = Probability::from_parts(1).unwrap();
        assert!(matches!(
            Loss::transitions(tiny, 10),
            Err(LawError::BurstTooRare { .. })
        ));
        assert_eq!(
            Loss::transitions(Probability::ZERO, 4).map(|(to_bad, _)| to_bad),
            Ok(Probability::ZERO)
        );
    }
}
