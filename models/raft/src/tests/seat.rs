//! The clients of a world and their calls.

use std::collections::BTreeMap;

use bytes::Buf;
use longhaul_core::time::{Instant, Span};

use super::registers::{Call, Operation};
use super::weather::Parcel;
use super::world::{Happening, World};
use crate::client::{ClientConfig, ClientOutput, Ticket};
use crate::history::Timed;
use crate::{Client, NodeId};

/// A client, and what it still wants.
pub struct Seat {
    pub client: Client,
    pub wake: Option<(Instant, u64)>,
    pub calls_left: u32,
    pub under_way: BTreeMap<Ticket, usize>,
    pub think: Span,
}

impl World {
    pub fn seat_clients(&mut self) {
        let ids: Vec<NodeId> = self.members.keys().copied().collect();
        for number in 0..self.plan.clients {
            let config = ClientConfig {
                home: ids[number as usize % ids.len()],
                client: number,
                members: ids.clone(),
                patience: self.plan.patience,
                give_up: None,
                window: self.plan.window,
                room: 1_000,
            };
            self.seats.push(Seat {
                client: Client::new(config),
                wake: None,
                calls_left: self.plan.calls,
                under_way: BTreeMap::new(),
                think: self.plan.think,
            });
            self.schedule(
                Instant::from_ns(u64::from(number)),
                Happening::Call(number as usize),
            );
        }
    }

    pub fn call(&mut self, number: usize) {
        let (now, keys) = (self.now, u64::from(self.plan.keys));
        let seat = &mut self.seats[number];
        if seat.calls_left == 0 {
            return;
        }
        let key = self.random.below(keys) as u8;
        let value = self.random.below(5);
        let operation = match self.random.below(6) {
            0 => Operation::Put(value),
            1 | 2 => Operation::Add(1 << (8 * self.random.below(4))),
            3 => Operation::Swap(value, self.random.below(5)),
            _ => Operation::Get,
        };
        let operation = if number < self.plan.readers as usize {
            Operation::Get
        } else {
            operation
        };
        let (kind, bytes) = operation.encode(key);
        let ticket = match operation {
            Operation::Get => seat.client.read(now, bytes),
            _ => seat.client.command(now, kind, bytes),
        };
        if let Ok(ticket) = ticket {
            seat.calls_left -= 1;
            seat.under_way.insert(ticket, self.calls.len());
            let call = Call {
                operation,
                returned: None,
            };
            let timed = Timed {
                called: now,
                returned: None,
                call,
            };
            self.calls.push((key, timed));
        }
        let think = self.random.below(2 * seat.think.as_ns().max(1));
        self.schedule(now + Span::from_ns(think), Happening::Call(number));
        self.serve_client(number);
    }

    pub fn serve_client(&mut self, number: usize) {
        let now = self.now;
        let seat = &mut self.seats[number];
        let home = NodeId(number as u32 % self.members.len() as u32);
        let mut sent = Vec::new();
        while let Some(output) = seat.client.poll() {
            match output {
                ClientOutput::Send { to, request } => sent.push((to, request)),
                ClientOutput::Done { ticket, mut data } => {
                    let call = seat.under_way.remove(&ticket).expect("a call under way");
                    let timed = &mut self.calls[call].1;
                    timed.returned = Some(now);
                    timed.call.returned = Some(data.get_u64());
                }
                ClientOutput::Failed { ticket, .. } => {
                    seat.under_way.remove(&ticket);
                }
            }
        }
        let wake = seat.client.wake_at().map(|at| at.max(now));
        if let Some(before) = seat.wake.take() {
            self.queue.remove(&before);
        }
        if let Some(at) = wake {
            let key = self.schedule(at, Happening::ClientWake(number));
            self.seats[number].wake = Some(key);
        }
        for (to, request) in sent {
            self.transmit(home, to, &Parcel::Request(request.to_bytes()));
        }
    }
}
