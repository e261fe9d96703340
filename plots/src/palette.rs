//! Colours, dashes and markers: series differ in all three.

/// Colours of Okabe and Ito (2008), which differ for all kinds of colour vision, without yellow, which vanishes on white.
pub const COLOURS: [Colour; 7] = [
    Colour(0, 114, 178),
    Colour(213, 94, 0),
    Colour(0, 158, 115),
    Colour(204, 121, 167),
    Colour(230, 159, 0),
    Colour(86, 180, 233),
    Colour(0, 0, 0),
];

/// Colours of what is no data: text, quiet text, lines of the grid, paper, empty cells.
pub const NEUTRALS: [Colour; 5] = [INK, MUTED, GRID, PAPER, BLANK];

/// Red, green and blue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Colour {
    /// As SVG and CSS write it: `#0072b2`.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// Between this colour (`share` 0) and another (`share` 1).
    pub(crate) fn towards(self, other: Colour, share: f64) -> Colour {
        // In [0, 255] because `share` is in [0, 1].
        let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
        Colour(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }
}

pub(crate) const INK: Colour = Colour(27, 27, 27);
pub(crate) const MUTED: Colour = Colour(92, 92, 92);
pub(crate) const GRID: Colour = Colour(221, 221, 221);
pub(crate) const PAPER: Colour = Colour(255, 255, 255);
pub(crate) const BLANK: Colour = Colour(240, 240, 240);
pub(crate) const BLUE: Colour = COLOURS[0];
pub(crate) const VERMILLION: Colour = COLOURS[1];

/// Dashes and gaps in pixels; an empty list is a solid line.
const DASHES: [&[f64]; 5] = [&[], &[7.0, 3.0], &[2.0, 2.5], &[9.0, 3.0, 2.0, 3.0], &[4.0, 2.0]];

/// How a series looks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Look {
    pub colour: Colour,
    pub dash: &'static [f64],
    pub marker: Marker,
}

/// The shape of a point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Marker {
    Circle,
    Square,
    Diamond,
    Triangle,
    Cross,
    Down,
}

const MARKERS: [Marker; 6] = [
    Marker::Circle,
    Marker::Square,
    Marker::Triangle,
    Marker::Diamond,
    Marker::Down,
    Marker::Cross,
];

/// The look of the series with this number. The lengths of the three lists have no common divisor, so that 210 series
/// differ.
pub(crate) fn look(index: usize) -> Look {
    Look {
        colour: COLOURS[index % COLOURS.len()],
        dash: DASHES[index % DASHES.len()],
        marker: MARKERS[index % MARKERS.len()],
    }
}

/// Okabe and Ito's blue through grey to vermillion, light to dark, for utilisation and other shares in [0, 1].
pub(crate) fn heat(share: f64) -> Colour {
    const STOPS: [Colour; 5] = [
        Colour(235, 240, 246),
        Colour(140, 190, 220),
        Colour(0, 114, 178),
        Colour(160, 70, 60),
        Colour(120, 30, 0),
    ];
    let place = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    // At most 4.
    let below = (place as usize).min(STOPS.len() - 2);
    STOPS[below].towards(STOPS[below + 1], place - below as f64)
}
