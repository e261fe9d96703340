//! The sending application's calls, one after another.
//!
//! An application has one processor: while it connects one socket or copies one piece of data, the others wait.
//! Where the calls of several streams would fall together, their order decides which packets find room in a
//! queue that is full from then on, and with that how the streams share it.

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::machine::StreamId;
use longhaul_core::time::{Instant, Span};

/// Most bytes that the application writes in one call.
pub const PIECE: u64 = 128 << 10;

/// One call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Opens a stream.
    Open(StreamId),
    /// Writes bytes on it.
    Write(StreamId, u64),
    /// Finishes writing on it.
    Close(StreamId),
}

/// What the application still has to do on a stream.
#[derive(Clone, Copy, Default, Debug)]
struct Todo {
    /// Bytes to write.
    left: u64,
    /// Whether to finish after them.
    close: bool,
    /// Bytes of the last call that the transport has not taken yet: the next call waits for that.
    untaken: u64,
    /// Whether a call stands in the row.
    waits: bool,
}

/// Who wants the processor.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Open(StreamId),
    Next(StreamId),
}

/// The calls that are due, in the order in which they became so. Each begins when the one before is over; what it
/// does, it does at its beginning.
#[derive(Debug)]
pub struct Calls {
    call_time: Span,
    row: VecDeque<Turn>,
    todo: BTreeMap<StreamId, Todo>,
    /// When the last call is over.
    free_at: Instant,
}

impl Calls {
    /// No calls yet; each will take `call_time`.
    pub fn new(call_time: Span) -> Calls {
        Calls {
            call_time,
            row: VecDeque::new(),
            todo: BTreeMap::new(),
            free_at: Instant::ZERO,
        }
    }

    /// Opens a stream when its turn has come.
    pub fn open(&mut self, stream: StreamId) {
        self.row.push_back(Turn::Open(stream));
    }

    /// Writes so many more bytes on a stream, a piece at a time and each once the transport has taken the one
    /// before.
    pub fn write(&mut self, stream: StreamId, bytes: u64) {
        self.todo.entry(stream).or_default().left += bytes;
        self.line_up(stream);
    }

    /// Finishes a stream after everything that is to be written on it.
    pub fn close(&mut self, stream: StreamId) {
        self.todo.entry(stream).or_default().close = true;
        self.line_up(stream);
    }

    /// The transport has taken so many bytes.
    pub fn taken(&mut self, stream: StreamId, bytes: u64) {
        if let Some(todo) = self.todo.get_mut(&stream) {
            todo.untaken = todo.untaken.saturating_sub(bytes);
            self.line_up(stream);
        }
    }

    /// Nothing more is to be done on a stream.
    pub fn forget(&mut self, stream: StreamId) {
        self.todo.remove(&stream);
    }

    fn line_up(&mut self, stream: StreamId) {
        if let Some(todo) = self.todo.get_mut(&stream)
            && !todo.waits
            && todo.untaken == 0
            && (todo.left > 0 || todo.close)
        {
            todo.waits = true;
            self.row.push_back(Turn::Next(stream));
        }
    }

    /// The call that begins now, if one does.
    pub fn begin(&mut self, now: Instant) -> Option<Call> {
        while self.free_at <= now {
            let call = match self.row.pop_front()? {
                Turn::Open(stream) => Call::Open(stream),
                Turn::Next(stream) => {
                    let Some(todo) = self.todo.get_mut(&stream) else {
                        // Forgotten while it stood in the row.
                        continue;
                    };
                    todo.waits = false;
                    if todo.left > 0 {
                        let piece = todo.left.min(PIECE);
                        todo.left -= piece;
                        todo.untaken = piece;
                        Call::Write(stream, piece)
                    } else {
                        self.todo.remove(&stream);
                        Call::Close(stream)
                    }
                }
            };
            self.free_at = now.saturating_add(self.call_time);
            return Some(call);
        }
        None
    }

    /// When the next call can begin, if one waits.
    pub fn due(&self) -> Option<Instant> {
        (!self.row.is_empty()).then_some(self.free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: StreamId = StreamId(0);
    const B: StreamId = StreamId(1);

    fn at_us(us: u64) -> Instant {
        Instant::ZERO + Span::from_us(us)
    }

    #[test]
    fn calls_begin_a_calls_time_apart_and_streams_take_turns() {
        let mut calls = Calls::new(Span::from_us(20));
        calls.open(A);
        calls.open(B);
        assert_eq!(calls.begin(at_us(7)), Some(Call::Open(A)));
        assert_eq!(calls.begin(at_us(7)), None);
        assert_eq!(calls.due(), Some(at_us(27)));
        assert_eq!(calls.begin(at_us(27)), Some(Call::Open(B)));
        assert_eq!(calls.due(), None);

        calls.write(A, PIECE + 1);
        calls.close(A);
        calls.write(B, 5);
        calls.close(B);
        assert_eq!(calls.begin(at_us(47)), Some(Call::Write(A, PIECE)));
        calls.taken(A, PIECE);
        assert_eq!(calls.begin(at_us(67)), Some(Call::Write(B, 5)));
        assert_eq!(calls.begin(at_us(87)), Some(Call::Write(A, 1)));
        calls.taken(B, 5);
        assert_eq!(calls.begin(at_us(107)), Some(Call::Close(B)));
        calls.taken(A, 1);
        assert_eq!(calls.begin(at_us(127)), Some(Call::Close(A)));
        assert_eq!(calls.due(), None);
    }

    #[test]
    fn a_call_waits_until_the_transport_has_taken_what_was_written() {
        let mut calls = Calls::new(Span::from_us(20));
        calls.write(A, 10);
        calls.close(A);
        assert_eq!(calls.begin(at_us(0)), Some(Call::Write(A, 10)));
        calls.taken(A, 9);
        assert_eq!((calls.due(), calls.begin(at_us(100))), (None, None));
        calls.taken(A, 1);
        assert_eq!(calls.begin(at_us(100)), Some(Call::Close(A)));
    }

    #[test]
    fn a_forgotten_stream_gets_no_more_calls_and_holds_nobody_up() {
        let mut calls = Calls::new(Span::from_us(20));
        calls.write(A, 10);
        calls.write(B, 10);
        calls.forget(A);
        assert_eq!(calls.begin(at_us(0)), Some(Call::Write(B, 10)));
        assert_eq!(calls.due(), None);
    }
}
