//! What drawings promise, read back from their SVG and PNG.

mod fixture;
mod lines;

use std::collections::BTreeSet;

use fixture::*;
use longhaul_plots::distribution::{self, Estimated, Function};
use longhaul_plots::timeline::{self, Line};
use longhaul_plots::*;
use roxmltree::{Document, Node};

fn number(node: &Node, name: &str) -> f64 {
    node.attribute(name).unwrap_or("0").parse().unwrap()
}

/// All numbers of a path.
fn path(node: &Node) -> Vec<(f64, f64)> {
    let d = node.attribute("d").unwrap();
    let pairs = d.split(['M', 'L', 'Z']).filter(|part| !part.is_empty());
    pairs
        .map(|pair| {
            let (x, y) = pair.split_once(' ').unwrap();
            (x.parse().unwrap(), y.trim().parse().unwrap())
        })
        .collect()
}

/// Rough width of a character of a sans-serif font, in sizes: narrower than DejaVu Sans, wider than Helvetica.
const NARROW: f64 = 0.5;

/// Left, top, right and bottom of a text, by the number of its characters.
fn bounds(node: &Node) -> (f64, f64, f64, f64) {
    let size = number(node, "font-size");
    let text: String = node
        .children()
        .filter(Node::is_text)
        .filter_map(|n| n.text())
        .collect();
    let length = text.chars().count() as f64 * size * NARROW;
    let before = match node.attribute("text-anchor") {
        Some("middle") => length / 2.0,
        Some("end") => length,
        _ => 0.0,
    };
    if let Some(transform) = node.attribute("transform") {
        let inside = transform
            .strip_prefix("translate(")
            .unwrap()
            .split_once(')')
            .unwrap()
            .0;
        let (x, y) = inside.split_once(' ').unwrap();
        let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
        return (x - size * 0.7, y + before - length, x, y + before);
    }
    let (x, y) = (number(node, "x"), number(node, "y"));
    (x - before, y - size * 0.7, x - before + length, y)
}

fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let text = |node: Node| {
        node.children()
            .filter(Node::is_text)
            .filter_map(|n| n.text())
            .collect()
    };
    document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .map(text)
        .collect()
}

fn count(svg: &str, class: &str) -> usize {
    let document = Document::parse(svg).unwrap();
    document
        .descendants()
        .filter(|node| node.attribute("class") == Some(class))
        .count()
}

#[test]
fn everything_lies_inside_the_picture() {
    for (name, drawing) in all() {
        let svg = drawing.svg();
        let document = Document::parse(&svg).unwrap();
        let (width, height) = drawing.size();
        let inside = |(x, y): (f64, f64)| x >= -0.1 && y >= -0.1 && x <= width + 0.1 && y <= height + 0.1;
        for node in document.descendants() {
            match node.tag_name().name() {
                "path" => assert!(path(&node).into_iter().all(inside), "{name}: {:?}", path(&node)),
                "circle" => {
                    let (x, y, r) = (number(&node, "cx"), number(&node, "cy"), number(&node, "r"));
                    assert!(
                        inside((x - r, y - r)) && inside((x + r, y + r)),
                        "{name}: circle at {x} {y}"
                    );
                }
                "text" => {
                    let (left, top, right, bottom) = bounds(&node);
                    assert!(
                        inside((left, top)) && inside((right, bottom)),
                        "{name}: {:?}",
                        node.text()
                    );
                }
                _ => {}
            }
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    }
}

#[test]
fn no_text_lies_over_another() {
    for (name, drawing) in all() {
        let svg = drawing.svg();
        let document = Document::parse(&svg).unwrap();
        let boxes: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .map(|node| (node.text().unwrap_or_default().to_owned(), bounds(&node)))
            .collect();
        for (index, (text, a)) in boxes.iter().enumerate() {
            for (other, b) in &boxes[..index] {
                let overlap = a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3;
                assert!(!overlap, "{name}: {text:?} over {other:?}");
            }
        }
        assert!(boxes.len() > 5, "{name}");
    }
}

#[test]
fn colours_come_from_the_palette_unless_they_are_a_scale() {
    let known: BTreeSet<String> = COLOURS
        .iter()
        .chain(&NEUTRALS)
        .map(|colour| colour.hex())
        .collect();
    for (name, drawing) in all() {
        if ["heatmap", "map", "schematic"].contains(&name) {
            continue;
        }
        let svg = drawing.svg();
        let document = Document::parse(&svg).unwrap();
        for node in document.descendants() {
            for colour in ["fill", "stroke"].iter().filter_map(|of| node.attribute(*of)) {
                assert!(colour == "none" || known.contains(colour), "{name}: {colour}");
            }
        }
    }
}

#[test]
fn series_differ_in_dash_as_well_as_in_colour() {
    let svg = timeline::draw(&timeline()).unwrap().svg();
    let document = Document::parse(&svg).unwrap();
    let looks: BTreeSet<(Option<&str>, Option<&str>)> = document
        .descendants()
        .filter(|node| node.attribute("class") == Some("series"))
        .map(|node| (node.attribute("stroke"), node.attribute("stroke-dasharray")))
        .collect();
    assert_eq!(looks.len(), 3);
    assert_eq!(looks.iter().map(|look| look.0).collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(looks.iter().map(|look| look.1).collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn a_distribution_of_values_and_upper_bounds_begins_with_the_share_below() {
    let mut plot = distributions(Function::Cdf);
    plot.references.clear();
    plot.sets.truncate(1);
    plot.sets[0].values = vec![6.0, 8.0];
    plot.sets[0].beyond = 2;
    plot.sets[0].estimated = Some(Estimated {
        first: 0.5,
        rises: vec![(6.0, 0.75), (8.0, 1.0)],
        bounds: vec![4.0, 2.0],
    });
    let drawing = distribution::draw(&plot).unwrap();
    let (svg, frame) = (drawing.svg(), drawing.frames()[0]);
    assert_eq!(count(&svg, "censored"), 2);
    assert!(
        texts(&svg)
            .iter()
            .any(|text| text.ends_with("(n = 4, 2 unfinished)"))
    );
    assert!(texts(&svg).join(" ").contains("Strokes across a curve"));
    let document = Document::parse(&svg).unwrap();
    let series = document
        .descendants()
        .find(|node| node.attribute("class") == Some("series"));
    let course = path(&series.unwrap());
    // From the least bound on, at half the height, to one at the right edge.
    let (begin, end) = (course[0], course[course.len() - 1]);
    assert!(begin.0 > frame.left + 1.0, "{course:?}");
    assert!(
        (begin.1 - (frame.top + frame.height / 2.0)).abs() < 0.2,
        "{course:?}"
    );
    assert!((end.1 - frame.top).abs() < 0.2 && (end.0 - frame.left - frame.width).abs() < 0.2);
    plot.sets[0].estimated.as_mut().unwrap().rises.reverse();
    assert!(matches!(
        distribution::draw(&plot),
        Err(PlotError::Inconsistent { .. })
    ));
}

#[test]
fn tails_are_on_a_logarithmic_axis_and_end_where_the_values_end() {
    let drawing = distribution::draw(&distributions(Function::Ccdf)).unwrap();
    let frame = drawing.frames()[0];
    assert!(frame.y_log && frame.x_log && frame.y.1 == 1.0 && frame.y.0 < 1.0 / 200.0);
    let svg = drawing.svg();
    assert_eq!((count(&svg, "series"), count(&svg, "band")), (2, 2));
    let document = Document::parse(&svg).unwrap();
    let ends: Vec<f64> = document
        .descendants()
        .filter(|node| node.attribute("class") == Some("series"))
        .map(|node| path(&node).last().unwrap().0)
        .collect();
    // The set with unfinished transfers goes on to the edge.
    let edge = frame.left + frame.width;
    assert!(
        ends[0] < edge - 5.0 && (ends[1] - edge).abs() < 0.2,
        "{ends:?} {edge}"
    );
    let texts = texts(&svg);
    assert!(
        texts
            .iter()
            .any(|text| text == "sixteen streams (n = 212, 12 unfinished)")
    );
    assert!(
        ["1", "0.1", "0.01"]
            .iter()
            .all(|tick| texts.iter().any(|text| text == tick))
    );
}

#[test]
fn cells_say_what_they_are_and_the_contour_runs_between_both_sides_of_the_bound() {
    let plot = heatmap();
    let drawing = longhaul_plots::heatmap::draw(&plot).unwrap();
    let svg = drawing.svg();
    assert_eq!(count(&svg, "cell"), 80);
    assert!(count(&svg, "contour") > 10);
    for text in [
        "dirty rate: 1000, bandwidth: 100: not run",
        "dirty rate: 10000, bandwidth: 12800: failed or did not finish",
        "inconclusive",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    let caption = texts(&svg).join(" ");
    assert!(
        caption.contains("Hatched: 7 inconclusive")
            && caption.contains("Crossed: 1 failed or did not finish"),
        "{caption}"
    );
}

#[test]
fn without_an_order_a_bound_runs_along_edges_and_numbers_are_in_all_cells_or_in_none() {
    let mut plot = heatmap();
    let numbers = |plot: &longhaul_plots::heatmap::HeatMap| {
        let svg = longhaul_plots::heatmap::draw(plot).unwrap().svg();
        let document = Document::parse(&svg).unwrap();
        let of = |class: &str, tag: &str| -> Vec<usize> {
            let found = document.descendants().enumerate();
            let found = found.filter(|(_, it)| it.attribute("class") == Some(class) && it.has_tag_name(tag));
            found.map(|(index, _)| index).collect()
        };
        // Over every contour, with a piece of the cell's colour beneath each.
        let (texts, pads) = (of("number", "text"), of("number", "path"));
        let last_contour = of("contour", "path").last().copied().unwrap_or(0);
        assert!(texts.iter().chain(&pads).all(|at| *at > last_contour));
        (texts.len(), pads.len())
    };
    // 80 cells but for one that failed and one that did not run.
    assert_eq!(numbers(&plot), (78, 78));
    let slanted = |plot: &longhaul_plots::heatmap::HeatMap| {
        let svg = longhaul_plots::heatmap::draw(plot).unwrap().svg();
        let document = Document::parse(&svg).unwrap();
        let contours = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("contour"));
        let pieces: Vec<Vec<(f64, f64)>> = contours.map(|node| path(&node)).collect();
        assert!(pieces.len() > 10);
        let slanted = |piece: &&Vec<(f64, f64)>| piece[0].0 != piece[1].0 && piece[0].1 != piece[1].1;
        pieces.iter().filter(slanted).count()
    };
    assert!(slanted(&plot) > 0);
    plot.ordered = false;
    assert_eq!(slanted(&plot), 0);
    // One number that has no room leaves all out.
    plot.cells[3][3] = longhaul_plots::heatmap::Cell::Value(-1.23e-17);
    plot.about = plot.about.size(420.0, 400.0);
    assert_eq!(numbers(&plot), (0, 0));
}

#[test]
fn the_front_holds_what_nothing_beats() {
    let plot = pareto();
    let front = longhaul_plots::pareto::front(&plot);
    for (index, of) in plot.candidates.iter().enumerate() {
        let beaten = plot
            .candidates
            .iter()
            .any(|other| other.x <= of.x && other.y <= of.y && (other.x < of.x || other.y < of.y));
        assert_eq!(front.contains(&index), !beaten, "{}", of.name);
    }
    let mut upwards = plot;
    upwards.y_better = longhaul_plots::pareto::Better::Higher;
    let front = longhaul_plots::pareto::front(&upwards);
    assert!(
        front
            .windows(2)
            .all(|pair| upwards.candidates[pair[0]].y < upwards.candidates[pair[1]].y)
    );
}

#[test]
fn migrations_show_rounds_stops_and_moments() {
    let svg = longhaul_plots::gantt::draw(&gantt()).unwrap().svg();
    assert_eq!(count(&svg, "fault"), 1);
    assert_eq!(count(&svg, "mark"), 3);
    // Five, three and one round, and a setup and a stop each; wide ones have an outline besides.
    let document = Document::parse(&svg).unwrap();
    let tips = document
        .descendants()
        .filter(|node| node.attribute("class") == Some("segment") && node.attribute("fill") != Some("none"))
        .count();
    assert_eq!(tips, 15);
    for text in ["database", "1", "2", "guest stands still", "virtual time (s)"] {
        assert!(texts(&svg).iter().any(|t| t == text), "{text}");
    }
}

#[test]
fn screened_parameters_have_both_intervals_and_lines_to_judge_them_by() {
    let svg = longhaul_plots::screening::draw(&screening()).unwrap().svg();
    assert_eq!(
        (
            count(&svg, "point"),
            count(&svg, "interval"),
            count(&svg, "reference")
        ),
        (4, 8, 3)
    );
    for text in [
        "round trip",
        "size",
        "σ = μ*",
        "μ*, mean size of effects on time (s)",
    ] {
        assert!(texts(&svg).iter().any(|t| t == text), "{text}: {:?}", texts(&svg));
    }
    let mut plot = screening();
    plot.parameters[0].sigma = -1.0;
    assert!(longhaul_plots::screening::draw(&plot).is_err());
    plot.parameters.clear();
    assert!(matches!(
        longhaul_plots::screening::draw(&plot),
        Err(PlotError::Empty { .. })
    ));
}

#[test]
fn curves_fall_and_what_did_not_finish_is_marked_on_them() {
    let svg = longhaul_plots::survival::draw(&survival()).unwrap().svg();
    assert_eq!(
        (
            count(&svg, "series"),
            count(&svg, "band"),
            count(&svg, "reference")
        ),
        (2, 2, 1)
    );
    // Three of the five were given up at the same time.
    assert_eq!(count(&svg, "censored"), 3);
    assert!(
        texts(&svg)
            .iter()
            .any(|text| text == "4000 pages/s (n = 25, 5 unfinished)"),
        "{:?}",
        texts(&svg)
    );
    let document = Document::parse(&svg).unwrap();
    for node in document
        .descendants()
        .filter(|node| node.attribute("class") == Some("series"))
    {
        // Downwards on paper is a larger y.
        assert!(
            path(&node)
                .windows(2)
                .all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1 + 0.01)
        );
    }
    let mut plot = survival();
    plot.sets[0].steps.swap(1, 2);
    assert!(matches!(
        longhaul_plots::survival::draw(&plot),
        Err(PlotError::Inconsistent { .. })
    ));
    let mut none = survival();
    for set in &mut none.sets {
        set.steps.clear();
    }
    // Whatever did not finish is to be seen, also if nothing did.
    assert_eq!(
        count(&longhaul_plots::survival::draw(&none).unwrap().svg(), "censored"),
        3
    );
}

#[test]
fn maps_have_a_line_for_each_link_and_tell_widths_apart() {
    for geographic in [true, false] {
        let svg = longhaul_plots::map::draw(&topology(geographic)).unwrap().svg();
        let document = Document::parse(&svg).unwrap();
        let links: Vec<Node> = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("link"))
            .collect();
        assert_eq!(links.len(), 12);
        let width = |index: usize| number(&links[index], "stroke-width");
        assert!(width(0) < width(6) && width(6) < width(11));
        assert!(
            links[8].attribute("stroke-dasharray").is_some(),
            "a link that is down is dashed"
        );
        assert_eq!(
            texts(&svg)
                .iter()
                .filter(|text| text.contains("-1") || text.contains("-2"))
                .count(),
            6
        );
        assert_eq!(texts(&svg).iter().any(|text| text == "40°N"), geographic);
    }
}

#[test]
fn pictures_are_as_large_as_asked_and_not_blank() {
    for (name, drawing) in all() {
        let bytes = drawing.png(1.0).unwrap();
        assert_eq!(
            bytes,
            drawing.png(1.0).unwrap(),
            "{name}: two pictures of one drawing differ"
        );
        let pixels = tiny_skia::Pixmap::decode_png(&bytes).unwrap();
        let (width, height) = drawing.size();
        assert_eq!(f64::from(pixels.width()), width.ceil(), "{name}");
        assert_eq!(f64::from(pixels.height()), height.ceil(), "{name}");
        let inked = pixels.pixels().iter().filter(|pixel| pixel.red() < 200).count();
        assert!(inked > 400, "{name}: {inked} dark dots");
        assert!(inked < pixels.pixels().len() * 9 / 10, "{name}: nothing but ink");
    }
    let drawing = timeline::draw(&Timeline::tall()).unwrap();
    assert!(matches!(drawing.png(8.0), Err(PlotError::TooLarge { .. })));
}

/// A sheet that is drawable and too high for a picture at eight dots to the pixel.
struct Timeline;

impl Timeline {
    fn tall() -> longhaul_plots::timeline::Timeline {
        let mut plot = timeline();
        plot.about.size = (760.0, 4_000.0);
        plot
    }
}

#[test]
fn bad_data_is_named() {
    let mut plot = timeline();
    plot.lines[1].points[3].1 = f64::NAN;
    let error = timeline::draw(&plot).unwrap_err().to_string();
    assert_eq!(error, "eu-west → ap-south: NaN is not a value that can be drawn");
    plot.lines.clear();
    assert!(matches!(timeline::draw(&plot), Err(PlotError::Empty { .. })));

    let mut plot = timeline();
    plot.lines[0].points.swap(3, 4);
    assert!(matches!(
        timeline::draw(&plot),
        Err(PlotError::Inconsistent { .. })
    ));

    let mut plot = distributions(Function::Ccdf);
    plot.sets[0].values.push(0.0);
    let error = distribution::draw(&plot).unwrap_err().to_string();
    assert_eq!(error, "one stream: 0 is not a value that can be drawn");

    let mut plot = heatmap();
    plot.cells[2].pop();
    assert!(matches!(
        longhaul_plots::heatmap::draw(&plot),
        Err(PlotError::Inconsistent { .. })
    ));
    let mut plot = gantt();
    plot.rows[0].segments[0].kind = 9;
    assert!(matches!(
        longhaul_plots::gantt::draw(&plot),
        Err(PlotError::Inconsistent { .. })
    ));
    let mut plot = topology(true);
    plot.links[0].utilisation = Some(1.5);
    assert!(matches!(
        longhaul_plots::map::draw(&plot),
        Err(PlotError::NotDrawable { .. })
    ));
    let mut plot = paired();
    plot.mean = Some((0.5, 0.6, 0.7));
    assert!(matches!(
        longhaul_plots::paired::draw(&plot),
        Err(PlotError::Inconsistent { .. })
    ));
    let mut plot = timeline();
    plot.about.size = (100.0, 50.0);
    assert!(matches!(timeline::draw(&plot), Err(PlotError::TooLarge { .. })));
}

#[test]
fn one_point_and_equal_values_are_drawn_with_room_around_them() {
    let mut plot = timeline();
    plot.faults.clear();
    plot.references.clear();
    plot.lines = vec![Line {
        name: "one".to_owned(),
        points: vec![(5.0, 7.0)],
        ..Line::default()
    }];
    let drawing = timeline::draw(&plot).unwrap();
    let frame = drawing.frames()[0];
    assert!(frame.x.0 < 5.0 && frame.x.1 > 5.0 && frame.y.0 < 7.0 && frame.y.1 > 7.0);
    assert_eq!(count(&drawing.svg(), "point"), 1);
    plot.lines[0].points = vec![(0.0, 3.0), (1.0, 3.0), (2.0, 3.0)];
    let frame = timeline::draw(&plot).unwrap().frames()[0];
    assert!(frame.y.0 < 3.0 && frame.y.1 > 3.0);
    // A single drawn value of a tail.
    let mut tail = distributions(Function::Ccdf);
    tail.sets.truncate(1);
    tail.sets[0].values = vec![4.0];
    assert_eq!(count(&distribution::draw(&tail).unwrap().svg(), "series"), 1);
}
