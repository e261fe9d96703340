//! Sessions of BFD by themselves, message by message.

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_sdwan::bfd::{Change, Config, Control, Diagnostic, Session, State};

use crate::world::at_ms;

fn stream() -> Stream {
    Streams::new(1, 0).stream("session", "bfd")
}

fn config(interval_ms: u64, multiplier: u8, slow_start: bool) -> Config {
    Config {
        interval: Span::from_ms(interval_ms),
        multiplier,
        slow_start,
    }
}

/// What the other end says in this state.
fn message(state: State) -> Control {
    Control {
        state,
        diagnostic: Diagnostic::None,
        poll: false,
        finished: false,
        multiplier: 5,
        my_discriminator: 9,
        your_discriminator: 4,
        desired_min_tx_us: 50_000,
        required_min_rx_us: 50_000,
    }
}

/// A session of number 4 that has heard nothing.
fn session(config: Config) -> (Session, Stream) {
    let mut stream = stream();
    let session = Session::new(config, 4, Instant::ZERO, &mut stream);
    (session, stream)
}

#[test]
fn states_follow_the_table_of_rfc_5880() {
    use State::{AdminDown, Down, Init, Up};
    for (states, expected) in [
        (&[Down][..], Init),
        (&[Init], Up),
        (&[Up], Down),
        (&[AdminDown], Down),
        (&[Down, Down], Init),
        (&[Down, Init], Up),
        (&[Down, Up], Up),
        (&[Down, AdminDown], Down),
        (&[Init, Up], Up),
        (&[Init, Init], Up),
        (&[Init, Down], Down),
        (&[Init, AdminDown], Down),
    ] {
        let (mut session, mut stream) = session(config(100, 3, true));
        for state in states {
            session.receive(at_ms(0), &message(*state), &mut stream);
        }
        assert_eq!(session.state(), expected, "{states:?}");
    }
}

#[test]
fn messages_for_another_session_are_ignored() {
    let (mut session, mut stream) = session(config(100, 3, true));
    for (state, yours) in [
        (State::Init, 5),
        (State::Init, 0),
        (State::Up, 0),
        (State::Down, 5),
    ] {
        let mut stray = message(state);
        stray.your_discriminator = yours;
        assert_eq!(session.receive(at_ms(0), &stray, &mut stream), None);
    }
    assert_eq!((session.state(), session.heard_at()), (State::Down, None));
}

#[test]
fn the_detection_time_is_the_other_ends_multiplier_times_the_agreed_interval() {
    // This end can receive each 100 ms, so the other one's wish for 50 ms is not granted.
    let (mut session, mut stream) = session(config(100, 3, true));
    session.receive(at_ms(0), &message(State::Init), &mut stream);
    assert_eq!(session.detection_time(), Some(Span::from_ms(500)));
    let mut slow = message(State::Up);
    slow.desired_min_tx_us = 400_000;
    session.receive(at_ms(10), &slow, &mut stream);
    assert_eq!(session.detection_time(), Some(Span::from_ms(2_000)));
    assert_eq!(session.detect(at_ms(2_009)), None);
    let diagnostic = Diagnostic::ControlDetectionTimeExpired;
    assert_eq!(session.detect(at_ms(2_010)), Some(Change::Down(diagnostic)));
    // It is said at once, and to whoever answers next.
    let told = session
        .transmit(at_ms(2_010), &mut stream)
        .expect("an urgent message");
    assert_eq!(
        (told.state, told.diagnostic, told.your_discriminator),
        (State::Down, diagnostic, 0)
    );
}

/// Times between the periodic messages of a session that is up and hears messages like `from_other`.
fn gaps(config: Config, from_other: &Control) -> Vec<u64> {
    let (mut session, mut stream) = session(config);
    session.receive(at_ms(0), from_other, &mut stream);
    while session.transmit(at_ms(0), &mut stream).is_some() {}
    let (mut sent, mut now) = (Vec::new(), at_ms(0));
    for _ in 0..2_000 {
        now = session.due().min(now + Span::from_ms(100));
        session.receive(now, from_other, &mut stream);
        if session.transmit(now, &mut stream).is_some() {
            sent.push(now);
        }
    }
    let pairs = sent.windows(2);
    pairs
        .map(|pair| pair[1].saturating_since(pair[0]).as_ns() / 1_000)
        .collect()
}

#[test]
fn intervals_are_shortened_by_a_random_0_to_25_percent() {
    for (multiplier, required_ms, range) in [
        (3, 50, 75_000..=100_000),
        (1, 50, 75_000..=90_000),
        (3, 300, 225_000..=300_000),
    ] {
        let mut from_other = message(State::Init);
        from_other.required_min_rx_us = required_ms * 1_000;
        let gaps = gaps(config(100, multiplier, false), &from_other);
        let (least, most) = (*gaps.iter().min().unwrap(), *gaps.iter().max().unwrap());
        assert!(
            gaps.len() > 300 && range.contains(&least) && range.contains(&most),
            "{least} to {most}"
        );
        // Both ends of the range are reached.
        let width = range.end() - range.start();
        assert!(
            least < range.start() + width / 20 && most > range.end() - width / 20,
            "{least} to {most}"
        );
    }
}

#[test]
fn an_end_that_wants_no_periodic_messages_gets_none() {
    let mut deaf = message(State::Init);
    deaf.required_min_rx_us = 0;
    assert_eq!(gaps(config(100, 3, false), &deaf), [0; 0]);
}

#[test]
fn a_session_that_comes_up_polls_until_it_is_answered() {
    let (mut session, mut stream) = session(config(100, 3, true));
    let change = session.receive(at_ms(0), &message(State::Init), &mut stream);
    assert_eq!(change, Some(Change::Up));
    let first = session
        .transmit(at_ms(0), &mut stream)
        .expect("an urgent message");
    assert!(first.poll && !first.finished);
    assert_eq!((first.state, first.desired_min_tx_us), (State::Up, 100_000));
    // The answer to the other end's poll carries no poll of its own.
    let mut polls = message(State::Up);
    polls.poll = true;
    session.receive(at_ms(1), &polls, &mut stream);
    let answer = session.transmit(at_ms(1), &mut stream).expect("an answer");
    assert!(answer.finished && !answer.poll);
    let again = session
        .transmit(at_ms(100), &mut stream)
        .expect("a periodic message");
    assert!(again.poll);
    let mut finished = message(State::Up);
    finished.finished = true;
    session.receive(at_ms(101), &finished, &mut stream);
    let quiet = session
        .transmit(at_ms(200), &mut stream)
        .expect("a periodic message");
    assert!(!quiet.poll && !quiet.finished);
}

#[test]
fn a_session_that_is_not_up_sends_no_more_often_than_each_second() {
    let count = |slow_start| {
        let (mut session, mut stream) = session(config(100, 3, slow_start));
        let messages = (0..100_000u64).filter(|ms| session.transmit(at_ms(*ms), &mut stream).is_some());
        messages.count()
    };
    // 0.875 s and 87.5 ms on average.
    assert!((105..125).contains(&count(true)), "{}", count(true));
    assert!((1_090..1_190).contains(&count(false)), "{}", count(false));
}

#[test]
fn a_session_that_is_taken_down_says_so_and_stays_down() {
    let (mut session, mut stream) = session(config(100, 3, true));
    session.receive(at_ms(0), &message(State::Init), &mut stream);
    let change = session.administer(false);
    assert_eq!(change, Some(Change::Down(Diagnostic::AdministrativelyDown)));
    let told = session
        .transmit(at_ms(0), &mut stream)
        .expect("an urgent message");
    assert_eq!(told.state, State::AdminDown);
    session.receive(at_ms(1), &message(State::Init), &mut stream);
    assert_eq!(session.state(), State::AdminDown);
    assert_eq!(session.administer(true), None);
    session.receive(at_ms(2), &message(State::Init), &mut stream);
    assert_eq!(session.state(), State::Up);
}
