//! How a link changes over the time of a run.

use longhaul_core::time::Span;
use longhaul_net::link::LinkSpec;

use super::laws::State;

/// Most changes of a link.
const MOST_CHANGES: usize = 10_000;
/// Least time between two changes: a change takes the kernel's tools some milliseconds.
const LEAST_DISTANCE: Span = Span::from_ms(20);

/// The states of a link from 0 to the horizon, each from when on; those that change nothing are left out.
pub fn course(spec: &LinkSpec, horizon: Span) -> Result<Vec<(Span, State)>, String> {
    let start = State {
        rate: spec.rate,
        delay: spec.delay,
        loss: spec.loss,
    };
    let mut course = vec![(Span::ZERO, start)];
    let Some(steps) = &spec.changes.steps else {
        return Ok(course);
    };
    let mut base = Span::ZERO;
    while base < horizon {
        let mut state = start;
        let steps = steps.steps();
        if steps[0].at > Span::ZERO {
            push(&mut course, base, state)?;
        }
        for step in steps {
            let at = base.saturating_add(step.at);
            if at >= horizon {
                break;
            }
            state = State {
                rate: step.rate.unwrap_or(state.rate),
                delay: step.delay.unwrap_or(state.delay),
                loss: step.loss.unwrap_or(state.loss),
            };
            push(&mut course, at, state)?;
        }
        let Some(period) = spec.changes.steps.as_ref().and_then(|steps| steps.period()) else {
            break;
        };
        base = base.saturating_add(period);
    }
    Ok(course)
}

fn push(course: &mut Vec<(Span, State)>, at: Span, state: State) -> Result<(), String> {
    let (last_at, last) = *course.last().expect("never empty");
    if at == Span::ZERO {
        course[0].1 = state;
        return Ok(());
    }
    if state == last {
        return Ok(());
    }
    if at - last_at < LEAST_DISTANCE {
        let distance = at - last_at;
        return Err(format!(
            "changes {distance} apart: a replay needs {LEAST_DISTANCE}"
        ));
    }
    if course.len() > MOST_CHANGES {
        return Err(format!("more than {MOST_CHANGES} changes before the horizon"));
    }
    course.push((at, state));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longhaul_core::units::BitRate;
    use longhaul_net::course::{Step, Steps};
    use longhaul_net::link::QueueLimit;

    use super::*;

    fn spec(steps: &[(u64, u64)], period_ms: Option<u64>) -> LinkSpec {
        let rate = BitRate::from_bits_per_s;
        let mut spec = LinkSpec::fifo(rate(100), Span::ZERO, QueueLimit::Packets(1));
        let step = |&(at, bits): &(u64, u64)| Step {
            at: Span::from_ms(at),
            rate: Some(rate(bits)),
            ..Step::default()
        };
        let steps = Steps::new(steps.iter().map(step).collect(), period_ms.map(Span::from_ms));
        spec.changes.steps = Some(Arc::new(steps.unwrap()));
        spec
    }

    fn rates(spec: &LinkSpec, horizon_ms: u64) -> Vec<(u64, u64)> {
        let course = course(spec, Span::from_ms(horizon_ms)).unwrap();
        let pair = |(at, state): &(Span, State)| (at.as_ns() / 1_000_000, state.rate.as_bits_per_s());
        course.iter().map(pair).collect()
    }

    #[test]
    fn a_period_begins_with_the_links_own_values() {
        let changes = [(0, 100), (100, 50), (200, 550), (300, 100), (400, 50), (500, 550)];
        assert_eq!(rates(&spec(&[(100, 50), (200, 550)], Some(300)), 600), changes);
        assert_eq!(rates(&spec(&[(100, 50)], None), 600), [(0, 100), (100, 50)]);
        assert_eq!(
            rates(&spec(&[(0, 7), (100, 50)], Some(200)), 300),
            [(0, 7), (100, 50), (200, 7)]
        );
        assert_eq!(
            rates(&spec(&[(600, 50)], None), 600),
            [(0, 100)],
            "not before the horizon"
        );
    }

    #[test]
    fn too_many_changes_and_too_quick_ones_are_refused() {
        let often = spec(&[(0, 1), (100, 50)], Some(200));
        assert!(
            course(&often, Span::from_s(10_000))
                .unwrap_err()
                .contains("10000 changes")
        );
        let quick = spec(&[(0, 1), (10, 50)], None);
        assert!(
            course(&quick, Span::from_s(1))
                .unwrap_err()
                .starts_with("changes 10 ms apart")
        );
    }
}
