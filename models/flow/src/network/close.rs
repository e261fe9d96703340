//! How connections end: both streams finished, given up by a side, or failed.

use longhaul_core::machine::CloseReason;
use longhaul_core::schedule::Schedule;
use longhaul_net::notice::{ConnectionId, Side, What};

use super::half::Item;
use super::{Flow, Network, Slot};

impl Network {
    /// Nothing more will be written on this side; what was written is still sent. Harmless when repeated or when the
    /// connection is closed.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn shutdown<S: Schedule>(&mut self, schedule: &mut S, connection: ConnectionId, side: Side) {
        let flow = Flow::new(connection, side);
        let Some(half) = self.half_mut(flow).filter(|half| !half.closed && !half.shutdown) else {
            return;
        };
        half.shutdown = true;
        if half.established && half.sender.is_done() {
            self.send_fin(schedule, flow);
        }
    }

    /// Gives the connection up on this side; the peer hears of it one way later. Harmless when the connection is
    /// closed.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn abort<S: Schedule>(&mut self, schedule: &mut S, connection: ConnectionId, side: Side) {
        let flow = Flow::new(connection, side);
        if self.half_mut(flow).is_some_and(|half| !half.closed) {
            self.fail(schedule, flow);
        }
    }

    /// The end of a stream that carries nothing more leaves by itself.
    pub(super) fn send_fin<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let half = self.active(flow);
        half.fin_sent = true;
        self.plan_one_way(schedule, flow, flow, Item::FinArrives);
    }

    /// The end of `flow`'s stream has reached the peer, with the last data or after it.
    pub(super) fn fin_arrives<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        self.active(flow).fin_sent = true;
        self.active(flow.peer()).peer_finished = true;
        self.notify(flow.peer(), What::PeerFinished);
        self.plan_one_way(schedule, flow.peer(), flow, Item::FinAcked);
        self.close_if_over(schedule, flow.peer());
    }

    /// Plans something for `whom` that the path of `over` brings.
    fn plan_one_way<S: Schedule>(&mut self, schedule: &mut S, over: Flow, whom: Flow, item: Item) {
        let path = self.active(over).path;
        let at = schedule.now().saturating_add(self.paths[path as usize].delay);
        let entity = self.entity(whom);
        let half = self.active(whom);
        half.plan(at, item);
        half.arm(schedule, entity);
    }

    pub(super) fn close_if_over<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        let half = self.active(flow);
        if half.fin_acked && half.peer_finished && !half.closed {
            half.closed = true;
            self.notify(flow, What::Closed(CloseReason::Finished));
            self.release_if_over(schedule, flow);
        }
    }

    /// This side is told that the connection has failed; the peer will be.
    pub(super) fn fail<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        self.notify(flow, What::Closed(CloseReason::Failed));
        let peer = self.active(flow.peer());
        if peer.established && !peer.closed {
            self.plan_one_way(schedule, flow, flow.peer(), Item::Reset);
        } else {
            // Nobody there has heard of the connection.
            peer.closed = true;
            peer.forget();
        }
        self.give_up(schedule, flow);
    }

    /// This side sends nothing more and is told nothing more.
    pub(super) fn give_up<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        self.deactivate(schedule, flow);
        let half = self.active(flow);
        half.closed = true;
        half.forget();
        half.disarm(schedule);
        self.release_if_over(schedule, flow);
    }

    /// Releases a connection once both sides have been told that it is over.
    fn release_if_over<S: Schedule>(&mut self, schedule: &mut S, flow: Flow) {
        if !self.active(flow.peer()).closed {
            return;
        }
        for flow in [flow, flow.peer()] {
            let half = self.active(flow);
            half.disarm(schedule);
            let stats = half.sender.stats;
            self.slots[flow.0 as usize] = Slot::Closed(stats);
        }
    }
}
