//! What users read about what is allowed and doubtful.

use crate::messages::{BASE, messages};
use crate::read;

#[test]
fn doubts() {
    let link = "rate: \"1 Gbit/s\"";
    let dirty = "size: \"64 MiB\", dirty: (rate: \"100 pages/s\")";
    pinned!(messages(
        &[
            (link, "rate: \"1 Gbit/s\", queue: Bytes(\"1 MB\")"),
            (link, "rate: \"1 Gbit/s\", jitter: Uniform(max: \"50 ms\")"),
            (
                link,
                "rate: \"1 Gbit/s\", loss: GilbertElliott(mean: \"0 %\", burst: 3)"
            ),
            (link, "rate: \"100 kbit/s\""),
            ("regions: [", "regions: [(name: \"west\"),"),
            (
                dirty,
                "size: \"64 MiB\", dirty: (rate: \"0 pages/s\", working_set: \"5 %\")"
            ),
            (
                "vms: [",
                "vms: [(name: \"idle\", region: \"north\", memory: Images(files: [\"a.img\"], interval: \"1 s\")),"
            ),
            ("vms: [", "transport: (streams: 1), vms: ["),
            (
                "to: \"south\"),",
                "to: \"south\", transport: (window: \"1 MiB\")),"
            ),
            (
                "to: \"south\"),",
                "to: \"south\", transport: (tcp: (controller: Reno, hystart: true))),"
            ),
            ("statistic: Max", "statistic: P95"),
        ],
        true
    ));
}

#[test]
fn doubts_about_what_several_settings_do_together() {
    let changed = |changes: &[(&str, &str)]| {
        let text = changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        read(&text)
            .unwrap_or_else(|errors| panic!("{errors}"))
            .warnings
            .render(false)
    };
    let unused_link = changed(&[
        ("regions: [", "regions: [(name: \"west\"),"),
        (
            "links: [",
            "links: [(between: (\"north\", \"west\"), rtt: \"10 ms\", rate: \"1 Gbit/s\"),",
        ),
    ]);
    let diverges = changed(&[
        ("rate: \"100 pages/s\"", "rate: \"40000 pages/s\""),
        ("to: \"south\"),", "to: \"south\", encoding: Raw),"),
    ]);
    let idle_default = changed(&[
        ("vms: [", "transport: (streams: 32), vms: ["),
        ("to: \"south\"),", "to: \"south\", transport: (streams: 8)),"),
        (
            "to: \"south\", start",
            "to: \"south\", transport: (streams: 8), start",
        ),
    ]);
    let starved_transfer = changed(&[(
        "assertions: [",
        "transfers: [(name: \"t\", from: \"north\", to: \"south\", size: \"100 GB\")], assertions: [",
    )]);
    let links = [
        ("regions: [", "regions: [(name: \"west\"), (name: \"off\"),"),
        (
            "links: [",
            "links: [(between: (\"north\", \"west\"), rtt: \"50 ms\", rate: \"1 Gbit/s\"), \
             (between: (\"west\", \"south\"), rtt: \"50 ms\", rate: \"1 Gbit/s\"), \
             (between: (\"west\", \"off\"), rtt: \"5 ms\", rate: \"1 Gbit/s\"),",
        ),
    ];
    let fails =
        |ends: &str| format!("faults: [LinkDown(between: {ends}, at: \"1 s\", for: \"1 s\")], assertions: [");
    let detour = fails("(\"north\", \"south\")");
    let detour = changed(&[&links[..], &[("assertions: [", detour.as_str())]].concat());
    assert!(
        !detour.contains("`north` to `west`"),
        "a link that carries a detour: {detour}"
    );
    let unmissed = fails("(\"west\", \"off\")");
    let unmissed = changed(&[&links[..], &[("assertions: [", unmissed.as_str())]].concat());
    pinned!(
        [
            unused_link,
            diverges,
            idle_default,
            starved_transfer,
            detour,
            unmissed
        ]
        .join("\n========\n")
    );
}
