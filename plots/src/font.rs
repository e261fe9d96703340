//! The embedded font: widths, by which text is laid out, and outlines, with which PNG draws it. SVG names a generic family
//! instead; DejaVu Sans is wider than what browsers take for it, so that text which fits here fits there.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

static FACE: LazyLock<Face<'static>> = LazyLock::new(|| {
    let bytes = include_bytes!("../fonts/DejaVuSans-subset.ttf");
    Face::parse(bytes, 0).expect("the font that comes with the program")
});

/// The glyph of a character, or the one that stands for what the font lacks.
fn glyph(c: char) -> GlyphId {
    let missing = || FACE.glyph_index('\u{fffd}');
    FACE.glyph_index(c).or_else(missing).unwrap_or(GlyphId(0))
}

fn advance(c: char) -> f64 {
    f64::from(FACE.glyph_hor_advance(glyph(c)).unwrap_or(0)) / f64::from(FACE.units_per_em())
}

/// Width in pixels of a text of this size.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// The text, or as much of its beginning and end as fits around an ellipsis: values of one kind begin alike, such as
/// `Independent(mean: "0.1 %")`.
pub(crate) fn shorten(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let room = most - width("…", size);
    let fitting = |c: char, room: &mut f64| {
        *room -= advance(c) * size;
        *room >= 0.0
    };
    let mut of_end = room * 0.4;
    let mut end: Vec<char> = text
        .chars()
        .rev()
        .take_while(|c| fitting(*c, &mut of_end))
        .collect();
    end.reverse();
    let end: String = end.into_iter().collect();
    let mut left = room - width(&end, size);
    let first: String = text.chars().take_while(|c| fitting(*c, &mut left)).collect();
    format!("{}…{}", first.trim_end(), end.trim_start())
}

/// Lines of at most this width, broken at blanks; a word that is longer is shortened.
pub(crate) fn wrap(text: &str, size: f64, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut()
            && width(line, size) + width(" ", size) + width(word, size) <= most
        {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        lines.push(shorten(word, size, most));
    }
    lines
}

/// Hands the outlines of a text to `builder`, which knows where it starts; `shift` tells it how far along the line the
/// next glyph stands, in units of the font's em.
pub(crate) fn outline<B: OutlineBuilder>(text: &str, builder: &mut B, shift: impl Fn(&mut B, f64)) {
    let mut along = 0.0;
    for c in text.chars() {
        shift(builder, along);
        FACE.outline_glyph(glyph(c), builder);
        along += advance(c);
    }
}

/// Units of the outlines in one em.
pub(crate) fn units_per_em() -> f64 {
    f64::from(FACE.units_per_em())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shortened_and_wrapped_to_the_width() {
        assert!(width("WWW", 10.0) > width("iii", 10.0));
        assert_eq!(shorten("short", 10.0, 100.0), "short");
        let short = shorten("a very long name of a series", 10.0, 60.0);
        assert!(
            short.starts_with("a v") && short.contains('…') && short.ends_with("ies"),
            "{short}"
        );
        assert!(width(&short, 10.0) <= 60.0, "{short}");
        let [one, other] =
            ["0.1 %", "0.2 %"].map(|loss| shorten(&format!("Independent(mean: \"{loss}\")"), 10.0, 90.0));
        assert!(one != other, "{one}");
        assert_eq!(shorten("any", 10.0, 0.0), "…");
        let lines = wrap("one two three four five six", 10.0, 50.0);
        assert!(
            lines.len() > 2 && lines.iter().all(|line| width(line, 10.0) <= 50.0),
            "{lines:?}"
        );
        assert_eq!(lines.join(" "), "one two three four five six");
    }

    #[test]
    fn what_captions_and_units_are_written_in_has_glyphs() {
        for c in "azAZ09 µ%→↔≤≥±×–—…·√∞äßéñčğşΔλ⁻⁵()'/".chars() {
            assert!(FACE.glyph_index(c).is_some(), "{c:?}");
        }
    }
}
