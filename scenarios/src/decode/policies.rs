//! Stacks of policies: layers in order, or those of a named operation.

use longhaul_resilience::config::LAYERS_MAX;
use longhaul_resilience::named::{ORIGINAL_ORDER, Operation};
use longhaul_resilience::{ConfigError, FieldError, LayerConfig, Policy, StackConfig};

use crate::diagnose::Diagnostic;
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, list, no_content, variant};
use super::layers::layer;

/// The policies that calls go through.
pub fn stack(cx: &mut Context, at: &At) -> Option<StackConfig> {
    match &at.node.kind {
        Kind::Word(_) | Kind::Tuple(Some(_), _) | Kind::Struct(Some(_), _) => named(cx, at),
        _ => listed(cx, at),
    }
}

/// The policies that let requests in.
pub fn admission(cx: &mut Context, at: &At) -> Option<StackConfig> {
    let stack = listed(cx, at)?;
    let mut good = true;
    for (layer, item) in stack.layers.iter().zip(at.node.items().iter().enumerate()) {
        let policy = layer.policy();
        if matches!(
            policy,
            Policy::Retry | Policy::Hedge | Policy::Timeout | Policy::Bulkhead
        ) {
            let message = format!("a {policy} is for callers, and lets no request in");
            cx.refuse::<()>(&at.item(item.0, item.1), message);
            good = false;
        }
    }
    good.then_some(stack)
}

fn listed(cx: &mut Context, at: &At) -> Option<StackConfig> {
    let (read, complete) = list(cx, at, LAYERS_MAX, |cx, at| Some((at.clone(), layer(cx, at)?)));
    let (places, layers): (Vec<At>, Vec<LayerConfig>) = read.into_iter().map(|(_, read)| read).unzip();
    if !complete {
        // What the others refuse by themselves is a mistake all the same.
        for (place, layer) in places.iter().zip(&layers) {
            for error in layer.check().err().into_iter().flatten() {
                refuse_field(cx, place, &error);
            }
        }
        return None;
    }
    let stack = StackConfig { layers };
    let errors = match stack.check() {
        Ok(()) => return Some(stack),
        Err(errors) => errors,
    };
    for error in errors {
        match error {
            ConfigError::Field { layer, error, .. } => refuse_field(cx, &places[layer], &error),
            other => {
                cx.refuse::<()>(at, other.to_string());
            }
        }
    }
    None
}

/// Refuses a field of what is written at `at`.
pub fn refuse_field(cx: &mut Context, at: &At, error: &FieldError) {
    let (mut node, mut path) = (Some(at.node), at.path.clone());
    let mut innermost = at.node;
    for name in error.field.split('.') {
        // `Timeout("1 s")` has one value without a name.
        if let Some(Kind::Tuple(_, items)) = node.map(|node| &node.kind) {
            innermost = items.first().unwrap_or(innermost);
            break;
        }
        path.push('.');
        path.push_str(name);
        node = node.and_then(|node| node.field(name));
        innermost = node.unwrap_or(innermost);
    }
    let error = Diagnostic::error(innermost.head(), path, error.problem.to_string());
    cx.sink.push(error);
}

fn named(cx: &mut Context, at: &At) -> Option<StackConfig> {
    let variants = ["Send", "Receive", "Sync", "Consensus"].map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a list of policies or an operation", &variants)?;
    let operation = match name {
        "Send" => Operation::Send,
        "Receive" => Operation::Receive,
        "Sync" => Operation::Sync,
        _ => Operation::Consensus,
    };
    if matches!(at.node.kind, Kind::Word(_)) {
        return Some(operation.stack());
    }
    let fields = Fields::of(cx, at, "an operation", Some(name), &["order"])?;
    let order = fields.optional(cx, "order", ORIGINAL_ORDER.to_vec(), order)?;
    let stack = operation.stack_in(&order);
    match stack.check() {
        Ok(()) => Some(stack),
        Err(errors) => {
            let place = fields.get("order").unwrap_or_else(|| at.clone());
            for error in errors {
                cx.refuse::<()>(&place, error.to_string());
            }
            None
        }
    }
}

fn order(cx: &mut Context, at: &At) -> Option<Vec<Policy>> {
    let (policies, complete) = list(cx, at, LAYERS_MAX, kind);
    complete.then(|| policies.into_iter().map(|(_, policy)| policy).collect())
}

fn kind(cx: &mut Context, at: &At) -> Option<Policy> {
    let kinds = [
        ("Rate", Policy::Rate),
        ("Shed", Policy::Shed),
        ("Bulkhead", Policy::Bulkhead),
        ("Breaker", Policy::Breaker),
        ("Retry", Policy::Retry),
        ("Timeout", Policy::Timeout),
        ("Hedge", Policy::Hedge),
        ("Degradation", Policy::Degradation),
        ("ErrorBudget", Policy::ErrorBudget),
        ("LatencyBudget", Policy::LatencyBudget),
    ];
    let variants = kinds.map(|(name, _)| Variant { name, form: name });
    let name = variant(cx, at, "a kind of policy", &variants)?;
    no_content(cx, at)?;
    let found = kinds.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, policy)| policy)
}
