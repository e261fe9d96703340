//! The machine at one end of a tunnel.

use std::collections::VecDeque;

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Stream;
use longhaul_core::time::Instant;

use crate::config::{Config, ConfigError, Control};
use crate::control::{Context, Controller};
use crate::event::{Command, Event, WireError};
use crate::gre::Gre;
use crate::ike::Ike;
use crate::overhead::Encapsulation;
use crate::seal::Seal;
use crate::vxlan::Vxlan;
use crate::wireguard::WireGuard;

/// One end of a tunnel: sends and receives the datagrams of its control, each as long as the real one, and knows whether
/// packets can be sent.
#[derive(Debug)]
pub struct Tunnel {
    config: Config,
    peer: PeerId,
    random: Stream,
    seal: Seal,
    controller: Box<dyn Controller>,
    outbox: VecDeque<Output<Event>>,
}

impl Tunnel {
    /// An end whose other end is `peer`. The random stream belongs to this end alone.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn new(config: Config, peer: PeerId, random: Stream) -> Result<Tunnel, ConfigError> {
        config.check()?;
        let controller: Box<dyn Controller> = match config.control {
            Control::WireGuard(wireguard) => Box::new(WireGuard::new(wireguard, config.role)),
            Control::Ipsec(ipsec) => Box::new(Ike::new(ipsec, config.role)),
            Control::Gre { key, keepalive } => Box::new(Gre::new(key, keepalive)),
            Control::Vxlan => Box::new(Vxlan::new()),
        };
        Ok(Tunnel {
            seal: Seal::new(&config.name),
            config,
            peer,
            random,
            controller,
            outbox: VecDeque::new(),
        })
    }

    /// How it was set up.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tunnel's name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The other end.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// How it wraps packets.
    pub fn encapsulation(&self) -> Encapsulation {
        self.config.encapsulation()
    }

    /// Whether packets can be sent, as of the last input.
    pub fn is_up(&self) -> bool {
        self.controller.is_up()
    }
}

impl Machine for Tunnel {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, now: Instant, input: Input<Command>) {
        let cx = &mut Context {
            now,
            peer: self.peer,
            random: &mut self.random,
            seal: &self.seal,
            outbox: &mut self.outbox,
        };
        let controller = &mut self.controller;
        controller.wake(cx);
        match input {
            Input::Start => controller.start(cx),
            Input::Command(Command::Establish) => controller.establish(cx),
            Input::Command(Command::Teardown) => controller.teardown(cx),
            Input::Command(Command::Sent) => controller.sent(cx),
            Input::Command(Command::Received) => controller.received(cx),
            Input::Datagram { from, payload } => {
                let read = match payload {
                    _ if from != self.peer => Err(WireError::Stranger),
                    Payload::Synthetic(_) => Err(WireError::Synthetic),
                    Payload::Real(message) => controller.datagram(cx, &message),
                };
                if let Err(error) = read {
                    cx.tell(Event::Refused { error });
                }
            }
            // Waking was done above; this machine has no streams.
            Input::Wake
            | Input::Opened { .. }
            | Input::Accepted { .. }
            | Input::Received { .. }
            | Input::Sent { .. }
            | Input::Closed { .. }
            | Input::Path { .. } => {}
        }
    }

    fn poll(&mut self) -> Output<Event> {
        if let Some(output) = self.outbox.pop_front() {
            return output;
        }
        self.controller
            .next_wake()
            .map_or(Output::Idle, |(at, why)| Output::WakeAt { at, why })
    }
}
