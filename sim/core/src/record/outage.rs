//! What was broken, from when to when, as the events of a run tell it. What a run records of its faults and what a report
//! draws of them both come from here.

use std::collections::BTreeMap;

/// Names of faults that strike and end together and are told in one breath.
const NAMED: usize = 3;

/// A time in which something was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outage {
    /// Its begin.
    pub from_ns: u64,
    /// Its end; that of the run if it was never repaired.
    pub to_ns: u64,
    /// Whether it was.
    pub repaired: bool,
    /// What was broken, in words.
    pub what: String,
}

/// Collects outages from the events of a run, in the order of these.
#[derive(Debug)]
pub struct Outages {
    most: usize,
    open: BTreeMap<(String, &'static str), u64>,
    all: Vec<Outage>,
    more: u64,
}

impl Outages {
    /// None yet; at most so many are kept.
    pub fn new(most: usize) -> Outages {
        Outages {
            most,
            open: BTreeMap::new(),
            all: Vec::new(),
            more: 0,
        }
    }

    /// Whether events of a kind break or repair something.
    pub fn tells(kind: &[u8]) -> bool {
        fault(kind).is_some()
    }

    /// Notes an event; one that breaks and repairs nothing is passed over.
    pub fn event(&mut self, at_ns: u64, entity: &str, kind: &[u8]) {
        match fault(kind) {
            Some((what, true)) => {
                self.open.entry((entity.to_owned(), what)).or_insert(at_ns);
            }
            Some((what, false)) => {
                if let Some(from_ns) = self.open.remove(&(entity.to_owned(), what)) {
                    self.note(from_ns, at_ns, true, entity, what);
                }
            }
            None => {}
        }
    }

    /// All outages in the order of their begin, and how many more there were. What is not repaired lasts to the end of the
    /// run.
    pub fn finish(mut self, end_ns: u64) -> (Vec<Outage>, u64) {
        for ((entity, what), from_ns) in std::mem::take(&mut self.open) {
            self.note(from_ns, end_ns, false, &entity, what);
        }
        self.all
            .sort_by(|a, b| (a.from_ns, &a.what).cmp(&(b.from_ns, &b.what)));
        (self.all, self.more)
    }

    /// The two directions of a link that fail together are one.
    fn note(&mut self, from_ns: u64, to_ns: u64, repaired: bool, entity: &str, what: &'static str) {
        let text = format!("{} {what}", entity.replace("->", " → "));
        let text = text.trim_end().to_owned();
        if let Some((a, b)) = entity.split_once("->") {
            let reverse = format!("{b} → {a} {what}");
            let same = |of: &&mut Outage| of.from_ns == from_ns && of.to_ns == to_ns && of.what == reverse;
            if let Some(other) = self.all.iter_mut().find(same) {
                let (first, second) = if a < b { (a, b) } else { (b, a) };
                other.what = format!("{first} ↔ {second} {what}");
                return;
            }
        }
        if self.all.len() >= self.most {
            self.more += 1;
            return;
        }
        self.all.push(Outage {
            from_ns,
            to_ns: to_ns.max(from_ns),
            repaired,
            what: text,
        });
    }
}

/// What an event breaks (`true`) or repairs.
fn fault(kind: &[u8]) -> Option<(&'static str, bool)> {
    match kind {
        b"LinkDown" => Some(("down", true)),
        b"LinkUp" => Some(("down", false)),
        // Their entity is the fault's name, which says what it is.
        b"FaultInjected" => Some(("", true)),
        b"FaultEnded" => Some(("", false)),
        b"Killed" => Some(("killed", true)),
        b"Restarted" => Some(("killed", false)),
        _ => None,
    }
}

/// Outages of which those with the same begin and end are one, as of all servers of a region.
pub fn together(outages: &[Outage]) -> Vec<Outage> {
    let mut groups: Vec<(Outage, usize)> = Vec::new();
    for outage in outages {
        let same = |(of, _): &&mut (Outage, usize)| {
            (of.from_ns, of.to_ns, of.repaired) == (outage.from_ns, outage.to_ns, outage.repaired)
        };
        match groups.iter_mut().find(same) {
            Some((group, count)) => {
                *count += 1;
                if *count <= NAMED {
                    group.what = format!("{}, {}", group.what, outage.what);
                }
            }
            None => groups.push((outage.clone(), 1)),
        }
    }
    let told = groups.into_iter().map(|(mut group, count)| {
        if count > NAMED {
            group.what = format!("{} and {} more", group.what, count - NAMED);
        }
        group
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_is_told_by_its_name_is_an_outage() {
        let mut outages = Outages::new(9);
        outages.event(5, "cpu-store-us", b"FaultInjected");
        outages.event(7, "cpu-store-us", b"Policy");
        outages.event(9, "cpu-store-us", b"FaultEnded");
        outages.event(9, "of nothing", b"FaultEnded");
        let (all, more) = outages.finish(100);
        assert_eq!((all.len(), more), (1, 0));
        assert_eq!(
            (all[0].what.as_str(), all[0].from_ns, all[0].to_ns),
            ("cpu-store-us", 5, 9)
        );
        assert!(Outages::tells(b"Killed") && !Outages::tells(b"Policy"));
    }

    #[test]
    fn what_strikes_and_ends_together_is_one() {
        let outage = |from_ns: u64, what: &str| Outage {
            from_ns,
            to_ns: 9,
            repaired: true,
            what: what.to_owned(),
        };
        let all = [
            outage(1, "a"),
            outage(1, "b"),
            outage(2, "x"),
            outage(1, "c"),
            outage(1, "d"),
            outage(1, "e"),
        ];
        let told: Vec<String> = together(&all).into_iter().map(|of| of.what).collect();
        assert_eq!(told, ["a, b, c and 2 more", "x"]);
    }

    #[test]
    fn two_directions_of_a_link_are_one_outage_and_only_so_many_are_kept() {
        let mut outages = Outages::new(2);
        for (at, entity, kind) in [
            (5, "a->b", "LinkDown"),
            (5, "b->a", "LinkDown"),
            (6, "c->d", "LinkDown"),
            (7, "e->f", "LinkDown"),
            (9, "a->b", "LinkUp"),
            (9, "b->a", "LinkUp"),
        ] {
            outages.event(at, entity, kind.as_bytes());
        }
        let (all, more) = outages.finish(100);
        let told: Vec<(&str, u64, bool)> = all
            .iter()
            .map(|of| (of.what.as_str(), of.to_ns, of.repaired))
            .collect();
        assert_eq!(told, [("a ↔ b down", 9, true), ("c → d down", 100, false)]);
        assert_eq!(more, 1);
    }
}
