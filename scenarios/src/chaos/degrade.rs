//! A link whose laws are those of its own and of the faults that act on it.

use longhaul_chaos::{Effective, Impact, Overlay};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};

use super::{ChaosError, Target};
use crate::schema::{Link, Loss, Step};

/// How often a link may change in a run with faults.
const MOST_CHANGES: usize = 100_000;

/// What changes of a link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// None where it varies by itself; no fault limits it then.
    pub rate: Option<BitRate>,
    /// One-way propagation delay.
    pub delay: Span,
    /// Loss law.
    pub loss: Loss,
    /// MTU, which no fault touches.
    pub mtu: u32,
}

fn too_many(link: &Link) -> ChaosError {
    ChaosError::TooManyChanges {
        link: link.name(),
        most: MOST_CHANGES,
    }
}

/// Gives a link the changes that faults bring before the horizon. One that no fault degrades stays as it is.
pub fn degrade(
    link: &mut Link,
    overlay: &Overlay<Target>,
    target: &Target,
    horizon: Span,
) -> Result<(), ChaosError> {
    let times: Vec<Span> = overlay
        .changes(target)
        .into_iter()
        .filter(|at| *at < horizon)
        .collect();
    let normal = link.rate.constant().unwrap_or(Impact::NORMAL_RATE);
    let degrades = |at: &Span| {
        let felt = overlay.effective(target, *at, normal);
        felt.latency > Span::ZERO || felt.loss > Probability::ZERO || felt.bandwidth.is_some()
    };
    if !times.iter().any(degrades) {
        return Ok(());
    }
    let own = course(link, horizon)?;
    let mut all: Vec<Span> = own.iter().map(|(at, _)| *at).chain(times).collect();
    all.sort();
    all.dedup();
    if all.len() > MOST_CHANGES {
        return Err(too_many(link));
    }
    let mut last = own_start(link);
    let mut steps = Vec::new();
    let mut place = 0;
    for at in all {
        while own.get(place + 1).is_some_and(|(next, _)| *next <= at) {
            place += 1;
        }
        let own = own[place].1;
        let felt = overlay.effective(target, at, own.rate.unwrap_or(normal));
        let now = felt_at(own, &felt);
        if let Err(error) = now.loss.check() {
            return Err(ChaosError::Loss {
                link: link.name(),
                error,
            });
        }
        let step = Step {
            at,
            rate: now.rate.filter(|_| now.rate != last.rate),
            delay: (now.delay != last.delay).then_some(now.delay),
            loss: (now.loss != last.loss).then_some(now.loss),
            mtu: (now.mtu != last.mtu).then_some(now.mtu),
        };
        if now != last {
            steps.push(step);
        }
        last = now;
    }
    link.changes = steps;
    link.period = None;
    Ok(())
}

fn own_start(link: &Link) -> State {
    State {
        rate: link.rate.constant(),
        delay: link.delay,
        loss: link.loss,
        mtu: link.mtu,
    }
}

/// The states of a link without faults, from 0 to the horizon.
///
/// # Errors
/// [`ChaosError::TooManyChanges`]
pub fn course(link: &Link, horizon: Span) -> Result<Vec<(Span, State)>, ChaosError> {
    let start = own_start(link);
    let mut course = vec![(Span::ZERO, start)];
    let mut base = Span::ZERO;
    while base < horizon && !link.changes.is_empty() {
        let mut state = start;
        if course.last().is_some_and(|(at, _)| *at < base) {
            course.push((base, state));
        }
        for step in &link.changes {
            let at = base.saturating_add(step.at);
            if at >= horizon {
                break;
            }
            state = State {
                rate: step.rate.or(state.rate),
                delay: step.delay.unwrap_or(state.delay),
                loss: step.loss.unwrap_or(state.loss),
                mtu: step.mtu.unwrap_or(state.mtu),
            };
            match course.last_mut() {
                Some((last, of)) if *last == at => *of = state,
                _ => course.push((at, state)),
            }
        }
        if course.len() > MOST_CHANGES {
            return Err(too_many(link));
        }
        let Some(period) = link.period else { break };
        base = base.saturating_add(period);
    }
    Ok(course)
}

fn felt_at(own: State, felt: &Effective) -> State {
    State {
        rate: own
            .rate
            .map(|rate| felt.bandwidth.map_or(rate, |limit| rate.min(limit))),
        delay: own.delay.saturating_add(felt.latency),
        loss: with_loss(own.loss, felt.loss),
        mtu: own.mtu,
    }
}

/// The law under which a frame passes if `own` lets it pass and nothing takes it that takes frames with probability
/// `added`, one by one.
fn with_loss(own: Loss, added: Probability) -> Loss {
    if added == Probability::ZERO {
        return own;
    }
    if added == Probability::ONE {
        return Loss::Independent(Probability::ONE);
    }
    let either = |one: Probability| {
        let passes = |p: Probability| u128::from(Probability::PARTS - p.as_parts());
        let pass = passes(one) * passes(added) / u128::from(Probability::PARTS);
        let lost = Probability::PARTS - pass as u64;
        Probability::from_parts(lost).expect("at most one")
    };
    match own {
        Loss::None => Loss::Independent(added),
        Loss::Independent(mean) => Loss::Independent(either(mean)),
        Loss::GilbertElliott { mean, burst_packets } => Loss::TwoState {
            mean: either(mean),
            stay_packets: burst_packets,
            bad: Probability::ONE,
            good: added,
        },
        Loss::TwoState {
            mean,
            stay_packets,
            bad,
            good,
        } => Loss::TwoState {
            mean: either(mean),
            stay_packets,
            bad: either(bad),
            good: either(good),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(percent: u64) -> Probability {
        Probability::from_ratio(percent, 100).unwrap()
    }

    #[test]
    fn losses_add_up_as_independent_ones_do() {
        assert_eq!(with_loss(Loss::None, percent(5)), Loss::Independent(percent(5)));
        assert_eq!(
            with_loss(Loss::Independent(percent(50)), percent(20)),
            Loss::Independent(percent(60))
        );
        let bursts = Loss::GilbertElliott {
            mean: percent(1),
            burst_packets: 4,
        };
        assert_eq!(with_loss(bursts, Probability::ZERO), bursts);
        let both = with_loss(bursts, percent(20));
        assert!(both.check().is_ok());
        // In the chain, the share of the bad state is still one in a hundred.
        let chain = both.chain().unwrap().unwrap();
        let before = bursts.chain().unwrap().unwrap();
        assert!(chain.to_bad.as_parts().abs_diff(before.to_bad.as_parts()) <= 2);
        assert_eq!(
            (chain.loss_in_bad, chain.loss_in_good),
            (Probability::ONE, percent(20))
        );
        assert_eq!(both.mean().as_parts(), Probability::PARTS / 1000 * 208);
    }
}
