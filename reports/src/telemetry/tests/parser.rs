//! A strict reader of both formats. What it does not understand, or what a rule forbids, is a panic.

use std::collections::BTreeSet;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
    pub at: Option<f64>,
}

impl Sample {
    pub fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map(|(_, value)| value.as_str())
    }

    fn series(&self) -> (String, Vec<(String, String)>) {
        (self.name.clone(), self.labels.clone())
    }
}

#[derive(Debug, Default)]
pub(super) struct Family {
    pub name: String,
    pub kind: Option<String>,
    pub unit: Option<String>,
    help: Option<String>,
    pub samples: Vec<Sample>,
}

pub(super) fn parse(text: &str, format: Format) -> Vec<Family> {
    let open_metrics = format == Format::OpenMetrics;
    assert!(!text.contains("\r\n") && text.ends_with('\n'));
    let mut body = text;
    if open_metrics {
        body = text.strip_suffix("# EOF\n").expect("an end");
        assert!(!body.contains("# EOF"));
    }
    let mut families: Vec<Family> = Vec::new();
    for line in body.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", word @ ("HELP" | "TYPE" | "UNIT"), name, rest] => {
                assert!(is_name(name, true), "{line}");
                if families.last().is_none_or(|family| family.name != name) {
                    let name = name.to_owned();
                    families.push(Family {
                        name,
                        ..Family::default()
                    });
                }
                let family = families.last_mut().unwrap();
                assert!(family.samples.is_empty(), "{line}: after samples");
                let slot = match word {
                    "HELP" => &mut family.help,
                    "TYPE" => &mut family.kind,
                    _ => {
                        assert!(open_metrics && name.ends_with(&format!("_{rest}")), "{line}");
                        &mut family.unit
                    }
                };
                assert!(slot.replace(rest.to_owned()).is_none(), "{line}: twice");
            }
            ["#", ..] => assert!(!open_metrics, "{line}: a comment"),
            _ => {
                let sample = sample(line);
                assert_eq!(sample.at.is_some(), open_metrics, "{line}");
                let family = families.last_mut().expect("metadata before samples");
                family.samples.push(sample);
            }
        }
    }
    families.iter().for_each(|family| check(family, open_metrics));
    let names: Vec<&String> = families.iter().map(|family| &family.name).collect();
    assert!(
        names.windows(2).all(|pair| pair[0] < pair[1]),
        "families are not sorted, or come twice"
    );
    families
}

fn check(family: &Family, open_metrics: bool) {
    let name = &family.name;
    let kind = family.kind.as_deref().expect("a type");
    let help = family.help.as_deref().expect("help");
    assert!(!help.is_empty() && !help.contains(['\\', '"']), "{help}");
    assert!(!family.samples.is_empty(), "{name} has no samples");
    let (kinds, suffix): (&[&str], &str) = match (open_metrics, kind) {
        (false, _) => (&["gauge", "counter"], ""),
        (true, "counter") => (&["counter"], "_total"),
        (true, "info") => (&["info"], "_info"),
        (true, _) => (&["gauge", "unknown"], ""),
    };
    assert!(kinds.contains(&kind), "{name}: {kind}");
    let mut seen = BTreeSet::new();
    let mut last: Option<&Sample> = None;
    for sample in &family.samples {
        assert_eq!(sample.name, format!("{name}{suffix}"));
        let again = last.filter(|last| last.series() == sample.series());
        match again {
            Some(last) => assert!(open_metrics && last.at < sample.at, "{sample:?} after {last:?}"),
            None => assert!(
                seen.insert(sample.series()),
                "{sample:?}: its series is torn apart"
            ),
        }
        last = Some(sample);
    }
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect("a value");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name, true), "{line}");
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, value) = inside.split_once("=\"").expect("a label");
            assert!(is_name(label, false) && !label.starts_with("__"), "{line}");
            assert!(labels.iter().all(|(known, _)| known != label), "{line}");
            let (value, after) = label_value(value);
            labels.push((label.to_owned(), value));
            if let Some(after) = after.strip_prefix(',') {
                inside = after;
                continue;
            }
            rest = after.strip_prefix('}').expect("the end of the labels");
            break;
        }
    }
    let numbers = rest.strip_prefix(' ').expect("a blank before the value");
    let mut numbers = numbers.split(' ').map(number);
    let sample = Sample {
        name: name.to_owned(),
        labels,
        value: numbers.next().expect("a value"),
        at: numbers.next(),
    };
    assert!(numbers.next().is_none(), "{line}");
    sample
}

/// A label value behind its opening quote, and what follows its closing one.
fn label_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next().expect("a closing quote").1 {
            '"' => return (value, characters.as_str()),
            '\\' => value.push(match characters.next().expect("an escape").1 {
                '\\' => '\\',
                '"' => '"',
                'n' => '\n',
                other => panic!("{other} cannot be escaped"),
            }),
            other => value.push(other),
        }
    }
}

/// Digits, and perhaps a point and digits.
fn number(text: &str) -> f64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    for digits in [whole, fraction] {
        assert!(
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
            "{text:?} is no number"
        );
    }
    text.parse().unwrap()
}

fn is_name(text: &str, colons: bool) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (colons && c == ':');
    text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit())
}
