//! FQ-CoDel (RFC 8290), as Linux's `fq_codel` runs it: flows hashed to queues, deficit round robin among them,
//! new flows first, CoDel in each, and when there is no room, drops from the queue that holds most.

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::ByteSize;

use super::codel::Law;
use super::{Backlog, DropCause, Next, QueueError, Queued};
use crate::frame::Frame;
use crate::stats::{Count, LinkStats};

/// Frames dropped at once when there is no room.
const DROP_BATCH: u32 = 64;

/// Options of FQ-CoDel. The default is Linux's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FqCoDel {
    /// Queues that flows are hashed to, 1 to [`FqCoDel::MOST_FLOWS`]. Linux: 1,024.
    pub flows: u32,
    /// Bytes that a flow may send before the next one's turn, at least [`FqCoDel::LEAST_QUANTUM`]. Linux: a full
    /// frame, 1,514.
    pub quantum: u32,
    /// Frames that may wait in all. Linux: 10,240.
    pub limit_packets: u32,
    /// Bytes of frames that may wait in all. Linux: 32 MiB (of memory, headers of its buffers included).
    pub memory_limit: ByteSize,
    /// CoDel's target. Linux: 5 ms.
    pub target: Span,
    /// CoDel's interval. Linux: 100 ms.
    pub interval: Span,
    /// Whether packets that are ECN-capable are marked rather than dropped. Linux: yes.
    pub ecn: bool,
}

impl FqCoDel {
    /// Most queues.
    pub const MOST_FLOWS: u32 = 65_536;
    /// Smallest quantum, as in Linux: rounds of less would only spin.
    pub const LEAST_QUANTUM: u32 = 256;

    /// What `tc qdisc add … fq_codel` gives.
    pub const LINUX: FqCoDel = FqCoDel {
        flows: 1_024,
        quantum: 1_514,
        limit_packets: 10_240,
        memory_limit: ByteSize::from_mib(32),
        target: Span::from_ms(5),
        interval: Span::from_ms(100),
        ecn: true,
    };
}

impl Default for FqCoDel {
    fn default() -> FqCoDel {
        FqCoDel::LINUX
    }
}

/// The queue of the flows of one hash.
#[derive(Clone, Debug)]
struct Flow<P> {
    queue: Backlog<P>,
    law: Law,
    deficit: i64,
    /// Whether it stands in one of the two lists.
    listed: bool,
}

/// The queues of all flows.
#[derive(Clone, Debug)]
pub(crate) struct FqCoDelQueue<P> {
    options: FqCoDel,
    salt: u64,
    flows: Vec<Flow<P>>,
    /// Flows that have just begun to send, and the others that have something to send.
    new: VecDeque<u32>,
    old: VecDeque<u32>,
    backlog: Count,
}

impl<P: Frame> FqCoDelQueue<P> {
    pub(super) fn new(options: FqCoDel, salt: u64) -> Result<FqCoDelQueue<P>, QueueError> {
        if !(1..=FqCoDel::MOST_FLOWS).contains(&options.flows) {
            return Err(QueueError::Flows);
        }
        if options.quantum < FqCoDel::LEAST_QUANTUM {
            return Err(QueueError::SmallQuantum);
        }
        let law = Law::new(options.target, options.interval, options.ecn)?;
        let flow = || Flow {
            queue: Backlog::default(),
            law,
            deficit: 0,
            listed: false,
        };
        Ok(FqCoDelQueue {
            options,
            salt,
            flows: std::iter::repeat_with(flow)
                .take(options.flows as usize)
                .collect(),
            new: VecDeque::new(),
            old: VecDeque::new(),
            backlog: Count::default(),
        })
    }

    pub(super) fn enqueue(&mut self, frame: Queued<P>, stats: &mut LinkStats) -> bool {
        let index = self.bucket(frame.flow);
        let flow = &mut self.flows[index];
        self.backlog.add(frame.frame_bytes);
        flow.queue.push(frame);
        if !flow.listed {
            flow.listed = true;
            flow.deficit = i64::from(self.options.quantum);
            self.new.push_back(index as u32);
        }
        while self.backlog.packets > u64::from(self.options.limit_packets)
            || self.backlog.bytes > self.options.memory_limit.as_bytes()
        {
            self.drop_from_fattest(stats);
        }
        // With a limit of nothing the frame has dropped itself.
        !self.flows[index].queue.is_empty()
    }

    /// Drops from the head of the queue that holds most bytes, until it holds half of them or a batch is gone.
    fn drop_from_fattest(&mut self, stats: &mut LinkStats) {
        let held = |flow: &Flow<P>| flow.queue.count().bytes;
        // The first of the fattest, as a scan from the start finds it.
        let fattest = self.flows.iter_mut().rev().max_by_key(|flow| held(flow));
        let flow = fattest.expect("there is a queue");
        let enough = held(flow) / 2;
        let (mut dropped, mut bytes) = (0, 0);
        while dropped < DROP_BATCH {
            let Some(frame) = flow.queue.pop() else { break };
            frame.drop(DropCause::Full, stats);
            self.backlog.packets -= 1;
            self.backlog.bytes -= u64::from(frame.frame_bytes);
            dropped += 1;
            bytes += u64::from(frame.frame_bytes);
            if bytes >= enough {
                break;
            }
        }
        flow.law.add_drops(dropped);
    }

    pub(super) fn dequeue(&mut self, now: Instant, stats: &mut LinkStats) -> Next<P> {
        loop {
            let from_new = !self.new.is_empty();
            let list = if from_new { &self.new } else { &self.old };
            let Some(&index) = list.front() else {
                return Next::Empty;
            };
            let flow = &mut self.flows[index as usize];
            if flow.deficit <= 0 {
                flow.deficit += i64::from(self.options.quantum);
                self.unlist(from_new);
                self.old.push_back(index);
                continue;
            }
            let before = flow.queue.count();
            let frame = flow.law.dequeue(&mut flow.queue, now, stats);
            let after = flow.queue.count();
            self.backlog.packets -= before.packets - after.packets;
            self.backlog.bytes -= before.bytes - after.bytes;
            if let Some(frame) = frame {
                flow.deficit -= i64::from(frame.frame_bytes);
                return Next::Frame(frame);
            }
            // A new flow that has emptied takes a turn among the old ones, so that it cannot stay new by
            // sending one packet at a time.
            let turn = from_new && !self.old.is_empty();
            flow.listed = turn;
            self.unlist(from_new);
            if turn {
                self.old.push_back(index);
            }
        }
    }

    fn unlist(&mut self, from_new: bool) {
        let list = if from_new { &mut self.new } else { &mut self.old };
        list.pop_front();
    }

    pub(super) fn reset(&mut self) {
        for flow in &mut self.flows {
            flow.queue = Backlog::default();
            flow.law.reset();
            flow.listed = false;
        }
        self.new.clear();
        self.old.clear();
        self.backlog = Count::default();
    }

    pub(super) fn backlog(&self) -> Count {
        self.backlog
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Queued<P>> {
        self.flows.iter().flat_map(|flow| flow.queue.frames())
    }

    /// The queue of a flow: its number, mixed with the link's salt (the finaliser of SplitMix64; Steele, Lea
    /// and Flood, 2014), so that two flows that meet on one link rarely do so on the next.
    fn bucket(&self, flow: u64) -> usize {
        let mut hash = flow ^ self.salt;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        ((u128::from(hash) * u128::from(self.options.flows)) >> 64) as usize
    }
}
