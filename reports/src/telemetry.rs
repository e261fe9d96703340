//! Telemetry of a run for Prometheus: `metrics.prom` and `telemetry.om`.
//!
//! | file | format | content |
//! | --- | --- | --- |
//! | `metrics.prom` | text exposition format 0.0.4 | the end of the run, for `promtool check metrics` |
//! | `telemetry.om` | OpenMetrics 1.0 | a collection every 10 s of virtual time, for `promtool tsdb create-blocks-from openmetrics` |
//!
//! A collection takes the last sample of the time series at or before its moment, so 10 s is 60 s if samples are
//! 60 s apart; the last collection is the end of the run and takes counters from the run's record. Rates and
//! losses look back over the 10 s before. What was not measured has no sample, never a 0; what was worked out from
//! other figures says so in its `HELP`. The names `dwcp_…` and `patronus_sdwan_…` are those that dashboards of
//! the systems under study use; units that Prometheus would rather not see in names are part of them.
//!
//! Sources: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

mod family;
mod links;
mod moment;
mod services;
mod sheet;
mod text;
mod work;

use std::io::{self, Write};

use longhaul_core::record::{EventRecord, RunRecord, SampleRecord};

use moment::{Moment, Timeline};
use sheet::Sheet;

/// Writes `metrics.prom`: one sample of each series, as it was at the end of the run, without a timestamp.
///
/// # Errors
/// Those of `out`.
pub fn write_prometheus(
    out: &mut impl Write,
    record: &RunRecord,
    series: &[SampleRecord],
    events: &[EventRecord],
) -> io::Result<()> {
    let timeline = Timeline::new(record, series);
    let sheet = collect(record, events, [timeline.end()]);
    text::prometheus(out, &sheet)
}

/// Writes `telemetry.om`: every series over the run, with timestamps in seconds of virtual time.
///
/// # Errors
/// Those of `out`.
pub fn write_openmetrics(
    out: &mut impl Write,
    record: &RunRecord,
    series: &[SampleRecord],
    events: &[EventRecord],
) -> io::Result<()> {
    let timeline = Timeline::new(record, series);
    let sheet = collect(record, events, timeline.moments());
    text::openmetrics(out, &sheet)
}

/// What the run was like at moments that rise.
fn collect<'a>(
    record: &'a RunRecord,
    events: &'a [EventRecord],
    moments: impl IntoIterator<Item = Moment<'a>>,
) -> Sheet<'a> {
    let mut sheet = Sheet::default();
    let failures = links::Failures::of(events);
    for moment in moments {
        links::collect(&mut sheet, record, &failures, &moment);
        work::collect(&mut sheet, record, &moment);
        services::collect(&mut sheet, record, &moment);
    }
    sheet
}

#[cfg(test)]
mod tests;
