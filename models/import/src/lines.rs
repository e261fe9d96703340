//! Formats of one entry a line: REPETITA (S. Gay, P. Schaus, S. Vissicchio, arXiv 1710.08665), TEAVAR (J. Bogle et al.,
//! SIGCOMM 2019) and matrices as CSV.

use std::collections::BTreeSet;

use longhaul_routing::Demands;

use crate::draft::{Defaults, Draft, Edge, Import, ImportError, Node, Problem, fail, number, whole};

/// Lines with their numbers, without those that are blank.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = (1..).zip(text.lines().map(str::trim));
    numbered.filter(|(_, line)| !line.is_empty())
}

/// The fields of a line, exactly `N` of them.
fn fields<'a, const N: usize>(
    line: usize,
    element: &str,
    parts: impl Iterator<Item = &'a str>,
) -> Result<[&'a str; N], ImportError> {
    let all: Vec<&str> = parts.collect();
    let found = all.len();
    all.try_into()
        .map_err(|_| fail(line, element, Problem::Count { expected: N, found }))
}

fn numeric(line: usize, element: &str, text: &str) -> Result<f64, ImportError> {
    number(text).map_err(|problem| fail(line, element, problem))
}

/// The header `NAME count` of a section and the line with its column names; then `count` entries may be taken.
fn section<'a>(
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
    name: &'static str,
) -> Result<usize, ImportError> {
    let missing = || fail(0, "file", Problem::Missing(name));
    let (line, header) = lines.next().ok_or_else(missing)?;
    let [title, count] = fields(line, "header", header.split_whitespace())?;
    if title != name {
        return Err(fail(line, "header", Problem::Missing(name)));
    }
    let count = numeric(line, title, count)?;
    let count = whole("count", count).map_err(|problem| fail(line, title, problem))?;
    lines.next().ok_or_else(missing)?;
    Ok(count as usize)
}

/// Reads a REPETITA graph: nodes `label x y` (longitude, latitude), directed edges `label src dest weight bw delay` with the
/// IGP weight, which becomes the cost, kbit/s and microseconds one way. Nodes are known by their place, from 0.
///
/// # Errors
/// [`ImportError`].
pub fn repetita(text: &str, defaults: &Defaults) -> Result<Import, ImportError> {
    let mut lines = lines(text);
    let mut draft = Draft::new(true);
    let expected = section(&mut lines, "NODES")?;
    let mut found = 0;
    for (line, entry) in lines.by_ref().take(expected) {
        let element = format!("node {found}");
        let [label, x, y] = fields(line, &element, entry.split_whitespace())?;
        draft.node(Node {
            line,
            key: found.to_string(),
            label: label.to_owned(),
            kind: None,
            position: Some((numeric(line, &element, x)?, numeric(line, &element, y)?)),
        })?;
        found += 1;
    }
    if found < expected {
        return Err(fail(0, "NODES", Problem::Count { expected, found }));
    }
    let expected = section(&mut lines, "EDGES")?;
    let mut found = 0;
    for (line, entry) in lines.by_ref().take(expected) {
        let element = format!("edge {found}");
        let [_, from, to, weight, kbit, us] = fields(line, &element, entry.split_whitespace())?;
        draft.edge(Edge {
            capacity: Some(numeric(line, &element, kbit)? * 1e3),
            latency: Some(numeric(line, &element, us)? * 1e3),
            cost: Some(numeric(line, &element, weight)?),
            ..Edge::new(line, element, from.to_owned(), to.to_owned(), true)
        });
        found += 1;
    }
    if found < expected {
        return Err(fail(0, "EDGES", Problem::Count { expected, found }));
    }
    draft.finish(defaults)
}

/// Reads REPETITA demands, `label src dest bw` in kbit/s, for the graph that was read before.
///
/// # Errors
/// [`ImportError`].
pub fn repetita_demands(text: &str, graph: &Import) -> Result<Demands, ImportError> {
    let mut lines = lines(text);
    let expected = section(&mut lines, "DEMANDS")?;
    let mut demands = Demands::new();
    let mut found = 0;
    for (line, entry) in lines.by_ref().take(expected) {
        let element = format!("demand {found}");
        let [_, from, to, kbit] = fields(line, &element, entry.split_whitespace())?;
        let rate = numeric(line, &element, kbit)? * 1e3;
        add(&mut demands, graph, line, &element, from, to, rate)?;
        found += 1;
    }
    if found < expected {
        return Err(fail(0, "DEMANDS", Problem::Count { expected, found }));
    }
    Ok(demands)
}

fn add(
    demands: &mut Demands,
    graph: &Import,
    line: usize,
    element: &str,
    from: &str,
    to: &str,
    rate: f64,
) -> Result<(), ImportError> {
    let refuse = |problem| fail(line, element, problem);
    let end = |key: &str| {
        let known = graph.region(key);
        known.ok_or_else(|| refuse(Problem::UnknownNode(key.to_owned())))
    };
    let (from, to) = (end(from)?, end(to)?);
    whole("demand", rate).map_err(refuse)?;
    demands.add(from, to, rate);
    Ok(())
}

/// Reads a TEAVAR topology: a header, then `to from capacity probability` with nodes numbered from 1, capacity in
/// [`Defaults::unit`] and the probability that the link is down.
///
/// # Errors
/// [`ImportError`].
pub fn teavar(text: &str, defaults: &Defaults) -> Result<Import, ImportError> {
    let mut draft = Draft::new(false);
    let mut nodes = BTreeSet::new();
    let mut edges = Vec::new();
    for (line, entry) in lines(text).skip(1) {
        let element = format!("edge {}", edges.len());
        let [to, from, capacity, failure] = fields(line, &element, entry.split_whitespace())?;
        for key in [from, to] {
            let number = numeric(line, &element, key)?;
            nodes.insert(whole("node", number).map_err(|problem| fail(line, &*element, problem))?);
        }
        edges.push(Edge {
            capacity: Some(numeric(line, &element, capacity)? * defaults.unit as f64),
            failure: Some(numeric(line, &element, failure)?),
            ..Edge::new(line, element, from.to_owned(), to.to_owned(), true)
        });
    }
    if edges.is_empty() {
        return Err(fail(0, "file", Problem::Missing("edges")));
    }
    for key in nodes {
        draft.node(Node {
            line: 0,
            key: key.to_string(),
            label: key.to_string(),
            kind: None,
            position: None,
        })?;
    }
    for edge in edges {
        draft.edge(edge);
    }
    draft.finish(defaults)
}

/// Reads TEAVAR demands for the topology that was read before: one matrix a line, row by row, in [`Defaults::unit`].
/// A longer or a shorter line is an error.
///
/// # Errors
/// [`ImportError`].
pub fn teavar_demands(text: &str, graph: &Import, defaults: &Defaults) -> Result<Vec<Demands>, ImportError> {
    let count = graph.regions.len();
    let mut matrices = Vec::new();
    for (line, row) in lines(text) {
        let element = format!("matrix {}", matrices.len());
        let mut demands = Demands::new();
        let mut found = 0;
        for (place, entry) in row.split_whitespace().enumerate() {
            found += 1;
            if place >= count * count {
                continue;
            }
            let rate = numeric(line, &element, entry)? * defaults.unit as f64;
            whole("demand", rate).map_err(|problem| fail(line, &*element, problem))?;
            let (from, to) = (&graph.regions[place / count], &graph.regions[place % count]);
            demands.add(from.id, to.id, rate);
        }
        let expected = count * count;
        if found != expected {
            return Err(fail(line, element, Problem::Count { expected, found }));
        }
        matrices.push(demands);
    }
    Ok(matrices)
}

/// Reads matrices as CSV with the columns `tm,src,dst,demand`, in [`Defaults::unit`], for the graph that was read before.
/// They come in the order of their numbers, which must be 0, 1, 2, …
///
/// # Errors
/// [`ImportError`].
pub fn teal_demands(text: &str, graph: &Import, defaults: &Defaults) -> Result<Vec<Demands>, ImportError> {
    let mut matrices: Vec<Demands> = Vec::new();
    for (line, entry) in lines(text).skip(1) {
        let [number, from, to, demand] = fields(line, "row", entry.split(',').map(str::trim))?;
        let number = numeric(line, "tm", number)?;
        let number = whole("tm", number).map_err(|problem| fail(line, "tm", problem))?;
        if number == matrices.len() as u64 {
            matrices.push(Demands::new());
        }
        let value = number.to_string();
        let problem = Problem::OutOfRange { what: "tm", value };
        let place = usize::try_from(number).ok();
        let matrix = place.and_then(|place| matrices.get_mut(place));
        let matrix = matrix.ok_or_else(|| fail(line, "tm", problem))?;
        let rate = numeric(line, "demand", demand)? * defaults.unit as f64;
        add(matrix, graph, line, "row", from, to, rate)?;
    }
    Ok(matrices)
}
