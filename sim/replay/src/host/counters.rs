//! What `tc -s -j qdisc show` says, and what it means for a link.

use serde::Deserialize;

use super::HostError;
use crate::outcome::LinkCounters;
use crate::plan::{Counted, LinkPlan};

/// A queueing discipline as `tc` shows it; other fields are left out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Discipline {
    kind: String,
    handle: String,
    /// Unless only one device was asked for.
    dev: Option<String>,
    root: bool,
    bytes: u64,
    packets: u64,
    drops: u64,
    /// Frames that are inside, those of its children included.
    qlen: u64,
}

/// Reads what `show`s printed: a list for each.
pub fn parse(output: &str) -> Result<Vec<Vec<Discipline>>, HostError> {
    let lists = serde_json::Deserializer::from_str(output).into_iter();
    lists
        .collect::<Result<_, _>>()
        .map_err(|error: serde_json::Error| HostError::Counters(error.to_string()))
}

/// Adds what the disciplines of a link have counted, and that what is inside them is about to be lost.
pub fn add_last(sum: &mut LinkCounters, link: &LinkPlan, disciplines: &[Discipline]) {
    add(sum, link, disciplines);
    sum.lost_down += root_of(link, disciplines).map_or(0, |root| root.qlen);
}

/// Adds what the disciplines of a link have counted. One that is not shaped counts nothing.
pub fn add(sum: &mut LinkCounters, link: &LinkPlan, disciplines: &[Discipline]) {
    let root = match root_of(link, disciplines) {
        Some(root) if root.kind == "netem" => root,
        Some(root) if root.kind == "blackhole" => {
            sum.lost_down += root.drops;
            return;
        }
        _ => return,
    };
    let mut mine = of_link(link, disciplines);
    sum.sent_bytes += root.bytes;
    sum.sent_packets += root.packets;
    let by_queue = match link.counted {
        Counted::Apart => mine.find(|one| one.handle == "2:").map_or(0, |child| child.drops),
        Counted::Queue => root.drops,
        Counted::Together => 0,
    };
    sum.dropped_by_law += root.drops.saturating_sub(by_queue);
    if let Some(sum) = &mut sum.dropped_by_queue {
        *sum += by_queue;
    }
}

/// Those on the device of a link.
fn of_link<'a>(link: &'a LinkPlan, disciplines: &'a [Discipline]) -> impl Iterator<Item = &'a Discipline> {
    let mine = |one: &&Discipline| one.dev.as_ref().is_none_or(|dev| *dev == link.device);
    disciplines.iter().filter(mine)
}

fn root_of<'a>(link: &'a LinkPlan, disciplines: &'a [Discipline]) -> Option<&'a Discipline> {
    of_link(link, disciplines).find(|one| one.root)
}

/// Counters at zero.
pub fn zero(link: &LinkPlan) -> LinkCounters {
    LinkCounters {
        name: link.name.clone(),
        dropped_by_queue: (link.counted != Counted::Together).then_some(0),
        ..LinkCounters::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wire of two links on Linux 6.1: the first has lost 9 frames by its law and dropped 319 at its queue.
    const WIRE: &str = include_str!("counters/wire.json");

    fn link(device: &str, counted: Counted) -> LinkPlan {
        LinkPlan {
            name: "a->b".to_owned(),
            from: 0,
            to: 1,
            wire: 0,
            device: device.to_owned(),
            shape: Vec::new(),
            counted,
        }
    }

    fn counted(link: &LinkPlan, output: &str) -> LinkCounters {
        let mut sum = zero(link);
        for disciplines in parse(output).unwrap() {
            add(&mut sum, link, &disciplines);
        }
        sum
    }

    #[test]
    fn law_and_queue_are_told_apart() {
        let apart = counted(&link("r1", Counted::Apart), WIRE);
        assert_eq!((apart.sent_bytes, apart.sent_packets), (31_368_204, 20_730));
        assert_eq!((apart.dropped_by_law, apart.dropped_by_queue), (9, Some(319)));
        let together = counted(&link("r1", Counted::Together), WIRE);
        assert_eq!((together.dropped_by_law, together.dropped_by_queue), (328, None));
        let queue = counted(&link("r0", Counted::Queue), WIRE);
        assert_eq!((queue.dropped_by_law, queue.dropped_by_queue), (0, Some(2)));
    }

    #[test]
    fn counters_of_several_shows_add_up_and_a_dead_link_counts_what_it_swallows() {
        let alone = WIRE.replace("\"dev\":\"r1\",", "");
        let alone = alone.split_inclusive(']').next().unwrap();
        let twice = format!("{alone}\n{alone}");
        assert_eq!(
            counted(&link("r1", Counted::Apart), &twice).dropped_by_queue,
            Some(638)
        );
        let dead = r#"[{"kind":"blackhole","handle":"8001:","dev":"r1","root":true,"drops":3}]"#;
        let link = link("r1", Counted::Apart);
        let swallowed = LinkCounters {
            lost_down: 3,
            ..zero(&link)
        };
        assert_eq!(counted(&link, dead), swallowed);
    }

    #[test]
    fn what_is_inside_a_link_that_fails_is_lost() {
        let live = r#"[{"kind":"netem","handle":"1:","dev":"r1","root":true,"packets":10,"qlen":7},
            {"kind":"netem","handle":"2:","dev":"r1","parent":"1:1","qlen":4},
            {"kind":"netem","handle":"1:","dev":"r0","root":true,"qlen":50}]"#;
        let link = link("r1", Counted::Apart);
        let mut sum = zero(&link);
        add_last(&mut sum, &link, &parse(live).unwrap()[0]);
        assert_eq!((sum.sent_packets, sum.lost_down), (10, 7));
        assert_eq!(counted(&link, live).lost_down, 0, "at the end it is on its way");
    }

    #[test]
    fn what_is_no_list_of_disciplines_is_refused() {
        assert!(parse("[{\"kind\":3}]").is_err());
        assert!(parse("nothing").is_err());
    }
}
