//! From the tree of a file to a [`Scenario`]: every field with its type, its range and its default.
//!
//! Decoding goes on after a mistake, so that all mistakes of a file are reported at once; [`crate::check`]
//! then looks at what only shows between items. The defaults, all of them:
//!
//! | field | default |
//! | --- | --- |
//! | `seed` | 1 |
//! | `seeds.workload`, `.network`, `.faults` | what `seed` says |
//! | `sample_interval` | `"1 s"` |
//! | `payload` | `Real` |
//! | `fidelity` | `Packet` |
//! | `vms`, `migrations`, `transfers`, `datagrams`, `replications`, `federations`, `reservations`, `demands`, `overlays`, `services`, `clients`, `faults`, `assertions` | `[]` |
//! | `faults[].for` | the rest of the run, or until it is recovered by hand |
//! | `faults[].name` | made of what the fault does and where |
//! | `faults[].recovery` | `Automatic` |
//! | `faults[].recovery.steps`, `.step` | 5, `"2 s"` |
//! | `faults[].one_way` | `false` |
//! | `reroute_after` | `"200 ms"`: a link-state protocol tuned for it (see `DEFAULT_REROUTE_AFTER`) |
//! | `routing.objective`, `routing.multipath` | `LowestLatency`, `false` |
//! | `routing.objective.latency_per_ms`, `.cost`, `.loss_per_percent` | 0 |
//! | `regions[].location` | unknown; the link is then not compared with light |
//! | `links[].queue` | `Bdp(1.0)`: one bandwidth-delay product of the link's own round trip, at least 64 KiB |
//! | `links[].cost` | 0 |
//! | `links[].mtu` | `"1500 B"`, Ethernet's |
//! | `links[].loss`, `links[].jitter`, `links[].background` | `None` |
//! | `links[].reorder` | `false` |
//! | `links[].duplicate`, `links[].corrupt` | `"0 %"` |
//! | `links[].changes` | `[]`; they happen once |
//! | options of CoDel, FQ-CoDel and HTB | Linux's: see [`longhaul_net::queue`] |
//! | `links[].background.frame` | `"1514 B"` |
//! | `links[].background.shape` | 1.5 |
//! | `links[].background.class`, `transport.tcp.class` | 0 |
//! | `transport.tcp.autotuning` | `true` |
//! | `transport.tcp.ecn` | `false` |
//! | `transport.streams` | 16 |
//! | `transport.streams.initial` | 16 |
//! | `transport.streams.most` | 256 |
//! | `transport.streams.contending` | 4 |
//! | `transport.chunk` | `"256 KiB"` |
//! | `transport.window` | `"256 MiB"` |
//! | `transport.patience` | `"60 s"` |
//! | `transport.tcp.controller` | `Cubic` |
//! | `transport.tcp.send_buffer` | `"4 MiB"` |
//! | `transport.tcp.notsent_lowat` | `"128 KiB"` |
//! | `transport.tcp.receive_buffer` | `"3 MiB"` |
//! | `transport.tcp.initial_window` | 10 |
//! | `transport.tcp.hystart` | `true` |
//! | `transport.tcp.segmentation_offload` | `false` |
//! | `vms[].vcpus` | 1 |
//! | `vms[].reads` | a guest that does not read: `(rate: "0 pages/s")` |
//! | `vms[].reads.working_set`, `vms[].memory.dirty.working_set` | `"100 %"` |
//! | `vms[].reads.locality`, `vms[].memory.dirty.locality` | `Uniform` |
//! | `vms[].memory.dirty` | a guest that does not write: `(rate: "0 pages/s")` |
//! | `vms[].memory.dirty.bytes_per_write` | `"64 B"` |
//! | `migrations[].start` | `At("0 s")` |
//! | `migrations[].start.pause` | `"0 s"` |
//! | `migrations[].cancel_after` | never |
//! | `migrations[].orchestration.before`, `.after` | `"0 s"` |
//! | `migrations[].mode` | `PreCopy` |
//! | `migrations[].downtime_limit` | `"300 ms"`, QEMU's; or `stop` |
//! | `migrations[].stop`: Xen's `pages`, `rounds`, `factor` | 50, 29, 3 |
//! | `migrations[].stop`: `step`, `remaining` of a dynamic rate | `"50 Mbit/s"`, `"256 kB"` |
//! | `migrations[].throttle` | `None`; its options are QEMU's |
//! | `migrations[].max_bandwidth`, `migrations[].max_postcopy_bandwidth` | no limit |
//! | `migrations[].preempt` | `true` |
//! | `migrations[].recover` | `None`; `delay` `"1 s"`, `attempts` 60 |
//! | `migrations[].stall_after` | `"10 s"` |
//! | `migrations[].device_state` | `"256 KiB"` |
//! | `migrations[].resume_time` | `"0 s"` |
//! | `migrations[].cost` | `Free`; speeds of stages as [measured](longhaul_hde::CostModel::measured), nothing to carry |
//! | `migrations[].encoding.cache` | `"64 MiB"`, QEMU's |
//! | `migrations[].encoding` | `Hde(level: 1)` |
//! | `migrations[].transport` | what `transport` says, field by field |
//! | `transfers[].at` | `"0 s"` |
//! | `transfers[].streams` | 1 |
//! | `transfers[].call_time` | `"0 s"` |
//! | `transfers[].tcp` | what `transport.tcp` says, field by field |
//! | `replications[].at`, `replications[].snapshot_pause` | `"0 s"` |
//! | `replications[].consistency` | `Each` |
//! | `replications[].rpo_target` | twice the interval, of an `Interval`; others must give it |
//! | `replications[].encoding` | `Hde(level: 1)` |
//! | `replications[].encode_threads` | none: encoding takes no time |
//! | `replications[].transport` | what `transport` says, field by field |
//! | `replications[].max_bandwidth` | none: no limit |
//! | `replications[].heartbeat` | `(interval: "1 s", multiplier: 5)` |
//! | `replications[].backoff` | `(first: "1 s", most: "30 s")` |
//! | `replications[].failover` | `Manual()`: nobody decides |
//! | `replications[].restore_rate` | none: VMs can be started at once |
//! | `replications[].resume_time` | `"30 s"` |
//! | `transfers[].transport` | plain connections; if given, what `transport` says, field by field |
//! | `federations[].topology` | `Mesh` |
//! | `federations[].at` | `"0 s"` |
//! | `federations[].state`, `federations[].commands` | none: clients do no such thing |
//! | `federations[].state.shared` | `true` |
//! | `federations[].state.changed` | `"100 %"` |
//! | `federations[].state.hot_keys`, `.hot_updates`, `.removals` | `"0 %"` |
//! | `federations[].state.priority` | `Normal` |
//! | `federations[].commands.names`, `.reads` | 100, `"0 %"` |
//! | `federations[].config` | `Default` |
//! | `federations[].settings` | what `config` says, field by field (see [`longhaul_federation::Options`]) |
//! | `federations[].tcp` | what `transport.tcp` says, field by field |
//! | `transfers[].port` | 443 |
//! | `reservations[].requested`, `reservations[].priority` | `"0 s"`, 0 |
//! | `route_control.margin`, `.hold_down`, `.wait_to_restore`, `.overlap` | `"10 %"`, `"60 s"`, `"60 s"`, `"1 s"` |
//! | `headroom` | `"0 %"` |
//! | `engineering.method`, `engineering.reaction` | `Routed`, `"1 s"` |
//! | `engineering.method.failures`, `.paths` | 1, 4 |
//! | `transfers[].reservation`, `datagrams[].reservation` | none |
//! | `datagrams[].at` | `"0 s"` |
//! | `datagrams[].interval`, `datagrams[].payload` | `"20 ms"`, `"160 B"`: G.711 |
//! | `datagrams[].port`, `datagrams[].class` | 5060, 0 |
//! | `overlays[].selection` | `ByPolicy()`: by the usual four policies |
//! | `overlays[].selection.hold` | `"60 s"` |
//! | `overlays[].selection.policies` | see [`longhaul_sdwan::Policies`] |
//! | `overlays[].selection.policies[]`: `from`, `to`, `ports`, `class` | any |
//! | `overlays[].selection.policies[].objective`: weights | 0 |
//! | `overlays[].selection.hysteresis` | `(leave: 50, back: 80, hold: "60 s", advantage: 5)` |
//! | `overlays[].selection.review` | `"5 s"` |
//! | `overlays[].paths[]`: `via`, `rate`, `price` | where the routers lead; unknown; unknown |
//! | `overlays[].paths[].tunnel` | `None` |
//! | `overlays[].paths[].tunnel.ip` | 4 |
//! | `overlays[].paths[].tunnel.path_mtu` | `Known` |
//! | `overlays[].paths[].tunnel.path_mtu`: options of `Discover` | see [`longhaul_tunnel::path_mtu::PathMtuConfig`]; `min_plpmtu` "576 B" over IPv4, `max_plpmtu` `None` |
//! | `overlays[].paths[].tunnel`: WireGuard's `keepalive` | `"25 s"` |
//! | `overlays[].paths[].tunnel`: IPsec's options | see [`longhaul_tunnel::IpsecConfig`] |
//! | `overlays[].paths[].tunnel`: GRE's `key`, `keepalive` | `false`, `None`; `every` `"10 s"`, `retries` 3 |
//! | `overlays[].probes` | see [`longhaul_sdwan::probe::Config`] |
//! | `overlays[].bfd` | see [`longhaul_sdwan::bfd::Config`] |
//! | `overlays[].trains` | see [`longhaul_sdwan::bandwidth::Config`] |
//! | `overlays[].discovery` | `None` |
//! | `overlays[].discovery`: `interval`, `timeout`, `skew`, `wrong_keys` | `"10 s"`, `"2 min"`, `"30 s"`, `[]` |
//! | `overlays[].wrong_by` | 5 |
//! | `services[].port` | 443 |
//! | `services[].concurrency` | `cores` |
//! | `services[].queue` | `(limit: None, discipline: Fifo, drop_expired: false)` |
//! | `services[].queue.discipline`: CoDel's `target`, `interval` | `"5 ms"`, `"100 ms"` (RFC 8289) |
//! | `services[].error_rate`, `services[].cancellation`, `services[].remember`, `services[].restart` | `"0 %"`, `false`, 0, `"10 s"` |
//! | `services[].memory` | see [`longhaul_service::MemoryOptions`] |
//! | `services[].admission`, `services[].behind`, `services[].operations` | `[]` |
//! | `operations[].error_rate`, `operations[].stages` | `0`, `[]` |
//! | `behind[].operation`, `clients[].request.operation` | `None`: what the service does by default |
//! | `services[].stages` | one `All` of everything behind, if there is something |
//! | `services[].tcp`, `clients[].tcp` | what `transport.tcp` says, field by field |
//! | `clients[].at`, `clients[].limit`, `clients[].keep_records` | `"0 s"`, `None`, `true` |
//! | `clients[].load.pattern` | `Poisson` |
//! | `clients[].request`; `behind[].body`, `behind[].answer` | see [`longhaul_service::RequestOptions`] |
//! | of calls: `choice`, `policies` | `PrimaryFirst`, `[]` |
//! | of calls: `spread`, `cancel`, `propagate_deadline`, `report_policies` | `false` |
//! | of calls: `names`, `connection` | `None`, and if given see [`longhaul_service::NameOptions`]; see [`longhaul_service::ConnectionOptions`] |
//! | of calls: `ejection` | `None`; Envoy's `(failures: 5, time: "30 s", time_max: "300 s", share_max: "10 %")` |
//! | of calls: `health` | `None`; `(interval: "10 s", timeout: "5 s", fall: (k: 2, n: 3), rise: (k: 2, n: 2))` |
//! | `policies[]` | those of [sending](longhaul_resilience::named::Operation::Send), where `scenarios/README.md` has one |
//! | `policies[].budget` | `None`; see [`longhaul_resilience::retry::RetryBudgetConfig::USUAL`] |
//! | `assertions[].scope` | `All` |
//! | `assertions[].level` | `Critical` |
//! | `replay` | what a replay takes where nothing is said: see [`crate::replay::settings`] |
//! | `abort_when` | `[]` |
//! | `abort_when[].scope` | `All` |
//! | `abort_when[].for` | a single sample |
//! | `replay.replications`, `replay.simulations` | 10 and 30 |
//! | `replay.margins` | `[]`: the default margins |
//! | `replay.margins[].scope` | `All` |
//!
//! Whatever is not in this table must be given. `scenarios/README.md` describes every field.

mod abort;
pub mod assertion;
mod calls;
mod chaos;
mod client;
pub mod context;
mod datagrams;
mod demand;
mod distance;
mod fault;
mod federation;
mod files;
mod guards;
mod guest;
mod laws;
mod layers;
mod limits;
mod load;
mod migration;
mod names;
mod network;
mod overlay;
mod path_mtu;
mod policies;
mod policy;
mod queue;
mod replay;
mod replication;
mod reservation;
mod routing;
mod service;
pub(crate) mod transport;
mod tunnel;
pub mod value;
mod work;

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use crate::diagnose::Sink;
use crate::schema::{
    AbortCondition, Assertion, Client, DatagramStream, Demand, Engineering, Fault, Federation, Fidelity,
    Link, Migration, Overlay, OwnSeeds, PayloadMode, Region, Replay, Replication, Reservation, RouteControl,
    RoutingPolicy, SCHEMA_VERSION, Scenario, Service, Transfer, Transport, Vm,
};
use crate::syntax::Node;

use context::{At, Context, Fields, Variant, list, no_content, variant};
pub use files::Files;
pub use guest::PAGE;
pub use load::rate_of;
pub use names::Names;
pub use queue::most_bytes;
pub use replication::least_interval;
pub use value::print_millionths;

/// Longest run: ten years.
const LONGEST_HORIZON: Span = Span::from_s(10 * 365 * 24 * 3_600);
/// What a link-state protocol needs that is tuned for it: three probes of BFD (RFC 5880) lost, 50 ms apart, and some
/// 50 ms to flood the news, compute routes and install them (Francois et al., 2005, "Achieving sub-second IGP
/// convergence in large IP networks").
const DEFAULT_REROUTE_AFTER: Span = Span::from_ms(200);
/// Most regions, machines, migrations, transfers or assertions: far beyond what packet fidelity can carry, and
/// few enough that every check stays quick.
pub(crate) const MOST_ITEMS: usize = 1_000;
/// Most entries of `faults`: what is drawn in one run must be able to stand in a file.
pub(crate) const MOST_FAULTS: usize = 10_000;
/// Most entries of `links` and of `demands`.
pub(crate) const MOST_LINKS: usize = 4_000;

/// What could be read of a list. Each item comes with its index in the file.
#[derive(Clone, Debug)]
pub struct Items<T> {
    /// The items without mistakes.
    pub good: Vec<(usize, T)>,
    /// Whether that is all of them.
    pub complete: bool,
}

impl<T> Items<T> {
    /// Whether the list has no items, not even wrong ones.
    pub fn is_empty(&self) -> bool {
        self.complete && self.good.is_empty()
    }
}

/// What could be read of a scenario; whatever has mistakes is absent.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// See [`Scenario::name`].
    pub name: Option<String>,
    /// See [`Scenario::question`].
    pub question: Option<String>,
    /// See [`Scenario::expect`].
    pub expect: Option<String>,
    /// See [`Scenario::seed`].
    pub seed: Option<u64>,
    /// See [`Scenario::own_seeds`].
    pub own_seeds: Option<OwnSeeds>,
    /// See [`Scenario::horizon`].
    pub horizon: Option<Span>,
    /// See [`Scenario::sample_interval`].
    pub sample_interval: Option<Span>,
    /// See [`Scenario::payload`].
    pub payload: Option<PayloadMode>,
    /// See [`Scenario::fidelity`].
    pub fidelity: Option<Fidelity>,
    /// See [`Scenario::regions`].
    pub regions: Items<Region>,
    /// See [`Scenario::links`]; both links of a symmetric entry have its index.
    pub links: Items<Link>,
    /// See [`Scenario::vms`].
    pub vms: Items<Vm>,
    /// See [`Scenario::migrations`].
    pub migrations: Items<Migration>,
    /// See [`Scenario::transfers`].
    pub transfers: Items<Transfer>,
    /// See [`Scenario::datagrams`].
    pub datagrams: Items<DatagramStream>,
    /// See [`Scenario::replications`].
    pub replications: Items<Replication>,
    /// See [`Scenario::federations`].
    pub federations: Items<Federation>,
    /// See [`Scenario::reservations`].
    pub reservations: Items<Reservation>,
    /// See [`Scenario::headroom`].
    pub headroom: Option<Probability>,
    /// See [`Scenario::demands`].
    pub demands: Items<Demand>,
    /// See [`Scenario::engineering`].
    pub engineering: Option<Engineering>,
    /// See [`Scenario::overlays`].
    pub overlays: Items<Overlay>,
    /// See [`Scenario::services`].
    pub services: Items<Service>,
    /// See [`Scenario::clients`].
    pub clients: Items<Client>,
    /// See [`Scenario::faults`]; both faults of a symmetric entry have its index.
    pub faults: Items<Fault>,
    /// See [`Scenario::abort_when`].
    pub abort_when: Items<AbortCondition>,
    /// See [`Scenario::routing`].
    pub routing: Option<RoutingPolicy>,
    /// See [`Scenario::reroute_after`].
    pub reroute_after: Option<Span>,
    /// See [`Scenario::route_control`].
    pub route_control: Option<Option<RouteControl>>,
    /// See [`Scenario::assertions`].
    pub assertions: Items<Assertion>,
    /// See [`Scenario::replay`].
    pub replay: Option<Option<Replay>>,
}

impl Decoded {
    /// The scenario, if nothing is absent.
    pub fn finish(self) -> Option<Scenario> {
        fn all<T>(items: Items<T>) -> Option<Vec<T>> {
            items
                .complete
                .then(|| items.good.into_iter().map(|(_, item)| item).collect())
        }
        Some(Scenario {
            name: self.name?,
            question: self.question?,
            expect: self.expect?,
            seed: self.seed?,
            own_seeds: self.own_seeds?,
            horizon: self.horizon?,
            sample_interval: self.sample_interval?,
            payload: self.payload?,
            fidelity: self.fidelity?,
            regions: all(self.regions)?,
            links: all(self.links)?,
            vms: all(self.vms)?,
            migrations: all(self.migrations)?,
            transfers: all(self.transfers)?,
            datagrams: all(self.datagrams)?,
            replications: all(self.replications)?,
            federations: all(self.federations)?,
            reservations: all(self.reservations)?,
            headroom: self.headroom?,
            demands: all(self.demands)?,
            engineering: self.engineering?,
            overlays: all(self.overlays)?,
            services: all(self.services)?,
            clients: all(self.clients)?,
            faults: all(self.faults)?,
            abort_when: all(self.abort_when)?,
            routing: self.routing?,
            reroute_after: self.reroute_after?,
            route_control: self.route_control?,
            assertions: all(self.assertions)?,
            replay: self.replay?,
        })
    }
}

const FIELDS: [&str; 33] = [
    "version",
    "name",
    "question",
    "expect",
    "seed",
    "seeds",
    "horizon",
    "sample_interval",
    "payload",
    "fidelity",
    "regions",
    "links",
    "transport",
    "vms",
    "migrations",
    "transfers",
    "datagrams",
    "replications",
    "federations",
    "reservations",
    "headroom",
    "demands",
    "engineering",
    "overlays",
    "services",
    "clients",
    "faults",
    "abort_when",
    "routing",
    "reroute_after",
    "route_control",
    "assertions",
    "replay",
];

/// Reads the tree of a file. Mistakes go to `sink`; `None` if the tree is no struct at all.
pub fn decode(root: &Node, names: &Names, files: &mut Files, sink: &mut Sink) -> Option<Decoded> {
    let cx = &mut Context {
        sink,
        names,
        locations: BTreeMap::new(),
        files,
    };
    let at = At {
        node: root,
        path: String::new(),
    };
    let fields = Fields::of(cx, &at, "a scenario", Some("Scenario"), &FIELDS)?;
    fields.required(cx, "version", version);
    let base = fields.optional(cx, "transport", transport::DEFAULT, |cx, at| {
        transport::transport(cx, at, transport::DEFAULT)
    });
    // With the default in place of a wrong transport the rest can still be checked; the mistake is noted.
    let base: Transport = base.unwrap_or(transport::DEFAULT);
    let regions = required_items(cx, &fields, "regions", network::region);
    cx.locations = regions
        .good
        .iter()
        .filter_map(|(_, region)| Some((region.name.clone(), region.location?)))
        .collect();
    Some(Decoded {
        name: fields.required(cx, "name", value::name),
        question: fields.required(cx, "question", value::sentence),
        expect: fields.required(cx, "expect", value::sentence),
        seed: fields.optional(cx, "seed", 1, seed),
        own_seeds: fields.optional(cx, "seeds", OwnSeeds::default(), own_seeds),
        horizon: fields.required(cx, "horizon", |cx, at| {
            value::quantity_within(cx, at, &Span::from_ns(1), &LONGEST_HORIZON)
        }),
        sample_interval: fields.optional(cx, "sample_interval", Span::from_s(1), work::positive_span),
        payload: fields.optional(cx, "payload", PayloadMode::Real, payload),
        fidelity: fields.optional(cx, "fidelity", Fidelity::Packet, fidelity),
        regions,
        links: links(cx, &fields),
        faults: faults(cx, &fields),
        abort_when: items(cx, &fields, "abort_when", abort::condition),
        routing: fields.optional(cx, "routing", RoutingPolicy::default(), routing::routing),
        reroute_after: fields.optional(cx, "reroute_after", DEFAULT_REROUTE_AFTER, |cx, at| {
            value::quantity_within(cx, at, &Span::ZERO, &LONGEST_HORIZON)
        }),
        route_control: fields.optional(cx, "route_control", None, |cx, at| {
            routing::control(cx, at).map(Some)
        }),
        vms: items(cx, &fields, "vms", guest::vm),
        migrations: items(cx, &fields, "migrations", |cx, at| {
            migration::migration(cx, at, base)
        }),
        transfers: items(cx, &fields, "transfers", |cx, at| work::transfer(cx, at, base)),
        datagrams: items(cx, &fields, "datagrams", datagrams::datagrams),
        replications: items(cx, &fields, "replications", |cx, at| {
            replication::replication(cx, at, base)
        }),
        federations: items(cx, &fields, "federations", |cx, at| {
            federation::federation(cx, at, base.tcp)
        }),
        reservations: items(cx, &fields, "reservations", reservation::reservation),
        headroom: fields.optional(cx, "headroom", Probability::ZERO, value::quantity),
        demands: items_up_to(cx, &fields, "demands", MOST_LINKS, demand::demand),
        engineering: fields.optional(cx, "engineering", Engineering::default(), demand::engineering),
        overlays: items(cx, &fields, "overlays", overlay::overlay),
        services: items(cx, &fields, "services", |cx, at| {
            service::service(cx, at, base.tcp)
        }),
        clients: items(cx, &fields, "clients", |cx, at| client::client(cx, at, base.tcp)),
        assertions: items(cx, &fields, "assertions", assertion::assertion),
        replay: fields.optional(cx, "replay", None, |cx, at| replay::replay(cx, at).map(Some)),
    })
}

fn items<'n, T>(
    cx: &mut Context,
    fields: &Fields<'n>,
    name: &str,
    decode: impl FnMut(&mut Context, &At<'n>) -> Option<T>,
) -> Items<T> {
    items_up_to(cx, fields, name, MOST_ITEMS, decode)
}

fn items_up_to<'n, T>(
    cx: &mut Context,
    fields: &Fields<'n>,
    name: &str,
    most: usize,
    decode: impl FnMut(&mut Context, &At<'n>) -> Option<T>,
) -> Items<T> {
    let (good, complete) = match fields.get(name) {
        Some(at) => list(cx, &at, most, decode),
        None => (Vec::new(), true),
    };
    Items { good, complete }
}

fn required_items<'n, T>(
    cx: &mut Context,
    fields: &Fields<'n>,
    name: &str,
    decode: impl FnMut(&mut Context, &At<'n>) -> Option<T>,
) -> Items<T> {
    let read = fields.required(cx, name, |cx, at| Some(list(cx, at, MOST_ITEMS, decode)));
    let (good, complete) = read.unwrap_or_default();
    Items { good, complete }
}

fn links(cx: &mut Context, fields: &Fields) -> Items<Link> {
    let read = fields.required(cx, "links", |cx, at| {
        Some(list(cx, at, MOST_LINKS, network::link))
    });
    let (entries, complete) = read.unwrap_or_default();
    let directed = |(index, links): (usize, Vec<Link>)| links.into_iter().map(move |link| (index, link));
    Items {
        good: entries.into_iter().flat_map(directed).collect(),
        complete,
    }
}

fn faults(cx: &mut Context, fields: &Fields) -> Items<Fault> {
    let (good, complete) = match fields.get("faults") {
        Some(at) => list(cx, &at, MOST_FAULTS, fault::fault),
        None => (Vec::new(), true),
    };
    let entries = Items { good, complete };
    let directed = |(index, faults): (usize, Vec<Fault>)| faults.into_iter().map(move |fault| (index, fault));
    Items {
        good: entries.good.into_iter().flat_map(directed).collect(),
        complete: entries.complete,
    }
}

fn seed(cx: &mut Context, at: &At) -> Option<u64> {
    value::integer(cx, at, 0, u64::MAX)
}

fn own_seeds(cx: &mut Context, at: &At) -> Option<OwnSeeds> {
    let fields = Fields::of(cx, at, "seeds", None, &["workload", "network", "faults"])?;
    let mut of = |name| fields.optional(cx, name, None, |cx, at| seed(cx, at).map(Some));
    let (workload, network, faults) = (of("workload"), of("network"), of("faults"));
    Some(OwnSeeds {
        workload: workload?,
        network: network?,
        faults: faults?,
    })
}

fn version(cx: &mut Context, at: &At) -> Option<u64> {
    let version = value::integer(cx, at, 0, u64::MAX)?;
    if version != u64::from(SCHEMA_VERSION) {
        return cx.refuse(
            at,
            format!("version {version} of the language; this program reads {SCHEMA_VERSION}"),
        );
    }
    Some(version)
}

fn fidelity(cx: &mut Context, at: &At) -> Option<Fidelity> {
    let variants = ["Packet", "Flow", "Auto"].map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a fidelity", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "Packet" => Fidelity::Packet,
        "Flow" => Fidelity::Flow,
        _ => Fidelity::Auto,
    })
}

fn payload(cx: &mut Context, at: &At) -> Option<PayloadMode> {
    let variants = [
        Variant {
            name: "Real",
            form: "Real",
        },
        Variant {
            name: "Sampled",
            form: "Sampled(share: \"1 %\")",
        },
    ];
    let name = variant(cx, at, "a payload", &variants)?;
    if name == "Real" {
        return no_content(cx, at).map(|()| PayloadMode::Real);
    }
    let fields = Fields::of(cx, at, "a sampled payload", Some(name), &["share"])?;
    let share = fields.required(cx, "share", |cx, at| {
        let least = Probability::from_parts(1).expect("less than one");
        value::quantity_within(cx, at, &least, &Probability::ONE)
    })?;
    Some(PayloadMode::Sampled { share })
}
