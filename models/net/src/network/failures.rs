//! Links that fail and come back, and routers that go round them.

use longhaul_core::time::Instant;
use longhaul_core::units::BitRate;

use crate::network::Network;
use crate::routing::LinkId;

impl Network {
    /// A link fails: what is in it is lost, and what is sent over it until it is back. Routers do not know of it
    /// before [`Network::converge`].
    ///
    /// # Panics
    /// If it is not of this network, or down already.
    pub fn fail(&mut self, now: Instant, link: LinkId) {
        self.links[link.0 as usize].fail(now);
    }

    /// A link is back, empty and idle. It carries what is sent over it at once; routers that went round it do so
    /// until [`Network::converge`].
    ///
    /// # Panics
    /// If it is not of this network, or not down.
    pub fn restore(&mut self, now: Instant, link: LinkId) {
        self.links[link.0 as usize].restore(now);
    }

    /// The mean rate of a link's background traffic from now on.
    ///
    /// # Panics
    /// If it is not of this network, or was made without background traffic.
    pub fn set_background_rate(&mut self, now: Instant, link: LinkId, rate: BitRate) {
        self.links[link.0 as usize].set_background_rate(now, rate);
    }

    /// From now on every region forwards by the best routes over the links that `usable` has, by their numbers. A
    /// packet on its way goes on from where it arrives next.
    ///
    /// # Panics
    /// If there are not so many links.
    pub fn converge(&mut self, usable: &[bool]) {
        self.forwarding.converge(self.topology.graph(), usable);
    }
}
