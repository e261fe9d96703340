//! The two text formats.

use std::io::{self, Write};

use super::family::{DICTATED, Family, Kind};
use super::sheet::{Labels, Point, Sheet, Value};

/// The text exposition format 0.0.4: the last sample of each series.
pub(super) fn prometheus(out: &mut impl Write, sheet: &Sheet<'_>) -> io::Result<()> {
    out.write_all(
        b"# The end of a simulated run. Rates and losses look back over the last 10 s of its time series.\n",
    )?;
    let missing: Vec<&str> = DICTATED
        .iter()
        .filter(|family| !sheet.has(family))
        .map(|family| family.name)
        .collect();
    if !missing.is_empty() {
        writeln!(
            out,
            "# Not measured, and thus without a sample: {}.",
            missing.join(", ")
        )?;
    }
    for (family, series) in sheet.families() {
        let Family { name, help, .. } = family;
        let kind = match family.kind {
            Kind::Gauge | Kind::Info => "gauge",
            Kind::Counter | Kind::Sum => "counter",
        };
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        for (labels, points) in series {
            if let Some((_, value)) = points.last() {
                sample(out, name, labels, value)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}

/// OpenMetrics 1.0: every sample with its time.
pub(super) fn openmetrics(out: &mut impl Write, sheet: &Sheet<'_>) -> io::Result<()> {
    for (family, series) in sheet.families() {
        let Family { name: full, help, .. } = *family;
        // The suffix belongs to the sample and not to the family.
        let (kind, name) = match family.kind {
            Kind::Gauge => ("gauge", full),
            Kind::Counter => ("counter", full.strip_suffix("_total").unwrap_or(full)),
            Kind::Info => ("info", full.strip_suffix("_info").unwrap_or(full)),
            // A counter without the suffix is not allowed.
            Kind::Sum => ("unknown", full),
        };
        writeln!(out, "# TYPE {name} {kind}")?;
        if let Some(unit) = family.unit {
            writeln!(out, "# UNIT {name} {unit}")?;
        }
        writeln!(out, "# HELP {name} {help}")?;
        for (labels, points) in series {
            for (at_ns, value) in points as &[Point] {
                sample(out, full, labels, value)?;
                writeln!(out, " {}", Value::seconds(*at_ns))?;
            }
        }
    }
    out.write_all(b"# EOF\n")
}

fn sample(out: &mut impl Write, name: &str, labels: &Labels<'_>, value: &Value) -> io::Result<()> {
    out.write_all(name.as_bytes())?;
    for (index, (label, text)) in labels.iter().enumerate() {
        let open = if index == 0 { '{' } else { ',' };
        write!(out, "{open}{label}=\"{}\"", escaped(text))?;
    }
    let close = if labels.is_empty() { "" } else { "}" };
    write!(out, "{close} {value}")
}

/// A label value as both formats quote it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_end_a_label_value_is_escaped() {
        assert_eq!(escaped("frankfurt->new-york"), "frankfurt->new-york");
        assert_eq!(escaped("a\\b \"c\"\nd\té"), "a\\\\b \\\"c\\\"\\nd\té");
    }
}
