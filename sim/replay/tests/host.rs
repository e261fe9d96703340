//! Plans on this machine's kernel: made, used, and removed without a trace. They take root and `ip`; without, each test
//! says so and is skipped. They do not take netem: links are shaped by a plain fifo.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use longhaul_core::time::Span;
use longhaul_replay::host::{HostError, World, cleanup};
use longhaul_replay::plan::{
    Action, Batch, Counted, LinkPlan, Place, Plan, RegionPlan, Route, Setting, Step, Tool, WirePlan,
};

/// Whether these tests can run here.
fn can_run(test: &str) -> bool {
    let missing = if !rustix::process::geteuid().is_root() {
        "root"
    } else if !["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"]
        .iter()
        .any(|ip| Path::new(ip).exists())
    {
        "iproute2"
    } else if !Path::new("/usr/sbin/ethtool").exists() && !Path::new("/sbin/ethtool").exists() {
        "ethtool"
    } else {
        let probe = format!("lhprobe-{test}");
        let ip = |verb: &str| Command::new("ip").args(["netns", verb, &probe]).output();
        if ip("add").is_ok_and(|done| done.status.success()) {
            ip("delete").expect("ip");
            return true;
        }
        "leave to make network namespaces"
    };
    println!("{test} skipped: no {missing}");
    false
}

/// Regions in a row, with links both ways between neighbours.
fn row(run: &str, regions: usize) -> Plan {
    let wires: Vec<WirePlan> = (1..regions)
        .map(|right| WirePlan {
            ends: [right - 1, right],
        })
        .collect();
    let link = |from: usize, to: usize, wire| LinkPlan {
        name: format!("{from}->{to}"),
        from,
        to,
        wire,
        device: Plan::egress(to),
        shape: vec![format!(
            "qdisc replace dev {} root handle 1: pfifo limit 100",
            Plan::egress(to)
        )],
        counted: Counted::Queue,
    };
    let links = (1..regions).flat_map(|right| {
        [
            link(right - 1, right, right - 1),
            link(right, right - 1, right - 1),
        ]
    });
    let region = |here: usize| RegionPlan {
        name: here.to_string(),
        address: RegionPlan::address_of(here),
        settings: vec![Setting {
            name: "net.ipv4.tcp_rmem".to_owned(),
            value: "4096 131072 2000000".to_owned(),
        }],
        routes: (0..regions)
            .filter(|&to| to != here)
            .map(|to| Route {
                to: RegionPlan::address_of(to),
                wire: Some(if to > here { here } else { here - 1 }),
                initial_window: (to == 0).then_some(4),
            })
            .collect(),
    };
    Plan {
        run: run.to_owned(),
        regions: (0..regions).map(region).collect(),
        links: links.collect(),
        wires,
        tables: Vec::new(),
        modules: Vec::new(),
        kernel_settings: Vec::new(),
        checksums_in_software: true,
        timeline: Vec::new(),
        notes: Vec::new(),
    }
}

fn namespaces(run: &str) -> Vec<String> {
    let output = Command::new("ip").args(["netns", "list"]).output().expect("ip");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| name.starts_with(&format!("{run}-")))
        .map(str::to_owned)
        .collect()
}

fn nothing_left(run: &str) -> bool {
    namespaces(run).is_empty() && !Path::new("/run/longhaul").join(format!("{run}.json")).exists()
}

fn shell(world: &World, region: usize, script: &str) -> String {
    let mut command = world.command_in(region, Path::new("/bin/bash"));
    let output = command.args(["-c", script]).output().expect("bash");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Whether a SYN gets from one region to another and its answer back: nobody listens, so that it is a reset.
fn reaches(world: &World, from: usize, to: usize) -> bool {
    let address = world.plan().regions[to].address;
    let heard = shell(
        world,
        from,
        &format!("timeout 0.3 bash -c 'echo > /dev/tcp/{address}/9'"),
    );
    heard.contains("refused")
}

#[test]
fn packets_go_two_hops_and_nothing_is_left() {
    if !can_run("packets_go_two_hops_and_nothing_is_left") {
        return;
    }
    let plan = row("lhtwo", 3);
    let mut world = World::apply(&plan).unwrap();
    assert_eq!(namespaces("lhtwo").len(), 5);
    assert!(reaches(&world, 0, 2), "before shaping");
    world.shape().unwrap();
    assert!(reaches(&world, 0, 2) && reaches(&world, 2, 0) && reaches(&world, 1, 2));
    assert_eq!(world.offloads_on().unwrap(), Vec::<String>::new());
    assert_eq!(
        shell(&world, 1, "cat /proc/sys/net/ipv4/tcp_rmem")
            .split_whitespace()
            .last(),
        Some("2000000")
    );
    assert!(shell(&world, 2, "ip route").contains("198.18.0.1 dev w1 scope link src 198.18.0.3 initcwnd 4"));
    assert_eq!(world.counters().unwrap().len(), 4);
    world.remove().unwrap();
    assert!(nothing_left("lhtwo"));
}

#[test]
fn one_direction_fails_and_comes_back() {
    if !can_run("one_direction_fails_and_comes_back") {
        return;
    }
    let mut plan = row("lhdown", 2);
    let device = plan.links[0].device.clone();
    let step = |what: &str, lines: Vec<String>| Step {
        at: Span::ZERO,
        what: what.to_owned(),
        action: Action::Network {
            batches: vec![Batch {
                place: Place::Wire(0),
                tool: Tool::Tc,
                lines,
            }],
            restarts: vec![0],
        },
    };
    plan.timeline = vec![
        step("down", vec![format!("qdisc replace dev {device} root blackhole")]),
        step("up", plan.links[0].shape.clone()),
    ];
    // What travels from 1 to 0 is heard by a socket that needs no answer.
    let listen = |world: &World| {
        let script = "timeout 10 python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
            s.bind((\"198.18.0.1\", 7)); print(\"ready\", flush=True); print(s.recv(9).decode())'";
        let mut command = world.command_in(0, Path::new("/bin/bash"));
        command
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash")
    };
    let mut world = World::apply(&plan).unwrap();
    world.shape().unwrap();
    world.step(0).unwrap();
    assert!(!reaches(&world, 0, 1), "0->1 is down");
    if Path::new("/usr/bin/python3").exists() {
        let mut listener = listen(&world);
        let mut heard = BufReader::new(listener.stdout.take().expect("its output"));
        let mut line = String::new();
        heard.read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        shell(&world, 1, "echo through > /dev/udp/198.18.0.1/7");
        heard.read_line(&mut line).expect("a line");
        assert!(line.contains("through"), "1->0 goes on");
        listener.wait().expect("an end");
    }
    world.step(1).unwrap();
    assert!(reaches(&world, 0, 1), "0->1 is back");
    drop(world);
    assert!(nothing_left("lhdown"));
}

#[test]
fn a_foreign_namespace_is_refused_and_not_touched() {
    if !can_run("a_foreign_namespace_is_refused_and_not_touched") {
        return;
    }
    let ip = |arguments: &[&str]| Command::new("ip").args(arguments).status().unwrap().success();
    assert!(ip(&["netns", "add", "lhclash-r1"]));
    let refused = World::apply(&row("lhclash", 2));
    let left = namespaces("lhclash");
    assert!(ip(&["netns", "delete", "lhclash-r1"]));
    assert!(
        matches!(&refused, Err(HostError::Clash(name)) if name == "lhclash-r1"),
        "{refused:?}"
    );
    assert!(refused.unwrap_err().unavailable());
    assert_eq!(left, ["lhclash-r1"], "nothing was made, nothing removed");
    assert!(nothing_left("lhclash"));
}

#[test]
fn a_plan_that_fails_half_way_leaves_nothing() {
    if !can_run("a_plan_that_fails_half_way_leaves_nothing") {
        return;
    }
    let mut plan = row("lhhalf", 2);
    plan.regions[1].settings[0].name = "net.ipv4.no_such_setting".to_owned();
    let refused = World::apply(&plan).unwrap_err();
    assert!(refused.to_string().contains("no_such_setting"), "{refused}");
    assert!(nothing_left("lhhalf"));
    let mut plan = row("lhhalf", 2);
    plan.links[1].shape = vec!["qdisc replace dev r0 root nonsense".to_owned()];
    let mut world = World::apply(&plan).unwrap();
    let refused = world.shape().unwrap_err();
    let said = "this kernel lacks the queueing discipline of `tc qdisc replace dev r0 root nonsense`";
    assert!(
        refused.to_string().starts_with(said) && refused.unavailable(),
        "{refused}"
    );
    drop(world);
    assert!(nothing_left("lhhalf"));
    plan.links[1].shape = vec!["qdisc replace dev r0 root pfifo limit many".to_owned()];
    let mut world = World::apply(&plan).unwrap();
    let refused = world.shape().unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("`tc qdisc replace dev r0 root pfifo limit many` failed: "),
        "{refused}"
    );
    drop(world);
    assert!(nothing_left("lhhalf"));
}

#[test]
fn what_a_killed_replay_leaves_is_removed_and_a_live_one_left_alone() {
    if !can_run("what_a_killed_replay_leaves_is_removed_and_a_live_one_left_alone") {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "waits_with_a_plan_until_it_is_killed",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !Path::new("/run/netns/lhkill-w0").exists() {
        assert!(
            std::time::Instant::now() < deadline,
            "the other process makes no namespaces"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = child.id();
    let busy = World::apply(&row("lhkill", 2));
    assert!(
        matches!(&busy, Err(HostError::Running { pid: other }) if *other == pid),
        "{busy:?}"
    );
    let alone = cleanup().unwrap();
    assert!(
        alone.iter().any(|line| line.contains(&pid.to_string())),
        "{alone:?}"
    );
    assert_eq!(namespaces("lhkill").len(), 3);

    child.kill().unwrap();
    child.wait().unwrap();
    let left = World::apply(&row("lhkill", 2));
    assert!(matches!(&left, Err(HostError::Leftovers)), "{left:?}");
    let done = cleanup().unwrap();
    assert!(
        done.contains(&"removed the namespace lhkill-r0".to_owned()),
        "{done:?}"
    );
    assert!(nothing_left("lhkill"));
    drop(World::apply(&row("lhkill", 2)).unwrap());
    assert!(nothing_left("lhkill"));
}

/// The process that is killed, not a test.
#[test]
#[ignore = "run by another test"]
fn waits_with_a_plan_until_it_is_killed() {
    let _world = World::apply(&row("lhkill", 2)).unwrap();
    let mut nothing = String::new();
    let _ = std::io::stdout().flush();
    std::io::stdin().read_line(&mut nothing).unwrap();
}
