//! What lines over time promise: bands, gaps, bounds, and ends without a limit.

use longhaul_plots::timeline::{self, Line};
use longhaul_plots::*;
use roxmltree::Document;

use super::fixture::*;
use super::{count, path, texts};

#[test]
fn a_timeline_has_its_lines_bands_faults_bounds_units_and_n() {
    let svg = timeline::draw(&timeline()).unwrap().svg();
    assert_eq!(count(&svg, "series"), 3);
    assert_eq!(count(&svg, "band"), 3);
    assert_eq!(count(&svg, "fault"), 3);
    assert_eq!(count(&svg, "reference"), 2);
    assert_eq!(count(&svg, "point"), 30);
    let texts = texts(&svg);
    for text in [
        "virtual time (s)",
        "goodput (Gbit/s)",
        "us-east ↔ eu-west down",
        "Mathis bound",
        "deadline",
        "fault",
        "n = 10 replications; interval: 95 % t interval of the mean.",
        "0.2",
        "0.4",
        "10",
        "50",
    ] {
        assert!(texts.iter().any(|t| t == text), "{text}: {texts:?}");
    }
    // A name is text, whatever it holds.
    assert!(!svg.contains("<script"));
}

#[test]
fn a_single_run_says_that_it_has_no_interval() {
    let mut plot = timeline();
    plot.about = About::new("One", 1, "run");
    let svg = timeline::draw(&plot).unwrap().svg();
    assert!(texts(&svg).iter().any(|text| text == "n = 1 run; no interval."));
}

/// A line with a value at 1, 2, 4, 6 and none at 3, 5 and 7, of which that at 4 stands alone.
fn broken() -> longhaul_plots::timeline::Timeline {
    let mut plot = timeline();
    plot.faults.clear();
    plot.references.clear();
    plot.lines = vec![Line {
        name: "one".to_owned(),
        points: vec![(1.0, 2.0), (2.0, 3.0), (4.0, 4.0), (6.0, 4.0)],
        band: vec![(1.0, -1.0, 5.0), (2.0, 1.0, 5.0), (4.0, 3.0, 5.0)],
        gaps: vec![3.0, 5.0, 7.0],
        ..Line::default()
    }];
    plot
}

#[test]
fn what_has_no_value_keeps_its_place_and_what_stands_alone_has_an_error_bar() {
    let drawing = timeline::draw(&broken()).unwrap();
    let svg = drawing.svg();
    // The band of 1 and 2, the bar of 4, nothing at 6; a line from 1 to 2 and none over what is missing.
    assert_eq!((count(&svg, "band"), count(&svg, "interval")), (1, 3));
    assert_eq!((count(&svg, "series"), count(&svg, "point")), (1, 4));
    // Two strokes each.
    assert_eq!(count(&svg, "gap"), 6);
    assert!(drawing.frames()[0].x.1 >= 7.0);
    assert!(
        texts(&svg)
            .iter()
            .any(|text| text.contains("Crosses at the foot"))
    );
    // Without gaps neither marks nor remarks.
    let mut whole = broken();
    whole.lines[0].gaps.clear();
    let svg = timeline::draw(&whole).unwrap().svg();
    assert_eq!((count(&svg, "gap"), count(&svg, "series")), (0, 1));
    assert!(!texts(&svg).iter().any(|text| text.contains("Crosses")));
    // One point that stands for everything still has its interval.
    whole.lines[0].points.truncate(1);
    whole.lines[0].band.truncate(1);
    assert_eq!(count(&timeline::draw(&whole).unwrap().svg(), "interval"), 3);
}

#[test]
fn intervals_of_what_is_never_negative_end_at_zero() {
    let mut plot = broken();
    assert!(timeline::draw(&plot).unwrap().frames()[0].y.0 < 0.0);
    plot.y = plot.y.never_negative();
    let drawing = timeline::draw(&plot).unwrap();
    assert_eq!(drawing.frames()[0].y.0, 0.0);
    let said = "cut off at 0: there is no goodput below";
    assert!(texts(&drawing.svg()).join(" ").contains(said));
    plot.lines[0].band[0].1 = 0.5;
    let uncut = timeline::draw(&plot).unwrap().svg();
    assert!(!texts(&uncut).join(" ").contains("cut off"));

    let mut plot = pareto();
    plot.y = Quantity::linear("cost", "");
    for of in &mut plot.candidates {
        of.y_interval = Some((-5.0, of.y + 1.0));
    }
    assert!(longhaul_plots::pareto::draw(&plot).unwrap().frames()[0].y.0 < -5.0);
    plot.y = plot.y.never_negative();
    let drawing = longhaul_plots::pareto::draw(&plot).unwrap();
    assert_eq!(drawing.frames()[0].y.0, 0.0);
    assert!(texts(&drawing.svg()).join(" ").contains("cut off at 0"));
}

#[test]
fn bounds_of_lines_are_dashed_in_their_colour_and_what_lies_beyond_is_named() {
    use longhaul_plots::timeline::Bound;
    let mut plot = broken();
    let bound = |name: &str, level: f64| Bound {
        name: name.to_owned(),
        points: vec![(1.0, level), (6.0, level * 1.2)],
    };
    plot.lines[0].bounds = vec![bound("Mathis", 5.0), bound("window", 500.0)];
    let svg = timeline::draw(&plot).unwrap().svg();
    let document = Document::parse(&svg).unwrap();
    let of = |class: &str| {
        let node = document
            .descendants()
            .find(|node| node.attribute("class") == Some(class));
        node.map(|node| {
            (
                node.attribute("stroke").unwrap().to_owned(),
                node.attribute("stroke-dasharray"),
            )
        })
    };
    let (series, drawn) = (of("series").unwrap(), of("bound").unwrap());
    assert!(series.0 == drawn.0 && drawn.1.is_some(), "{series:?} {drawn:?}");
    assert_eq!(count(&svg, "bound"), 1);
    let said = texts(&svg).join(" ");
    assert!(
        said.contains("Mathis, of each line") && said.contains("beyond the picture: window"),
        "{said}"
    );
}

#[test]
fn a_line_without_upper_limit_ends_with_an_arrow_to_the_top() {
    let mut plot = broken();
    plot.lines[0].unbounded = Some(9.0);
    let drawing = timeline::draw(&plot).unwrap();
    let (svg, frame) = (drawing.svg(), drawing.frames()[0]);
    assert!(frame.x.1 >= 9.0);
    let document = Document::parse(&svg).unwrap();
    let arrow = document
        .descendants()
        .find(|node| node.attribute("class") == Some("unbounded"))
        .expect("an arrow");
    let course = path(&arrow);
    let (end, top) = (course[course.len() - 1], frame.top + 6.0);
    assert!(end.1 <= top && end.0 > course[0].0, "{course:?} {frame:?}");
}
