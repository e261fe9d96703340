//! One endpoint of a connection: handshake, closing, and the glue between the two directions.

use longhaul_core::time::{Instant, Span};

use crate::config::Config;
use crate::ecn::Agreement;
use crate::event::{Event, Failure};
use crate::receive::{Path, Receiver};
use crate::rtt::{INITIAL_RTO, MAX_RTO, rtt_by_timestamp};
use crate::segment::{Flags, Segment};
use crate::send::{Outgoing, Sender};
use crate::stats::Stats;
use crate::timer::{expiry, span_in_jiffies};

/// SYNs sent again before an active open fails (`tcp_syn_retries`): after about two minutes.
const SYN_RETRIES: u32 = 6;
/// The same for the SYN-ACK of a passive open (`tcp_synack_retries`): about one minute.
const SYN_ACK_RETRIES: u32 = 5;

/// Where the connection stands. What follows the handshake is told by the two directions themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Listen,
    SynSent,
    SynReceived,
    Open,
    Failed,
    /// The process has ended and nothing is left: whatever arrives is answered by an RST.
    Gone,
}

/// The handshake's own timer.
#[derive(Clone, Copy, Debug)]
struct Handshake {
    /// When the SYN or SYN-ACK last left.
    sent_at: Instant,
    timeout: Span,
    due: Option<Instant>,
    retries: u32,
}

/// What the application has not been told yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pending {
    established: bool,
    peer_finished: bool,
    closed: bool,
    failed: Option<Failure>,
}

impl Pending {
    const NOTHING: Pending = Pending {
        established: false,
        peer_finished: false,
        closed: false,
        failed: None,
    };
}

/// One endpoint of a connection.
///
/// The caller delivers segments, calls [`Connection::on_timer`] by [`Connection::deadline`], and after *every*
/// call draws events and then segments until there are none. Time never goes back.
///
/// A closed connection still answers a FIN that its peer repeats, so keep it until the peer is closed too.
#[derive(Clone, Debug)]
pub struct Connection {
    state: State,
    handshake: Handshake,
    sender: Sender,
    receiver: Receiver,
    /// A SYN, SYN-ACK or RST that waits to leave.
    control: Option<Flags>,
    /// The window that the peer offered in its SYN.
    peer_window: u32,
    ecn: Agreement,
    pending: Pending,
    reported_peer_finished: bool,
    reported_closed: bool,
    /// The process has ended; TCP still sends what it had taken, and the FIN.
    orphan: bool,
}

impl Connection {
    /// An active open: the SYN waits in [`Connection::poll_segment`].
    ///
    /// # Panics
    /// If [`Config::check`] refuses `config`.
    pub fn connect(config: Config, now: Instant) -> Connection {
        let mut connection = Connection::new(config, State::SynSent);
        connection.start_handshake(now, Flags::SYN);
        connection
    }

    /// A passive open: waits for one SYN.
    ///
    /// # Panics
    /// If [`Config::check`] refuses `config`.
    pub fn listen(config: Config) -> Connection {
        Connection::new(config, State::Listen)
    }

    fn new(config: Config, state: State) -> Connection {
        if let Err(error) = config.check() {
            panic!("{error}");
        }
        Connection {
            state,
            handshake: Handshake {
                sent_at: Instant::ZERO,
                timeout: INITIAL_RTO,
                due: None,
                retries: 0,
            },
            sender: Sender::new(&config),
            receiver: Receiver::new(&config),
            control: None,
            peer_window: 0,
            ecn: Agreement::new(config.ecn),
            pending: Pending::NOTHING,
            reported_peer_finished: false,
            reported_closed: false,
            orphan: false,
        }
    }

    /// A segment arrived.
    pub fn on_segment(&mut self, now: Instant, segment: &Segment) {
        self.sender.counts_mut().segments_received += u64::from(segment.packets);
        let flags = segment.flags;
        match self.state {
            State::Failed | State::Gone => self.refuse(flags),
            State::Listen => {
                if flags.has(Flags::SYN) && !flags.has(Flags::ACK) && !flags.has(Flags::RST) {
                    self.peer_window = segment.window;
                    self.ecn.settle(flags);
                    self.receiver.note_handshake(segment.ts_val);
                    self.state = State::SynReceived;
                    self.start_handshake(now, Flags::SYN.and(Flags::ACK));
                }
            }
            State::SynSent => {
                if flags.has(Flags::RST) {
                    if flags.has(Flags::ACK) {
                        self.fail(Failure::Reset);
                    }
                } else if flags.has(Flags::SYN) && flags.has(Flags::ACK) {
                    self.ecn.settle(flags);
                    self.peer_window = segment.window;
                    self.receiver.note_handshake(segment.ts_val);
                    self.establish(now, segment);
                    // By itself, even if data is about to follow.
                    self.control = Some(Flags::ACK);
                }
            }
            State::SynReceived | State::Open => self.on_segment_of_connection(now, segment),
        }
    }

    fn on_segment_of_connection(&mut self, now: Instant, segment: &Segment) {
        let flags = segment.flags;
        if flags.has(Flags::RST) {
            if self.receiver.accepts(segment.seq) {
                self.fail(Failure::Reset);
            }
            return;
        }
        if self.orphan && segment.len > 0 && self.receiver.is_new(segment.seq + u64::from(segment.len)) {
            self.go(true);
            return;
        }
        if flags.has(Flags::SYN) {
            // The answer to the SYN or SYN-ACK was lost.
            match self.state {
                State::SynReceived => self.control = Some(Flags::SYN.and(Flags::ACK)),
                _ => {
                    self.receiver.note_handshake(segment.ts_val);
                    self.receiver.acknowledge_now(now);
                }
            }
            return;
        }
        if !flags.has(Flags::ACK) || segment.seq > 1 << 62 {
            return;
        }
        if self.state == State::SynReceived {
            self.establish(now, segment);
        }
        if segment.len == 0 && !flags.has(Flags::FIN) && self.receiver.is_probe(segment.seq) {
            self.receiver.on_probe(now);
            return;
        }
        self.sender.on_ack(now, segment);
        if segment.len > 0 || flags.has(Flags::FIN) {
            let path = self.path();
            self.receiver.on_data(now, segment, path);
        }
        self.note_progress();
    }

    fn establish(&mut self, now: Instant, segment: &Segment) {
        let rtt = if self.handshake.retries == 0 {
            Some(now.saturating_since(self.handshake.sent_at))
        } else {
            (segment.ts_ecr > Instant::ZERO).then(|| rtt_by_timestamp(now, segment.ts_ecr))
        };
        self.handshake.due = None;
        self.control = None;
        self.state = State::Open;
        self.pending.established = true;
        if self.ecn.is_agreed() {
            self.sender.enable_ecn();
            self.receiver.enable_ecn();
        }
        self.receiver.on_established(now);
        let window = u64::from(self.peer_window.max(segment.window)).min(Config::LARGEST_WINDOW);
        self.sender
            .on_established(now, rtt, window, self.handshake.retries);
    }

    /// Notes what the application should hear of.
    fn note_progress(&mut self) {
        let peer_finished = self.receiver.is_finished();
        if peer_finished && !self.reported_peer_finished {
            self.reported_peer_finished = true;
            self.pending.peer_finished = true;
        }
        if peer_finished && self.sender.is_finished() && !self.reported_closed {
            self.reported_closed = true;
            self.pending.closed = true;
        }
    }

    fn path(&self) -> Path {
        let rtt = self.sender.rtt();
        Path {
            srtt: rtt.srtt(),
            rto: rtt.rto(),
        }
    }

    fn start_handshake(&mut self, now: Instant, flags: Flags) {
        self.control = Some(flags);
        self.handshake.sent_at = now;
        self.handshake.due = Some(expiry(now, span_in_jiffies(self.handshake.timeout)));
    }

    fn fail(&mut self, failure: Failure) {
        if self.state != State::Failed {
            self.state = State::Failed;
            self.control = None;
            self.pending.failed = Some(failure);
        }
    }

    /// A timer may be due; early and repeated calls are harmless.
    pub fn on_timer(&mut self, now: Instant) {
        if self.handshake.due.is_some_and(|due| due <= now) {
            self.on_handshake_timeout(now);
        }
        if self.state == State::Open {
            if self.sender.on_timer(now).is_err() {
                self.fail(Failure::TimedOut);
            }
            let path = self.path();
            self.receiver.on_timer(now, path);
        }
    }

    fn on_handshake_timeout(&mut self, now: Instant) {
        let (flags, limit) = match self.state {
            State::SynSent => (Flags::SYN, SYN_RETRIES),
            State::SynReceived => (Flags::SYN.and(Flags::ACK), SYN_ACK_RETRIES),
            State::Listen | State::Open | State::Failed | State::Gone => return,
        };
        if self.handshake.retries == limit {
            self.handshake.due = None;
            self.fail(Failure::TimedOut);
            return;
        }
        self.handshake.retries += 1;
        self.sender.counts_mut().retransmits += 1;
        self.handshake.timeout = self.handshake.timeout.saturating_mul(2).min(MAX_RTO);
        self.start_handshake(now, flags);
    }

    /// The queue of the sender's own device refused the segment that was polled last. Call it before anything
    /// else; a loss further away is silent.
    ///
    /// Linux hears of such a drop (`NET_XMIT_DROP`): the packet counts as not sent, and the congestion window is
    /// reduced as after a loss, but without a retransmission.
    pub fn on_local_drop(&mut self, now: Instant) {
        if self.state == State::Open {
            self.sender.on_local_drop(now);
        }
    }

    /// The queue of the sender's own device holds the segment that was polled last until `until`. Call it before
    /// anything else, or never.
    ///
    /// Linux does not send a packet again as long as its first copy has not left the host
    /// (`skb_still_in_host_queue`); under a `netem` that includes the delay line. So a queue of the sender's own
    /// causes no spurious retransmission, where one in a router does.
    pub fn on_local_queue(&mut self, until: Instant) {
        self.sender.on_local_queue(until);
    }

    /// When to call [`Connection::on_timer`], if ever.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Listen | State::Failed | State::Gone => None,
            State::SynSent | State::SynReceived => self.handshake.due,
            State::Open => match (self.sender.deadline(), self.receiver.deadline()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// Offers bytes to send and returns how many the buffer took. Works from the start: what is written before
    /// the handshake is over waits for it. Nothing is taken after [`Connection::shutdown`] or a failure.
    pub fn write(&mut self, now: Instant, bytes: u64) -> u64 {
        if matches!(self.state, State::Failed | State::Gone) {
            return 0;
        }
        self.sender.write(now, bytes)
    }

    /// Bytes that a write would be given at most.
    pub fn free_send_space(&self) -> u64 {
        self.sender.free_space()
    }

    /// Sends a FIN after what was written.
    pub fn shutdown(&mut self, _now: Instant) {
        self.sender.finish();
    }

    /// The application stands still, as after SIGSTOP: it hears of nothing until [`Connection::resume`]. TCP goes on,
    /// but what arrives stays unread, so the offered window closes.
    pub fn pause(&mut self) {
        self.receiver.stop();
    }

    /// The application goes on, and reads what has arrived. Harmless if it was not paused.
    pub fn resume(&mut self, now: Instant) {
        if self.receiver.is_stopped() && !self.orphan && self.state != State::Gone {
            self.receiver.resume(now);
        }
    }

    /// Gives the connection up; an RST tells the peer.
    pub fn abort(&mut self, _now: Instant) {
        let peer_knows = matches!(self.state, State::SynReceived | State::Open);
        self.fail(Failure::Aborted);
        if peer_knows {
            self.control = Some(Flags::RST);
        }
    }

    /// The process has ended, as after SIGKILL, and the kernel closes its socket (`tcp_close`): with an RST if it has
    /// not read everything, otherwise with a FIN after what TCP had taken. What arrives then is answered by an RST.
    /// Nothing is told any more.
    pub fn kill(&mut self) {
        self.pending = Pending::NOTHING;
        match self.state {
            State::Listen | State::SynSent => self.go(false),
            State::SynReceived => self.go(true),
            State::Open if self.receiver.has_unread() => self.go(true),
            State::Open => {
                self.orphan = true;
                self.receiver.stop();
                self.sender.orphan();
                self.sender.finish();
            }
            State::Failed | State::Gone => {}
        }
    }

    fn go(&mut self, tells: bool) {
        self.state = State::Gone;
        self.handshake.due = None;
        self.receiver.stop();
        self.control = tells.then_some(Flags::RST);
    }

    /// A segment for a socket that is gone (`tcp_v4_send_reset`).
    fn refuse(&mut self, flags: Flags) {
        if !flags.has(Flags::RST) {
            self.control = Some(Flags::RST);
        }
    }

    /// Bytes in order that the application has not heard of, because it stands still.
    pub fn unread(&self) -> u64 {
        self.receiver.unread()
    }

    /// The next segment to send, if any.
    pub fn poll_segment(&mut self, now: Instant) -> Option<Segment> {
        let segment = if let Some(flags) = self.control.take() {
            self.sender.forget_polled();
            self.control_segment(now, flags)
        } else if self.state != State::Open {
            return None;
        } else if let Some(&outgoing) = self.sender.poll(now) {
            if !outgoing.is_window_probe() {
                self.receiver.forget_ready();
            }
            self.data_segment(now, outgoing)
        } else {
            let mut segment = self.receiver.poll()?;
            segment.seq = self.sender.next();
            segment
        };
        self.sender.counts_mut().segments_sent += u64::from(segment.packets);
        Some(segment)
    }

    fn control_segment(&mut self, now: Instant, flags: Flags) -> Segment {
        let seq = if flags.has(Flags::SYN) {
            0
        } else {
            self.sender.next()
        };
        let mut segment = Segment::control(flags, seq, now);
        if flags != Flags::SYN {
            segment.flags = flags.and(Flags::ACK);
        }
        segment.flags = self.ecn.offer(segment.flags, self.handshake.retries > 0);
        self.receiver.stamp(&mut segment, now);
        segment
    }

    fn data_segment(&mut self, now: Instant, outgoing: Outgoing) -> Segment {
        let flags = if outgoing.fin {
            Flags::ACK.and(Flags::FIN)
        } else {
            Flags::ACK
        };
        let mut segment = Segment::control(flags, outgoing.seq, now);
        segment.len = outgoing.len;
        segment.packets = u16::try_from(outgoing.packets).expect("a burst of fewer than 2^16 packets");
        if self.sender.ecn_capable(&outgoing) {
            segment.set_ecn_capable();
            if self.sender.take_reduction_notice() {
                segment.flags = segment.flags.and(Flags::CWR);
            }
        }
        self.receiver.stamp(&mut segment, now);
        segment
    }

    /// The next event, if any.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.receiver.is_stopped() {
            return None;
        }
        if self.pending.established {
            self.pending.established = false;
            return Some(Event::Established);
        }
        let received = self.receiver.take_received();
        if received > 0 {
            return Some(Event::Received(received));
        }
        if self.state == State::Open && self.sender.take_space_notice() {
            return Some(Event::SendSpace);
        }
        if self.pending == Pending::NOTHING {
            return None;
        }
        self.poll_rare_event()
    }

    #[cold]
    fn poll_rare_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.pending.peer_finished) {
            return Some(Event::PeerFinished);
        }
        if std::mem::take(&mut self.pending.closed) {
            return Some(Event::Closed);
        }
        self.pending.failed.take().map(Event::Failed)
    }

    /// Payload of a full packet, in bytes.
    pub fn mss(&self) -> u32 {
        self.sender.mss()
    }

    /// Bytes that may be in flight however wide the congestion window is: what the peer offers at the moment, or the
    /// send buffer.
    pub fn buffer_window(&self) -> u64 {
        self.sender.buffer_window()
    }

    /// Counters so far.
    pub fn stats(&self) -> Stats {
        Stats {
            bytes_received: self.receiver.bytes(),
            ..self.sender.stats()
        }
    }
}
