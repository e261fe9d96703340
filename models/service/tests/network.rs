//! A network in memory: a constant delay, streams that never lose a byte, and faults by hand.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::ByteSize;
use longhaul_service::{
    Client, ClientCommand, ClientEvent, ClientOptions, Load, Replica, RequestOptions, Server, ServerCommand,
    ServerEvent, ServerOptions, ServiceOptions,
};

pub fn at_s(s: u64) -> Instant {
    Instant::ZERO + Span::from_s(s)
}

pub fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

/// A replica near by.
pub fn replica(peer: u32) -> Replica {
    Replica {
        peer: PeerId(peer),
        region: format!("region-{peer}"),
        distance: Span::from_ms(peer.into()),
    }
}

/// A client of these replicas whose requests are without bodies.
pub fn client_options(load: Load, replicas: &[u32]) -> ClientOptions {
    ClientOptions {
        origin: 1,
        service: ServiceOptions::new(replicas.iter().map(|peer| replica(*peer)).collect()),
        load,
        request: RequestOptions {
            body: ByteSize::from_bytes(0),
            answer: ByteSize::from_bytes(0),
            ..RequestOptions::default()
        },
        limit: None,
        keep_records: false,
        interval: Span::from_s(1),
    }
}

pub enum Node {
    Client(Box<Client>),
    Server(Box<Server>),
}

/// What a node is told.
enum Event {
    Wake,
    Client(ClientCommand),
    Server(ServerCommand),
    Opening { stream: StreamId, from: usize },
    Opened { stream: StreamId },
    Received { stream: StreamId, payload: Payload },
    Closed { stream: StreamId, reason: CloseReason },
}

struct Pending {
    at: Instant,
    sequence: u64,
    node: usize,
    event: Event,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Pending) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}
impl Eq for Pending {}
impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Pending) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pending {
    fn cmp(&self, other: &Pending) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

pub struct Network {
    nodes: Vec<Node>,
    delay: Span,
    queue: BinaryHeap<Reverse<Pending>>,
    sequence: u64,
    /// The wake that each node asked for last.
    wakes: Vec<Option<Instant>>,
    /// The other end of each stream.
    ends: BTreeMap<(usize, StreamId), (usize, StreamId)>,
    accepted: Vec<u32>,
    /// Nodes that nothing reaches.
    cut: Vec<bool>,
    pub now: Instant,
    pub client_events: Vec<(Instant, usize, ClientEvent)>,
    pub server_events: Vec<(Instant, usize, ServerEvent)>,
    /// Whether nodes are woken when they did not ask for it.
    pub extra_wakes: bool,
    pub inputs: u64,
}

impl Network {
    pub fn new(delay: Span) -> Network {
        Network {
            nodes: Vec::new(),
            delay,
            queue: BinaryHeap::new(),
            sequence: 0,
            wakes: Vec::new(),
            ends: BTreeMap::new(),
            accepted: Vec::new(),
            cut: Vec::new(),
            now: Instant::ZERO,
            client_events: Vec::new(),
            server_events: Vec::new(),
            extra_wakes: false,
            inputs: 0,
        }
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.wakes.push(None);
        self.accepted.push(StreamId::FIRST_ACCEPTED);
        self.cut.push(false);
        self.nodes.len() - 1
    }

    pub fn add_client(&mut self, options: ClientOptions) -> usize {
        let name = format!("client-{}", self.nodes.len());
        let client = Client::new(&name, options, Streams::new(1, 0)).expect("sound options");
        self.add(Node::Client(Box::new(client)))
    }

    pub fn add_server(&mut self, options: ServerOptions) -> usize {
        let name = format!("server-{}", self.nodes.len());
        let server = Server::new(&name, options, Streams::new(1, 0)).expect("sound options");
        self.add(Node::Server(Box::new(server)))
    }

    pub fn client(&self, node: usize) -> &Client {
        match &self.nodes[node] {
            Node::Client(client) => client,
            Node::Server(_) => panic!("a server"),
        }
    }

    pub fn client_mut(&mut self, node: usize) -> &mut Client {
        match &mut self.nodes[node] {
            Node::Client(client) => client,
            Node::Server(_) => panic!("a server"),
        }
    }

    pub fn server(&self, node: usize) -> &Server {
        match &self.nodes[node] {
            Node::Server(server) => server,
            Node::Client(_) => panic!("a client"),
        }
    }

    /// From now on nothing reaches a node and nothing leaves it, or it does again. What is on its way is lost too.
    pub fn cut(&mut self, node: usize, cut: bool) {
        self.cut[node] = cut;
    }

    pub fn at_client(&mut self, at: Instant, node: usize, command: ClientCommand) {
        self.push(at, node, Event::Client(command));
    }

    pub fn at_server(&mut self, at: Instant, node: usize, command: ServerCommand) {
        self.push(at, node, Event::Server(command));
    }

    fn push(&mut self, at: Instant, node: usize, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse(Pending {
            at,
            sequence: self.sequence,
            node,
            event,
        }));
    }

    /// Starts all nodes.
    pub fn start(&mut self) {
        for node in 0..self.nodes.len() {
            self.tell_start(node);
        }
    }

    fn tell_start(&mut self, node: usize) {
        match &mut self.nodes[node] {
            Node::Client(client) => client.handle(self.now, Input::Start),
            Node::Server(server) => server.handle(self.now, Input::Start),
        }
        self.poll(node);
    }

    /// Runs until a time, what happens then included.
    pub fn run_until(&mut self, until: Instant) {
        while let Some(Reverse(next)) = self.queue.peek() {
            if next.at > until {
                break;
            }
            let Some(Reverse(pending)) = self.queue.pop() else {
                break;
            };
            assert!(pending.at >= self.now, "time goes back");
            self.now = pending.at;
            self.deliver(pending.node, pending.event);
        }
        self.now = until;
    }

    fn deliver(&mut self, node: usize, event: Event) {
        let from_network = !matches!(event, Event::Wake | Event::Client(_) | Event::Server(_));
        if from_network && self.cut[node] {
            return;
        }
        if let Event::Wake = event {
            if self.wakes[node] != Some(self.now) {
                return;
            }
            self.wakes[node] = None;
        }
        if self.extra_wakes {
            self.tell(node, Event::Wake);
        }
        self.tell(node, event);
        if self.extra_wakes {
            self.tell(node, Event::Wake);
        }
    }

    fn tell(&mut self, node: usize, event: Event) {
        self.inputs += 1;
        let now = self.now;
        match &mut self.nodes[node] {
            Node::Client(client) => {
                let input = match event {
                    Event::Client(command) => Input::Command(command),
                    Event::Server(_) => panic!("a server's command"),
                    other => general(other, &mut self.ends, &mut self.accepted, node),
                };
                client.handle(now, input);
            }
            Node::Server(server) => {
                let input = match event {
                    Event::Server(command) => Input::Command(command),
                    Event::Client(_) => panic!("a client's command"),
                    other => general(other, &mut self.ends, &mut self.accepted, node),
                };
                server.handle(now, input);
            }
        }
        self.poll(node);
    }

    fn poll(&mut self, node: usize) {
        loop {
            let now = self.now;
            let output = match &mut self.nodes[node] {
                Node::Client(client) => match client.poll() {
                    Output::Event(event) => {
                        self.client_events.push((now, node, event));
                        continue;
                    }
                    other => plain(other),
                },
                Node::Server(server) => match server.poll() {
                    Output::Event(event) => {
                        self.server_events.push((now, node, event));
                        continue;
                    }
                    other => plain(other),
                },
            };
            let there = now + self.delay;
            match output {
                Output::Open { stream, peer } => {
                    let to = peer.0 as usize;
                    if to < self.nodes.len() && !self.cut[node] && !self.cut[to] {
                        self.push(there, to, Event::Opening { stream, from: node });
                        self.push(there + self.delay, node, Event::Opened { stream });
                    }
                }
                Output::Send { stream, payload } => {
                    if let Some((to, stream)) = self.ends.get(&(node, stream)).copied()
                        && !self.cut[node]
                    {
                        self.push(there, to, Event::Received { stream, payload });
                    }
                }
                Output::Close { stream } => self.close(node, stream, CloseReason::Finished),
                Output::Abort { stream } => self.close(node, stream, CloseReason::Failed),
                Output::WakeAt { at, .. } => {
                    let at = at.max(now);
                    if self.wakes[node] != Some(at) {
                        self.wakes[node] = Some(at);
                        self.push(at, node, Event::Wake);
                    }
                    return;
                }
                Output::Idle => {
                    self.wakes[node] = None;
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn close(&mut self, node: usize, stream: StreamId, reason: CloseReason) {
        if let Some((to, there)) = self.ends.remove(&(node, stream))
            && !self.cut[node]
        {
            let at = self.now + self.delay;
            self.push(
                at,
                to,
                Event::Closed {
                    stream: there,
                    reason,
                },
            );
        }
    }
}

/// What is the same for all machines.
fn general<C>(
    event: Event,
    ends: &mut BTreeMap<(usize, StreamId), (usize, StreamId)>,
    accepted: &mut [u32],
    node: usize,
) -> Input<C> {
    match event {
        Event::Wake => Input::Wake,
        Event::Opening { stream, from } => {
            let here = StreamId(accepted[node]);
            accepted[node] += 1;
            ends.insert((from, stream), (node, here));
            ends.insert((node, here), (from, stream));
            Input::Accepted { stream: here }
        }
        Event::Opened { stream } => Input::Opened { stream },
        Event::Received { stream, payload } => Input::Received { stream, payload },
        Event::Closed { stream, reason } => {
            ends.remove(&(node, stream));
            Input::Closed { stream, reason }
        }
        Event::Client(_) | Event::Server(_) => unreachable!("handled by the caller"),
    }
}

fn plain<E: std::fmt::Debug>(output: Output<E>) -> Output<()> {
    match output {
        Output::Open { stream, peer } => Output::Open { stream, peer },
        Output::Send { stream, payload } => Output::Send { stream, payload },
        Output::Close { stream } => Output::Close { stream },
        Output::Abort { stream } => Output::Abort { stream },
        Output::WakeAt { at, why } => Output::WakeAt { at, why },
        Output::Idle => Output::Idle,
        other => panic!("{other:?}"),
    }
}
