//! A client with one command, answered in all ways.

use super::*;

const HOME: NodeId = NodeId(0);

fn client(window: usize) -> Client {
    Client::new(ClientConfig {
        home: HOME,
        client: 7,
        members: vec![HOME, NodeId(1), NodeId(2)],
        patience: Span::from_s(1),
        give_up: Some(Span::from_s(5)),
        window,
        room: 4,
    })
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

fn sent(client: &mut Client) -> Vec<(NodeId, Request)> {
    let mut sent = Vec::new();
    while let Some(output) = client.poll() {
        match output {
            ClientOutput::Send { to, request } => sent.push((to, request)),
            other => panic!("{other:?}"),
        }
    }
    sent
}

fn answer(client: &mut Client, ms: u64, request: &Request, reply: Reply) {
    let to = request.origin;
    client.on_answer(at(ms), Answer { to, reply });
}

/// A client whose session is open, and its first command on the way to its home.
fn with_command() -> (Client, Request) {
    let mut client = client(2);
    let ticket = client.command(at(0), 3, Bytes::from_static(b"do"));
    assert_eq!(ticket, Ok(Ticket(1)));
    let (_, open) = sent(&mut client).remove(0);
    assert_eq!(open.ask, Ask::Open);
    let session = SessionId(9);
    answer(&mut client, 10, &open, Reply::Opened { session });
    let (to, command) = sent(&mut client).remove(0);
    assert!(matches!(&command.ask, Ask::Command { tag, .. } if tag.session == session && tag.sequence == 1));
    assert_eq!(to, HOME);
    (client, command)
}

#[test]
fn a_command_keeps_its_number_from_member_to_member() {
    let (mut client, first) = with_command();
    let leader = Some(NodeId(2));
    answer(&mut client, 20, &first, Reply::NotLeader { leader });
    let (to, second) = sent(&mut client).remove(0);
    assert_eq!((to, &second.ask), (NodeId(2), &first.ask));
    assert_ne!(second.origin.request, first.origin.request);
    // Member 2 says nothing: after a second the next one is asked.
    assert_eq!(client.wake_at(), Some(at(1_020)));
    client.on_wake(at(1_020));
    let (to, third) = sent(&mut client).remove(0);
    assert_eq!((to, &third.ask, client.retries()), (HOME, &first.ask, 1));
    let data = Bytes::from_static(b"done");
    answer(&mut client, 1_030, &third, Reply::Done { data: data.clone() });
    let ticket = Ticket(1);
    assert_eq!(client.poll(), Some(ClientOutput::Done { ticket, data }));
    // A late answer to the second request is nobody's.
    answer(&mut client, 1_040, &second, Reply::Busy);
    assert_eq!(
        (client.poll(), client.wake_at(), client.unanswered()),
        (None, None, 0)
    );
}

#[test]
fn after_five_seconds_the_silent_are_named() {
    let (mut client, _) = with_command();
    let mut output = None;
    while output.is_none() {
        client.on_wake(client.wake_at().expect("a command under way"));
        while let Some(next) = client.poll() {
            output = Some(next).filter(|output| !matches!(output, ClientOutput::Send { .. }));
        }
    }
    let Some(ClientOutput::Failed { ticket, error }) = output else {
        panic!("{output:?}")
    };
    assert_eq!(ticket, Ticket(1));
    assert_eq!(
        error.to_string(),
        "no answer within 5 s; silent: member 0, member 1, member 2"
    );
}

#[test]
fn members_that_point_at_each_other_are_not_asked_for_ever() {
    let (mut client, mut request) = with_command();
    for step in 0..3 {
        let leader = Some(NodeId(1 + step % 2));
        answer(&mut client, 20, &request, Reply::NotLeader { leader });
        request = sent(&mut client).remove(0).1;
    }
    let leader = Some(NodeId(2));
    answer(&mut client, 20, &request, Reply::NotLeader { leader });
    assert_eq!(sent(&mut client), []);
    assert_eq!(client.wake_at(), Some(at(1_020)));
}

#[test]
fn with_its_session_all_its_commands_are_lost() {
    let (mut client, first) = with_command();
    client.command(at(20), 3, Bytes::new()).expect("room");
    client.read(at(20), Bytes::new()).expect("room");
    assert_eq!(sent(&mut client).len(), 1, "the window has two");
    answer(&mut client, 30, &first, Reply::Expired);
    for number in [1, 2] {
        let failed = ClientOutput::Failed {
            ticket: Ticket(number),
            error: ClientError::Expired,
        };
        assert_eq!(client.poll(), Some(failed));
    }
    let (_, read) = sent(&mut client).remove(0);
    assert!(matches!(read.ask, Ask::Read { .. }));
}

#[test]
fn what_waits_is_bounded() {
    let mut client = client(1);
    for _ in 0..4 {
        client.command(at(0), 0, Bytes::new()).expect("room");
    }
    assert_eq!(client.command(at(0), 0, Bytes::new()), Err(ClientError::Full));
}
