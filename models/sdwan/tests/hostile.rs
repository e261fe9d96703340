//! Whatever arrives, whenever it does: an edge does not panic and does not spin.

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_sdwan::bfd::{Control, Diagnostic, State};
use longhaul_sdwan::wire::{Message, TrainPacket, TrainReport};
use longhaul_sdwan::{Command, Config, Edge, PathConfig, Protocol, Routes, SiteId};
use proptest::prelude::*;

use crate::world::{block, key};

/// A message whose fields are what the bytes say.
fn message(bytes: &[u8]) -> Message {
    let at = |place: usize| bytes.get(place).copied().unwrap_or(0);
    let word = |place: usize| u32::from_be_bytes([at(place), at(place + 1), at(place + 2), at(place + 3)]);
    let states = [State::AdminDown, State::Down, State::Init, State::Up];
    match at(0) % 5 {
        0 => Message::Probe {
            sequence: u64::from(word(1)),
        },
        1 => Message::Echo {
            sequence: u64::from(at(1) % 8),
        },
        2 => Message::Control(Control {
            state: states[usize::from(at(1) % 4)],
            diagnostic: Diagnostic::None,
            poll: at(2) % 3 == 1,
            finished: at(2) % 3 == 2,
            multiplier: at(3).max(1),
            my_discriminator: word(4).max(1),
            // Those of the sessions, or another one.
            your_discriminator: u32::from(at(8) % 5),
            desired_min_tx_us: word(9),
            required_min_rx_us: word(13) >> (at(17) % 32),
        }),
        3 => Message::Train(TrainPacket {
            train: u32::from(at(1) % 4),
            index: u16::from(at(2) % 16),
            count: 16,
            bytes: 16 + u16::from(at(3)),
        }),
        _ => Message::Report(TrainReport {
            train: u32::from(at(1) % 4),
            received: u16::from(at(2) % 20),
            bytes: u64::from(at(3)) * 1_200,
            dispersion: Span::from_ns(u64::from(word(4))),
        }),
    }
}

proptest! {
    #[test]
    fn arbitrary_inputs_at_arbitrary_times_never_panic(
        inputs in proptest::collection::vec((0u64..5_000_000_000, 0u8..20, 0u32..4, proptest::collection::vec(0u8.., 0..60)), 1..100)
    ) {
        let paths = (0..3).map(|path| PathConfig::new(PeerId(path), &format!("{path}"), SiteId(path / 2))).collect();
        let routes = Routes::new([(block(SiteId(0)), SiteId(0)), (block(SiteId(1)), SiteId(1))]).unwrap();
        let mut edge = Edge::new(Config::new(paths, routes), Streams::new(0, 0).stream("edge", "edge")).unwrap();
        let mut now = Instant::ZERO;
        for (wait, what, number, bytes) in inputs {
            now += Span::from_ns(wait);
            let flow = u64::from(number);
            let input = match what {
                0 => Input::Start,
                1 => Input::Wake,
                2 => Input::Command(Command::Classify { flow, key: key(number, Protocol::UDP, 5060) }),
                3 => Input::Command(Command::Ended { flow }),
                4 => Input::Command(Command::Disable { path: PeerId(number) }),
                5 => Input::Command(Command::Enable { path: PeerId(number) }),
                6 => Input::Command(Command::Reevaluate),
                7 => Input::Datagram { from: PeerId(number), payload: Payload::Synthetic(flow) },
                8 if number == 0 => Input::Command(Command::Stop),
                8 => Input::Command(Command::Promote { path: PeerId(number) }),
                9 => {
                    let payload = bytes::Bytes::from(bytes).into();
                    Input::Datagram { from: PeerId(number), payload }
                }
                _ => {
                    let payload = message(&bytes).to_bytes().into();
                    Input::Datagram { from: PeerId(number), payload }
                }
            };
            edge.handle(now, input);
            let mut outputs = 0;
            loop {
                outputs += 1;
                // Three trains, and some messages and events.
                prop_assert!(outputs < 200, "an edge that spins");
                match edge.poll() {
                    Output::WakeAt { at, .. } => {
                        prop_assert!(at > now, "a wake in the past");
                        break;
                    }
                    Output::Idle => break,
                    _ => {}
                }
            }
        }
    }
}
