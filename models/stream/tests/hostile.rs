//! Datagrams that nobody of ours sent, and genuine ones in an order that no network has.

use bytes::Bytes;
use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use longhaul_stream::wire::{COUNT_MAX, Content, Message, REPORT_BYTES};
use longhaul_stream::{Command, Ignored, Report, Sender, SenderEvent};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::prop_oneof;

use crate::pipe::{INTERVAL, RECEIVER, SENDER, at_ms, call, receiver};

#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    Synthetic(u64),
    Message(Message),
    Foreign(Message),
    Wake,
    Start,
    Pass(u64),
}

fn message() -> impl Strategy<Value = Message> {
    let number = || prop_oneof![0..60u32, 0..COUNT_MAX];
    let content = prop_oneof![
        (number(), 16..=1472u16).prop_map(|(sequence, bytes)| Content::Datagram { sequence, bytes }),
        number().prop_map(|count| Content::End { count }),
        (number(), number()).prop_map(|(expected, received)| {
            let (expected, received) = (expected.max(received).into(), received.min(expected).into());
            let lost = expected - received;
            let delays = (received > 0).then_some(longhaul_stream::Delays {
                min: Span::ZERO,
                mean: Span::ZERO,
                max: Span::MAX,
                p50: Span::ZERO,
                p95: Span::ZERO,
                p99: Span::MAX,
                above_p99: 0,
            });
            Content::Report(Report {
                expected,
                received,
                lost,
                delays,
                ..Report::default()
            })
        }),
    ];
    let sent = prop_oneof![0..2_000_000_000u64, any::<u64>()];
    (sent, content).prop_map(|(sent, content)| Message {
        sent: Instant::from_ns(sent),
        content,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(Step::Bytes),
        any::<u64>().prop_map(Step::Synthetic),
        message().prop_map(Step::Message),
        message().prop_map(Step::Message),
        message().prop_map(Step::Foreign),
        proptest::prelude::Just(Step::Wake),
        proptest::prelude::Just(Step::Start),
        (0..500_000_000u64).prop_map(Step::Pass),
    ]
}

fn input(step: &Step, peer: PeerId) -> Option<Input<Command>> {
    let datagram = |from, payload| Some(Input::Datagram { from, payload });
    match step {
        Step::Bytes(bytes) => datagram(peer, Bytes::from(bytes.clone()).into()),
        Step::Synthetic(len) => datagram(peer, Payload::Synthetic(*len)),
        Step::Message(message) => datagram(peer, message.to_bytes().into()),
        Step::Foreign(message) => datagram(PeerId(9), message.to_bytes().into()),
        Step::Wake => Some(Input::Wake),
        Step::Start => Some(Input::Command(Command::Start)),
        Step::Pass(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_are_refused_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1_600)) {
        prop_assert!(Message::parse(&bytes).is_err());
    }

    #[test]
    fn whatever_arrives_the_receivers_account_adds_up(steps in proptest::collection::vec(step(), 0..150)) {
        let mut receiver = receiver(INTERVAL);
        let (mut now, mut datagrams, mut ends, mut answers) = (Instant::ZERO, 0, 0, 0);
        let mut foreign = 0;
        for step in &steps {
            if let Step::Pass(ns) = step {
                now += Span::from_ns(*ns);
            }
            foreign += u64::from(matches!(step, Step::Foreign(_)));
            let before = receiver.ignored();
            let Some(input) = input(step, SENDER) else {
                continue;
            };
            let is_datagram = matches!(input, Input::Datagram { .. });
            receiver.handle(now, input);
            loop {
                match receiver.poll() {
                    Output::Datagram { to, payload } => {
                        prop_assert_eq!((to, payload.len()), (SENDER, REPORT_BYTES as u64));
                        answers += 1;
                    }
                    Output::Event(_) => {}
                    Output::Idle => break,
                    other => panic!("{other:?}"),
                }
            }
            if is_datagram && receiver.ignored() == before {
                let Step::Message(message) = step else {
                    panic!("{step:?} was taken");
                };
                datagrams += u64::from(matches!(message.content, Content::Datagram { .. }));
                ends += u64::from(matches!(message.content, Content::End { .. }));
            }
        }
        let report = receiver.report();
        prop_assert_eq!(receiver.ignored().foreign, foreign);
        prop_assert_eq!(answers, ends);
        prop_assert_eq!(receiver.received(), report.received);
        prop_assert_eq!(report.received + report.duplicates + report.too_late, datagrams);
        prop_assert_eq!(report.received + report.lost, report.expected);
        prop_assert!(report.reordered <= report.received);
        prop_assert!(report.longest_loss_burst <= report.lost && report.loss_bursts <= report.lost);
        // A report of any receiver passes over the wire.
        let message = Message { sent: now, content: Content::Report(report) };
        prop_assert_eq!(Message::parse(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn whatever_arrives_a_sender_sends_its_stream_and_ends_once(
        steps in proptest::collection::vec(step(), 0..150),
    ) {
        let mut sender = Sender::new(call(Span::from_ms(1_000))).unwrap();
        let (mut now, mut sent, mut over) = (Instant::ZERO, 0, 0);
        let last = [Step::Start, Step::Pass(1_000_000_000)].into_iter();
        let ends = std::iter::repeat_n(Step::Pass(5_000_000_000), 4);
        for step in steps.into_iter().chain(last).chain(ends) {
            if let Step::Pass(ns) = step {
                now += Span::from_ns(ns);
            }
            sender.handle(now, input(&step, RECEIVER).unwrap_or(Input::Wake));
            loop {
                match sender.poll() {
                    Output::Datagram { payload: Payload::Real(bytes), .. } => {
                        let message = Message::parse(&bytes).unwrap();
                        sent += u32::from(matches!(message.content, Content::Datagram { .. }));
                    }
                    Output::Event(SenderEvent::Completed { report }) => {
                        prop_assert_eq!(report.expected, 50);
                        over += 1;
                    }
                    Output::Event(SenderEvent::Unanswered { .. }) => over += 1,
                    Output::Event(_) => {}
                    output => {
                        prop_assert!(output.ends_poll());
                        break;
                    }
                }
            }
        }
        prop_assert_eq!((sent, over, sender.poll()), (50, 1, Output::Idle));
    }
}

#[test]
fn what_is_not_of_the_stream_is_ignored_and_counted() {
    let mut receiver = receiver(INTERVAL);
    let datagram = Message {
        sent: at_ms(0),
        content: Content::Datagram {
            sequence: 0,
            bytes: 100,
        },
    };
    let mut damaged = datagram.to_bytes().to_vec();
    damaged[50] ^= 1;
    let mut arrive = |from, payload: Payload| {
        receiver.handle(at_ms(40), Input::Datagram { from, payload });
        (receiver.received(), receiver.ignored())
    };
    let ignored = |foreign, invalid| Ignored { foreign, invalid };
    assert_eq!(arrive(PeerId(7), datagram.to_bytes().into()), (0, ignored(1, 0)));
    assert_eq!(arrive(SENDER, Bytes::from(damaged).into()), (0, ignored(1, 1)));
    assert_eq!(arrive(SENDER, Payload::Synthetic(100)), (0, ignored(1, 2)));
    assert_eq!(arrive(SENDER, datagram.to_bytes().into()), (1, ignored(1, 2)));
}

#[test]
fn a_leap_to_the_last_sequence_number_takes_no_time_by_its_length() {
    let mut receiver = receiver(INTERVAL);
    for sequence in [0, COUNT_MAX - 1, 1, COUNT_MAX - 3] {
        let message = Message {
            sent: at_ms(0),
            content: Content::Datagram { sequence, bytes: 16 },
        };
        let (from, payload) = (SENDER, message.to_bytes().into());
        receiver.handle(at_ms(40), Input::Datagram { from, payload });
    }
    let report = receiver.report();
    assert_eq!((report.received, report.too_late, report.reordered), (3, 1, 1));
    assert_eq!(
        (report.loss_bursts, report.longest_loss_burst),
        (2, u64::from(COUNT_MAX) - 4)
    );
}

#[test]
fn a_sender_believes_only_its_receiver_about_its_own_stream_and_only_after_its_end() {
    let mut sender = Sender::new(call(Span::from_ms(40))).unwrap();
    let mut answer = |at, from, expected| {
        let report = Report {
            expected,
            lost: expected,
            ..Report::default()
        };
        let message = Message {
            sent: at,
            content: Content::Report(report),
        };
        let payload = message.to_bytes().into();
        sender.handle(at, Input::Datagram { from, payload });
        let outputs = std::iter::from_fn(|| Some(sender.poll()).filter(|output| !output.ends_poll()));
        let completed =
            outputs.filter(|output| matches!(output, Output::Event(SenderEvent::Completed { .. })));
        let completed = completed.count();
        if at == at_ms(0) {
            sender.handle(at, Input::Command(Command::Start));
        }
        completed
    };
    assert_eq!(answer(at_ms(0), RECEIVER, 2), 0, "before the stream");
    assert_eq!(answer(at_ms(10), RECEIVER, 2), 0, "during the stream");
    assert_eq!(
        answer(at_ms(20), RECEIVER, 2),
        0,
        "before the last datagram has left"
    );
    assert_eq!(answer(at_ms(600), PeerId(7), 2), 0, "from another peer");
    assert_eq!(answer(at_ms(600), RECEIVER, 3), 0, "about another stream");
    assert_eq!(answer(at_ms(600), RECEIVER, 2), 1);
    assert_eq!(answer(at_ms(600), RECEIVER, 2), 0, "once more");
}
