//! XML: GraphML as the Topology Zoo writes it, and the native format of SNDlib (S. Orlowski et al., "SNDlib 1.0:
//! Survivable Network Design Library", Networks 55, 2010). Documents that declare entities are refused.

use std::collections::BTreeMap;

use roxmltree::{Document, Node as Element, ParsingOptions};

use crate::draft::{Defaults, Draft, Edge, Import, ImportError, Node, Problem, fail, number};

/// Elements of any kind in a document.
const MAX_ELEMENTS: u32 = 10_000_000;

fn parse(text: &str) -> Result<Document<'_>, ImportError> {
    let options = ParsingOptions {
        nodes_limit: MAX_ELEMENTS,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| {
        fail(
            error.pos().row as usize,
            "file",
            Problem::Syntax(error.to_string()),
        )
    })
}

fn line(element: Element) -> usize {
    element.document().text_pos_at(element.range().start).row as usize
}

fn children<'a, 'b>(element: Element<'a, 'b>, name: &'b str) -> impl Iterator<Item = Element<'a, 'b>> {
    element
        .children()
        .filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn child<'a, 'b>(element: Element<'a, 'b>, name: &'static str) -> Result<Element<'a, 'b>, ImportError> {
    let found = children(element, name).next();
    found.ok_or_else(|| fail(line(element), element.tag_name().name(), Problem::Missing(name)))
}

fn attribute(element: Element, name: &'static str) -> Result<String, ImportError> {
    let found = element.attribute(name).map(str::to_owned);
    found.ok_or_else(|| fail(line(element), element.tag_name().name(), Problem::Missing(name)))
}

fn content(element: Element) -> String {
    element.text().unwrap_or_default().trim().to_owned()
}

fn value(element: Element) -> Result<f64, ImportError> {
    number(&content(element)).map_err(|problem| fail(line(element), element.tag_name().name(), problem))
}

/// Reads a GraphML graph. `edgedefault` says whether edges are directed; `LinkSpeedRaw` is a capacity in bit/s.
///
/// # Errors
/// [`ImportError`].
pub fn graphml(text: &str, defaults: &Defaults) -> Result<Import, ImportError> {
    let document = parse(text)?;
    let root = document.root_element();
    // Data refer to keys by id; a key has a name.
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for key in children(root, "key") {
        if let (Some(id), Some(name)) = (key.attribute("id"), key.attribute("attr.name")) {
            names.insert(id, name);
        }
    }
    let graph = child(root, "graph")?;
    let directed = graph.attribute("edgedefault") == Some("directed");
    let data = |element: Element, wanted: &str| {
        let of_name = |data: &Element| data.attribute("key").and_then(|id| names.get(id)) == Some(&wanted);
        children(element, "data").find(of_name).map(content)
    };
    let amount = |element: Element, wanted: &str| {
        let text = data(element, wanted);
        text.map(|text| number(&text))
            .transpose()
            .map_err(|problem| fail(line(element), element.tag_name().name(), problem))
    };
    let mut draft = Draft::new(true);
    for element in children(graph, "node") {
        draft.node(Node {
            line: line(element),
            key: attribute(element, "id")?,
            label: data(element, "label").unwrap_or_default(),
            kind: data(element, "type"),
            position: amount(element, "Longitude")?.zip(amount(element, "Latitude")?),
        })?;
    }
    for (place, element) in children(graph, "edge").enumerate() {
        let (from, to) = (attribute(element, "source")?, attribute(element, "target")?);
        let directed = element
            .attribute("directed")
            .map_or(directed, |text| text == "true");
        draft.edge(Edge {
            capacity: amount(element, "LinkSpeedRaw")?,
            ..Edge::new(line(element), format!("edge {place}"), from, to, directed)
        });
    }
    draft.finish(defaults)
}

/// Reads a network in SNDlib's native XML. Links carry their capacity in both directions: the one that is installed, or
/// else the largest module that could be. Demands go from their source to their target.
///
/// # Errors
/// [`ImportError`].
pub fn sndlib(text: &str, defaults: &Defaults) -> Result<Import, ImportError> {
    let document = parse(text)?;
    let root = document.root_element();
    let structure = child(root, "networkStructure")?;
    let nodes = child(structure, "nodes")?;
    let mut draft = Draft::new(true);
    // Coordinates in a plane are no degrees even when they happen to look like some.
    let degrees = nodes.attribute("coordinatesType") != Some("pixel");
    for element in children(nodes, "node") {
        let position = match children(element, "coordinates").next() {
            Some(place) if degrees => Some((value(child(place, "x")?)?, value(child(place, "y")?)?)),
            _ => None,
        };
        let key = attribute(element, "id")?;
        draft.node(Node {
            line: line(element),
            label: key.clone(),
            key,
            kind: None,
            position,
        })?;
    }
    for element in children(child(structure, "links")?, "link") {
        let id = attribute(element, "id")?;
        let (from, to) = (
            content(child(element, "source")?),
            content(child(element, "target")?),
        );
        let (capacity, cost) = installed(element)?;
        draft.edge(Edge {
            capacity: capacity.map(|capacity| capacity * defaults.unit as f64),
            cost,
            ..Edge::new(line(element), format!("link {id}"), from, to, false)
        });
    }
    let mut import = draft.finish(defaults)?;
    for list in children(root, "demands") {
        for element in children(list, "demand") {
            let end = |name| {
                let node = child(element, name)?;
                let key = content(node);
                let known = import.region(&key);
                known.ok_or_else(|| fail(line(node), "demand", Problem::UnknownNode(key)))
            };
            let (from, to) = (end("source")?, end("target")?);
            let amount = child(element, "demandValue")?;
            let rate = value(amount)? * defaults.unit as f64;
            crate::draft::whole("demand", rate).map_err(|problem| fail(line(amount), "demand", problem))?;
            import.demands.add(from, to, rate);
        }
    }
    Ok(import)
}

/// Capacity and routing cost of an SNDlib link.
fn installed(link: Element) -> Result<(Option<f64>, Option<f64>), ImportError> {
    let mut capacity = None;
    if let Some(module) = children(link, "preInstalledModule").next() {
        capacity = Some(value(child(module, "capacity")?)?);
    }
    if capacity.is_none_or(|capacity| capacity == 0.0) {
        for modules in children(link, "additionalModules") {
            for module in children(modules, "addModule") {
                let size = value(child(module, "capacity")?)?;
                capacity = Some(capacity.map_or(size, |known: f64| known.max(size)));
            }
        }
    }
    let cost = children(link, "routingCost").next().map(value).transpose()?;
    // Costs here are whole numbers; SNDlib's often are fractions and then say nothing about IGP weights.
    Ok((capacity, cost.filter(|cost| cost.fract() == 0.0)))
}
