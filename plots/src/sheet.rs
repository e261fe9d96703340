//! A sheet of paper: shapes and text in pixels, and which places text has taken.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::RGBAColor;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::PlotError;
use crate::board::{Board, Record, UNITS};
use crate::drawing::{Anchor, Drawing, Frame, Role, Text};
use crate::palette::{Colour, Look, Marker};

/// Most pixels in one direction.
const LARGEST: f64 = 16_000.0;

pub(crate) type Area = DrawingArea<Board, Shift>;

/// Height and width in pixels of a rectangle's sides: left, top, right, bottom.
pub(crate) type Rect = (f64, f64, f64, f64);

pub(crate) struct Sheet {
    pub width: f64,
    pub height: f64,
    title: String,
    pub root: Area,
    record: Rc<RefCell<Record>>,
    taken: RefCell<Vec<Rect>>,
    /// Where lines run: text keeps off them if it finds another place.
    lines: RefCell<Vec<Rect>>,
    frames: RefCell<Vec<Frame>>,
}

impl From<DrawingAreaErrorKind<Infallible>> for PlotError {
    fn from(error: DrawingAreaErrorKind<Infallible>) -> PlotError {
        PlotError::Drawing(error.to_string())
    }
}

/// How a line looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    pub colour: Colour,
    pub opacity: f64,
    pub width: f64,
    pub dash: &'static [f64],
}

impl Stroke {
    pub fn thin(colour: Colour) -> Stroke {
        Stroke {
            colour,
            opacity: 1.0,
            width: 1.0,
            dash: &[],
        }
    }

    pub fn of(look: Look) -> Stroke {
        Stroke {
            colour: look.colour,
            opacity: 1.0,
            width: 1.8,
            dash: look.dash,
        }
    }
}

pub(crate) fn units(pixels: f64) -> i32 {
    // Sheets are smaller than 16,000 pixels.
    (pixels * UNITS).round() as i32
}

fn mixed(colour: Colour, opacity: f64) -> RGBAColor {
    RGBColor(colour.0, colour.1, colour.2).mix(opacity)
}

impl Sheet {
    pub fn new(title: &str, width: f64, height: f64) -> Result<Sheet, PlotError> {
        if !(width <= LARGEST && height <= LARGEST && width >= 1.0 && height >= 1.0) {
            return Err(PlotError::TooLarge {
                what: title.to_owned(),
                limit: format!("{LARGEST} pixels in one direction"),
            });
        }
        let record = Rc::new(RefCell::new(Record::default()));
        let board = Board {
            size: (units(width).unsigned_abs(), units(height).unsigned_abs()),
            record: Rc::clone(&record),
        };
        Ok(Sheet {
            width,
            height,
            title: title.to_owned(),
            root: board.into_drawing_area(),
            record,
            taken: RefCell::default(),
            lines: RefCell::default(),
            frames: RefCell::default(),
        })
    }

    /// What the next shapes are, until told otherwise.
    pub fn role(&self, class: &'static str, number: Option<usize>, tip: Option<String>) {
        self.record.borrow_mut().role = Role { class, number, tip };
    }

    pub fn no_role(&self) {
        self.record.borrow_mut().role = Role::default();
    }

    pub fn dash(&self, dash: &'static [f64]) {
        self.record.borrow_mut().dash = dash;
    }

    pub fn frame(&self, frame: Frame) {
        self.frames.borrow_mut().push(frame);
    }

    pub fn line(&self, points: &[(f64, f64)], stroke: Stroke) -> Result<(), PlotError> {
        self.dash(stroke.dash);
        let style = mixed(stroke.colour, stroke.opacity).stroke_width(units(stroke.width).unsigned_abs());
        let points: Vec<(i32, i32)> = points.iter().map(|&(x, y)| (units(x), units(y))).collect();
        self.root.draw(&PathElement::new(points, style))?;
        self.dash(&[]);
        Ok(())
    }

    pub fn fill(&self, points: &[(f64, f64)], colour: Colour, opacity: f64) -> Result<(), PlotError> {
        let points: Vec<(i32, i32)> = points.iter().map(|&(x, y)| (units(x), units(y))).collect();
        Ok(self.root.draw(&Polygon::new(points, mixed(colour, opacity)))?)
    }

    pub fn rect(
        &self,
        (left, top, right, bottom): Rect,
        colour: Colour,
        opacity: f64,
    ) -> Result<(), PlotError> {
        self.fill(
            &[(left, top), (right, top), (right, bottom), (left, bottom)],
            colour,
            opacity,
        )
    }

    pub fn outline(&self, (left, top, right, bottom): Rect, stroke: Stroke) -> Result<(), PlotError> {
        self.line(
            &[
                (left, top),
                (right, top),
                (right, bottom),
                (left, bottom),
                (left, top),
            ],
            stroke,
        )
    }

    pub fn disc(&self, (x, y): (f64, f64), radius: f64, colour: Colour) -> Result<(), PlotError> {
        let style = mixed(colour, 1.0).filled();
        Ok(self
            .root
            .draw(&Circle::new((units(x), units(y)), units(radius), style))?)
    }

    /// The marker of a series, about twice `size` wide.
    pub fn marker(&self, (x, y): (f64, f64), size: f64, look: Look) -> Result<(), PlotError> {
        let s = size;
        let corners: &[(f64, f64)] = match look.marker {
            Marker::Circle => return self.disc((x, y), s, look.colour),
            Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Marker::Diamond => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
            Marker::Triangle => &[(0.0, -1.2), (1.15, 0.9), (-1.15, 0.9)],
            Marker::Down => &[(0.0, 1.2), (1.15, -0.9), (-1.15, -0.9)],
            Marker::Cross => {
                let stroke = Stroke {
                    width: s * 0.6,
                    ..Stroke::thin(look.colour)
                };
                self.line(&[(x - s, y - s), (x + s, y + s)], stroke)?;
                return self.line(&[(x - s, y + s), (x + s, y - s)], stroke);
            }
        };
        let points: Vec<(f64, f64)> = corners.iter().map(|(dx, dy)| (x + dx * s, y + dy * s)).collect();
        self.fill(&points, look.colour, 1.0)
    }

    /// Writes text wherever it stands and takes its place.
    pub fn text(&self, text: &Text) -> Result<(), PlotError> {
        self.taken.borrow_mut().push(text.bounds());
        let h_pos = match text.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let font = (FontFamily::SansSerif, text.size * UNITS).into_font();
        let font = if text.upwards {
            font.transform(FontTransform::Rotate270)
        } else {
            font
        };
        let colour = mixed(text.colour, 1.0);
        let style = TextStyle::from(font)
            .color(&colour)
            .pos(Pos::new(h_pos, VPos::Center));
        let at = (units(text.at.0), units(text.at.1));
        Ok(self.root.draw_text(&text.text, &style, at)?)
    }

    /// Takes a place without writing.
    pub fn take(&self, place: Rect) {
        self.taken.borrow_mut().push(place);
    }

    /// Tells where a line runs.
    pub fn avoid(&self, points: &[(f64, f64)]) {
        let along = points.windows(2).flat_map(|pair| {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            // Short pieces, whose rectangles hug the line.
            (0..8_u32).map(move |piece| {
                let at = |share: f64| (x0 + (x1 - x0) * share, y0 + (y1 - y0) * share);
                let (a, b) = (at(f64::from(piece) / 8.0), at(f64::from(piece + 1) / 8.0));
                (
                    a.0.min(b.0) - 1.0,
                    a.1.min(b.1) - 1.0,
                    a.0.max(b.0) + 1.0,
                    a.1.max(b.1) + 1.0,
                )
            })
        });
        self.lines.borrow_mut().extend(along);
    }

    fn crosses_line(&self, place: Rect) -> bool {
        self.lines.borrow().iter().any(|&line| overlap(line, place))
    }

    /// Whether a place is on the sheet and free of text.
    pub fn is_free(&self, place: Rect) -> bool {
        let inside =
            place.0 >= 1.0 && place.1 >= 1.0 && place.2 <= self.width - 1.0 && place.3 <= self.height - 1.0;
        inside && !self.taken.borrow().iter().any(|&taken| overlap(taken, place))
    }

    /// Writes the text at the first of these places and anchors that is free and within `inside`; or nowhere.
    /// Places on which no line runs come first; others count only if it may cross lines.
    pub fn text_somewhere(
        &self,
        text: &Text,
        places: &[((f64, f64), Anchor)],
        inside: Rect,
        may_cross_lines: bool,
    ) -> Result<bool, PlotError> {
        for over_lines in [false, may_cross_lines] {
            for &(at, anchor) in places {
                let text = Text {
                    at,
                    anchor,
                    ..text.clone()
                };
                let bounds = text.bounds();
                let within = bounds.0 >= inside.0
                    && bounds.1 >= inside.1
                    && bounds.2 <= inside.2
                    && bounds.3 <= inside.3;
                if within && self.is_free(bounds) && (over_lines || !self.crosses_line(bounds)) {
                    self.text(&text)?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What was drawn.
    pub fn finish(self) -> Drawing {
        Drawing {
            width: self.width,
            height: self.height,
            title: self.title,
            shapes: self.record.take().shapes,
            frames: self.frames.into_inner(),
        }
    }
}

fn overlap(a: Rect, b: Rect) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}
