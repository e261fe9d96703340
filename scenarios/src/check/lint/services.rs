//! What is doubtful about services and clients.

use longhaul_resilience::LayerConfig;
use longhaul_resilience::shedding::LoadSource;
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_service::{Choice, ServiceOptions, Stage};

use super::super::services::callers;
use super::Lint;
use crate::schema::{Client, Service};

impl Lint<'_> {
    pub(super) fn services(&mut self) {
        let scenario = self.scenario;
        let services = scenario.services.iter().enumerate();
        for (_, from, to) in callers(services.clone(), scenario.clients.iter().enumerate()) {
            self.path(from, to);
        }
        for (index, service) in services {
            let at = format!("services[{index}]");
            self.is_called(&at, service);
            for (place, called) in service.behind.iter().enumerate() {
                let at = format!("{at}.behind[{place}]");
                if !service.options.stages.iter().any(|stage| asks(stage, place)) {
                    self.warn(&at, format!("no stage asks `{called}`"));
                }
                self.call(&at, &service.options.behind[place].service, called);
            }
        }
        for (index, client) in scenario.clients.iter().enumerate() {
            let at = format!("clients[{index}]");
            self.call(&at, &client.options.service, &client.service);
            self.ends_in_time(&at, client.at, client.duration);
            self.requests(&at, client);
        }
    }

    /// A service that nobody calls, and what its callers would have to say to have an effect.
    fn is_called(&mut self, at: &str, service: &Service) {
        let scenario = self.scenario;
        let clients = scenario.clients.iter();
        let clients = clients.filter(|client| client.service == service.name);
        let behind = scenario.services.iter().flat_map(|other| {
            let behind = other.behind.iter().zip(&other.options.behind);
            behind
                .filter(|(name, _)| **name == service.name)
                .map(|(_, behind)| &behind.service)
        });
        let callers: Vec<&ServiceOptions> = clients
            .map(|client| &client.options.service)
            .chain(behind)
            .collect();
        if callers.is_empty() {
            self.warn(at, format!("nobody calls `{}`", service.name));
        } else if service.options.queue.drop_expired && !callers.iter().any(|call| call.propagate_deadline) {
            let message = "no caller says until when it waits (`propagate_deadline`), so this has no effect";
            self.warn(&format!("{at}.queue.drop_expired"), message.to_owned());
        }
    }

    /// Settings of a call that the service called makes idle.
    fn call(&mut self, at: &str, call: &ServiceOptions, called: &str) {
        let mut services = self.scenario.services.iter();
        let service = services.find(|service| service.name == called);
        let service = service.expect("a checked reference");
        if call.cancel && !service.options.cancellation {
            let message = format!("`{called}` has no `cancellation`, so this has no effect");
            self.warn(&format!("{at}.cancel"), message);
        }
        for (place, layer) in call.stack.layers.iter().enumerate() {
            if matches!(layer, LayerConfig::Shed(shed) if shed.load == LoadSource::Reported) {
                let message = "nobody reports a load to a caller, so this has no effect".to_owned();
                self.warn(&format!("{at}.policies[{place}].load"), message);
            }
        }
        if service.replicas.len() > 1 {
            return;
        }
        for (field, idle) in [
            ("choice", call.choice != Choice::PrimaryFirst),
            ("spread", call.spread),
        ] {
            if idle {
                let message = format!("`{called}` has one server, so this has no effect");
                self.warn(&format!("{at}.{field}"), message);
            }
        }
    }

    /// A client's requests against its own policies.
    fn requests(&mut self, at: &str, client: &Client) {
        let request = client.options.request;
        let layers = &client.options.service.stack.layers;
        let deadline = request.deadline;
        for (place, layer) in layers.iter().enumerate() {
            let at = format!("{at}.policies[{place}]");
            match layer {
                LayerConfig::Timeout(timeout) => {
                    let least = match *timeout {
                        TimeoutConfig::Fixed(after) => after,
                        TimeoutConfig::Step { least, .. }
                        | TimeoutConfig::History { least, .. }
                        | TimeoutConfig::Rfc6298 { least, .. } => least,
                    };
                    if let Some(deadline) = deadline.filter(|deadline| *deadline <= least) {
                        let message = format!("never ends a request: their deadline of {deadline} does");
                        self.warn(&at, message);
                    }
                }
                LayerConfig::Retry(retry) if !request.idempotent && !retry.non_idempotent => {
                    let message = "requests are not idempotent, so that none is retried";
                    self.warn(&at, message.to_owned());
                }
                LayerConfig::Hedge(hedge) if !request.idempotent && !hedge.non_idempotent => {
                    let message = "requests are not idempotent, so that none is hedged";
                    self.warn(&at, message.to_owned());
                }
                _ => {}
            }
        }
        let timed = layers
            .iter()
            .any(|layer| matches!(layer, LayerConfig::Timeout(_)));
        let silence = client.options.service.connection.silence;
        if !timed && deadline.is_none() && silence.is_none() {
            let message = "waits for an answer without an end: there is neither a `Timeout` nor a `deadline` nor \
                           `connection.silence`";
            self.warn(at, message.to_owned());
        }
        if let (Some(deadline), Some(late)) = (deadline, request.late_after)
            && late >= deadline
        {
            let message = format!("requests end at their deadline of {deadline}, so that none is late");
            self.warn(&format!("{at}.request.late_after"), message);
        }
    }
}

fn asks(stage: &Stage, place: usize) -> bool {
    let (Stage::All(services) | Stage::OneOf(services)) = stage;
    services.iter().any(|service| usize::from(*service) == place)
}
