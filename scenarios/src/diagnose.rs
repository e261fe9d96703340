//! What is wrong with a scenario, where, and how to say so.
//!
//! A [`Diagnostic`] points at a [`Place`] in one of the texts that make up a scenario (the file, and one text
//! for each `--set`). [`Diagnostics`] holds all of them and renders them, the first line of each with
//! `file:line:column`, so that terminals and editors can jump there.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use longhaul_core::time::Span;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// More mistakes than this in one scenario are counted, not described.
pub const MOST_DIAGNOSTICS: usize = 100;

/// A stretch of one of the texts, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Place {
    /// Index of the text: 0 is the file.
    pub text: u16,
    /// First byte.
    pub start: u32,
    /// Byte after the last one.
    pub end: u32,
}

impl Place {
    /// From the start of `self` to the end of `other`, which lies behind it in the same text.
    pub fn to(self, other: Place) -> Place {
        Place {
            end: other.end,
            ..self
        }
    }
}

/// A text that places refer to.
#[derive(Clone, Debug)]
struct Text {
    name: String,
    content: String,
    /// Where each line starts.
    lines: Vec<u32>,
}

/// The texts of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Texts(Vec<Text>);

impl Texts {
    /// Adds a text and returns its index for [`Place::text`].
    ///
    /// # Panics
    /// If there are 65,536 texts, or the text has 4 GiB; the reader refuses both before.
    pub fn add(&mut self, name: &str, content: &str) -> u16 {
        let index = u16::try_from(self.0.len()).expect("fewer than 65,536 texts");
        let offset = |at: usize| u32::try_from(at).expect("a text below 4 GiB");
        let newlines = content.match_indices('\n').map(|(at, _)| offset(at + 1));
        self.0.push(Text {
            name: name.to_owned(),
            content: content.to_owned(),
            lines: std::iter::once(0).chain(newlines).collect(),
        });
        index
    }

    /// Number of texts so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `name:line:column` of the start of a place; lines and columns count from 1, columns in characters.
    pub fn position(&self, place: Place) -> String {
        let text = &self.0[usize::from(place.text)];
        let line = text.line_of(place.start);
        let column = text.content[text.lines[line] as usize..place.start as usize]
            .chars()
            .count();
        format!("{}:{}:{}", text.name, line + 1, column + 1)
    }

    /// The line of a place, cut if it is very long; its number; and where in it the place is.
    fn excerpt(&self, place: Place) -> (&str, usize, Range<usize>) {
        let text = &self.0[usize::from(place.text)];
        let line = text.line_of(place.start);
        let begin = text.lines[line] as usize;
        let end = text
            .lines
            .get(line + 1)
            .map_or(text.content.len(), |&next| next as usize);
        let whole = text.content[begin..end].trim_end_matches(['\n', '\r']);
        let start = (place.start as usize - begin).min(whole.len());
        let stop = (place.end as usize - begin).clamp(start, whole.len());
        let first = whole.floor_char_boundary(if whole.len() > LONG_LINE {
            start.saturating_sub(60)
        } else {
            0
        });
        let last = whole.floor_char_boundary((first + LONG_LINE).min(whole.len()));
        (
            &whole[first..last],
            line + 1,
            start - first..stop.min(last).max(start) - first,
        )
    }
}

/// Longer lines of a text are shown in part, in bytes.
const LONG_LINE: usize = 240;

/// Longer lines of a message are cut, in characters.
const LONGEST_MESSAGE: usize = 500;

impl Text {
    fn line_of(&self, at: u32) -> usize {
        self.lines.partition_point(|&start| start <= at) - 1
    }
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The scenario cannot run.
    Error,
    /// It can, but probably not as meant.
    Warning,
}

/// One mistake or doubt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// Path of the field, such as `links[2].loss.mean`; empty for the whole scenario and in syntax errors.
    pub path: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Another place that has to do with it, and how.
    pub related: Option<(Place, String)>,
}

impl Diagnostic {
    /// An error without help.
    pub fn error(place: Place, path: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            place,
            path: path.into(),
            message: message.into(),
            help: None,
            related: None,
        }
    }

    /// Adds what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Adds another place.
    pub fn related(mut self, place: Place, how: impl Into<String>) -> Diagnostic {
        self.related = Some((place, how.into()));
        self
    }

    /// Makes it a warning.
    pub fn warning(mut self) -> Diagnostic {
        self.severity = Severity::Warning;
        self
    }
}

/// All mistakes or doubts of one scenario, in the order of the text, at most [`MOST_DIAGNOSTICS`].
#[derive(Clone, Debug)]
pub struct Diagnostics {
    texts: Arc<Texts>,
    items: Vec<Diagnostic>,
    omitted: usize,
}

impl Diagnostics {
    /// From what a [`Sink`] has collected.
    pub fn new(texts: Arc<Texts>, sink: Sink) -> Diagnostics {
        let Sink { mut items, omitted } = sink;
        items.sort_by_key(|item| item.place);
        Diagnostics {
            texts,
            items,
            omitted,
        }
    }

    /// The single ones.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// `file:line:column` of a place in these texts.
    pub fn position(&self, place: Place) -> String {
        self.texts.position(place)
    }

    /// All of them as text, each with the line that it points at; with ANSI colours or plain.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(LONG_LINE);
        let mut out = String::new();
        for item in &self.items {
            out.push_str(&renderer.render(&[self.group(item)]));
            out.push_str("\n\n");
        }
        if self.omitted > 0 {
            out.push_str(&format!("and {} more\n\n", self.omitted));
        }
        out.pop();
        out
    }

    fn group<'a>(&'a self, item: &'a Diagnostic) -> Group<'a> {
        let level = match item.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let separator = if item.path.is_empty() { "" } else { ": " };
        let position = self.texts.position(item.place);
        let title = format!("{position}: {}{separator}{}", item.path, item.message);
        let mut group = level
            .primary_title(shortened(title))
            .element(self.snippet(item.place, None));
        if let Some((place, how)) = &item.related {
            group = group.element(self.snippet(*place, Some(how)));
        }
        match &item.help {
            Some(help) => group.element(Level::HELP.message(shortened(help.clone()))),
            None => group,
        }
    }

    fn snippet<'a>(
        &'a self,
        place: Place,
        label: Option<&'a str>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let (line, number, range) = self.texts.excerpt(place);
        let kind = if label.is_some() {
            AnnotationKind::Context
        } else {
            AnnotationKind::Primary
        };
        Snippet::source(line)
            .line_start(number)
            .annotation(kind.span(range).label(label))
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// A line of a message. It may quote the file, which may hold anything of any length.
fn shortened(mut line: String) -> String {
    if let Some((end, _)) = line.char_indices().nth(LONGEST_MESSAGE) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// A time as a message names it: rounded up to three or four digits.
pub fn approximate(span: Span) -> Span {
    let grain = match span.as_ns() {
        0..1_000_000 => 1_000,
        1_000_000..1_000_000_000 => 100_000,
        1_000_000_000..10_000_000_000 => 10_000_000,
        _ => 1_000_000_000,
    };
    Span::from_ns(span.as_ns().div_ceil(grain).saturating_mul(grain))
}

/// Collects diagnostics while a scenario is read.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    items: Vec<Diagnostic>,
    omitted: usize,
}

impl Sink {
    /// Takes one. What comes after the first [`MOST_DIAGNOSTICS`] is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.items.push(diagnostic);
        }
    }

    /// What it has taken.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// Whether further diagnostics are only counted; searching for help for them is in vain.
    pub fn is_full(&self) -> bool {
        self.items.len() >= MOST_DIAGNOSTICS
    }

    /// Whether nothing has been found so far.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
