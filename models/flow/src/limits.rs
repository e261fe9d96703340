//! What this fidelity does not model, by name: it is refused rather than left out.

use longhaul_net::link::{ETHERNET_MTU, LinkSpec, Queue};
use longhaul_net::loss::Loss;
use longhaul_net::network::NetworkError;
use thiserror::Error;

/// Why a network cannot be simulated at flow fidelity.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FlowError {
    /// It is no network at packet fidelity either.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A link has something that is not modelled.
    #[error("{link}: {} is not modelled at flow fidelity", what.join(", "))]
    NotModelled {
        /// The link's name.
        link: String,
        /// What it has.
        what: Vec<&'static str>,
    },
    /// Connections go one way.
    #[error("routes that share flows are not modelled at flow fidelity")]
    Multipath,
}

/// What a link has that is not modelled; nothing if it can be simulated.
pub fn not_modelled(spec: &LinkSpec) -> Vec<&'static str> {
    let changes = &spec.changes;
    let has = [
        (
            !matches!(spec.queue, Queue::Fifo(_)),
            "a queue discipline other than drop-tail",
        ),
        (matches!(spec.loss, Loss::TwoState { .. }), "loss in two states"),
        (spec.reorder, "reordering"),
        (spec.duplicate.as_parts() > 0, "duplication"),
        (spec.corrupt.as_parts() > 0, "corruption"),
        (changes.steps.is_some(), "a change over time"),
        (changes.delivery.is_some(), "a recorded rate"),
        (spec.background.is_some(), "background traffic"),
        (spec.mtu < ETHERNET_MTU, "an MTU below that of Ethernet"),
    ];
    has.into_iter()
        .filter(|(has, _)| *has)
        .map(|(_, what)| what)
        .collect()
}
