//! Synchronising state: what waits for a peer becomes objects, objects become frames by HDE, frames become messages, and
//! messages go over the data streams; what comes back says what the peer holds.

use bytes::{BufMut, Bytes};
use longhaul_core::machine::{Output, StreamId};
use longhaul_core::payload::PayloadBuffer;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_hde::CostModel;
use longhaul_hde::baseline::{SenderEvent, SenderOutput};
use longhaul_hde::dictionary::OBJECT_ID_PREFIX;
use longhaul_hde::object::{FrameKind, Object, ObjectHeader, ObjectOptions};

use super::Cluster;
use super::dial::Use;
use crate::connection::Carried;
use crate::event::{Event, Lost};
use crate::outbox::Priority;
use crate::peer::{Encoded, InFlight, Synchronisation};
use crate::record::Record;
use crate::wire::Frame;
use crate::{ClusterId, Key};

/// Bytes of frames in one message, unless a single frame is longer.
const MESSAGE_BYTES: usize = 512 << 10;

impl Cluster {
    /// It is time to synchronise: whatever waits may leave, and the encoding follows the use of the streams.
    pub(super) fn synchronise(&mut self) {
        if self.now < self.next_sync {
            return;
        }
        let now = self.now;
        let interval = self.setup.options.sync.interval;
        while self.next_sync <= now {
            self.next_sync = self.next_sync.saturating_add(interval);
        }
        self.train(now);
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.adapt_encoding(id, interval);
            let peer = self.peers.get_mut(&id).expect("a peer");
            peer.released = peer.outbox.next_place();
            if peer.waiting() == 0 {
                continue;
            }
            if !peer.is_up() {
                self.statistics.sync_operations += 1;
                self.statistics.sync_failures += 1;
                let waiting = peer.waiting();
                self.event(Event::SyncFailed { peer: id, waiting });
            } else if peer.synchronisation.is_none() {
                self.begin_synchronisation(id);
            }
        }
    }

    pub(super) fn begin_synchronisation(&mut self, id: ClusterId) {
        self.statistics.sync_operations += 1;
        let peer = self.peers.get_mut(&id).expect("a peer");
        peer.synchronisation = Some(Synchronisation {
            began: self.now,
            until_place: peer.released,
            changes: 0,
            value_bytes: 0,
            frame_bytes: 0,
        });
    }

    /// Trains a dictionary when there are enough samples: once, when values travel whole again for the first time.
    fn train(&mut self, now: Instant) {
        let Some(trainer) = self.trainer.as_ref().filter(|_| now >= self.next_training) else {
            return;
        };
        self.next_training = now.saturating_add(self.setup.options.encoding.baseline_interval);
        let Ok(dictionary) = trainer.train(self.setup.id.0, 1) else {
            return;
        };
        self.trainer = None;
        self.statistics.dictionaries += 1;
        self.event(Event::DictionaryTrained {
            version: dictionary.name().version,
            bytes: dictionary.content().len() as u64,
        });
        for peer in self.peers.values_mut() {
            peer.sender.offer_dictionary(now, dictionary.clone());
        }
        self.dictionary = Some(dictionary);
    }

    fn adapt_encoding(&mut self, id: ClusterId, interval: Span) {
        let (options, now) = (self.setup.options.encoding, self.now);
        let peer = self.peers.get_mut(&id).expect("a peer");
        let Some(connection) = peer.connection() else {
            return;
        };
        let busy = connection.take_busy_ns(now).min(interval.as_ns());
        let used = Probability::from_ratio(busy, interval.as_ns()).unwrap_or(Probability::ONE);
        if options.adaptive {
            let half = Probability::from_ratio(1, 2).expect("a share");
            let level = if used > options.bandwidth_threshold {
                9
            } else if used < half {
                3
            } else {
                options.level
            };
            peer.sender
                .set_encoding(ObjectOptions::with_level(i32::from(level)));
        }
    }

    /// Serves a peer until nothing more can be done for it now.
    pub(super) fn serve_peer(&mut self, id: ClusterId) {
        loop {
            let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.is_up()) else {
                return;
            };
            let before = (peer.in_flight.len(), peer.outbox.len(), peer.encoded.len());
            self.release(id);
            self.encode(id);
            self.push_messages(id);
            self.carry(id);
            self.serve_recovery(id);
            let Some(peer) = self.peers.get_mut(&id) else {
                return;
            };
            if before == (peer.in_flight.len(), peer.outbox.len(), peer.encoded.len()) {
                break;
            }
        }
        self.end_synchronisation(id);
    }

    /// Changes leave the outbox in its order: a key waits for its earlier change to be acknowledged, and all wait with
    /// it.
    fn release(&mut self, id: ClusterId) {
        let now = self.now;
        let batch = self.setup.options.sync.batch;
        while let Some(peer) = self.peers.get_mut(&id) {
            let may_leave = peer.outbox.first().is_some_and(|(place, change)| {
                (change.at_once || place < peer.released) && !peer.in_flight.contains_key(&change.key)
            });
            if !may_leave || peer.in_flight.len() >= batch {
                return;
            }
            let change = peer.outbox.pop().expect("the first");
            peer.next_version += 1;
            let version = peer.next_version;
            let object = Object::new(change.key.clone(), version, change.record.to_bytes())
                .expect("values are far shorter than objects may be");
            let value_bytes = change.key.as_str().len() as u64 + change.record.value_bytes();
            let in_flight = InFlight { version };
            peer.in_flight.insert(change.key, in_flight);
            peer.sender.update(now, object);
            if let Some(synchronisation) = &mut peer.synchronisation {
                synchronisation.changes += 1;
                synchronisation.value_bytes += value_bytes;
            }
            // One at a time, so that frames leave in the order of the changes.
            self.encode_with(id, change.priority);
        }
    }

    /// What was under way when the last connection was lost goes again, in the order of the changes.
    pub(super) fn send_again(&mut self, id: ClusterId) {
        let Some(peer) = self.peers.get(&id) else { return };
        let mut lost: Vec<(u64, Key)> = peer
            .in_flight
            .iter()
            .map(|(key, in_flight)| (in_flight.version, key.clone()))
            .collect();
        lost.sort_unstable();
        for (_, key) in lost {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.sender.send_again(self.now, &key);
            }
            self.encode(id);
        }
    }

    /// Encodes what the sender of objects has to send by itself.
    fn encode(&mut self, id: ClusterId) {
        self.encode_with(id, Priority::Normal);
    }

    fn encode_with(&mut self, id: ClusterId, priority: Priority) {
        let now = self.now;
        let costs_time = self.setup.options.encoding.costs_time;
        loop {
            let Some(peer) = self.peers.get_mut(&id) else {
                return;
            };
            match peer.sender.poll(now) {
                SenderOutput::Send { header, frame, work } => {
                    let cost = CostModel::measured(peer.sender.encoding().level).encode_time(&work);
                    let cost = Span::from_ns(cost);
                    let value_bytes = header.object_len as u64;
                    self.statistics.encode_ns += cost.as_ns();
                    if costs_time {
                        self.processor_busy_until = self.processor_busy_until.max(now).saturating_add(cost);
                    }
                    self.statistics.value_bytes += value_bytes;
                    self.statistics.frame_bytes += frame.len() as u64;
                    let ready = if costs_time {
                        self.processor_busy_until
                    } else {
                        now
                    };
                    let Some(peer) = self.peers.get_mut(&id) else {
                        return;
                    };
                    if let Some(synchronisation) = &mut peer.synchronisation {
                        synchronisation.frame_bytes += frame.len() as u64;
                    }
                    peer.encoded.push_back(Encoded {
                        ready,
                        priority,
                        frame,
                    });
                }
                SenderOutput::Event(event) => self.on_sender_event(id, event),
                SenderOutput::WakeAt(at) => {
                    peer.hde_wake = Some(at);
                    return;
                }
                SenderOutput::Idle => {
                    peer.hde_wake = None;
                    return;
                }
            }
        }
    }

    fn on_sender_event(&mut self, id: ClusterId, event: SenderEvent) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        match event {
            SenderEvent::Converged(name) => {
                let done = peer
                    .in_flight
                    .get(&name.id)
                    .is_some_and(|it| it.version <= name.version);
                if done {
                    peer.in_flight.remove(&name.id);
                    self.statistics.changes_delivered += 1;
                }
            }
            SenderEvent::Rejected { object, why } => {
                let given_up = peer.in_flight.remove(&object.id);
                self.statistics.changes_rejected += u64::from(given_up.is_some());
                self.statistics.errors += 1;
                self.event(Event::Rejected {
                    peer: id,
                    key: object.id,
                    why: format!("{why:?}"),
                });
            }
            SenderEvent::PeerAhead { held } => {
                // Versions rise over all lives, so somebody else speaks in this cluster's name.
                let given_up = peer.in_flight.remove(&held.id);
                self.statistics.changes_rejected += u64::from(given_up.is_some());
                self.statistics.errors += 1;
                self.event(Event::Rejected {
                    peer: id,
                    key: held.id,
                    why: "the peer holds a later version".to_owned(),
                });
            }
        }
    }

    /// Frames that are ready go to the transport, several in a message.
    fn push_messages(&mut self, id: ClusterId) {
        let now = self.now;
        let batch = self.setup.options.sync.batch;
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        while peer
            .connection()
            .is_some_and(|connection| connection.takes_data())
        {
            let mut message = Vec::new();
            let mut frames = 0;
            while frames < batch
                && let Some(next) = peer.encoded.front()
                && next.ready <= now
                && (frames == 0 || message.len() + next.frame.len() <= MESSAGE_BYTES)
            {
                let Encoded { priority, frame, .. } = peer.encoded.pop_front().expect("the front");
                message.put_u8(priority as u8);
                message.put_u32(u32::try_from(frame.len()).expect("objects are short"));
                message.put_slice(&frame);
                frames += 1;
            }
            if frames == 0 {
                return;
            }
            let mut buffer = PayloadBuffer::default();
            buffer.push(Bytes::from(message).into());
            if let Some(connection) = peer.connection() {
                connection.push(now, buffer);
            }
        }
    }

    /// Does what the transport wants done.
    fn carry(&mut self, id: ClusterId) {
        let now = self.now;
        loop {
            let (mut outputs, mut opened) = (Vec::new(), Vec::new());
            let Some(peer) = self.peers.get_mut(&id) else {
                return;
            };
            let machine = peer.machine;
            let Some(connection) = peer.connection() else {
                return;
            };
            let carried = connection.carry(now, &mut self.numbers, machine, &mut outputs, &mut opened);
            for (here, transport) in opened {
                self.streams.insert(here, Use::Out(id, transport));
            }
            for output in &outputs {
                // The transport has done with it, whatever the driver may still say of it.
                if let Output::Close { stream } = output {
                    self.streams.remove(stream);
                }
            }
            self.outputs.extend(outputs);
            match carried {
                None => return,
                Some(Carried::Send(stream, payload, is_data)) => self.send_data(stream, payload, is_data),
                Some(Carried::Delivered(message)) => self.on_message(id, message),
                Some(Carried::Failed) => self.lose(id, Lost::DataStreams),
            }
        }
    }

    fn send_data(&mut self, stream: StreamId, payload: longhaul_core::payload::Payload, is_data: bool) {
        let class = if is_data {
            &mut self.statistics.data
        } else {
            &mut self.statistics.acknowledgements
        };
        class.sent += payload.len();
        self.outputs.push_back(Output::Send { stream, payload });
    }

    /// A message of frames from a peer.
    fn on_message(&mut self, id: ClusterId, mut message: PayloadBuffer) {
        while !message.is_empty() {
            let next = message.pop_real(5).and_then(|head| {
                let length = u32::from_be_bytes(head[1..5].try_into().expect("4 bytes"));
                let priority = *Priority::ALL.get(usize::from(head[0]))?;
                Some((priority, message.pop_real(length as usize)?))
            });
            let Some((priority, frame)) = next else {
                // The transport has checked that these are the peer's bytes.
                self.statistics.errors += 1;
                self.lose(id, Lost::Malformed(crate::wire::FrameError::Range));
                return;
            };
            self.on_object_frame(id, priority, &frame);
        }
    }

    fn on_object_frame(&mut self, id: ClusterId, priority: Priority, frame: &Bytes) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let answer = peer.receiver.on_frame(now, frame);
        if answer.refused.is_some() {
            self.statistics.errors += 1;
        }
        if let Some(object) = answer.delivered
            && !object.id().as_str().starts_with(OBJECT_ID_PREFIX)
        {
            let kind = ObjectHeader::parse(frame).map(|header| header.kind);
            if matches!(kind, Ok(FrameKind::Delta | FrameKind::Identical)) {
                self.statistics.delta_applications += 1;
            }
            self.statistics.overtaken += u64::from(object.version() < peer.newest_delivered);
            peer.newest_delivered = peer.newest_delivered.max(object.version());
            match Record::parse(object.bytes().clone()) {
                Ok(record) => self.learn(id, object.id(), &record, priority),
                Err(_) => self.statistics.errors += 1,
            }
        }
        if let Some(reply) = answer.reply {
            self.tell(id, &Frame::Acknowledgement(reply));
        }
    }

    pub(super) fn on_acknowledgement(&mut self, id: ClusterId, reply: &Bytes) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if peer.sender.on_reply(now, reply).is_err() {
            self.statistics.errors += 1;
        }
    }

    fn end_synchronisation(&mut self, id: ClusterId) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let over = |it: &Synchronisation| {
            peer.in_flight.is_empty() && peer.encoded.is_empty() && !peer.outbox.has_before(it.until_place)
        };
        let Some(it) = peer.synchronisation.take_if(|it| over(it)) else {
            return;
        };
        self.event(Event::Synchronised {
            peer: id,
            changes: it.changes,
            value_bytes: it.value_bytes,
            frame_bytes: it.frame_bytes,
            took: now - it.began,
        });
    }
}
