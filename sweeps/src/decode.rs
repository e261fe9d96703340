//! From the tree of a sweep's file to a [`Sweep`]. As with scenarios, reading goes on after a mistake, so that all of
//! them are reported at once. The defaults:
//!
//! | field | default |
//! | --- | --- |
//! | `set`, `uncertain`, `where`, `plots` | `[]` |
//! | `uncertain_seed` | 1 |
//! | `sensitivity` | none: the points are all combinations |
//! | `replications` | 10 |
//! | `replicate_over` | `Seed` |
//! | `until` | none: `replications` and no more |
//! | `timeout` | none |
//! | `limit` | 100,000 points |
//! | `metrics[].scope` | `All` |
//! | `axes[].name` | the last field of its path |
//! | `plots[].series`, `plots[].bound` | none |

mod axes;
mod columns;
mod conditions;
mod design;
mod plots;
mod uncertain;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use longhaul_core::random;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_scenarios::decode::assertion::{one_of, scope};
use longhaul_scenarios::decode::context::{At, Context, Fields, Variant, list, no_content, variant};
use longhaul_scenarios::decode::{Files, Names, value};
use longhaul_scenarios::diagnose::{Diagnostic, Diagnostics, Place, Sink, Texts};
use longhaul_scenarios::metric::{METRICS, STATISTICS, Unit};
use longhaul_scenarios::schema::{Scope, Statistic};
use longhaul_scenarios::source::Source;
use longhaul_scenarios::syntax;
use longhaul_statistics::bootstrap::LEAST_STUDENTISED;

pub use axes::quantity;

use crate::components::COMPONENTS;
use crate::schema::{
    Chance, Chances, DEFAULT_LIMIT, MOST_REPLICATIONS, MeanInterval, Measure, Plot, SWEEP_VERSION, Sweep,
    Until,
};

/// Most changes that all points share, groups, conditions, measures, or plots.
const MOST_ITEMS: usize = 100;
/// Shortest time after which a run may be given up.
pub const SHORTEST_TIMEOUT: Span = Span::from_ms(1);
/// Longest such time.
pub const LONGEST_TIMEOUT: Span = Span::from_s(7 * 24 * 3_600);
/// Most points that a file may allow.
const MOST_POINTS: u64 = 100_000_000;

/// A sweep's file: what it says, and its text, for messages about it.
#[derive(Clone, Debug)]
pub struct SweepFile {
    /// What it says.
    pub sweep: Sweep,
    /// Its text.
    pub text: String,
    /// The text with its name.
    pub texts: Arc<Texts>,
    /// What the path of the scenario is relative to.
    pub base_dir: PathBuf,
    /// Where the measures stand, in their order.
    pub measure_places: Vec<Place>,
    /// Where the scenario is named.
    pub scenario_place: Place,
    /// Where the changes stand that all points share, in their order.
    pub set_places: Vec<Place>,
    /// Where the axes stand.
    pub axes_place: Place,
    /// Where the conditions stand.
    pub where_place: Place,
}

/// Reads the file of a sweep.
///
/// # Errors
/// Everything that is wrong with it. After a syntax error only syntax errors are reported.
pub fn read(source: &Source) -> Result<SweepFile, Diagnostics> {
    let mut texts = Texts::default();
    let mut sink = Sink::default();
    let index = texts.add(&source.name, &source.text);
    let texts = Arc::new(texts);
    let root = syntax::parse(&source.text, index, 0, &mut sink);
    let sweep = root
        .as_ref()
        .and_then(|root| sweep(root, &source.text, &mut sink));
    let (Some(sweep), Some(root), true) = (sweep, root, sink.is_empty()) else {
        assert!(!sink.is_empty(), "a sweep was refused without a reason");
        return Err(Diagnostics::new(texts, sink));
    };
    let place = |node: Option<&syntax::Node>| node.map_or(Place::default(), syntax::Node::head);
    let places = |field: &str| {
        let items = root.field(field).map_or(&[][..], syntax::Node::items);
        items.iter().map(syntax::Node::head).collect()
    };
    Ok(SweepFile {
        sweep,
        text: source.text.clone(),
        texts,
        base_dir: source.base_dir.clone(),
        measure_places: places("metrics"),
        scenario_place: place(root.field("scenario")),
        set_places: places("set"),
        axes_place: place(root.field("axes")),
        where_place: place(root.field("where")),
    })
}

const FIELDS: [&str; 18] = [
    "version",
    "name",
    "question",
    "expect",
    "scenario",
    "set",
    "sensitivity",
    "axes",
    "uncertain",
    "uncertain_seed",
    "where",
    "replications",
    "replicate_over",
    "metrics",
    "until",
    "plots",
    "timeout",
    "limit",
];

fn sweep(root: &syntax::Node, text: &str, sink: &mut Sink) -> Option<Sweep> {
    let names = Names::default();
    let mut files = Files::new(PathBuf::new());
    let cx = &mut Context {
        sink,
        names: &names,
        locations: BTreeMap::new(),
        files: &mut files,
    };
    let at = At {
        node: root,
        path: String::new(),
    };
    let fields = Fields::of(cx, &at, "a sweep", Some("Sweep"), &FIELDS)?;
    fields.required(cx, "version", version);
    let name = fields.required(cx, "name", value::name);
    let question = fields.required(cx, "question", value::sentence);
    let expect = fields.required(cx, "expect", value::sentence);
    let scenario = fields.required(cx, "scenario", value::sentence);
    let set = fields.optional(cx, "set", Vec::new(), |cx, at| {
        let (items, complete) = list(cx, at, MOST_ITEMS, value::sentence);
        complete.then(|| items.into_iter().map(|(_, item)| item).collect())
    });
    let sensitivity = fields.optional(cx, "sensitivity", None, |cx, at| {
        design::sensitivity(cx, at).map(Some)
    });
    let groups = fields.required(cx, "axes", |cx, at| match sensitivity? {
        // Without knowing the design nothing can be said about its axes.
        Some(sensitivity) => design::groups(cx, at, text, sensitivity),
        None => axes::groups(cx, at, text),
    });
    let uncertain = fields.optional(cx, "uncertain", Vec::new(), |cx, at| {
        uncertain::fields(cx, at, text, groups.as_deref()?)
    });
    let uncertain_seed = fields.optional(cx, "uncertain_seed", 1, |cx, at| {
        value::integer(cx, at, 0, u64::MAX)
    });
    if let (Some([]), Some([]), Some(at)) = (groups.as_deref(), uncertain.as_deref(), fields.get("axes")) {
        cx.refuse::<()>(
            &at,
            "there is no axis, and nothing is `uncertain`: a single point is a run",
        );
    }
    let conditions = fields.optional(cx, "where", Vec::new(), |cx, at| {
        // Without the axes nothing can be said about comparisons between them.
        conditions::conditions(cx, at, groups.as_deref()?)
    });
    let measures = fields.required(cx, "metrics", measures);
    let replications = fields.optional(cx, "replications", 10, |cx, at| {
        value::integer(cx, at, 1, MOST_REPLICATIONS)
    });
    let replicate_over = fields.optional(cx, "replicate_over", Chances::Seed, replicate_over);
    let until = fields.optional(cx, "until", None, |cx, at| {
        until(cx, at, measures.as_deref()?, replications?).map(Some)
    });
    let plots = fields.optional(cx, "plots", Vec::new(), |cx, at| {
        plots::plots(cx, at, groups.as_deref()?, measures.as_deref()?)
    });
    let skewed = |measures: &Vec<Measure>| {
        let mut found = measures.iter();
        found.position(|measure| measure.interval == MeanInterval::Bootstrap)
    };
    if let Some(index) = measures.as_ref().and_then(skewed) {
        let why = if matches!(replicate_over, Some(Chances::Both(_))) {
            Some("replications over two sources are not independent, as a bootstrap needs them")
        } else if matches!(until, Some(Some(goal)) if goal.measure == index) {
            Some("`until` goes by Student's t")
        } else if replications.is_some_and(|runs| runs < LEAST_STUDENTISED as u64) {
            Some("a bootstrap needs at least 8 replications")
        } else {
            None
        };
        if let (Some(why), Some(at)) = (why, fields.get("metrics")) {
            cx.refuse::<()>(&at, format!("`metrics[{index}].interval`: {why}"));
        }
    }
    if let Some(Chances::Both(_)) = replicate_over {
        let alone = "needs replications that are independent of each other: replicate over one source, or over `Seed`";
        for field in ["sensitivity", "until"] {
            if let Some(at) = fields.get(field) {
                cx.refuse::<()>(&at, format!("`{field}` {alone}"));
            }
        }
        let taken = |plot: &Plot| plot.name.starts_with(COMPONENTS);
        if let (Some(plot), Some(at)) = (
            plots.iter().flatten().find(|plot| taken(plot)),
            fields.get("plots"),
        ) {
            let message = format!("`{}` is the name of a picture of the variance itself", plot.name);
            cx.refuse::<()>(&at, message);
        }
        if replications.is_some_and(|samples| samples < 2) {
            let at = fields.get("replications").unwrap_or_else(|| at.clone());
            cx.refuse::<()>(
                &at,
                "two samples of each source are the least that can be compared",
            );
        }
    }
    if let Some(uncertain) = &uncertain {
        uncertain::agree(
            cx,
            &fields,
            uncertain,
            replicate_over,
            replications,
            plots.as_deref(),
        );
    }
    if let Some(Some(sensitivity)) = sensitivity {
        design::allowed(cx, &fields, sensitivity, replications, plots.as_deref());
    }
    let timeout = fields.optional(cx, "timeout", None, |cx, at| {
        value::quantity_within(cx, at, &SHORTEST_TIMEOUT, &LONGEST_TIMEOUT).map(Some)
    });
    let limit = fields.optional(cx, "limit", DEFAULT_LIMIT, |cx, at| {
        value::integer(cx, at, 1, MOST_POINTS)
    });
    let sweep = Sweep {
        name: name?,
        question: question?,
        expect: expect?,
        scenario: scenario?,
        set: set?,
        groups: groups?,
        uncertain: uncertain?,
        uncertain_seed: uncertain_seed?,
        sensitivity: sensitivity?,
        conditions: conditions?,
        replications: u32::try_from(replications?).expect("within its range"),
        replicate_over: replicate_over?,
        measures: measures?,
        until: until?,
        plots: plots?,
        timeout: timeout?,
        limit: limit?,
    };
    columns::distinct(cx, &fields, &sweep)?;
    Some(sweep)
}

fn version(cx: &mut Context, at: &At) -> Option<()> {
    let version = value::integer(cx, at, 0, u64::MAX)?;
    if version != SWEEP_VERSION {
        return cx.refuse(at, format!("this program reads version {SWEEP_VERSION}"));
    }
    Some(())
}

fn replicate_over(cx: &mut Context, at: &At) -> Option<Chances> {
    if !matches!(at.node.kind, syntax::Kind::List(_)) {
        let seed = Variant {
            name: "Seed",
            form: "Seed",
        };
        variant(
            cx,
            at,
            "what replications differ in: `Seed` or a list of sources",
            &[seed],
        )?;
        no_content(cx, at)?;
        return Some(Chances::Seed);
    }
    let sources = Chance::ALL.map(|chance| {
        let name = match chance {
            Chance::Of(random::Source::Workload) => "Workload",
            Chance::Of(random::Source::Network) => "Network",
            Chance::Of(random::Source::Faults) => "Faults",
            Chance::Uncertain => "Uncertain",
        };
        (name, chance)
    });
    let (items, complete) = list(cx, at, MOST_ITEMS, |cx, at| {
        one_of(cx, at, "a source of chance", &sources)
    });
    let sources: Vec<Chance> = items.into_iter().map(|(_, source)| source).collect();
    match sources[..] {
        _ if !complete => None,
        [source] => Some(Chances::One(source)),
        [first, second] if first != second => Some(Chances::Both([first, second])),
        [_, _] => cx.refuse(at, "the same source twice"),
        _ => cx.refuse(
            at,
            "one source, or two of which all combinations run; all together are `Seed`",
        ),
    }
}

fn measures(cx: &mut Context, at: &At) -> Option<Vec<Measure>> {
    let (items, complete) = list(cx, at, MOST_ITEMS, measure);
    if complete && items.is_empty() {
        return cx.refuse(at, "a sweep that measures nothing shows nothing");
    }
    let measures: Vec<Measure> = items.into_iter().map(|(_, item)| item).collect();
    for (index, measure) in measures.iter().enumerate() {
        if measures[..index].iter().any(|other| other.name == measure.name) {
            return cx.refuse(at, format!("two metrics are named `{}`", measure.name));
        }
    }
    complete.then_some(measures)
}

/// How intervals of means may be found.
const INTERVALS: [(&str, MeanInterval); 2] = [
    ("StudentT", MeanInterval::StudentT),
    ("Bootstrap", MeanInterval::Bootstrap),
];

fn measure(cx: &mut Context, at: &At) -> Option<Measure> {
    let known = ["name", "metric", "statistic", "scope", "interval"];
    let fields = Fields::of(cx, at, "a metric", None, &known)?;
    let name = fields.required(cx, "name", axes::column);
    let metric = fields.required(cx, "metric", |cx, at| one_of(cx, at, "a metric", &METRICS));
    let statistic = fields.required(cx, "statistic", |cx, at| {
        one_of(cx, at, "a statistic", &STATISTICS)
    });
    let scope = fields.optional(cx, "scope", Scope::All, scope);
    let interval = fields.optional(cx, "interval", MeanInterval::default(), |cx, at| {
        one_of(cx, at, "an interval", &INTERVALS)
    });
    let (metric, statistic) = (metric?, statistic?);
    if statistic == Statistic::Sum && metric.unit() == Unit::Share {
        return cx.refuse(&fields.get("statistic")?, "a sum of shares means nothing");
    }
    let measure = Measure {
        name: name?,
        metric,
        statistic,
        scope: scope?,
        interval: interval?,
    };
    if let (true, Some(at)) = (measure.says_yes_or_no(), fields.get("interval")) {
        return cx.refuse(&at, "what says yes or no has the interval of a share, by Wilson");
    }
    Some(measure)
}

fn until(cx: &mut Context, at: &At, measures: &[Measure], replications: u64) -> Option<Until> {
    let known = ["relative_half_width", "metric", "at_most"];
    let fields = Fields::of(cx, at, "a goal", None, &known)?;
    let width = fields.required(cx, "relative_half_width", |cx, at| {
        let share: Probability = value::quantity(cx, at)?;
        if share == Probability::ZERO || share == Probability::ONE {
            return cx.refuse(at, "a share between 0 % and 100 % is expected, such as \"5 %\"");
        }
        Some(share.as_f64())
    });
    let measure = fields.required(cx, "metric", |cx, at| {
        let name = value::text(cx, at)?;
        named(cx, at, "metric", &name, measures.iter().map(|m| m.name.as_str()))
    });
    let at_most = fields.required(cx, "at_most", |cx, at| {
        value::integer(cx, at, replications.max(3), MOST_REPLICATIONS)
    });
    Some(Until {
        relative_half_width: width?,
        measure: measure?,
        at_most: u32::try_from(at_most?).expect("within its range"),
    })
}

/// The index of the item that is called `name`.
fn named<'a>(
    cx: &mut Context,
    at: &At,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<usize> {
    if let Some(index) = known.clone().position(|known| known == name) {
        return Some(index);
    }
    let mut error = Diagnostic::error(at.node.head(), &*at.path, format!("no {what} is named `{name}`"));
    error.help = longhaul_scenarios::suggest::help(name, known);
    cx.sink.push(error);
    None
}
