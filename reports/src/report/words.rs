//! The detail of an event, which tables have as JSON, in words.

use serde_json::Value;

use crate::human;

/// Longest text.
const LONGEST: usize = 300;

/// `{"Breaker":{"layer":1,"to":"Open"}}` as `breaker: layer 1, to open`, the fields in the order of their names. Times, sizes and
/// shares, which names of fields tell, are written as people read them; what is not known (`null`) is left out. What is no JSON
/// stays as it is.
pub(super) fn of(detail: &str) -> String {
    let mut text = String::new();
    match serde_json::from_str(detail) {
        Ok(value) => value_in_words("", &value, &mut text),
        Err(_) => detail.clone_into(&mut text),
    }
    if text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST).chain(['…']).collect();
    }
    text
}

fn value_in_words(name: &str, value: &Value, text: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(yes) => text.push_str(if *yes { "yes" } else { "no" }),
        Value::Number(number) => match number.as_u64() {
            Some(number) => text.push_str(&quantity(name, number)),
            None => text.push_str(&number.to_string()),
        },
        Value::String(word) => text.push_str(&named(word)),
        Value::Array(values) if values.is_empty() => text.push_str("nothing"),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                value_in_words(name, value, text);
            }
        }
        Value::Object(fields) => {
            let known = fields.iter().filter(|(_, value)| !value.is_null());
            for (index, (name, value)) in known.enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                text.push_str(&named(name));
                let nested = value.as_object().is_some_and(|fields| !fields.is_empty());
                text.push_str(if nested { ": " } else { " " });
                value_in_words(name, value, text);
            }
        }
    }
}

/// A number in the unit that the name of its field tells.
fn quantity(name: &str, number: u64) -> String {
    let last = name.rsplit('_').next().unwrap_or_default();
    match last {
        "ns" | "time" | "downtime" | "blocktime" | "at" | "since" | "idle" | "processor" | "network"
        | "fault" => human::span(number),
        "bytes" => human::bytes(number),
        "share" => human::percentage(number),
        _ => human::count(number),
    }
}

/// `dirty_pages`, `ClosedByPeer`: words in lower case. A name with other characters is somebody's own.
fn named(name: &str) -> String {
    if name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        return name.to_owned();
    }
    let mut words = String::with_capacity(name.len() + 4);
    for (index, c) in name.strip_suffix("_ns").unwrap_or(name).chars().enumerate() {
        if c == '_' {
            words.push(' ');
        } else if c.is_ascii_uppercase() {
            if index > 0 && !words.ends_with(' ') && !words.ends_with(|c: char| c.is_ascii_digit()) {
                words.push(' ');
            }
            words.push(c.to_ascii_lowercase());
        } else {
            words.push(c);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_become_words_with_units() {
        for (detail, words) in [
            (
                r#"{"Breaker":{"layer":1,"from":"Closed","to":"HalfOpen"}}"#,
                "breaker: from closed, layer 1, to half open",
            ),
            (
                r#"{"dirty_pages":262144,"expected_total_time":null,"setup_time":80010064}"#,
                "dirty pages 262,144, setup time 80.0 ms",
            ),
            (
                r#"{"remaining_bytes":19841024,"why":"Silent","vcpu_ns":[2000000,3000000]}"#,
                "remaining bytes 19.8 MB, vcpu 2 ms 3 ms, why silent",
            ),
            (r#"{"share":800000000000}"#, "share 80 %"),
            (
                r#"{"without":["north->south","south->north"]}"#,
                "without north->south south->north",
            ),
            (r#"{"without":[]}"#, "without nothing"),
            (r#"{"converges":false,"change":-3}"#, "change -3, converges no"),
            ("no JSON", "no JSON"),
            ("", ""),
        ] {
            assert_eq!(of(detail), words);
        }
        assert_eq!(
            of(&format!("\"{}\"", "a".repeat(400))).chars().count(),
            LONGEST + 1
        );
    }
}
