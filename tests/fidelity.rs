//! Packet and flow fidelity: which one is chosen and why, what flow fidelity refuses, and that both give the same
//! answer where the answer is known.

use longhaul_core::record::{Fidelity, RunRecord};
use longhaul_scenarios::load;
use longhaul_scenarios::source::Source;

use crate::common::run_text;

/// One bulk transfer; `more` goes into the link.
fn bulk(fidelity: &str, size: &str, controller: &str, more: &str) -> String {
    format!(
        r#"Scenario(
            version: 1, name: "f", question: "How long?", expect: "Not long.", horizon: "10 h", sample_interval: "1 h",
            fidelity: {fidelity},
            regions: [(name: "a"), (name: "b")],
            links: [(between: ("a", "b"), rtt: "40 ms", rate: "100 Mbit/s"{more})],
            transfers: [(name: "t", from: "a", to: "b", size: "{size}", tcp: (controller: {controller}))],
        )"#
    )
}

fn record(text: &str) -> RunRecord {
    run_text(text).record
}

fn refusal(text: &str) -> String {
    let source = Source {
        name: "f.ron".to_owned(),
        text: text.to_owned(),
        base_dir: std::path::PathBuf::new(),
    };
    load(&source, &[], None).expect_err("a refusal").to_string()
}

#[test]
fn auto_prefers_packets_while_they_are_few_and_says_so() {
    let few = record(&bulk("Auto", "1 MB", "Cubic", ""));
    assert_eq!(few.fidelity, Fidelity::Packet);
    assert!(few.fidelity_reason.expect("a reason").contains("not more than"));

    let many = record(&bulk("Auto", "100 GB", "Cubic", ""));
    assert_eq!(many.fidelity, Fidelity::Flow);
    assert!(
        many.fidelity_reason
            .expect("a reason")
            .contains("million packets")
    );

    let active = record(&bulk("Auto", "1 MB", "Cubic", ", queue: CoDel()"));
    assert_eq!(active.fidelity, Fidelity::Packet);
    assert!(
        active
            .fidelity_reason
            .expect("a reason")
            .contains("queue discipline")
    );

    assert_eq!(record(&bulk("Flow", "1 MB", "Cubic", "")).fidelity_reason, None);
}

#[test]
fn flow_fidelity_refuses_by_name_what_it_does_not_model() {
    for (more, named) in [
        (
            ", queue: FqCoDel()",
            "a queue discipline other than drop-tail on a->b",
        ),
        (", corrupt: \"1 %\"", "corruption on b->a"),
        (", duplicate: \"1 %\"", "duplication"),
        (", jitter: Uniform(max: \"1 ms\"), reorder: true", "reordering"),
        (
            ", changes: [(at: \"1 s\", rate: \"1 Mbit/s\")]",
            "a change over time",
        ),
        (", background: Poisson(rate: \"1 Mbit/s\")", "background traffic"),
        (
            ", loss: TwoState(mean: \"1 %\", stay: 3, bad: \"50 %\", good: \"0 %\")",
            "loss in two states",
        ),
    ] {
        let message = refusal(&bulk("Flow", "1 MB", "Cubic", more));
        assert!(message.contains(named), "{more}: {message}");
        assert!(message.contains("f.ron:3:"), "no place: {message}");
    }
}

#[test]
fn both_fidelities_agree_on_a_transfer_that_fills_a_link() {
    for controller in ["Reno", "Cubic", "Bbr"] {
        let time = |fidelity| {
            let record = record(&bulk(fidelity, "50 MB", controller, ""));
            record.transfers[0].completion_ns.expect("a completed transfer") as f64 / 1e9
        };
        let (packet, flow) = (time("Packet"), time("Flow"));
        // 50 MB with headers at 100 Mbit/s, the least that it can take.
        let least = 50e6 * (1514.0 / 1448.0) * 8.0 / 100e6;
        assert!(
            packet > least && flow > least,
            "{controller}: {packet} and {flow} s"
        );
        assert!(
            (flow / packet - 1.0).abs() < 0.05,
            "{controller}: {packet} and {flow} s"
        );
    }
}

#[test]
fn what_a_flow_has_delivered_by_the_horizon_is_reported() {
    let text = bulk("Flow", "1 TB", "Cubic", "")
        .replace("10 h", "1 min")
        .replace("1 h", "10 s");
    let record = record(&text);
    let transfer = &record.transfers[0];
    assert_eq!(transfer.completion_ns, None);
    // A minute at 100 Mbit/s less slow start and headers.
    assert!(
        (650_000_000..720_000_000).contains(&transfer.received),
        "{}",
        transfer.received
    );
    let utilisation = record.links[0].busy_ns as f64 / record.links[0].active_ns as f64;
    assert!((0.95..=1.0).contains(&utilisation), "{utilisation}");
}
