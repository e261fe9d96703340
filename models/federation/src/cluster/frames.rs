//! Control frames: sending them, and what each means. The log's among them are passed on where clusters are not all
//! connected.

use longhaul_core::machine::{Output, StreamId};
use longhaul_raft as raft;

use super::Cluster;
use crate::ClusterId;
use crate::consensus::{ConsensusOutput, Parcel};
use crate::event::{Event, Lost};
use crate::peer::Peer;
use crate::wire::{FRAME_HEADER_BYTES, Frame, Routed};

/// Counters are by class.
enum Class {
    Control,
    Consensus,
    Reconciliation,
    Acknowledgements,
    Data,
}

fn class_of(frame: &Frame) -> Class {
    match frame {
        Frame::Hello(_)
        | Frame::Welcome(_)
        | Frame::Refused(_)
        | Frame::Keepalive { .. }
        | Frame::KeepaliveAnswer { .. } => Class::Control,
        Frame::Acknowledgement(_) => Class::Acknowledgements,
        Frame::Consensus(_) | Frame::Request(_) | Frame::Answer(_) => Class::Consensus,
        Frame::Reconcile(_) => Class::Reconciliation,
        Frame::DataStream(_) => Class::Data,
    }
}

impl Cluster {
    /// Sends a frame on a stream.
    pub(super) fn send_frame(&mut self, stream: StreamId, frame: &Frame) {
        let bytes = frame.to_bytes();
        let length = bytes.len() as u64;
        match class_of(frame) {
            Class::Control => self.statistics.control.sent += length,
            Class::Consensus => self.statistics.consensus.sent += length,
            Class::Reconciliation => self.statistics.reconciliation.sent += length,
            Class::Acknowledgements => self.statistics.acknowledgements.sent += length,
            Class::Data => self.statistics.data.sent += length,
        }
        self.outputs.push_back(Output::Send {
            stream,
            payload: bytes.into(),
        });
    }

    /// Sends a frame to a peer, if it is connected.
    pub(super) fn tell(&mut self, id: ClusterId, frame: &Frame) {
        let Some(connection) = self.peers.get_mut(&id).and_then(Peer::connection) else {
            return;
        };
        let control = connection.control;
        connection.note_control(frame.to_bytes().len() as u64);
        self.send_frame(control, frame);
    }

    /// Reads what has come on a peer's control stream.
    pub(super) fn read_control(&mut self, id: ClusterId) {
        // A frame may end the connection.
        while let Some(connection) = self.peers.get_mut(&id).and_then(Peer::connection) {
            match connection.reader.read() {
                Ok(None) => return,
                Ok(Some(frame)) => self.on_frame(id, frame),
                Err(error) => {
                    self.statistics.errors += 1;
                    self.lose(id, Lost::Malformed(error));
                }
            }
        }
    }

    fn on_frame(&mut self, from: ClusterId, frame: Frame) {
        let now = self.now;
        let length = frame_len(&frame);
        match class_of(&frame) {
            Class::Control => self.statistics.control.received += length,
            Class::Consensus => self.statistics.consensus.received += length,
            Class::Reconciliation => self.statistics.reconciliation.received += length,
            Class::Acknowledgements => self.statistics.acknowledgements.received += length,
            Class::Data => self.statistics.data.received += length,
        }
        match frame {
            Frame::Keepalive { number } => self.tell(from, &Frame::KeepaliveAnswer { number }),
            Frame::KeepaliveAnswer { number } => {
                let connection = self.peers.get_mut(&from).and_then(Peer::connection);
                let sent = connection.and_then(|connection| connection.keepalive);
                if let Some((_, sent)) = sent.filter(|(asked, _)| *asked == number) {
                    self.statistics.round_trip.add(now - sent);
                }
            }
            Frame::Acknowledgement(reply) => self.on_acknowledgement(from, &reply),
            Frame::Consensus(routed) => self.on_routed(
                from,
                routed,
                |bytes| Parcel::Message { bytes, asks: false },
                Frame::Consensus,
            ),
            Frame::Request(routed) => self.on_routed(from, routed, Parcel::Request, Frame::Request),
            Frame::Answer(routed) => self.on_routed(from, routed, Parcel::Answer, Frame::Answer),
            Frame::Reconcile(talk) => self.on_talk(from, talk),
            Frame::Hello(_) | Frame::Welcome(_) | Frame::Refused(_) | Frame::DataStream(_) => {
                self.statistics.errors += 1;
                self.lose(from, Lost::Malformed(crate::wire::FrameError::Kind));
            }
        }
    }

    fn on_routed(
        &mut self,
        from: ClusterId,
        routed: Routed,
        parcel: impl Fn(bytes::Bytes) -> Parcel,
        frame: impl Fn(Routed) -> Frame,
    ) {
        if routed.to == self.setup.id {
            let parcel = parcel(routed.content);
            if let Some(consensus) = &mut self.consensus
                && consensus.on_parcel(self.now, &parcel).is_err()
            {
                self.statistics.errors += 1;
            }
            if self.disk.is_out_of_space() {
                // What it would answer waits for the disk, but it is there.
                self.tell(from, &Frame::KeepaliveAnswer { number: 0 });
            }
        } else if routed.hops > 0 {
            let hops = routed.hops - 1;
            self.route(Routed { hops, ..routed }, frame);
        }
    }

    /// Sends something of the log on its way; it may be lost there, and the log will see to it.
    fn route(&mut self, routed: Routed, frame: impl Fn(Routed) -> Frame) {
        let regions = &self.setup.regions;
        let up = |id: ClusterId| self.peers.get(&id).is_some_and(Peer::is_up);
        let Some(next) = regions.next_hop(self.setup.id, routed.to, up) else {
            return;
        };
        let connection = self.peers.get_mut(&next).and_then(Peer::connection);
        if connection.is_some_and(|connection| connection.takes_control()) {
            self.tell(next, &frame(routed));
        } else {
            self.statistics.dropped_frames += 1;
        }
    }

    /// Does what the log wants done.
    pub(super) fn serve_log(&mut self) {
        let now = self.now;
        let from = self.setup.id;
        // A way never crosses a cluster twice.
        let hops = u8::try_from(self.setup.regions.members().len()).unwrap_or(u8::MAX);
        while let Some(output) = self
            .consensus
            .as_mut()
            .and_then(crate::consensus::Consensus::poll)
        {
            match output {
                ConsensusOutput::Send { to, parcel } => {
                    let routed = |content| Routed {
                        from,
                        to,
                        hops,
                        content,
                    };
                    match parcel {
                        Parcel::Message { bytes, asks } => {
                            if asks && let Some(up) = self.peers.get_mut(&to).and_then(Peer::connection) {
                                up.expect_answer(now);
                            }
                            self.route(routed(bytes), Frame::Consensus);
                        }
                        Parcel::Request(bytes) => self.route(routed(bytes), Frame::Request),
                        Parcel::Answer(bytes) => self.route(routed(bytes), Frame::Answer),
                    }
                }
                ConsensusOutput::Event(event) => self.on_log_event(&event),
                ConsensusOutput::Failed(error) => {
                    let why = error.to_string();
                    self.event(Event::CommandFailed { why });
                }
            }
        }
    }

    fn on_log_event(&mut self, event: &raft::Event) {
        let event = match event {
            raft::Event::Campaigns { pre_vote: true, .. } | raft::Event::Committed { .. } => return,
            raft::Event::Campaigns { term, .. } => Event::Campaigns { term: term.0 },
            raft::Event::Leads { term } => Event::Leads { term: term.0 },
            raft::Event::SteppedDown { term, why } => Event::SteppedDown {
                term: term.0,
                why: format!("{why:?}"),
            },
            raft::Event::Follows { term, leader } => Event::Follows {
                term: term.0,
                leader: *leader,
            },
            raft::Event::NotAcknowledged(error) => Event::NotAcknowledged {
                index: error.index.0,
                committed: error.committed,
                silent: error.silent.clone(),
            },
            raft::Event::Refused { .. } => {
                self.statistics.errors += 1;
                Event::Log {
                    what: format!("{event:?}"),
                }
            }
            raft::Event::Truncated { .. }
            | raft::Event::Compacted { .. }
            | raft::Event::SendsSnapshot { .. }
            | raft::Event::Restored { .. }
            | raft::Event::Answers { .. } => Event::Log {
                what: format!("{event:?}"),
            },
        };
        self.event(event);
    }
}

/// Length of a frame with its header.
fn frame_len(frame: &Frame) -> u64 {
    match frame {
        Frame::Acknowledgement(reply) => FRAME_HEADER_BYTES + reply.len() as u64,
        Frame::Consensus(routed) | Frame::Request(routed) | Frame::Answer(routed) => {
            FRAME_HEADER_BYTES + 9 + routed.content.len() as u64
        }
        _ => frame.to_bytes().len() as u64,
    }
}
