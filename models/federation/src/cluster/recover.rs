//! Agreeing with a peer again: after every connection, and from time to time.

use longhaul_core::time::Instant;

use super::Cluster;
use crate::ClusterId;
use crate::event::Event;
use crate::outbox::{Change, Priority};
use crate::peer::Recovery;
use crate::reconcile::{Step, Talk};
use crate::wire::Frame;

impl Cluster {
    /// A connection is up: what waits leaves at once, then the states are compared.
    pub(super) fn recover(&mut self, id: ClusterId) {
        let peer = self.peers.get_mut(&id).expect("a peer");
        peer.released = peer.outbox.next_place();
        if peer.waiting() > 0 && peer.synchronisation.is_none() {
            self.begin_synchronisation(id);
        }
        self.compare(id);
    }

    /// Begins to compare the states.
    fn compare(&mut self, id: ClusterId) {
        let now = self.now;
        let options = &self.setup.options;
        let late_at = now.saturating_add(options.recovery_timeout);
        let peer = self.peers.get_mut(&id).expect("a peer");
        peer.next_comparison = Instant::MAX;
        peer.recovery = Some(Recovery {
            began: now,
            late_at: Some(late_at),
            until_place: peer.outbox.next_place(),
        });
        peer.reconciler.begin();
    }

    /// Something was dropped: a peer that is there is compared with at once, another one when it is back.
    pub(super) fn overflowed(&mut self, id: ClusterId, dropped: u64) {
        self.event(Event::Overflow { peer: id, dropped });
        if self
            .peers
            .get(&id)
            .is_some_and(|peer| peer.is_up() && peer.recovery.is_none())
        {
            self.compare(id);
        }
    }

    pub(super) fn on_talk(&mut self, id: ClusterId, talk: Talk) {
        let now = self.now;
        let options = &self.setup.options;
        let peer = self.peers.get_mut(&id).expect("a peer");
        if peer.recovery.is_none() && matches!(talk, Talk::Root { .. }) {
            // The peer finds it time to compare.
            peer.recovery = Some(Recovery {
                began: now,
                late_at: Some(now.saturating_add(options.recovery_timeout)),
                until_place: peer.outbox.next_place(),
            });
        }
        let room = peer.room(options);
        let step = peer.reconciler.on_talk(now, &self.state, talk, room);
        self.take_step(id, step);
    }

    /// Goes on with comparing as far as that is possible now.
    pub(super) fn serve_recovery(&mut self, id: ClusterId) {
        let now = self.now;
        let options = &self.setup.options;
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.is_up()) else {
            return;
        };
        if peer.next_comparison <= now {
            return self.compare(id);
        }
        let Some(recovery) = &mut peer.recovery else {
            return;
        };
        let sent = peer.in_flight.is_empty() && !peer.outbox.has_before(recovery.until_place);
        let late = recovery.late_at.take_if(|at| *at <= now).is_some();
        let step = if peer.reconciler.waits_for_sending() && sent {
            peer.reconciler.on_sent(now, &self.state)
        } else {
            let room = peer.room(options);
            peer.reconciler.on_room(now, &self.state, room)
        };
        if late {
            self.statistics.late_reconciliations += 1;
            self.event(Event::RecoveryLate { peer: id });
        }
        self.take_step(id, step);
    }

    fn take_step(&mut self, id: ClusterId, step: Step) {
        let now = self.now;
        for talk in step.talk {
            self.tell(id, &Frame::Reconcile(talk));
        }
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        for key in step.send {
            let Some(record) = self.state.get(&key) else {
                continue;
            };
            peer.outbox.push(Change {
                key,
                record: record.clone(),
                priority: Priority::Normal,
                at_once: true,
                since: now,
            });
        }
        if let Some(recovery) = &mut peer.recovery {
            recovery.until_place = peer.outbox.next_place();
            // Two clusters that disagree do not wait for the next synchronisation.
            peer.released = peer.outbox.next_place();
        }
        // What was dropped will differ in the next round.
        let _ = peer.outbox.take_overflow();
        if step.finished {
            self.agreed(id);
        }
    }

    fn agreed(&mut self, id: ClusterId) {
        let now = self.now;
        let interval = self.setup.options.encoding.baseline_interval;
        let peer = self.peers.get_mut(&id).expect("a peer");
        let Some(recovery) = peer.recovery.take() else {
            return;
        };
        if peer.dials {
            peer.next_comparison = now.saturating_add(interval);
        }
        let (rounds, differing_keys) = peer.reconciler.found();
        self.statistics.reconciliations += 1;
        self.statistics.reconciliation_rounds += u64::from(rounds);
        self.statistics.differing_keys += differing_keys;
        self.event(Event::Reconciled {
            peer: id,
            rounds,
            differing_keys,
            took: now - recovery.began,
        });
    }
}
