//! Whole streams: what the report says against what the pipe did.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::machine::Machine;
use longhaul_core::tape::feed;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_stream::{
    ANSWER_TIMEOUT, END_PAUSES, Gap, ReceiverEvent, Report, Sender, SenderEvent, VoiceQuality,
};

use crate::pipe::{INTERVAL, Pipe, at_ms, call, percent, receiver};

fn answer(pipe: &Pipe) -> Report {
    match pipe.sender_events.last() {
        Some((_, SenderEvent::Completed { report })) => *report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn over_a_steady_path_everything_arrives_on_time() {
    let pipe = Pipe::new(call(Span::from_s(10)), 1).run();
    let due: Vec<Instant> = (0..500).map(|k| at_ms(20 * k)).collect();
    assert_eq!(pipe.sent, due);
    let report = answer(&pipe);
    let delays = report.delays.unwrap();
    assert_eq!((report.expected, report.received, report.lost), (500, 500, 0));
    assert_eq!((report.reordered, report.duplicates, report.too_late), (0, 0, 0));
    assert_eq!((report.longest_gap, report.jitter), (None, Span::ZERO));
    for delay in [delays.min, delays.mean, delays.max, delays.p50, delays.p99] {
        assert_eq!(delay, Span::from_ms(40));
    }
    // One end is enough: half a second after the last datagram, and a round trip.
    assert_eq!(pipe.ends, [at_ms(9_980) + END_PAUSES[0]]);
    assert_eq!(
        pipe.sender_events,
        [
            (at_ms(0), SenderEvent::Started),
            (at_ms(9_980), SenderEvent::Finished { sent: 500 }),
            (at_ms(10_560), SenderEvent::Completed { report }),
        ]
    );
    assert_eq!(
        pipe.receiver_events,
        [
            (at_ms(40), ReceiverEvent::First { sequence: 0 }),
            (at_ms(10_520), ReceiverEvent::Ended { report }),
        ]
    );
    // 93.2 - 0.024 × (40 + 20).
    let quality = VoiceQuality::of(&report, INTERVAL).unwrap();
    assert_eq!(quality.r_thousandths, 91_760);
    assert_eq!(quality.mouth_to_ear, Some(Span::from_ms(60)));
}

#[test]
fn an_outage_is_one_burst_and_one_gap() {
    let mut pipe = Pipe::new(call(Span::from_s(10)), 1);
    // Numbers 150 to 199 leave from 3000 to 3980 ms.
    pipe.outage = at_ms(2_990)..at_ms(3_990);
    let pipe = pipe.run();
    let report = answer(&pipe);
    assert_eq!((report.received, report.lost), (450, 50));
    assert_eq!((report.loss_bursts, report.longest_loss_burst), (1, 50));
    let (began, length) = (at_ms(2_980 + 40), Span::from_ms(1_020));
    assert_eq!(report.longest_gap, Some(Gap { began, length }));
    assert_eq!(report.loss(), percent(10));
    assert_eq!(report.reordered, 0);
}

#[test]
fn bursts_of_loss_are_counted_also_at_both_ends_of_the_stream() {
    let mut pipe = Pipe::new(call(Span::from_s(2)), 1);
    pipe.lost_sequences = BTreeSet::from([0, 1, 10, 12, 13, 14, 50, 98, 99]);
    let pipe = pipe.run();
    let report = answer(&pipe);
    assert_eq!((report.received, report.lost), (91, 9));
    assert_eq!((report.loss_bursts, report.longest_loss_burst), (5, 3));
    assert_eq!(
        pipe.receiver_events[0],
        (at_ms(80), ReceiverEvent::First { sequence: 2 })
    );
}

/// Counts what the pipe did in the plainest way. Leaves out gaps at the begin and the end of the stream, which are
/// shorter than the longest one between them.
fn counted(pipe: &Pipe) -> Report {
    let mut arrivals: BTreeMap<u32, Instant> = BTreeMap::new();
    let (mut duplicates, mut reordered, mut gap) = (0, 0, None::<Gap>);
    let mut last = None;
    for (sequence, at) in &pipe.arrived {
        if arrivals.contains_key(sequence) {
            duplicates += 1;
            continue;
        }
        reordered += u64::from(
            arrivals
                .last_key_value()
                .is_some_and(|(highest, _)| highest > sequence),
        );
        arrivals.insert(*sequence, *at);
        if let Some(began) = last.replace(*at) {
            let length = *at - began;
            if length > gap.map_or(INTERVAL, |gap| gap.length) {
                gap = Some(Gap { began, length });
            }
        }
    }
    let expected = pipe.sent.len() as u64;
    let received = arrivals.len() as u64;
    let (mut bursts, mut longest, mut run) = (0, 0, 0);
    for sequence in 0..expected as u32 {
        run = if arrivals.contains_key(&sequence) {
            0
        } else {
            run + 1
        };
        bursts += u64::from(run == 1);
        longest = longest.max(run);
    }
    Report {
        expected,
        received,
        lost: expected - received,
        loss_bursts: bursts,
        longest_loss_burst: longest,
        duplicates,
        reordered,
        too_late: 0,
        longest_gap: gap,
        ..Report::default()
    }
}

#[test]
fn the_counts_are_exact_over_a_path_that_does_everything_at_once() {
    for seed in 0..20 {
        let mut pipe = Pipe::new(call(Span::from_s(60)), seed);
        pipe.loss = percent(10);
        pipe.duplication = percent(5);
        pipe.jitter = Span::from_ms(90);
        let pipe = pipe.run();
        let report = pipe.receiver.machine().report();
        assert_eq!(report.expected, 3_000);
        assert!(report.duplicates > 80 && report.reordered > 500 && report.lost > 200);
        let expected = counted(&pipe);
        let compared = Report {
            jitter: Span::ZERO,
            delays: None,
            ..report
        };
        assert_eq!(compared, expected, "seed {seed}");

        let mut delays = BTreeMap::new();
        for (sequence, at) in &pipe.arrived {
            delays
                .entry(*sequence)
                .or_insert(*at - pipe.sent[*sequence as usize]);
        }
        let mut delays: Vec<u64> = delays.values().map(|delay| delay.as_ns()).collect();
        delays.sort_unstable();
        let found = report.delays.unwrap();
        assert_eq!(found.min.as_ns(), delays[0]);
        assert_eq!(found.max.as_ns(), delays[delays.len() - 1]);
        let sum: u64 = delays.iter().sum();
        assert_eq!(found.mean.as_ns(), sum / delays.len() as u64);
        for (percentile, found) in [(50, found.p50), (95, found.p95), (99, found.p99)] {
            let exact = delays[(delays.len() * percentile).div_ceil(100) - 1];
            let above = found.as_ns() - exact;
            assert!(above <= exact / 64, "p{percentile}: {found:?}, exactly {exact}");
        }
        assert!(found.above_p99 * 100 <= report.received);
    }
}

#[test]
fn an_end_that_is_lost_is_sent_again() {
    let mut pipe = Pipe::new(call(Span::from_s(1)), 1);
    // The first two ends are lost.
    pipe.outage = at_ms(990)..at_ms(2_490);
    let pipe = pipe.run();
    assert_eq!(pipe.ends, [at_ms(1_480), at_ms(2_480), at_ms(4_480)]);
    assert_eq!(answer(&pipe).received, 50);
    assert_eq!(pipe.now, at_ms(4_560));

    let mut pipe = Pipe::new(call(Span::from_s(1)), 1);
    pipe.outage = at_ms(2_500)..at_ms(2_530);
    pipe.lost_sequences = BTreeSet::from([49]);
    pipe.delay = Span::from_ms(1_040);
    // The answer to the first end, sent at 2520 ms, is lost; the one to the second arrives.
    let pipe = pipe.run();
    assert_eq!(answer(&pipe).lost, 1);
    assert_eq!(pipe.receiver_events.len(), 2, "the stream ends once");
    assert_eq!(pipe.sender_events.len(), 3);
}

#[test]
fn a_stream_of_which_nothing_arrives_is_complete_too() {
    let mut pipe = Pipe::new(call(Span::from_s(1)), 1);
    pipe.loss = Probability::ONE;
    let pipe = pipe.run();
    let over = at_ms(980) + END_PAUSES[0] + END_PAUSES[1] + END_PAUSES[2] + ANSWER_TIMEOUT;
    assert_eq!(
        pipe.sender_events.last(),
        Some(&(over, SenderEvent::Unanswered { sent: 50 }))
    );
    assert_eq!(pipe.ends.len(), 3);
    assert_eq!(pipe.receiver_events, []);
    assert_eq!(pipe.receiver.machine().report(), Report::default());
}

#[test]
fn a_stream_of_which_only_the_end_arrives_is_lost() {
    let mut pipe = Pipe::new(call(Span::from_s(1)), 1);
    pipe.outage = at_ms(0)..at_ms(1_000);
    let report = answer(&pipe.run());
    assert_eq!((report.expected, report.received, report.lost), (50, 0, 50));
    assert_eq!((report.loss_bursts, report.longest_loss_burst), (1, 50));
    assert_eq!(
        VoiceQuality::of(&report, INTERVAL).unwrap().mos_thousandths,
        1_000
    );
}

#[test]
fn wakes_for_nothing_change_nothing_and_both_ends_agree_with_their_tapes() {
    let pipe = |restless| {
        let mut pipe = Pipe::new(call(Span::from_s(5)), 3);
        pipe.loss = percent(20);
        pipe.duplication = percent(10);
        pipe.jitter = Span::from_ms(50);
        pipe.restless = restless;
        pipe.run()
    };
    let (calm, restless) = (pipe(false), pipe(true));
    assert_eq!(calm.sent, restless.sent);
    assert_eq!(calm.sender_events, restless.sender_events);
    assert_eq!(calm.receiver_events, restless.receiver_events);
    let mut sender = Sender::new(call(Span::from_s(5))).unwrap();
    assert!(feed(&mut sender, &restless.sender.tape()).unwrap() > 1_000);
    assert!(feed(&mut receiver(INTERVAL), &restless.receiver.tape()).unwrap() > 1_000);
    // Another stream is another tape.
    let mut other = Sender::new(call(Span::from_s(4))).unwrap();
    assert!(feed(&mut other, &restless.sender.tape()).is_err());
    assert!(matches!(
        other.poll(),
        longhaul_core::machine::Output::WakeAt { .. }
    ));
}
