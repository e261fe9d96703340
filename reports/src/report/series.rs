//! The time series of a run, thinned out while it is read: of every line of a plot the first, lowest, highest and last value of
//! each of some hundred parts of the run are kept, so that no peak is lost and memory does not grow with the run.

use std::collections::BTreeMap;

use longhaul_core::record::RunRecord;

use super::rows::{Rows, text};

/// Parts of the run in which a line keeps four points.
pub(super) const PARTS: usize = 250;
/// Looks at all links, for the map.
pub(super) const FRAMES: usize = 120;
/// Links that get lines of their own: the fullest ones.
const LINES: usize = 6;
/// Of everything else.
const ENTITIES: usize = 8;
/// Paths that have strips: these take little room.
const STRIPS: usize = 60;
/// Links whose looks are kept.
const MAPPED: usize = 1_000;
/// Values that are kept for a distribution; then every second one is dropped, and so on.
const VALUES: usize = 20_000;

/// What becomes of a quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// As it is.
    Level,
    /// How fast it rises, per second.
    Rise,
}

/// A quantity over time.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Track {
    pub entity: String,
    pub metric: &'static str,
    /// Time in seconds and value, thinned out.
    pub points: Vec<(f64, f64)>,
    /// How many there were.
    pub n: u64,
    /// Values for a distribution, every [`Track::every`]-th.
    pub values: Vec<f64>,
    pub every: u64,
    way: Way,
    before: Option<(u64, u64)>,
    part: Part,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Part {
    number: usize,
    /// First, lowest, highest and last, each with its place in the part.
    kept: [(u64, f64, f64); 4],
    count: u64,
}

impl Track {
    pub fn new(entity: &str, metric: &'static str, way: Way) -> Track {
        Track {
            entity: entity.to_owned(),
            metric,
            points: Vec::new(),
            n: 0,
            values: Vec::new(),
            every: 1,
            way,
            before: None,
            part: Part::default(),
        }
    }

    pub fn sample(&mut self, at_ns: u64, value: u64, end_ns: u64) {
        // Until the first round begins, nothing has been counted yet.
        if self.metric == "remaining_bytes" && self.n == 0 && value == 0 {
            return;
        }
        let now = match self.way {
            Way::Level => Some(value as f64),
            Way::Rise => {
                let before = self.before.replace((at_ns, value));
                before
                    .filter(|&(at, _)| at < at_ns)
                    .map(|(at, was)| value.saturating_sub(was) as f64 * 1e9 / (at_ns - at) as f64)
            }
        };
        if let Some(now) = now {
            self.push(at_ns, now, end_ns);
        }
    }

    fn push(&mut self, at_ns: u64, value: f64, end_ns: u64) {
        if self.n.is_multiple_of(self.every) {
            self.values.push(value);
            if self.values.len() >= VALUES {
                let mut keep = false;
                self.values.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.every *= 2;
            }
        }
        self.n += 1;
        let seconds = at_ns as f64 / 1e9;
        // Below the number of parts.
        let number = (u128::from(at_ns) * PARTS as u128 / u128::from(end_ns.max(1))) as usize;
        if self.part.count > 0 && self.part.number != number {
            self.close();
        }
        let here = (self.part.count, seconds, value);
        if self.part.count == 0 {
            self.part = Part {
                number,
                kept: [here; 4],
                count: 0,
            };
        }
        if value < self.part.kept[1].2 {
            self.part.kept[1] = here;
        }
        if value > self.part.kept[2].2 {
            self.part.kept[2] = here;
        }
        self.part.kept[3] = here;
        self.part.count += 1;
    }

    /// Keeps the points of a part in order.
    fn close(&mut self) {
        let mut kept = self.part.kept;
        kept.sort_by_key(|point| point.0);
        let mut last = None;
        for (place, x, y) in kept {
            if last != Some(place) {
                self.points.push((x, y));
            }
            last = Some(place);
        }
        self.part.count = 0;
    }
}

/// All that is kept.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub tracks: Vec<Track>,
    /// Of each link by its place in the record, how full it was in each look; empty if that is not known.
    pub looks: Vec<Vec<f64>>,
    /// Samples read.
    pub samples: u64,
    /// How many entities have a quantity, drawn or not.
    entities: BTreeMap<String, u64>,
}

/// Where samples of a quantity go.
#[derive(Clone, Copy, Default)]
struct Slot {
    track: Option<usize>,
    look: Option<usize>,
}

impl Series {
    /// Reads `series.csv`.
    pub fn read(mut rows: Rows, record: &RunRecord) -> Result<Series, String> {
        let mut plan = Plan::new(record);
        // Samples come in the same order at every time: the one after the last one is looked at first.
        let mut known: Vec<(Vec<u8>, Vec<u8>, Slot)> = Vec::new();
        let mut index: BTreeMap<(Vec<u8>, Vec<u8>), usize> = BTreeMap::new();
        let mut next = 0;
        let mut samples = 0;
        while let Some(row) = rows.next()? {
            let (entity, metric) = (row.raw(1), row.raw(2));
            samples += 1;
            let expected = known
                .get(next)
                .is_some_and(|(e, m, _)| e == entity && m == metric);
            let place = if expected {
                next
            } else {
                let key = (entity.to_vec(), metric.to_vec());
                match index.get(&key) {
                    Some(&place) => place,
                    None => {
                        let slot = plan.slot(text(entity).as_bytes(), text(metric).as_bytes());
                        known.push((key.0.clone(), key.1.clone(), slot));
                        index.insert(key, known.len() - 1);
                        known.len() - 1
                    }
                }
            };
            next = if place + 1 < known.len() { place + 1 } else { 0 };
            let slot = known[place].2;
            if slot.track.is_none() && slot.look.is_none() {
                continue;
            }
            plan.sample(slot, row.number(0)?, row.number(3)?);
        }
        let mut entities = BTreeMap::new();
        for (_, metric, _) in &known {
            *entities.entry(text(metric).into_owned()).or_default() += 1;
        }
        Ok(Series {
            samples,
            entities,
            ..plan.finish()
        })
    }

    /// How many entities have a quantity, drawn or not.
    pub fn entities(&self, metric: &str) -> u64 {
        self.entities.get(metric).copied().unwrap_or(0)
    }

    /// The tracks of a quantity.
    pub fn of<'s>(&'s self, metric: &'s str) -> impl Iterator<Item = &'s Track> + 's {
        self.tracks
            .iter()
            .filter(move |track| track.metric == metric && !track.points.is_empty())
    }
}

/// What to keep, decided from the summary before the series is read.
struct Plan {
    end_ns: u64,
    tracks: Vec<Track>,
    /// Entity and metric in the file to the track.
    wanted: BTreeMap<(String, &'static str), usize>,
    links: BTreeMap<String, usize>,
    looks: Vec<Look>,
}

/// A link seen from look to look.
struct Look {
    rate: Option<u64>,
    before: (u64, u64),
    number: usize,
    shares: Vec<f64>,
}

impl Plan {
    fn new(record: &RunRecord) -> Plan {
        let mut plan = Plan {
            end_ns: record.simulated_ns,
            tracks: Vec::new(),
            wanted: BTreeMap::new(),
            links: BTreeMap::new(),
            looks: Vec::new(),
        };
        let mut fullest: Vec<usize> = (0..record.links.len()).collect();
        let share = |index: usize| {
            let link = &record.links[index];
            link.busy_ns as f64 / link.active_ns.max(1) as f64
        };
        fullest.sort_by(|&a, &b| share(b).total_cmp(&share(a)).then(a.cmp(&b)));
        for &index in fullest
            .iter()
            .take(LINES)
            .filter(|&&index| record.links[index].delivered_bytes > 0)
        {
            plan.want(&record.links[index].name, "delivered_bytes", Way::Rise);
            plan.want(&record.links[index].name, "queue_bytes", Way::Level);
        }
        for migration in record.migrations.iter().take(ENTITIES) {
            for metric in ["remaining_bytes", "bandwidth_bits_per_s", "dirty_pages_per_s"] {
                plan.want(&migration.name, metric, Way::Level);
            }
        }
        for transfer in record.transfers.iter().take(ENTITIES) {
            plan.want(&transfer.name, "received_bytes", Way::Rise);
        }
        for datagrams in record.datagrams.iter().take(ENTITIES) {
            plan.want(&datagrams.name, "received_datagrams", Way::Rise);
        }
        for client in record.clients.iter().take(ENTITIES) {
            plan.want(&client.name, "requests_succeeded", Way::Rise);
            plan.want(&client.name, "attempts", Way::Rise);
        }
        for service in record.services.iter().take(ENTITIES) {
            for server in service.servers.iter().take(ENTITIES) {
                let entity = format!("{}/{}", service.name, server.region);
                plan.want(&entity, "requests_queued", Way::Level);
            }
        }
        for replication in record.replications.iter().take(ENTITIES) {
            plan.want(&replication.name, "recovery_point_ns", Way::Level);
            plan.want(&replication.name, "backlog_bytes", Way::Level);
        }
        for federation in record.federations.iter().take(ENTITIES) {
            for cluster in federation.clusters.iter().take(ENTITIES) {
                plan.want(
                    &format!("{}/{}", federation.name, cluster.region),
                    "waiting_changes",
                    Way::Level,
                );
            }
        }
        for overlay in record.overlays.iter().take(ENTITIES) {
            for (index, path) in overlay.paths.iter().take(STRIPS).enumerate() {
                let entity = format!("{}/{} {}->{}", overlay.name, path.name, path.from, path.to);
                plan.want(&entity, "path_up", Way::Level);
                if index < ENTITIES {
                    plan.want(&entity, "rtt_mean_ns", Way::Level);
                }
            }
        }
        for link in record.links.iter().take(MAPPED) {
            plan.links.insert(link.name.clone(), plan.looks.len());
            plan.looks.push(Look {
                rate: link.rate_bits_per_s,
                before: (0, 0),
                number: 0,
                shares: Vec::new(),
            });
        }
        plan
    }

    fn want(&mut self, entity: &str, metric: &'static str, way: Way) {
        self.wanted.insert((entity.to_owned(), metric), self.tracks.len());
        self.tracks.push(Track::new(entity, metric, way));
    }

    fn slot(&self, entity: &[u8], metric: &[u8]) -> Slot {
        let (Ok(entity), Ok(metric)) = (std::str::from_utf8(entity), std::str::from_utf8(metric)) else {
            return Slot::default();
        };
        let wanted = self.wanted.iter().find(|((e, m), _)| e == entity && *m == metric);
        let look = (metric == "delivered_bytes").then(|| self.links.get(entity).copied());
        Slot {
            track: wanted.map(|(_, &track)| track),
            look: look.flatten(),
        }
    }

    fn sample(&mut self, slot: Slot, at_ns: u64, value: u64) {
        if let Some(track) = slot.track {
            self.tracks[track].sample(at_ns, value, self.end_ns);
        }
        if let Some(look) = slot.look {
            let number = (u128::from(at_ns) * FRAMES as u128 / u128::from(self.end_ns.max(1))) as usize;
            let look = &mut self.looks[look];
            let (before_ns, before) = look.before;
            // A look goes from the first sample in it to the first of the next; samples that are further apart fill all
            // looks between them.
            if let Some(rate) = look.rate.filter(|_| number > look.number && at_ns > before_ns) {
                let bits = value.saturating_sub(before) as f64 * 8.0;
                let share = bits * 1e9 / (at_ns - before_ns) as f64 / rate.max(1) as f64;
                look.shares.resize(number.min(FRAMES), share.min(1.0));
            }
            if number > look.number || at_ns == 0 {
                look.number = number;
                look.before = (at_ns, value);
            }
        }
    }

    fn finish(mut self) -> Series {
        for track in &mut self.tracks {
            track.close_last();
        }
        let looks = self
            .looks
            .into_iter()
            .map(|mut look| {
                if let Some(&last) = look.shares.last() {
                    look.shares.resize(FRAMES, last);
                }
                look.shares
            })
            .collect();
        Series {
            tracks: self.tracks,
            looks,
            ..Series::default()
        }
    }
}

impl Track {
    fn close_last(&mut self) {
        if self.part.count > 0 {
            self.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_keeps_peaks_and_counts_everything() {
        let mut track = Track::new("l", "queue_bytes", Way::Level);
        for i in 0..1_000_000_u64 {
            let value = if i == 765_432 { 1_000_000 } else { i % 10 };
            track.sample(i, value, 999_999);
        }
        track.close_last();
        assert_eq!(track.n, 1_000_000);
        assert!(track.points.len() <= 4 * (PARTS + 1), "{}", track.points.len());
        assert!(track.points.iter().any(|point| point.1 == 1_000_000.0));
        assert!(track.points.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(track.values.len() < VALUES && track.values.len() > VALUES / 3);
    }

    #[test]
    fn a_rise_is_per_second_and_begins_with_the_second_sample() {
        let mut track = Track::new("l", "delivered_bytes", Way::Rise);
        for (at, value) in [(0, 0), (500_000_000, 100), (1_000_000_000, 100)] {
            track.sample(at, value, 1_000_000_000);
        }
        track.close_last();
        assert_eq!(track.points, [(0.5, 200.0), (1.0, 0.0)]);
    }
}
