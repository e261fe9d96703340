//! What clients, servers, clusters of federations and streams of datagrams have done.

use std::borrow::Cow;

use longhaul_core::record::{ClientRecord, QuantileRecord, RunRecord};

use super::family::*;
use super::moment::Moment;
use super::sheet::{Labels, Sheet, Value};

/// Notes them at a moment: counters by the samples of the time series, and at the end by the record.
pub(super) fn collect<'a>(sheet: &mut Sheet<'a>, record: &'a RunRecord, moment: &Moment<'_>) {
    for client in &record.clients {
        requests(sheet, client, moment);
        if moment.end {
            latencies(sheet, client, moment.at_ns);
        }
    }
    servers(sheet, record, moment);
    clusters(sheet, record, moment);
    datagrams(sheet, record, moment);
}

fn requests<'a>(sheet: &mut Sheet<'a>, client: &'a ClientRecord, moment: &Moment<'_>) {
    let at = moment.at_ns;
    let labels: Labels<'_> = vec![("client", Cow::Borrowed(&client.name))];
    let value = |metric, last| {
        let value = moment.value_or_last(&client.name, metric, last);
        value.map(Value::whole)
    };
    for (outcome, metric, last) in [
        ("succeeded", "requests_succeeded", client.succeeded),
        ("late", "requests_late", client.late),
        ("failed", "requests_failed", client.failed),
    ] {
        let mut labels = labels.clone();
        labels.push(("outcome", Cow::Borrowed(outcome)));
        sheet.put_some(&CLIENT_REQUESTS, &labels, at, value(metric, last));
    }
    let attempts = value("attempts", client.attempts);
    sheet.put_some(&CLIENT_ATTEMPTS, &labels, at, attempts);
    let in_flight = value("requests_in_flight", client.in_flight);
    sheet.put_some(&CLIENT_IN_FLIGHT, &labels, at, in_flight);
}

fn latencies<'a>(sheet: &mut Sheet<'a>, client: &'a ClientRecord, at: u64) {
    for quantile in &client.latency_quantiles {
        let share = Value::scaled(quantile.share_parts.into(), QuantileRecord::PARTS.ilog10());
        let labels: Labels<'_> = vec![
            ("client", Cow::Borrowed(&client.name)),
            ("quantile", share.to_string().into()),
        ];
        sheet.put(&CLIENT_LATENCY, labels, at, Value::seconds(quantile.value_ns));
    }
}

fn servers<'a>(sheet: &mut Sheet<'a>, record: &'a RunRecord, moment: &Moment<'_>) {
    let at = moment.at_ns;
    for service in &record.services {
        for server in &service.servers {
            let labels: Labels<'_> = vec![
                ("region_id", Cow::Borrowed(&server.region)),
                ("service", Cow::Borrowed(&service.name)),
            ];
            let entity = format!("{}/{}", service.name, server.region);
            let answered = moment.value_or_last(&entity, "requests_answered", server.answered);
            sheet.put_some(&SERVER_ANSWERED, &labels, at, answered.map(Value::whole));
            let queued = moment.value(&entity, "requests_queued").map(Value::whole);
            sheet.put_some(&SERVER_QUEUED, &labels, at, queued);
            if moment.end {
                let counts = [
                    (&SERVER_RECEIVED, server.received),
                    (&SERVER_REFUSED, server.refused),
                    (&SERVER_LOST, server.lost),
                ];
                sheet.put_counts(&labels, at, counts);
            }
        }
    }
}

fn clusters<'a>(sheet: &mut Sheet<'a>, record: &'a RunRecord, moment: &Moment<'_>) {
    let at = moment.at_ns;
    for federation in &record.federations {
        for cluster in &federation.clusters {
            let labels: Labels<'_> = vec![
                ("federation", Cow::Borrowed(&federation.name)),
                ("region_id", Cow::Borrowed(&cluster.region)),
            ];
            let entity = format!("{}/{}", federation.name, cluster.region);
            let waiting = moment.value_or_last(&entity, "waiting_changes", cluster.waiting);
            sheet.put_some(&CLUSTER_WAITING, &labels, at, waiting.map(Value::whole));
            if moment.end {
                let counts = [
                    (&CLUSTER_UPDATES, cluster.updates),
                    (&CLUSTER_APPLIED, cluster.applied),
                    (&CLUSTER_COMMITTED, cluster.committed),
                    (&CLUSTER_SENT, cluster.sent),
                ];
                sheet.put_counts(&labels, at, counts);
            }
        }
    }
}

fn datagrams<'a>(sheet: &mut Sheet<'a>, record: &'a RunRecord, moment: &Moment<'_>) {
    let at = moment.at_ns;
    for stream in &record.datagrams {
        let labels: Labels<'_> = vec![("stream", Cow::Borrowed(&stream.name))];
        let received = moment.value_or_last(&stream.name, "received_datagrams", stream.received);
        sheet.put_some(&DATAGRAMS_RECEIVED, &labels, at, received.map(Value::whole));
        if moment.end {
            sheet.put(&DATAGRAMS_SENT, labels, at, Value::whole(stream.sent));
        }
    }
}
