//! Messages from the transport to those whom they concern, after the time that decoding takes.

use bytes::Bytes;
use longhaul_amst::Priority;
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::Span;
use longhaul_memory::GuestMemory;

use super::{Destination, State};
use crate::DestinationFailure;
use crate::wire::data::Message;
use crate::wire::pages;

/// A message: its real bytes, and how many synthetic ones follow.
#[derive(Debug)]
pub(super) struct Incoming {
    pub real: Bytes,
    pub synthetic: u64,
}

impl Incoming {
    fn of(mut content: PayloadBuffer) -> Result<Incoming, DestinationFailure> {
        let (mut parts, mut synthetic): (Vec<Bytes>, u64) = (Vec::new(), 0);
        while let Some(piece) = content.pop(u64::MAX) {
            match piece {
                Payload::Real(bytes) if synthetic == 0 => parts.push(bytes),
                Payload::Real(_) => return Err(DestinationFailure::Message),
                Payload::Synthetic(bytes) => synthetic += bytes,
            }
        }
        let real = match parts.len() {
            1 => parts.swap_remove(0),
            _ => parts.concat().into(),
        };
        Ok(Incoming { real, synthetic })
    }

    /// Bytes of all of it.
    pub fn len(&self) -> u64 {
        self.real.len() as u64 + self.synthetic
    }
}

impl<M: GuestMemory> Destination<M> {
    pub(super) fn on_delivered(&mut self, priority: Priority, content: PayloadBuffer) {
        let incoming = match Incoming::of(content) {
            Ok(incoming) => incoming,
            Err(_) if self.is_over() => return,
            Err(reason) => return self.refuse(reason),
        };
        let takes = self.decoding_time(&incoming);
        let pipeline = match priority {
            Priority::Bulk => &mut self.bulk,
            Priority::Control => &mut self.urgent,
        };
        match pipeline {
            Some(pipeline) => pipeline.submit(self.now, takes, incoming),
            None => self.on_incoming(priority, &incoming),
        }
    }

    fn decoding_time(&self, incoming: &Incoming) -> Span {
        match self.options.cost {
            Some(cost) if !Message::is_meant(&incoming.real) => {
                let work = self.sequences.work_of(incoming);
                cost.decode(&work, incoming.len())
            }
            _ => Span::ZERO,
        }
    }

    /// Takes in the next message that is decoded; whether there was one.
    pub(super) fn decode_next(&mut self) -> bool {
        let now = self.now;
        let urgent = self.urgent.as_mut().and_then(|pipeline| pipeline.pop(now));
        let next = match urgent {
            Some(incoming) => Some((Priority::Control, incoming)),
            None => {
                let bulk = self.bulk.as_mut().and_then(|pipeline| pipeline.pop(now));
                bulk.map(|incoming| (Priority::Bulk, incoming))
            }
        };
        next.is_some_and(|(priority, incoming)| {
            self.on_incoming(priority, &incoming);
            true
        })
    }

    fn on_incoming(&mut self, priority: Priority, incoming: &Incoming) {
        if Message::is_meant(&incoming.real) {
            let message = Message::parse(&incoming.real);
            match message {
                // What has been decided stays decided, and the source may ask.
                Some(Message::Query) if incoming.synthetic == 0 => self.on_query(),
                _ if self.is_over() => {}
                Some(message) => {
                    if let Err(reason) = self.on_message(message, incoming.synthetic) {
                        self.refuse(reason);
                    }
                }
                None => self.refuse(DestinationFailure::Message),
            }
        } else if !self.is_over()
            && let Err(reason) = self.on_frame(priority, incoming)
        {
            self.refuse(reason);
        }
    }

    fn on_message(&mut self, message: Message, synthetic: u64) -> Result<(), DestinationFailure> {
        let receiving = self.state == State::Receiving;
        match message {
            Message::DeviceState if receiving => {
                self.device_bytes = self.device_bytes.saturating_add(synthetic);
                Ok(())
            }
            _ if synthetic > 0 => Err(DestinationFailure::Message),
            Message::Dirty(part) if receiving => {
                pages::add_part(&part, &mut self.dirty).ok_or(DestinationFailure::Message)
            }
            Message::Package(package) if receiving => self.on_package(&package),
            Message::End(end) if receiving => self.on_end(end),
            Message::End(end) => {
                self.end = Some(end);
                self.finish_postcopy()
            }
            Message::DeviceState | Message::Dirty(_) | Message::Package(_) | Message::Query => {
                Err(DestinationFailure::Message)
            }
        }
    }
}
