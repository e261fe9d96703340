//! The tree of a RON text.

use crate::diagnose::Place;

/// An identifier and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// The identifier.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// A value and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// From its first to its last byte, brackets and name included.
    pub place: Place,
}

/// A field of a struct.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Node,
}

/// What a value is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool(bool),
    /// A number as written; what it may be depends on the field.
    Number(String),
    /// A string, its escapes resolved.
    Text(String),
    /// `[a, b]`.
    List(Vec<Node>),
    /// A name alone: a variant without content.
    Word(String),
    /// `(a, b)` or `Name(a, b)`; also `()`, which is a struct without fields just as well.
    Tuple(Option<Name>, Vec<Node>),
    /// `(field: a)` or `Name(field: a)`.
    Struct(Option<Name>, Vec<Field>),
}

impl Node {
    /// Where to point when the whole value is meant: a long list or struct only at its opening.
    pub fn head(&self) -> Place {
        let bracket = |start: u32| Place {
            end: start + 1,
            ..self.place
        };
        match &self.kind {
            Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Word(_) => self.place,
            Kind::Tuple(Some(name), _) | Kind::Struct(Some(name), _) => name.place,
            Kind::List(_) | Kind::Tuple(None, _) | Kind::Struct(None, _) => bracket(self.place.start),
        }
    }

    /// What it is, for a message that something else was expected.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Bool(value) => format!("`{value}`"),
            Kind::Number(_) => "a number".to_owned(),
            Kind::Text(_) => "a string".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Word(word) => format!("`{word}`"),
            Kind::Tuple(Some(name), _) | Kind::Struct(Some(name), _) => format!("`{}(…)`", name.text),
            Kind::Tuple(None, items) if items.is_empty() => "`()`".to_owned(),
            Kind::Tuple(None, _) => "a tuple".to_owned(),
            Kind::Struct(None, _) => "a struct".to_owned(),
        }
    }

    /// The value of a field, if this is a struct that has it.
    pub fn field(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Struct(_, fields) => fields
                .iter()
                .find(|field| field.name.text == name)
                .map(|f| &f.value),
            _ => None,
        }
    }

    /// The items of a list or tuple; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) | Kind::Tuple(_, items) => items,
            _ => &[],
        }
    }

    /// The content of a string.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }
}
