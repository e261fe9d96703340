//! Demands and how they are spread, in canonical form.

use crate::schema::{Demand, Engineering, Method};

use super::quoted;

pub(super) fn demand(demand: &Demand) -> String {
    let Demand { from, to, rate } = demand;
    format!("(from: {}, to: {}, rate: \"{rate}\")", quoted(from), quoted(to))
}

pub(super) fn engineering(engineering: &Engineering) -> String {
    let Engineering { method, reaction } = engineering;
    match method {
        Method::Routed => "(method: Routed)".to_owned(),
        Method::LeastUtilisation => format!("(method: LeastUtilisation, reaction: \"{reaction}\")"),
        Method::Survive { failures, paths } => {
            format!("(method: Survive(failures: {failures}, paths: {paths}), reaction: \"{reaction}\")")
        }
    }
}
