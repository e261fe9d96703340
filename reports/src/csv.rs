//! Comma-separated values as RFC 4180 quotes them, with a header line and LF at the end of each line.

use std::io::{self, Write};

use longhaul_core::record::{EventRecord, SampleRecord};
use serde::{Deserialize, Serialize};

/// Writes `series.csv`: one sample of a quantity per line.
///
/// # Errors
/// Those of `out`.
pub fn write_series(out: &mut impl Write, series: &[SampleRecord]) -> io::Result<()> {
    out.write_all(b"time_ns,entity,metric,value\n")?;
    for sample in series {
        write!(out, "{},", sample.at_ns)?;
        write_field(out, &sample.entity)?;
        out.write_all(b",")?;
        write_field(out, &sample.metric)?;
        writeln!(out, ",{}", sample.value)?;
    }
    Ok(())
}

/// Writes `events.csv`: one event worth telling per line, with the engine event in which it happened.
///
/// # Errors
/// Those of `out`.
pub fn write_events(out: &mut impl Write, events: &[EventRecord]) -> io::Result<()> {
    out.write_all(b"time_ns,entity,kind,detail,during_event\n")?;
    for event in events {
        write!(out, "{},", event.at_ns)?;
        for field in [&event.entity, &event.kind, &event.detail] {
            write_field(out, field)?;
            out.write_all(b",")?;
        }
        writeln!(out, "{}", event.during_event)?;
    }
    Ok(())
}

/// One line of `trace.csv`: an event of the engine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TraceRow {
    /// Its place in the run, counted from 0.
    pub index: u64,
    /// When it was executed, in nanoseconds of virtual time.
    pub time_ns: u64,
    /// Its identity: class, source and the source's own counter.
    pub event: String,
    /// Number of the entity that handled it.
    pub target: u32,
    /// What it was about, in the entity's own numbering.
    pub token: u32,
    /// The event that scheduled it.
    pub cause: String,
    /// The digest of the run after it, 16 hexadecimal digits.
    pub digest: String,
}

/// Writes `trace.csv`: one event of the engine per line.
///
/// # Errors
/// Those of `out`.
pub fn write_trace(out: &mut impl Write, trace: &[TraceRow]) -> io::Result<()> {
    out.write_all(b"index,time_ns,event,target,token,cause,digest\n")?;
    for row in trace {
        write!(out, "{},{},", row.index, row.time_ns)?;
        write_field(out, &row.event)?;
        write!(out, ",{},{},", row.target, row.token)?;
        write_field(out, &row.cause)?;
        writeln!(out, ",{}", row.digest)?;
    }
    Ok(())
}

/// Writes one field, quoted if a reader would otherwise take part of it for syntax.
fn write_field(out: &mut impl Write, field: &str) -> io::Result<()> {
    let plain = !field.contains([',', '"', '\n', '\r']) && field.trim() == field;
    if plain {
        return out.write_all(field.as_bytes());
    }
    out.write_all(b"\"")?;
    out.write_all(field.replace('"', "\"\"").as_bytes())?;
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> String {
        let mut out = Vec::new();
        write_field(&mut out, text).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_fields_that_need_it_are_quoted() {
        assert_eq!(field("fra->nyc"), "fra->nyc");
        assert_eq!(field(r#"{"a":1,"b":"c"}"#), r#""{""a"":1,""b"":""c""}""#);
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("two\nlines"), "\"two\nlines\"");
        assert_eq!(field(" blank"), "\" blank\"");
        assert_eq!(field(""), "");
    }

    #[test]
    fn each_record_is_a_line_under_its_header() {
        let mut out = Vec::new();
        let sample = SampleRecord {
            at_ns: 5,
            entity: "m,1".to_owned(),
            metric: "remaining_bytes".to_owned(),
            value: u64::MAX,
        };
        write_series(&mut out, &[sample]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "time_ns,entity,metric,value\n5,\"m,1\",remaining_bytes,18446744073709551615\n"
        );

        let mut out = Vec::new();
        let event = EventRecord {
            at_ns: 7,
            entity: "m1".to_owned(),
            kind: "paused".to_owned(),
            detail: r#"{"remaining":4096}"#.to_owned(),
            during_event: 12,
        };
        write_events(&mut out, &[event]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "time_ns,entity,kind,detail,during_event\n7,m1,paused,\"{\"\"remaining\"\":4096}\",12\n"
        );
    }
}
