//! The driver against small machines on loopback addresses, and against peers that do not play by the rules.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::payload::Payload;
use nix::sys::socket::GetSockOpt;
use serde_json::{Value, json};

use super::*;

/// Ports of the machines here.
const PORT: u16 = 10_000;

/// A machine that reports its inputs, and answers each as a function says.
struct Script {
    answer: fn(Instant, &Input<()>) -> Vec<Output<Value>>,
    synthetic: bool,
    outputs: VecDeque<Output<Value>>,
    wake: Option<Instant>,
    received: Vec<u8>,
}

impl Machine for Script {
    type Command = ();
    type Event = Value;

    fn handle(&mut self, now: Instant, input: Input<()>) {
        if let Input::Received {
            payload: Payload::Real(bytes),
            ..
        } = &input
        {
            self.received.extend_from_slice(bytes);
        }
        let event = serde_json::to_value(&input).unwrap();
        self.outputs.push_back(Output::Event(event));
        for output in (self.answer)(now, &input) {
            match output {
                Output::WakeAt { at, .. } => self.wake = Some(at),
                other => self.outputs.push_back(other),
            }
        }
        self.wake = self.wake.filter(|at| *at > now);
    }

    fn poll(&mut self) -> Output<Value> {
        match (self.outputs.pop_front(), self.wake) {
            (Some(output), _) => output,
            (None, Some(at)) => Output::WakeAt { at, why: "script" },
            (None, None) => Output::Idle,
        }
    }
}

impl Endpoint for Script {
    fn start_command(&self) {}

    fn input_is_synthetic(&self) -> bool {
        self.synthetic
    }

    fn summary(&self) -> Value {
        json!(self.received.len())
    }
}

type Answer = fn(Instant, &Input<()>) -> Vec<Output<Value>>;

fn address(network: u8, peer: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 1, network, 1 + peer as u8), PORT)
}

/// A driver whose machines answer so, with two more addresses than machines.
fn driver(network: u8, answers: &[Answer], options: &SocketOptions) -> Driver<Script> {
    let peers = (0..answers.len() as u32 + 2).map(|peer| address(network, peer));
    let machines = (0..).map(PeerId).zip(answers).map(|(peer, &answer)| Hosting {
        peer,
        machine: Script {
            answer,
            synthetic: false,
            outputs: VecDeque::new(),
            wake: None,
            received: Vec::new(),
        },
        options: options.clone(),
    });
    let mut driver = Driver::new(peers.collect(), machines.collect(), false).unwrap();
    driver.begin(monotonic_ns());
    driver
}

/// Turns until `enough` events have come, and a little longer for those that should not; at most five seconds.
fn events(driver: &mut Driver<Script>, enough: usize) -> Vec<(u32, Value)> {
    let mut seen: Vec<MachineEvent> = Vec::new();
    let ms = |driver: &mut Driver<Script>, ms| driver.now() + Span::from_ms(ms);
    let end = ms(driver, 5_000);
    while seen.len() < enough && driver.now() < end {
        driver.turn(end).unwrap();
        seen.extend(driver.take_events());
    }
    let end = ms(driver, 50);
    while driver.now() < end {
        driver.turn(end).unwrap();
        seen.extend(driver.take_events());
    }
    seen.into_iter()
        .map(|event| (event.peer.0, event.event))
        .collect()
}

/// The inputs of one machine by name, `Sent` left out.
fn inputs(events: &[(u32, Value)], peer: u32) -> Vec<String> {
    let of_peer = events.iter().filter(|(from, _)| *from == peer);
    of_peer
        .map(|(_, event)| event.to_string().replace('"', ""))
        .filter(|name| !name.starts_with("{Sent"))
        .collect()
}

const STREAM: StreamId = StreamId(0);

fn send(stream: StreamId, bytes: &'static [u8]) -> Output<Value> {
    let payload = Payload::Real(Bytes::from_static(bytes));
    Output::Send { stream, payload }
}

fn silent(_: Instant, _: &Input<()>) -> Vec<Output<Value>> {
    Vec::new()
}

/// Opens a stream to the other machine, says three bytes and finishes.
fn three_bytes(_: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    let (stream, peer) = (STREAM, PeerId(1));
    match input {
        Input::Start => vec![Output::Open { stream, peer }],
        Input::Opened { stream } => {
            let stream = *stream;
            // What is sent after the end is dropped.
            vec![
                send(stream, b"one"),
                Output::Close { stream },
                send(stream, b"late"),
            ]
        }
        _ => Vec::new(),
    }
}

/// Answers the end of a stream with five bytes and the end.
fn answers_the_end(_: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    match input {
        Input::Closed { stream, .. } => {
            let stream = *stream;
            vec![send(stream, b"three"), Output::Close { stream }]
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_stream_ends_in_each_direction_by_itself_and_then_is_silent() {
    let mut driver = driver(1, &[three_bytes, answers_the_end], &SocketOptions::default());
    let events = events(&mut driver, 10);
    let finished = |stream: u32| format!("{{Closed:{{reason:Finished,stream:{stream}}}}}");
    let accepted = StreamId::FIRST_ACCEPTED;
    assert_eq!(
        inputs(&events, 0),
        [
            "Start",
            "{Opened:{stream:0}}",
            "{Received:{payload:r:7468726565,stream:0}}",
            &finished(0)
        ]
    );
    assert_eq!(
        inputs(&events, 1),
        [
            "Start",
            &format!("{{Accepted:{{stream:{accepted}}}}}"),
            &format!("{{Received:{{payload:r:6f6e65,stream:{accepted}}}}}"),
            &finished(accepted)
        ]
    );
    // SYN, data, FIN and ACKs; the kernel does not count an acceptor's SYN-ACK. Nothing again.
    let counters: Vec<TcpCounters> = driver.counters().map(|(_, counters)| counters).collect();
    for counted in counters {
        assert!(
            (3..=8).contains(&counted.segments) && counted.retransmits == 0,
            "{counted:?}"
        );
    }
}

/// Sends two megabytes in pieces of all lengths, some of them without content.
fn many_pieces(_: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    let (stream, peer) = (STREAM, PeerId(1));
    match input {
        Input::Start => vec![Output::Open { stream, peer }],
        Input::Opened { .. } => {
            let mut outputs: Vec<Output<Value>> =
                pieces().map(|payload| Output::Send { stream, payload }).collect();
            outputs.push(Output::Close { stream });
            outputs
        }
        _ => Vec::new(),
    }
}

fn pieces() -> impl Iterator<Item = Payload> {
    (0..2_000_u32).map(|index| match index % 5 {
        0 => Payload::Synthetic(u64::from(index)),
        _ => Bytes::from(vec![(index % 251) as u8 + 1; (index % 1_999) as usize]).into(),
    })
}

#[test]
fn pieces_of_all_lengths_arrive_in_order_and_are_taken_one_by_one() {
    let mut driver = driver(2, &[many_pieces, answers_the_end], &SocketOptions::default());
    let mut expected = Vec::new();
    for piece in pieces() {
        match piece {
            Payload::Real(bytes) => expected.extend_from_slice(&bytes),
            Payload::Synthetic(bytes) => expected.resize(expected.len() + bytes as usize, 0),
        }
    }
    let mut taken = 0;
    let end = driver.now() + Span::from_s(5);
    let mut closed = false;
    while !closed && driver.now() < end {
        driver.turn(end).unwrap();
        for event in driver.take_events() {
            taken += event
                .event
                .pointer("/Sent/bytes")
                .filter(|_| event.peer.0 == 0)
                .and_then(Value::as_u64)
                .unwrap_or_default();
            closed |= event.peer.0 == 0 && event.event.get("Closed").is_some();
        }
    }
    let (_, receiver) = driver.machines().nth(1).unwrap();
    assert!(receiver.received == expected, "{} bytes", receiver.received.len());
    assert_eq!(taken, expected.len() as u64);
}

/// Sends two megabytes, each piece of which takes a while to make.
struct Slow {
    pieces: u32,
    opened: bool,
}

impl Machine for Slow {
    type Command = ();
    type Event = u64;

    fn handle(&mut self, _: Instant, input: Input<()>) {
        self.opened |= matches!(input, Input::Opened { .. });
    }

    fn poll(&mut self) -> Output<u64> {
        let (stream, peer) = (STREAM, PeerId(1));
        match self.pieces {
            0 => Output::Idle,
            // What was sent last is made by now.
            1 if self.opened => {
                self.pieces -= 1;
                Output::Event(monotonic_ns())
            }
            32 => {
                self.pieces -= 1;
                Output::Open { stream, peer }
            }
            _ if self.opened => {
                self.pieces -= 1;
                thread::sleep(Duration::from_millis(2));
                let payload = Payload::Synthetic(64 << 10);
                Output::Send { stream, payload }
            }
            _ => Output::Idle,
        }
    }
}

impl Endpoint for Slow {
    fn start_command(&self) {}

    fn input_is_synthetic(&self) -> bool {
        true
    }

    fn summary(&self) -> Value {
        Value::Null
    }
}

#[test]
fn what_a_machine_sends_leaves_while_it_is_still_at_work() {
    let peers = vec![address(11, 0), address(11, 1)];
    let listener = TcpListener::bind(peers[1]).unwrap();
    let reader = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut room = vec![0; 1 << 20];
        let (mut first_ns, mut bytes) = (None, 0);
        while bytes < 30 * (64 << 10) {
            bytes += stream.read(&mut room).unwrap();
            first_ns.get_or_insert_with(monotonic_ns);
        }
        first_ns.unwrap()
    });
    let slow = Hosting {
        peer: PeerId(0),
        machine: Slow {
            pieces: 32,
            opened: false,
        },
        options: SocketOptions::default(),
    };
    let mut driver = Driver::new(peers, vec![slow], false).unwrap();
    driver.begin(monotonic_ns());
    let end = driver.now() + Span::from_s(5);
    while !reader.is_finished() && driver.now() < end {
        let soon = driver.now() + Span::from_ms(5);
        driver.turn(soon).unwrap();
    }
    let made_ns = driver.take_events()[0].event.as_u64().unwrap();
    let first_ns = reader.join().unwrap();
    // Thirty pieces took sixty milliseconds; the first arrived when few were made.
    assert!(first_ns + 20_000_000 < made_ns, "{first_ns} {made_ns}");
}

/// Opens a stream to where nobody listens.
fn to_nobody(_: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    match input {
        Input::Start => vec![Output::Open {
            stream: STREAM,
            peer: PeerId(2),
        }],
        _ => Vec::new(),
    }
}

#[test]
fn a_refused_connection_has_failed() {
    let mut driver = driver(3, &[to_nobody], &SocketOptions::default());
    let events = events(&mut driver, 2);
    assert_eq!(inputs(&events, 0), ["Start", "{Closed:{reason:Failed,stream:0}}"]);
    assert_eq!(driver.streams.len(), 0);
}

#[test]
fn a_reset_has_failed_and_a_peer_that_only_reads_has_finished() {
    let mut driver = driver(4, &[silent], &SocketOptions::default());
    driver.turn(Instant::ZERO).unwrap();
    let open = || {
        let mut stream = TcpStream::connect(address(4, 0)).unwrap();
        stream.write_all(b"x").unwrap();
        stream
    };
    let (reset, half) = (open(), open());
    let before = events(&mut driver, 5);
    assert_eq!(inputs(&before, 0).len(), 5, "{before:?}");
    rustix::net::sockopt::set_socket_linger(&reset, Some(Duration::ZERO)).unwrap();
    drop(reset);
    half.shutdown(std::net::Shutdown::Write).unwrap();
    let after = inputs(&events(&mut driver, 2), 0);
    let first = StreamId::FIRST_ACCEPTED;
    let closed = |reason: &str, stream: u32| format!("{{Closed:{{reason:{reason},stream:{stream}}}}}");
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(after.contains(&closed("Failed", first)), "{after:?}");
    assert!(after.contains(&closed("Finished", first + 1)), "{after:?}");
}

/// Opens a stream to the other machine and gives it up once it is there.
fn gives_up(_: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    let (stream, peer) = (STREAM, PeerId(1));
    match input {
        Input::Start => vec![Output::Open { stream, peer }],
        Input::Opened { stream } => vec![Output::Abort { stream: *stream }],
        _ => Vec::new(),
    }
}

#[test]
fn a_stream_that_is_given_up_has_failed_at_the_peer() {
    let mut driver = driver(42, &[gives_up, silent], &SocketOptions::default());
    let events = events(&mut driver, 5);
    assert_eq!(inputs(&events, 0), ["Start", "{Opened:{stream:0}}"]);
    let first = StreamId::FIRST_ACCEPTED;
    assert_eq!(
        inputs(&events, 1),
        [
            "Start",
            &format!("{{Accepted:{{stream:{first}}}}}"),
            &format!("{{Closed:{{reason:Failed,stream:{first}}}}}")
        ]
    );
}

/// Sends on a stream to the other machine, asks what the kernel knows of it a little later, and of one that is not there.
fn asks_the_kernel(now: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    let (stream, peer) = (STREAM, PeerId(1));
    let why = "to ask";
    match input {
        Input::Start => vec![Output::Open { stream, peer }],
        Input::Opened { stream } => vec![
            Output::Send {
                stream: *stream,
                payload: Payload::Synthetic(100_000),
            },
            Output::WakeAt {
                at: now + Span::from_ms(200),
                why,
            },
        ],
        Input::Wake => [StreamId(7), STREAM]
            .map(|stream| Output::Inspect { stream })
            .into(),
        _ => Vec::new(),
    }
}

#[test]
fn what_the_kernel_knows_of_a_stream_is_told_on_request() {
    let mut driver = driver(43, &[asks_the_kernel, silent], &SocketOptions::default());
    let told = events(&mut driver, 12);
    let paths: Vec<&Value> = told
        .iter()
        .filter(|(peer, event)| *peer == 0 && event.get("Path").is_some())
        .map(|(_, event)| &event["Path"])
        .collect();
    let [path] = paths[..] else { panic!("{told:?}") };
    assert_eq!(path["stream"], STREAM.0);
    let number = |field: &str| path["info"][field].as_u64().unwrap();
    // Linux counts the SYN among the bytes.
    assert!((100_000..=100_001).contains(&number("bytes_acked")), "{path}");
    assert!(number("srtt") > 0 && number("srtt") < 200_000_000, "{path}");
    assert!(number("segments_sent") >= 3, "{path}");
    assert!(
        number("segments_retransmitted") <= number("segments_sent"),
        "{path}"
    );
    // Ten segments at least, and a window that is open.
    assert!(number("congestion_window_bytes") >= 10 * 500, "{path}");
    assert!(number("buffer_window_bytes") >= 16 << 10, "{path}");
}

#[test]
fn a_machine_has_a_limit_of_streams_and_others_are_turned_away() {
    let mut driver = driver(5, &[silent], &SocketOptions::default());
    driver.limits.streams = 2;
    driver.turn(Instant::ZERO).unwrap();
    let mut streams: Vec<TcpStream> = (0..5)
        .map(|_| TcpStream::connect(address(5, 0)).unwrap())
        .collect();
    let accepted = inputs(&events(&mut driver, 3), 0);
    assert_eq!(accepted.len(), 3, "{accepted:?}");
    for stream in &mut streams[2..] {
        assert!(stream.read(&mut [0]).is_err(), "it was not reset");
    }
    // Connections that are over make room.
    streams.truncate(2);
    streams.clear();
    let closed = inputs(&events(&mut driver, 2), 0);
    assert_eq!(closed.len(), 2, "{closed:?}");
}

#[test]
fn of_connections_that_are_over_only_the_last_are_kept() {
    let mut driver = driver(6, &[three_bytes, answers_the_end], &SocketOptions::default());
    driver.limits.lingering = 1;
    let _ = events(&mut driver, 10);
    assert_eq!(driver.streams.len(), 1);
    // What the kernel counted for the other is not lost.
    let counters: Vec<u64> = driver.counters().map(|(_, counters)| counters.segments).collect();
    assert!(counters.iter().all(|segments| *segments >= 3), "{counters:?}");
}

/// Asks the other machine by datagram, and an address that nobody has.
fn asks(_: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    let payload = Payload::Real(Bytes::from_static(b"ping"));
    match input {
        Input::Start => [2, 1]
            .map(|to| Output::Datagram {
                to: PeerId(to),
                payload: payload.clone(),
            })
            .into(),
        _ => Vec::new(),
    }
}

/// Sends datagrams back, twice as long.
fn echoes(_: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    match input {
        Input::Datagram { from, payload } => vec![Output::Datagram {
            to: *from,
            payload: Payload::Synthetic(2 * payload.len()),
        }],
        _ => Vec::new(),
    }
}

#[test]
fn datagrams_come_from_the_machine_that_sent_them() {
    let mut driver = driver(7, &[asks, echoes], &SocketOptions::default());
    let stranger = UdpSocket::bind((Ipv4Addr::new(127, 1, 7, 77), 0)).unwrap();
    stranger.send_to(b"noise", address(7, 0)).unwrap();
    let events = events(&mut driver, 4);
    assert_eq!(
        inputs(&events, 1),
        ["Start", "{Datagram:{from:0,payload:r:70696e67}}"]
    );
    assert_eq!(
        inputs(&events, 0),
        ["Start", "{Datagram:{from:1,payload:r:0000000000000000}}"]
    );
}

/// Wakes every 20 ms, three times.
fn wakes(now: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    match input {
        Input::Start | Input::Wake if now < Instant::ZERO + Span::from_ms(60) => vec![Output::WakeAt {
            at: now + Span::from_ms(20),
            why: "script",
        }],
        _ => Vec::new(),
    }
}

#[test]
fn a_wake_never_comes_early_and_lateness_is_noted() {
    let mut driver = driver(8, &[wakes], &SocketOptions::default());
    let mut at = Vec::new();
    let end = driver.now() + Span::from_ms(300);
    while driver.now() < end {
        driver.turn(end).unwrap();
        at.extend(driver.take_events().iter().map(|event| event.at_ns));
    }
    assert_eq!(at.len(), 4, "{at:?}");
    assert!(
        at.windows(2).all(|pair| pair[1] >= pair[0] + 20_000_000),
        "{at:?}"
    );
    let late = driver.latest_wake();
    assert!(Span::ZERO < late && late < Span::from_ms(200), "{late:?}");
}

#[test]
fn both_ends_of_a_connection_have_the_options() {
    let options = SocketOptions {
        congestion: Some("reno".to_owned()),
        receive_buffer: Some(300_000),
        send_buffer: Some(200_000),
        notsent_lowat: Some(16_384),
        priority: Some(3),
    };
    let mut driver = driver(9, &[three_bytes, silent], &options);
    let _ = events(&mut driver, 6);
    assert_eq!(driver.streams.len(), 2);
    for stream in driver.streams.values() {
        use rustix::net::sockopt as get;
        let socket = &stream.socket;
        assert_eq!(get::tcp_congestion(socket).unwrap(), "reno");
        assert_eq!(get::socket_recv_buffer_size(socket).unwrap(), 600_000);
        assert_eq!(get::socket_send_buffer_size(socket).unwrap(), 400_000);
        assert!(get::tcp_nodelay(socket).unwrap());
        assert_eq!(sockets::NotsentLowat.get(socket).unwrap(), 16_384);
        let priority = nix::sys::socket::sockopt::Priority.get(socket).unwrap();
        assert_eq!(priority, 3);
    }
}

/// Opens a stream to the other address and sends a mebibyte.
fn a_mebibyte(_: Instant, input: &Input<()>) -> Vec<Output<Value>> {
    match input {
        Input::Start => vec![Output::Open {
            stream: STREAM,
            peer: PeerId(1),
        }],
        Input::Opened { stream } => vec![send(*stream, &[7; 1 << 20])],
        _ => Vec::new(),
    }
}

#[test]
fn no_more_waits_unsent_than_may_and_it_goes_on_when_half_of_it_is_sent() {
    let most = 16_384;
    let options = SocketOptions {
        notsent_lowat: Some(most),
        ..SocketOptions::default()
    };
    let small = SocketOptions {
        receive_buffer: Some(8_192),
        ..SocketOptions::default()
    };
    let peer: TcpListener = sockets::listen(address(41, 1), &small).unwrap().into();
    peer.set_nonblocking(false).unwrap();
    let mut driver = driver(41, &[a_mebibyte], &options);
    let _ = events(&mut driver, 3);
    let unsent = |driver: &Driver<Script>| sockets::unsent(&driver.streams[&FIRST_STREAM].socket);
    let waiting = unsent(&driver);
    assert!(
        u64::from(most / 2) <= waiting && waiting <= u64::from(most),
        "{waiting} bytes wait"
    );
    let reader = thread::spawn(move || {
        let (mut socket, _) = peer.accept().unwrap();
        socket.read_exact(&mut vec![0; 1 << 20]).unwrap();
    });
    let end = driver.now() + Span::from_s(5);
    while !reader.is_finished() && driver.now() < end {
        let soon = driver.now() + Span::from_ms(20);
        driver.turn(soon).unwrap();
    }
    assert!(reader.is_finished(), "the rest never came");
    reader.join().unwrap();
}

#[test]
fn what_the_kernel_refuses_is_an_error_with_its_option() {
    let unknown = SocketOptions {
        congestion: Some("carrier_pigeon".to_owned()),
        ..SocketOptions::default()
    };
    let refused = sockets::listen(address(10, 0), &unknown).unwrap_err().to_string();
    assert!(refused.starts_with("TCP_CONGESTION: "), "{refused}");
    let _taken = TcpListener::bind(address(10, 0)).unwrap();
    let taken = sockets::listen(address(10, 0), &SocketOptions::default());
    let taken = taken.unwrap_err().to_string();
    assert!(taken.starts_with("cannot bind 127.1.10.1:10000: "), "{taken}");
}
