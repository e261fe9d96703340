//! Services and clients: their machines, their records and the metrics that are read from those.

mod metrics;
mod process;
mod record;

use longhaul_core::machine::PeerId;
use longhaul_core::time::Span;
use longhaul_service::{
    Behind, ClientOptions, Replica, RequestOptions, Server, ServerOptions, ServiceOptions,
};

use super::build::BuildError;
use super::cast::{Role, Workload, region_id};
use super::endpoint::Protocol;
use super::machines::Maker;
use crate::schema::Service;

pub use metrics::{of_client, of_service};
pub use process::{ClientProcess, ClientReport};
pub use record::{client_record, server_record};

/// What tells the requests of a machine from those of others. A server has one such number for each service behind it, of
/// which there are at most 256.
fn origin(peer: PeerId) -> u32 {
    peer.0 << 8
}

impl Maker<'_> {
    /// The server of a service in one of its regions.
    pub(super) fn server(&self, index: usize, place: u32) -> Result<Protocol, BuildError> {
        let spec = &self.scenario.services[index];
        let region = &spec.replicas[place as usize];
        let name = format!("{}/{region}", spec.name);
        let behind = spec.options.behind.iter().zip(&spec.behind).zip(&spec.asks_for);
        let behind = behind.map(|((behind, service), operation)| Behind {
            service: self.called(region, service, &behind.service),
            operation: self.operation(service, operation.as_deref()),
            ..behind.clone()
        });
        let options = ServerOptions {
            origin: origin(self.cast.peer(Workload::Service(index), Role::Server(place))),
            behind: behind.collect(),
            ..spec.options.clone()
        };
        Server::new(&name, options, self.streams)
            .map(|server| Protocol::Server(Box::new(server)))
            .map_err(|error| BuildError::Service {
                name,
                reason: error.to_string(),
            })
    }

    /// A client.
    pub(super) fn client(&self, index: usize) -> Result<Protocol, BuildError> {
        let spec = &self.scenario.clients[index];
        let options = ClientOptions {
            origin: origin(self.cast.peer(Workload::Client(index), Role::Client)),
            service: self.called(&spec.region, &spec.service, &spec.options.service),
            interval: self.scenario.sample_interval,
            request: RequestOptions {
                operation: self.operation(&spec.service, spec.operation.as_deref()),
                ..spec.options.request
            },
            ..spec.options.clone()
        };
        ClientProcess::new(
            &spec.name,
            options,
            spec.duration,
            self.streams,
            self.planted.policies,
        )
        .map(|client| Protocol::Client(Box::new(client)))
        .map_err(|error| BuildError::Service {
            name: spec.name.clone(),
            reason: error.to_string(),
        })
    }

    /// The number by which an operation of a service is asked for.
    fn operation(&self, service: &str, operation: Option<&str>) -> u16 {
        let services = &self.scenario.services;
        let service = &services[Service::place(services, service)];
        service
            .operation(operation)
            .expect("the check found the operation")
    }

    /// A service as somebody in `region` sees it: with its replicas and how far they are.
    fn called(&self, region: &str, service: &str, options: &ServiceOptions) -> ServiceOptions {
        let index = Service::place(&self.scenario.services, service);
        let replicas = (0..).zip(&self.scenario.services[index].replicas);
        let replicas = replicas.map(|(place, there)| Replica {
            peer: self.cast.peer(Workload::Service(index), Role::Server(place)),
            region: there.clone(),
            distance: self.round_trip(region, there),
        });
        ServiceOptions {
            replicas: replicas.collect(),
            ..options.clone()
        }
    }

    /// Propagation there and back along the routes of the whole network.
    fn round_trip(&self, here: &str, there: &str) -> Span {
        if here == there {
            return Span::ZERO;
        }
        let scenario = self.scenario;
        let graph = self.graph();
        let one_way = |from: &str, to: &str| {
            let (from, to) = (region_id(scenario, from), region_id(scenario, to));
            let route = graph.route(from, to).expect("the check found a route");
            let delays = route
                .links
                .iter()
                .map(|link| scenario.links[link.0 as usize].delay);
            delays.fold(Span::ZERO, Span::saturating_add)
        };
        one_way(here, there).saturating_add(one_way(there, here))
    }
}
