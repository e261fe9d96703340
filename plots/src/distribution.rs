//! Distribution functions: how many values are at most (CDF) or more than (CCDF) so much.

use crate::axis::Axis;
use crate::chart::{Entry, Key, Plane, reference_entries};
use crate::palette::look;
use crate::sheet::Stroke;
use crate::{About, Drawing, PlotError, Quantity, Reference, Scale};

/// Most steps that are drawn of one set; the ends are drawn step by step, the middle thinned out.
const STEPS: usize = 1_500;

/// A plot of distribution functions.
#[derive(Clone, PartialEq, Debug)]
pub struct Distributions {
    /// Title and caption.
    pub about: About,
    /// What is distributed.
    pub x: Quantity,
    /// Which function.
    pub function: Function,
    /// The sets of values.
    pub sets: Vec<Set>,
    /// Bounds and targets.
    pub references: Vec<Reference>,
}

/// Which function of the values is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    /// The share of values of at most x, from 0 to 1.
    Cdf,
    /// The share of values above x on a logarithmic axis, which shows tails.
    Ccdf,
}

/// A set of values.
#[derive(Clone, PartialEq, Debug)]
pub struct Set {
    /// For the legend.
    pub name: String,
    /// In any order.
    pub values: Vec<f64>,
    /// How many more there are that are larger than all of these, such as transfers that were not finished.
    pub beyond: u64,
    /// What is drawn around the line.
    pub band: Band,
    /// The function itself, where it does not follow from the values alone because bounds of others are known; `beyond` then
    /// only says how many these are.
    pub estimated: Option<Estimated>,
}

/// A distribution function by values and bounds, as Kaplan and Meier estimate it.
#[derive(Clone, PartialEq, Debug)]
pub struct Estimated {
    /// The share below the first rise: more than nought if something is only known to be at most so much.
    pub first: f64,
    /// Where the function rises, in order of x: to which share of values up to x.
    pub rises: Vec<(f64, f64)>,
    /// The bounds, in any order: marked on the curve.
    pub bounds: Vec<f64>,
}

impl Estimated {
    /// Share of values up to x.
    fn share(&self, x: f64) -> f64 {
        let after = self.rises.partition_point(|rise| rise.0 <= x);
        after.checked_sub(1).map_or(self.first, |rise| self.rises[rise].1)
    }

    /// All x that are known.
    fn xs(&self) -> impl Iterator<Item = f64> + '_ {
        let rises = self.rises.iter().map(|rise| rise.0);
        rises.chain(self.bounds.iter().copied())
    }

    /// The corners of the curve within what is known.
    fn corners(&self) -> Vec<(f64, f64)> {
        let mut corners = Vec::new();
        let mut reached = self.first;
        if let Some(begin) = self.xs().reduce(f64::min) {
            corners.push((begin, reached));
        }
        for &(x, share) in &self.rises {
            corners.push((x, reached));
            reached = share;
            corners.push((x, reached));
        }
        if let Some(end) = self.xs().reduce(f64::max) {
            corners.push((end, reached));
        }
        corners
    }
}

/// A confidence band.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Band {
    /// None, which is right where values depend on each other, as the packets of one run do.
    #[default]
    None,
    /// Simultaneous for all x, of independent values: Dvoretzky, Kiefer and Wolfowitz with Massart's constant. The confidence
    /// lies in (0, 1).
    Dkw {
        /// Such as 0.95.
        confidence: f64,
    },
    /// Value of x, lower and upper end in shares of [0, 1] of the CDF, in order of x.
    Given(Vec<(f64, f64, f64)>),
}

/// Half the height of the Dvoretzky–Kiefer–Wolfowitz band of so many independent values.
pub fn dkw_half_width(n: u64, confidence: f64) -> f64 {
    libm::sqrt(libm::log(2.0 / (1.0 - confidence)) / (2.0 * n as f64))
}

/// Draws distribution functions.
///
/// # Errors
/// If there is no value, or one that cannot be drawn.
pub fn draw(plot: &Distributions) -> Result<Drawing, PlotError> {
    check(plot)?;
    let values = || {
        let bounds = |set: &Set| set.estimated.iter().flat_map(Estimated::xs).collect::<Vec<f64>>();
        plot.sets
            .iter()
            .flat_map(move |set| set.values.iter().copied().chain(bounds(set)))
    };
    if values().next().is_none() {
        return Err(plot.about.empty());
    }
    let xs = values().chain(plot.references.iter().flat_map(Reference::xs));
    let x = Axis::over(xs, plot.x.scale);
    let from = x.low;
    let mut x = x.padded(0.04);
    if from >= 0.0 && plot.x.scale == Scale::Linear {
        // What is never negative needs no room below zero.
        x.low = x.low.max(0.0);
    }
    let most = plot
        .sets
        .iter()
        .map(|set| set.values.len() as u64 + set.beyond)
        .max()
        .unwrap_or(1);
    let (y_of, y) = match plot.function {
        Function::Cdf => {
            let y = Axis::over([0.0, 1.0].into_iter(), Scale::Linear);
            (Quantity::linear("share of values ≤ x", ""), y)
        }
        Function::Ccdf => {
            let y = Axis::over([0.7 / most as f64, 1.0].into_iter(), Scale::Log);
            (Quantity::log("share of values > x", ""), y)
        }
    };
    let entry = |(index, set): (usize, &Set)| {
        let n = set.values.len() as u64 + set.beyond;
        let beyond = if set.beyond > 0 {
            format!(", {} unfinished", set.beyond)
        } else {
            String::new()
        };
        (format!("{} (n = {n}{beyond})", set.name), Key::Line(look(index)))
    };
    let mut legend: Vec<Entry> = plot.sets.iter().enumerate().map(entry).collect();
    legend.extend(reference_entries(&plot.references));
    let mut about = plot.about.clone();
    let bounded = |set: &Set| set.estimated.as_ref().is_some_and(|of| !of.bounds.is_empty());
    if plot.sets.iter().any(bounded) {
        about = about.remark("Strokes across a curve: bounds of what did not finish");
    }
    let plane = Plane::new(&about, &legend, (&plot.x, x), (&y_of, y))?;
    for (index, set) in plot.sets.iter().enumerate() {
        let look = look(index);
        let steps = set
            .estimated
            .as_ref()
            .map_or_else(|| steps(set), Estimated::corners);
        let (Some(&begin), Some(&end)) = (steps.first(), steps.last()) else {
            continue;
        };
        let shown = |share: f64| match plot.function {
            Function::Cdf => share.clamp(0.0, 1.0),
            Function::Ccdf => (1.0 - share).clamp(plane.y.low, 1.0),
        };
        let band: Vec<(f64, f64, f64)> = match &set.band {
            Band::None => Vec::new(),
            Band::Dkw { confidence } => {
                let half = dkw_half_width(set.values.len() as u64 + set.beyond, *confidence);
                steps
                    .iter()
                    .map(|&(x, share)| (x, shown(share - half), shown(share + half)))
                    .collect()
            }
            Band::Given(band) => band
                .iter()
                .map(|&(x, low, high)| (x, shown(low), shown(high)))
                .collect(),
        };
        if band.len() > 1 {
            plane.sheet.role("band", Some(index), Some(set.name.clone()));
            plane.band(&band, look.colour, 0.18)?;
        }
        // Below the least that is known only nothing goes on.
        let mut line: Vec<(f64, f64)> = Vec::new();
        if begin.1 == 0.0 {
            line.push((plane.x.low, shown(0.0)));
        }
        line.extend(steps.iter().map(|&(x, share)| (x, shown(share))));
        // A tail ends where its last value is; what lies beyond is known to be there.
        match (plot.function, set.beyond, &set.estimated) {
            (Function::Ccdf, 0, None) => {}
            (_, _, Some(_)) if end.1 < 1.0 => {}
            _ => line.push((plane.x.high, shown(end.1))),
        }
        plane.sheet.role("series", Some(index), Some(set.name.clone()));
        plane.line(&line, Stroke::of(look))?;
        if let Some(of) = &set.estimated {
            let mut bounds = of.bounds.clone();
            bounds.sort_by(f64::total_cmp);
            bounds.dedup();
            for bound in bounds {
                let tip = format!("{}: not finished, bound {}", set.name, plot.x.value(bound));
                plane.sheet.role("censored", Some(index), Some(tip));
                plane.stroke_across((bound, shown(of.share(bound))), look.colour)?;
            }
        }
        plane.sheet.no_role();
    }
    plane.references(&plot.references)?;
    Ok(plane.sheet.finish())
}

fn check(plot: &Distributions) -> Result<(), PlotError> {
    for set in &plot.sets {
        for &value in &set.values {
            plot.x.check(&set.name, value)?;
        }
        if let Some(of) = &set.estimated {
            plot.about.limit(of.rises.len() + of.bounds.len())?;
            of.xs().try_for_each(|x| plot.x.check(&set.name, x))?;
            let shares: Vec<f64> = [of.first]
                .into_iter()
                .chain(of.rises.iter().map(|rise| rise.1))
                .collect();
            let rises = of.rises.is_sorted_by(|a, b| a.0 < b.0) && shares.is_sorted();
            if !rises || !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
                return Err(PlotError::Inconsistent {
                    what: set.name.clone(),
                    reason: "a distribution function falls, or leaves 0 to 1".to_owned(),
                });
            }
        }
        match &set.band {
            Band::Dkw { confidence } if !(*confidence > 0.0 && *confidence < 1.0) => {
                return Err(PlotError::NotDrawable {
                    what: format!("confidence of {}", set.name),
                    value: confidence.to_string(),
                });
            }
            Band::Given(band) => {
                for &(x, low, high) in band {
                    plot.x.check(&set.name, x)?;
                    let share = Quantity::default();
                    share.check(&set.name, low)?;
                    share.check(&set.name, high)?;
                }
            }
            _ => {}
        }
    }
    let y = Quantity {
        scale: if plot.function == Function::Ccdf {
            Scale::Log
        } else {
            Scale::Linear
        },
        ..Quantity::default()
    };
    plot.references
        .iter()
        .try_for_each(|reference| reference.check(&plot.x, &y))
}

/// The corners of the CDF: at every value from the share below it to the share up to it. Of many values the first and last
/// five hundred keep their own steps.
fn steps(set: &Set) -> Vec<(f64, f64)> {
    let mut sorted = set.values.clone();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64 + set.beyond as f64;
    let ends = STEPS / 3;
    let every = (sorted.len().saturating_sub(2 * ends) / ends).max(1);
    let kept = |index: &usize| *index < ends || *index + ends >= sorted.len() || index.is_multiple_of(every);
    let mut corners = Vec::new();
    let mut reached = 0.0;
    for index in (0..sorted.len()).filter(kept) {
        corners.push((sorted[index], reached));
        reached = (index + 1) as f64 / n;
        corners.push((sorted[index], reached));
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_rise_to_the_share_that_is_known() {
        let set = |values: &[f64], beyond| Set {
            name: String::new(),
            values: values.to_vec(),
            beyond,
            band: Band::None,
            estimated: None,
        };
        assert_eq!(
            steps(&set(&[3.0, 2.0], 2)),
            [(2.0, 0.0), (2.0, 0.25), (3.0, 0.25), (3.0, 0.5)]
        );
        let many: Vec<f64> = (0..100_000).map(f64::from).collect();
        let steps = steps(&set(&many, 0));
        assert!(steps.len() < 4 * STEPS, "{}", steps.len());
        assert_eq!(steps[steps.len() - 1], (99_999.0, 1.0));
        assert!(
            steps
                .windows(2)
                .all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1)
        );
    }

    #[test]
    fn the_band_is_that_of_massart() {
        // sqrt(ln 40 / 200)
        assert!((dkw_half_width(100, 0.95) - 0.135_81).abs() < 1e-4);
    }
}
