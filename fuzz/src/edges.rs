//! SD-WAN edges: what the other end of a path, or anybody who announces a site, may send.

use ::bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_sdwan::bfd::{Control, Diagnostic, State};
use longhaul_sdwan::discovery::{self, Announcement, Directory, Endpoint};
use longhaul_sdwan::wire::{Message, TRAIN_BYTES_MIN, TrainPacket, TrainReport};
use longhaul_sdwan::{
    Command, Config, Edge, FlowKey, PathConfig, Prefix, Protocol, Redundancy, Routes, SiteId,
};

use crate::bytes::{Decisions, noise};

/// The most outputs that one input may cause: trains of three paths, their messages, moves of all flows.
const OUTPUTS_MAX: usize = 200;

/// A message whose checksum is repaired: what is read is written the same again. So is an announcement that is signed.
pub fn message(data: &[u8]) {
    let mut sealed = data.to_vec();
    if sealed.len() >= 8 {
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&sealed[..4]), &sealed[8..]);
        sealed[4..8].copy_from_slice(&checksum.to_be_bytes());
    }
    if let Ok(message) = Message::parse(&sealed) {
        let again = message.to_bytes();
        // The filling of a train is not looked at.
        let same = match message {
            Message::Train(_) => again.len() == sealed.len() && Message::parse(&again) == Ok(message),
            _ => again == sealed,
        };
        assert!(same, "{message:?} is written otherwise");
    }
    let key = SigningKey::from_bytes(&[7; 32]);
    let signed = [data, &key.sign(data).to_bytes()].concat();
    let pin = key.verifying_key().to_bytes();
    let config = discovery::Config {
        skew: Span::MAX,
        ..discovery::Config::default()
    };
    let mut directory = Directory::new(config, [(SiteId(1), pin.as_slice())]).expect("a sound key");
    assert!(
        directory.receive(Instant::ZERO, data).is_err(),
        "believed without a signature"
    );
    if directory.receive(Instant::ZERO, &signed).is_ok() {
        let announcement = directory.active().next().expect("it was believed");
        assert_eq!(announcement.sign(&key).expect("it is in range"), signed);
    }
}

/// One message of each kind, and the body of an announcement.
pub fn message_seeds() -> Vec<Vec<u8>> {
    let content = noise(1, 200);
    let mut decisions = Decisions::new(&content);
    let messages = (0..5).map(|kind| sent(&mut decisions, kind).to_bytes().to_vec());
    let announcement = Announcement {
        site: SiteId(1),
        issued_at: Instant::from_ns(1),
        tunnel_key: [3; 32],
        endpoints: vec![Endpoint {
            name: "mpls".to_owned(),
            address: [10, 0, 0, 1].into(),
            port: 51_820,
        }],
        prefixes: vec![block(1)],
    };
    let mut body = announcement
        .sign(&SigningKey::from_bytes(&[7; 32]))
        .expect("in range")
        .to_vec();
    body.truncate(body.len() - ed25519_dalek::SIGNATURE_LENGTH);
    messages.chain([body]).collect()
}

/// An edge with three paths that is told anything. It never wants a wake in the past, never spins, and a flow is on a path
/// that is up.
pub fn machine(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let paths = (0..3).map(|path| PathConfig::new(PeerId(path), &format!("path-{path}"), SiteId(path / 2)));
    let routes = Routes::new([0, 1].map(|site| (block(site), SiteId(site.into())))).expect("no conflict");
    let mut config = Config::new(paths.collect(), routes);
    if decisions.below(2) == 0 {
        config.bfd = None;
    }
    if decisions.below(2) == 0 {
        config.hysteresis = None;
    }
    if decisions.below(2) == 0 {
        let order = Redundancy::new(PeerId(1), vec![PeerId(0)], Span::from_s(2)).expect("two paths");
        config.redundancy.insert(SiteId(0), order);
    }
    let mut edge =
        Edge::new(config, Streams::new(1, 0).stream("edge", "edge")).expect("a sound configuration");
    let mut now = Instant::ZERO;
    tell(&mut edge, now, Input::Start);
    while !decisions.is_over() {
        now += Span::from_ms((decisions.byte() / 2).into());
        let (flow, path) = (decisions.below(6) as u64, PeerId(decisions.below(4) as u32));
        let input = match decisions.below(16) {
            0 => {
                now += Span::from_s(decisions.byte().into());
                Input::Wake
            }
            1 | 2 => Input::Command(Command::Classify {
                flow,
                key: FlowKey {
                    source: [10, 9, 0, 1].into(),
                    destination: [10, decisions.byte() % 3, 0, 1].into(),
                    protocol: Protocol(decisions.byte()),
                    source_port: 1,
                    destination_port: 5_059 + u16::from(decisions.byte() % 4),
                    class: None,
                },
            }),
            3 => Input::Command(Command::Active { flow }),
            4 => Input::Command(Command::Ended { flow }),
            5 => Input::Command(Command::Reevaluate),
            6 => Input::Command(Command::Disable { path }),
            7 => Input::Command(Command::Enable { path }),
            8 => Input::Command(Command::Promote { path }),
            9 => {
                let payload = Payload::Real(Bytes::copy_from_slice(decisions.take(20)));
                Input::Datagram { from: path, payload }
            }
            _ => {
                let kind = decisions.below(5);
                let payload = Payload::Real(sent(&mut decisions, kind).to_bytes());
                Input::Datagram { from: path, payload }
            }
        };
        tell(&mut edge, now, input);
        for flow in 0..6 {
            if let Some(path) = edge.path_of(flow) {
                assert!(edge.is_up(path), "flow {flow} is on a path that is down");
            }
        }
    }
}

/// What other edges might say to bring a path up, measure it and lose it.
pub fn machine_seeds() -> Vec<Vec<u8>> {
    (0..6).map(|seed| noise(seed, 400)).collect()
}

fn tell(edge: &mut Edge, now: Instant, input: Input<Command>) {
    edge.handle(now, input);
    for _ in 0..OUTPUTS_MAX {
        match edge.poll() {
            Output::WakeAt { at, .. } => {
                assert!(at > now, "a wake in the past");
                return;
            }
            Output::Idle => return,
            Output::Datagram { .. } | Output::Event(_) => {}
            other => panic!("an edge opens no streams: {other:?}"),
        }
    }
    panic!("an edge that spins");
}

fn block(site: u8) -> Prefix {
    Prefix::new([10, site, 0, 0].into(), 16).expect("a prefix")
}

/// A message of a kind.
fn sent(decisions: &mut Decisions<'_>, kind: usize) -> Message {
    match kind {
        0 => Message::Probe {
            sequence: decisions.byte().into(),
        },
        1 => Message::Echo {
            sequence: decisions.byte().into(),
        },
        2 => {
            let flags = decisions.below(3);
            let states = [State::Up, State::Init, State::Down, State::AdminDown];
            Message::Control(Control {
                state: states[decisions.below(4)],
                diagnostic: Diagnostic::None,
                poll: flags == 1,
                finished: flags == 2,
                multiplier: decisions.byte().max(1),
                my_discriminator: 1 + decisions.below(3) as u32,
                your_discriminator: decisions.below(5) as u32,
                desired_min_tx_us: (decisions.short() as u32) << decisions.below(16),
                required_min_rx_us: (decisions.short() as u32) << decisions.below(16),
            })
        }
        3 => Message::Train(TrainPacket {
            train: decisions.below(3) as u32,
            index: decisions.below(16) as u16,
            count: 16,
            bytes: (TRAIN_BYTES_MIN + decisions.below(64)) as u16,
        }),
        _ => Message::Report(TrainReport {
            train: decisions.below(4) as u32,
            received: decisions.below(20) as u16,
            bytes: decisions.below(20) as u64 * 1_200,
            dispersion: Span::from_us(decisions.short() as u64),
        }),
    }
}
