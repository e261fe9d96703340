//! JSON: TopoHub and Teal graphs in the node-link form of networkx, and matrices of round trips between cloud
//! regions. Repeated keys are refused, as they would hide each other.

use std::fmt;
use std::marker::PhantomData;

use longhaul_routing::RegionId;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::draft::{Defaults, Draft, Edge, Import, ImportError, Node, Problem, fail, whole};

/// An object as a list: keeps the order of the file, and refuses a repeated key.
#[derive(Clone, Debug)]
struct Pairs<V>(Vec<(String, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Pairs<V> {
        Pairs(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs<V>, D::Error> {
        struct Collect<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Collect<V> {
            type Value = Pairs<V>;
            fn expecting(&self, text: &mut fmt::Formatter) -> fmt::Result {
                text.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs = Vec::new();
                let mut seen = std::collections::BTreeSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(de::Error::custom(format!("\"{key}\" occurs twice")));
                    }
                    pairs.push((key, map.next_value()?));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect(PhantomData))
    }
}

/// A node's id: a number or a string.
#[derive(Clone, Debug)]
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Key;
            fn expecting(&self, text: &mut fmt::Formatter) -> fmt::Result {
                text.write_str("a node's id, a whole number or a string")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Key, E> {
                Ok(Key(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Key, E> {
                Ok(Key(number.to_string()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                Ok(Key(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
struct NodeLink {
    #[serde(default)]
    directed: bool,
    #[serde(default)]
    graph: Attributes,
    nodes: Vec<JsonNode>,
    // networkx called them links until version 3.4.
    #[serde(alias = "links")]
    edges: Vec<JsonEdge>,
}

#[derive(Default, Deserialize)]
struct Attributes {
    #[serde(default)]
    demands: Pairs<Pairs<f64>>,
}

#[derive(Deserialize)]
struct JsonNode {
    id: Key,
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Longitude first.
    pos: Option<[f64; 2]>,
}

#[derive(Deserialize)]
struct JsonEdge {
    source: Key,
    target: Key,
    dist: Option<f64>,
    capacity: Option<f64>,
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ImportError> {
    serde_json::from_str(text).map_err(|error| {
        let line = error.line();
        fail(line, "file", Problem::Syntax(error.to_string()))
    })
}

/// The parser tells the lines of syntax errors alone; elements are named by their place instead.
fn node_link(text: &str, defaults: &Defaults) -> Result<Import, ImportError> {
    let file: NodeLink = parse(text)?;
    let mut draft = Draft::new(file.nodes.iter().any(|node| node.pos.is_some()));
    for node in file.nodes {
        let Key(key) = node.id;
        draft.node(Node {
            line: 0,
            label: node.name.unwrap_or_default(),
            kind: node.kind,
            position: node.pos.map(|[longitude, latitude]| (longitude, latitude)),
            key,
        })?;
    }
    for (place, edge) in file.edges.into_iter().enumerate() {
        let (Key(from), Key(to)) = (edge.source, edge.target);
        let element = format!("edge {place} ({from} to {to})");
        draft.edge(Edge {
            length_km: edge.dist,
            capacity: edge.capacity.map(|capacity| capacity * defaults.unit as f64),
            ..Edge::new(0, element, from, to, file.directed)
        });
    }
    let mut import = draft.finish(defaults)?;
    for (source, targets) in file.graph.demands.0 {
        for (target, amount) in targets.0 {
            let element = || format!("demand from {source} to {target}");
            let end = |key: &String| -> Result<RegionId, ImportError> {
                let known = import.region(key);
                known.ok_or_else(|| fail(0, element(), Problem::UnknownNode(key.clone())))
            };
            let (from, to) = (end(&source)?, end(&target)?);
            let rate = amount * defaults.unit as f64;
            whole("demand", rate).map_err(|problem| fail(0, element(), problem))?;
            import.demands.add(from, to, rate);
        }
    }
    Ok(import)
}

/// Reads a TopoHub graph (P. Jurkiewicz, "TopoHub", SoftwareX 24, 2023): undirected, `pos` with the longitude first,
/// `dist` in kilometres, demands as listed.
///
/// # Errors
/// [`ImportError`].
pub fn topohub(text: &str, defaults: &Defaults) -> Result<Import, ImportError> {
    node_link(text, defaults)
}

/// Reads a Teal graph (Z. Xu et al., SIGCOMM 2023): directed, with capacities in [`Defaults::unit`] and no delays.
///
/// # Errors
/// [`ImportError`].
pub fn teal(text: &str, defaults: &Defaults) -> Result<Import, ImportError> {
    node_link(text, defaults)
}

#[derive(Deserialize)]
struct Matrix {
    data: Pairs<Pairs<f64>>,
}

/// Reads a matrix of round-trip times in milliseconds, `{"data": {source: {destination: ms}}}`: a full mesh of links whose
/// one-way latency is half of the round trip that their source measured. Entries from a region to itself are left out. A
/// destination that is no source is an unknown node.
///
/// # Errors
/// [`ImportError`].
pub fn rtt_matrix(text: &str, defaults: &Defaults) -> Result<Import, ImportError> {
    let Matrix { data } = parse(text)?;
    let mut draft = Draft::new(false);
    for (name, _) in &data.0 {
        draft.node(Node {
            line: 0,
            key: name.clone(),
            label: name.clone(),
            kind: None,
            position: None,
        })?;
    }
    for (from, row) in data.0 {
        for (to, ms) in row.0 {
            if from == to {
                continue;
            }
            let element = format!("\"{from}\" to \"{to}\"");
            draft.edge(Edge {
                latency: Some(ms * 1e6 / 2.0),
                capacity: Some(defaults.capacity.as_bits_per_s() as f64),
                ..Edge::new(0, element, from.clone(), to, true)
            });
        }
    }
    draft.finish(defaults)
}
