//! Every format on its real files, on small examples of each oddity, and on damaged text.

#[path = "../../routing/tests/data/mod.rs"]
mod data;

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_import::{
    Defaults, Import, ImportError, Problem, Remark, gml, graphml, repetita, repetita_demands, rtt_matrix,
    sndlib, teal, teal_demands, teavar, teavar_demands, topohub,
};

fn count(import: &Import, remark: &Remark) -> usize {
    import.notes.iter().filter(|note| note.remark == *remark).count()
}

/// Nodes and edges as `SOURCE.md` of the set counts them.
const ZOO: [(&str, usize, usize); 20] = [
    ("Abilene", 11, 14),
    ("AttMpls", 25, 57),
    ("Bellcanada", 48, 65),
    ("Chinanet", 42, 66),
    ("Cogentco", 197, 245),
    ("Dfn", 58, 87),
    ("Garr201201", 61, 89),
    ("Geant2001", 27, 38),
    ("Geant2012", 40, 61),
    ("GtsCe", 149, 193),
    ("HiberniaGlobal", 55, 81),
    ("Janetbackbone", 29, 45),
    ("Kdl", 754, 899),
    ("Nsfnet", 13, 15),
    ("Oteglobe", 93, 106),
    ("Sprint", 11, 18),
    ("Surfnet", 50, 73),
    ("TataNld", 145, 194),
    ("Uninett2010", 74, 101),
    ("UsCarrier", 158, 189),
];

#[test]
fn the_topology_zoo_is_read_with_all_its_oddities() {
    for (name, nodes, edges) in ZOO {
        let Some(text) = data::text(&format!("topo-zoo/{name}.gml")) else {
            return;
        };
        let import = gml(&text, &Defaults::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let loops = count(&import, &Remark::SelfLoop);
        assert_eq!(import.topology.region_count(), nodes, "{name}");
        assert_eq!(import.topology.link_count(), 2 * (edges - loops), "{name}");
        assert_eq!(import.topology.groups().count(), edges - loops, "{name}");
        let parallel = [
            "AttMpls",
            "Bellcanada",
            "Cogentco",
            "Garr201201",
            "Kdl",
            "Oteglobe",
            "Surfnet",
            "TataNld",
        ];
        assert_eq!(
            count(&import, &Remark::Parallel) > 0,
            parallel.contains(&name),
            "{name}"
        );
        match name {
            "Kdl" => assert_eq!(count(&import, &Remark::NoCoordinates), 28),
            "Cogentco" => assert_eq!(count(&import, &Remark::NoCoordinates), 11),
            "Oteglobe" => {
                assert_eq!(import.components(), 7);
                assert_eq!(count(&import, &Remark::Disconnected(7)), 1);
            }
            // 39 of 61 edges state a speed.
            "Geant2012" => assert_eq!(count(&import, &Remark::NoCapacity), 61 - 39),
            "Geant2001" => assert_eq!(count(&import, &Remark::NoCapacity), 0),
            _ => {}
        }
    }
}

#[test]
fn a_real_distance_becomes_a_real_delay() {
    let Some(text) = data::text("topo-zoo/Abilene.gml") else {
        return;
    };
    let straight = Defaults {
        route_percent: 100,
        ..Defaults::default()
    };
    let import = gml(&text, &straight).expect("Abilene");
    let link = import
        .topology
        .find_link("New York", "Washington DC", "")
        .expect("a link");
    // 328 km at 5 µs each.
    let us = import.topology.state(link).latency.as_ns() / 1_000;
    assert!((1_600..1_700).contains(&us), "{us} µs");
}

#[test]
fn topohub_has_the_longitude_first_and_planes_are_no_degrees() {
    let mut planes = 0;
    for path in data::files("topo-sndlib", "json") {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let import = topohub(&text, &Defaults::default()).unwrap_or_else(|error| panic!("{error}"));
        planes += count(&import, &Remark::PlanarCoordinates);
        assert!(!import.demands.is_empty());
        if path.ends_with("abilene.json") {
            let place = import.regions[0].place.expect("a place");
            assert_eq!(
                (place.latitude_microdegrees, place.longitude_microdegrees),
                (33_750_000, -84_380_000)
            );
            // 132.4 km of straight line, 1.8 times that of cable.
            let latency = import.topology.state(import.links[0].id).latency;
            assert_eq!(latency, Span::from_ns(1_191_600));
        }
    }
    println!("{planes} graphs in a plane");
}

#[test]
fn the_other_sets_are_read_in_their_units() {
    if let Some(text) = data::text("te-repetita/2016TopologyZooUCL_unary/Abilene.graph") {
        let import = repetita(&text, &Defaults::default()).expect("a graph");
        let link = import
            .topology
            .find_link("0_New_York", "1_Chicago", "")
            .expect("a link");
        let state = import.topology.state(link);
        // 9,953,280 kbit/s and 1,913 µs.
        assert_eq!(state.capacity.as_bits_per_s(), 9_953_280_000);
        assert_eq!((state.latency, state.cost), (Span::from_us(1_913), 1));
        let text = data::text("te-repetita/2016TopologyZooUCL_unary/Abilene.0000.demands").expect("demands");
        let demands = repetita_demands(&text, &import).expect("demands");
        assert_eq!(demands.len(), 110);
        let first = demands
            .iter()
            .find(|(from, to, _)| (*from, *to) == (import.regions[0].id, import.regions[1].id));
        assert_eq!(first.expect("a demand").2, 193_388_000.0);
    }
    if let Some(text) = data::text("cloud-aws-cloudping/aws_p50.json") {
        let import = rtt_matrix(&text, &Defaults::default()).expect("a matrix");
        assert_eq!(
            (import.topology.region_count(), import.topology.link_count()),
            (33, 33 * 32)
        );
        let link = import
            .topology
            .find_link("ap-southeast-4", "af-south-1", "")
            .expect("a link");
        let rtt = import.topology.state(link).latency.as_ns() * 2;
        assert!((rtt as f64 / 1e6 - 420.7).abs() < 0.1, "the longest round trip");
    }
    let teal_graphs = [("B4", 12, 38), ("UsCarrier", 158, 378), ("Kdl", 754, 1_790)];
    for (name, nodes, arcs) in teal_graphs {
        let Some(text) = data::text(&format!("te-teal/{name}.json")) else {
            return;
        };
        let import = teal(&text, &Defaults::default()).expect("a graph");
        assert_eq!(
            (import.topology.region_count(), import.topology.link_count()),
            (nodes, arcs)
        );
    }
    for (name, nodes, arcs, matrices) in [("B4", 12, 38, 200), ("ATT", 25, 112, 25)] {
        let defaults = Defaults::default();
        let text = data::text(&format!("te-teavar/{name}/topology.txt")).expect("a topology");
        let import = teavar(&text, &defaults).expect("a topology");
        assert_eq!(
            (import.topology.region_count(), import.topology.link_count()),
            (nodes, arcs)
        );
        assert_eq!(import.failures.len(), arcs / 2, "{name}: symmetric");
        let text = data::text(&format!("te-teavar/{name}/demand.txt")).expect("demands");
        assert_eq!(
            teavar_demands(&text, &import, &defaults).expect("matrices").len(),
            matrices
        );
    }
}

const GRAPHML: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="label" attr.type="string" for="node" id="d1" />
  <key attr.name="Latitude" attr.type="double" for="node" id="d2" />
  <key attr.name="Longitude" attr.type="double" for="node" id="d3" />
  <key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="d4" />
  <graph edgedefault="undirected">
    <node id="0"><data key="d1">Here</data><data key="d2">50.0</data><data key="d3">8.0</data></node>
    <node id="1"><data key="d1">There</data><data key="d2">52.0</data><data key="d3">13.0</data></node>
    <node id="2"><data key="d1">There</data></node>
    <edge source="0" target="1"><data key="d4">2500000000.0</data></edge>
    <edge source="0" target="1" />
    <edge source="1" target="2" />
    <edge source="2" target="2" />
  </graph>
</graphml>"#;

#[test]
fn graphml_is_read_with_its_oddities() {
    let import = graphml(GRAPHML, &Defaults::default()).expect("a graph");
    assert_eq!(
        (import.topology.region_count(), import.topology.link_count()),
        (3, 6)
    );
    for (remark, times) in [
        (Remark::SelfLoop, 1),
        (Remark::Parallel, 1),
        (Remark::RepeatedLabel, 2),
        (Remark::NoCoordinates, 1),
        (Remark::NoCapacity, 2),
        (Remark::NoLatency, 1),
    ] {
        assert_eq!(count(&import, &remark), times, "{remark:?}");
    }
    let fast = import.topology.find_link("Here", "There #1", "").expect("a link");
    let other = import
        .topology
        .find_link("Here", "There #1", "#2")
        .expect("its twin");
    assert_eq!(
        import.topology.state(fast).capacity.as_bits_per_s(),
        2_500_000_000
    );
    assert_eq!(
        import.topology.state(other).capacity,
        Defaults::default().capacity
    );
    let line = import
        .notes
        .iter()
        .find(|note| note.remark == Remark::SelfLoop)
        .map(|note| note.line);
    assert_eq!(line, Some(14));
}

const SNDLIB: &str = r#"<?xml version="1.0" encoding="ISO-8859-1"?>
<network xmlns="http://sndlib.zib.de/network" version="1.0">
 <networkStructure>
  <nodes coordinatesType="geographical">
   <node id="A"><coordinates><x>8.0</x><y>50.0</y></coordinates></node>
   <node id="B"><coordinates><x>13.0</x><y>52.0</y></coordinates></node>
   <node id="C"><coordinates><x>10.0</x><y>53.0</y></coordinates></node>
  </nodes>
  <links>
   <link id="L1"><source>A</source><target>B</target>
    <preInstalledModule><capacity>40.0</capacity><cost>0.0</cost></preInstalledModule></link>
   <link id="L2"><source>B</source><target>C</target>
    <additionalModules><addModule><capacity>155.0</capacity><cost>1.0</cost></addModule>
    <addModule><capacity>622.0</capacity><cost>3.0</cost></addModule></additionalModules></link>
  </links>
 </networkStructure>
 <demands>
  <demand id="D1"><source>A</source><target>C</target><routingUnit>1</routingUnit><demandValue>12.5</demandValue></demand>
 </demands>
</network>"#;

#[test]
fn sndlib_is_read_with_modules_and_demands() {
    let import = sndlib(SNDLIB, &Defaults::default()).expect("a network");
    let capacity = |from, to| {
        let link = import.topology.find_link(from, to, "").expect("a link");
        import.topology.state(link).capacity.as_bits_per_s()
    };
    assert_eq!((capacity("A", "B"), capacity("B", "A")), (40_000_000, 40_000_000));
    assert_eq!(capacity("C", "B"), 622_000_000);
    assert_eq!(
        import.demands.iter().map(|(_, _, rate)| rate).collect::<Vec<_>>(),
        [12_500_000.0]
    );
}

/// The error as a user reads it.
fn refusal(result: Result<Import, ImportError>) -> String {
    result.expect_err("nothing to be accepted").to_string()
}

#[test]
fn what_cannot_be_used_is_refused_by_line_and_element() {
    let defaults = Defaults::default();
    let gml = |text: &str| refusal(gml(text, &defaults));
    assert_eq!(gml("node [ ]"), "line 0: file: no graph");
    assert_eq!(gml("graph [\n node [\n label \"x\" ]\n]"), "line 2: node: no id");
    assert_eq!(
        gml("graph [\n node [ id 0 ]\n node [ id 0 ]\n]"),
        "line 3: node 0: a second node of this id"
    );
    assert_eq!(
        gml("graph [\nnode [ id 0 ]\nedge [ source 0 target 7 ]\n]"),
        "line 3: edge 0: no node \"7\""
    );
    assert_eq!(
        gml("graph [\nnode [ id 0 Latitude 1 Longitude east ]\n]"),
        "line 2: node 0: \"east\" is not a number"
    );
    assert_eq!(
        gml("graph [\nnode [ id 0"),
        "line 2: file: the text ends inside a list"
    );
    assert_eq!(
        gml("graph [\n\"node\""),
        "line 2: file: a key must begin with a letter"
    );
    let negative = "graph [\nnode [ id 0 ]\nnode [ id 1 ]\nedge [ source 0 target 1 LinkSpeedRaw -5 ]\n]";
    assert_eq!(gml(negative), "line 4: edge 0: capacity of -5 is out of range");
    assert_eq!(
        gml(&"a [ ".repeat(1_000_000)),
        "line 1: file: lists within lists, too deep"
    );

    let graph = |edge: &str| {
        refusal(repetita(
            &format!("NODES 2\nlabel x y\na 0 0\nb 1 1\n\nEDGES 1\nlabel src dest weight bw delay\n{edge}"),
            &defaults,
        ))
    };
    assert_eq!(
        graph("e 0 1 1 1000 -7"),
        "line 8: edge 0: delay of -7000 is out of range"
    );
    assert_eq!(graph("e 0 1 1 nan 7"), "line 8: edge 0: \"nan\" is not a number");
    assert_eq!(graph("e 0 1 1 1000"), "line 8: edge 0: 5 entries instead of 6");
    assert_eq!(graph("e 0 2 1 1000 7"), "line 8: edge 0: no node \"2\"");
    assert_eq!(graph(""), "line 0: EDGES: 0 entries instead of 1");
    assert_eq!(
        graph("e 0 1 1 1000 9e15"),
        "line 8: edge 0: delay of 9000000000000000000 is out of range"
    );
    assert!(graph("e 0 1 1 1000 9e12").contains("is above"));
    let huge = refusal(repetita("NODES 999999999999999999\nlabel x y\n", &defaults));
    assert_eq!(huge, "line 0: NODES: 0 entries instead of 1000000000000000000");

    let json = |text: &str| refusal(rtt_matrix(text, &defaults));
    assert!(json("{\"data\": {\"a\": {\"b\": 1}, \"a\": {}}}").contains("\"a\" occurs twice"));
    assert_eq!(
        json("{\"data\": {\"a\": {\"b\": 1}}}"),
        "line 0: \"a\" to \"b\": no node \"b\""
    );
    assert!(json("{\"data\": {\"a\": {\"b\": -1}, \"b\": {}}}").contains("delay"));
    assert!(json("{\n\"data\": [").starts_with("line 2: file: "));
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><graphml>&b;</graphml>";
    assert!(
        graphml(entities, &defaults).is_err(),
        "a document that declares entities"
    );
    let wrong = teavar("to from capacity p\n1 2 10 1.5\n", &defaults);
    assert_eq!(
        wrong.expect_err("no probability").problem,
        Problem::OutOfRange {
            what: "probability",
            value: "1.5".to_owned()
        }
    );
}

#[test]
fn zero_delays_and_capacities_are_kept() {
    let text = "NODES 2\nlabel x y\na 0 0\nb 1 1\nEDGES 1\nlabel src dest weight bw delay\ne 0 1 1 0 0";
    let import = repetita(text, &Defaults::default()).expect("a graph");
    let state = import.topology.state(import.links[0].id);
    assert_eq!((state.latency, state.capacity.as_bits_per_s()), (Span::ZERO, 0));
    assert_eq!(count(&import, &Remark::ZeroCapacity), 1);
}

#[test]
fn the_order_of_nodes_and_edges_in_a_file_makes_no_difference() {
    let nodes = [
        "node [ id 1 label \"x\" ]",
        "node [ id 2 label \"x\" ]",
        "node [ id 3 label \"y\" ]",
    ];
    let edges = ["edge [ source 1 target 2 ]", "edge [ source 2 target 3 ]"];
    let forth = [&nodes[..], &edges[..]].concat().join("\n");
    let back: Vec<&str> = edges.iter().rev().chain(nodes.iter().rev()).copied().collect();
    let names = |text: String| {
        let import = gml(&format!("graph [\n{text}\n]"), &Defaults::default()).expect("a graph");
        let topology = &import.topology;
        let links = topology.links().map(|link| {
            let link = topology.link(link);
            format!(
                "{} {} {}",
                topology.name(link.from),
                topology.name(link.to),
                link.name
            )
        });
        links.collect::<Vec<_>>()
    };
    assert_eq!(names(forth), names(back.join("\n")));
}

/// Damaged text gives an error or a topology, never a panic or a hang.
#[test]
fn damaged_text_is_survived() {
    let defaults = Defaults::default();
    let graph = "NODES 2\nlabel x y\na 0 0\nb 1 1\nEDGES 1\nlabel src dest weight bw delay\ne 0 1 1 5 5";
    let gml_text = "graph [\nnode [ id 0 label \"a\" Latitude 1 Longitude 2 ]\nnode [ id 1 ]\nedge [ source 0 target 1 ]\n]";
    let json = r#"{"directed": true, "graph": {"demands": {"0": {"1": 5}}}, "nodes": [{"id": 0, "pos": [1, 2]}, {"id": "1"}], "links": [{"source": 0, "target": 1, "capacity": 5}]}"#;
    let risky = "to from capacity p\n1 2 10 .5\n2 1 10 .5\n";
    let import = teavar(risky, &defaults).expect("a topology");
    let b4 = teal(json, &defaults).expect("a graph");
    let mut random = Streams::new(7, 0).stream("import", "damage");
    for text in [
        graph,
        gml_text,
        json,
        risky,
        GRAPHML,
        SNDLIB,
        "tm,src,dst,demand\n0,0,1,5\n",
        "1 2 3 4\n",
    ] {
        for _ in 0..1_000 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..1 + random.below(4) {
                let place = random.below(bytes.len() as u64) as usize;
                match random.below(4) {
                    0 => bytes[place] = random.below(128) as u8,
                    1 => bytes.truncate(place + 1),
                    2 => bytes.insert(place, b"0-9[]{}<>\"e.\n "[random.below(14) as usize]),
                    _ => {
                        let copy = bytes[place..].to_vec();
                        bytes.extend(copy);
                    }
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            for read in [gml, graphml, sndlib, repetita, topohub, teal, teavar, rtt_matrix] {
                let _ = read(&text, &defaults).is_ok();
            }
            let _ = repetita_demands(&text, &import).is_ok();
            let _ = teavar_demands(&text, &import, &defaults).is_ok();
            let _ = teal_demands(&text, &b4, &defaults).is_ok();
        }
    }
}
