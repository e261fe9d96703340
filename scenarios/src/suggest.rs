//! "Did you mean …?"

/// Longer texts are not compared: nobody mistypes so much, and the comparison takes quadratic time.
const LONGEST: usize = 64;

/// The candidate that `written` most resembles, if it plausibly is a typing mistake: equal but for case, or at
/// most one edit in three characters. Of several the first.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = written.chars().count();
    if length > LONGEST {
        return None;
    }
    let lower = written.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate.len() > LONGEST {
            continue;
        }
        let edits = strsim::osa_distance(&lower, &candidate.to_lowercase());
        let allowed = length.max(candidate.chars().count()) / 3;
        if edits <= allowed && best.is_none_or(|(least, _)| edits < least) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// "did you mean `x`?" if there is such an `x`, else the candidates, if they are few enough to be listed.
pub fn help<'a>(written: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(nearest) = nearest(written, candidates.clone()) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    let few: Vec<&str> = candidates.take(21).collect();
    match few.len() {
        1..=20 => Some(format!("known: {}", few.join(", "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_finds_its_word_and_anything_else_finds_none() {
        let regions = ["us-east", "eu-west", "ap-south"];
        assert_eq!(nearest("us-eats", regions), Some("us-east"));
        assert_eq!(nearest("EU-WEST", regions), Some("eu-west"));
        assert_eq!(nearest("mars", regions), None);
        assert_eq!(nearest("", regions), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("MB", ["ms"]), None);
        assert_eq!(nearest(&"us-east".repeat(100), regions), None);
        assert_eq!(nearest("mbit/s", ["bit/s", "kbit/s", "Mbit/s"]), Some("Mbit/s"));
    }

    #[test]
    fn without_a_near_word_the_known_ones_are_listed() {
        let regions = ["us-east", "eu-west"];
        assert_eq!(
            help("mars", regions.into_iter()).unwrap(),
            "known: us-east, eu-west"
        );
        assert_eq!(help("mars", [].into_iter()), None);
    }
}
