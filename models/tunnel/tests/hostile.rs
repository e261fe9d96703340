//! Bytes that nobody of ours sent, and commands in any order.

use bytes::Bytes;
use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_tunnel::config::IpsecConfig;
use longhaul_tunnel::path_mtu::{PathMtu, PathMtuCommand, PathMtuConfig, PathMtuState};
use longhaul_tunnel::{Command, Control, Event, GreKeepalive, IpVersion, Tunnel, WireGuardConfig};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, proptest};
use proptest::prop_oneof;

use crate::pipe::{Pipe, tunnel};

fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        Just(Control::WireGuard(WireGuardConfig::default())),
        Just(Control::Ipsec(IpsecConfig {
            nat_traversal: true,
            ..IpsecConfig::default()
        })),
        Just(Control::Gre {
            key: false,
            keepalive: Some(GreKeepalive::default())
        }),
        Just(Control::Vxlan),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    /// A genuine first message with one byte changed and its end cut or not.
    Damaged(usize, u8, usize),
    Synthetic(u64),
    Command(Command),
    Pass(u64),
    Cut(bool),
    /// What is lost and what comes twice in per cent, and by how many ms packets may be late.
    Path(u64, u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let command = prop_oneof![
        Just(Command::Establish),
        Just(Command::Teardown),
        Just(Command::Sent),
        Just(Command::Received)
    ];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Step::Bytes),
        (0..300usize, any::<u8>(), 0..10usize).prop_map(|(at, by, cut)| Step::Damaged(at, by, cut)),
        any::<u64>().prop_map(Step::Synthetic),
        command.prop_map(Step::Command),
        (0..400_000u64).prop_map(Step::Pass),
        any::<bool>().prop_map(Step::Cut),
        (0..60u64, 0..60u64, 0..500u64).prop_map(|(loss, twice, late)| Step::Path(loss, twice, late)),
    ]
}

fn set_path<M: Machine>(pipe: &mut Pipe<M>, loss: u64, twice: u64, late_ms: u64) {
    let percent = |share| Probability::from_ratio(share, 100).expect("a percentage");
    (pipe.loss, pipe.duplication) = (percent(loss), percent(twice));
    pipe.jitter = Span::from_ms(late_ms);
}

/// Whether an end is up by what it told: up when it was down, down and renewed only when it was up.
fn told_up(pipe: &Pipe<Tunnel>, end: usize) -> bool {
    let mut up = false;
    for (at, _, event) in pipe.events.iter().filter(|(_, by, _)| *by == end) {
        match event {
            Event::Up { .. } => assert!(!std::mem::replace(&mut up, true), "up twice at {at:?}"),
            Event::Down { .. } => assert!(std::mem::take(&mut up), "down twice at {at:?}"),
            Event::Rekeyed { .. } => assert!(up, "renewed while down at {at:?}"),
            Event::Retransmitted { .. } | Event::HandshakeFailed { .. } | Event::Refused { .. } => {}
        }
    }
    up
}

fn first_message(control: Control) -> Vec<u8> {
    let mut fresh = tunnel(control, 9).ends;
    fresh[0].handle(Default::default(), Input::Start);
    loop {
        match fresh[0].poll() {
            Output::Datagram {
                payload: Payload::Real(bytes),
                ..
            } => return bytes.to_vec(),
            output if output.ends_poll() => return vec![0; 28],
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tunnel_survives_everything_and_comes_up_again(
        control in control(),
        steps in proptest::collection::vec((step(), 0..2usize), 0..40),
        seed in any::<u64>(),
    ) {
        let mut pipe: Pipe<Tunnel> = tunnel(control, seed);
        let genuine = first_message(control);
        pipe.start();
        for (step, end) in steps {
            prop_assert!([0, 1].iter().all(|end| told_up(&pipe, *end) == pipe.ends[*end].is_up()));
            let from = PeerId(1 - end as u32);
            match step {
                Step::Bytes(bytes) => {
                    let payload = Bytes::from(bytes).into();
                    pipe.tell(end, Input::Datagram { from, payload });
                }
                Step::Damaged(at, by, cut) => {
                    let mut bytes = genuine.clone();
                    let at = at % bytes.len();
                    bytes[at] ^= by;
                    bytes.truncate(bytes.len().saturating_sub(cut));
                    let payload = Bytes::from(bytes).into();
                    pipe.tell(end, Input::Datagram { from, payload });
                }
                Step::Synthetic(length) => {
                    let payload = Payload::Synthetic(length);
                    pipe.tell(end, Input::Datagram { from, payload });
                }
                Step::Command(command) => pipe.tell(end, Input::Command(command)),
                Step::Pass(ms) => pipe.run_until(pipe.now + Span::from_ms(ms)),
                Step::Cut(cut) => pipe.cut = cut,
                Step::Path(loss, twice, late) => set_path(&mut pipe, loss, twice, late),
            }
        }
        pipe.cut = false;
        set_path(&mut pipe, 0, 0, 0);
        // A Delete may be on its way.
        pipe.run_until(pipe.now + Span::from_s(1));
        pipe.tell(0, Input::Command(Command::Establish));
        pipe.tell(1, Input::Command(Command::Establish));
        pipe.run_until(pipe.now + Span::from_s(180));
        prop_assert!(pipe.ends.iter().all(Tunnel::is_up));
        prop_assert!([0, 1].iter().all(|end| told_up(&pipe, *end)));
    }

    #[test]
    fn a_search_survives_everything_and_ends(
        steps in proptest::collection::vec((step(), 0..70_000u32), 0..30),
        mtu in 1_200..1_501u32,
    ) {
        let config = PathMtuConfig::new(IpVersion::V4, 1_500);
        let ends = [PathMtu::new(config, PeerId(1)).unwrap(), PathMtu::new(config, PeerId(0)).unwrap()];
        let mut pipe = Pipe::new(ends, 1);
        pipe.mtu = mtu;
        pipe.start();
        let probe = [b'L', b'P', 1, 2, 0, 0, 4, 176, 0, 0, 0, 0, 0, 0, 0, 0];
        for (step, number) in steps {
            let from = PeerId(1);
            match step {
                Step::Bytes(bytes) => pipe.tell(0, Input::Datagram { from, payload: Bytes::from(bytes).into() }),
                Step::Damaged(at, by, cut) => {
                    let mut bytes = probe.to_vec();
                    let at = at % bytes.len();
                    // Not the sizes: whoever can name a size and guess its token is believed.
                    if !(4..8).contains(&at) {
                        bytes[at] ^= by;
                    }
                    bytes.truncate(bytes.len().saturating_sub(cut));
                    pipe.tell(0, Input::Datagram { from, payload: Bytes::from(bytes).into() });
                }
                Step::Synthetic(length) => {
                    pipe.tell(0, Input::Datagram { from, payload: Payload::Synthetic(length) });
                }
                Step::Command(Command::Sent) => pipe.tell(0, Input::Command(PathMtuCommand::Suspect)),
                Step::Command(_) => {
                    pipe.tell(0, Input::Command(PathMtuCommand::PacketTooBig { mtu: number }));
                }
                Step::Pass(ms) => pipe.run_until(pipe.now + Span::from_ms(ms)),
                Step::Cut(cut) => pipe.cut = cut,
                Step::Path(loss, twice, late) => set_path(&mut pipe, loss, twice, late),
            }
        }
        pipe.cut = false;
        set_path(&mut pipe, 0, 0, 0);
        // The raise timer corrects what false messages said.
        pipe.run_until(pipe.now + Span::from_s(2_400));
        if pipe.ends[0].state() == PathMtuState::Searching {
            pipe.run_until(pipe.now + Span::from_s(500));
        }
        prop_assert!(pipe.ends.iter().all(|end| end.mtu() == mtu), "{mtu}");
    }
}
