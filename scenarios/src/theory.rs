//! What theory says about an outcome before anything runs: the rate that a transfer cannot exceed, the time that a latency
//! cannot be below. From the scenario alone, as it is at the start.

use std::cell::OnceCell;

use longhaul_net::network::segment_payload;
use longhaul_net::routing::Graph;
use longhaul_routing::Topology;
use longhaul_tcp::HEADER_BYTES;
use longhaul_te::smallest_cut;
use serde::Serialize;
use thiserror::Error;

use crate::check;
use crate::metric::{METRICS, name_of};
use crate::planning::Planning;
use crate::schema::{Amount, Carrier, Controller, Link, Loss, Metric, Scenario, Scope, Transfer};

/// A law.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Law {
    /// What the narrowest link of the way leaves to TCP's payload, headers and Ethernet frames taken off.
    LinkRate,
    /// What all links together can carry from one end to the other, whatever routes there are: the smallest cut between them
    /// (Ford and Fulkerson, 1956), less the same.
    MaxFlow,
    /// MSS / RTT × √(3/2) / √p for each connection (Mathis, Semke, Mahdavi and Ott, 1997), with the round trip of empty
    /// queues. CUBIC does not fall below it and may exceed it on long ways with little loss (RFC 9438, section 4.3).
    Mathis,
    /// A window of data in each round trip: of every connection the smaller one of its buffers, of AMST at most its window.
    WindowOverRtt,
    /// The sum of the delays of the links on the way; of requests there and back.
    Propagation,
    /// Light in a straight fibre over the great circle, at 200,000 km/s; of requests there and back.
    Light,
}

/// Every law by its name.
pub const LAWS: [(&str, Law); 6] = [
    ("LinkRate", Law::LinkRate),
    ("MaxFlow", Law::MaxFlow),
    ("Mathis", Law::Mathis),
    ("WindowOverRtt", Law::WindowOverRtt),
    ("Propagation", Law::Propagation),
    ("Light", Law::Light),
];

/// Why a law has nothing to say.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NoBound {
    /// Another metric.
    #[error("it says nothing about {metric}, but about {instead}")]
    Metric {
        /// As asked for.
        metric: &'static str,
        /// What it is good for.
        instead: &'static str,
    },
    /// Nothing in the scope.
    #[error("nothing gives this metric a value")]
    Nothing,
    /// Nothing leads there.
    #[error("no links lead from `{from}` to `{to}`")]
    NoRoute {
        /// From where.
        from: String,
        /// Where to.
        to: String,
    },
    /// The network's routes do not say where packets go.
    #[error("the way of packets is not that of the network's routes alone: {0}")]
    OtherWays(&'static str),
    /// A link changes.
    #[error("link {0} does not stay as it is")]
    Varies(String),
    /// Nothing is lost.
    #[error("nothing is lost at random from `{from}` to `{to}`")]
    NoLoss {
        /// From where.
        from: String,
        /// Where to.
        to: String,
    },
    /// Bursts count as one loss.
    #[error("{0} does not lose frames independently of each other")]
    Bursts(String),
    /// BBR does not ask for losses.
    #[error("BBR does not slow down with each loss")]
    Bbr,
    /// No distance.
    #[error("there is no distance from `{from}` to `{to}`")]
    NoDistance {
        /// From where.
        from: String,
        /// Where to.
        to: String,
    },
    /// No place on Earth.
    #[error("region `{0}` has no location")]
    NoLocation(String),
    /// Sent for a time.
    #[error("`{0}` has no size")]
    NoSize(String),
    /// Too much in the scope.
    #[error("`{one}` and `{other}` have different bounds: choose one with `scope`")]
    Different {
        /// One of them.
        one: String,
        /// Another one.
        other: String,
    },
}

impl Law {
    /// As files call it.
    pub fn name(self) -> &'static str {
        name_of(&LAWS, &self)
    }

    /// As a legend calls it.
    pub fn in_words(self) -> &'static str {
        match self {
            Law::LinkRate => "narrowest link",
            Law::MaxFlow => "maximum flow",
            Law::Mathis => "Mathis et al. (1997)",
            Law::WindowOverRtt => "window / RTT",
            Law::Propagation => "propagation",
            Law::Light => "light in fibre",
        }
    }

    fn instead(self) -> &'static str {
        match self {
            Law::LinkRate | Law::MaxFlow | Law::Mathis | Law::WindowOverRtt => {
                "TransferGoodput and TransferCompletionTime"
            }
            Law::Propagation | Law::Light => "delays of datagrams and latencies of clients",
        }
    }
}

/// What a law says of something.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// The law.
    pub law: Law,
    /// The metric, as [`stands_for`] gives it.
    pub metric: Metric,
    /// The transfer, client or stream of datagrams.
    pub name: String,
    /// The bound in the metric's base unit: bit/s or ns.
    pub bound: f64,
}

/// The metric that is bounded in the same way, and of which [`all`] speaks; `None` if no law says anything about it.
pub fn stands_for(metric: Metric) -> Option<Metric> {
    match metric {
        Metric::TransferGoodput | Metric::TransferCompletionTime => Some(metric),
        Metric::DatagramDelayMedian | Metric::DatagramDelayP99 => Some(Metric::DatagramDelayMedian),
        Metric::ClientLatencyMedian
        | Metric::ClientLatencyP95
        | Metric::ClientLatencyP99
        | Metric::ClientLatencyP999 => Some(Metric::ClientLatencyMedian),
        _ => None,
    }
}

/// Everything that the laws say of a scenario.
pub fn all(scenario: &Scenario) -> Vec<Said> {
    let ways = Ways::of(scenario);
    let metrics = METRICS.iter().map(|(_, metric)| *metric);
    let bounded = metrics.filter(|metric| stands_for(*metric) == Some(*metric));
    let mut all = Vec::new();
    for metric in bounded {
        for (_, law) in LAWS {
            for (name, bound) in ways.each(law, metric).unwrap_or_default() {
                all.extend(bound.ok().map(|bound| Said {
                    law,
                    metric,
                    name: name.to_owned(),
                    bound,
                }));
            }
        }
    }
    all
}

/// What a law says of a metric, in its base unit: bit/s or ns.
///
/// # Errors
/// If it does not apply, or if it says different things of what is in the scope.
pub fn bound(law: Law, metric: Metric, scope: &Scope, scenario: &Scenario) -> Result<f64, NoBound> {
    let ways = Ways::of(scenario);
    let other = || NoBound::Metric {
        metric: name_of(&METRICS, &metric),
        instead: law.instead(),
    };
    let found = stands_for(metric).and_then(|metric| ways.each(law, metric));
    let found = found.ok_or_else(other)?.into_iter();
    let found = found.filter(|(name, _)| scope.has(name));
    let mut one: Option<(&str, f64)> = None;
    for (name, bound) in found {
        let bound = bound?;
        match one {
            Some((other, known)) if (known - bound).abs() > known.abs() * 1e-9 => {
                return Err(NoBound::Different {
                    one: other.to_owned(),
                    other: name.to_owned(),
                });
            }
            _ => one = Some((name, bound)),
        }
    }
    one.map(|(_, bound)| bound).ok_or(NoBound::Nothing)
}

/// What a law says of each transfer, client or stream of datagrams, by name.
type Each<'s> = Vec<(&'s str, Result<f64, NoBound>)>;

/// A scenario with the ways of its packets.
struct Ways<'s> {
    scenario: &'s Scenario,
    /// Its routes, or why these are not the ways of packets.
    graph: Result<Graph, NoBound>,
    /// Its links without routes, and the share of payload in the longest packets, once the largest flow is asked for.
    network: OnceCell<Result<(Topology, f64), NoBound>>,
}

/// The links from one region to another, and the time that light needs on them, in ns.
struct Way<'s> {
    links: Vec<&'s Link>,
    delay: f64,
}

impl<'s> Ways<'s> {
    fn of(scenario: &'s Scenario) -> Ways<'s> {
        Ways {
            scenario,
            graph: Ways::routes(scenario),
            network: OnceCell::new(),
        }
    }

    fn routes(scenario: &Scenario) -> Result<Graph, NoBound> {
        let other = [
            (!scenario.overlays.is_empty(), "there are overlays"),
            (scenario.route_control.is_some(), "a controller installs routes"),
            (scenario.routing.multipath, "equally good routes share flows"),
        ];
        if let Some((_, why)) = other.into_iter().find(|(is, _)| *is) {
            return Err(NoBound::OtherWays(why));
        }
        let graph = check::graph(scenario.regions.iter(), scenario.links.iter(), scenario.routing);
        graph.ok_or(NoBound::Nothing)
    }

    /// What a law says of everything that gives this metric a value; `None` if it says nothing about the metric.
    fn each(&self, law: Law, metric: Metric) -> Option<Each<'s>> {
        let transfers = self.scenario.transfers.iter();
        let carries = !matches!(law, Law::Propagation | Law::Light);
        Some(match metric {
            Metric::TransferGoodput if carries => transfers
                .map(|it| (it.name.as_str(), self.rate(law, it)))
                .collect(),
            Metric::TransferCompletionTime if carries => transfers
                .map(|it| (it.name.as_str(), self.time(law, it)))
                .collect(),
            Metric::DatagramDelayMedian if !carries => {
                let streams = self.scenario.datagrams.iter();
                streams
                    .map(|it| (it.name.as_str(), self.delay(law, &it.from, &it.to)))
                    .collect()
            }
            Metric::ClientLatencyMedian if !carries => {
                let clients = self.scenario.clients.iter();
                clients
                    .map(|it| (it.name.as_str(), self.round_trip(law, &it.region, &it.service)))
                    .collect()
            }
            _ => return None,
        })
    }

    fn way(&self, from: &str, to: &str) -> Result<Way<'s>, NoBound> {
        let graph = self.graph.as_ref().map_err(Clone::clone)?;
        let route = check::route(graph, from, to).ok_or_else(|| NoBound::NoRoute {
            from: from.to_owned(),
            to: to.to_owned(),
        })?;
        let links = route.links.iter();
        Ok(Way {
            // Links have the numbers of their places.
            links: links.map(|link| &self.scenario.links[link.0 as usize]).collect(),
            delay: route.latency.as_ns() as f64,
        })
    }

    /// Payload of a segment.
    fn segment(&self, way: &Way) -> f64 {
        let mtus = way.links.iter().map(|link| segment_payload(link.mtu));
        f64::from(mtus.min().unwrap_or(0))
    }

    /// In ns.
    fn empty_round_trip(&self, from: &str, to: &str) -> Result<f64, NoBound> {
        let both = self.way(from, to)?.delay + self.way(to, from)?.delay;
        if both > 0.0 {
            return Ok(both);
        }
        Err(NoBound::NoDistance {
            from: from.to_owned(),
            to: to.to_owned(),
        })
    }

    /// In bit/s.
    fn rate(&self, law: Law, transfer: &Transfer) -> Result<f64, NoBound> {
        let (from, to) = (transfer.from.as_str(), transfer.to.as_str());
        if law == Law::MaxFlow {
            return self.largest_flow(from, to);
        }
        if transfer.reservation.is_some() {
            return Err(NoBound::OtherWays("a reservation has a path of its own"));
        }
        let way = self.way(from, to)?;
        let (tcp, streams) = (transfer.carrier.tcp(), f64::from(transfer.carrier.most_streams()));
        let in_round_trips = |bytes: f64| Ok(bytes * 8.0 / (self.empty_round_trip(from, to)? / 1e9));
        match law {
            Law::Mathis => {
                if tcp.controller == Controller::Bbr {
                    return Err(NoBound::Bbr);
                }
                let loss = independent_loss(&way)?;
                if loss <= 0.0 {
                    return Err(NoBound::NoLoss {
                        from: from.to_owned(),
                        to: to.to_owned(),
                    });
                }
                in_round_trips(streams * self.segment(&way) * (1.5 / loss).sqrt())
            }
            Law::WindowOverRtt => {
                let each = tcp.send_buffer.min(tcp.receive_buffer).as_bytes() as f64;
                let all = match transfer.carrier {
                    Carrier::Plain { .. } => each * streams,
                    Carrier::Amst(transport) => (each * streams).min(transport.window.as_bytes() as f64),
                };
                in_round_trips(all)
            }
            Law::LinkRate | Law::MaxFlow | Law::Propagation | Law::Light => {
                let mut least = f64::INFINITY;
                for link in &way.links {
                    least = least.min(steady_rate(link)?);
                }
                if least.is_infinite() {
                    return Err(NoBound::NoDistance {
                        from: from.to_owned(),
                        to: to.to_owned(),
                    });
                }
                Ok(least * payload_share(self.segment(&way)))
            }
        }
    }

    /// In bit/s.
    fn largest_flow(&self, from: &str, to: &str) -> Result<f64, NoBound> {
        let ends = || (from.to_owned(), to.to_owned());
        if from == to {
            let (from, to) = ends();
            return Err(NoBound::NoDistance { from, to });
        }
        let network = self.network.get_or_init(|| network(self.scenario));
        let (topology, share) = network.as_ref().map_err(Clone::clone)?;
        let region = |name| topology.region(name).expect("a region of the scenario");
        match smallest_cut(topology, region(from), region(to)) {
            0 => {
                let (from, to) = ends();
                Err(NoBound::NoRoute { from, to })
            }
            cut => Ok(cut as f64 * share),
        }
    }

    /// In ns.
    fn time(&self, law: Law, transfer: &Transfer) -> Result<f64, NoBound> {
        match transfer.amount {
            Amount::Size(size) => Ok(size.as_bytes() as f64 * 8e9 / self.rate(law, transfer)?),
            Amount::Duration(_) => Err(NoBound::NoSize(transfer.name.clone())),
        }
    }

    /// One way, in ns.
    fn delay(&self, law: Law, from: &str, to: &str) -> Result<f64, NoBound> {
        if law != Law::Light {
            return Ok(self.way(from, to)?.delay);
        }
        let place = |name: &str| {
            let region = self.scenario.regions.iter().find(|region| region.name == name);
            let location = region.and_then(|region| region.location);
            let location = location.ok_or_else(|| NoBound::NoLocation(name.to_owned()))?;
            Ok(check::coordinates(location))
        };
        Ok(place(from)?.fibre_delay(place(to)?).as_ns() as f64)
    }

    /// To the nearest replica of a service and back, in ns.
    fn round_trip(&self, law: Law, from: &str, service: &str) -> Result<f64, NoBound> {
        let services = self.scenario.services.iter();
        let replicas = services
            .filter(|it| it.name == service)
            .flat_map(|it| &it.replicas);
        let both = replicas.map(|to| Ok(self.delay(law, from, to)? + self.delay(law, to, from)?));
        let both = both.collect::<Result<Vec<f64>, NoBound>>()?;
        both.into_iter().reduce(f64::min).ok_or(NoBound::Nothing)
    }
}

/// The network of a scenario whose rates are steady, and the share of payload in its longest packets, whose headers are the
/// smallest part of them.
fn network(scenario: &Scenario) -> Result<(Topology, f64), NoBound> {
    let mut longest = 0;
    for link in &scenario.links {
        steady_rate(link)?;
        longest = longest.max(segment_payload(link.mtu));
    }
    Ok((Planning::of(scenario).topology, payload_share(f64::from(longest))))
}

/// In bit/s.
fn steady_rate(link: &Link) -> Result<f64, NoBound> {
    let constant = link.rate.constant().filter(|_| link.changes.is_empty());
    let rate = constant.ok_or_else(|| NoBound::Varies(link.name()))?;
    Ok(rate.as_bits_per_s() as f64)
}

/// The share of a link's bits that is payload, of segments with so many bytes of it.
fn payload_share(payload: f64) -> f64 {
    payload / (payload + f64::from(HEADER_BYTES))
}

/// The share of frames that do not arrive, if each is lost independently of the others.
fn independent_loss(way: &Way) -> Result<f64, NoBound> {
    let mut arrives = 1.0;
    for link in &way.links {
        let lost = match link.loss {
            Loss::None => 0.0,
            Loss::Independent(share) => share.as_f64(),
            Loss::GilbertElliott { .. } | Loss::TwoState { .. } => return Err(NoBound::Bursts(link.name())),
        };
        if !link.changes.is_empty() {
            return Err(NoBound::Varies(link.name()));
        }
        arrives *= (1.0 - lost) * (1.0 - link.corrupt.as_f64());
    }
    Ok(1.0 - arrives)
}
