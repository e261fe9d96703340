//! `--set path=value`.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_scenarios::schema::{Loss, Memory, PayloadMode, Queue, QueueLimit, Streams};

use crate::{FULL, read_with};

fn refusal(overrides: &[&str]) -> String {
    read_with(FULL, overrides).expect_err("refused").render(false)
}

#[test]
fn a_value_is_ron_or_bare_text() {
    let loaded = read_with(
        FULL,
        &[
            "horizon=10min",
            "sample_interval = 2 s ",
            "payload=Real",
            "seed=12",
            "name=other-name",
            "links[0].loss=Independent(mean: \"1 %\")",
            "links[1].queue=Packets(77)",
            "vms[0].memory.size=256 MiB",
            "links[0].rate=\"3 Gbit/s\"",
            "vms[1].memory.files=[\"a.img\"]",
        ],
    )
    .unwrap_or_else(|errors| panic!("{errors}"));
    let scenario = loaded.scenario;
    assert_eq!(scenario.horizon, Span::from_s(600));
    assert_eq!(scenario.sample_interval, Span::from_s(2));
    assert_eq!(scenario.payload, PayloadMode::Real);
    assert_eq!(scenario.seed, 12);
    assert_eq!(scenario.name, "other-name");
    assert_eq!(
        scenario.links[0].loss,
        Loss::Independent(Probability::from_ratio(1, 100).unwrap())
    );
    assert_eq!(
        scenario.links[1].rate.constant(),
        Some(BitRate::from_bits_per_s(3_000_000_000))
    );
    assert_eq!(scenario.links[2].queue, Queue::Fifo(QueueLimit::Packets(77)));
    assert!(
        matches!(scenario.vms[0].memory, Memory::Generated { size, .. } if size == ByteSize::from_mib(256))
    );
    assert!(matches!(&scenario.vms[1].memory, Memory::Images { files, .. } if *files == ["a.img"]));
}

#[test]
fn items_are_found_by_index_and_by_name() {
    let by_name = read_with(
        FULL,
        &[
            "vms[vm-a].memory.size=1 GiB",
            "links[south->alpine].delay=8 ms",
            "links[north<->south].rtt=50 ms",
        ],
    );
    let by_index = read_with(
        FULL,
        &[
            "vms[0].memory.size=1 GiB",
            "links[1].delay=8 ms",
            "links[0].rtt=50 ms",
        ],
    );
    assert_eq!(by_name.unwrap().canonical, by_index.unwrap().canonical);
}

#[test]
fn a_field_that_the_file_leaves_out_can_be_set() {
    let scenario = read_with(
        FULL,
        &[
            "migrations[move-b].transport.tcp.send_buffer=9 MiB",
            "vms[2].memory.dirty.rate=5 pages/s",
        ],
    );
    let scenario = scenario.unwrap().scenario;
    assert_eq!(
        scenario.migrations[1].transport.tcp.send_buffer,
        ByteSize::from_mib(9)
    );
    // What is next to it still comes from the settings for all migrations.
    assert_eq!(scenario.migrations[1].transport.streams, Streams::Fixed(20));
    assert!(matches!(scenario.vms[2].memory, Memory::Generated { dirty, .. } if dirty.pages_per_s == 5));
}

#[test]
fn the_last_of_several_overrides_wins() {
    assert_eq!(read_with(FULL, &["seed=1", "seed=2"]).unwrap().scenario.seed, 2);
}

#[test]
fn mistakes_in_overrides_point_into_them() {
    pinned!(refusal(&[
        "horizn=10 s",
        "links[7].rate=1 Gbit/s",
        "vms[vm-z].region=north",
        "links[0].rate=10 Gbit",
        "seed.x=1",
        "seed",
        "a..b=1",
        "expect=",
        "links[1].loss=Independent(mean: 1",
    ]));
}
