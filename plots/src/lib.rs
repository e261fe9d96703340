//! From plain data to plots, as SVG text and as PNG bytes.
//!
//! | module | what it draws |
//! | --- | --- |
//! | [`timeline`] | quantities over time, with bands for faults |
//! | [`distribution`] | CDF and CCDF with confidence bands |
//! | [`boxes`] | box plots of configurations |
//! | [`heatmap`] | two axes of a sweep, and where a bound runs through them |
//! | [`pareto`] | configurations in two costs, and the front |
//! | [`paired`] | differences of pairs, with their mean's interval |
//! | [`sensitivity`] | how much each parameter matters |
//! | [`screening`] | elementary effects: how much, and how much it depends on others |
//! | [`survival`] | shares that have not finished after so long |
//! | [`gantt`] | rows of segments: migrations with rounds, states over time |
//! | [`map`] | regions and links with utilisation |
//! | [`predicted`] | predicted against measured |
//! | [`thin`] | fewer points that look the same |
//!
//! Every function takes data and returns a [`Drawing`]. What is common to all:
//!
//! - series differ by colour (Okabe and Ito, 2008), by dash and by marker, so they are told apart with any colour vision
//!   and in greyscale;
//! - axes carry units; the caption says how many values there are and what an interval means, or that there is none;
//! - text is measured with the widths of an embedded font and never lies over other text: what finds no place is left out
//!   of the picture, but not of the tooltips;
//! - nothing depends on fonts, clock or locale of the machine: equal data give equal bytes.
//!
//! Drawing goes through `plotters` with a back end of our own ([`Drawing`] is what it records) in tenths of a pixel:
//! SVG keeps dashes, tooltips and roles of shapes, and PNG is drawn from the same shapes with `tiny-skia`.

mod axis;
mod board;
pub mod boxes;
mod chart;
pub mod distribution;
mod drawing;
mod font;
pub mod gantt;
pub mod heatmap;
pub mod map;
pub mod paired;
mod palette;
pub mod pareto;
pub mod predicted;
mod raster;
pub mod screening;
pub mod sensitivity;
mod sheet;
pub mod survival;
pub mod thin;
pub mod timeline;

use thiserror::Error;

pub use axis::{Quantity, Scale};
pub use chart::{About, Reference, Where};
pub use drawing::{Drawing, Frame, PRINT, escape};
pub use palette::{COLOURS, NEUTRALS};

/// Why there is no plot.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PlotError {
    /// Nothing to draw.
    #[error("{what}: there is nothing to draw")]
    Empty {
        /// The plot's title.
        what: String,
    },
    /// A value that is not a number, infinite, or not positive on a logarithmic axis.
    #[error("{what}: {value} is not a value that can be drawn")]
    NotDrawable {
        /// The series or label.
        what: String,
        /// The value as text.
        value: String,
    },
    /// Parts that should be equally long are not, or a range ends before it begins.
    #[error("{what}: {reason}")]
    Inconsistent {
        /// The series or label.
        what: String,
        /// What does not fit.
        reason: String,
    },
    /// Wider, higher or more than can be drawn.
    #[error("{what}: more than a plot can hold ({limit})")]
    TooLarge {
        /// The plot's title.
        what: String,
        /// What the limit is.
        limit: String,
    },
    /// The drawing library refused.
    #[error("cannot draw: {0}")]
    Drawing(String),
}
