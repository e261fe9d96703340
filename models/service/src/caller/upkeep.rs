//! Upkeep: connections that are opened and lost, names, health, and replicas that are left out.

use longhaul_core::machine::Output;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_resilience::Failure;
use longhaul_resilience::health::{HealthOutput, Reply};

use super::{Caller, Driver};
use crate::record::{CallerEvent, LostConnection};
use crate::target::{Link, Target};
use crate::wire::Frame;

impl Caller {
    pub(super) fn connect<E>(&mut self, now: Instant, place: usize, driver: &mut Driver<'_, E>) {
        let stream = driver.numbers.next();
        let target = &mut self.targets[place];
        let until = now.saturating_add(self.options.connection.connect_timeout);
        target.link = Link::Opening { stream, until };
        self.statistics.connections += 1;
        driver.outputs.push_back(Output::Open {
            stream,
            peer: target.peer,
        });
    }

    /// Takes note of how a replica did, and leaves it out if it did badly too often.
    pub(super) fn judge(&mut self, now: Instant, place: usize, ok: bool) {
        let Some(options) = self.options.ejection else {
            return;
        };
        if !self.targets[place].note_end(ok, &options) {
            return;
        }
        let ejected = self.targets.iter().filter(|target| target.is_ejected()).count();
        let allowed = share_of(options.share_max, self.candidates.len()).max(1);
        if ejected < allowed {
            let target = &mut self.targets[place];
            let span = target.eject(now, &options);
            self.statistics.ejections += 1;
            self.events.push_back(CallerEvent::Ejected {
                peer: target.peer,
                span,
            });
        }
    }

    /// Does what the monitor of the replicas' health asks for.
    pub(super) fn drain_monitor<E>(&mut self, now: Instant, driver: &mut Driver<'_, E>) {
        let Some(monitor) = &mut self.monitor else { return };
        monitor.wake(now);
        while let Some(monitor) = &mut self.monitor {
            match monitor.poll() {
                HealthOutput::Ask { check, round } => self.ask(now, check, round, driver),
                HealthOutput::Changed { check, healthy, .. } => {
                    let target = &mut self.targets[check];
                    target.down = !healthy;
                    let peer = target.peer;
                    self.events.push_back(CallerEvent::Health { peer, healthy });
                }
                HealthOutput::WakeAt { at } => {
                    self.monitor_wake = Some(at);
                    return;
                }
                HealthOutput::Idle => {
                    self.monitor_wake = None;
                    return;
                }
            }
        }
    }

    /// Asks a replica for its health.
    pub(super) fn ask<E>(&mut self, now: Instant, place: usize, number: u64, driver: &mut Driver<'_, E>) {
        let target = &mut self.targets[place];
        target.asked = Some(number);
        match target.link {
            Link::Up { stream } => driver.send(stream, &Frame::Ping { number }),
            Link::Opening { .. } => {}
            Link::Pause { until } if now < until => self.cannot_answer(now, place),
            Link::Pause { .. } | Link::None => self.connect(now, place, driver),
        }
    }

    /// A replica that was asked for its health cannot answer.
    pub(super) fn cannot_answer(&mut self, now: Instant, place: usize) {
        if let (Some(number), Some(monitor)) = (self.targets[place].asked.take(), &mut self.monitor) {
            monitor.answer(now, place, number, Reply::Dead);
        }
    }

    /// The addresses were found.
    pub(super) fn on_addresses<E>(&mut self, now: Instant, driver: &mut Driver<'_, E>) {
        self.candidates.clear();
        for peer in self.names.addresses() {
            let known = self.targets.iter().position(|target| target.peer == *peer);
            let place = known.unwrap_or_else(|| {
                // An address that is not one of the service: how far it is, nobody knows.
                self.targets.push(Target::new(*peer, Span::MAX));
                self.targets.len() - 1
            });
            if !self.candidates.contains(&place) {
                self.candidates.push(place);
            }
        }
        self.events.push_back(CallerEvent::Resolved {
            addresses: self.names.addresses().to_vec(),
        });
        for waiting in std::mem::take(&mut self.nameless) {
            self.direct(now, waiting, driver);
        }
    }

    /// What time brings for one replica.
    pub(super) fn look_after<E>(&mut self, now: Instant, place: usize, driver: &mut Driver<'_, E>) {
        let target = &mut self.targets[place];
        if target.forgive(now) {
            self.events.push_back(CallerEvent::Restored { peer: target.peer });
        }
        if let Link::Opening { until, .. } = target.link
            && until <= now
        {
            self.lose(now, place, LostConnection::ConnectTimeout, driver);
            return;
        }
        if let (Some(silence), Some(since)) = (self.options.connection.silence, target.owes_since)
            && since.saturating_add(silence) <= now
        {
            self.lose(now, place, LostConnection::Silence, driver);
        }
    }

    /// Gives a connection up.
    pub(super) fn lose<E>(
        &mut self,
        now: Instant,
        place: usize,
        why: LostConnection,
        driver: &mut Driver<'_, E>,
    ) {
        if let Some(stream) = self.targets[place].stream() {
            driver.outputs.push_back(Output::Abort { stream });
        }
        self.disconnected(now, place, why);
    }

    /// A connection is no more.
    pub(super) fn disconnected(&mut self, now: Instant, place: usize, why: LostConnection) {
        let draw = self.random.unit();
        let target = &mut self.targets[place];
        target.pause(now, &self.options.connection, draw);
        target.unsent.clear();
        self.statistics.lost_connections += 1;
        self.events.push_back(CallerEvent::Disconnected {
            peer: target.peer,
            why,
            open: target.open.len() as u64,
        });
        let open = target.open.clone();
        for at in open {
            self.attempt_failed(now, at, Failure::Unreachable);
            self.judge(now, place, false);
        }
        self.cannot_answer(now, place);
        // What the monitor has to say is heard when it wants to wake, at once.
        self.monitor_wake = self.monitor.as_ref().map(|_| now);
    }
}

/// A share of a small number, rounded down.
fn share_of(share: Probability, of: usize) -> usize {
    // No more than `of`.
    (u128::from(share.as_parts()) * of as u128 / u128::from(Probability::PARTS)) as usize
}
