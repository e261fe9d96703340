//! The canonical text of a link and its laws.

use longhaul_core::units::ByteSize;

use crate::decode::print_millionths;
use crate::schema::{
    Arrivals, Background, HtbClass, Jitter, Link, Loss, Objective, Queue, QueueLimit, Rate, RouteControl,
    RoutingPolicy, Spread, Step,
};

use super::quoted;

/// A link.
pub fn link(link: &Link) -> String {
    let Link {
        from,
        to,
        rate,
        delay,
        cost,
        mtu,
        queue,
        loss,
        jitter,
        reorder,
        duplicate,
        corrupt,
        changes,
        period,
        background,
    } = link;
    let rate = match rate {
        Rate::Constant(rate) => format!("\"{rate}\""),
        Rate::Deliveries { file } => format!("Deliveries(file: {})", quoted(file)),
        Rate::Poisson(mean) => format!("Poisson(mean: \"{mean}\")"),
        Rate::Recorded { file } => format!("Recorded(file: {})", quoted(file)),
    };
    let changes: Vec<String> = changes.iter().map(change).collect();
    let period = period.map_or(String::new(), |period| format!(", period: \"{period}\""));
    let background = background.as_ref().map_or("None".to_owned(), other_traffic);
    format!(
        "(from: {}, to: {}, rate: {rate}, delay: \"{delay}\", cost: {cost}, mtu: \"{mtu} B\", queue: {}, loss: {}, jitter: {}, reorder: {reorder}, \
         duplicate: \"{duplicate}\", corrupt: \"{corrupt}\", changes: [{}]{period}, background: {background})",
        quoted(from),
        quoted(to),
        queue_text(queue),
        loss_text(loss),
        jitter_text(jitter),
        changes.join(", "),
    )
}

/// The block `route_control`; when the table looks without news, and how much it remembers, is not the scenario's choice.
pub fn route_control(control: &RouteControl) -> String {
    let RouteControl {
        margin,
        hold_down,
        wait_to_restore,
        overlap,
        period: _,
        history: _,
    } = control;
    format!(
        "(margin: \"{margin}\", hold_down: \"{hold_down}\", wait_to_restore: \"{wait_to_restore}\", overlap: \"{overlap}\")"
    )
}

/// How routes are chosen. Where a controller installs them there is one for each pair, and nothing to share.
pub fn routing(policy: &RoutingPolicy, controlled: bool) -> String {
    let RoutingPolicy { objective, multipath } = policy;
    let objective = match objective {
        Objective::Latency => "LowestLatency".to_owned(),
        Objective::Cost => "LowestCost".to_owned(),
        Objective::Widest => "Widest".to_owned(),
        Objective::Balanced(weights) => {
            let print = |millionths: u32| print_millionths(i64::from(millionths));
            format!(
                "Balanced(latency_per_ms: {}, cost: {}, loss_per_percent: {})",
                print(weights.latency_per_ms),
                print(weights.cost),
                print(weights.loss_per_percent)
            )
        }
    };
    if controlled {
        return format!("(objective: {objective})");
    }
    format!("(objective: {objective}, multipath: {multipath})")
}

fn queue_text(queue: &Queue) -> String {
    match queue {
        Queue::Fifo(limit) => limit_text(limit),
        Queue::CoDel(codel) => format!(
            "CoDel(limit: {}, target: \"{}\", interval: \"{}\", ecn: {})",
            codel.limit_packets, codel.target, codel.interval, codel.ecn
        ),
        Queue::FqCoDel(fq) => format!(
            "FqCoDel(flows: {}, quantum: \"{} B\", limit: {}, memory_limit: \"{}\", target: \"{}\", \
             interval: \"{}\", ecn: {})",
            fq.flows, fq.quantum, fq.limit_packets, fq.memory_limit, fq.target, fq.interval, fq.ecn
        ),
        Queue::Htb(htb) => {
            let classes: Vec<String> = htb.classes.iter().map(class).collect();
            format!(
                "Htb(rate: \"{}\", burst: \"{}\", default_class: {}, classes: [{}])",
                htb.rate,
                htb.burst,
                htb.default_class,
                classes.join(", ")
            )
        }
    }
}

fn class(class: &HtbClass) -> String {
    format!(
        "(class: {}, rate: \"{}\", ceil: \"{}\", burst: \"{}\", cburst: \"{}\", priority: {}, \
         quantum: \"{} B\", limit: {})",
        class.class,
        class.rate,
        class.ceil,
        class.burst,
        class.cburst,
        class.priority,
        class.quantum,
        limit_text(&class.limit)
    )
}

fn limit_text(limit: &QueueLimit) -> String {
    match limit {
        QueueLimit::Packets(packets) => format!("Packets({packets})"),
        QueueLimit::Bytes(bytes) => format!("Bytes(\"{}\")", ByteSize::from_bytes(*bytes)),
        QueueLimit::Inside(packets) => format!("Inside({packets})"),
    }
}

fn loss_text(loss: &Loss) -> String {
    match loss {
        Loss::None => "None".to_owned(),
        Loss::Independent(mean) => format!("Independent(mean: \"{mean}\")"),
        Loss::GilbertElliott { mean, burst_packets } => {
            format!("GilbertElliott(mean: \"{mean}\", burst: {burst_packets})")
        }
        Loss::TwoState {
            mean,
            stay_packets,
            bad,
            good,
        } => format!("TwoState(mean: \"{mean}\", stay: {stay_packets}, bad: \"{bad}\", good: \"{good}\")"),
    }
}

fn jitter_text(jitter: &Jitter) -> String {
    let spread = |spread: &Spread| format!("mean: \"{}\", sd: \"{}\"", spread.mean, spread.sd);
    match jitter {
        Jitter::None => "None".to_owned(),
        Jitter::Normal(of) => format!("Normal({})", spread(of)),
        Jitter::Uniform { max } => format!("Uniform(max: \"{max}\")"),
        Jitter::Pareto(of) => format!("Pareto({})", spread(of)),
        Jitter::ParetoNormal(of) => format!("ParetoNormal({})", spread(of)),
        Jitter::Table { spread: of, file } => format!("Table({}, file: {})", spread(of), quoted(file)),
        Jitter::Measured { file } => format!("Measured(file: {})", quoted(file)),
    }
}

fn change(step: &Step) -> String {
    let mut text = format!("(at: \"{}\"", step.at);
    if let Some(rate) = step.rate {
        text += &format!(", rate: \"{rate}\"");
    }
    if let Some(delay) = step.delay {
        text += &format!(", delay: \"{delay}\"");
    }
    if let Some(loss) = &step.loss {
        text += &format!(", loss: {}", loss_text(loss));
    }
    if let Some(mtu) = step.mtu {
        text += &format!(", mtu: \"{mtu} B\"");
    }
    text + ")"
}

fn other_traffic(background: &Background) -> String {
    let (name, more) = match background.arrivals {
        Arrivals::Constant => ("Constant", String::new()),
        Arrivals::Poisson => ("Poisson", String::new()),
        Arrivals::OnOff {
            mean_on,
            mean_off,
            shape_thousandths,
        } => {
            let shape = print_millionths(i64::from(shape_thousandths) * 1_000);
            let more = format!(", mean_on: \"{mean_on}\", mean_off: \"{mean_off}\", shape: {shape}");
            ("OnOff", more)
        }
    };
    format!(
        "{name}(rate: \"{}\", frame: \"{} B\", class: {}{more})",
        background.rate, background.frame_bytes, background.class
    )
}
