//! What overlays measure, how far the work has come, and the run itself.

use std::borrow::Cow;

use longhaul_core::record::{OverlayRecord, Progress, RunRecord};

use super::family::*;
use super::moment::Moment;
use super::sheet::{Labels, Sheet, Value};

/// Notes everything but links and regions at a moment.
pub(super) fn collect<'a>(sheet: &mut Sheet<'a>, record: &'a RunRecord, moment: &Moment<'_>) {
    let at = moment.at_ns;
    sheet.put(&SIMULATED, Vec::new(), at, Value::seconds(at));
    if moment.end {
        run(sheet, record, at);
    }
    for overlay in &record.overlays {
        paths(sheet, overlay, moment);
        if moment.end {
            edges(sheet, overlay, at);
        }
    }
    migrations(sheet, record, moment);
    transfers(sheet, record, moment);
    replications(sheet, record, moment);
}

fn run<'a>(sheet: &mut Sheet<'a>, record: &'a RunRecord, at: u64) {
    let labels = vec![
        ("digest", Cow::Borrowed(record.digest.as_str())),
        ("ended", format!("{:?}", record.ended).into()),
        ("fidelity", format!("{:?}", record.fidelity).into()),
        ("model_version", record.model_version.to_string().into()),
        ("scenario", Cow::Borrowed(record.scenario.as_str())),
        ("scenario_hash", Cow::Borrowed(record.scenario_hash.as_str())),
        ("seed", record.seed.to_string().into()),
        ("tool_version", Cow::Borrowed(record.tool_version.as_str())),
        ("verdict", format!("{:?}", record.verdict).into()),
    ];
    sheet.put(&RUN_INFO, labels, at, Value::whole(1));
    let mut put = |family, count| sheet.put(family, Vec::new(), at, Value::whole(count));
    put(&EVENTS, record.events);
    put(&UNROUTED, record.unrouted_packets);
    put(&OVERSIZED, record.oversized_packets);
}

fn paths<'a>(sheet: &mut Sheet<'a>, overlay: &'a OverlayRecord, moment: &Moment<'_>) {
    let at = moment.at_ns;
    for path in &overlay.paths {
        let entity = format!("{}/{} {}->{}", overlay.name, path.name, path.from, path.to);
        let labels: Labels<'_> = vec![
            ("from", Cow::Borrowed(&path.from)),
            ("overlay", Cow::Borrowed(&overlay.name)),
            ("path", Cow::Borrowed(&path.name)),
            ("to", Cow::Borrowed(&path.to)),
        ];
        let mut put = |family, metric, decimals| {
            let value = moment.value(&entity, metric);
            let value = value.map(|value| Value::scaled(value, decimals));
            sheet.put_some(family, &labels, at, value);
        };
        // Nanoseconds in milliseconds and seconds, parts of 10^12 in percent, thousandths of a point.
        put(&SDWAN_LATENCY, "rtt_mean_ns", 6);
        put(&SDWAN_JITTER, "jitter_ns", 6);
        put(&SDWAN_LOSS, "probe_loss_parts", 10);
        put(&SDWAN_SCORE, "score_millis", 3);
        put(&SDWAN_FLOWS, "flows", 0);
        put(&PATH_UP, "path_up", 0);
        put(&PATH_STDDEV, "rtt_stddev_ns", 9);
        let rate = moment.value(&entity, "measured_bits_per_s");
        // Eighths are thousandths by 125.
        let rate = rate.map(|bits| Value::scaled(bits.saturating_mul(125), 3));
        sheet.put_some(&PATH_RATE, &labels, at, rate);
        if moment.end {
            sheet.put(&PATH_DOWNS, labels, at, Value::whole(path.downs));
        }
    }
}

fn edges<'a>(sheet: &mut Sheet<'a>, overlay: &'a OverlayRecord, at: u64) {
    for edge in &overlay.edges {
        let labels: Labels<'_> = vec![
            ("overlay", Cow::Borrowed(&overlay.name)),
            ("region_id", Cow::Borrowed(&edge.region)),
        ];
        let counts = [
            (&EDGE_SWITCHES, edge.switches),
            (&EDGE_FLAPS, edge.flaps),
            (&EDGE_BYTES, edge.bytes_sent),
        ];
        sheet.put_counts(&labels, at, counts);
        let known = edge.discovery.as_ref().map(|discovery| discovery.sites_known);
        sheet.put_some(&SDWAN_SITES, &labels, at, known.map(Value::whole));
    }
}

/// How far something got, as a number.
fn state(progress: &Progress) -> Value {
    Value::whole(match progress {
        Progress::NotStarted => 0,
        Progress::Unfinished => 1,
        Progress::Completed => 2,
        Progress::Failed(_) => 3,
    })
}

fn migrations<'a>(sheet: &mut Sheet<'a>, record: &'a RunRecord, moment: &Moment<'_>) {
    let at = moment.at_ns;
    for migration in &record.migrations {
        let labels: Labels<'_> = vec![("migration", Cow::Borrowed(&migration.name))];
        let value = |metric, last| moment.value_or_last(&migration.name, metric, last);
        let sent = value("transferred_bytes", migration.ram.transferred);
        let left = value("remaining_bytes", migration.ram.remaining);
        sheet.put_some(&MIGRATION_SENT, &labels, at, sent.map(Value::whole));
        sheet.put_some(&MIGRATION_LEFT, &labels, at, left.map(Value::whole));
        if moment.end {
            let total = migration.total_time_ns.map(Value::seconds);
            sheet.put_some(&MIGRATION_TIME, &labels, at, total);
            let downtime = migration.downtime_ns.map(Value::seconds);
            sheet.put_some(&MIGRATION_DOWNTIME, &labels, at, downtime);
            sheet.put(&MIGRATION_STATE, labels, at, state(&migration.progress));
        }
    }
}

fn transfers<'a>(sheet: &mut Sheet<'a>, record: &'a RunRecord, moment: &Moment<'_>) {
    let at = moment.at_ns;
    for transfer in &record.transfers {
        let labels: Labels<'_> = vec![("transfer", Cow::Borrowed(&transfer.name))];
        let received = moment.value_or_last(&transfer.name, "received_bytes", transfer.received);
        sheet.put_some(&TRANSFER_RECEIVED, &labels, at, received.map(Value::whole));
        if moment.end {
            sheet.put_some(&TRANSFER_SIZE, &labels, at, transfer.size.map(Value::whole));
            let duration = transfer.completion_ns.map(Value::seconds);
            sheet.put_some(&TRANSFER_TIME, &labels, at, duration);
            sheet.put(&TRANSFER_STATE, labels, at, state(&transfer.progress));
        }
    }
}

fn replications<'a>(sheet: &mut Sheet<'a>, record: &'a RunRecord, moment: &Moment<'_>) {
    let at = moment.at_ns;
    for replication in &record.replications {
        let labels: Labels<'_> = vec![("replication", Cow::Borrowed(&replication.name))];
        let sampled = |metric| moment.value(&replication.name, metric);
        let sent = moment.value_or_last(&replication.name, "transferred_bytes", replication.transferred);
        sheet.put_some(&REPLICATION_SENT, &labels, at, sent.map(Value::whole));
        let backlog = sampled("backlog_bytes").map(Value::whole);
        sheet.put_some(&REPLICATION_BACKLOG, &labels, at, backlog);
        let age = sampled("recovery_point_ns").map(Value::seconds);
        sheet.put_some(&REPLICATION_AGE, &labels, at, age);
    }
}
