//! A back end of plotters that records shapes. Its unit is a tenth of a pixel, because plotters counts in integers.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use plotters_backend::text_anchor::HPos;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontTransform,
};

use crate::drawing::{Anchor, Form, Role, Shape, Text};
use crate::font;
use crate::palette::Colour;

/// Units of the board in one pixel.
pub(crate) const UNITS: f64 = 10.0;

/// What lies on the board so far, and what the next shapes are.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub shapes: Vec<Shape>,
    pub role: Role,
    pub dash: &'static [f64],
}

/// The board.
#[derive(Debug)]
pub(crate) struct Board {
    pub size: (u32, u32),
    pub record: Rc<RefCell<Record>>,
}

impl Board {
    fn push(&self, form: Form) -> Result<(), DrawingErrorKind<Infallible>> {
        let mut record = self.record.borrow_mut();
        let role = record.role.clone();
        record.shapes.push(Shape { role, form });
        Ok(())
    }

    fn dash(&self) -> &'static [f64] {
        self.record.borrow().dash
    }
}

fn pixels((x, y): BackendCoord) -> (f64, f64) {
    (f64::from(x) / UNITS, f64::from(y) / UNITS)
}

fn colour(of: BackendColor) -> Colour {
    Colour(of.rgb.0, of.rgb.1, of.rgb.2)
}

impl DrawingBackend for Board {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn draw_pixel(
        &mut self,
        point: BackendCoord,
        style: BackendColor,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        self.push(Form::Circle {
            centre: pixels(point),
            radius: 0.5,
            colour: colour(style),
            opacity: style.alpha,
            line: None,
        })
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let ((left, top), (right, bottom)) = (upper_left, bottom_right);
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
        if fill {
            self.fill_polygon(corners, style)
        } else {
            self.draw_path(corners.into_iter().chain([(left, top)]), style)
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let of = style.color();
        let mut points: Vec<(f64, f64)> = path.into_iter().map(pixels).collect();
        points.dedup();
        self.push(Form::Line {
            points,
            colour: colour(of),
            opacity: of.alpha,
            width: f64::from(style.stroke_width()) / UNITS,
            dash: self.dash(),
        })
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let of = style.color();
        self.push(Form::Circle {
            centre: pixels(center),
            radius: f64::from(radius) / UNITS,
            colour: colour(of),
            opacity: of.alpha,
            line: (!fill).then(|| f64::from(style.stroke_width()) / UNITS),
        })
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vert: I,
        style: &S,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let of = style.color();
        self.push(Form::Area {
            points: vert.into_iter().map(pixels).collect(),
            colour: colour(of),
            opacity: of.alpha,
        })
    }

    fn draw_text<TStyle: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &TStyle,
        pos: BackendCoord,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        self.push(Form::Text(Text {
            text: text.to_owned(),
            at: pixels(pos),
            anchor: match style.anchor().h_pos {
                HPos::Left => Anchor::Start,
                HPos::Center => Anchor::Middle,
                HPos::Right => Anchor::End,
            },
            upwards: !matches!(style.transform(), FontTransform::None),
            size: style.size() / UNITS,
            colour: colour(style.color()),
        }))
    }

    fn estimate_text_size<TStyle: BackendTextStyle>(
        &self,
        text: &str,
        style: &TStyle,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        // Text is short: this fits.
        Ok((
            font::width(text, style.size()).ceil() as u32,
            style.size().ceil() as u32,
        ))
    }
}
