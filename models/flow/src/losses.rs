//! Which frames of a flow are lost: instead of a draw per frame, the gap to the next loss, so that a clean
//! stretch costs nothing however long it is.
//!
//! Each flow has the law of every link on its path to itself. Independent losses are the same for that. Of a
//! Gilbert–Elliott link shared with others a flow sees every n-th frame where they fill it: the chain takes n steps
//! between two of its frames, which shortens the bursts and leaves the mean. Where they do not, the frames of a round
//! leave together, and the others pass between two rounds. That bursts hit several flows at once is lost.

use longhaul_core::random::Stream;
use longhaul_net::loss::Loss;

/// The laws of a path at work.
#[derive(Clone, Debug)]
pub(crate) struct Losses {
    stream: Stream,
    laws: Vec<Law>,
    /// Positions of the last answer.
    lost: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Law {
    /// Starting a burst at a frame.
    start: Gap,
    /// How bursts end; independent losses come one by one.
    bursts: Option<Bursts>,
    /// Frames until the next burst.
    clean: u64,
    /// Frames left of the burst.
    bad: u64,
}

/// A Gilbert–Elliott chain as one flow among others sees it.
#[derive(Clone, Copy, Debug)]
struct Bursts {
    end: Gap,
    mean: f64,
    /// The chain's memory of its state per step: 1 - P(good → bad) - P(bad → good).
    memory: f64,
    interleaved: f64,
}

/// A geometric law.
#[derive(Clone, Copy, Debug)]
enum Gap {
    /// The probability is one.
    None,
    /// The probability is zero.
    Endless,
    /// 1 / ln(1 - p).
    Scale(f64),
}

impl Gap {
    fn new(probability: f64) -> Gap {
        if probability >= 1.0 {
            Gap::None
        } else if probability <= 0.0 {
            Gap::Endless
        } else {
            Gap::Scale(1.0 / libm::log1p(-probability))
        }
    }

    /// Failures before the first success.
    fn draw(self, stream: &mut Stream) -> u64 {
        match self {
            Gap::None => 0,
            Gap::Endless => u64::MAX,
            // A cast from beyond the range goes to its end.
            Gap::Scale(scale) => (libm::log(stream.unit()) * scale) as u64,
        }
    }
}

impl Law {
    fn new(loss: Loss, stream: &mut Stream) -> Option<Law> {
        let mut law = Law {
            start: Gap::None,
            bursts: None,
            clean: 0,
            bad: 0,
        };
        match loss {
            Loss::None => return None,
            Loss::TwoState { .. } => unreachable!("the network refused it"),
            Loss::Independent(mean) => law.start = Gap::new(mean.as_f64()),
            Loss::GilbertElliott { mean, burst_packets } => {
                let (to_bad, to_good) =
                    Loss::transitions(mean, burst_packets).expect("the network checked its laws");
                law.start = Gap::new(to_bad.as_f64());
                law.bursts = Some(Bursts {
                    end: Gap::new(to_good.as_f64()),
                    mean: mean.as_f64(),
                    memory: 1.0 - to_bad.as_f64() - to_good.as_f64(),
                    interleaved: 1.0,
                });
                if stream.chance(mean) {
                    law.bad = law.burst(stream);
                    return Some(law);
                }
            }
        }
        law.clean = law.start.draw(stream);
        Some(law)
    }

    /// From now on one of `interleaved` frames is the flow's.
    fn interleave(&mut self, interleaved: f64, stream: &mut Stream) {
        let Some(bursts) = &mut self.bursts else { return };
        let ratio = interleaved / bursts.interleaved;
        // Drawn gaps are not drawn again for a small change.
        if (0.7..1.4).contains(&ratio) {
            return;
        }
        bursts.interleaved = interleaved;
        let forgotten = 1.0 - libm::pow(bursts.memory.max(0.0), interleaved);
        bursts.end = Gap::new((1.0 - bursts.mean) * forgotten);
        self.start = Gap::new(bursts.mean * forgotten);
        // Geometric gaps have no memory, so what is left of one may be drawn anew.
        if self.bad > 0 {
            self.bad = self.burst(stream);
        } else {
            self.clean = self.start.draw(stream);
        }
    }

    /// `others` frames of other flows have passed since the flow's last one.
    fn forget(&mut self, others: f64, stream: &mut Stream) {
        let Some(bursts) = self.bursts else { return };
        let remembered = libm::pow(bursts.memory.max(0.0), others);
        if stream.unit() < remembered {
            return;
        }
        // Whatever the state was, it is drawn anew.
        (self.bad, self.clean) = (0, 0);
        if stream.unit() < bursts.mean {
            self.bad = self.burst(stream);
        } else {
            self.clean = self.start.draw(stream);
        }
    }

    fn burst(&self, stream: &mut Stream) -> u64 {
        let more = self.bursts.map_or(0, |bursts| bursts.end.draw(stream));
        more.saturating_add(1)
    }

    /// Moves over `frames` frames and tells the positions of the lost ones.
    fn pass(&mut self, frames: u32, stream: &mut Stream, lost: &mut Vec<u32>) {
        let mut at = 0u32;
        while at < frames {
            let left = u64::from(frames - at);
            if self.bad > 0 {
                let now = self.bad.min(left);
                // At most what is left of the frames.
                lost.extend(at..at + now as u32);
                self.bad -= now;
                at += now as u32;
                if self.bad == 0 {
                    // After a burst of a chain there is a delivered frame; independent losses may be neighbours.
                    let delivered = u64::from(self.bursts.is_some());
                    self.clean = self.start.draw(stream).saturating_add(delivered);
                }
                continue;
            }
            let now = self.clean.min(left);
            self.clean -= now;
            at += now as u32;
            if self.clean == 0 {
                self.bad = self.burst(stream);
            }
        }
    }
}

impl Losses {
    /// The laws `laws` fed by `stream`; `None` if none of them loses anything.
    pub(crate) fn new(laws: impl Iterator<Item = Loss>, stream: impl FnOnce() -> Stream) -> Option<Losses> {
        let laws: Vec<Loss> = laws.filter(|law| *law != Loss::None).collect();
        if laws.is_empty() {
            return None;
        }
        let mut stream = stream();
        let laws = laws.into_iter().filter_map(|law| Law::new(law, &mut stream));
        Some(Losses {
            laws: laws.collect(),
            lost: Vec::new(),
            stream,
        })
    }

    /// From now on one of `interleaved` frames on the path is the flow's.
    #[inline]
    pub(crate) fn interleave(&mut self, interleaved: f64) {
        for law in &mut self.laws {
            law.interleave(interleaved, &mut self.stream);
        }
    }

    /// `others` frames of other flows have passed since the last frame.
    #[inline]
    pub(crate) fn forget(&mut self, others: f64) {
        if others > 0.0 {
            for law in &mut self.laws {
                law.forget(others, &mut self.stream);
            }
        }
    }

    /// Frames that will all arrive.
    pub(crate) fn clean_frames(&self) -> u64 {
        let clean = |law: &Law| if law.bad > 0 { 0 } else { law.clean };
        self.laws.iter().map(clean).min().unwrap_or(u64::MAX)
    }

    /// Sends `frames` frames; the positions of the lost ones, in order.
    pub(crate) fn pass(&mut self, frames: u32) -> &[u32] {
        self.lost.clear();
        for law in &mut self.laws {
            law.pass(frames, &mut self.stream, &mut self.lost);
        }
        if self.laws.len() > 1 {
            self.lost.sort_unstable();
            self.lost.dedup();
        }
        &self.lost
    }

    /// Sends one frame; whether it arrives.
    pub(crate) fn one_arrives(&mut self) -> bool {
        self.pass(1).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;
    use longhaul_core::units::Probability;

    use super::*;

    fn measure(loss: Loss, rounds: u32, frames: u32) -> (f64, f64) {
        let mut losses =
            Losses::new([loss].into_iter(), || Streams::new(4, 0).stream("flow", "loss")).expect("a law");
        let (mut lost, mut bursts) = (0u32, 0u32);
        let mut before = false;
        for _ in 0..rounds {
            let positions = losses.pass(frames).to_vec();
            let mut next = 0;
            for &position in &positions {
                bursts += u32::from(position != next || !before);
                before = true;
                next = position + 1;
            }
            lost += positions.len() as u32;
            before = next == frames && !positions.is_empty();
        }
        (
            f64::from(lost) / f64::from(rounds * frames),
            f64::from(lost) / f64::from(bursts),
        )
    }

    #[test]
    fn gaps_have_the_mean_and_the_bursts_of_the_laws() {
        let percent = |n| Probability::from_ratio(n, 100).expect("a probability");
        let (mean, burst) = measure(Loss::Independent(percent(2)), 30_000, 33);
        assert!((mean - 0.02).abs() < 0.0005, "{mean}");
        assert!((burst - 1.0 / 0.98).abs() < 0.01, "{burst}");
        for (mean, burst_packets) in [(1, 4), (5, 20), (50, 1)] {
            let law = Loss::GilbertElliott {
                mean: percent(mean),
                burst_packets,
            };
            let (share, burst) = measure(law, 90_000, 33);
            let n = 90_000.0 * 33.0 * mean as f64 / 100.0;
            let tolerance = 4.5 * (2.0 * f64::from(burst_packets) / n).sqrt();
            assert!(
                (share * 100.0 / mean as f64 - 1.0).abs() < tolerance,
                "{law:?}: {share}"
            );
            // Bursts cut by the end of a round are counted twice only where `before` misses them.
            assert!(
                (burst / f64::from(burst_packets) - 1.0).abs() < tolerance,
                "{law:?}: {burst}"
            );
        }
    }

    #[test]
    fn certain_loss_loses_everything_and_clean_stretches_are_clean() {
        let (mean, _) = measure(Loss::Independent(Probability::ONE), 10, 7);
        assert!((mean - 1.0).abs() < 1e-12);
        let law = Loss::Independent(Probability::from_ratio(1, 100).expect("a probability"));
        let mut losses =
            Losses::new([law].into_iter(), || Streams::new(5, 0).stream("flow", "loss")).expect("a law");
        for _ in 0..1_000 {
            let clean = u32::try_from(losses.clean_frames()).expect("a short gap");
            assert!(losses.pass(clean).is_empty());
            assert_eq!(losses.pass(1), [0]);
        }
    }
}
