//! The command line.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Parser, Subcommand, ValueEnum};
use longhaul_core::MODEL_VERSION;
use longhaul_core::record::{Fidelity, RECORD_FORMAT};
use longhaul_core::text::QuantityError;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize};
use longhaul_import::Defaults;
use longhaul_scenarios::hunt::FaultClass;
use longhaul_scenarios::schema::SCHEMA_VERSION;
use longhaul_sweeps::decode::{LONGEST_TIMEOUT, SHORTEST_TIMEOUT};
use longhaul_sweeps::directory::Shard;
use longhaul_validation::filter::Filter;
use longhaul_validation::tolerance::Declared;

use crate::output::Colour;
use crate::replay::Wish;

/// Most events that one trace may hold; each takes about a hundred bytes.
const LONGEST_TRACE: u64 = 10_000_000;

const EXAMPLES: &str = "\
Examples:
  longhaul list                           the scenarios that come with the program
  longhaul run cross_region               run one of them
  longhaul run wan.ron --seed 7           run a file with another seed
  longhaul run wan.ron --set 'links[0].rate=1 Gbit/s'
  longhaul run wan.ron --json | jq .verdict
  longhaul run wan.ron --verify           run twice and compare event by event
  longhaul show cross_region > mine.ron   a scenario with every default written out
  longhaul check mine.ron                 all mistakes and doubts, without running
  longhaul hunt mine.ron --seeds 5000     faults that make it fail, and the fewest of them that do
  longhaul sweep streams_by_rtt           many runs of one scenario, on all processors
  longhaul sweep mine.ron --plan          how many runs, how long, how much disk
  longhaul compare runs/a runs/b          what differs between two runs or sweeps
  longhaul import gml Kdl.gml -o kdl.ron  a published topology as a scenario
  longhaul report runs/wan-s1-0a1b2c3d    a page about a finished run, and Markdown and JUnit XML
  longhaul validate transfers.csv         how far the simulator is off measurements
  longhaul doctor                         what this machine can replay, and how
  longhaul replay wan.ron                 on a real kernel, compared with the simulation";

const EXIT_CODES: &str = "\
Exit codes:
  0  all ran, and no critical assertion failed
  1  internal error: a bug, with the command that reproduces it
  2  wrong command line, invalid scenario or table, or output that cannot be written
  3  a critical assertion failed, or a tolerance of validate or a margin of replay was missed
  4  inconclusive: too little data to tell
  5  nondeterminism: two runs differed
  7  a replay whose figures cannot be trusted
  8  this machine lacks a privilege, a tool or a kernel (`longhaul doctor` says which), or no kernel
     can replay the scenario
  9  some runs of a sweep failed; the others are valid
  134, 137  memory ran out (SIGABRT from the program, SIGKILL from the system); `sweep --memory`
     keeps that to the run that is too large
  130, 143  interrupted (SIGINT, SIGTERM); what was finished is kept";

/// The versions that decide about results stand beside that of the program.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} (model version {MODEL_VERSION}, scenario language {SCHEMA_VERSION}, record format {RECORD_FORMAT})",
        env!("CARGO_PKG_VERSION")
    )
});

/// Simulates multi-region wide-area networks: the same scenario, seed and model version give the same bytes.
#[derive(Parser, Debug)]
#[command(name = "longhaul", version = VERSION.as_str(), after_help = EXAMPLES)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// When to use colour; `auto` heeds the terminal, NO_COLOR and TERM=dumb.
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Colour,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Run a scenario and write its run directory.
    Run(RunArgs),
    /// Look for mistakes and doubts in a scenario without running it.
    Check(ScenarioArgs),
    /// Print a scenario with every default written out.
    Show(ScenarioArgs),
    /// Make a page about a finished run, from its directory alone.
    Report(ReportArgs),
    /// Hold the simulator against a table of measured transfers.
    Validate(ValidateArgs),
    /// Replay a scenario on a real kernel and compare it with its simulation.
    Replay(ReplayArgs),
    /// Look for faults that make a scenario fail, and write the fewest that do.
    Hunt(HuntArgs),
    /// Run a scenario many times, with other values and other seeds.
    Sweep(SweepArgs),
    /// Put the parts of a sweep together that ran with --shard.
    Merge(MergeArgs),
    /// Say what differs between two runs, or two sweeps.
    Compare(CompareArgs),
    /// Make a scenario of a published topology or table of latencies.
    Import(ImportArgs),
    /// Say what failures of links would do to the demands of a scenario, without running it.
    #[command(name = "what-if")]
    WhatIf(WhatIfArgs),
    /// List the scenarios that come with the program.
    List,
    /// Say what this machine can replay, and how.
    Doctor(DoctorArgs),
    /// Do the job of a virtual machine: started by its first process.
    #[command(hide = true)]
    Guest,
    /// Run the scenario on standard input and print its digest: the second process of `run --verify`.
    #[command(hide = true)]
    Digest(DigestArgs),
    /// Make one run of a sweep of the scenario on standard input: a process of `sweep --memory`.
    #[command(hide = true)]
    Single(SingleArgs),
    /// Drive the machines of one region: a process of a replay, which talks to it over standard input and output.
    #[command(hide = true)]
    Node,
}

/// Which scenario.
#[derive(clap::Args, Debug)]
pub struct ScenarioArgs {
    /// Path of a scenario file, or the name of a scenario that `list` shows.
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,
    /// Root of all random streams, instead of the scenario's own.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Change a field, such as `links[0].rate=1 Gbit/s`. May be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// Which failures.
#[derive(clap::Args, Debug)]
pub struct WhatIfArgs {
    /// Which scenario.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    /// How many links fail at once at most, each with both directions.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub failures: u8,
    /// How many of the worst failures to print.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub worst: usize,
    /// Print everything as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How to run it.
#[derive(clap::Args, Debug)]
pub struct RunArgs {
    /// Which scenario.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    /// The run directory. An older run there is replaced; anything else is left alone.
    #[arg(long, short, value_name = "DIR", help_heading = "Results")]
    #[arg(
        long_help = "The run directory [default: runs/<scenario>-s<seed>-<start of the scenario's hash>]. \
                       An older run there is replaced; anything else is left alone."
    )]
    pub out: Option<PathBuf>,
    /// Print summary.json and nothing else to standard output.
    #[arg(long, help_heading = "Results")]
    pub json: bool,
    /// Keep the engine's events with their causes in trace.csv: the first million, or those of a window.
    #[arg(long, value_name = "FROM..TO", num_args = 0..=1, require_equals = true, help_heading = "Results")]
    #[arg(default_missing_value = "0..1000000", value_parser = window)]
    pub trace: Option<Range<u64>>,
    /// Stop after so many events.
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,
    /// Run again in a second process and compare; a difference is tracked down to its first event.
    #[arg(long)]
    pub verify: bool,
    /// Perturb the second run of --verify at this event (counted from 0): proves that the alarm works.
    #[arg(long, value_name = "N", requires = "verify", hide = true)]
    pub inject_divergence: Option<u64>,
    /// Print only the verdict, and why if it is not a pass. No progress.
    #[arg(long, short, conflicts_with_all = ["verbose", "json"])]
    pub quiet: bool,
    /// Say on standard error what will run, and how fast it ran.
    #[arg(long, short)]
    pub verbose: bool,
}

/// Where to hunt, and for what.
#[derive(clap::Args, Debug)]
pub struct HuntArgs {
    /// Which scenario. It must pass as it is.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    /// Random schedules of faults to try; the hunt ends with the first that makes a critical assertion fail.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub seeds: u32,
    /// Number of the first schedule: to go on where an earlier hunt ended.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub first: u32,
    /// What may strike, separated by commas: latency, loss, bandwidth, cut, one-way (links), isolation, region, pause
    /// (regions), cpu, errors, server-latency, crash, panics, gray, silence, leak, memory (servers), black-hole, no-name
    /// (lookups), disk-slow, disk-full, disk-failed (disks), clock-ahead, clock-behind, clock-fast, clock-slow (clusters)
    /// [default: all].
    #[arg(long, visible_alias = "only", value_name = "CLASSES", value_delimiter = ',', value_parser = fault_class)]
    pub faults: Vec<FaultClass>,
    /// How often one class of faults strikes in a schedule at most.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub strikes: u32,
    /// Give the run of schedule n the scenario's seed plus n, rather than all the same. What fails without its faults
    /// is passed over.
    #[arg(long)]
    pub vary_seed: bool,
    /// Runs that shrinking may take.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub calls: u32,
    /// Runs side by side [default: one per processor]. They change no result.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Where to write the scenario that fails [default: SCENARIO-hunted.ron].
    #[arg(long, short, value_name = "FILE.ron", help_heading = "Results")]
    pub out: Option<PathBuf>,
    /// No progress and no warnings.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Which sweep, and how to run it.
#[derive(clap::Args, Debug)]
pub struct SweepArgs {
    /// Path of a sweep's file, or the name of a sweep that `list` shows.
    #[arg(value_name = "SWEEP")]
    pub sweep: String,
    /// The directory of the sweep [default: runs/sweep-NAME, with -IofN for a part].
    #[arg(long, short, value_name = "DIR", help_heading = "Results")]
    pub out: Option<PathBuf>,
    /// Go on with what is in the directory: every finished run that this sweep needs is used.
    #[arg(long, help_heading = "Results")]
    pub resume: bool,
    /// Write every picture as PNG, too, beside the SVG.
    #[arg(long, help_heading = "Results", conflicts_with = "plan")]
    pub png: bool,
    /// Print summary.json and nothing else to standard output.
    #[arg(long, help_heading = "Results")]
    pub json: bool,
    /// Say how many runs, how long and how much disk, after one run of the first point; write nothing.
    #[arg(long, conflicts_with_all = ["resume", "json", "inject_panic"])]
    pub plan: bool,
    /// Run only part I of N of the points; `longhaul merge` puts the parts together.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Runs of each point, instead of the sweep's own number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub replications: Option<u32>,
    /// Give a run up after so much wall time, such as `30 s`, instead of the sweep's own.
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    pub timeout: Option<Span>,
    /// Memory of all runs together, such as `8 GiB`, shared out among the threads: each run gets a process of its own, and one
    /// that takes more than its share runs again alone with all of it, or fails alone. Without it, a run that gets no more
    /// memory ends the whole program (exit 134, or 137 if the system kills it); --resume goes on.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// Allow more points than the sweep's limit.
    #[arg(long)]
    pub yes: bool,
    /// Threads [default: one per processor]. They change no result.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Panic in the runs of this point: proves that the others survive.
    #[arg(long, value_name = "POINT", hide = true)]
    pub inject_panic: Option<u64>,
    /// Print nothing but what failed. No progress.
    #[arg(long, short, conflicts_with_all = ["json", "plan"])]
    pub quiet: bool,
}

/// Which parts, and where to.
#[derive(clap::Args, Debug)]
pub struct MergeArgs {
    /// The directories of all parts.
    #[arg(value_name = "DIR", required = true)]
    pub parts: Vec<PathBuf>,
    /// The directory of the whole sweep: a new one, or one that this merge began and did not finish.
    #[arg(long, short, value_name = "DIR")]
    pub out: PathBuf,
    /// Write every picture as PNG, too, beside the SVG.
    #[arg(long)]
    pub png: bool,
    /// Print nothing but what failed.
    #[arg(long, short)]
    pub quiet: bool,
}

fn fault_class(text: &str) -> Result<FaultClass, String> {
    let found = FaultClass::ALL.into_iter().find(|class| class.name() == text);
    found.ok_or_else(|| {
        let names = FaultClass::ALL.map(FaultClass::name);
        format!("one of {} is expected", names.join(", "))
    })
}

/// What to compare.
#[derive(clap::Args, Debug)]
pub struct CompareArgs {
    /// The directory of a run, or of a sweep.
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// Another one. Differences are B − A.
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Within what two sweeps count as equal, such as `time=50 ms` or `time=5 %`; chosen before the results are known. May be
    /// given several times.
    #[arg(long, value_name = "METRIC=VALUE")]
    pub margin: Vec<String>,
    /// Draw the differences of two sweeps into this folder.
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Write every picture as PNG, too, beside the SVG.
    #[arg(long, requires = "plots")]
    pub png: bool,
    /// Print everything as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Formats of topologies and latencies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// Internet Topology Zoo, GML.
    Gml,
    /// Internet Topology Zoo, GraphML.
    Graphml,
    /// SNDlib, native XML.
    Sndlib,
    /// TopoHub, node-link JSON.
    Topohub,
    /// REPETITA, `.graph`.
    Repetita,
    /// A matrix of round trips in ms, as cloudping's JSON.
    RttMatrix,
    /// Teal, node-link JSON.
    Teal,
    /// TEAVAR, `topology.txt`.
    Teavar,
}

/// Which file, and what to assume where it is silent.
#[derive(clap::Args, Debug)]
pub struct ImportArgs {
    /// The format of the file.
    #[arg(value_enum, value_name = "FORMAT")]
    pub format: Format,
    /// The file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to write the scenario, a new file; without it, it is printed.
    #[arg(long, short, value_name = "FILE.ron")]
    pub out: Option<PathBuf>,
    /// Rate of links that state none.
    #[arg(long, value_name = "RATE", default_value = "10 Gbit/s")]
    pub rate: BitRate,
    /// One-way delay of links that state neither delay nor length, and whose ends have no coordinates.
    #[arg(long, value_name = "TIME", default_value = "1 ms")]
    pub delay: Span,
    /// How much longer than the great circle a cable is, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 180, value_parser = clap::value_parser!(u32).range(100..=1_000))]
    pub route_percent: u32,
    /// What one unit of capacity is, in formats that do not say.
    #[arg(long, value_name = "RATE", default_value = "1 Mbit/s")]
    pub unit: BitRate,
    /// The file with the demands: for REPETITA, Teal and TEAVAR, which keep them apart.
    #[arg(long, value_name = "FILE")]
    pub demands: Option<PathBuf>,
    /// Which matrix of a file with several, from 0 on.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "demands")]
    pub matrix: usize,
}

impl ImportArgs {
    /// What to assume.
    pub fn defaults(&self) -> Defaults {
        Defaults {
            capacity: self.rate,
            latency: self.delay,
            route_percent: self.route_percent,
            unit: self.unit.as_bits_per_s(),
        }
    }
}

/// Which measurements, and how close is close enough.
#[derive(clap::Args, Debug)]
pub struct ValidateArgs {
    /// Comma-separated values, one row per measured transfer; validation/README.md describes the columns.
    #[arg(value_name = "TABLE")]
    pub table: PathBuf,
    /// Which configurations, such as `controller=cubic|reno,loss<=1,round_trips>=10`.
    #[arg(long, value_name = "CONDITIONS")]
    #[arg(
        long_help = "Which configurations: conditions joined by commas, all of which must hold. \
        Words (=, !=, alternatives with |): config, controller, loss_model, buffers. \
        Numbers (also <, <=, >, >=): loss in percent, jitter and rtt in ms, rate in Mbit/s, streams, bytes, \
        round_trips (measured median over round trip)"
    )]
    pub filter: Option<Filter>,
    /// Simulated runs of each configuration.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub seeds: u32,
    /// What the measuring hosts add to each way, such as `23 us` [default: derived from the table's handshakes].
    #[arg(long, value_name = "TIME")]
    pub host_delay: Option<Span>,
    /// How the network is simulated: `packet` or `flow`.
    #[arg(long, value_name = "FIDELITY", default_value = "packet", value_parser = fidelity)]
    pub fidelity: Fidelity,
    /// What each connect, write and shutdown of the sending application takes; not modelled at flow fidelity.
    #[arg(long, value_name = "TIME", default_value = "23 us")]
    pub call_time: Span,
    /// What the errors must keep, such as `median=3%,p90=20%,inside=none`.
    #[arg(long, value_name = "BOUNDS")]
    #[arg(
        long_help = "What the errors must keep [default: median=3%,p90=12%,clean=3%,inside=90%; at flow fidelity \
        median=8%,p90=25%, promised for round_trips>=10]. What is not \
        named keeps its default; `none` leaves one out. median, p90, worst: of all configurations; clean: the \
        worst without loss and jitter; inside: share of the lossy ones whose measured median lies inside the \
        simulated quartiles, each moved outwards by 10 % of itself"
    )]
    pub tolerance: Option<Declared>,
    /// Print the scenario of this configuration instead, for `longhaul run`.
    #[arg(long, value_name = "CONFIG", conflicts_with_all = ["filter", "seeds", "tolerance", "json", "csv", "plot", "quiet", "threads"])]
    pub emit: Option<String>,
    /// Everything, in exact numbers.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub json: Option<PathBuf>,
    /// One line per configuration.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub csv: Option<PathBuf>,
    /// Predicted against measured times, as SVG or PNG.
    #[arg(long, value_name = "FILE.svg|FILE.png", help_heading = "Results")]
    pub plot: Option<PathBuf>,
    /// Threads [default: one per processor]. They change no result.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print only the verdict. No progress.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Which run, and where its report goes.
#[derive(clap::Args, Debug)]
pub struct ReportArgs {
    /// The directory of a run.
    #[arg(value_name = "RUN_DIR")]
    pub directory: PathBuf,
    /// Write report.html, report.md and junit.xml into this directory [default: that of the run].
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print one of them instead of writing any.
    #[arg(long, value_enum, value_name = "FORM", conflicts_with = "out")]
    pub print: Option<Paper>,
    /// Print sparklines and a distribution instead, for a terminal.
    #[arg(long, conflicts_with_all = ["out", "print"])]
    pub terminal: bool,
    /// Add the means of the time series once the warm-up is over (MSER-5), with intervals by batch means: of a run that its
    /// horizon ended, and that is about the long run.
    #[arg(long)]
    pub steady_state: bool,
    /// In ASCII, as by itself where the locale (LC_ALL, LC_CTYPE, LANG) does not name UTF-8.
    #[arg(long, requires = "terminal")]
    pub ascii: bool,
}

/// The form of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Paper {
    Html,
    Markdown,
    Junit,
}

/// What to replay, where, and how often.
#[derive(clap::Args, Debug)]
pub struct ReplayArgs {
    /// Path of a scenario file, or the name of a scenario that `list` shows.
    #[arg(value_name = "SCENARIO", required_unless_present = "cleanup")]
    pub scenario: Option<String>,
    /// Seed of the first run; the following runs have the following seeds.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Change a field, such as `links[0].rate=1 Gbit/s`. May be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Divide all rates by K and multiply all times by K, in both worlds: windows keep their size in packets.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub scale: Option<u32>,
    /// Runs on the real kernel, instead of the scenario's number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub replications: Option<u32>,
    /// Simulated runs, instead of the scenario's number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub simulations: Option<u32>,
    /// Where to replay: in this machine's kernel, or in a virtual machine; `auto` prefers the first.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHERE")]
    pub backend: Wish,
    /// Kernel of the virtual machine: a vmlinuz, a directory where a kernel package was unpacked, or a .deb.
    #[arg(long, value_name = "PATH")]
    pub kernel: Option<PathBuf>,
    /// Virtual machines side by side [default: one per processor]. They change no result.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Judge the measurements of an earlier replay, its outcome.json, instead of replaying.
    #[arg(long, value_name = "OUTCOME", conflicts_with_all = ["backend", "kernel", "jobs", "tapes", "plan"])]
    pub from: Option<PathBuf>,
    /// Print what would be done in the kernel, and stop; needs no privilege.
    #[arg(long)]
    pub plan: bool,
    /// Remove what a killed replay has left in this machine's kernel, and stop.
    #[arg(long, exclusive = true)]
    pub cleanup: bool,
    /// The directory of the results. An older run there is replaced; anything else is left alone.
    #[arg(long, short, value_name = "DIR", help_heading = "Results")]
    pub out: Option<PathBuf>,
    /// Print replay.json and nothing else to standard output.
    #[arg(long, help_heading = "Results")]
    pub json: bool,
    /// Keep what every machine was told and answered, for the tape driver.
    #[arg(long, help_heading = "Results")]
    pub tapes: bool,
    /// Print only the verdict, and why if it is not a pass. No progress.
    #[arg(long, short, conflicts_with_all = ["verbose", "json"])]
    pub quiet: bool,
    /// Say on standard error what runs where, and show the consoles of virtual machines.
    #[arg(long, short)]
    pub verbose: bool,
}

/// What to look at.
#[derive(clap::Args, Debug)]
pub struct DoctorArgs {
    /// Kernel of the virtual machine: a vmlinuz, a directory where a kernel package was unpacked, or a .deb.
    #[arg(long, value_name = "PATH", conflicts_with = "fetch_kernel")]
    #[arg(
        long_help = "Kernel of the virtual machine: a vmlinuz, a directory where a kernel package was unpacked, or a \
        .deb [default: the newest in $XDG_CACHE_HOME/longhaul/kernel or ~/.cache/longhaul/kernel, else the newest \
        installed one that can be read and has netem]"
    )]
    pub kernel: Option<PathBuf>,
    /// Fetch a kernel for the virtual machine first, with apt-get; it is unpacked and not installed.
    #[arg(long)]
    pub fetch_kernel: bool,
    /// Boot the virtual machine once and try netem inside.
    #[arg(long)]
    pub boot: bool,
    /// Print everything as JSON.
    #[arg(long)]
    pub json: bool,
    /// Print the console of the virtual machine on standard error.
    #[arg(long, short, requires = "boot")]
    pub verbose: bool,
}

/// The second process of `run --verify`.
#[derive(clap::Args, Debug)]
pub struct DigestArgs {
    /// What the paths of memory images are relative to.
    #[arg(long)]
    pub base_dir: Option<PathBuf>,
    /// Stop after so many events.
    #[arg(long)]
    pub events: Option<u64>,
    /// Record the events of this window.
    #[arg(long, value_parser = window)]
    pub window: Option<Range<u64>>,
    /// Perturb the digest at this event.
    #[arg(long)]
    pub inject_divergence: Option<u64>,
}

/// One run of a sweep.
#[derive(clap::Args, Debug)]
pub struct SingleArgs {
    /// What the run is called in the cache.
    #[arg(long)]
    pub key: String,
    /// Address space in bytes.
    #[arg(long)]
    pub memory: u64,
    /// The process that waits for it.
    #[arg(long)]
    pub parent: i32,
    /// What the paths of files are relative to.
    #[arg(long)]
    pub base_dir: Option<PathBuf>,
}

/// A fidelity by its name.
fn fidelity(text: &str) -> Result<Fidelity, String> {
    match text {
        "packet" => Ok(Fidelity::Packet),
        "flow" => Ok(Fidelity::Flow),
        _ => Err("there are `packet` and `flow`".to_owned()),
    }
}

/// The time that a run may take, within what a sweep's file may say.
fn timeout(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: QuantityError| error.to_string())?;
    if (SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&span) {
        Ok(span)
    } else {
        Err(format!(
            "{span} is out of range: {SHORTEST_TIMEOUT} to {LONGEST_TIMEOUT}"
        ))
    }
}

/// A part of a sweep: `I/N`, counted from 1.
fn shard(text: &str) -> Result<Shard, String> {
    let wrong = || "a part is written I/N, such as 1/4".to_owned();
    let (index, count) = text.split_once('/').ok_or_else(wrong)?;
    let (index, count) = (index.parse().ok(), count.parse().ok());
    match index.zip(count) {
        Some((index, count)) if 0 < index && index <= count => Ok(Shard { index, count }),
        Some((_, count)) if count > 0 => Err(format!("parts are counted from 1 to {count}")),
        _ => Err(wrong()),
    }
}

/// A window of event indices: `FROM..TO`, the end excluded.
fn window(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text
        .split_once("..")
        .ok_or("a window is written FROM..TO, such as 0..1000")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let window = number(from)?..number(to)?;
    match window.end.checked_sub(window.start) {
        None | Some(0) => Err("the window is empty".to_owned()),
        Some(events) if events > LONGEST_TRACE => Err(format!("more than {LONGEST_TRACE} events")),
        Some(_) => Ok(window),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_run_may_take_what_a_file_may_say() {
        for (text, ns) in [("1 ms", 1_000_000), ("30 s", 30_000_000_000)] {
            assert_eq!(timeout(text).map(Span::as_ns), Ok(ns));
        }
        assert!(timeout("168 h").is_ok());
        for wrong in ["0 s", "1 ns", "999 us", "169 h", "5"] {
            assert!(timeout(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_part_lies_within_the_whole() {
        assert_eq!(shard("2/3"), Ok(Shard { index: 2, count: 3 }));
        for wrong in ["", "2", "0/3", "4/3", "1/0", "a/b", "-1/2"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_window_is_neither_empty_nor_endless() {
        assert_eq!(window("3..5"), Ok(3..5));
        for wrong in ["", "3", "5..3", "3..3", "a..b", "0..10000001", "-1..2"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
