//! A published topology as a scenario: its regions and links, and one transfer across it to begin with.
//!
//! A scenario knows less than a topology: one link in each direction between two regions, names of letters, digits,
//! `_` and `-`, and no link faster than light. What is made of the rest is told, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use longhaul_import::Import;
use longhaul_net::geo::Coordinates;
use longhaul_routing::{Distance, Metric, RegionId, Spf};
use thiserror::Error;

use crate::decode::value::{LONGEST_NAME, may_be_in_name};
use crate::decode::{MOST_ITEMS, MOST_LINKS};

/// A scenario that was written from a topology.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The text of its file.
    pub text: String,
    /// What was changed on the way, for people.
    pub remarks: Vec<String>,
}

/// Why a topology makes no scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WriteError {
    /// More regions than a scenario may have.
    #[error("{0} regions, of which a scenario has at most {MOST_ITEMS}")]
    Regions(usize),
    /// More links than a scenario may have.
    #[error("links between {0} pairs of regions, of which a scenario has at most {MOST_LINKS}")]
    Links(usize),
    /// No two regions that reach each other.
    #[error("no two regions reach each other, so nothing can be carried")]
    NothingToDo,
}

/// A link of the scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Link {
    delay: Span,
    rate: BitRate,
}

/// Writes the scenario of a topology. `title` is the name of the scenario as it may be (what is not allowed in names is
/// replaced), `origin` says in the head of the file where it comes from.
///
/// # Errors
/// [`WriteError`]
pub fn scenario(import: &Import, title: &str, origin: &str) -> Result<Written, WriteError> {
    let topology = &import.topology;
    let regions = topology.region_count();
    if regions > MOST_ITEMS {
        return Err(WriteError::Regions(regions));
    }
    let mut remarks = Vec::new();
    let names = names(import, &mut remarks);
    let links = links(import, &names, &mut remarks);
    let pairs = pairs(&links);
    if pairs.len() > MOST_LINKS {
        return Err(WriteError::Links(pairs.len()));
    }
    let places = places(import, &links, &names, &mut remarks);
    let (from, to) = farthest(import).ok_or(WriteError::NothingToDo)?;

    let title = allowed(title);
    let (from, to) = (&names[from.index()], &names[to.index()]);
    let question = format!("How long do 100 MB take from {from} to {to}, the longest way of {title}?");
    let expect = "Not said yet: a rate that the way allows, and some round trips for slow start.";
    let mut text = String::new();
    let t = &mut text;
    // Writing to a string cannot fail.
    let _ = write!(
        t,
        "// Question: {question}\n// Expected: {}\n// {}: {regions} regions, {} pairs of regions with a link.\n",
        expect.to_lowercase(),
        origin.replace(char::is_control, " "),
        pairs.len()
    );
    let _ = write!(
        t,
        "Scenario(\n    version: 1,\n    name: \"{title}\",\n    question: \"{question}\",\n    expect: \"{expect}\",\n    \
         seed: 1,\n    horizon: \"10 min\",\n    regions: [\n"
    );
    for (region, name) in names.iter().enumerate() {
        let _ = match places[region] {
            Some(place) => writeln!(
                t,
                "        (name: \"{name}\", location: (lat: {}, lon: {})),",
                degrees(place.latitude_microdegrees),
                degrees(place.longitude_microdegrees)
            ),
            None => writeln!(t, "        (name: \"{name}\"),"),
        };
    }
    t.push_str("    ],\n    links: [\n");
    for ((from, to), (there, back)) in pairs {
        let (a, b) = (&names[from], &names[to]);
        let mut one_way = |a: &str, b: &str, link: Link| {
            let Link { delay, rate } = link;
            let _ = writeln!(
                t,
                "        (from: \"{a}\", to: \"{b}\", delay: \"{delay}\", rate: \"{rate}\"),"
            );
        };
        match (there, back) {
            (Some(there), Some(back)) if there == back => {
                let (rtt, rate) = (there.delay * 2, there.rate);
                let _ = writeln!(
                    t,
                    "        (between: (\"{a}\", \"{b}\"), rtt: \"{rtt}\", rate: \"{rate}\"),"
                );
            }
            (there, back) => {
                there.into_iter().for_each(|link| one_way(a, b, link));
                back.into_iter().for_each(|link| one_way(b, a, link));
            }
        }
    }
    t.push_str("    ],\n");
    write_demands(t, import, &names, &mut remarks);
    let _ = write!(
        t,
        "    transfers: [(name: \"across\", from: \"{from}\", to: \"{to}\", size: \"100 MB\")],\n)\n"
    );
    Ok(Written { text, remarks })
}

/// Writes the demands of the file, those that have a way and at least a bit a second.
fn write_demands(text: &mut String, import: &Import, names: &[String], remarks: &mut Vec<String>) {
    let topology = &import.topology;
    let mut spf = Spf::new();
    let (mut kept, mut left_out) = (Vec::new(), 0);
    for (to, sources) in import.demands.destinations() {
        let distances = spf.run(topology, topology.weights(Metric::Latency), to);
        for (&from, &rate) in sources {
            let rate = BitRate::from_bits_per_s(rate as u64);
            if from != to && distances[from.index()].is_finite() && rate > BitRate::default() {
                kept.push((from, to, rate));
            } else {
                left_out += 1;
            }
        }
    }
    if left_out > 0 {
        remarks.push(format!(
            "{left_out} demands are left out: they have no way, or less than 1 bit/s"
        ));
    }
    if kept.len() > MOST_LINKS {
        remarks.push(format!(
            "all {} demands are left out: a scenario has at most {MOST_LINKS}",
            kept.len()
        ));
    } else if !kept.is_empty() {
        kept.sort_unstable_by_key(|(from, to, _)| (from.index(), to.index()));
        text.push_str("    demands: [\n");
        for (from, to, rate) in kept {
            let (from, to) = (&names[from.index()], &names[to.index()]);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "        (from: \"{from}\", to: \"{to}\", rate: \"{rate}\"),"
            );
        }
        text.push_str("    ],\n");
    }
}

/// Names of the regions as a scenario allows them, all different, by their numbers.
fn names(import: &Import, remarks: &mut Vec<String>) -> Vec<String> {
    let topology = &import.topology;
    let mut taken = BTreeSet::new();
    let mut changed = 0;
    let names = topology.regions().map(|region| {
        let original = topology.name(region);
        let mut name = allowed(original);
        let mut number = 2;
        while !taken.insert(name.clone()) {
            let suffix = format!("-{number}");
            name = allowed(original);
            name.truncate(LONGEST_NAME - suffix.len());
            name.push_str(&suffix);
            number += 1;
        }
        changed += usize::from(name != original);
        name
    });
    let names = names.collect();
    if changed > 0 {
        remarks.push(format!(
            "{changed} names have other letters than the file: names are of ASCII letters, digits, `_` and `-`"
        ));
    }
    names
}

/// A text with what names may not have replaced by `-`.
fn allowed(text: &str) -> String {
    let kept = text.chars().map(|letter| match may_be_in_name(letter) {
        true => letter,
        false => '-',
    });
    let mut name = String::new();
    for letter in kept {
        // Several strange letters are one stroke.
        if name.len() < LONGEST_NAME && !(letter == '-' && name.ends_with('-')) {
            name.push(letter);
        }
    }
    let trimmed = name.trim_matches('-');
    if trimmed.is_empty() {
        "unnamed".to_owned()
    } else {
        trimmed.to_owned()
    }
}

/// The links by their ends: parallel ones as one with the sum of their rates and the least of their delays.
fn links(import: &Import, names: &[String], remarks: &mut Vec<String>) -> BTreeMap<(usize, usize), Link> {
    let topology = &import.topology;
    let mut links: BTreeMap<(usize, usize), Link> = BTreeMap::new();
    let (mut merged, mut dead) = (BTreeSet::new(), 0);
    for id in topology.links() {
        let (link, state) = (topology.link(id), topology.state(id));
        let ends = (link.from.index(), link.to.index());
        if state.capacity == BitRate::default() {
            dead += 1;
            continue;
        }
        let new = Link {
            delay: state.latency,
            rate: state.capacity,
        };
        links
            .entry(ends)
            .and_modify(|link| {
                merged.insert((ends.0.min(ends.1), ends.0.max(ends.1)));
                let sum = link.rate.as_bits_per_s().saturating_add(new.rate.as_bits_per_s());
                link.rate = BitRate::from_bits_per_s(sum);
                link.delay = link.delay.min(new.delay);
            })
            .or_insert(new);
    }
    for (from, to) in merged {
        remarks.push(format!(
            "parallel links between {} and {} are one with the sum of their rates and the least of their delays",
            names[from], names[to]
        ));
    }
    if dead > 0 {
        remarks.push(format!("{dead} links without capacity are left out"));
    }
    links
}

/// The links of each pair of regions: there and back.
type Pairs = BTreeMap<(usize, usize), (Option<Link>, Option<Link>)>;

fn pairs(links: &BTreeMap<(usize, usize), Link>) -> Pairs {
    let mut pairs = Pairs::new();
    for (&(from, to), &link) in links {
        let pair = pairs.entry((from.min(to), from.max(to))).or_default();
        *if from < to { &mut pair.0 } else { &mut pair.1 } = Some(link);
    }
    pairs
}

/// Where the regions are, by their numbers; not of those with a link that would be faster than light in fibre.
fn places(
    import: &Import,
    links: &BTreeMap<(usize, usize), Link>,
    names: &[String],
    remarks: &mut Vec<String>,
) -> Vec<Option<Coordinates>> {
    let mut places = vec![None; names.len()];
    for region in &import.regions {
        places[region.id.index()] = region.place;
    }
    let mut doubtful = BTreeSet::new();
    for (&(from, to), link) in links {
        if let (Some(a), Some(b)) = (places[from], places[to])
            && link.delay < a.fibre_delay(b)
        {
            doubtful.extend([from, to]);
            remarks.push(format!(
                "{} to {} takes {}, which is faster than light in fibre between their coordinates: these are left out",
                names[from], names[to], link.delay
            ));
        }
    }
    for region in doubtful {
        places[region] = None;
    }
    places
}

/// Two regions that reach each other and are far apart: found from the first region that has a neighbour, by going to the
/// farthest twice.
fn farthest(import: &Import) -> Option<(RegionId, RegionId)> {
    let topology = &import.topology;
    let usable = |id| topology.state(id).capacity > BitRate::default();
    let weights: Vec<u64> = topology
        .links()
        .map(|id| match usable(id) {
            true => topology.state(id).latency.as_ns(),
            false => longhaul_routing::UNUSABLE,
        })
        .collect();
    let mut spf = Spf::new();
    let mut from_farthest = |to: RegionId| {
        let distances = spf.run(topology, &weights, to).to_vec();
        let reached = topology.regions().filter(|&from| from != to);
        let mut by_distance: Vec<(Distance, RegionId)> = reached
            .map(|from| (distances[from.index()], from))
            .filter(|(distance, _)| distance.is_finite())
            .collect();
        // The way back must exist, too.
        by_distance.sort_unstable_by(|a, b| b.cmp(a));
        by_distance
            .into_iter()
            .find(|&(_, from)| spf.run(topology, &weights, from)[to.index()].is_finite())
            .map(|(_, from)| from)
    };
    let (first, far) = topology
        .regions()
        .find_map(|region| from_farthest(region).map(|far| (region, far)))?;
    Some((far, from_farthest(far).unwrap_or(first)))
}

/// Millionths of a degree as degrees.
fn degrees(micro: i32) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let (whole, rest) = (micro.unsigned_abs() / 1_000_000, micro.unsigned_abs() % 1_000_000);
    let text = format!("{sign}{whole}.{rest:06}");
    let text = text.trim_end_matches('0');
    match text.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => text.to_owned(),
    }
}
