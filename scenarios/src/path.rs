//! Paths of fields: `links[2].loss.mean`, as messages name them and `--set` takes them.

use std::ops::Range;

use crate::diagnose::Place;
use crate::syntax::{Kind, Node};

/// One step of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// `.name`: a field.
    Field(String),
    /// `[2]`: an item, counted from 0.
    Index(usize),
    /// `[name]`: the item of this name.
    Item(String),
}

/// Why a text is no path, and which of its bytes are to blame.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// Bytes of the text.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: &'static str,
}

/// The steps of a path and where each is written.
///
/// # Errors
/// If the text is not of the form `field[item].field`.
pub fn parse(text: &str) -> Result<Vec<(Step, Range<usize>)>, PathError> {
    let mut steps = Vec::new();
    let mut at = 0;
    loop {
        let bracket = text[at..].starts_with('[');
        if bracket {
            let Some(length) = text[at..].find(']') else {
                return Err(PathError {
                    at: at..text.len(),
                    message: "this bracket is never closed",
                });
            };
            let item = text[at + 1..at + length].trim();
            if item.is_empty() {
                return Err(PathError {
                    at: at..at + length + 1,
                    message: "an index or a name is expected in the brackets",
                });
            }
            let step = item
                .parse()
                .map_or_else(|_| Step::Item(item.to_owned()), Step::Index);
            steps.push((step, at..at + length + 1));
            at += length + 1;
        } else {
            let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = text[at..]
                .find(|c| !name(c))
                .map_or(text.len(), |length| at + length);
            if end == at {
                let next = text[at..].chars().next().map_or(0, char::len_utf8);
                return Err(PathError {
                    at: at..at + next,
                    message: "the name of a field is expected here",
                });
            }
            steps.push((Step::Field(text[at..end].to_owned()), at..end));
            at = end;
        }
        if at == text.len() {
            return Ok(steps);
        }
        if let Some(rest) = text[at..].strip_prefix('.') {
            at = text.len() - rest.len();
            if rest.starts_with('[') {
                return Err(PathError {
                    at: at..at + 1,
                    message: "the name of a field is expected after a point",
                });
            }
        } else if !text[at..].starts_with('[') {
            let next = text[at..].chars().next().map_or(0, char::len_utf8);
            return Err(PathError {
                at: at..at + next,
                message: "`.` or `[` is expected here",
            });
        }
    }
}

/// Where the value at `path` stands. If it is not written, because it has its default, where the innermost
/// thing around it stands.
///
/// # Panics
/// If `path` is not a path; those in here are our own.
pub fn locate(root: &Node, path: &str) -> Place {
    let steps = parse(path).expect("a path of ours");
    let mut node = root;
    for (step, _) in steps {
        let next = match step {
            Step::Field(name) => node.field(&name),
            Step::Index(index) => node.items().get(index),
            Step::Item(_) => None,
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    match node.kind {
        Kind::Tuple(Some(_), ref items) if items.len() == 1 => node.place,
        _ => node.head(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_fields_and_items() {
        let steps: Vec<Step> = parse("links[2].loss.mean")
            .unwrap()
            .into_iter()
            .map(|(step, _)| step)
            .collect();
        let field = |name: &str| Step::Field(name.to_owned());
        assert_eq!(
            steps,
            [field("links"), Step::Index(2), field("loss"), field("mean")]
        );
        let steps = parse("vms[vm-0].memory").unwrap();
        assert_eq!(steps[1], (Step::Item("vm-0".to_owned()), 3..9));
    }

    #[test]
    fn what_is_no_path_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("", 0..0),
            ("a..b", 2..2),
            ("a[", 1..2),
            ("a[]", 1..3),
            ("a b", 1..2),
            ("a.", 2..2),
            ("ä", 0..2),
            ("a.[0]", 2..3),
            ("a[0]b", 4..5),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.at.start, at.start, "{text}: {error}");
        }
    }
}
