//! Why the network refuses something.

use longhaul_core::schedule::EntityId;
use longhaul_tcp::ConfigError;
use thiserror::Error;

use crate::link::LinkError;
use crate::routing::{GraphError, RouteError};

/// Why a network cannot be built.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NetworkError {
    /// The regions and links are no graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Two links lead from one region to the same other one.
    #[error("there are two links {0}")]
    ParallelLinks(String),
    /// A link's law or rate is impossible.
    #[error("link {name}: {error}")]
    Link {
        /// The link.
        name: String,
        /// What is wrong with it.
        error: LinkError,
    },
    /// The links do not fit in the numbers of entities.
    #[error("more than {} entities", EntityId::LIMIT)]
    TooManyLinks,
}

/// Why a connection cannot be opened.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum OpenError {
    /// No route leads there, or none back.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Both ends are in one region; what happens inside a region is not modelled.
    #[error("both ends are in region \"{0}\": connections inside a region are not modelled")]
    SameRegion(String),
    /// An option of TCP lies outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The numbers of entities are used up.
    #[error("more than {} entities", EntityId::LIMIT)]
    TooManyConnections,
}

/// Why a write was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WriteError {
    /// The connection is over. Its application may not have polled the notice yet.
    #[error("the connection is closed")]
    Closed,
    /// The side has been shut down.
    #[error("nothing may be written after a shutdown")]
    Shutdown,
}
