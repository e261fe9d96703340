//! What was drawn: shapes in the order in which they lie over each other, as SVG.

use std::fmt::Write as _;

use crate::PlotError;
use crate::font;
use crate::palette::{Colour, PAPER};
use crate::raster;

/// Dots to the pixel that a picture has in print and on dense screens, for [`Drawing::png`].
pub const PRINT: f64 = 2.0;

/// A plot.
#[derive(Clone, PartialEq, Debug)]
pub struct Drawing {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) title: String,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) frames: Vec<Frame>,
}

/// Where values lie in a drawing, for those who look at it with a pointer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Frame {
    /// Left edge of the plot's area in pixels.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
    /// Values at the left and right edge.
    pub x: (f64, f64),
    /// Values at the lower and upper edge.
    pub y: (f64, f64),
    /// Whether x is logarithmic.
    pub x_log: bool,
    /// Whether y is logarithmic.
    pub y_log: bool,
}

/// What a shape is there for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Role {
    /// Becomes the class.
    pub class: &'static str,
    /// Which series, link or row it belongs to.
    pub number: Option<usize>,
    /// What a pointer over it tells.
    pub tip: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Shape {
    pub role: Role,
    pub form: Form,
}

/// Coordinates in pixels.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Form {
    Line {
        points: Vec<(f64, f64)>,
        colour: Colour,
        opacity: f64,
        width: f64,
        dash: &'static [f64],
    },
    Area {
        points: Vec<(f64, f64)>,
        colour: Colour,
        opacity: f64,
    },
    Circle {
        centre: (f64, f64),
        radius: f64,
        colour: Colour,
        opacity: f64,
        /// Width of the line; none if it is filled.
        line: Option<f64>,
    },
    Text(Text),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Text {
    pub text: String,
    /// Of the anchor, on the middle of the line's height.
    pub at: (f64, f64),
    pub anchor: Anchor,
    /// Reads upwards.
    pub upwards: bool,
    pub size: f64,
    pub colour: Colour,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Text {
    /// From the middle of a line to its baseline, in sizes: half the height of a capital.
    pub const BASELINE: f64 = 0.36;

    /// Left, top, right and bottom.
    pub fn bounds(&self) -> (f64, f64, f64, f64) {
        let length = font::width(&self.text, self.size);
        let before = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => length / 2.0,
            Anchor::End => length,
        };
        let half = self.size * 0.58;
        let (x, y) = self.at;
        if self.upwards {
            (x - half, y + before - length, x + half, y + before)
        } else {
            (x - before, y - half, x - before + length, y + half)
        }
    }
}

impl Drawing {
    /// Width and height in pixels.
    pub fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    /// The plot's areas, in the order in which they were drawn.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// A whole SVG document on white paper.
    pub fn svg(&self) -> String {
        let mut svg = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut svg, " xmlns=\"http://www.w3.org/2000/svg\"", true);
        svg
    }

    /// An element for a page in HTML, without a background. Its colours are those of [`crate::COLOURS`] and
    /// [`crate::NEUTRALS`] as attributes, so that a style sheet can replace them.
    pub fn inline_svg(&self) -> String {
        let mut svg = String::new();
        self.write(&mut svg, "", false);
        svg
    }

    /// PNG on white paper with `scale` dots to the pixel, in [0.25, 8].
    ///
    /// # Errors
    /// If the picture would be larger than 16,384 dots in one direction.
    pub fn png(&self, scale: f64) -> Result<Vec<u8>, PlotError> {
        raster::png(self, scale.clamp(0.25, 8.0))
    }

    fn write(&self, svg: &mut String, namespace: &str, paper: bool) {
        let (width, height) = (number(self.width), number(self.height));
        let title = escape(&self.title);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<svg{namespace} class=\"plot\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-label=\"{title}\" font-family=\"sans-serif\">"
        );
        if paper {
            let _ = writeln!(
                svg,
                "<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>",
                PAPER.hex()
            );
        }
        for shape in &self.shapes {
            shape.write(svg);
        }
        svg.push_str("</svg>\n");
    }
}

impl Shape {
    fn write(&self, svg: &mut String) {
        let role = &self.role;
        let mut attributes = String::new();
        if !role.class.is_empty() {
            let _ = write!(attributes, " class=\"{}\"", role.class);
        }
        if let Some(number) = role.number {
            let _ = write!(attributes, " data-n=\"{number}\"");
        }
        let (tag, content) = self.form.attributes(&mut attributes);
        let tip = role
            .tip
            .as_ref()
            .map(|tip| format!("<title>{}</title>", escape(tip)));
        let content = format!("{}{content}", tip.unwrap_or_default());
        if content.is_empty() {
            let _ = writeln!(svg, "<{tag}{attributes}/>");
        } else {
            let _ = writeln!(svg, "<{tag}{attributes}>{content}</{tag}>");
        }
    }
}

impl Form {
    /// Writes attributes, and returns the element's name and content.
    fn attributes(&self, out: &mut String) -> (&'static str, String) {
        match self {
            Form::Line {
                points,
                colour,
                opacity,
                width,
                dash,
            } => {
                let _ = write!(
                    out,
                    " d=\"{}\" fill=\"none\" stroke=\"{}\"",
                    path(points),
                    colour.hex()
                );
                let _ = write!(
                    out,
                    " stroke-width=\"{}\"{}",
                    number(*width),
                    opaque("stroke-", *opacity)
                );
                if !dash.is_empty() {
                    let dash: Vec<String> = dash.iter().map(|length| number(*length)).collect();
                    let _ = write!(out, " stroke-dasharray=\"{}\"", dash.join(" "));
                }
                out.push_str(" stroke-linejoin=\"round\"");
                ("path", String::new())
            }
            Form::Area {
                points,
                colour,
                opacity,
            } => {
                let _ = write!(
                    out,
                    " d=\"{}Z\" fill=\"{}\"{}",
                    path(points),
                    colour.hex(),
                    opaque("fill-", *opacity)
                );
                ("path", String::new())
            }
            Form::Circle {
                centre: (x, y),
                radius,
                colour,
                opacity,
                line,
            } => {
                let _ = write!(
                    out,
                    " cx=\"{}\" cy=\"{}\" r=\"{}\"",
                    number(*x),
                    number(*y),
                    number(*radius)
                );
                let colour = colour.hex();
                let _ = match line {
                    Some(width) => write!(
                        out,
                        " fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\"{}",
                        number(*width),
                        opaque("stroke-", *opacity)
                    ),
                    None => write!(out, " fill=\"{colour}\"{}", opaque("fill-", *opacity)),
                };
                ("circle", String::new())
            }
            Form::Text(text) => {
                let (x, y) = text.at;
                let down = text.size * Text::BASELINE;
                if text.upwards {
                    let _ = write!(
                        out,
                        " transform=\"translate({} {}) rotate(-90)\"",
                        number(x + down),
                        number(y)
                    );
                } else {
                    let _ = write!(out, " x=\"{}\" y=\"{}\"", number(x), number(y + down));
                }
                let anchor = match text.anchor {
                    Anchor::Start => "",
                    Anchor::Middle => " text-anchor=\"middle\"",
                    Anchor::End => " text-anchor=\"end\"",
                };
                let _ = write!(
                    out,
                    " font-size=\"{}\" fill=\"{}\"{anchor}",
                    number(text.size),
                    text.colour.hex()
                );
                ("text", escape(&text.text))
            }
        }
    }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut d = String::with_capacity(points.len() * 12);
    for (index, (x, y)) in points.iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        let _ = write!(d, "{letter}{} {}", number(*x), number(*y));
    }
    d
}

fn opaque(what: &str, opacity: f64) -> String {
    if opacity >= 1.0 {
        return String::new();
    }
    format!(" {what}opacity=\"{opacity:.2}\"")
}

/// With at most one decimal.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Text for XML and HTML, between tags and inside quotes; control characters, which XML has no way to write, become a sign for what is missing.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
