//! Reading tables: what is understood, what is refused, and where the message points.

use longhaul_core::record::Fidelity;
use longhaul_core::time::Span;
use longhaul_core::units::ByteSize;
use longhaul_validation::table::{Buffers, Controller, LossModel, Room, Table};
use longhaul_validation::testbed::{self, Testbed};
use proptest::prelude::*;

const HEADER: &str = "rtt_ms,rate_mbit,controller,bytes,completion_s,netem_limit\n";
const ROW: &str = "40,50,cubic,1000000,0.33,250\n";

fn parse(text: &str) -> Table {
    Table::parse("t.csv", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn refused(text: &str, message: &str) {
    let error = Table::parse("t.csv", text.as_bytes())
        .expect_err("a mistake")
        .to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn absent_columns_have_their_documented_defaults() {
    let table = parse(&format!("{HEADER}{ROW}{ROW}"));
    let [configuration] = &table.configurations[..] else {
        panic!("equal rows are one configuration")
    };
    let parameters = &configuration.parameters;
    assert_eq!(configuration.name, "1");
    assert_eq!(configuration.measurements.len(), 2);
    assert_eq!(parameters.rtt, Span::from_ms(40));
    assert_eq!((parameters.streams, parameters.jitter), (1, Span::ZERO));
    assert_eq!(parameters.loss_model, LossModel::None);
    assert_eq!(parameters.buffers, Buffers::Default);
    assert_eq!(parameters.room, Room::Netem(250));
    assert!(!parameters.is_random());
}

#[test]
fn every_column_is_read() {
    let text = "\u{feff}x_who,config,rtt_ms,rate_mbit,loss_percent,loss_model,loss_burst,jitter_ms,controller,streams,\
                bytes,queue_packets,buffers,handshake_s,completion_s\n\
                me,a-1,0.5,2.5,0.01,gemodel,7,0.25,bbr,3,99,17,65536,0.001,1.5\n";
    let table = parse(text);
    let parameters = &table.configurations[0].parameters;
    assert_eq!(table.configurations[0].name, "a-1");
    assert_eq!(parameters.rtt, Span::from_us(500));
    assert_eq!(parameters.rate.as_bits_per_s(), 2_500_000);
    assert_eq!(parameters.loss.as_parts(), 100_000_000);
    assert_eq!(parameters.loss_model, LossModel::Bursts { mean: 7 });
    assert_eq!(parameters.jitter, Span::from_us(250));
    assert_eq!((parameters.controller, parameters.streams), (Controller::Bbr, 3));
    assert_eq!(
        (parameters.bytes, parameters.room),
        (ByteSize::from_bytes(99), Room::Router(17))
    );
    assert_eq!(parameters.buffers, Buffers::Bytes(ByteSize::from_kib(64)));
    assert_eq!(
        table.configurations[0].measurements[0].handshake,
        Some(Span::from_ms(1))
    );
}

#[test]
fn mistakes_are_named_with_their_line_their_column_and_what_is_allowed() {
    refused("", "t.csv: the table is empty");
    refused("\n\n", "t.csv: the table is empty");
    refused(HEADER, "t.csv: the table has columns and no rows");
    refused(
        &HEADER.replace("rate_mbit", "rate_gbit"),
        "t.csv:1: there is no column `rate_gbit`; did you mean `rate_mbit`?",
    );
    refused(
        &HEADER.replace("bytes", "rtt_ms"),
        "the column `rtt_ms` stands twice",
    );
    refused(
        &HEADER.replace("completion_s", "repeat"),
        "the column `completion_s` is missing",
    );
    refused(
        &HEADER.replace("netem_limit", "repeat"),
        "the column `netem_limit` is missing (or `queue_packets`)",
    );
    for (from, to, message) in [
        (
            "40,",
            "-40,",
            "t.csv:3: column `rtt_ms`: a plain decimal number of ms is expected, found `-40`",
        ),
        ("40,", "40 ms,", "found `40 ms`"),
        (
            "40,",
            ",",
            "column `rtt_ms`: a plain decimal number of ms is expected, found nothing",
        ),
        ("40,", "8000000,", "is out of range"),
        (
            "50,",
            "0,",
            "column `rate_mbit`: 0 bit/s is out of range: 1 bit/s to 100 Tbit/s",
        ),
        ("50,", "1e3,", "found `1e3`"),
        ("50,", "0.0000001,", "is not a whole number of bits per second"),
        (
            "cubic",
            "vegas",
            "column `controller`: one of `reno`, `cubic`, `bbr` is expected, found `vegas`",
        ),
        ("1000000", "0", "column `bytes`: 0 B is out of range"),
        (
            "0.33",
            "NaN",
            "column `completion_s`: a plain decimal number of s is expected, found `NaN`",
        ),
        ("0.33", "0", "column `completion_s`: 0 s is out of range"),
        (
            "250",
            "0",
            "column `netem_limit`: a whole number from 1 to 1000000000 is expected, found `0`",
        ),
        (",250", "", "t.csv:3: 5 fields where the header names 6 columns"),
        (
            ",250",
            ",250,7",
            "t.csv:3: 7 fields where the header names 6 columns",
        ),
    ] {
        refused(&format!("{HEADER}{ROW}{}", ROW.replace(from, to)), message);
    }
    let mut bytes = format!("{HEADER}{ROW}").into_bytes();
    bytes.extend(b"40,50,cub\xffic,1,1,1\n");
    let error = Table::parse("t.csv", &bytes).unwrap_err().to_string();
    assert_eq!(error, "t.csv:3: this line is not UTF-8");
}

#[test]
fn rows_of_one_configuration_cannot_contradict_each_other() {
    let header = format!("config,loss_percent,loss_model,{HEADER}");
    let row = |rest: &str| format!("7,{rest},{ROW}");
    let (same, other) = (row("1,iid"), row("1,gemodel"));
    assert_eq!(parse(&format!("{header}{same}{same}")).configurations.len(), 1);
    refused(
        &format!("{header}{same}{other}"),
        "t.csv:3: column `loss_model`: configuration 7 has another value in line 2",
    );
    refused(
        &format!("{header}{}", row("1,bursty")),
        "`iid` or `gemodel`, or `none`",
    );
    refused(&format!("{header}{}", row("1,none")), "column `loss_model`");
    refused(&format!("{header}{}", row("100,iid")), "everything is lost");
    refused(&format!("{header}{}", row("101,iid")), "is more than 100 %");
    refused(&format!("{header},1,iid,{ROW}"), "column `config`");
}

#[test]
fn the_scenario_of_a_configuration_reads_and_says_what_the_row_said() {
    let table = parse(
        "config,rtt_ms,rate_mbit,controller,bytes,completion_s,queue_packets,jitter_ms,loss_percent,buffers\n\
         a,40,50,reno,1000000,0.33,77,1,0.5,1048576\n",
    );
    let testbed = Testbed {
        table: "t \"x\"\n.csv".to_owned(),
        host_delay: Span::from_us(20),
        fidelity: Fidelity::Packet,
        call_time: Span::from_us(23),
    };
    let text = testbed::scenario(&table.configurations[0], &testbed).unwrap();
    let source = longhaul_scenarios::source::Source {
        name: "a.ron".to_owned(),
        text,
        base_dir: Default::default(),
    };
    let loaded = longhaul_scenarios::load(&source, &[], None).unwrap_or_else(|errors| panic!("{errors}"));
    for part in [
        // Jitter takes its mean, four standard deviations, out of the 20 ms and 20 µs.
        "delay: \"16.02 ms\"",
        "jitter: Normal(mean: \"4 ms\", sd: \"1 ms\")",
        "delay: \"20.02 ms\"",
        "queue: Packets(77)",
        "loss: Independent(mean: \"0.5 %\")",
        "controller: Reno, send_buffer: \"1 MiB\", notsent_lowat: \"1 MiB\", receive_buffer: \"512 KiB\"",
        "segmentation_offload: false",
    ] {
        assert!(loaded.canonical.contains(part), "{part}\n{}", loaded.canonical);
    }
}

#[test]
fn filters_select_by_words_and_numbers() {
    let mut text = format!("config,streams,loss_percent,{HEADER}");
    for (name, streams, loss, controller) in [
        ("a", 1, "0", "cubic"),
        ("b", 4, "0.5", "reno"),
        ("c", 16, "2", "cubic"),
        ("d", 1, "5", "bbr"),
    ] {
        text += &format!("{name},{streams},{loss},{}", ROW.replace("cubic", controller));
    }
    let table = parse(&text);
    let names = |filter: &str| -> String {
        let filter: longhaul_validation::filter::Filter = filter.parse().unwrap_or_else(|e| panic!("{e}"));
        filter.select(&table).iter().map(|c| c.name.as_str()).collect()
    };
    for (filter, expected) in [
        ("controller=cubic", "ac"),
        ("controller=cubic|reno", "abc"),
        ("controller!=bbr,loss>0", "bc"),
        ("loss<=0.5", "ab"),
        ("streams = 1|16", "acd"),
        ("streams<4", "ad"),
        ("config=b", "b"),
        // 0.33 s over 40 ms are 8.25 round trips.
        ("round_trips>=8.25", "abcd"),
        ("round_trips>8.25", ""),
    ] {
        assert_eq!(names(filter), expected, "{filter}");
    }
    for wrong in [
        "",
        "loss",
        "speed=1",
        "loss=x",
        "loss<",
        "controller<cubic",
        "loss<1|2",
        "loss==1",
        "loss=-1",
        "=1",
    ] {
        assert!(
            wrong.parse::<longhaul_validation::filter::Filter>().is_err(),
            "{wrong}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Table::parse("t.csv", &bytes);
        let mut after_a_header = HEADER.as_bytes().to_vec();
        after_a_header.extend(&bytes);
        let _ = Table::parse("t.csv", &after_a_header);
    }

    #[test]
    fn no_cells_make_it_panic_and_what_is_accepted_makes_a_scenario(
        cells in proptest::collection::vec("[0-9]{0,4}\\.?[0-9]{0,3}|cubic|reno|\\PC{0,6}", 6),
        loss in "[0-9]{1,2}(\\.[0-9]{1,4})?",
        burst in 1u32..2_000,
    ) {
        let cells: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
        let text = format!("{},loss_percent,loss_model,loss_burst\n{},{loss},gemodel,{burst}\n",
            HEADER.trim_end(), cells.join(","));
        if let Ok(table) = Table::parse("t.csv", text.as_bytes()) {
            let testbed = Testbed { table: table.name.clone(), host_delay: Span::ZERO, call_time: Span::ZERO, fidelity: Fidelity::Packet };
            prop_assert!(testbed::scenario(&table.configurations[0], &testbed).is_some());
        }
    }

    #[test]
    fn plausible_rows_make_scenarios_that_the_language_accepts(
        rtt in 0u32..600_000, rate in 1u32..2_000_000, jitter in 0u32..50_000, loss in 1u32..40_000,
        streams in 1u32..=256, bytes in 256u64..1_000_000_000, room in 1u32..100_000, router in any::<bool>(),
    ) {
        let column = if router { "queue_packets" } else { "netem_limit" };
        let text = format!(
            "rtt_ms,rate_mbit,controller,bytes,completion_s,{column},jitter_ms,loss_percent,streams\n\
             {}.{:03},{}.{:03},cubic,{bytes},1.25,{room},{}.{:03},{}.{:03},{streams}\n",
            rtt / 1000, rtt % 1000, rate / 1000, rate % 1000, jitter / 1000, jitter % 1000, loss / 1000, loss % 1000,
        );
        let table = Table::parse("t.csv", text.as_bytes()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let testbed = Testbed { table: table.name.clone(), host_delay: Span::from_us(23), call_time: Span::from_us(23), fidelity: Fidelity::Packet };
        let source = longhaul_scenarios::source::Source {
            name: "x.ron".to_owned(),
            text: testbed::scenario(&table.configurations[0], &testbed).unwrap(),
            base_dir: Default::default(),
        };
        let loaded = longhaul_scenarios::load(&source, &[], None);
        // A queue that takes more than a day to drain is the one thing that the language refuses of these.
        if let Err(errors) = loaded {
            prop_assert!(errors.to_string().contains("drains in"), "{errors}");
        }
    }
}
