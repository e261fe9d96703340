//! Regions and links: where traffic goes, and how full links are. Without a map service; places come from coordinates, or
//! lie on a circle where there are none.

use crate::axis::short;
use crate::chart::{SMALL, label, page};
use crate::drawing::Anchor;
use crate::font;
use crate::palette::{BLANK, Colour, GRID, INK, MUTED, PAPER, VERMILLION, heat};
use crate::sheet::{Rect, Sheet, Stroke};
use crate::{About, Drawing, PlotError};

/// Most nodes or links of one map.
const MOST: usize = 5_000;
/// Links narrower and wider than this many pixels are not drawn.
const WIDTHS: (f64, f64) = (1.4, 6.0);

/// A map.
#[derive(Clone, PartialEq, Debug)]
pub struct Topology {
    /// Title and caption.
    pub about: About,
    /// Regions.
    pub nodes: Vec<Node>,
    /// Links, one for each direction.
    pub links: Vec<Link>,
}

/// A region.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Beside it.
    pub name: String,
    /// Latitude and longitude in degrees, north and east positive. The map is geographic if all nodes have them.
    pub place: Option<(f64, f64)>,
}

/// A directed link.
#[derive(Clone, PartialEq, Debug)]
pub struct Link {
    /// What a pointer over it tells first.
    pub name: String,
    /// An index of [`Topology::nodes`].
    pub from: usize,
    /// An index of [`Topology::nodes`].
    pub to: usize,
    /// How full it is, from 0 to 1; none if that is not known.
    pub utilisation: Option<f64>,
    /// Whether it is down.
    pub down: bool,
}

/// How wide a link of this utilisation is drawn, in pixels: it tells in greyscale what colour tells besides.
pub fn link_width(utilisation: f64) -> f64 {
    WIDTHS.0 + (WIDTHS.1 - WIDTHS.0) * utilisation.clamp(0.0, 1.0)
}

/// The colour of a link of this utilisation as CSS writes it.
pub fn link_colour(utilisation: f64) -> String {
    tint(utilisation).hex()
}

/// An empty link must be seen on white.
fn tint(utilisation: f64) -> Colour {
    heat(0.2 + 0.8 * utilisation.clamp(0.0, 1.0))
}

/// Draws a map. Links bend a little to their right, so that both directions are seen.
///
/// # Errors
/// If there is no node, a link ends nowhere, a utilisation is not in [0, 1], or there are more than 5,000 of either.
pub fn draw(plot: &Topology) -> Result<Drawing, PlotError> {
    check(plot)?;
    let geographic = plot.nodes.iter().all(|node| node.place.is_some());
    let about = plot.about.clone().remark(if geographic {
        "Places by latitude and longitude (equirectangular)"
    } else {
        "Schematic: not all regions have coordinates"
    });
    let (sheet, inner) = page(&about, &[])?;
    let inner = scale_bar(&sheet, inner)?;
    sheet.role("frame", None, None);
    sheet.outline(inner, Stroke::thin(GRID))?;
    let places = if geographic {
        on_earth(&sheet, plot, inner)?
    } else {
        on_circle(plot.nodes.len(), inner)
    };
    let nodes: Vec<Rect> = places
        .iter()
        .map(|&(x, y)| (x - 6.0, y - 6.0, x + 6.0, y + 6.0))
        .collect();
    nodes.iter().for_each(|&place| sheet.take(place));
    let mut middles = Vec::new();
    for (index, link) in plot.links.iter().enumerate() {
        let curve = bend(places[link.from], places[link.to]);
        middles.push(curve[curve.len() / 2]);
        sheet.avoid(&curve);
        let state = match (link.down, link.utilisation) {
            (true, _) => "down".to_owned(),
            (false, Some(share)) => format!("{} % full", short(share * 100.0)),
            (false, None) => "utilisation unknown".to_owned(),
        };
        sheet.role("link", Some(index), Some(format!("{}: {state}", link.name)));
        let share = link.utilisation.unwrap_or(0.0);
        let stroke = Stroke {
            colour: if link.down {
                VERMILLION
            } else {
                link.utilisation.map_or(MUTED, tint)
            },
            opacity: 1.0,
            width: link_width(share),
            dash: if link.down || link.utilisation.is_none() {
                &[4.0, 4.0]
            } else {
                &[]
            },
        };
        sheet.line(&curve, stroke)?;
    }
    for (node, &(x, y)) in plot.nodes.iter().zip(&places) {
        sheet.role("node", None, Some(node.name.clone()));
        sheet.disc((x, y), 5.5, PAPER)?;
        sheet.disc((x, y), 4.2, INK)?;
    }
    // All names before all numbers.
    for (node, &(x, y)) in plot.nodes.iter().zip(&places) {
        sheet.role("name", None, Some(node.name.clone()));
        let name = font::shorten(&node.name, SMALL + 1.0, 150.0);
        let text = label(name, (x, y), Anchor::Start, SMALL + 1.0, INK);
        let around = [
            ((x + 9.0, y), Anchor::Start),
            ((x - 9.0, y), Anchor::End),
            ((x, y - 14.0), Anchor::Middle),
            ((x, y + 14.0), Anchor::Middle),
            ((x + 7.0, y - 12.0), Anchor::Start),
            ((x - 7.0, y + 12.0), Anchor::End),
            ((x - 7.0, y - 12.0), Anchor::End),
            ((x + 7.0, y + 12.0), Anchor::Start),
            ((x, y - 26.0), Anchor::Middle),
            ((x, y + 26.0), Anchor::Middle),
        ];
        sheet.text_somewhere(&text, &around, inner, true)?;
    }
    for (link, &(x, y)) in plot.links.iter().zip(&middles) {
        let Some(share) = link.utilisation else { continue };
        sheet.role("share", None, None);
        let text = label(
            format!("{} %", short((share * 100.0).round())),
            (x, y),
            Anchor::Middle,
            SMALL - 1.0,
            MUTED,
        );
        let around = [
            ((x, y - 9.0), Anchor::Middle),
            ((x, y + 9.0), Anchor::Middle),
            ((x + 6.0, y), Anchor::Start),
        ];
        sheet.text_somewhere(&text, &around, inner, false)?;
    }
    sheet.no_role();
    Ok(sheet.finish())
}

fn check(plot: &Topology) -> Result<(), PlotError> {
    if plot.nodes.is_empty() {
        return Err(plot.about.empty());
    }
    if plot.nodes.len().max(plot.links.len()) > MOST {
        return Err(PlotError::TooLarge {
            what: plot.about.title.clone(),
            limit: format!("{MOST} nodes and links"),
        });
    }
    for node in &plot.nodes {
        if let Some((lat, lon)) = node.place
            && !(lat.abs() <= 90.0 && lon.abs() <= 180.0)
        {
            return Err(PlotError::NotDrawable {
                what: node.name.clone(),
                value: format!("{lat}, {lon}"),
            });
        }
    }
    for link in &plot.links {
        if link.from.max(link.to) >= plot.nodes.len() {
            return Err(PlotError::Inconsistent {
                what: link.name.clone(),
                reason: "ends at no node".to_owned(),
            });
        }
        if let Some(share) = link.utilisation.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(PlotError::NotDrawable {
                what: link.name.clone(),
                value: share.to_string(),
            });
        }
    }
    Ok(())
}

/// What widths and colours mean, above the map.
fn scale_bar(sheet: &Sheet, inner: Rect) -> Result<Rect, PlotError> {
    const STEPS: u32 = 20;
    let y = inner.1 + 8.0;
    let name = "utilisation";
    sheet.role("key", None, None);
    sheet.text(&label(name, (inner.0, y), Anchor::Start, SMALL, INK))?;
    let mut x = inner.0 + font::width(name, SMALL) + 12.0;
    sheet.text(&label("0 %", (x, y), Anchor::Start, SMALL, INK))?;
    x += font::width("0 %", SMALL) + 6.0;
    for step in 0..STEPS {
        let share = (f64::from(step) + 0.5) / f64::from(STEPS);
        let half = link_width(share) / 2.0;
        sheet.rect((x, y - half, x + 8.0, y + half), tint(share), 1.0)?;
        x += 8.0;
    }
    sheet.text(&label("100 %", (x + 6.0, y), Anchor::Start, SMALL, INK))?;
    x += font::width("100 %", SMALL) + 26.0;
    sheet.line(
        &[(x, y), (x + 24.0, y)],
        Stroke {
            width: 2.0,
            dash: &[4.0, 4.0],
            ..Stroke::thin(VERMILLION)
        },
    )?;
    sheet.text(&label("down", (x + 30.0, y), Anchor::Start, SMALL, INK))?;
    sheet.no_role();
    Ok((inner.0, inner.1 + 20.0, inner.2, inner.3 - 4.0))
}

/// Equirectangular, true in the middle latitude, turned so that the widest ocean without a region is at the edge.
fn on_earth(sheet: &Sheet, plot: &Topology, inner: Rect) -> Result<Vec<(f64, f64)>, PlotError> {
    let of: Vec<(f64, f64)> = plot.nodes.iter().filter_map(|node| node.place).collect();
    let mut longitudes: Vec<f64> = of.iter().map(|place| place.1).collect();
    longitudes.sort_by(f64::total_cmp);
    let last = longitudes[longitudes.len() - 1];
    let mut cut = (longitudes[0] + 360.0 - last, longitudes[0]);
    for pair in longitudes.windows(2) {
        if pair[1] - pair[0] > cut.0 {
            cut = (pair[1] - pair[0], pair[1]);
        }
    }
    let west = cut.1;
    let turned = |lon: f64| if lon < west { lon + 360.0 } else { lon };
    let (south, north) = of.iter().fold((90.0_f64, -90.0_f64), |(s, n), place| {
        (s.min(place.0), n.max(place.0))
    });
    let east = of.iter().map(|place| turned(place.1)).fold(west, f64::max);
    let middle = f64::midpoint(south, north);
    let shrink = libm::cos(middle.to_radians()).max(0.2);
    let (wide, high) = (((east - west) * shrink).max(2.0), (north - south).max(2.0));
    // Names stand at the sides.
    let room = (inner.2 - inner.0 - 180.0, inner.3 - inner.1 - 60.0);
    let scale = (room.0 / wide).min(room.1 / high);
    let centre = (f64::midpoint(inner.0, inner.2), f64::midpoint(inner.1, inner.3));
    let mid_lon = f64::midpoint(west, east);
    let column = |lon: f64| centre.0 + (lon - mid_lon) * shrink * scale;
    let line = |lat: f64| centre.1 - (lat - middle) * scale;
    // Parallels and meridians, as many as give the eye a hold.
    let step = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0]
        .into_iter()
        .find(|step| step * scale > 45.0)
        .unwrap_or(30.0);
    let first = |from: f64| libm::ceil(from / step) * step;
    let span = |from: f64, to: f64| {
        (0..400_u32)
            .map(move |i| first(from) + f64::from(i) * step)
            .take_while(move |at| *at <= to)
    };
    let lat_of = |y: f64| middle + (centre.1 - y) / scale;
    let lon_of = |x: f64| mid_lon + (x - centre.0) / (shrink * scale);
    for lat in span(lat_of(inner.3).max(-90.0), lat_of(inner.1).min(90.0)) {
        let y = line(lat);
        sheet.role("grid", None, None);
        sheet.line(&[(inner.0, y), (inner.2, y)], Stroke::thin(BLANK))?;
        let text = degrees(lat, "N", "S");
        let at = (inner.0 + 3.0, y - 7.0);
        let text = label(text, at, Anchor::Start, SMALL - 2.0, MUTED);
        sheet.text_somewhere(&text, &[(at, Anchor::Start)], inner, true)?;
    }
    for lon in span(lon_of(inner.0), lon_of(inner.2)) {
        let x = column(lon);
        sheet.role("grid", None, None);
        sheet.line(&[(x, inner.1), (x, inner.3)], Stroke::thin(BLANK))?;
        let round = if lon > 180.0 {
            lon - 360.0
        } else if lon < -180.0 {
            lon + 360.0
        } else {
            lon
        };
        let at = (x + 3.0, inner.3 - 7.0);
        let text = label(degrees(round, "E", "W"), at, Anchor::Start, SMALL - 2.0, MUTED);
        sheet.text_somewhere(&text, &[(at, Anchor::Start)], inner, true)?;
    }
    sheet.no_role();
    Ok(of
        .iter()
        .map(|&(lat, lon)| (column(turned(lon)), line(lat)))
        .collect())
}

fn degrees(value: f64, positive: &str, negative: &str) -> String {
    let side = if value == 0.0 {
        ""
    } else if value > 0.0 {
        positive
    } else {
        negative
    };
    format!("{}°{side}", short(value.abs()))
}

fn on_circle(count: usize, inner: Rect) -> Vec<(f64, f64)> {
    let centre = (f64::midpoint(inner.0, inner.2), f64::midpoint(inner.1, inner.3));
    let radius = (
        (inner.2 - inner.0) / 2.0 - 110.0,
        (inner.3 - inner.1) / 2.0 - 30.0,
    );
    if count == 1 {
        return vec![centre];
    }
    (0..count)
        .map(|index| {
            // Two lie beside each other, more begin at the left and go round.
            let angle = std::f64::consts::PI * (1.0 + 2.0 * index as f64 / count as f64);
            (
                centre.0 + radius.0 * libm::cos(angle),
                centre.1 + radius.1 * libm::sin(angle),
            )
        })
        .collect()
}

/// A curve between two places that keeps to the right of the straight line, in pieces.
fn bend(from: (f64, f64), to: (f64, f64)) -> Vec<(f64, f64)> {
    const PIECES: u32 = 16;
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = libm::sqrt(dx * dx + dy * dy).max(1e-9);
    let aside = (length * 0.12).clamp(7.0, 26.0);
    let control = (
        f64::midpoint(from.0, to.0) - dy / length * aside,
        f64::midpoint(from.1, to.1) + dx / length * aside,
    );
    (0..=PIECES)
        .map(|piece| {
            let t = f64::from(piece) / f64::from(PIECES);
            let mix =
                |a: f64, b: f64, c: f64| (1.0 - t) * (1.0 - t) * a + 2.0 * t * (1.0 - t) * b + t * t * c;
            (mix(from.0, control.0, to.0), mix(from.1, control.1, to.1))
        })
        .collect()
}
