//! The source's connection to the replica: one control stream, and the transport beside it.
//!
//! A session begins with a control stream and a greeting; only when the replica has said what it has are the streams
//! of the transport opened. When the control stream, all streams of the transport, or all news are lost, everything is
//! given up and, after a pause, begun anew: TCP would take minutes to notice that a path is back.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use longhaul_amst::{MessageId, Sender};
use longhaul_core::machine::StreamId;
use longhaul_core::time::{Instant, Span};

use super::set::FrameName;
use crate::Backoff;
use crate::control::{ControlReader, PREAMBLE_BYTES, Preamble, Role};

/// How long an attempt to reach the replica may take.
const CONNECT_TIME: Span = Span::from_s(10);

/// Where the connection stands.
pub(super) enum State {
    /// Nobody has started it.
    Waiting,
    /// The next attempt is due then.
    Down { retry_at: Instant },
    /// The control stream is being opened, or the replica has not answered the greeting.
    Greeting { greeted: bool, deadline: Instant },
    /// Frames can be sent.
    Up(Box<Up>),
    /// It will not be tried again.
    Over,
}

/// A session.
pub(super) struct Up {
    pub sender: Sender,
    /// What was handed to the transport and is not known to have arrived, in that order.
    pub sent: VecDeque<Sent>,
    /// When the replica was heard last.
    pub heard: Instant,
}

/// A message on its way.
pub(super) struct Sent {
    pub message: MessageId,
    pub set: usize,
    pub frame: Option<FrameName>,
    pub arrived: bool,
}

/// The streams and the state of the connection.
pub(super) struct Uplink {
    pub state: State,
    /// Number of the session under way, or of the last one.
    pub session: u64,
    control: Option<StreamId>,
    reader: ControlReader,
    /// Streams of the transport by our number, with the transport's own and what of the preamble is not taken over.
    data: BTreeMap<StreamId, (StreamId, u64)>,
    /// The other way round.
    numbers: BTreeMap<StreamId, StreamId>,
    next_stream: u32,
    backoff: Backoff,
    /// How long to wait before the next attempt.
    wait: Span,
}

/// What a stream is for.
pub(super) enum Meaning {
    /// Nothing: it has been given up.
    Nothing,
    /// It is the control stream.
    Control,
    /// It is for the transport, which calls the stream so.
    Data(StreamId),
}

impl Uplink {
    pub fn new(backoff: Backoff) -> Uplink {
        Uplink {
            state: State::Waiting,
            session: 0,
            control: None,
            reader: ControlReader::default(),
            data: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_stream: 0,
            backoff,
            wait: backoff.first,
        }
    }

    /// Begins an attempt; returns the control stream to open.
    pub fn attempt(&mut self, now: Instant) -> StreamId {
        self.session += 1;
        self.reader = ControlReader::default();
        self.state = State::Greeting {
            greeted: false,
            deadline: now.saturating_add(CONNECT_TIME),
        };
        let control = self.new_stream();
        self.control = Some(control);
        control
    }

    /// The replica has answered: the transport begins.
    pub fn welcome(&mut self, now: Instant, sender: Sender) {
        self.wait = self.backoff.first;
        self.state = State::Up(Box::new(Up {
            sender,
            sent: VecDeque::new(),
            heard: now,
        }));
    }

    /// Gives everything up and waits for the next attempt; returns the streams to abort.
    pub fn give_up(&mut self, now: Instant) -> Vec<StreamId> {
        self.state = State::Down {
            retry_at: now.saturating_add(self.wait),
        };
        self.wait = self.wait.saturating_mul(2).min(self.backoff.most);
        self.drop_streams()
    }

    /// Gives everything up for good; returns the streams to abort.
    pub fn end(&mut self) -> Vec<StreamId> {
        self.state = State::Over;
        self.drop_streams()
    }

    pub fn up(&mut self) -> Option<&mut Up> {
        match &mut self.state {
            State::Up(up) => Some(up),
            _ => None,
        }
    }

    /// The control stream, if there is one to write to.
    pub fn control(&self) -> Option<StreamId> {
        match self.state {
            State::Up(_) | State::Greeting { greeted: true, .. } => self.control,
            _ => None,
        }
    }

    /// Our number of a stream that the transport wants to open.
    pub fn open_data(&mut self, theirs: StreamId) -> StreamId {
        let ours = self.new_stream();
        self.data.insert(ours, (theirs, PREAMBLE_BYTES as u64));
        self.numbers.insert(theirs, ours);
        ours
    }

    /// Our number of a stream of the transport.
    pub fn number_of(&self, theirs: StreamId) -> Option<StreamId> {
        self.numbers.get(&theirs).copied()
    }

    /// How a stream begins.
    pub fn preamble(&self, role: Role) -> Bytes {
        let session = self.session;
        Bytes::copy_from_slice(&Preamble { role, session }.to_bytes())
    }

    /// What a stream is for.
    pub fn meaning_of(&self, stream: StreamId) -> Meaning {
        if self.control == Some(stream) {
            return Meaning::Control;
        }
        match self.data.get(&stream) {
            Some((theirs, _)) => Meaning::Data(*theirs),
            None => Meaning::Nothing,
        }
    }

    /// The control stream is open.
    pub fn greet(&mut self) {
        if let State::Greeting { greeted, .. } = &mut self.state {
            *greeted = true;
        }
    }

    /// Where the records of the control stream come from.
    pub fn reader(&mut self) -> &mut ControlReader {
        &mut self.reader
    }

    /// Bytes have been taken over; how many of them are the transport's, and its number of the stream.
    pub fn on_sent(&mut self, stream: StreamId, bytes: u64) -> Option<(StreamId, u64)> {
        let (theirs, preamble) = self.data.get_mut(&stream)?;
        let of_preamble = bytes.min(*preamble);
        *preamble -= of_preamble;
        (bytes > of_preamble).then_some((*theirs, bytes - of_preamble))
    }

    fn new_stream(&mut self) -> StreamId {
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        assert!(self.next_stream < StreamId::FIRST_ACCEPTED, "two billion streams");
        stream
    }

    fn drop_streams(&mut self) -> Vec<StreamId> {
        self.numbers.clear();
        let data = std::mem::take(&mut self.data).into_keys();
        self.control.take().into_iter().chain(data).collect()
    }
}
