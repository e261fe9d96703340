//! From a resolved scenario to the world that it describes.

use std::path::Path;

use longhaul_core::random::{Source, Streams};
use longhaul_core::record::Fidelity;
use longhaul_core::schedule::{Class, EntityId, Schedule};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_engine::Engine;
use longhaul_flow as flow;
use longhaul_net::link::{LinkSpec, QueueLimit};
use longhaul_net::network::{Network, NetworkLink};
use longhaul_net::routing::Graph;
use longhaul_service::measures::Window;
use longhaul_tcp as tcp;
use thiserror::Error;

use super::Planted;
use super::aborts::Aborts;
use super::cast::{Cast, Part, Role, Workload, region_id};
use super::demands::{self, Demands};
use super::endpoint::{Endpoint, Protocol};
use super::faults::Faults;
use super::federations;
use super::links::{self, Files};
use super::machines::{Maker, SOCKET_WRITE, World};
use super::overlays::Overlays;
use super::reservations::Reservations;
use super::route_control::RouteControl;
use super::sample::Sampler;
use super::scene::{SAMPLE, SCENE, Scene, digest_of};
use super::transit::{Flows, Transit};
use super::workload::Workloads;
use crate::chaos::{ChaosError, Concrete, Target};
use crate::check;
use crate::fidelity;
use crate::schema::{Amount, Controller, Fault, Link, Scenario, Tcp};

/// Why a scenario that passed its check cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A memory image cannot be read.
    #[error("cannot read the memory image {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A trace or a table cannot be read or means nothing.
    #[error("{0}")]
    File(String),
    /// The faults that this seed draws contradict each other.
    #[error("the faults: {0}")]
    Faults(#[from] ChaosError),
    /// The memory of a VM is impossible.
    #[error("the memory of {vm}: {reason}")]
    Memory {
        /// The VM.
        vm: String,
        /// What is wrong.
        reason: String,
    },
    /// The network is impossible.
    #[error("the network: {0}")]
    Network(#[from] longhaul_net::network::NetworkError),
    /// The network is impossible at flow fidelity.
    #[error("the network: {0}")]
    Flow(#[from] flow::limits::FlowError),
    /// A replication is impossible.
    #[error("{replication}: {reason}")]
    Replication {
        /// The replication.
        replication: String,
        /// What is wrong.
        reason: String,
    },
    /// A federation is impossible.
    #[error("{federation}: {reason}")]
    Federation {
        /// The federation.
        federation: String,
        /// What is wrong.
        reason: String,
    },
    /// A stream of datagrams is impossible.
    #[error("{stream}: {reason}")]
    Datagrams {
        /// The stream.
        stream: String,
        /// What is wrong.
        reason: String,
    },
    /// Demands cannot be spread.
    #[error("the demands: {0}")]
    Demands(#[from] longhaul_te::TeError),
    /// An overlay is impossible.
    #[error("{overlay}: {reason}")]
    Overlay {
        /// The overlay.
        overlay: String,
        /// What is wrong.
        reason: String,
    },
    /// A server or a client is impossible.
    #[error("{name}: {reason}")]
    Service {
        /// Which one.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A transfer is impossible.
    #[error("{transfer}: {reason}")]
    Transfer {
        /// The transfer.
        transfer: String,
        /// What is wrong.
        reason: String,
    },
    /// A migration is impossible.
    #[error("{migration}: {reason}")]
    Migration {
        /// The migration.
        migration: String,
        /// What is wrong.
        reason: String,
    },
}

/// Builds the world and schedules what starts by itself. `base_dir` is where image files are looked for. `declared` is
/// the scenario as it was read, by which the fidelity is chosen: it is the same whatever faults are drawn.
pub fn build(
    declared: &Scenario,
    concrete: &Concrete,
    base_dir: &Path,
    planted: Planted,
    engine: &mut Engine,
) -> Result<Scene, BuildError> {
    let scenario = &concrete.scenario;
    let graph = check::graph(scenario.regions.iter(), scenario.links.iter(), scenario.routing);
    let graph = graph.expect("the check found no contradiction");
    let choice = fidelity::choose(declared, |from, to| path(scenario, &graph, from, to));
    let streams = Streams::with(scenario.seeds(), Source::Network);
    let cast = Cast::of(scenario);
    let workloads = Workloads::of(scenario);
    let mut maker = Maker::new(World::Simulated, scenario, &cast, base_dir);
    maker.planted = planted;
    let mut endpoints = Vec::new();
    for (peer, part) in cast.parts() {
        let mut machine = maker.make(part, ahead_bytes(scenario, &graph, choice.fidelity, part))?;
        if let (Protocol::Cluster(process), Workload::Federation(index), Role::Cluster(place)) =
            (&mut machine, part.workload, part.role)
            && let Some(clocks) = concrete.clocks.get(&Target::Cluster(index, place))
        {
            process.set_clocks(clocks.clone());
        }
        let seeds = streams
            .of(Source::Workload)
            .stream(workloads.name(part.workload), "tcp");
        let entity = EntityId::new(1 + peer.0);
        endpoints.push(Endpoint::new(machine, *part, tcp_config(part.tcp), seeds, entity));
    }
    let mut files = Files::new(base_dir, maker.into_inputs());
    let links = scenario
        .links
        .iter()
        .map(|link| {
            Ok(NetworkLink {
                from: region_id(scenario, &link.from),
                to: region_id(scenario, &link.to),
                spec: demands::room(scenario, links::spec(link, &mut files, &streams)?),
            })
        })
        .collect::<Result<Vec<_>, BuildError>>()?;
    let inputs = files.into_inputs();
    for input in &inputs {
        engine.mix(digest_of(&input.blake3));
    }
    // The scene is entity 0, then come the endpoints.
    let first_network_entity = 1 + endpoints.len() as u32;
    let names: Vec<String> = scenario
        .regions
        .iter()
        .map(|region| region.name.clone())
        .collect();
    let mut overlays = Overlays::default();
    let network = match choice.fidelity {
        Fidelity::Packet => {
            let mut network =
                Network::with_routing(first_network_entity, &streams, &names, &links, scenario.routing)?;
            if !scenario.services.is_empty() {
                network.join_locally(&streams, &local_link())?;
            }
            let laid = Overlays::lay(scenario, &graph, &cast, &mut network);
            overlays = laid.expect("the check found a route for every path");
            Transit::Packet(Box::new(network))
        }
        Fidelity::Flow => {
            let network = flow::network::Network::with_routing(
                first_network_entity,
                &streams,
                &names,
                &links,
                scenario.routing,
            )?;
            Transit::Flow(Flows::new(network, links.len()))
        }
    };

    // Before the starts: what fails at a moment has failed for what starts then.
    let faults = Faults::new(concrete, engine);
    let reservations = Reservations::new(scenario, engine);
    let demands = Demands::new(scenario)?;
    // Edges begin before what they carry, which they could not take up otherwise.
    let is_overlay = |(_, workload): &&(Span, Workload)| matches!(workload, Workload::Overlay(_));
    let (edges, others): (Vec<_>, Vec<_>) = workloads.starts().iter().partition(is_overlay);
    for &(at, workload) in edges.into_iter().chain(others) {
        for starter in cast.starters(workload) {
            Scene::schedule_start(engine, Instant::ZERO + at, starter);
        }
    }
    engine.schedule(Instant::ZERO, Class::Observe, SCENE, SCENE, SAMPLE);
    let sampler = Sampler::new(
        scenario.sample_interval,
        scenario.links.iter().map(Link::name).collect(),
    );
    let checkers = scenario.federations.iter().map(federations::checker).collect();
    let mut scene = Scene::new(
        scenario,
        network,
        cast,
        endpoints,
        workloads,
        reservations,
        demands,
        faults,
        sampler,
        checkers,
    );
    if !scenario.demands.is_empty() {
        scene.spread_demands(engine);
    }
    scene.fault_window = fault_window(concrete);
    scene.aborts = Aborts::new(scenario);
    scene.overlays = overlays;
    scene.route_control = RouteControl::new(scenario)?;
    scene.inputs = inputs;
    scene.fidelity_reason = choice.reason;
    Ok(scene)
}

/// What joins machines of services and clients within a region: 10 Gbit/s and a round trip of 250 us, as within a data
/// centre, with the default queue of a Linux device (1,000 packets).
fn local_link() -> LinkSpec {
    LinkSpec::fifo(LOCAL_RATE, LOCAL_DELAY, QueueLimit::Packets(1_000))
}

const LOCAL_RATE: BitRate = BitRate::from_bits_per_s(10_000_000_000);
const LOCAL_DELAY: Span = Span::from_us(125);

/// From the first fault to the end of the last one, or of the run.
fn fault_window(concrete: &Concrete) -> Option<Window> {
    let scenario = &concrete.scenario;
    let plain = scenario.faults.iter().filter_map(|fault| match fault {
        Fault::LinkDown(down) => Some((down.at, down.end())),
        Fault::Pause(pause) => Some((pause.at, pause.end())),
        Fault::Kill(kill) => Some((kill.at, kill.end())),
        Fault::Reset(reset) => Some((reset.at, reset.every.is_none().then_some(reset.at))),
        // These have been laid out.
        Fault::Network(_) | Fault::Recover(_) => None,
    });
    let told = concrete.told.iter().map(|told| (told.at, Some(told.at)));
    let at = |span| Instant::ZERO.saturating_add(span);
    let horizon = scenario.horizon;
    let times = plain.chain(told).filter(|(begin, _)| *begin < horizon);
    let windows = times.map(|(begin, end)| Window {
        from: at(begin),
        until: at(end.map_or(horizon, |end| end.min(horizon))),
    });
    windows.reduce(|one, other| Window {
        from: one.from.min(other.from),
        until: one.until.max(other.until),
    })
}

/// How many links the route between two regions has, and the rate of the slowest.
fn path(scenario: &Scenario, graph: &Graph, from: &str, to: &str) -> (usize, BitRate) {
    let route = check::route(graph, from, to).expect("the check found a route");
    let rates = route.links.iter().map(|link| {
        let rate = &scenario.links[link.0 as usize].rate;
        rate.constant().unwrap_or(BitRate::from_bits_per_s(u64::MAX))
    });
    let slowest = rates.min().expect("a route between two regions has links");
    (route.links.len(), slowest)
}

/// What each stream of a timed transfer keeps before TCP: a full write of a socket's. At flow fidelity every write is
/// an event, so there it is a thousandth of what the path could carry in the time, if that is more.
fn ahead_bytes(scenario: &Scenario, graph: &Graph, fidelity: Fidelity, part: &Part) -> u64 {
    if let (Fidelity::Flow, Workload::Transfer(index)) = (fidelity, part.workload)
        && let spec = &scenario.transfers[index]
        && let Amount::Duration(span) = spec.amount
    {
        let (_, slowest) = path(scenario, graph, &spec.from, &spec.to);
        let share = slowest.bytes_in(span) / 1_000 / u64::from(spec.carrier.most_streams());
        return share.max(SOCKET_WRITE);
    }
    SOCKET_WRITE
}

fn tcp_config(settings: Tcp) -> tcp::Config {
    tcp::Config {
        controller: match settings.controller {
            Controller::Reno => tcp::Controller::Reno,
            Controller::Cubic => tcp::Controller::Cubic,
            Controller::Bbr => tcp::Controller::Bbr,
        },
        send_buffer: settings.send_buffer.as_bytes(),
        notsent_lowat: settings.notsent_lowat.as_bytes(),
        receive_buffer: settings.receive_buffer.as_bytes(),
        autotuning: settings.autotuning,
        ecn: settings.ecn,
        initial_window_segments: settings.initial_window,
        hystart: settings.hystart,
        segmentation_offload: settings.segmentation_offload,
        ..tcp::Config::default()
    }
}
