//! Services and the clients that make requests to them.

use longhaul_core::time::Span;
use longhaul_service::{ClientOptions, ServerOptions};

use super::Tcp;

/// A service with a server in each of some regions.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// Unique among everything that moves.
    pub name: String,
    /// The regions with a server each; the first is the primary.
    pub replicas: Vec<String>,
    /// Where servers accept; what policies of overlays know the requests by.
    pub port: u16,
    /// Connections to services behind it.
    pub tcp: Tcp,
    /// What each server is. Who the replicas of services behind it are is filled in when it is built, and so is its origin.
    pub options: ServerOptions,
    /// Names of the services behind it, in the order of [`ServerOptions::behind`].
    pub behind: Vec<String>,
    /// Which of their operations it asks for, in the same order. Numbers are filled in when it is built.
    pub asks_for: Vec<Option<String>>,
    /// Names of its own operations, in the order of [`ServerOptions::operations`].
    pub operations: Vec<String>,
}

impl Service {
    /// The place in the list of services of the one with this name.
    ///
    /// # Panics
    /// If there is none: the check found it.
    pub fn place(services: &[Service], name: &str) -> usize {
        let found = services.iter().position(|service| service.name == name);
        found.expect("the check found the service")
    }

    /// The number by which requests ask for an operation, or for what it does by default; `None` if it has no such one.
    pub fn operation(&self, name: Option<&str>) -> Option<u16> {
        let Some(name) = name else { return Some(0) };
        let place = self.operations.iter().position(|own| own == name)?;
        u16::try_from(place + 1).ok()
    }

    /// The place among the replicas of the server in this region.
    ///
    /// # Panics
    /// If it has none there: the check found it.
    pub fn server_in(&self, region: &str) -> u32 {
        let found = self.replicas.iter().position(|replica| replica == region);
        found.expect("the check found the server") as u32
    }
}

/// Somebody who makes requests to a service.
#[derive(Clone, PartialEq, Debug)]
pub struct Client {
    /// Unique among everything that moves.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// Which service it calls.
    pub service: String,
    /// Which of its operations it asks for, if not for what the service does by default. The number is filled in when it
    /// is built.
    pub operation: Option<String>,
    /// When it begins.
    pub at: Span,
    /// After what time it makes no more requests; those under way are still ended.
    pub duration: Span,
    /// Its connections.
    pub tcp: Tcp,
    /// What it does. Who the service's replicas are is filled in when it is built, and so are its origin and the interval
    /// of its series.
    pub options: ClientOptions,
}
