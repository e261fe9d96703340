//! Tools of the decoder: a value with its path, the fields of a struct, the variants of an enum.

use std::collections::BTreeMap;

use crate::diagnose::{Diagnostic, Sink};
use crate::suggest;
use crate::syntax::{Field, Kind, Node};

use crate::schema::Location;

use super::files::Files;
use super::names::Names;

/// What is shared while one scenario is decoded.
pub struct Context<'a> {
    /// Takes the mistakes.
    pub sink: &'a mut Sink,
    /// What is declared where.
    pub names: &'a Names,
    /// Where regions are, once they are decoded.
    pub locations: BTreeMap<String, Location>,
    /// Tables beside the scenario.
    pub files: &'a mut Files,
}

impl Context<'_> {
    /// Reports a mistake at a value and gives the absence of a result.
    pub fn refuse<T>(&mut self, at: &At, message: impl Into<String>) -> Option<T> {
        self.sink
            .push(Diagnostic::error(at.node.head(), &*at.path, message));
        None
    }

    /// The same with advice.
    pub fn refuse_with_help<T>(
        &mut self,
        at: &At,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        self.sink
            .push(Diagnostic::error(at.node.head(), &*at.path, message).help(help));
        None
    }
}

/// A value and its path.
#[derive(Clone, Debug)]
pub struct At<'n> {
    /// The value.
    pub node: &'n Node,
    /// Its path, such as `links[2].loss`; empty for the root.
    pub path: String,
}

impl<'n> At<'n> {
    /// A field of this value.
    pub fn field(&self, name: &str, node: &'n Node) -> At<'n> {
        let point = if self.path.is_empty() { "" } else { "." };
        At {
            node,
            path: format!("{}{point}{name}", self.path),
        }
    }

    /// An item of this value.
    pub fn item(&self, index: usize, node: &'n Node) -> At<'n> {
        At {
            node,
            path: format!("{}[{index}]", self.path),
        }
    }
}

/// The fields of a struct, known ones only.
pub struct Fields<'n> {
    at: At<'n>,
    fields: &'n [Field],
}

impl<'n> Fields<'n> {
    /// The fields of `at`, which is `what` in messages. It may bear the name `name` or none. Fields other than
    /// `known` (at least one) and repeated ones are reported.
    pub fn of(
        cx: &mut Context,
        at: &At<'n>,
        what: &str,
        name: Option<&str>,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let (found, fields): (_, &[Field]) = match &at.node.kind {
            Kind::Struct(found, fields) => (found, fields),
            Kind::Tuple(found, items) if items.is_empty() => (found, &[]),
            _ => {
                let more = if known.len() > 1 { ", …" } else { "" };
                let form = format!("{}({}: …{more})", name.unwrap_or(""), known[0]);
                let message = format!("{what} is written {form}, found {}", at.node.describe());
                return cx.refuse(at, message);
            }
        };
        if let Some(found) = found
            && Some(found.text.as_str()) != name
        {
            let written = format!(
                "{what} is written {}(…), found `{}(…)`",
                name.unwrap_or(""),
                found.text
            );
            cx.refuse::<()>(at, written);
        }
        for (index, field) in fields.iter().enumerate() {
            let path = at.field(&field.name.text, &field.value).path;
            if !known.contains(&field.name.text.as_str()) {
                let mut error = Diagnostic::error(
                    field.name.place,
                    path,
                    format!("{what} has no field `{}`", field.name.text),
                );
                if !cx.sink.is_full() {
                    error.help = suggest::help(&field.name.text, known.iter().copied());
                }
                cx.sink.push(error);
            } else if let Some(first) = fields[..index]
                .iter()
                .find(|first| first.name.text == field.name.text)
            {
                let error = Diagnostic::error(
                    field.name.place,
                    path,
                    format!("`{}` is given twice", field.name.text),
                );
                cx.sink.push(error.related(first.name.place, "first here"));
            }
        }
        Some(Fields {
            at: at.clone(),
            fields,
        })
    }

    /// A field, if it is given.
    pub fn get(&self, name: &str) -> Option<At<'n>> {
        let field = self.fields.iter().find(|field| field.name.text == name)?;
        Some(self.at.field(name, &field.value))
    }

    /// A field that must be given.
    pub fn required<T>(
        &self,
        cx: &mut Context,
        name: &str,
        decode: impl FnOnce(&mut Context, &At<'n>) -> Option<T>,
    ) -> Option<T> {
        match self.get(name) {
            Some(at) => decode(cx, &at),
            None => {
                let path = self.at.field(name, self.at.node).path;
                cx.sink.push(Diagnostic::error(
                    self.at.node.head(),
                    path,
                    format!("`{name}` is missing"),
                ));
                None
            }
        }
    }

    /// A field with a default. `None` only if what is given is wrong.
    pub fn optional<T>(
        &self,
        cx: &mut Context,
        name: &str,
        default: T,
        decode: impl FnOnce(&mut Context, &At<'n>) -> Option<T>,
    ) -> Option<T> {
        match self.get(name) {
            Some(at) => decode(cx, &at),
            None => Some(default),
        }
    }
}

/// A variant of an enum and how it is written.
pub struct Variant {
    /// Its name.
    pub name: &'static str,
    /// A text of the right form.
    pub form: &'static str,
}

/// The name of the variant that stands at `at`, one of `variants`. What it contains, [`Fields::of`],
/// [`content`] or [`no_content`] reads.
pub fn variant(cx: &mut Context, at: &At, what: &str, variants: &[Variant]) -> Option<&'static str> {
    let name = match &at.node.kind {
        Kind::Word(name) => Some(name),
        Kind::Tuple(Some(name), _) | Kind::Struct(Some(name), _) => Some(&name.text),
        _ => None,
    };
    if let Some(known) = name.and_then(|name| variants.iter().find(|variant| variant.name == name)) {
        return Some(known.name);
    }
    let forms: Vec<&str> = variants.iter().map(|variant| variant.form).collect();
    let near = name.and_then(|name| suggest::nearest(name, variants.iter().map(|variant| variant.name)));
    let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
    let message = format!("{what} is expected, found {}", at.node.describe());
    cx.refuse_with_help(at, message, format!("{near}written: {}", forms.join(" or ")))
}

/// The one value in the brackets of a variant that is written `form`.
pub fn content<'n>(cx: &mut Context, at: &At<'n>, form: &str) -> Option<At<'n>> {
    match &at.node.kind {
        Kind::Tuple(_, items) if items.len() == 1 => Some(At {
            node: &items[0],
            path: at.path.clone(),
        }),
        _ => cx.refuse(at, format!("this is written {form}")),
    }
}

/// Nothing in brackets behind a variant.
pub fn no_content(cx: &mut Context, at: &At) -> Option<()> {
    match &at.node.kind {
        Kind::Word(_) => Some(()),
        _ => cx.refuse(at, "this is written without brackets"),
    }
}

/// `None`, or what `decode` reads.
pub fn unless_none<T>(
    cx: &mut Context,
    at: &At,
    decode: impl FnOnce(&mut Context, &At) -> Option<T>,
) -> Option<Option<T>> {
    match &at.node.kind {
        Kind::Word(word) if word == "None" => Some(None),
        _ => decode(cx, at).map(Some),
    }
}

/// All items of a list, each read by `decode`, and whether all of them could be read. Each item that could be
/// comes with its index in the list.
pub fn list<'n, T>(
    cx: &mut Context,
    at: &At<'n>,
    most: usize,
    mut decode: impl FnMut(&mut Context, &At<'n>) -> Option<T>,
) -> (Vec<(usize, T)>, bool) {
    let Kind::List(items) = &at.node.kind else {
        cx.refuse::<()>(
            at,
            format!("a list [ … ] is expected, found {}", at.node.describe()),
        );
        return (Vec::new(), false);
    };
    if items.len() > most {
        cx.refuse::<()>(at, format!("{} items; at most {most}", items.len()));
        return (Vec::new(), false);
    }
    let mut good = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if let Some(value) = decode(cx, &at.item(index, item)) {
            good.push((index, value));
        }
    }
    let complete = good.len() == items.len();
    (good, complete)
}
