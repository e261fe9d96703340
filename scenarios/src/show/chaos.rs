//! The canonical text of faults of the network.

use longhaul_core::time::Span;

use crate::decode::print_millionths;
use crate::schema::{
    DiskPlace, DiskSuffering, Effect, Ends, Fault, Gradual, Law, NetworkFault, RecoverFault, Recovery,
    Suffering, Timing, WrongAnswer, WrongClock,
};

use super::quoted;

/// A file of faults, to be put in the place of a scenario's own.
pub fn faults_file(faults: &[Fault]) -> String {
    let mut text = "// The faults of a run as they were drawn. In the place of the scenario's `faults` they give the same run.\n[\n"
        .to_owned();
    for fault in faults {
        text += &format!("    {},\n", super::fault(fault));
    }
    text + "]\n"
}

/// A fault of the network.
pub fn network_fault(fault: &NetworkFault) -> String {
    let NetworkFault {
        name,
        effect,
        timing,
        recovery,
    } = fault;
    let (kind, what) = match effect {
        Effect::Partition { one, other, one_way } => {
            let groups = format!("between: ({}, {}), one_way: {one_way}", group(one), group(other));
            ("Partition", groups)
        }
        Effect::LinkLatency { ends, extra } => ("LinkLatency", format!("{}, extra: \"{extra}\"", link(ends))),
        Effect::LinkLoss { ends, probability } => (
            "LinkLoss",
            format!("{}, probability: \"{probability}\"", link(ends)),
        ),
        Effect::LinkBandwidth { ends, rate } => {
            ("LinkBandwidth", format!("{}, rate: \"{rate}\"", link(ends)))
        }
        Effect::RegionDown { region } => ("RegionDown", format!("region: {}", quoted(region))),
        Effect::Server {
            service,
            region,
            suffers,
        } => {
            let (service, region) = (quoted(service), quoted(region));
            let text = format!(
                "service: {service}, region: {region}, suffers: {}",
                suffering(*suffers)
            );
            ("Server", text)
        }
        Effect::Names { client, answer } => {
            let answer = match answer {
                WrongAnswer::BlackHole => "BlackHole".to_owned(),
                WrongAnswer::Failed => "Failed".to_owned(),
                WrongAnswer::Stale(region) => format!("Stale({})", quoted(region)),
            };
            ("Names", format!("client: {}, answer: {answer}", quoted(client)))
        }
        Effect::Disk { disk, suffers } => {
            let disk = match disk {
                DiskPlace::Cluster { federation, member } => self::member(federation, member),
                DiskPlace::Replica { replication } => format!("replication: {}", quoted(replication)),
            };
            let suffers = match suffers {
                DiskSuffering::Slow(times) => {
                    format!("Slow(times: {})", print_millionths(i64::from(times.0) * 1_000))
                }
                DiskSuffering::Full => "Full".to_owned(),
                DiskSuffering::Failed => "Failed".to_owned(),
            };
            ("Disk", format!("{disk}, suffers: {suffers}"))
        }
        Effect::Clock {
            federation,
            member,
            wrong,
        } => {
            let wrong = match wrong {
                WrongClock::Ahead(by) => format!("ahead: \"{by}\""),
                WrongClock::Behind(by) => format!("behind: \"{by}\""),
                WrongClock::Drift { ppb } => format!("drift_ppm: {}", print_millionths(ppb * 1_000)),
            };
            ("Clock", format!("{}, {wrong}", self::member(federation, member)))
        }
        Effect::SharedRisk { links } => {
            let pair = |(one, other): &(String, String)| format!("({}, {})", quoted(one), quoted(other));
            let pairs: Vec<String> = links.iter().map(pair).collect();
            ("SharedRisk", format!("links: [{}]", pairs.join(", ")))
        }
    };
    let recovery = match recovery {
        // The language knows no other way back of what does not start again.
        Recovery::Automatic | Recovery::Immediate => "Automatic".to_owned(),
        Recovery::Manual => "Manual".to_owned(),
        Recovery::Gradual(Gradual { steps, step }) => format!("Gradual(steps: {steps}, step: \"{step}\")"),
    };
    format!(
        "{kind}(name: {}, {what}, {}, recovery: {recovery})",
        quoted(name),
        when(timing)
    )
}

fn suffering(suffers: Suffering) -> String {
    match suffers {
        Suffering::Cpu(share) => format!("Cpu(\"{share}\")"),
        Suffering::Errors(share) => format!("Errors(\"{share}\")"),
        Suffering::Latency(extra) => format!("Latency(\"{extra}\")"),
        Suffering::Crash => "Crash".to_owned(),
        Suffering::Panics(share) => format!("Panics(\"{share}\")"),
        Suffering::Gray { errors, extra } => format!("Gray(errors: \"{errors}\", extra: \"{extra}\")"),
        Suffering::Silence(share) => format!("Silence(\"{share}\")"),
        Suffering::Leak(bytes) => format!("Leak(\"{bytes}\")"),
        Suffering::Memory(share) => format!("Memory(\"{share}\")"),
    }
}

fn member(federation: &str, member: &str) -> String {
    format!("federation: {}, member: {}", quoted(federation), quoted(member))
}

/// A recovery by hand.
pub fn recover(recover: &RecoverFault) -> String {
    format!(
        "Recover(fault: {}, at: \"{}\")",
        quoted(&recover.fault),
        recover.at
    )
}

fn group(regions: &[String]) -> String {
    let names: Vec<String> = regions.iter().map(|region| quoted(region)).collect();
    format!("[{}]", names.join(", "))
}

fn link(ends: &Ends) -> String {
    let (from, to) = (quoted(&ends.from), quoted(&ends.to));
    if ends.both {
        format!("between: ({from}, {to})")
    } else {
        format!("from: {from}, to: {to}")
    }
}

fn when(timing: &Timing) -> String {
    let process = match timing {
        Timing::Scripted { at, duration } => {
            let lasting = |duration: Span| format!(", for: \"{duration}\"");
            return format!("at: \"{at}\"{}", duration.map_or(String::new(), lasting));
        }
        Timing::Probabilistic {
            every,
            probability,
            duration,
        } => {
            let lasts = duration
                .as_ref()
                .map_or(String::new(), |law| format!(", lasts: {}", law_text(law)));
            format!("Chance(every: \"{every}\", probability: \"{probability}\"{lasts})")
        }
        Timing::Alternating { between, repair } => {
            format!(
                "Alternating(up: {}, down: {})",
                law_text(between),
                law_text(repair)
            )
        }
        Timing::Poisson {
            mean_between,
            duration,
        } => {
            format!(
                "Poisson(every: \"{mean_between}\", lasts: {})",
                law_text(duration)
            )
        }
        Timing::Bursts {
            mean_between,
            more,
            gap,
            duration,
        } => format!(
            "Bursts(every: \"{mean_between}\", more: \"{more}\", gap: {}, lasts: {})",
            law_text(gap),
            law_text(duration)
        ),
    };
    format!("process: {process}")
}

fn law_text(law: &Law) -> String {
    let print = |thousandths: u32| print_millionths(i64::from(thousandths) * 1_000);
    match *law {
        Law::Constant(span) => format!("Constant(\"{span}\")"),
        Law::Exponential { mean } => format!("Exponential(\"{mean}\")"),
        Law::Weibull { mean, shape } => format!("Weibull(mean: \"{mean}\", shape: {})", print(shape)),
        Law::LogNormal { mean, sigma } => format!("LogNormal(mean: \"{mean}\", sigma: {})", print(sigma)),
    }
}
