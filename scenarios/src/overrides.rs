//! `--set path=value`: replaces or adds a value in the tree of a scenario before it is decoded.
//!
//! `path` goes through fields (`.loss`), items by index (`links[0]`) and items by name (`vms[vm0]`,
//! `links[us-east->eu-west]` for a directed link, `links[us-east<->eu-west]` for a symmetric one). `value` is
//! RON; what does not read as RON, such as `10 Gbit/s` or `eu-west`, is taken as a string. A field that the
//! file does not mention is added, and the decoder then judges it like any other; its messages point into the
//! `--set`.

use std::ops::Range;

use crate::diagnose::{Diagnostic, Place, Sink};
use crate::path::{self, Step};
use crate::source::Source;
use crate::suggest;
use crate::syntax::{self, Field, Kind, Name, Node};

/// Applies one override, the text `index` of the scenario, to the tree. Mistakes go to `sink`.
pub fn apply(root: &mut Node, text: &str, index: u16, sink: &mut Sink) {
    let place = |range: Range<usize>| Place {
        text: index,
        start: u32::try_from(range.start).expect("a text below 4 GiB"),
        end: u32::try_from(range.end).expect("a text below 4 GiB"),
    };
    let Some(equals) = text.find('=') else {
        sink.push(Diagnostic::error(
            place(0..text.len()),
            "",
            "an override is written path=value",
        ));
        return;
    };
    let target = text[..equals].trim_end();
    let steps = match path::parse(target) {
        Ok(steps) => steps,
        Err(error) => {
            sink.push(Diagnostic::error(place(error.at.clone()), "", error.to_string()));
            return;
        }
    };
    let Some(value) = value(text, index, equals + 1, place(equals + 1..text.len()), sink) else {
        return;
    };
    let mut node = root;
    let mut walked = String::new();
    for (step, at) in steps {
        match enter(node, &step, place(at.clone())) {
            Ok(next) => node = next,
            Err(refusal) => {
                let mut error = Diagnostic::error(place(at), walked, refusal.message);
                error.help = refusal.help;
                sink.push(error);
                return;
            }
        }
        walked = target[..at.end].to_owned();
    }
    *node = value;
}

/// The value behind the equals sign at byte `start` of the override.
fn value(text: &str, index: u16, start: usize, place: Place, sink: &mut Sink) -> Option<Node> {
    let raw = text[start..].trim();
    if raw.is_empty() {
        sink.push(Diagnostic::error(place, "", "a value is expected after `=`"));
        return None;
    }
    let mut trial = Sink::default();
    if let Some(node) = syntax::parse(text, index, start, &mut trial) {
        return Some(node);
    }
    if meant_as_ron(raw) {
        for error in trial.items() {
            sink.push(error.clone());
        }
        return None;
    }
    Some(Node {
        kind: Kind::Text(raw.to_owned()),
        place,
    })
}

/// Whether the author can only have meant RON, so that a syntax error is one.
fn meant_as_ron(raw: &str) -> bool {
    let behind_name = raw.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    raw.starts_with(['(', '[', '{', '"', '\'']) || behind_name.starts_with('(')
}

struct Refusal {
    message: String,
    help: Option<String>,
}

impl Refusal {
    fn new(message: impl Into<String>) -> Refusal {
        Refusal {
            message: message.into(),
            help: None,
        }
    }
}

/// One step down. A field that is not there is added with an empty struct for a value.
fn enter<'n>(node: &'n mut Node, step: &Step, place: Place) -> Result<&'n mut Node, Refusal> {
    match step {
        Step::Field(name) => field(node, name, place),
        Step::Index(index) => {
            let described = node.describe();
            let (Kind::List(items) | Kind::Tuple(_, items)) = &mut node.kind else {
                return Err(Refusal::new(format!("{described} has no items")));
            };
            let count = items.len();
            items
                .get_mut(*index)
                .ok_or_else(|| Refusal::new(format!("there are {count} items, counted from 0")))
        }
        Step::Item(name) => {
            let described = node.describe();
            let Kind::List(items) = &mut node.kind else {
                return Err(Refusal::new(format!("{described} has no items")));
            };
            match named(items, name) {
                Some(index) => Ok(&mut items[index]),
                None => {
                    let names: Vec<String> = items.iter().filter_map(item_name).collect();
                    Err(Refusal {
                        message: format!("no item is named `{name}`"),
                        help: suggest::help(name, names.iter().map(String::as_str)),
                    })
                }
            }
        }
    }
}

fn field<'n>(node: &'n mut Node, name: &str, place: Place) -> Result<&'n mut Node, Refusal> {
    // `()` is a tuple and a struct; and a variant written without brackets has no fields yet.
    if let Kind::Tuple(bearer, items) = &mut node.kind
        && items.is_empty()
    {
        node.kind = Kind::Struct(bearer.take(), Vec::new());
    }
    let described = node.describe();
    let Kind::Struct(_, fields) = &mut node.kind else {
        return Err(Refusal::new(format!("{described} has no fields")));
    };
    let index = match fields.iter().position(|field| field.name.text == name) {
        Some(index) => index,
        None => {
            let name = Name {
                text: name.to_owned(),
                place,
            };
            fields.push(Field {
                name,
                value: Node {
                    kind: Kind::Struct(None, Vec::new()),
                    place,
                },
            });
            fields.len() - 1
        }
    };
    Ok(&mut fields[index].value)
}

/// The index of the item of this name.
fn named(items: &[Node], name: &str) -> Option<usize> {
    let wanted: String = name.chars().filter(|c| !c.is_whitespace()).collect();
    items
        .iter()
        .position(|item| item_name(item).is_some_and(|known| known == wanted))
}

/// Where each override leads in a scenario that those before it have changed: its steps, with items that are called by
/// name as their indices, so that two spellings of one field are equal. `None` for what is no override or no path.
pub fn targets(source: &Source, overrides: &[String]) -> Vec<Option<Vec<Step>>> {
    let mut ignored = Sink::default();
    let mut root = syntax::parse(&source.text, 0, 0, &mut ignored);
    let targets = (1..).zip(overrides).map(|(index, text)| {
        let root = root.as_mut()?;
        let target = text.find('=').map(|equals| text[..equals].trim_end())?;
        let steps = path::parse(target).ok()?;
        let steps = resolved(root, steps.into_iter().map(|(step, _)| step));
        apply(root, text, index, &mut ignored);
        Some(steps)
    });
    targets.collect()
}

/// Steps with names as indices, as far as there is something of that name.
fn resolved(root: &Node, steps: impl Iterator<Item = Step>) -> Vec<Step> {
    let mut node = Some(root);
    let steps = steps.map(|step| {
        let step = match step {
            Step::Item(name) => node
                .and_then(|node| named(node.items(), &name))
                .map_or(Step::Item(name), Step::Index),
            other => other,
        };
        node = node.and_then(|node| match &step {
            Step::Field(name) => node.field(name),
            Step::Index(index) => node.items().get(*index),
            Step::Item(_) => None,
        });
        step
    });
    steps.collect()
}

/// How an item of a list is called: by its `name`, a link by its ends, a service behind another by its own name.
fn item_name(item: &Node) -> Option<String> {
    let text = |field: &str| item.field(field).and_then(Node::text);
    if let Some(name) = text("name") {
        return Some(name.to_owned());
    }
    if let (Some(from), Some(to)) = (text("from"), text("to")) {
        return Some(format!("{from}->{to}"));
    }
    if let Some(service) = text("service") {
        return Some(service.to_owned());
    }
    match item.field("between")?.items() {
        [first, second] => Some(format!("{}<->{}", first.text()?, second.text()?)),
        _ => None,
    }
}
