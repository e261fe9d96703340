//! Machines, nodes and coordinator of a replay together, on loopback addresses: no privilege, nothing shaped. What is
//! measured there means nothing; that it arrives, and what is left when something breaks, does.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use longhaul_core::record::{Ended, Progress};
use longhaul_core::tape;
use longhaul_core::time::Span;
use longhaul_replay::coordinator::loopback::Loopback;
use longhaul_replay::coordinator::{Ground, GroundError, Job, ReplayError, TimelineStep, Work, replay};
use longhaul_replay::driver::monotonic_ns;
use longhaul_replay::node::{NodeJob, Task};
use longhaul_replay::outcome::{LinkCounters, MachineEvent, Outcome, Replication};
use longhaul_replay::plan::Signal;
use longhaul_scenarios::replay::endpoints::{Received, ScenarioWork, build_region};
use longhaul_scenarios::replay::records::records;
use longhaul_scenarios::source::Source;
use longhaul_scenarios::{Loaded, load};
use serde_json::Value;

const LONGHAUL: &str = env!("CARGO_BIN_EXE_longhaul");

/// Two regions and what moves between them.
fn loaded(work: &str) -> Loaded {
    let text = format!(
        r#"Scenario(
            version: 1, name: "loopback", question: "Does it arrive?", expect: "Yes.", horizon: "20 s", seed: 7,
            regions: [(name: "north"), (name: "south")],
            links: [(between: ("north", "south"), rtt: "20 ms", rate: "100 Mbit/s")],
            {work}
        )"#
    );
    let source = Source {
        name: "loopback".to_owned(),
        text,
        base_dir: PathBuf::new(),
    };
    load(&source, &[], None).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)))
}

const MIGRATIONS: &str = r#"
    vms: [
        (name: "one", region: "north", memory: Generated(pattern: RealWorld, size: "4 MiB",
            dirty: (rate: "200 pages/s", working_set: "10 %", bytes_per_write: "64 B"))),
        (name: "two", region: "south", memory: Generated(pattern: RealWorld, size: "2 MiB",
            dirty: (rate: "0 pages/s", working_set: "10 %", bytes_per_write: "64 B"))),
    ],
    migrations: [
        (name: "first", vm: "one", to: "south", start: At("100 ms"), downtime_limit: "30 ms", encoding: Hde(level: 1),
            transport: (streams: 4, chunk: "64 KiB")),
        (name: "second", vm: "two", to: "north", start: After(migration: "first", pause: "150 ms"), encoding: Raw,
            transport: (streams: 2)),
    ],"#;

/// How to replay it here.
struct Here<'a> {
    loaded: &'a Loaded,
    network: u8,
    replications: u32,
    tapes: bool,
    timeline: Vec<TimelineStep>,
}

impl<'a> Here<'a> {
    /// Every test has a network of its own, so that they can run side by side.
    fn new(loaded: &'a Loaded, network: u8) -> Here<'a> {
        Here {
            loaded,
            network,
            replications: 1,
            tapes: false,
            timeline: Vec::new(),
        }
    }

    fn replay(&self, stop: &dyn Fn() -> bool) -> Result<Outcome, ReplayError> {
        let job = Job {
            program: Path::new(LONGHAUL),
            arguments: vec!["node".to_owned()],
            replications: 0..self.replications,
            horizon: self.loaded.scenario.horizon,
            tapes: self.tapes,
        };
        let mut lay = || -> Result<Box<dyn Ground>, GroundError> {
            Ok(Box::new(Loopback::new(self.network, 2, self.timeline.clone())))
        };
        replay(&job, &mut lay, &ScenarioWork::new(self.loaded), stop)
    }

    fn only(&self) -> Replication {
        let mut outcome = self.replay(&|| false).expect("an outcome");
        assert_eq!(outcome.replications.len(), 1);
        outcome.replications.remove(0)
    }
}

/// When a machine reported an event that starts with these words.
fn when(replication: &Replication, peer: u32, kind: &str) -> Option<u64> {
    let is_it = |event: &&MachineEvent| {
        event.peer.0 == peer
            && match &event.event {
                Value::String(name) => name == kind,
                event => event.get(kind).is_some(),
            }
    };
    replication.events.iter().find(is_it).map(|event| event.at_ns)
}

#[test]
fn eight_streams_carry_every_byte_and_the_counters_say_so() {
    let loaded = loaded(
        r#"transfers: [
            (name: "one", from: "north", to: "south", size: "30 MB"),
            (name: "eight", from: "south", to: "north", at: "50 ms", size: "8 MB", streams: 8,
                call_time: "20 us", tcp: (controller: Reno, notsent_lowat: "128 KiB")),
        ],"#,
    );
    let replication = Here::new(&loaded, 21).only();
    assert_eq!(replication.ended, Ended::Done);
    for (receiver, bytes, streams) in [(1, 30_000_000, 1), (3, 8_000_000, 8)] {
        let received: Received = serde_json::from_value(replication.summaries[&receiver].clone()).unwrap();
        assert_eq!(received.received, bytes);
        assert_eq!(received.by_stream, vec![bytes / streams; streams as usize]);
        let sender = receiver - 1;
        // The loopback device carries 64 KiB at a time.
        let segments = replication.tcp[&sender].segments;
        assert!((bytes / 65_536..bytes / 500).contains(&segments), "{segments}");
        assert!(when(&replication, sender, "Completed").is_some());
        // The shares are asked for when the first stream is finished.
        let finished = when(&replication, sender, "StreamFinished").expect("a finished stream");
        let asked = when(&replication, receiver, "Summary").expect("the receiver's shares");
        assert!(asked >= finished, "{asked} {finished}");
    }
    // Started at its own time, and not before.
    let connected = when(&replication, 2, "Connected").unwrap();
    assert!(connected >= 50_000_000, "{connected}");
    let health = &replication.health;
    assert!(health.ceiling_bits_per_s.unwrap() > 100_000_000, "{health:?}");
    assert!(health.busy_share.is_some());
}

#[test]
fn a_timed_transfer_ends_in_time() {
    let loaded = loaded(
        r#"transfers: [(name: "timed", from: "north", to: "south", duration: "400 ms", streams: 2)],"#,
    );
    let replication = Here::new(&loaded, 22).only();
    let up = when(&replication, 0, "TimeUp").unwrap();
    assert!((400_000_000..600_000_000).contains(&up), "{up}");
    assert!(when(&replication, 1, "Summary").is_some());
    let received: Received = serde_json::from_value(replication.summaries[&1].clone()).unwrap();
    assert!(
        received.received > 1_000_000 && received.by_stream.len() == 2,
        "{received:?}"
    );
}

#[test]
fn migrations_arrive_page_by_page_and_one_waits_for_the_other() {
    let loaded = loaded(MIGRATIONS);
    let replication = Here::new(&loaded, 23).only();
    assert_eq!(replication.ended, Ended::Done);
    for (destination, pages) in [(1, 1024), (3, 512)] {
        let arrived = replication
            .events
            .iter()
            .find_map(|event| (event.peer.0 == destination).then(|| event.event.get("Arrived").cloned())?);
        // The destination compares all of them before it resumes the guest.
        assert_eq!(arrived.expect("a guest that arrived")["verified_pages"], pages);
        let statistics = &replication.summaries[&(destination - 1)];
        assert_eq!(statistics["ram"]["remaining"], 0, "{statistics}");
    }
    let first = when(&replication, 0, "Completed").unwrap();
    let second = when(&replication, 2, "SetupDone").unwrap();
    assert!(second >= first + Span::from_ms(150).as_ns(), "{first} {second}");
    assert!(when(&replication, 0, "SetupDone").unwrap() >= 100_000_000);
}

const REPLICATION: &str = r#"
    vms: [
        (name: "one", region: "north", memory: Generated(pattern: RealWorld, size: "2 MiB",
            dirty: (rate: "200 pages/s", working_set: "10 %"))),
        (name: "two", region: "north", memory: Generated(pattern: RealWorld, size: "1 MiB")),
    ],
    replications: [(
        name: "dr", vms: ["one", "two"], to: "south", consistency: Group, policy: Interval("200 ms"),
        transport: (streams: 3, chunk: "64 KiB"), heartbeat: (interval: "100 ms", multiplier: 8),
        backoff: (first: "100 ms", most: "400 ms"), failover: Automatic, resume_time: "300 ms",
    )],
    faults: [Kill(region: "north", at: "2 s")],"#;

#[test]
fn epochs_cross_sockets_and_the_replica_takes_over_when_the_source_is_killed() {
    let loaded = loaded(REPLICATION);
    let killed = TimelineStep {
        what: "north killed".to_owned(),
        ..signal(2_000, 0, Signal::Kill)
    };
    let here = Here {
        timeline: vec![killed],
        tapes: true,
        ..Here::new(&loaded, 36)
    };
    let mut replication = here.only();
    assert_eq!(replication.ended, Ended::Done);
    // Sockets of one kernel cross no links whose counters could be read.
    let links = loaded.scenario.links.iter();
    replication.links = links
        .map(|link| LinkCounters {
            name: link.name(),
            ..LinkCounters::default()
        })
        .collect();
    let replayed = records(&loaded.scenario, &replication).expect("records");
    let record = &replayed.replications[0];
    assert_eq!(record.progress, Progress::Completed);
    assert!(
        record.epochs.applied >= 4 && record.epochs.rejected == 0,
        "{record:?}"
    );
    // All 768 pages were compared, in every epoch and once more before the guests ran.
    let promoted = record.vms.iter().map(|vm| vm.resumed.expect("it went on"));
    for vm in promoted {
        assert_eq!(vm.verified_pages, 768);
        assert!(vm.lost_ns < Span::from_s(1).as_ns(), "{vm:?}");
        // Eight heartbeats and the boot, and not much more.
        let rto = vm.rto_ns;
        let least = Span::from_ms(800 + 300 - 120).as_ns();
        assert!((least..least + Span::from_s(2).as_ns()).contains(&rto), "{rto}");
    }
    // The tapes of those that could still hand them over.
    let machines = ScenarioWork::new(&loaded).machines(0);
    let (peer, mut machine) = build_region(&machines, 1).expect("the same machine").remove(0);
    let fed = tape::feed(&mut machine, &replication.tapes[&peer.0]);
    assert!(fed.as_ref().is_ok_and(|inputs| *inputs > 20), "{fed:?}");
}

#[test]
fn the_tapes_of_sockets_feed_back_offline() {
    let loaded = loaded(&format!(
        r#"{MIGRATIONS} transfers: [(name: "bulk", from: "north", to: "south", size: "3 MB", streams: 2)],"#
    ));
    let here = Here {
        tapes: true,
        ..Here::new(&loaded, 24)
    };
    let replication = here.only();
    assert_eq!(replication.tapes.len(), 6);
    let machines = ScenarioWork::new(&loaded).machines(0);
    for region in 0..2 {
        for (peer, mut machine) in build_region(&machines, region).expect("the same machines") {
            let tape = &replication.tapes[&peer.0];
            let fed = tape::feed(&mut machine, tape);
            assert!(
                fed.as_ref().is_ok_and(|inputs| *inputs > 3),
                "machine {}: {fed:?}",
                peer.0
            );
        }
    }
}

#[test]
fn replications_have_seeds_of_their_own_and_leave_no_port_behind() {
    let loaded = loaded(MIGRATIONS);
    let here = Here {
        replications: 2,
        ..Here::new(&loaded, 25)
    };
    let outcome = here.replay(&|| false).expect("two replications");
    let numbers: Vec<u32> = outcome.replications.iter().map(|r| r.number).collect();
    assert_eq!(numbers, [0, 1]);
    let encoded = |index: usize| &outcome.replications[index].summaries[&0]["copy"]["real_frame_bytes"];
    assert!(encoded(0).is_u64());
    assert_ne!(encoded(0), encoded(1));
    assert!(outcome.replications[1].health.ceiling_bits_per_s.is_none());
    assert!(outcome.kernel.starts_with("Linux "), "{}", outcome.kernel);
}

/// A step of the timeline.
fn signal(ms: u64, region: usize, signal: Signal) -> TimelineStep {
    TimelineStep {
        at: Span::from_ms(ms),
        what: format!("{signal:?} {region}"),
        signal: Some((region, signal)),
    }
}

#[test]
fn a_region_that_stands_still_goes_on_and_is_not_called_late() {
    let loaded = loaded(r#"transfers: [(name: "timed", from: "north", to: "south", duration: "1 s")],"#);
    let here = Here {
        timeline: vec![signal(200, 0, Signal::Stop), signal(3_000, 0, Signal::Cont)],
        ..Here::new(&loaded, 26)
    };
    let replication = here.only();
    assert_eq!(replication.ended, Ended::Done);
    // The time was up while the sender stood still.
    let up = when(&replication, 0, "TimeUp").unwrap();
    assert!((3_000_000_000..4_000_000_000).contains(&up), "{up}");
    // Two seconds too late, and rightly so.
    assert!(
        replication.health.latest_wake_ns < 1_500_000_000,
        "{:?}",
        replication.health
    );
    for (step, planned) in replication.timeline.iter().zip([200_000_000, 3_000_000_000]) {
        assert_eq!(step.planned_ns, planned);
        assert!(
            step.planned_ns <= step.begun_ns && step.begun_ns <= step.done_ns,
            "{step:?}"
        );
    }
    assert_eq!(replication.timeline.len(), 2);
}

#[test]
fn a_region_that_dies_as_planned_fails_the_transfer_and_not_the_replay() {
    let loaded = loaded(r#"transfers: [(name: "timed", from: "north", to: "south", duration: "2 s")],"#);
    let here = Here {
        timeline: vec![signal(300, 1, Signal::Kill)],
        ..Here::new(&loaded, 27)
    };
    let replication = here.only();
    assert_eq!(replication.ended, Ended::Done);
    let failed = when(&replication, 0, "Failed").expect("a failed transfer");
    assert!((300_000_000..1_000_000_000).contains(&failed), "{failed}");
    assert!(replication.summaries.contains_key(&0) && !replication.summaries.contains_key(&1));
}

#[test]
fn nobody_waits_for_a_sender_that_was_killed() {
    let loaded = loaded(
        r#"transfers: [
            (name: "killed", from: "south", to: "north", duration: "15 s"),
            (name: "later", from: "north", to: "south", at: "10 s", size: "1 MB"),
        ],"#,
    );
    let here = Here {
        timeline: vec![signal(300, 1, Signal::Kill)],
        ..Here::new(&loaded, 33)
    };
    let begun_ns = monotonic_ns();
    let replication = here.only();
    assert_eq!(replication.ended, Ended::Done);
    assert!(
        monotonic_ns() < begun_ns + 8_000_000_000,
        "it waited for the second transfer"
    );
    // What came before the reset was received.
    let received: Received = serde_json::from_value(replication.summaries[&1].clone()).unwrap();
    assert!(received.received > 0);
}

#[test]
fn what_does_not_end_is_cut_off_at_the_horizon() {
    let mut loaded = loaded(r#"transfers: [(name: "timed", from: "north", to: "south", duration: "15 s")],"#);
    loaded.scenario.horizon = Span::from_ms(300);
    let replication = Here::new(&loaded, 28).only();
    assert_eq!(replication.ended, Ended::Horizon);
    assert!(when(&replication, 0, "Completed").is_none());
    let received: Received = serde_json::from_value(replication.summaries[&1].clone()).unwrap();
    assert!(received.received > 0);
}

/// Whether somebody listens in a network: a node that lives does.
fn somebody_listens(network: u8) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's list of sockets");
    // Addresses are in hexadecimal, the first byte last; 0A is LISTEN.
    let region = format!("{network:02X}007F:");
    let listens = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(3) == Some(&"0A") && words[1].contains(&region)
    };
    sockets.lines().any(listens)
}

#[test]
fn an_interrupted_replay_ends_at_once() {
    let loaded = loaded(r#"transfers: [(name: "timed", from: "north", to: "south", duration: "15 s")],"#);
    let here = Here {
        // One of the processes stands still by then, and cannot be asked to end.
        timeline: vec![signal(100, 1, Signal::Stop)],
        ..Here::new(&loaded, 29)
    };
    let (begun_ns, asked_ns) = (monotonic_ns(), Cell::new(None));
    let stop = || {
        let late = monotonic_ns() > begun_ns + 1_500_000_000;
        if late && asked_ns.get().is_none() {
            assert!(somebody_listens(here.network));
            asked_ns.set(Some(monotonic_ns()));
        }
        late
    };
    let result = here.replay(&stop);
    assert!(matches!(result, Err(ReplayError::Stopped)), "{result:?}");
    let took_ns = monotonic_ns() - asked_ns.get().expect("it asked");
    assert!(took_ns < 1_000_000_000, "{took_ns} ns");
    assert!(!somebody_listens(here.network));
}

#[test]
fn a_node_that_cannot_do_its_job_fails_the_replay_with_its_own_words() {
    let loaded = loaded(
        r#"vms: [(name: "vm", region: "north", memory: Images(files: ["missing.img"], interval: "1 s"))],
        migrations: [(name: "move", vm: "vm", to: "south")],"#,
    );
    let error = Here::new(&loaded, 30)
        .replay(&|| false)
        .expect_err("a failed replay");
    let text = error.to_string();
    assert!(
        text.starts_with("replication 0: the process of region ")
            && text.contains(": cannot read the memory image missing.img: ")
            && text.lines().count() == 1,
        "{text}"
    );
    assert!(!somebody_listens(30));
}

/// A node that waits for the order to go, on a network of its own.
fn node(loaded: &Loaded, network: u8) -> Child {
    let work = ScenarioWork::new(loaded);
    let address = |region: usize| Ipv4Addr::new(127, 0, network, 1 + region as u8);
    let places = work.places();
    let job = NodeJob {
        region: 0,
        address: address(0),
        task: Task::Machines {
            machines: work.machines(0),
            peers: places
                .iter()
                .map(|place| SocketAddrV4::new(address(place.region), place.port))
                .collect(),
            options: places.into_iter().map(|place| place.options).collect(),
            tapes: false,
        },
    };
    let mut node = Command::new(LONGHAUL)
        .arg("node")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    let line = serde_json::to_string(&job).expect("a job in JSON");
    writeln!(node.stdin.as_ref().expect("a piped input"), "{line}").expect("a job that is read");
    let mut ready = String::new();
    let output = node.stdout.as_mut().expect("a piped output");
    BufReader::new(output).read_line(&mut ready).expect("an answer");
    assert_eq!(ready.trim(), "\"Ready\"");
    node
}

#[test]
fn a_node_ends_with_its_coordinator() {
    let loaded = loaded(r#"transfers: [(name: "bulk", from: "north", to: "south", size: "1 MB")],"#);
    let mut node = node(&loaded, 31);
    assert!(somebody_listens(31));
    drop(node.stdin.take());
    assert!(node.wait().is_ok());
    assert!(!somebody_listens(31));
}

#[test]
fn two_nodes_cannot_have_the_same_address() {
    let loaded = loaded(r#"transfers: [(name: "bulk", from: "north", to: "south", size: "1 MB")],"#);
    let mut first = node(&loaded, 32);
    let error = Here::new(&loaded, 32)
        .replay(&|| false)
        .expect_err("a failed replay");
    assert!(
        error.to_string().contains("cannot bind 127.0.32.1:10000"),
        "{error}"
    );
    first.kill().expect("a process that can be killed");
    first.wait().expect("its end");
}

#[test]
fn a_node_without_a_job_says_what_it_is() {
    let output = Command::new("sh")
        .args(["-c", &format!("echo nonsense | {LONGHAUL} node")])
        .output()
        .expect("a process");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.starts_with("error: this is the process of a region") && text.lines().count() == 1,
        "{text}"
    );
}
