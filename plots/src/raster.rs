//! Shapes to pixels: anti-aliased, in software, with the embedded font.

use tiny_skia::{
    FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use crate::PlotError;
use crate::drawing::{Anchor, Drawing, Form, Text};
use crate::font;
use crate::palette::{Colour, PAPER};

/// Most dots in one direction.
const LARGEST: f64 = 16_384.0;

pub(crate) fn png(drawing: &Drawing, scale: f64) -> Result<Vec<u8>, PlotError> {
    let (width, height) = ((drawing.width * scale).ceil(), (drawing.height * scale).ceil());
    let too_large = || PlotError::TooLarge {
        what: drawing.title.clone(),
        limit: format!("{LARGEST} dots in one direction"),
    };
    if width.max(height) > LARGEST {
        return Err(too_large());
    }
    let mut pixmap = Pixmap::new(width as u32, height as u32).ok_or_else(too_large)?;
    pixmap.fill(tiny_skia::Color::from_rgba8(PAPER.0, PAPER.1, PAPER.2, 255));
    let transform = Transform::from_scale(scale as f32, scale as f32);
    for shape in &drawing.shapes {
        draw(&mut pixmap, &shape.form, transform);
    }
    pixmap
        .encode_png()
        .map_err(|error| PlotError::Drawing(error.to_string()))
}

fn draw(pixmap: &mut Pixmap, form: &Form, transform: Transform) {
    match form {
        Form::Line {
            points,
            colour,
            opacity,
            width,
            dash,
        } => {
            let Some(path) = polyline(points, false) else {
                return;
            };
            let dash: Vec<f32> = dash.iter().map(|length| *length as f32).collect();
            let dash = match dash.len() {
                0 => None,
                length if length % 2 == 0 => StrokeDash::new(dash, 0.0),
                // As SVG does it.
                _ => StrokeDash::new(dash.repeat(2), 0.0),
            };
            stroke(pixmap, &path, &paint(*colour, *opacity), *width, dash, transform);
        }
        Form::Area {
            points,
            colour,
            opacity,
        } => {
            let Some(path) = polyline(points, true) else {
                return;
            };
            pixmap.fill_path(
                &path,
                &paint(*colour, *opacity),
                FillRule::EvenOdd,
                transform,
                None,
            );
        }
        Form::Circle {
            centre,
            radius,
            colour,
            opacity,
            line,
        } => {
            let Some(path) = PathBuilder::from_circle(centre.0 as f32, centre.1 as f32, *radius as f32)
            else {
                return;
            };
            match line {
                Some(width) => stroke(pixmap, &path, &paint(*colour, *opacity), *width, None, transform),
                None => pixmap.fill_path(
                    &path,
                    &paint(*colour, *opacity),
                    FillRule::Winding,
                    transform,
                    None,
                ),
            }
        }
        Form::Text(text) => {
            if let Some(path) = glyphs(text) {
                pixmap.fill_path(
                    &path,
                    &paint(text.colour, 1.0),
                    FillRule::Winding,
                    transform,
                    None,
                );
            }
        }
    }
}

fn paint(colour: Colour, opacity: f64) -> Paint<'static> {
    let mut paint = Paint::default();
    // In [0, 255] because opacities are in [0, 1].
    paint.set_color_rgba8(colour.0, colour.1, colour.2, (opacity * 255.0).round() as u8);
    paint.anti_alias = true;
    paint
}

fn stroke(
    pixmap: &mut Pixmap,
    path: &Path,
    paint: &Paint,
    width: f64,
    dash: Option<StrokeDash>,
    transform: Transform,
) {
    let stroke = Stroke {
        width: width as f32,
        line_cap: LineCap::Butt,
        line_join: LineJoin::Round,
        dash,
        ..Stroke::default()
    };
    pixmap.stroke_path(path, paint, &stroke, transform, None);
}

fn polyline(points: &[(f64, f64)], close: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (index, (x, y)) in points.iter().enumerate() {
        if index == 0 {
            builder.move_to(*x as f32, *y as f32);
        } else {
            builder.line_to(*x as f32, *y as f32);
        }
    }
    if close {
        builder.close();
    }
    builder.finish()
}

/// Takes outlines in units of the font, with y upwards, to where the text stands.
struct Pen {
    builder: PathBuilder,
    origin: (f64, f64),
    scale: f64,
    upwards: bool,
    along: f64,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let (along, up) = (self.along + f64::from(x) * self.scale, f64::from(y) * self.scale);
        let (x, y) = if self.upwards {
            (self.origin.0 - up, self.origin.1 - along)
        } else {
            (self.origin.0 + along, self.origin.1 - up)
        };
        (x as f32, y as f32)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.builder.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.builder.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}

fn glyphs(text: &Text) -> Option<Path> {
    let length = font::width(&text.text, text.size);
    let before = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => length / 2.0,
        Anchor::End => length,
    };
    let (x, y) = text.at;
    let down = text.size * Text::BASELINE;
    let origin = if text.upwards {
        (x + down, y + before)
    } else {
        (x - before, y + down)
    };
    let mut pen = Pen {
        builder: PathBuilder::new(),
        origin,
        scale: text.size / font::units_per_em(),
        upwards: text.upwards,
        along: 0.0,
    };
    let size = text.size;
    font::outline(&text.text, &mut pen, |pen, along| pen.along = along * size);
    pen.builder.finish()
}
