//! Bidirectional forwarding detection in asynchronous mode (RFC 5880).
//!
//! Each end sends control messages at the negotiated interval, shortened by a random 0 to 25 % (6.8.7), and declares
//! the session down when it has heard nothing for the detection time: the other end's detection multiplier times the
//! interval agreed for the other end's messages (6.8.4). Every message carries the sender's state, so an end that no
//! longer hears tells the other one, and a failure of one direction is seen at both ends. A change of state is told at
//! once, between the periodic messages (6.8.7).
//!
//! Not here: demand mode, the echo function, authentication. Both ends are active.

use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// The least interval of messages while a session is not up (RFC 5880, 6.8.3).
pub const SLOW_INTERVAL: Span = Span::from_s(1);

/// How sessions work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Interval at which this end wants to send, and the least at which it wants to receive. Whole microseconds,
    /// above zero, at most an hour. Default 300 ms.
    pub interval: Span,
    /// Messages that the other end must miss in a row to declare the session down, 1 to 255. Default 3.
    pub multiplier: u8,
    /// Send no more often than each second until the session is up, as RFC 5880, 6.8.3 demands. Without it the
    /// configured interval holds from the beginning, and sessions come up sooner. Default true.
    pub slow_start: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            interval: Span::from_ms(300),
            multiplier: 3,
            slow_start: true,
        }
    }
}

impl Config {
    /// Whether every field is in its range.
    pub fn is_valid(&self) -> bool {
        let ns = self.interval.as_ns();
        ns > 0 && ns.is_multiple_of(1_000) && self.interval <= Span::from_s(3_600) && self.multiplier > 0
    }
}

/// State of a session (RFC 5880, 6.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum State {
    /// Held down by its operator.
    AdminDown,
    /// Not established, or lost.
    Down,
    /// The other end is heard but does not hear this one yet, as far as is known.
    Init,
    /// Both ends hear each other.
    Up,
}

impl State {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// Of the two bits of a message.
    pub(crate) fn from_code(code: u8) -> State {
        match code & 3 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        }
    }
}

/// Why a session last left the state up (RFC 5880, 4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Diagnostic {
    /// It has not.
    None,
    /// Nothing was heard for the detection time.
    ControlDetectionTimeExpired,
    /// The echo function failed.
    EchoFunctionFailed,
    /// The other end said that it is down.
    NeighborSignaledDown,
    /// The forwarding plane was reset.
    ForwardingPlaneReset,
    /// The path is down for another reason.
    PathDown,
    /// A path that this one is concatenated with is down.
    ConcatenatedPathDown,
    /// The operator took it down.
    AdministrativelyDown,
    /// The reverse of a path that this one is concatenated with is down.
    ReverseConcatenatedPathDown,
}

impl Diagnostic {
    const ALL: [Diagnostic; 9] = [
        Diagnostic::None,
        Diagnostic::ControlDetectionTimeExpired,
        Diagnostic::EchoFunctionFailed,
        Diagnostic::NeighborSignaledDown,
        Diagnostic::ForwardingPlaneReset,
        Diagnostic::PathDown,
        Diagnostic::ConcatenatedPathDown,
        Diagnostic::AdministrativelyDown,
        Diagnostic::ReverseConcatenatedPathDown,
    ];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Option<Diagnostic> {
        Diagnostic::ALL.get(usize::from(code)).copied()
    }
}

/// A control message (RFC 5880, 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Control {
    /// The sender's state.
    pub state: State,
    /// Why it last left the state up.
    pub diagnostic: Diagnostic,
    /// Asks for an answer with `finished`, because the sender's intervals have changed.
    pub poll: bool,
    /// Answers a poll ("Final").
    pub finished: bool,
    /// The sender's detection multiplier, above zero.
    pub multiplier: u8,
    /// The sender's number for the session, above zero.
    pub my_discriminator: u32,
    /// The number last received from the other end; 0 if it is unknown.
    pub your_discriminator: u32,
    /// The least interval at which the sender wants to send, in microseconds.
    pub desired_min_tx_us: u32,
    /// The least interval at which the sender can receive, in microseconds; 0 asks for no periodic messages.
    pub required_min_rx_us: u32,
}

/// What is known of the other end.
#[derive(Clone, Copy, Debug)]
struct Remote {
    desired: Span,
    required: Span,
    multiplier: u8,
}

/// A session that has come up or gone down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is up.
    Up,
    /// It was up and is not any more.
    Down(Diagnostic),
}

/// One end of a session.
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    local: u32,
    state: State,
    diagnostic: Diagnostic,
    remote_discriminator: u32,
    remote: Option<Remote>,
    /// When the next periodic message is due.
    transmit_at: Instant,
    /// When the other end will have been silent for the detection time.
    detect_at: Option<Instant>,
    heard_at: Option<Instant>,
    /// A poll sequence is under way.
    polling: bool,
    answer_poll: bool,
    /// Something has changed that the other end should know now.
    urgent: bool,
}

impl Session {
    /// A session in state down that sends its first message within one interval of `now`. `discriminator` is above
    /// zero and its own among the sessions of this end.
    pub fn new(config: Config, discriminator: u32, now: Instant, stream: &mut Stream) -> Session {
        let mut session = Session {
            config,
            local: discriminator,
            state: State::Down,
            diagnostic: Diagnostic::None,
            remote_discriminator: 0,
            remote: None,
            transmit_at: now,
            detect_at: None,
            heard_at: None,
            polling: false,
            answer_poll: false,
            urgent: false,
        };
        session.transmit_at = now + Span::from_ns(stream.below(session.desired().as_ns()));
        session
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why the session last left the state up.
    pub fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    /// When the last message that was accepted arrived.
    pub fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }

    /// For how long the other end may be silent, once it has been heard (RFC 5880, 6.8.4).
    pub fn detection_time(&self) -> Option<Span> {
        let remote = self.remote?;
        let interval = remote.desired.max(self.config.interval);
        Some(interval.saturating_mul(u64::from(remote.multiplier)))
    }

    /// `bfd.DesiredMinTxInterval` (6.8.3).
    fn desired(&self) -> Span {
        if self.config.slow_start && self.state != State::Up {
            self.config.interval.max(SLOW_INTERVAL)
        } else {
            self.config.interval
        }
    }

    /// The time to the next periodic message: the agreed interval less a random 0 to 25 %, or 10 to 25 % if the other
    /// end declares this one dead at the first message that it misses (6.8.7).
    fn interval(&self, stream: &mut Stream) -> Span {
        let required = self.remote.map_or(Span::ZERO, |remote| remote.required);
        let interval = self.desired().max(required).as_ns();
        let least = if self.config.multiplier == 1 {
            interval / 10
        } else {
            0
        };
        Span::from_ns(interval - least - stream.below(interval / 4 - least + 1))
    }

    fn enter(&mut self, state: State, diagnostic: Diagnostic) -> Option<Change> {
        let before = std::mem::replace(&mut self.state, state);
        if before == state {
            return None;
        }
        self.urgent = true;
        self.diagnostic = diagnostic;
        match (before, state) {
            (_, State::Up) => {
                // The interval that this end wants has become shorter.
                self.polling = self.config.slow_start && self.config.interval < SLOW_INTERVAL;
                Some(Change::Up)
            }
            (State::Up, _) => {
                self.polling = false;
                Some(Change::Down(diagnostic))
            }
            _ => None,
        }
    }

    /// Takes the session down, or lets it come up again (RFC 5880, 6.8.16).
    pub fn administer(&mut self, up: bool) -> Option<Change> {
        match (up, self.state) {
            (true, State::AdminDown) => self.enter(State::Down, Diagnostic::None),
            (false, _) => self.enter(State::AdminDown, Diagnostic::AdministrativelyDown),
            _ => None,
        }
    }

    /// A message from the other end (RFC 5880, 6.8.6). One that is not for this session is ignored.
    pub fn receive(&mut self, now: Instant, control: &Control, stream: &mut Stream) -> Option<Change> {
        let stranger = match control.your_discriminator {
            0 => matches!(control.state, State::Init | State::Up),
            yours => yours != self.local,
        };
        if stranger || self.state == State::AdminDown {
            return None;
        }
        self.remote_discriminator = control.my_discriminator;
        self.remote = Some(Remote {
            desired: Span::from_us(u64::from(control.desired_min_tx_us)),
            required: Span::from_us(u64::from(control.required_min_rx_us)),
            multiplier: control.multiplier,
        });
        self.heard_at = Some(now);
        if control.finished {
            self.polling = false;
        }
        self.answer_poll |= control.poll;
        let kept = self.diagnostic;
        let change = match (self.state, control.state) {
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.enter(State::Down, Diagnostic::NeighborSignaledDown)
            }
            (State::Down, State::Down) => self.enter(State::Init, kept),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                self.enter(State::Up, Diagnostic::None)
            }
            _ => None,
        };
        self.detect_at = self.detection_time().map(|span| now.saturating_add(span));
        if change == Some(Change::Up) {
            // The periodic message that is due was scheduled at the slow rate.
            self.transmit_at = self.transmit_at.min(now + self.interval(stream));
        }
        change
    }

    /// Whether the detection time has passed.
    pub fn detect(&mut self, now: Instant) -> Option<Change> {
        self.detect_at.filter(|at| *at <= now)?;
        self.detect_at = None;
        // Another system may answer in the other end's place (6.8.1).
        self.remote_discriminator = 0;
        if matches!(self.state, State::Init | State::Up) {
            self.enter(State::Down, Diagnostic::ControlDetectionTimeExpired)
        } else {
            None
        }
    }

    /// The message to send now, if there is one: call it until there is none.
    pub fn transmit(&mut self, now: Instant, stream: &mut Stream) -> Option<Control> {
        let periodic = self.transmit_at <= now;
        if periodic {
            self.transmit_at = now + self.interval(stream);
        }
        // An end that requires an interval of zero wants no periodic messages (6.8.7).
        let wanted = self.remote.is_none_or(|remote| remote.required > Span::ZERO);
        if !(self.urgent || self.answer_poll || (periodic && wanted)) {
            return None;
        }
        let finished = std::mem::take(&mut self.answer_poll);
        self.urgent = false;
        let us =
            |span: Span| u32::try_from(span.as_ns() / 1_000).expect("the configuration bounds intervals");
        Some(Control {
            state: self.state,
            diagnostic: self.diagnostic,
            // Never both (6.5).
            poll: self.polling && !finished,
            finished,
            multiplier: self.config.multiplier,
            my_discriminator: self.local,
            your_discriminator: self.remote_discriminator,
            desired_min_tx_us: us(self.desired()),
            required_min_rx_us: us(self.config.interval),
        })
    }

    /// When something is due next.
    pub fn due(&self) -> Instant {
        self.detect_at
            .map_or(self.transmit_at, |at| at.min(self.transmit_at))
    }
}
