//! What each fault did to the goodput of each client, from the samples of the run: before, at worst, and how long after the
//! fault's end it was back.

use super::events::Outage;

/// Samples before a fault, and samples that goodput must hold after it.
const WINDOW: usize = 10;
/// Samples before a fault without which there is nothing to compare with.
const FEWEST: usize = 3;
/// Rows of the table.
const ROWS: usize = 100;

/// A client's requests that succeeded in time, counted from the beginning.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Goodput {
    pub client: String,
    /// Time in ns and how many there were by then.
    pub counts: Vec<(u64, u64)>,
    /// When the last request was seen to begin: no goodput after it is no loss.
    pub load_ends_ns: u64,
}

/// What a fault did to a client.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Recovery {
    pub fault: String,
    pub client: String,
    /// Requests a second in the samples before.
    pub before: f64,
    /// The fewest of a sample from the begin of the fault to its end, or to the next sample.
    pub worst: f64,
    pub became: Became,
}

/// What became of goodput after a fault.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Became {
    /// It never fell.
    Kept,
    /// Back so many ns after the end of the fault.
    Back(u64),
    /// Back, before the fault was over.
    BackBefore,
    /// Not back when the next fault began.
    Overtaken,
    /// Not back when the load or the run ended.
    Never,
    /// The fault lasted to the end.
    Lasting,
}

/// What all faults did to all clients; and how many rows there would be more.
pub(super) fn recoveries(outages: &[Outage], clients: &[Goodput]) -> (Vec<Recovery>, usize) {
    let mut rows = Vec::new();
    let mut more = 0;
    for (index, outage) in outages.iter().enumerate() {
        let next = outages[index + 1..]
            .iter()
            .map(|other| other.from_ns)
            .find(|&from| from > outage.to_ns);
        let previous_end = outages[..index]
            .iter()
            .filter(|other| other.from_ns < outage.from_ns)
            .map(|other| other.to_ns)
            .max();
        for client in clients {
            let Some(recovery) = recovery(outage, previous_end, next, client) else {
                continue;
            };
            if rows.len() < ROWS {
                rows.push(recovery);
            } else {
                more += 1;
            }
        }
    }
    (rows, more)
}

/// What a fault did to a client; `None` if too little is known of the time before.
fn recovery(
    outage: &Outage,
    previous_end: Option<u64>,
    next: Option<u64>,
    client: &Goodput,
) -> Option<Recovery> {
    // Begin, end and requests a second of each sample.
    let rates: Vec<(u64, u64, f64)> = client
        .counts
        .windows(2)
        .filter(|pair| pair[0].0 < pair[1].0 && pair[1].0 <= client.load_ends_ns)
        .map(|pair| {
            let count = pair[1].1.saturating_sub(pair[0].1) as f64;
            (pair[0].0, pair[1].0, count * 1e9 / (pair[1].0 - pair[0].0) as f64)
        })
        .collect();
    let mean = |rates: &[(u64, u64, f64)]| rates.iter().map(|rate| rate.2).sum::<f64>() / rates.len() as f64;
    let begins = previous_end.unwrap_or(0);
    let earlier: Vec<(u64, u64, f64)> = rates
        .iter()
        .filter(|rate| rate.1 <= outage.from_ns && rate.0 >= begins)
        .copied()
        .collect();
    // The first sample holds the start of the load.
    let earlier = &earlier[earlier.len().saturating_sub(WINDOW)..];
    if earlier.len() < FEWEST || mean(earlier) == 0.0 {
        return None;
    }
    let before = mean(earlier);
    // 95 %, less twice the spread that so many independent requests have by chance.
    let seconds: f64 = earlier.iter().map(|rate| (rate.1 - rate.0) as f64 / 1e9).sum();
    let needed = before * (0.95 - 2.0 / (before * seconds).sqrt()).max(0.5);
    let until = next.unwrap_or(u64::MAX);
    let after: Vec<(u64, u64, f64)> = rates
        .iter()
        .filter(|rate| rate.1 > outage.from_ns && rate.0 < until)
        .copied()
        .collect();
    let during = after
        .iter()
        .filter(|rate| rate.0 < outage.to_ns.max(outage.from_ns + 1));
    let worst = during.map(|rate| rate.2).fold(f64::INFINITY, f64::min);
    let fell = after.iter().position(|rate| rate.2 < needed);
    let became = match fell {
        None => Became::Kept,
        Some(fell) => {
            let after = &after[fell..];
            let held = after
                .windows(WINDOW)
                .find(|window| window[0].2 >= needed && mean(window) >= needed);
            match held {
                Some(window) if window[0].0 >= outage.to_ns => Became::Back(window[0].0 - outage.to_ns),
                Some(_) => Became::BackBefore,
                None if !outage.repaired => Became::Lasting,
                None if next.is_some() => Became::Overtaken,
                None => Became::Never,
            }
        }
    };
    Some(Recovery {
        fault: outage.what.clone(),
        client: client.client.clone(),
        before,
        worst: if worst.is_finite() { worst } else { before },
        became,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Requests of each second, counted.
    fn client(rates: &[u64]) -> Goodput {
        let mut counts = vec![(0, 0)];
        for (second, rate) in rates.iter().enumerate() {
            counts.push(((second as u64 + 1) * SECOND, counts[second].1 + rate));
        }
        Goodput {
            client: "shop".to_owned(),
            load_ends_ns: rates.len() as u64 * SECOND,
            counts,
        }
    }

    fn outage(from: u64, to: u64, repaired: bool) -> Outage {
        Outage {
            from_ns: from * SECOND,
            to_ns: to * SECOND,
            repaired,
            what: format!("fault at {from}"),
        }
    }

    fn seconds(parts: &[(u64, usize)]) -> Goodput {
        let rates: Vec<u64> = parts
            .iter()
            .flat_map(|&(rate, count)| std::iter::repeat_n(rate, count))
            .collect();
        client(&rates)
    }

    fn became(outages: &[Outage], client: &Goodput) -> Vec<Became> {
        let (rows, more) = recoveries(outages, std::slice::from_ref(client));
        assert_eq!(more, 0);
        rows.iter().map(|row| row.became).collect()
    }

    #[test]
    fn goodput_that_comes_back_is_measured_from_the_end_of_the_fault() {
        let course = seconds(&[(1000, 20), (100, 10), (1000, 20)]);
        // Over at 25, back at 30.
        let (rows, _) = recoveries(&[outage(20, 25, true)], std::slice::from_ref(&course));
        assert_eq!((rows[0].before, rows[0].worst), (1000.0, 100.0));
        assert_eq!(rows[0].became, Became::Back(5 * SECOND));
        assert_eq!(became(&[outage(20, 30, true)], &course), [Became::Back(0)]);
        // Another way was found while the fault went on.
        assert_eq!(became(&[outage(20, 45, true)], &course), [Became::BackBefore]);
        let mut spared = seconds(&[(1000, 50), (0, 20)]);
        assert_eq!(became(&[outage(20, 25, true)], &spared), [Became::Never]);
        // The same, if nothing more was asked for.
        spared.load_ends_ns = 50 * SECOND;
        assert_eq!(became(&[outage(20, 25, true)], &spared), [Became::Kept]);
    }

    #[test]
    fn goodput_that_does_not_come_back_is_told_with_the_reason() {
        let lost = seconds(&[(1000, 20), (100, 30)]);
        assert_eq!(became(&[outage(20, 25, true)], &lost), [Became::Never]);
        assert_eq!(became(&[outage(20, 50, false)], &lost), [Became::Lasting]);
        // The second fault has no time before it to compare with.
        let twice = [outage(20, 25, true), outage(26, 28, true)];
        assert_eq!(became(&twice, &lost), [Became::Overtaken]);
    }

    #[test]
    fn without_a_time_before_there_is_no_row() {
        let course = seconds(&[(1000, 20)]);
        assert!(became(&[outage(1, 5, true)], &course).is_empty());
        assert!(became(&[outage(10, 12, true)], &seconds(&[(0, 20)])).is_empty());
    }
}
