//! The canonical text of an overlay.

use crate::decode::print_millionths;
use crate::schema::{Overlay, OverlayPath, PathObjective, PathPolicy, PathWeights, Selection, SiteDiscovery};

use super::{quoted, tunnel};

/// One entry of `overlays`.
pub fn overlay(overlay: &Overlay) -> String {
    let Overlay {
        name,
        paths,
        selection,
        probes,
        bfd,
        trains,
        discovery,
        wrong_by,
    } = overlay;
    let paths: Vec<String> = paths.iter().map(path).collect();
    let bfd = bfd.map_or("None".to_owned(), |bfd| {
        format!(
            "(interval: \"{}\", multiplier: {}, slow_start: {})",
            bfd.interval, bfd.multiplier, bfd.slow_start
        )
    });
    let trains = trains.map_or("None".to_owned(), |trains| {
        format!(
            "(packets: {}, burst: \"{}\", length: \"{} B\", interval: \"{}\", share: \"{}\", assumed: \"{}\", timeout: \"{}\")",
            trains.packets, trains.burst, trains.packet_bytes, trains.interval, trains.share, trains.assumed, trains.timeout
        )
    });
    let discovery = discovery.as_ref().map_or(String::new(), discovery_text);
    format!(
        "(name: {}, paths: [{}], selection: {}, probes: (interval: \"{}\", timeout: \"{}\", rtt_samples: {}, \
         loss_samples: {}, age: \"{}\", down_after: {}, up_after: {}), bfd: {bfd}, trains: {trains}{discovery}, \
         wrong_by: {wrong_by})",
        quoted(name),
        paths.join(", "),
        selection_text(selection),
        probes.interval,
        probes.timeout,
        probes.rtt_samples,
        probes.loss_samples,
        probes.age,
        probes.down_after,
        probes.up_after,
    )
}

fn path(path: &OverlayPath) -> String {
    let OverlayPath {
        name,
        ends,
        via,
        tunnel,
        rate,
        microdollars_per_gb,
    } = path;
    let via = via.as_ref().map_or(String::new(), |via| {
        let via: Vec<String> = via.iter().map(|region| quoted(region)).collect();
        format!(", via: [{}]", via.join(", "))
    });
    let tunnel = tunnel.as_ref().map_or("None".to_owned(), tunnel::tunnel);
    let rate = rate.map_or(String::new(), |rate| format!(", rate: \"{rate}\""));
    let price = microdollars_per_gb.map_or(String::new(), |price| {
        let price = i64::try_from(price).expect("at most 1,000 million");
        format!(", price: {}", print_millionths(price))
    });
    format!(
        "(name: {}, between: ({}, {}){via}, tunnel: {tunnel}{rate}{price})",
        quoted(name),
        quoted(&ends.0),
        quoted(&ends.1)
    )
}

fn discovery_text(discovery: &SiteDiscovery) -> String {
    let SiteDiscovery {
        hubs,
        interval,
        timeout,
        skew,
        wrong_keys,
    } = discovery;
    let names = |names: &[String]| {
        names
            .iter()
            .map(|name| quoted(name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!(
        ", discovery: (hubs: [{}], interval: \"{interval}\", timeout: \"{timeout}\", skew: \"{skew}\", wrong_keys: [{}])",
        names(hubs),
        names(wrong_keys)
    )
}

fn selection_text(selection: &Selection) -> String {
    let (policies, hysteresis, review) = match selection {
        Selection::InOrder { hold } => return format!("InOrder(hold: \"{hold}\")"),
        Selection::ByPolicy {
            policies,
            hysteresis,
            review,
        } => (policies, hysteresis, review),
    };
    // Without any the usual ones hold, and the field cannot be written.
    let policies = match &policies[..] {
        [] => String::new(),
        policies => {
            let policies: Vec<String> = policies.iter().map(policy).collect();
            format!("policies: [{}], ", policies.join(", "))
        }
    };
    let hysteresis = hysteresis.map_or("None".to_owned(), |hysteresis| {
        format!(
            "(leave: {}, back: {}, hold: \"{}\", advantage: {})",
            hysteresis.leave, hysteresis.back, hysteresis.hold, hysteresis.advantage
        )
    });
    format!("ByPolicy({policies}hysteresis: {hysteresis}, review: \"{review}\")")
}

fn policy(policy: &PathPolicy) -> String {
    let PathPolicy {
        name,
        priority,
        from,
        to,
        ports,
        class,
        objective,
    } = policy;
    let region = |field: &str, region: &Option<String>| {
        region
            .as_ref()
            .map_or(String::new(), |region| format!(", {field}: {}", quoted(region)))
    };
    let ports = ports.map_or(String::new(), |(first, last)| {
        format!(", ports: ({first}, {last})")
    });
    let class = class.map_or(String::new(), |class| format!(", class: {class:?}"));
    format!(
        "(name: {}, priority: {priority}{}{}{ports}{class}, objective: {})",
        quoted(name),
        region("from", from),
        region("to", to),
        objective_text(*objective)
    )
}

fn objective_text(objective: PathObjective) -> String {
    let weights = match objective {
        PathObjective::LowestLatency => return "LowestLatency".to_owned(),
        PathObjective::HighestBandwidth => return "HighestBandwidth".to_owned(),
        PathObjective::LowestPacketLoss => return "LowestPacketLoss".to_owned(),
        PathObjective::LowestCost => return "LowestCost".to_owned(),
        PathObjective::Weighted(weights) => weights,
    };
    let PathWeights {
        latency,
        jitter,
        loss,
        bandwidth,
        cost,
    } = weights;
    let print = |thousandths: u32| print_millionths(i64::from(thousandths) * 1_000);
    format!(
        "Weighted(latency: {}, jitter: {}, loss: {}, bandwidth: {}, cost: {})",
        print(latency),
        print(jitter),
        print(loss),
        print(bandwidth),
        print(cost)
    )
}
