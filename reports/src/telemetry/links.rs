//! What links and regions measure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use longhaul_core::record::{EventRecord, LinkRecord, RunRecord};
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;

use super::family::*;
use super::moment::Moment;
use super::sheet::{Labels, Sheet, Value};

/// A link is degraded if more than one packet in so many was lost.
const DEGRADED_ONE_IN: u64 = 100;

/// Decimals of a percentage.
const PERCENT_DECIMALS: u32 = 6;

/// Names of the counters of lost packets in the time series, and what they are as values of the label `cause`.
const LOSSES: [(&str, &str); 3] = [
    ("lost_packets", "loss"),
    ("queue_dropped_packets", "queue"),
    ("down_lost_packets", "down"),
];

/// When links were down.
pub(super) struct Failures<'a> {
    /// Of each link, the times in order, and whether it went down then.
    changes: BTreeMap<&'a str, Vec<(u64, bool)>>,
}

impl<'a> Failures<'a> {
    /// Those that a run tells of.
    pub fn of(events: &'a [EventRecord]) -> Failures<'a> {
        let mut changes: BTreeMap<&str, Vec<(u64, bool)>> = BTreeMap::new();
        for event in events {
            let down = match event.kind.as_str() {
                "LinkDown" => true,
                "LinkUp" => false,
                _ => continue,
            };
            changes
                .entry(&event.entity)
                .or_default()
                .push((event.at_ns, down));
        }
        Failures { changes }
    }

    fn is_down(&self, link: &str, at_ns: u64) -> bool {
        let changes = self.changes.get(link).map_or(&[][..], Vec::as_slice);
        let so_far = changes.partition_point(|&(at, _)| at <= at_ns);
        changes[..so_far].last().is_some_and(|&(_, down)| down)
    }
}

/// What happened to the packets of a link in the time that is looked back at.
struct Passed {
    lost: u64,
    delivered: u64,
}

impl Passed {
    fn all(&self) -> u64 {
        self.lost.saturating_add(self.delivered)
    }

    fn is_degraded(&self) -> bool {
        u128::from(self.lost) * u128::from(DEGRADED_ONE_IN) > u128::from(self.all())
    }

    fn loss(&self) -> Option<Value> {
        percent(self.lost.into(), self.all().into())
    }
}

/// Notes all links and regions at a moment.
pub(super) fn collect<'a>(
    sheet: &mut Sheet<'a>,
    record: &'a RunRecord,
    failures: &Failures<'_>,
    moment: &Moment<'_>,
) {
    let mut regions: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for link in &record.links {
        gauges(sheet, link, failures, moment);
        let delivered = counters(sheet, link, moment);
        // Names of regions have no `>`.
        if let (Some(delivered), Some((from, to))) = (delivered, link.name.split_once("->")) {
            let out = &mut regions.entry(from).or_default().1;
            *out = out.saturating_add(delivered);
            let into = &mut regions.entry(to).or_default().0;
            *into = into.saturating_add(delivered);
        }
    }
    for (region, (into, out)) in regions {
        let labels = || vec![("region_id", Cow::Borrowed(region))];
        sheet.put(&REGION_IN, labels(), moment.at_ns, Value::whole(into));
        sheet.put(&REGION_OUT, labels(), moment.at_ns, Value::whole(out));
    }
}

fn labels(link: &LinkRecord) -> Labels<'_> {
    vec![("link_id", Cow::Borrowed(&link.name))]
}

fn gauges<'a>(sheet: &mut Sheet<'a>, link: &'a LinkRecord, failures: &Failures<'_>, moment: &Moment<'_>) {
    let (at, labels) = (moment.at_ns, labels(link));
    let down = failures.is_down(&link.name, at);
    let passed = passed(link, moment);
    let health = match &passed {
        _ if down => 0,
        Some(passed) if passed.is_degraded() => 1,
        _ => 2,
    };
    sheet.put(&LINK_HEALTH, labels.clone(), at, Value::whole(health));
    let loss = passed.and_then(|passed| passed.loss());
    sheet.put_some(&LINK_LOSS, &labels, at, loss);

    let queue = moment.value(&link.name, "queue_bytes");
    sheet.put_some(&LINK_QUEUE, &labels, at, queue.map(Value::whole));
    let rate = link.rate_bits_per_s.filter(|&rate| rate > 0);
    if let (Some(queue), Some(rate), false) = (queue, rate, down) {
        let wait = BitRate::from_bits_per_s(rate).time_for(queue);
        let latency = link.delay_ns.saturating_add(wait.as_ns());
        sheet.put(&LINK_LATENCY, labels.clone(), at, Value::scaled(latency, 6));
    }

    let bytes = moment.rise(&link.name, "delivered_bytes");
    if let (Some(bytes), Some(window)) = (bytes, moment.window_ns()) {
        let throughput = BitRate::of(bytes, Span::from_ns(window)).map(BitRate::as_bits_per_s);
        let mbps = throughput.map(|bits| Value::scaled(bits, 6));
        sheet.put_some(&LINK_THROUGHPUT, &labels, at, mbps);
        let share = rate.and_then(|rate| {
            let sent = u128::from(bytes) * 8 * 1_000_000_000;
            percent(sent, u128::from(rate) * u128::from(window))
        });
        sheet.put_some(&LINK_UTILIZATION, &labels, at, share);
    }
}

/// What became of packets, if there were any and they were counted.
fn passed(link: &LinkRecord, moment: &Moment<'_>) -> Option<Passed> {
    let rise = |metric| moment.rise(&link.name, metric);
    let mut lost = 0_u64;
    for (metric, _) in LOSSES {
        // Flow fidelity has no failures.
        lost = lost.saturating_add(rise(metric).unwrap_or(0));
    }
    let delivered = rise("delivered_packets").or_else(|| {
        let packets = link.packets.as_ref()?.delivered_packets;
        let bytes = rise("delivered_bytes")?;
        if bytes == 0 {
            return Some(0);
        }
        let mean = u128::from(bytes) * u128::from(packets);
        let whole = u128::from(link.delivered_bytes);
        u64::try_from((mean + whole / 2).checked_div(whole)?).ok()
    })?;
    let passed = Passed { lost, delivered };
    (passed.all() > 0).then_some(passed)
}

/// Notes the counters, and tells the delivered bytes.
fn counters<'a>(sheet: &mut Sheet<'a>, link: &'a LinkRecord, moment: &Moment<'_>) -> Option<u64> {
    let (at, labels) = (moment.at_ns, labels(link));
    let sampled = |metric| moment.value(&link.name, metric);
    // At the end the record is exact; the last sample may be older.
    let recorded = link.packets.as_ref().filter(|_| moment.end);
    let lost = |metric| match (recorded, metric) {
        (Some(packets), "lost_packets") => Some(packets.lost_packets),
        (Some(packets), "queue_dropped_packets") => Some(
            packets
                .queue_dropped_packets
                .saturating_add(packets.early_dropped_packets),
        ),
        (Some(packets), "down_lost_packets") => Some(packets.down_lost_packets),
        _ => sampled(metric),
    };
    for (metric, cause) in LOSSES {
        let mut labels = labels.clone();
        labels.insert(0, ("cause", Cow::Borrowed(cause)));
        sheet.put_some(&LINK_LOST, &labels, at, lost(metric).map(Value::whole));
    }
    if let Some(packets) = recorded {
        let mut put = |family, count| sheet.put(family, labels.clone(), at, Value::whole(count));
        put(&LINK_OFFERED, packets.offered_packets);
        put(&LINK_PACKETS, packets.delivered_packets);
        put(&LINK_CORRUPTED, packets.corrupted_packets);
    }
    if moment.end {
        sheet.put(&LINK_BUSY, labels.clone(), at, Value::seconds(link.busy_ns));
    }
    let delivered = if moment.end {
        Some(link.delivered_bytes)
    } else {
        sampled("delivered_bytes")
    };
    sheet.put_some(&LINK_BYTES, &labels, at, delivered.map(Value::whole));
    delivered
}

/// `part` of `whole` in percent, to the nearest millionth; none of nothing. `part` is below 2^98, so nothing overflows.
fn percent(part: u128, whole: u128) -> Option<Value> {
    let all = 100 * 10_u128.pow(PERCENT_DECIMALS);
    let rounded = (part * all + whole / 2).checked_div(whole)?;
    let count = u64::try_from(rounded).unwrap_or(u64::MAX);
    Some(Value::scaled(count, PERCENT_DECIMALS))
}
