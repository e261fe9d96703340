//! Records of services and of the clients that make requests to them.

use serde::{Deserialize, Serialize};

use super::{DelayRecord, Progress};

/// Somebody who made requests to a service.
///
/// Every request that was started is one of succeeded, late, failed and in flight.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientRecord {
    /// Name.
    pub name: String,
    /// Where it was.
    pub region: String,
    /// The service that it called.
    pub service: String,
    /// Completed when it made no more requests and none was under way.
    pub progress: Progress,
    /// Requests begun.
    pub started: u64,
    /// Those that succeeded in time.
    pub succeeded: u64,
    /// Those that succeeded too late.
    pub late: u64,
    /// Those that failed.
    pub failed: u64,
    /// Why they failed.
    pub failures: FailuresRecord,
    /// Those under way at the end.
    pub in_flight: u64,
    /// Attempts begun: first ones, retries and hedges.
    pub attempts: u64,
    /// Attempts after an earlier one had ended.
    pub retries: u64,
    /// Attempts beside one that was under way.
    pub hedges: u64,
    /// Attempts that were given up because their time was over.
    pub timeouts: u64,
    /// Good answers that nobody waited for any more.
    pub late_successes: u64,
    /// Connections that were lost or did not come about.
    pub lost_connections: u64,
    /// Lookups of the service's name that failed.
    pub failed_lookups: u64,
    /// Times that a replica was left out.
    pub ejections: u64,
    /// Times that a breaker opened, for the first time or again after a trial.
    #[serde(default)]
    pub breaker_openings: u64,
    /// How long answered requests took from when they were to begin, late ones included; exact nearest ranks. None if none was
    /// answered.
    pub latency: Option<DelayRecord>,
    /// More quantiles of the same, in the order of their shares: those beyond which, and below which, there are at least ten
    /// requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency_quantiles: Vec<QuantileRecord>,
    /// The same over all requests that began: those without an answer, failed or still under way at the end, count as slower
    /// than all answered ones, so that quantiles end at the share that was answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_quantiles: Vec<QuantileRecord>,
    /// Its time from the start to the end of its load, or of the run.
    pub active_ns: u64,
    /// Sample intervals of that time in which requests ended.
    pub intervals: u64,
    /// Of these, those in which at least 95 % of them succeeded in time.
    pub good_intervals: u64,
    /// What became of it after the faults; none if there were none.
    pub recovery: Option<RecoveryRecord>,
    /// What each fault did to its goodput, in the order of their begin; those of which too little is known of the time before
    /// are left out, and at most [`MOST_FAULT_EFFECTS`] are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fault_effects: Vec<FaultEffectRecord>,
    /// What happened in each sample interval.
    pub series: Vec<RequestIntervalRecord>,
}

impl ClientRecord {
    /// Requests without an answer: failed, or under way at the end.
    pub fn unanswered(&self) -> u64 {
        self.failed + self.in_flight
    }
}

/// A quantile of single values of a run: exact nearest rank.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QuantileRecord {
    /// The share of values up to it, in parts of [`QuantileRecord::PARTS`].
    pub share_parts: u32,
    /// The value.
    pub value_ns: u64,
}

impl QuantileRecord {
    /// Parts of the whole.
    pub const PARTS: u32 = 1_000_000;
    /// Shares of which there may be quantiles: of the tail about eight for each power of ten.
    pub const SHARES: [u32; 33] = [
        10_000, 50_000, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000, 750_000, 800_000,
        850_000, 900_000, 925_000, 950_000, 960_000, 970_000, 980_000, 985_000, 990_000, 992_500, 995_000,
        997_500, 998_000, 999_000, 999_250, 999_500, 999_750, 999_900, 999_950, 999_975, 999_990, 999_999,
    ];
    /// Values that there must be on either side of one, since it says too little otherwise.
    pub const LEAST_BEYOND: u64 = 10;

    /// Beyond the quantile of this share lies one value in so many.
    pub fn one_in_beyond(share_parts: u32) -> f64 {
        let parts = f64::from(QuantileRecord::PARTS);
        parts / (parts - f64::from(share_parts))
    }

    /// One value in how many is one of these; `None` if they are too few to say so.
    pub fn one_in(all: u64, these: u64) -> Option<f64> {
        (these >= QuantileRecord::LEAST_BEYOND).then(|| all as f64 / these as f64)
    }
}

/// Failures by cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FailuresRecord {
    /// Refused by a rate limiter.
    pub rate_limited: u64,
    /// Refused by a bulkhead.
    pub bulkhead: u64,
    /// Refused by an open breaker.
    pub breaker_open: u64,
    /// Shed.
    pub shed: u64,
    /// Timed out.
    pub timed_out: u64,
    /// The deadline passed.
    pub deadline: u64,
    /// The server's error.
    pub error: u64,
    /// The server had too much to do.
    pub overloaded: u64,
    /// No connection or no address.
    pub unreachable: u64,
    /// Requests that can never succeed.
    pub fatal: u64,
}

/// A sample interval of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RequestIntervalRecord {
    /// Requests that began in it.
    pub started: u64,
    /// Requests that succeeded in it in time: the goodput.
    pub succeeded: u64,
    /// Requests that succeeded in it too late.
    pub late: u64,
    /// Requests that failed in it.
    pub failed: u64,
    /// Attempts that began in it.
    pub attempts: u64,
}

/// What became of a client's goodput after all faults of a run, which count as one from the first one's begin to the last
/// one's end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecoveryRecord {
    /// When the first fault began.
    pub fault_ns: u64,
    /// When the last one ended.
    pub fault_end_ns: u64,
    /// Goodput before, in thousandths of a request per second.
    pub baseline_mhz: u64,
    /// Goodput at the end, in thousandths of a request per second; zero if that could not be measured.
    pub final_mhz: u64,
    /// How long after the first fault's begin the client noticed: a lost connection, a replica that was left out or found
    /// unwell, a name that could not be looked up, a failed request.
    pub detected_after_ns: Option<u64>,
    /// How long after the last fault's end goodput was back for ten sample intervals: at 95 % of the baseline, less what
    /// chance takes of so few requests.
    pub recovered_after_ns: Option<u64>,
    /// What became of it.
    pub outcome: RecoveryOutcome,
}

/// What became of goodput after faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryOutcome {
    /// As good as before.
    Recovered,
    /// Worse than before to the end, though the faults were gone, and nothing shows that it feeds itself.
    Degraded,
    /// Worse than before to the end, and more attempts or a longer queue than before keep it so (Bronson et al., HotOS 2021).
    Metastable,
    /// Too little was seen before or after.
    Unknown,
}

/// Most faults whose effect on a client is recorded.
pub const MOST_FAULT_EFFECTS: usize = 100;

/// What a fault did to a client's goodput. Faults that strike and end together are one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FaultEffectRecord {
    /// What was broken, in words.
    pub fault: String,
    /// When it began.
    pub from_ns: u64,
    /// When it ended; the end of the run if it never did.
    pub to_ns: u64,
    /// Mean goodput of the last ten sample intervals before, in thousandths of a request per second.
    pub before_mhz: u64,
    /// The least of a sample interval while it lasted.
    pub worst_mhz: u64,
    /// What became of goodput.
    pub outcome: FaultOutcome,
    /// How long after its end goodput was back for ten sample intervals: at 95 % of what it was before, less what chance takes
    /// of so few requests.
    pub recovered_after_ns: Option<u64>,
}

/// What became of goodput after a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultOutcome {
    /// It never fell.
    Kept,
    /// It came back after the fault was over.
    Recovered,
    /// It came back before.
    RecoveredBefore,
    /// It was not back when the next fault began.
    Overtaken,
    /// It was not back when the load or the run ended.
    NotRecovered,
    /// The fault lasted to the end of the run.
    Lasting,
}

/// A service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// Name.
    pub name: String,
    /// Its servers; the first is the primary.
    pub servers: Vec<ServerRecord>,
}

/// A server of a service.
///
/// Each request that came was refused, a duplicate, swallowed by a gray failure, or accepted. Each that was accepted waits,
/// is worked on, was answered, was cancelled, or was lost when the process ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Where it is.
    pub region: String,
    /// Requests that came.
    pub received: u64,
    /// Refused by the admission or for want of a place in the queue.
    pub refused: u64,
    /// Duplicates whose result was known or in the making.
    pub duplicates: u64,
    /// Swallowed by a gray failure.
    pub swallowed: u64,
    /// Taken in.
    pub accepted: u64,
    /// Answered, good or bad.
    pub answered: u64,
    /// Answered well.
    pub succeeded: u64,
    /// Given up because nobody waited any more.
    pub cancelled: u64,
    /// Lost when the process ended.
    pub lost: u64,
    /// Waiting or worked on at the end.
    pub in_flight: u64,
    /// Thrown out of the queue: too long a wait, or a deadline that was over.
    pub dropped: u64,
    /// Work that was begun.
    pub begun: u64,
    /// Of that, work that had been begun before in an earlier attempt.
    pub repeated: u64,
    /// Answers that were worked on although the deadline that came with the request was over or its connection gone. That a
    /// client has given up without a word, the server cannot know: such answers are `late_successes` of clients.
    pub in_vain: u64,
    /// Times that the process ended.
    pub deaths: u64,
    /// The most that ever waited.
    pub longest_queue: u64,
    /// Mean time in the queue of those that were accepted.
    pub mean_wait_ns: u64,
    /// Work done: time of one core at full speed.
    pub worked_ns: u64,
    /// Cores.
    pub cores: u64,
}
