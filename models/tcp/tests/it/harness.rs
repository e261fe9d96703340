//! Pairs of connections over one link, in virtual time.
//!
//! The forward link behaves as `netem` on the sender's own device: a loss is drawn when a packet is queued, the
//! limit counts packets in the queue and in the delay line, and packets leave in order, each after the one before
//! and after its own delay. The reverse path is a pure delay.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_tcp::{Config, Connection, Event, Failure, Flags, Segment};

/// Bytes that the application offers in one call.
const WRITE: u64 = 128 << 10;

/// Which packets the forward link loses.
pub enum Loss {
    None,
    /// The packets with these numbers, counted from 0 over everything that the client sends.
    These(BTreeSet<u64>),
    /// All packets from this number on.
    From(u64),
    /// Each with this probability.
    Independent(Probability, Stream),
    /// Gilbert-Elliott: probabilities of going bad and good again; everything is lost while it is bad.
    Bursts {
        worse: Probability,
        better: Probability,
        bad: bool,
        stream: Stream,
    },
}

impl Loss {
    fn draw(&mut self, number: u64) -> bool {
        match self {
            Loss::None => false,
            Loss::These(numbers) => numbers.contains(&number),
            Loss::From(first) => number >= *first,
            Loss::Independent(probability, stream) => stream.chance(*probability),
            Loss::Bursts {
                worse,
                better,
                bad,
                stream,
            } => {
                let lost = *bad;
                *bad = if lost {
                    !stream.chance(*better)
                } else {
                    stream.chance(*worse)
                };
                lost
            }
        }
    }
}

/// Both directions.
pub struct Link {
    /// Rate of the forward direction; `None` is infinite.
    pub rate: Option<BitRate>,
    /// One way, the same in both directions.
    pub delay: Span,
    /// Standard deviation of the forward delay, drawn from this stream. Packets keep their order.
    pub jitter: Option<(Span, Stream)>,
    /// Most packets in queue and delay line.
    pub limit: usize,
    /// Whether a full queue tells the sender, as its own device does, or drops in silence, as a router does.
    pub tells: bool,
    /// From so many packets in queue and delay line on, packets that are ECN-capable are marked.
    pub mark_from: usize,
    pub loss: Loss,
    /// Packets that arrive so much later than their turn, by number as in [`Loss::These`].
    pub late: BTreeMap<u64, Span>,
}

impl Link {
    pub fn new(rate_mbit: Option<u64>, rtt: Span) -> Link {
        Link {
            rate: rate_mbit.map(|mbit| BitRate::from_bits_per_s(mbit * 1_000_000)),
            delay: rtt / 2,
            jitter: None,
            limit: usize::MAX,
            tells: false,
            mark_from: usize::MAX,
            loss: Loss::None,
            late: BTreeMap::new(),
        }
    }

    pub fn losing(mut self, numbers: impl IntoIterator<Item = u64>) -> Link {
        self.loss = Loss::These(numbers.into_iter().collect());
        self
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Client,
    Server,
}

/// One segment on the wire.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sighting {
    pub sent_at: Instant,
    pub from: Side,
    pub segment: Segment,
    pub lost: bool,
}

/// What one end has seen.
pub struct End {
    pub tcp: Connection,
    config: Config,
    pub received: u64,
    pub established_at: Option<Instant>,
    pub peer_finished_at: Option<Instant>,
    pub closed_at: Option<Instant>,
    pub failed: Option<(Instant, Failure)>,
    /// Bytes that the application has yet to write; `None` once it has shut down.
    left: Option<u64>,
    /// The application's next call waits for what the last one made TCP send.
    eager: bool,
    /// The application has the processor, and when it gets it next or got it last.
    acting: bool,
    acts_at: Instant,
    /// The application does not shut down by itself.
    stays_open: bool,
    wake: Option<Instant>,
}

impl End {
    fn new(tcp: Connection, config: Config, bytes: u64) -> End {
        End {
            tcp,
            config,
            received: 0,
            established_at: None,
            peer_finished_at: None,
            closed_at: None,
            failed: None,
            left: Some(bytes),
            eager: false,
            acting: true,
            acts_at: Instant::ZERO,
            stays_open: false,
            wake: None,
        }
    }

    /// Bytes that the application has yet to write.
    pub fn left_to_write(&self) -> u64 {
        self.left.unwrap_or_default()
    }

    /// One call of an application that writes as fast as the socket takes it, and then shuts down. Returns
    /// whether there was anything to call. TCP sends within each call, so the end of the stream does not ride on
    /// the last byte if that could leave at once.
    fn act(&mut self, now: Instant) -> bool {
        let Some(left) = self.left.filter(|_| self.eager) else {
            return false;
        };
        if left > 0 {
            let taken = self.tcp.write(now, left.min(WRITE));
            self.left = Some(left - taken);
            self.eager = taken > 0;
        } else {
            self.eager = false;
            if !self.stays_open {
                self.tcp.shutdown(now);
                self.left = None;
            }
        }
        true
    }

    fn on_event(&mut self, now: Instant, side: Side, event: Event) {
        match event {
            Event::Established => {
                self.established_at = Some(now);
                self.eager = side == Side::Client;
            }
            Event::Received(bytes) => self.received += bytes,
            Event::SendSpace => self.eager = true,
            Event::PeerFinished => {
                self.peer_finished_at = Some(now);
                if side == Side::Server {
                    self.tcp.shutdown(now);
                }
            }
            Event::Closed => self.closed_at = Some(now),
            Event::Failed(failure) => self.failed = Some((now, failure)),
        }
    }
}

struct Due {
    at: Instant,
    order: u64,
    pair: usize,
    side: Side,
    what: What,
}

enum What {
    Start,
    Arrival(Segment),
    Wake,
    /// The application's turn on the client's processor.
    Act,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.order == other.order
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The whole network.
pub struct Network {
    pub now: Instant,
    link: Link,
    pub pairs: Vec<[End; 2]>,
    /// Everything that was sent, if recording.
    pub seen: Vec<Sighting>,
    /// Time that a client's application takes for one step. All clients share one processor, so they connect and
    /// write one after another; what arrives goes before.
    step: Span,
    free_at: Instant,
    recording: bool,
    queue: BinaryHeap<Reverse<Due>>,
    order: u64,
    in_link: usize,
    last_departure: Instant,
    packets: u64,
    /// Packets that were marked.
    pub marks: u64,
    steps: u64,
}

impl Network {
    /// Each client connects at time zero and sends its share of `bytes`.
    pub fn new(link: Link, client: Config, server: Config, streams: u64, bytes: u64) -> Network {
        let start = Instant::ZERO;
        let mut network = Network {
            now: start,
            link,
            pairs: Vec::new(),
            seen: Vec::new(),
            step: Span::ZERO,
            free_at: start,
            recording: false,
            queue: BinaryHeap::new(),
            order: 0,
            in_link: 0,
            last_departure: Instant::ZERO,
            packets: 0,
            marks: 0,
            steps: 0,
        };
        for stream in 0..streams {
            let share = bytes / streams + u64::from(stream < bytes % streams);
            let seed = client.seed + stream;
            network.pairs.push([
                End::new(
                    Connection::connect(Config { seed, ..client }, start),
                    client,
                    share,
                ),
                End::new(Connection::listen(server), server, 0),
            ]);
        }
        network
    }

    /// Applications take `step` for each thing they do.
    pub fn with_steps(mut self, step: Span) -> Network {
        self.step = step;
        for end in self.pairs.iter_mut().flatten() {
            end.acting = false;
        }
        for [client, _] in &mut self.pairs {
            client.tcp = Connection::connect(client.config, self.free_at);
            self.free_at += step;
        }
        self
    }

    pub fn recorded(mut self) -> Network {
        self.recording = true;
        self
    }

    /// Clients do not shut down when they have written everything.
    pub fn left_open(mut self) -> Network {
        for [client, _] in &mut self.pairs {
            client.stays_open = true;
        }
        self
    }

    /// The first client writes now.
    pub fn write(&mut self, bytes: u64) {
        assert_eq!(self.pairs[0][0].tcp.write(self.now, bytes), bytes);
        self.drain(0, Side::Client);
    }

    /// Runs up to `at`, when the first server's application stands still.
    pub fn stop_reading(&mut self, at: Span) {
        self.run(at);
        self.now = Instant::ZERO + at;
        self.pairs[0][1].tcp.pause();
    }

    /// Runs up to `at`, when the first server's application goes on. If `heard` is false, what that makes it send is
    /// lost.
    pub fn read_again(&mut self, at: Span, heard: bool) {
        self.run(at);
        self.now = Instant::ZERO + at;
        let server = &mut self.pairs[0][1].tcp;
        server.resume(self.now);
        while !heard && server.poll_segment(self.now).is_some() {}
        self.drain(0, Side::Server);
    }

    /// Runs up to `at`, when the process of one end of the first pair is killed.
    pub fn kill(&mut self, at: Span, side: Side) {
        self.run(at);
        self.now = Instant::ZERO + at;
        let end = &mut self.pairs[0][side as usize];
        (end.left, end.eager) = (None, false);
        end.tcp.kill();
        self.drain(0, side);
    }

    /// Runs until nothing is pending or `limit` is reached; returns whether nothing is pending. (A timer that was
    /// put off stays pending until its first time.)
    pub fn run(&mut self, limit: Span) -> bool {
        let end = Instant::ZERO + limit;
        if self.steps == 0 {
            for pair in 0..self.pairs.len() {
                let start = Instant::ZERO + self.step * pair as u64;
                self.push(start, pair, Side::Client, What::Start);
            }
        }
        while let Some(Reverse(due)) = self.queue.pop() {
            if due.at > end {
                self.queue.push(Reverse(due));
                return false;
            }
            assert!(due.at >= self.now, "time ran backwards");
            self.now = due.at;
            self.steps += 1;
            let now = self.now;
            let target = &mut self.pairs[due.pair][due.side as usize];
            match due.what {
                What::Start => {}
                What::Act => target.acting = true,
                What::Arrival(segment) => {
                    if due.side == Side::Server {
                        self.in_link -= 1;
                    }
                    target.tcp.on_segment(now, &segment);
                }
                What::Wake => {
                    if target.wake != Some(now) {
                        continue;
                    }
                    target.wake = None;
                    target.tcp.on_timer(now);
                }
            }
            self.drain(due.pair, due.side);
            self.pairs[due.pair][due.side as usize].acting = self.step == Span::ZERO;
        }
        true
    }

    /// Draws everything out of one end.
    fn drain(&mut self, pair: usize, side: Side) {
        let now = self.now;
        loop {
            let end = &mut self.pairs[pair][side as usize];
            if let Some(event) = end.tcp.poll_event() {
                end.on_event(now, side, event);
                continue;
            }
            let Some(segment) = end.tcp.poll_segment(now) else {
                if end.acting && end.act(now) {
                    continue;
                }
                break;
            };
            let lost = self.send(pair, side, segment);
            if self.recording {
                self.seen.push(Sighting {
                    sent_at: now,
                    from: side,
                    segment,
                    lost,
                });
            }
        }
        let end = &mut self.pairs[pair][side as usize];
        if end.eager && !end.acting && end.acts_at < now {
            let at = self.free_at.max(now) + self.step;
            self.free_at = at;
            end.acts_at = at;
            self.push(at, pair, side, What::Act);
        }
        let end = &mut self.pairs[pair][side as usize];
        if let Some(at) = end.tcp.deadline()
            && end.wake.is_none_or(|wake| at < wake || wake < now)
        {
            let at = at.max(now);
            end.wake = Some(at);
            self.push(at, pair, side, What::Wake);
        }
        // A deadline that moved back leaves the earlier wake pending: the connection must not mind.
    }

    fn push(&mut self, at: Instant, pair: usize, side: Side, what: What) {
        self.order += 1;
        self.queue.push(Reverse(Due {
            at,
            order: self.order,
            pair,
            side,
            what,
        }));
    }

    /// Puts a segment on its way; returns whether it is lost.
    fn send(&mut self, pair: usize, from: Side, mut segment: Segment) -> bool {
        if from == Side::Server {
            self.push(
                self.now + self.link.delay,
                pair,
                Side::Client,
                What::Arrival(segment),
            );
            return false;
        }
        let number = self.packets;
        self.packets += 1;
        if self.link.loss.draw(number) {
            return true;
        }
        if self.in_link >= self.link.limit {
            if self.link.tells {
                self.pairs[pair][from as usize].tcp.on_local_drop(self.now);
            }
            return true;
        }
        if self.in_link >= self.link.mark_from && segment.ecn_capable() {
            segment.mark_congestion();
            self.marks += 1;
        }
        let mut delay = self.link.delay;
        if let Some((deviation, stream)) = &mut self.link.jitter {
            let shift = (stream.normal() * deviation.as_ns() as f64) as i64;
            delay = Span::from_ns(delay.as_ns().saturating_add_signed(shift));
        }
        let start = (self.now + delay).max(self.last_departure);
        let bytes = u64::from(segment.frame_bytes());
        let departure = start + self.link.rate.map_or(Span::ZERO, |rate| rate.time_for(bytes));
        self.last_departure = departure;
        if self.link.tells {
            self.pairs[pair][from as usize].tcp.on_local_queue(departure);
        }
        self.in_link += 1;
        let late = self.link.late.get(&number).copied().unwrap_or(Span::ZERO);
        self.push(departure + late, pair, Side::Server, What::Arrival(segment));
        false
    }

    pub fn client(&self) -> &End {
        &self.pairs[0][0]
    }

    pub fn server(&self) -> &End {
        &self.pairs[0][1]
    }

    /// When the last client saw its server close, if all did.
    pub fn completion(&self) -> Option<Instant> {
        let ends: Option<Vec<Instant>> = self.pairs.iter().map(|pair| pair[0].peer_finished_at).collect();
        ends?.into_iter().max()
    }

    /// Data segments of the first client in the order sent.
    pub fn data(&self) -> impl Iterator<Item = &Sighting> {
        let is_data = |sighting: &&Sighting| sighting.from == Side::Client && sighting.segment.len > 0;
        self.seen.iter().filter(is_data)
    }

    /// Window probes of the first client: when they were sent.
    pub fn probes(&self) -> Vec<Instant> {
        let server_has = |sighting: &Sighting| self.acknowledged_before(sighting.sent_at);
        let probes = self.seen.iter().filter(|sighting| {
            let segment = &sighting.segment;
            sighting.from == Side::Client
                && segment.flags == Flags::ACK
                && segment.len == 0
                && segment.seq + 1 == server_has(sighting)
        });
        probes.map(|sighting| sighting.sent_at).collect()
    }

    /// The highest acknowledgement that the server sent before `at`.
    fn acknowledged_before(&self, at: Instant) -> u64 {
        let before = self.acks().filter(|ack| ack.sent_at < at);
        before.map(|ack| ack.segment.ack).max().unwrap_or_default()
    }

    /// Segments of the first server without SYN, in the order sent.
    pub fn acks(&self) -> impl Iterator<Item = &Sighting> {
        let is_ack =
            |sighting: &&Sighting| sighting.from == Side::Server && !sighting.segment.flags.has(Flags::SYN);
        self.seen.iter().filter(is_ack)
    }
}

/// A configuration for closed forms: Reno, buffers that never limit and stay as they are.
pub fn reno() -> Config {
    Config {
        controller: longhaul_tcp::Controller::Reno,
        send_buffer: 256 << 20,
        receive_buffer: 128 << 20,
        autotuning: false,
        ..Config::default()
    }
}
