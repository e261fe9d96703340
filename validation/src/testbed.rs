//! From a configuration of a table to the scenario of the same transfer.
//!
//! The scenario is made as text, in the words that a user would write, and read by the language's own loader:
//! `validate --emit CONFIG` prints it, and `longhaul run` repeats the number that stands in the report.
//!
//! The testbed is that of two hosts with `tc netem` between them: delay, rate, loss and jitter on the way of
//! the data, half the round trip and no limit that matters on the way back.

use longhaul_core::random::Streams;
use longhaul_core::record::Fidelity;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize};
use longhaul_core::validation::HostDelaySource;

use crate::table::{Buffers, Configuration, Controller, LossModel, Parameters, Room, Table};
use longhaul_statistics::quantile::{quantile, quantile_of, sorted_seconds};

/// A SYN with Linux's options, as netem's rate counts it.
const SYN_FRAME: u64 = 74;
/// netem keeps its normal law as a table of 16-bit numbers in units of σ / 8192, so no draw lies further from
/// the mean than this many standard deviations.
const WIDEST_JITTER: u64 = 4;
/// Least rate of the way back, where netem has none: 50 ns for an ACK.
const RATE_BACK: BitRate = BitRate::from_bits_per_s(10_000_000_000);
/// Room of the way back: the measuring netem's `limit`.
const ROOM_BACK: u32 = 1_000_000;
/// The run ends after this many times the slowest measurement,
const PATIENCE: u64 = 20;
/// and not before this.
const LEAST_HORIZON: Span = Span::from_s(600);

/// What is true of every configuration of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Testbed {
    /// Name of the table, for the words of the scenario.
    pub table: String,
    /// Time that the hosts themselves add to each way: interrupts, the stack, the scheduler.
    pub host_delay: Span,
    /// How the network is simulated.
    pub fidelity: Fidelity,
    /// Time that each call of the sending application takes.
    pub call_time: Span,
}

/// A controller's name in the scenario language; `None` if the simulator does not model it.
fn controller(controller: Controller) -> Option<&'static str> {
    match controller {
        Controller::Reno => Some("Reno"),
        Controller::Cubic => Some("Cubic"),
        Controller::Bbr => Some("Bbr"),
    }
}

/// Send and receive buffer as the simulator counts them. Linux counts memory, of which about half is payload
/// in a receive buffer (`tcp_adv_win_scale` 1), so that the window ends at half the maximum of `tcp_rmem`.
fn buffers(buffers: Buffers) -> (ByteSize, ByteSize) {
    let (wmem, rmem) = match buffers {
        Buffers::Default => (ByteSize::from_mib(4), ByteSize::from_mib(6)),
        Buffers::Big => (ByteSize::from_mib(256), ByteSize::from_mib(256)),
        Buffers::Bytes(most) => (most, most),
    };
    (wmem, ByteSize::from_bytes(rmem.as_bytes() / 2))
}

/// The seed of a configuration's first run. It depends on nothing but the name, so that selecting others
/// changes no result; the further runs count up from it.
pub fn first_seed(configuration: &Configuration) -> u64 {
    Streams::new(1, 0).stream(&configuration.name, "validation").u64()
}

/// The text of a configuration's scenario with the seed of its first run; `None` if the simulator does not
/// model its controller.
pub fn scenario(configuration: &Configuration, testbed: &Testbed) -> Option<String> {
    let parameters = &configuration.parameters;
    let controller = controller(parameters.controller)?;
    let (send_buffer, receive_buffer) = buffers(parameters.buffers);
    let times = sorted_seconds(configuration.measurements.iter().map(|m| Some(m.completion)));
    let slowest = configuration.measurements.iter().map(|m| m.completion).max()?;
    let horizon = slowest.saturating_mul(PATIENCE).max(LEAST_HORIZON);
    // A round second reads better and changes nothing.
    let horizon = Span::from_s(horizon.as_ns().div_ceil(1_000_000_000));
    let (queue, segmentation_offload) = match parameters.room {
        Room::Netem(limit) => (format!("Inside({limit})"), true),
        Room::Router(packets) => (format!("Packets({packets})"), false),
    };
    Some(format!(
        r#"// Configuration {name} of {table}: netem between two hosts that add {host} to each way.
Scenario(
    version: 1,
    name: "config-{name}",
    question: "How long does this transfer take, of which a real kernel was measured {n} times?",
    expect: "{median:.6} s, the median of the measurements.",
    seed: {seed},
    horizon: "{horizon}",
    fidelity: {fidelity:?},
    regions: [(name: "client"), (name: "server")],
    links: [
        (from: "client", to: "server", {there},
            rate: "{rate}", queue: {queue}, loss: {loss}),
        (from: "server", to: "client", delay: "{back}", rate: "{rate_back}", queue: Inside({ROOM_BACK})),
    ],
    transfers: [(name: "bulk", from: "client", to: "server", size: "{size}", streams: {streams},
        call_time: "{call_time}", tcp: (
        controller: {controller}, send_buffer: "{send_buffer}", notsent_lowat: "{send_buffer}",
        receive_buffer: "{receive_buffer}", segmentation_offload: {segmentation_offload},
    ))],
)
"#,
        name = configuration.name,
        table = testbed.table.escape_default(),
        host = testbed.host_delay,
        n = configuration.measurements.len(),
        median = quantile(&times, 0.5)?,
        seed = first_seed(configuration),
        there = delay_and_jitter(parameters, testbed.host_delay),
        rate = parameters.rate,
        fidelity = testbed.fidelity,
        loss = loss(parameters),
        back = parameters.rtt / 2 + testbed.host_delay,
        rate_back = parameters.rate.max(RATE_BACK),
        size = parameters.bytes,
        streams = parameters.streams,
        call_time = testbed.call_time,
    ))
}

/// netem draws a normal delay around half the round trip; a scenario's jitter is never negative. So the jitter
/// takes its mean out of the propagation delay, as far as a draw can reach below it.
fn delay_and_jitter(parameters: &Parameters, host_delay: Span) -> String {
    let half = parameters.rtt / 2;
    if parameters.jitter == Span::ZERO {
        return format!("delay: \"{}\"", half + host_delay);
    }
    let mean = half.min(parameters.jitter.saturating_mul(WIDEST_JITTER));
    let delay = half - mean + host_delay;
    let sd = parameters.jitter;
    format!("delay: \"{delay}\", jitter: Normal(mean: \"{mean}\", sd: \"{sd}\")")
}

fn loss(parameters: &Parameters) -> String {
    let mean = parameters.loss;
    match parameters.loss_model {
        LossModel::None => "None".to_owned(),
        LossModel::Independent => format!("Independent(mean: \"{mean}\")"),
        LossModel::Bursts { mean: burst } => format!("GilbertElliott(mean: \"{mean}\", burst: {burst})"),
    }
}

/// What the measuring hosts add to each way: half of what the handshakes exceed the round trip and the SYN's
/// time on the wire by, at the median of the configurations in which nothing else can delay them: no loss, no
/// jitter, one stream. Zero where the table has none.
pub fn host_delay_of(table: &Table) -> (Span, HostDelaySource) {
    let mut excesses = Vec::new();
    for configuration in &table.configurations {
        let parameters = &configuration.parameters;
        if parameters.is_random() || parameters.streams > 1 {
            continue;
        }
        let bare = parameters.rtt.saturating_add(parameters.rate.time_for(SYN_FRAME));
        let excess = |handshake: Span| handshake.saturating_sub(bare).as_ns() as f64 / 2.0;
        let measured = configuration.measurements.iter().filter_map(|m| m.handshake);
        excesses.extend(quantile_of(measured.map(excess).collect(), 0.5));
    }
    let configurations = u32::try_from(excesses.len()).unwrap_or(u32::MAX);
    match quantile_of(excesses, 0.5) {
        // The cast rounds down to whole nanoseconds; excesses are not negative.
        Some(ns) => (
            Span::from_ns(ns as u64),
            HostDelaySource::Handshakes(configurations),
        ),
        None => (Span::ZERO, HostDelaySource::Unknown),
    }
}
