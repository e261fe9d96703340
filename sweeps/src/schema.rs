//! A sweep, as its file describes it.

use longhaul_core::random::{Source, Streams};
use longhaul_core::time::Span;
use longhaul_scenarios::diagnose::Place;
use longhaul_scenarios::metric::Unit;
use longhaul_scenarios::schema::{Metric, Scope, Statistic};
use longhaul_scenarios::theory::Law;
use serde::Serialize;

use crate::seeds::RunSeeds;
use crate::space::Space;
use crate::summary::unit_name;

/// Version of the sweep language; a file says which one it is written in.
pub const SWEEP_VERSION: u64 = 1;

/// Points of a sweep whose file sets no `limit`.
pub const DEFAULT_LIMIT: u64 = 100_000;

/// Most runs of one point.
pub const MOST_REPLICATIONS: u64 = 100_000;

/// A sweep: one scenario, what changes in it, how often each point runs, and what is measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Sweep {
    /// Its name; part of names of files.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// The answer that its author expects.
    pub expect: String,
    /// The scenario: a name of the library, or a path relative to the sweep's file.
    pub scenario: String,
    /// Changes that all points share, as `--set` takes them.
    pub set: Vec<String>,
    /// What changes from point to point. The points are all combinations of rows, the last group changing fastest.
    pub groups: Vec<Group>,
    /// Fields of which every sample draws the values.
    pub uncertain: Vec<Uncertain>,
    /// Of the streams that they are drawn from.
    pub uncertain_seed: u64,
    /// Which axes matter: a design that chooses the points, and what is worked out from them.
    pub sensitivity: Option<Sensitivity>,
    /// What points must satisfy; the others are left out.
    pub conditions: Vec<Condition>,
    /// Replications of each point: at least so many if [`Sweep::until`] asks for more. With two sources, samples of each.
    pub replications: u32,
    /// What differs between replications.
    pub replicate_over: Chances,
    /// What is tabulated.
    pub measures: Vec<Measure>,
    /// When to stop replicating.
    pub until: Option<Until>,
    /// What is to be drawn.
    pub plots: Vec<Plot>,
    /// Wall time after which a run is given up.
    pub timeout: Option<Span>,
    /// Most points.
    pub limit: u64,
}

/// What differs between the replications of a point.
///
/// All points use the same seeds, and streams of random numbers are keyed by the names of what draws them, so that what
/// differs between points is their parameters and not their luck (common random numbers).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chances {
    /// All luck: replication `r` has the scenario's seed plus `r`, and sample `r` of what is uncertain.
    Seed,
    /// That of one source: replication `r` has its seed plus `r`, or sample `r`.
    One(Chance),
    /// That of two, each sample of the first with each of the second.
    Both([Chance; 2]),
}

/// What may differ between replications by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chance {
    /// The luck of a source within a run.
    Of(Source),
    /// The values of the uncertain fields.
    Uncertain,
}

impl Chance {
    /// All of them.
    pub const ALL: [Chance; 4] = [
        Chance::Of(Source::Workload),
        Chance::Of(Source::Network),
        Chance::Of(Source::Faults),
        Chance::Uncertain,
    ];
}

/// A field of which only a distribution is known: the round trip between two cities, out of those that were measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Uncertain {
    /// What it is called in tables.
    pub name: String,
    /// Fields of the scenario that it sets, all to the same value.
    pub paths: Vec<String>,
    /// What it may be: each value of a list, and each part of a range (each ratio, in one of equal ratios), is equally likely.
    pub space: Space,
    /// Where its paths stand in the file.
    pub place: Place,
}

impl Uncertain {
    /// Its value in a sample. It depends on its name, and on no other field.
    pub fn draw(&self, seed: u64, sample: u32) -> AxisValue {
        let share = Streams::new(seed, sample)
            .stream(&self.name, "uncertain field")
            .unit();
        let (_, mut values) = self.space.at_shares(std::iter::once(share), self.place);
        values.pop().expect("one value for one share")
    }
}

/// What differs between the runs of a point, with the number of samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplicateOver {
    /// All luck: replication `r` has the scenario's seed plus `r`, and sample `r` of what is uncertain.
    Seed,
    /// That of one source: replication `r` has its seed plus `r`, or sample `r`.
    One(Chance),
    /// That of two: replication `r` has the seed of the first plus `r / samples`, that of the second plus `r % samples`.
    Both {
        /// Which.
        sources: [Chance; 2],
        /// Of each.
        samples: u32,
    },
}

impl ReplicateOver {
    /// Samples of each of two sources; `None` where every run stands by itself.
    pub fn samples(self) -> Option<u32> {
        match self {
            ReplicateOver::Seed | ReplicateOver::One(_) => None,
            ReplicateOver::Both { samples, .. } => Some(samples),
        }
    }

    /// The sources that differ, if not all of them do together.
    pub fn sources(&self) -> &[Chance] {
        match self {
            ReplicateOver::Seed => &[],
            ReplicateOver::One(source) => std::slice::from_ref(source),
            ReplicateOver::Both { sources, .. } => sources,
        }
    }
}

/// A study of which axes matter. Its design chooses the points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sensitivity {
    /// Elementary effects, to screen many axes for a few runs each (Morris, 1991).
    Morris {
        /// Paths through the space, each of one point more than there are axes.
        trajectories: usize,
        /// Values of each axis; an even number.
        levels: usize,
        /// Of the stream that draws the design.
        seed: u64,
    },
    /// Shares of the variance of the outcome (Sobol, 1993; Saltelli et al., 2010).
    Sobol {
        /// Rows of the design, each of two points more than there are axes.
        samples: usize,
        /// Of the stream that draws the design, and of the bootstrap.
        seed: u64,
    },
    /// All combinations of two values of each axis (2^k).
    Factorial,
}

impl Sensitivity {
    /// As tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Sensitivity::Morris { .. } => "morris",
            Sensitivity::Sobol { .. } => "sobol",
            Sensitivity::Factorial => "factorial",
        }
    }

    /// Points for so many axes.
    pub fn points(self, axes: usize) -> usize {
        match self {
            Sensitivity::Morris { trajectories, .. } => trajectories.saturating_mul(axes.saturating_add(1)),
            Sensitivity::Sobol { samples, .. } => samples.saturating_mul(axes.saturating_add(2)),
            Sensitivity::Factorial => u32::try_from(axes)
                .ok()
                .and_then(|axes| 1usize.checked_shl(axes))
                .unwrap_or(usize::MAX),
        }
    }
}

/// Axes that change together: one axis, several of the same length (zipped), or the sides of a hypercube.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// At least one, all of them with the same number of values.
    pub axes: Vec<Axis>,
}

impl Group {
    /// Values of each of its axes.
    pub fn rows(&self) -> usize {
        self.axes.first().map_or(0, |axis| axis.values.len())
    }
}

/// A parameter and the values that it takes.
#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    /// What it is called in tables, plots and conditions.
    pub name: String,
    /// Fields of the scenario that it sets, all to the same value, written as for `--set`.
    pub paths: Vec<String>,
    /// The kind of its values.
    pub kind: Kind,
    /// Whether they lie in equal ratios, so that a plot shows them best on a logarithmic axis.
    pub ratios: bool,
    /// In the order of the file.
    pub values: Vec<AxisValue>,
    /// Where its paths stand in the file.
    pub place: Place,
}

/// One value of an axis.
#[derive(Clone, PartialEq, Debug)]
pub struct AxisValue {
    /// RON, as it goes behind `path=`.
    pub ron: String,
    /// As tables show it.
    pub shown: String,
    /// In steps of its kind: ns, bytes, bit/s, parts of 10^12, millionths, pages/s. Absent for [`Kind::Label`].
    pub exact: Option<i64>,
    /// Where it stands in the file.
    pub place: Place,
}

/// The kind of the values of an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// All of them are quantities of this unit, or plain numbers.
    Quantity(Unit),
    /// All of them are rates of pages, which no metric is: whole pages per second.
    PageRate,
    /// Anything else: told apart by their text alone.
    Label,
}

/// A comparison that must hold, such as `rtt <= 80 ms` or `low < high`.
#[derive(Clone, PartialEq, Debug)]
pub struct Condition {
    /// Index of the axis on the left, counted over all groups.
    pub left: usize,
    /// How they compare.
    pub relation: Relation,
    /// What it is compared with.
    pub right: Operand,
}

/// How two values compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `>=`
    AtLeast,
    /// `>`
    More,
}

/// The right side of a condition.
#[derive(Clone, PartialEq, Debug)]
pub enum Operand {
    /// Index of an axis, counted over all groups.
    Axis(usize),
    /// A quantity or number in steps of its kind.
    Exact(i64),
    /// The text of a value.
    Label(String),
}

/// What is taken from each run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measure {
    /// What it is called in tables and plots.
    pub name: String,
    /// What is measured.
    pub metric: Metric,
    /// How the samples of a run become one value.
    pub statistic: Statistic,
    /// Whose samples.
    pub scope: Scope,
    /// How the interval of the mean over replications is found.
    pub interval: MeanInterval,
}

/// How the interval of a mean is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MeanInterval {
    /// Student's t. Of what says yes or no, Wilson's score.
    #[default]
    StudentT,
    /// The studentised bootstrap: for values that are few and skewed.
    Bootstrap,
}

impl Measure {
    /// Whether each run says yes or no, so that a mean is a share of runs. A sum over several of the kind does not.
    pub fn says_yes_or_no(&self) -> bool {
        self.metric.says_yes_or_no() && (self.statistic != Statistic::Sum || self.scope != Scope::All)
    }
}

/// Replications go on until the mean is known well enough.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Until {
    /// Half the width of the 95 % interval over the mean, above 0 and below 1. Of what says yes or no half the width itself,
    /// since relative to a share of 0 nothing is ever known.
    pub relative_half_width: f64,
    /// Index of the measure.
    pub measure: usize,
    /// Most replications of a point.
    pub at_most: u32,
}

/// A plot: a table, and pictures of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plot {
    /// Name of its table.
    pub name: String,
    /// What is drawn.
    pub kind: PlotKind,
}

/// What a plot shows. Axes and measures by name; axes that a plot does not name are facets of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlotKind {
    /// Means with their intervals over an axis.
    Line {
        /// Axis from left to right.
        x: String,
        /// Measure.
        y: String,
        /// Axis that tells lines apart.
        series: Option<String>,
        /// What is drawn besides: at most one value, and laws.
        bounds: Vec<Bound>,
    },
    /// Means over two axes.
    Heatmap {
        /// Axis from left to right.
        x: String,
        /// Axis from below to above.
        y: String,
        /// Measure that is coloured.
        value: String,
        /// Value whose contour is drawn, in exact steps.
        bound: Option<u64>,
    },
    /// The distribution over replications.
    Cdf {
        /// Measure.
        x: String,
        /// Axis that tells lines apart.
        series: Option<String>,
        /// Value of `x` at which a line is drawn across, in its exact steps.
        bound: Option<u64>,
    },
    /// The share of replications beyond a value, on a logarithmic axis: what is rare is seen in it.
    Ccdf {
        /// Measure.
        x: String,
        /// Axis that tells lines apart.
        series: Option<String>,
        /// Value of `x` at which a line is drawn across, in its exact steps.
        bound: Option<u64>,
    },
    /// The share of runs that have not finished after so long (Kaplan and Meier).
    Survival {
        /// Measure.
        x: String,
        /// Axis that tells lines apart.
        series: Option<String>,
        /// Value of `x` at which a line is drawn across, in its exact steps.
        bound: Option<u64>,
    },
    /// Quantiles of the latencies of a client's single requests: the mean over replications of each run's own.
    Tail {
        /// Name of the client.
        client: String,
        /// Axis that tells lines apart.
        series: Option<String>,
        /// Latency at which a line is drawn across, in ns.
        bound: Option<u64>,
    },
    /// Quartiles over replications.
    Box {
        /// Axis from left to right.
        x: String,
        /// Measure.
        y: String,
        /// Value of `y` at which a line is drawn across, in its exact steps.
        bound: Option<u64>,
    },
    /// Two measures against each other, and the points that no other beats in both.
    Pareto {
        /// Measure.
        x: String,
        /// Which of its values are better.
        x_better: Direction,
        /// Measure.
        y: String,
        /// Which of its values are better.
        y_better: Direction,
        /// Axis that tells points apart.
        series: Option<String>,
    },
}

/// Which values of a measure are better.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Small ones.
    Lower,
    /// Large ones.
    Higher,
}

/// What measurements of a line are held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// A value of the measure in its exact steps, at which a line is drawn across.
    Exact(u64),
    /// What a law says at each point, from the point's own scenario.
    Law(Law),
}

impl Sweep {
    /// What differs between the runs of a point.
    pub fn over(&self) -> ReplicateOver {
        match self.replicate_over {
            Chances::Seed => ReplicateOver::Seed,
            Chances::One(source) => ReplicateOver::One(source),
            Chances::Both(sources) => ReplicateOver::Both {
                sources,
                samples: self.replications,
            },
        }
    }

    /// With another number of replications of each point, which `until` allows at least.
    pub fn set_replications(&mut self, replications: u32) {
        self.replications = replications;
        if let Some(until) = &mut self.until {
            until.at_most = until.at_most.max(replications);
        }
    }

    /// Runs of each point to begin with.
    pub fn runs(&self) -> u32 {
        match self.replicate_over {
            Chances::Seed | Chances::One(_) => self.replications,
            Chances::Both(_) => self.replications.saturating_mul(self.replications),
        }
    }

    /// The values of the uncertain fields in a sample, in the order of the file.
    pub fn draws(&self, sample: u32) -> Vec<AxisValue> {
        let fields = self.uncertain.iter();
        fields
            .map(|field| field.draw(self.uncertain_seed, sample))
            .collect()
    }

    /// The sample of the uncertain fields that a replication has; the first if nothing is uncertain.
    pub fn sample(&self, replication: u32) -> u32 {
        if self.uncertain.is_empty() {
            return 0;
        }
        RunSeeds::default().replication(self.over(), replication).sample
    }

    /// All axes, in the order of the file.
    pub fn axes(&self) -> impl Iterator<Item = &Axis> {
        self.groups.iter().flat_map(|group| &group.axes)
    }
}

impl Kind {
    /// What columns of such values end in, so that a name carries its unit.
    pub fn suffix(self) -> &'static str {
        match self {
            Kind::Quantity(unit) => suffix(unit),
            Kind::PageRate => "_pages_per_s",
            Kind::Label => "",
        }
    }

    /// Its unit in tables: `ns`, `bytes`, `bit/s`, `share`, `number`, `pages/s` or `label`.
    pub fn unit_name(self) -> &'static str {
        match self {
            Kind::Quantity(unit) => unit_name(unit),
            Kind::PageRate => "pages/s",
            Kind::Label => "label",
        }
    }

    /// How such a value is written, for messages.
    pub fn example(self) -> &'static str {
        match self {
            Kind::Quantity(unit) => unit.example(),
            Kind::PageRate => "a rate of pages such as \"500 pages/s\"",
            Kind::Label => "a value of the list",
        }
    }
}

/// What columns of a unit end in.
pub fn suffix(unit: Unit) -> &'static str {
    match unit {
        Unit::Time => "_ns",
        Unit::Size => "_bytes",
        Unit::Rate => "_bits_per_s",
        Unit::Share => "_share",
        Unit::Number => "",
    }
}
