//! GML as the Internet Topology Zoo writes it (M. Himsolt, "GML: a portable graph file format", 1996; S. Knight et al.,
//! "The Internet Topology Zoo", IEEE JSAC 29, 2011). Nodes are known by `id`: labels repeat.

use crate::draft::{Defaults, Draft, Edge, Import, ImportError, Node, Problem, fail, number};

/// Lists within lists; real files have three.
const MAX_DEPTH: usize = 32;

/// A value with the line on which its key stands.
#[derive(Clone, Debug)]
enum Value<'a> {
    /// A number or word as written, or the inside of a string.
    Text(&'a str),
    List(Vec<Entry<'a>>),
}

#[derive(Clone, Debug)]
struct Entry<'a> {
    line: usize,
    key: &'a str,
    value: Value<'a>,
}

/// Reads a GML graph. Edges are undirected unless it says `directed 1`; `LinkSpeedRaw` is a capacity in bit/s.
///
/// # Errors
/// [`ImportError`].
pub fn gml(text: &str, defaults: &Defaults) -> Result<Import, ImportError> {
    let mut parser = Parser { rest: text, line: 1 };
    let entries = parser.entries(0)?;
    let graph = entries.iter().find(|entry| entry.key == "graph");
    let Some(Value::List(graph)) = graph.map(|entry| &entry.value) else {
        return Err(fail(0, "file", Problem::Missing("graph")));
    };
    let directed = text_of(graph, "directed") == Some("1");
    let mut draft = Draft::new(true);
    let mut edges = 0;
    for entry in graph {
        let (line, Value::List(list)) = (entry.line, &entry.value) else {
            continue;
        };
        match entry.key {
            "node" => draft.node(node(line, list)?)?,
            "edge" => {
                draft.edge(edge(line, list, edges, directed)?);
                edges += 1;
            }
            _ => {}
        }
    }
    draft.finish(defaults)
}

fn node(line: usize, list: &[Entry]) -> Result<Node, ImportError> {
    let key = text_of(list, "id").ok_or_else(|| fail(line, "node", Problem::Missing("id")))?;
    let degrees = |name| match text_of(list, name) {
        Some(text) => number(text)
            .map(Some)
            .map_err(|problem| fail(line, format!("node {key}"), problem)),
        None => Ok(None),
    };
    Ok(Node {
        line,
        key: key.to_owned(),
        label: text_of(list, "label").unwrap_or_default().to_owned(),
        kind: text_of(list, "type").map(str::to_owned),
        position: degrees("Longitude")?.zip(degrees("Latitude")?),
    })
}

fn edge(line: usize, list: &[Entry], place: usize, directed: bool) -> Result<Edge, ImportError> {
    let element = format!("edge {place}");
    let end = |name| {
        let found = text_of(list, name).map(str::to_owned);
        found.ok_or_else(|| fail(line, element.clone(), Problem::Missing(name)))
    };
    let (from, to) = (end("source")?, end("target")?);
    let speed = text_of(list, "LinkSpeedRaw").map(number).transpose();
    let capacity = speed.map_err(|problem| fail(line, element.clone(), problem))?;
    Ok(Edge {
        capacity,
        ..Edge::new(line, element, from, to, directed)
    })
}

/// The value of the first entry of this key, if it is no list.
fn text_of<'a>(list: &[Entry<'a>], key: &str) -> Option<&'a str> {
    let entry = list.iter().find(|entry| entry.key == key)?;
    match entry.value {
        Value::Text(text) => Some(text),
        Value::List(_) => None,
    }
}

struct Parser<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Parser<'a> {
    /// Key–value pairs up to the end of the list, or of the text at depth 0.
    fn entries(&mut self, depth: usize) -> Result<Vec<Entry<'a>>, ImportError> {
        let mut entries = Vec::new();
        loop {
            self.skip();
            let line = self.line;
            let Some(first) = self.rest.chars().next() else {
                if depth > 0 {
                    return Err(self.error("the text ends inside a list"));
                }
                return Ok(entries);
            };
            if first == ']' {
                if depth == 0 {
                    return Err(self.error("a list ends that did not begin"));
                }
                self.take(1);
                return Ok(entries);
            }
            if !(first.is_ascii_alphabetic() || first == '_') {
                return Err(self.error("a key must begin with a letter"));
            }
            let key = self.word();
            let value = self.value(depth)?;
            entries.push(Entry { line, key, value });
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, ImportError> {
        self.skip();
        match self.rest.chars().next() {
            None => Err(self.error("the text ends after a key")),
            Some(']') => Err(self.error("a key without a value")),
            Some('[') if depth == MAX_DEPTH => Err(self.error("lists within lists, too deep")),
            Some('[') => {
                self.take(1);
                Ok(Value::List(self.entries(depth + 1)?))
            }
            Some('"') => {
                let inside = &self.rest[1..];
                let Some(end) = inside.find('"') else {
                    return Err(self.error("a string without an end"));
                };
                let text = &inside[..end];
                self.take(end + 2);
                Ok(Value::Text(text))
            }
            Some(_) => Ok(Value::Text(self.word())),
        }
    }

    /// Up to the next white space or bracket; not empty.
    fn word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || c == '[' || c == ']');
        let word = &self.rest[..end.unwrap_or(self.rest.len())];
        self.take(word.len());
        word
    }

    /// White space and comments.
    fn skip(&mut self) {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if !self.rest.starts_with('#') {
                return;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.take(end);
        }
    }

    fn take(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
    }

    fn error(&self, what: &str) -> ImportError {
        fail(self.line, "file", Problem::Syntax(what.to_owned()))
    }
}
