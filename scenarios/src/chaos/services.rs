//! What servers, clients and disks suffer, as orders at given times.

use std::collections::BTreeSet;

use longhaul_chaos::{Effective, Overlay, Schedule};
use longhaul_core::disk::DiskCondition;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_service::{Gray, ServerCommand, TimeLaw};

use super::{Target, down, targets};
use crate::schema::{Effect, Scenario, Suffering, WrongAnswer};

/// Something that a server, a client, or what writes to a disk is told.
#[derive(Clone, PartialEq, Debug)]
pub struct OrderAt {
    /// When.
    pub at: Span,
    /// Whom: a server, a client, a cluster or a replica.
    pub target: Target,
    /// What.
    pub order: ChaosOrder,
}

/// What it is told.
#[derive(Clone, PartialEq, Debug)]
pub enum ChaosOrder {
    /// A server.
    Server(ServerCommand),
    /// A client: what answers its lookups, the right answer if none is given.
    Names(Option<WrongAnswer>),
    /// A cluster or a replica: how well its disk does.
    Disk(DiskCondition),
}

/// All orders of a run, in the order of time.
pub(super) fn orders(
    scenario: &Scenario,
    strikes: &Schedule<usize>,
    overlay: &Overlay<Target>,
) -> Vec<OrderAt> {
    let mut orders = Vec::new();
    for target in overlay.targets() {
        match target {
            Target::Server(..) => suffering(overlay, target, &mut orders),
            Target::Cluster(..) | Target::Replica(_) => super::disks::orders(overlay, target, &mut orders),
            Target::Client(_) | Target::Link(_) | Target::Region(_) => {}
        }
    }
    leaks(scenario, strikes, &mut orders);
    names(scenario, strikes, &mut orders);
    orders.sort_by_key(|order| (order.at, order.target));
    orders
}

/// The orders of faults that all end at a time: whoever was told anything is then as well as ever.
pub(super) fn orders_until(mut orders: Vec<OrderAt>, end: Span) -> Vec<OrderAt> {
    orders.retain(|order| order.at < end);
    let told: BTreeSet<Target> = orders.iter().map(|order| order.target).collect();
    orders.extend(told.into_iter().map(|target| OrderAt {
        at: end,
        target,
        order: match target {
            Target::Client(_) => ChaosOrder::Names(None),
            Target::Cluster(..) | Target::Replica(_) => ChaosOrder::Disk(DiskCondition::default()),
            Target::Server(..) => ChaosOrder::Server(ServerCommand::Resume),
            Target::Link(_) | Target::Region(_) => unreachable!("an order for a machine"),
        },
    }));
    orders
}

/// What is felt at a server, whenever that changes.
fn suffering(overlay: &Overlay<Target>, target: Target, orders: &mut Vec<OrderAt>) {
    let mut order = |at, command| {
        orders.push(OrderAt {
            at,
            target,
            order: ChaosOrder::Server(command),
        });
    };
    for (at, duration) in down(overlay, &target) {
        order(
            at,
            ServerCommand::Crash {
                restart_after: duration,
            },
        );
    }
    let mut before = Effective::default();
    for at in overlay.changes(&target) {
        let now = overlay.effective(&target, at, BitRate::from_bits_per_s(0));
        if now.cpu != before.cpu {
            order(at, ServerCommand::Cpu(rest(now.cpu)));
        }
        if now.errors != before.errors {
            order(at, ServerCommand::ErrorRate(now.errors));
        }
        if now.latency != before.latency {
            order(at, ServerCommand::Delay(constant(now.latency)));
        }
        if now.panics != before.panics {
            order(at, ServerCommand::Panic(now.panics));
        }
        if now.memory != before.memory {
            order(at, ServerCommand::Memory(now.memory));
        }
        let gray = |it: &Effective| (it.gray, it.gray_extra, it.timeouts);
        if gray(&now) != gray(&before) {
            let none = (Probability::ZERO, Span::ZERO, Probability::ZERO);
            let failure = Gray {
                errors: now.gray,
                silent: now.timeouts,
                delay: constant(now.gray_extra),
            };
            order(at, ServerCommand::Gray((gray(&now) != none).then_some(failure)));
        }
        before = now;
    }
}

/// What is left of all.
fn rest(share: Probability) -> Probability {
    Probability::from_parts(Probability::PARTS - share.as_parts()).expect("at most all")
}

fn constant(span: Span) -> Option<TimeLaw> {
    (span > Span::ZERO).then_some(TimeLaw::Constant(span))
}

/// The times at which faults of one kind begin and end at a target, and which of them hold from then on.
fn stretches<T: Clone>(
    scenario: &Scenario,
    strikes: &Schedule<usize>,
    of: impl Fn(&Effect) -> Option<T>,
) -> Vec<(Target, Span, Vec<T>)> {
    let mut found: Vec<(Target, Span, Option<Span>, T)> = Vec::new();
    for injection in strikes.injections() {
        let fault = scenario.faults[injection.target].network();
        let effect = &fault.expect("a fault that strikes").effect;
        if let Some(what) = of(effect) {
            let target = targets(scenario, effect)[0];
            found.push((target, injection.from, injection.gone(), what));
        }
    }
    let begins = found.iter().map(|(target, from, _, _)| (*target, *from));
    let ends = found
        .iter()
        .filter_map(|(target, _, gone, _)| Some((*target, (*gone)?)));
    let times: BTreeSet<(Target, Span)> = begins.chain(ends).collect();
    let holding = |(target, at): (Target, Span)| {
        let holds = found.iter().filter(|(other, from, gone, _)| {
            *other == target && *from <= at && gone.is_none_or(|gone| at < gone)
        });
        (target, at, holds.map(|(_, _, _, what)| what.clone()).collect())
    };
    times.into_iter().map(holding).collect()
}

/// Leaks: the largest is felt.
fn leaks(scenario: &Scenario, strikes: &Schedule<usize>, orders: &mut Vec<OrderAt>) {
    let leak = |effect: &Effect| match effect {
        Effect::Server {
            suffers: Suffering::Leak(bytes),
            ..
        } => Some(*bytes),
        _ => None,
    };
    for (target, at, leaks) in stretches(scenario, strikes, leak) {
        let largest = leaks.into_iter().max().unwrap_or(ByteSize::from_bytes(0));
        orders.push(OrderAt {
            at,
            target,
            order: ChaosOrder::Server(ServerCommand::Leak(largest)),
        });
    }
}

/// Wrong answers: of several the one that began last.
fn names(scenario: &Scenario, strikes: &Schedule<usize>, orders: &mut Vec<OrderAt>) {
    let wrong = |effect: &Effect| match effect {
        Effect::Names { answer, .. } => Some(answer.clone()),
        _ => None,
    };
    for (target, at, answers) in stretches(scenario, strikes, wrong) {
        orders.push(OrderAt {
            at,
            target,
            order: ChaosOrder::Names(answers.last().cloned()),
        });
    }
}
