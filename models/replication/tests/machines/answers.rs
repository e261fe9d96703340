//! What a replica may answer that breaks the rules.

use bytes::Bytes;
use longhaul_core::machine::{CloseReason, Input, Machine, Output, StreamId};
use longhaul_core::time::{Instant, Span};
use longhaul_memory::generated::GeneratedMemory;
use longhaul_memory::pattern::Pattern;
use longhaul_replication::control::{Control, SetState};
use longhaul_replication::{Disconnect, ResyncReason, Source, SourceCommand, SourceEvent};

use crate::hostile::{WINDOW, fingerprint};
use crate::support::{Setup, at_ms};

/// Somebody who talks to a source of one guest.
struct Answerer {
    source: Source<GeneratedMemory>,
    now: Instant,
    events: Vec<SourceEvent>,
    opened: Vec<StreamId>,
    aborted: Vec<StreamId>,
    sent_bytes: u64,
    wake: Option<Instant>,
}

impl Answerer {
    /// A guest of 100 pages.
    fn new() -> Answerer {
        Answerer::of(&Setup {
            sets: vec![(0, vec![100])],
            ..Setup::default()
        })
    }

    fn of(setup: &Setup) -> Answerer {
        let mut answerer = Answerer {
            source: setup.source(),
            now: Instant::ZERO,
            events: Vec::new(),
            opened: Vec::new(),
            aborted: Vec::new(),
            sent_bytes: 0,
            wake: None,
        };
        answerer.give(Input::Command(SourceCommand::Start));
        answerer.give(Input::Opened { stream: StreamId(0) });
        answerer
    }

    fn say(&mut self, record: &Control) {
        let control = *self
            .opened
            .iter()
            .rev()
            .find(|stream| self.is_control(**stream))
            .unwrap();
        let payload = Bytes::from(record.to_bytes()).into();
        self.give(Input::Received {
            stream: control,
            payload,
        });
    }

    /// The tests open no stream of the transport but two per session.
    fn is_control(&self, stream: StreamId) -> bool {
        stream.0.is_multiple_of(3)
    }

    fn welcome(&mut self, session: u64, state: SetState) {
        let sets = vec![state];
        self.say(&Control::Welcome { session, sets });
    }

    fn give(&mut self, input: Input<SourceCommand>) {
        self.source.handle(self.now, input);
        loop {
            match self.source.poll() {
                Output::Open { stream, .. } => self.opened.push(stream),
                Output::Send { stream, payload } => {
                    let bytes = payload.len();
                    self.sent_bytes += bytes;
                    self.source.handle(self.now, Input::Sent { stream, bytes });
                }
                Output::Abort { stream } => self.aborted.push(stream),
                Output::Event(event) => self.events.push(event),
                Output::WakeAt { at, .. } => {
                    self.wake = Some(at);
                    break;
                }
                Output::Idle => {
                    self.wake = None;
                    break;
                }
                _ => {}
            }
        }
    }

    /// Lets time pass until the source has nothing to do before this.
    fn pass(&mut self, until: Instant) {
        while let Some(wake) = self.wake.filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.give(Input::Wake);
        }
        self.now = until;
    }
}

#[test]
fn a_replica_that_says_nothing_is_given_up_and_tried_again() {
    let mut answerer = Answerer::new();
    answerer.pass(at_ms(11_000));
    let why = Disconnect::Silence;
    assert_eq!(answerer.events, [SourceEvent::NotConnected { session: 1, why }]);
    assert_eq!(answerer.aborted, [StreamId(0)]);
    assert_eq!(answerer.opened, [StreamId(0), StreamId(1)]);
}

#[test]
fn a_replica_that_acknowledges_nothing_gets_no_more_than_the_window() {
    let mut answerer = Answerer::of(&Setup {
        sets: vec![(0, vec![1_000])],
        pattern: Pattern::Constant,
        ..Setup::default()
    });
    answerer.welcome(1, SetState::default());
    for stream in [1, 2] {
        answerer.give(Input::Opened {
            stream: StreamId(stream),
        });
    }
    // The guest has four times as much that cannot be compressed.
    let sent = answerer.sent_bytes;
    assert!((WINDOW - (64 << 10)..WINDOW + 1_000).contains(&sent), "{sent}");
    // The heartbeats are not heard either.
    answerer.pass(at_ms(1_000));
    let why = Disconnect::Silence;
    assert!(
        answerer
            .events
            .contains(&SourceEvent::Disconnected { session: 1, why }),
        "{:?}",
        answerer.events
    );
    assert!(
        answerer
            .events
            .contains(&SourceEvent::EpochInterrupted { set: 0, epoch: 1 })
    );
}

#[test]
fn a_welcome_that_does_not_fit_makes_the_source_send_everything_again() {
    let none = SetState::default();
    let there = SetState {
        attempt: 1,
        epoch: 5,
        ..none
    };
    for (state, reason) in [
        (there, ResyncReason::Epoch),
        (
            SetState {
                attempt: 1,
                frames: 1,
                ..none
            },
            ResyncReason::Frames,
        ),
        (SetState { attempt: 9, ..none }, ResyncReason::Frames),
        (
            SetState {
                attempt: 1,
                dead: true,
                ..none
            },
            ResyncReason::Rejected,
        ),
    ] {
        let mut answerer = Answerer::new();
        answerer.welcome(1, state);
        assert!(
            answerer.events.contains(&SourceEvent::Resync { set: 0, reason }),
            "{:?}",
            answerer.events
        );
        let started = answerer.events.iter().find_map(|event| match event {
            SourceEvent::EpochStarted { epoch, pages, .. } => Some((*epoch, *pages)),
            _ => None,
        });
        // Never a number that the replica has seen.
        assert_eq!(started, Some((state.epoch + 1, 100)));
    }
}

#[test]
fn a_replica_with_another_memory_under_the_right_number_gets_everything_again() {
    let world = Setup {
        sets: vec![(0, vec![100])],
        ..Setup::default()
    }
    .run();
    let epoch = world.replica.newest_epoch(0).unwrap().0;
    let mut world = world;
    let control = StreamId(0);
    let now = world.setup.horizon + Span::from_ms(1);
    let mut events = Vec::new();
    let mut give = |source: &mut Source<GeneratedMemory>, now, input| {
        source.handle(now, input);
        let mut wake = None;
        loop {
            match source.poll() {
                Output::Event(event) => events.push(event),
                Output::WakeAt { at, .. } => break wake = Some(at),
                Output::Idle => break,
                _ => {}
            }
        }
        wake
    };
    let reason = CloseReason::Failed;
    let retry = give(
        &mut world.source,
        now,
        Input::Closed {
            stream: control,
            reason,
        },
    )
    .unwrap();
    give(&mut world.source, retry, Input::Wake);
    let control = StreamId(3);
    give(&mut world.source, retry, Input::Opened { stream: control });
    let state = SetState {
        attempt: 1,
        dead: false,
        frames: world.source.statistics().sets[0].copy.frames,
        epoch,
        fingerprint: fingerprint(1),
    };
    let welcome = Control::Welcome {
        session: 2,
        sets: vec![state],
    };
    let payload = Bytes::from(welcome.to_bytes()).into();
    give(
        &mut world.source,
        retry,
        Input::Received {
            stream: control,
            payload,
        },
    );
    let reason = ResyncReason::Fingerprint;
    assert!(
        events.contains(&SourceEvent::Resync { set: 0, reason }),
        "{events:?}"
    );
}

#[test]
fn records_that_make_no_sense_end_the_session() {
    for record in [
        Control::Applied { set: 0, epoch: 9 },
        Control::Applied { set: 1, epoch: 1 },
        Control::Resync { set: 7, attempt: 1 },
        Control::Resync { set: 0, attempt: 2 },
        Control::Heartbeat {
            number: 0,
            leased: false,
        },
        Control::Welcome {
            session: 1,
            sets: vec![SetState::default()],
        },
        Control::Refused,
    ] {
        let mut answerer = Answerer::new();
        answerer.welcome(1, SetState::default());
        answerer.say(&record);
        let why = Disconnect::Unexpected;
        assert!(
            answerer
                .events
                .contains(&SourceEvent::Disconnected { session: 1, why }),
            "{record:?}: {:?}",
            answerer.events
        );
    }
    for (session, sets) in [(2, 1), (1, 0), (1, 2)] {
        let mut answerer = Answerer::new();
        let sets = vec![SetState::default(); sets];
        answerer.say(&Control::Welcome { session, sets });
        let why = Disconnect::Unexpected;
        assert_eq!(answerer.events, [SourceEvent::NotConnected { session: 1, why }]);
    }
}

#[test]
fn a_source_that_is_refused_or_fenced_does_not_come_back() {
    for (record, event) in [
        (Control::Refused, SourceEvent::Refused),
        (Control::Fenced, SourceEvent::Fenced),
    ] {
        let mut answerer = Answerer::new();
        answerer.say(&record);
        assert_eq!(answerer.events, [event]);
        answerer.pass(at_ms(100_000));
        assert_eq!(answerer.opened.len(), 1);
    }
}

#[test]
fn a_rejected_attempt_is_followed_by_another() {
    let mut answerer = Answerer::new();
    answerer.welcome(1, SetState::default());
    answerer.say(&Control::Resync { set: 0, attempt: 1 });
    // Said again, it is about an attempt that was given up.
    answerer.say(&Control::Resync { set: 0, attempt: 1 });
    let reason = ResyncReason::Rejected;
    let resyncs = answerer
        .events
        .iter()
        .filter(|event| **event == SourceEvent::Resync { set: 0, reason });
    assert_eq!(resyncs.count(), 1);
    assert_eq!(answerer.source.statistics().sets[0].epochs_started, 2);
}
