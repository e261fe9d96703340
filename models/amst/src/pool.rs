//! The streams of a sender: which are open, which have room, and when others are opened or closed.

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::machine::StreamId;
use longhaul_core::time::{Instant, Span};

use crate::reader::{Direction, RecordReader};
use crate::record::ChunkName;

/// Before the second attempt in a row; the first is made at once.
const FIRST_PAUSE: Span = Span::from_ms(100);
/// The longest pause between attempts.
const LONGEST_PAUSE: Span = Span::from_s(5);

/// Where a stream stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// The driver has been asked for it.
    Opening,
    /// It carries chunks.
    Open,
    /// It is not wanted any more, and is closed once its chunks are acknowledged.
    Draining,
    /// Closed by us; the peer may still have something to say.
    Finishing,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub state: State,
    /// When the driver was asked for it.
    asked_at: Instant,
    /// Bytes that the transport has not taken over.
    pub untaken: u64,
    /// Total bytes put on this stream.
    pub wire_bytes: u64,
    /// Since when it has something to do and has done nothing.
    idle_since: Instant,
    /// Whether it stands in the queue of streams with room.
    ready: bool,
    /// How long the chunk that was acknowledged last had taken.
    latency: Option<Span>,
    /// Whether it was opened after a loss and has not brought anything.
    unproved: bool,
    /// The chunks that are out on it, and when they were put there.
    pub carried: BTreeMap<ChunkName, Instant>,
    pub reader: RecordReader,
}

/// What was lost with a stream.
pub(crate) struct Lost {
    /// Chunks that it carried.
    pub carried: BTreeMap<ChunkName, Instant>,
    /// Whether it ended before its time.
    pub early: bool,
}

/// The streams that have not ended.
#[derive(Debug)]
pub(crate) struct Pool {
    streams: BTreeMap<u32, Stream>,
    next_number: u32,
    /// How many are to be open.
    wanted: u32,
    /// Open streams with room for a chunk, in the order in which they got it.
    ready: VecDeque<u32>,
    opening: u32,
    open: u32,
    /// Bytes given to streams that the transport has not taken over.
    untaken_bytes: u64,
    /// Whether another stream is opened in place of one that is lost.
    replaces: bool,
    /// Streams that were lost and are not replaced.
    gone: u32,
    /// Attempts to replace lost streams since one of them has brought an acknowledgement.
    attempts: u32,
    /// Until when none is opened, after a loss.
    pause: Option<Instant>,
    /// Since when no stream has been open.
    alone_since: Option<Instant>,
}

impl Pool {
    pub fn new(replaces: bool) -> Pool {
        Pool {
            streams: BTreeMap::new(),
            next_number: 0,
            wanted: 0,
            ready: VecDeque::new(),
            opening: 0,
            open: 0,
            untaken_bytes: 0,
            replaces,
            gone: 0,
            attempts: 0,
            pause: None,
            alone_since: None,
        }
    }

    pub fn open_count(&self) -> u32 {
        self.open
    }

    pub fn opening_count(&self) -> u32 {
        self.opening
    }

    pub fn untaken_bytes(&self) -> u64 {
        self.untaken_bytes
    }

    /// Streams that have not ended, by number.
    pub fn iter(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.streams
            .iter()
            .map(|(&number, stream)| (StreamId(number), stream))
    }

    /// Streams that carry something, wanted or not.
    pub fn carrying(&self) -> Vec<StreamId> {
        let carries = |state| matches!(state, State::Open | State::Draining);
        let open = self.iter().filter(|(_, stream)| carries(stream.state));
        open.map(|(number, _)| number).collect()
    }

    pub fn get_mut(&mut self, stream: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(&stream.0)
    }

    /// Since when no stream has been open, if none is.
    pub fn alone_since(&self) -> Option<Instant> {
        self.alone_since
    }

    /// Until when no stream is opened in place of a lost one, if one is missing.
    pub fn pause(&self) -> Option<Instant> {
        self.pause.filter(|_| self.opening + self.open < self.wanted)
    }

    /// So many are to be open from now on.
    pub fn want(&mut self, now: Instant, streams: u32) {
        self.wanted = streams.saturating_sub(self.gone);
        if self.opening + self.open == 0 {
            self.alone_since.get_or_insert(now);
        }
    }

    /// The next stream to ask the driver for, if one is missing and it is time.
    pub fn ask(&mut self, now: Instant) -> Option<StreamId> {
        if self.opening + self.open >= self.wanted || self.pause.is_some_and(|pause| now < pause) {
            return None;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.opening += 1;
        let stream = Stream {
            state: State::Opening,
            asked_at: now,
            untaken: 0,
            wire_bytes: 0,
            idle_since: now,
            ready: false,
            latency: None,
            unproved: self.attempts > 0,
            carried: BTreeMap::new(),
            reader: RecordReader::new(Direction::ToSender),
        };
        self.streams.insert(number, stream);
        if self.opening + self.open == self.wanted {
            self.pause = None;
        }
        Some(StreamId(number))
    }

    /// The next stream to close, if one is not wanted: the youngest that is open, once nothing is out on it.
    pub fn dismiss(&mut self) -> Option<StreamId> {
        while self.open > self.wanted {
            let youngest = self.streams.iter_mut().rev();
            let mut youngest = youngest.filter(|(_, stream)| stream.state == State::Open);
            let (&number, stream) = youngest.next().expect("counted");
            stream.state = State::Draining;
            stream.ready = false;
            self.ready.retain(|&ready| ready != number);
            self.open -= 1;
        }
        let idle = |stream: &Stream| stream.state == State::Draining && stream.carried.is_empty();
        let (&number, stream) = self.streams.iter_mut().find(|(_, stream)| idle(stream))?;
        stream.state = State::Finishing;
        Some(StreamId(number))
    }

    /// Nothing more will be sent; returns the next stream to close.
    pub fn close_next(&mut self) -> Option<StreamId> {
        self.wanted = 0;
        self.alone_since = None;
        self.ready.clear();
        let unfinished = |stream: &Stream| stream.state != State::Finishing;
        let (&number, stream) = self.streams.iter_mut().find(|(_, stream)| unfinished(stream))?;
        match stream.state {
            State::Opening => self.opening -= 1,
            State::Open => self.open -= 1,
            State::Draining | State::Finishing => {}
        }
        stream.state = State::Finishing;
        stream.ready = false;
        Some(StreamId(number))
    }

    /// The driver has opened a stream; how long that took.
    pub fn opened(&mut self, now: Instant, stream: StreamId) -> Option<Span> {
        let it = self.streams.get_mut(&stream.0)?;
        if it.state != State::Opening {
            return None;
        }
        it.state = State::Open;
        it.ready = true;
        self.ready.push_back(stream.0);
        self.opening -= 1;
        self.open += 1;
        self.alone_since = None;
        Some(now.saturating_since(it.asked_at))
    }

    /// The transport took over bytes; true if there was such a stream. It has room again for a chunk once no more than
    /// a quarter of `chunk_bytes` waits before it.
    ///
    /// # Panics
    /// If it took more than it was given.
    pub fn taken(&mut self, now: Instant, stream: StreamId, bytes: u64, chunk_bytes: u32) -> bool {
        let Some(it) = self.streams.get_mut(&stream.0) else {
            return false;
        };
        assert!(
            bytes <= it.untaken,
            "the driver took {bytes} of {} bytes",
            it.untaken
        );
        it.untaken -= bytes;
        it.idle_since = now;
        self.untaken_bytes -= bytes;
        self.note_room(stream.0, chunk_bytes);
        true
    }

    /// The open stream that has had room for longest.
    pub fn first_ready(&self) -> Option<StreamId> {
        self.ready.front().copied().map(StreamId)
    }

    /// Of the open streams with room, the one whose last chunk took the shortest time, and how long that was.
    pub fn quickest_ready(&self) -> Option<(StreamId, Span)> {
        let known = self
            .ready
            .iter()
            .filter_map(|number| Some((*number, self.streams[number].latency?)));
        let quickest = known.min_by_key(|&(_, latency)| latency);
        quickest.map(|(number, latency)| (StreamId(number), latency))
    }

    /// The open stream with the least before its next chunk, by bytes that are out on it.
    pub fn soonest(&self) -> Option<StreamId> {
        let open = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.state == State::Open);
        let soonest = open.min_by_key(|(_, stream)| (stream.untaken, stream.carried.len()));
        soonest.map(|(&number, _)| StreamId(number))
    }

    /// A stream that carries chunks and has done nothing since then or before.
    pub fn stalled(&self, since: Instant) -> Option<StreamId> {
        let stalled = |it: &Stream| !it.carried.is_empty() && it.idle_since <= since;
        let mut streams = self.streams.iter();
        streams
            .find(|(_, it)| stalled(it))
            .map(|(&number, _)| StreamId(number))
    }

    /// Whether a chunk is out on a stream.
    pub fn carries(&self, stream: StreamId, name: ChunkName) -> bool {
        let it = self.streams.get(&stream.0);
        it.is_some_and(|it| it.carried.contains_key(&name))
    }

    /// A chunk of so many bytes has been put on a stream.
    pub fn load(
        &mut self,
        now: Instant,
        stream: StreamId,
        name: ChunkName,
        wire_bytes: u64,
        chunk_bytes: u32,
    ) {
        let it = self.streams.get_mut(&stream.0).expect("a stream that has room");
        it.untaken += wire_bytes;
        it.wire_bytes += wire_bytes;
        if it.carried.is_empty() {
            it.idle_since = now;
        }
        it.carried.insert(name, now);
        self.untaken_bytes += wire_bytes;
        if std::mem::take(&mut it.ready) {
            self.forget_room(stream.0);
        }
        self.note_room(stream.0, chunk_bytes);
    }

    /// A stream has brought an acknowledgement of a chunk. How long that took, if it was out there.
    pub fn landed(&mut self, now: Instant, stream: StreamId, name: ChunkName) -> Option<Span> {
        let it = self.streams.get_mut(&stream.0)?;
        let sent_at = it.carried.remove(&name)?;
        let taken = now.saturating_since(sent_at);
        it.latency = Some(taken);
        it.idle_since = now;
        if std::mem::take(&mut it.unproved) {
            self.attempts = 0;
        }
        Some(taken)
    }

    /// The driver or the peer has ended a stream; what was lost with it.
    pub fn end(&mut self, now: Instant, stream: StreamId) -> Option<Lost> {
        let it = self.streams.remove(&stream.0)?;
        self.untaken_bytes -= it.untaken;
        if it.ready {
            self.forget_room(stream.0);
        }
        match it.state {
            State::Opening => self.opening -= 1,
            State::Open => self.open -= 1,
            State::Draining => {
                return Some(Lost {
                    carried: it.carried,
                    early: true,
                });
            }
            State::Finishing => {
                return Some(Lost {
                    carried: it.carried,
                    early: false,
                });
            }
        }
        if !self.replaces {
            self.gone += 1;
            self.wanted = self.wanted.saturating_sub(1);
        }
        if self.open == 0 {
            self.alone_since.get_or_insert(now);
        }
        // Streams that are lost together are replaced together.
        if self.pause.is_none_or(|pause| pause <= now) {
            let doubled = FIRST_PAUSE.saturating_mul(1 << self.attempts.saturating_sub(1).min(16));
            let pause = if self.attempts == 0 {
                Span::ZERO
            } else {
                doubled.min(LONGEST_PAUSE)
            };
            self.pause = Some(now.saturating_add(pause));
            self.attempts = self.attempts.saturating_add(1);
        }
        Some(Lost {
            carried: it.carried,
            early: true,
        })
    }

    fn forget_room(&mut self, number: u32) {
        if self.ready.front() == Some(&number) {
            self.ready.pop_front();
        } else {
            self.ready.retain(|&ready| ready != number);
        }
    }

    fn note_room(&mut self, number: u32, chunk_bytes: u32) {
        let it = self.streams.get_mut(&number).expect("the caller found it");
        // A quarter is enough to go on with until the next chunk is here; more would only wait on this stream.
        if it.state == State::Open && !it.ready && it.untaken <= u64::from(chunk_bytes / 4) {
            it.ready = true;
            self.ready.push_back(number);
        }
    }
}
