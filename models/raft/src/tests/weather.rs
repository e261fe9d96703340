//! The network between members: parcels are lost, repeated, delayed, damaged and cut off.

use std::collections::BTreeSet;

use bytes::Bytes;
use longhaul_core::random::Stream;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use super::world::{Happening, World};
use crate::NodeId;

/// What is on its way between members.
#[derive(Clone, Debug)]
pub enum Parcel {
    Message(Bytes),
    Request(Bytes),
    Answer(Bytes),
}

/// What the network does to parcels.
#[derive(Clone, Debug)]
pub struct Weather {
    pub delay: (Span, Span),
    pub loss: Probability,
    pub duplication: Probability,
    pub damage: Probability,
    /// Directed pairs between which nothing passes.
    pub cut: BTreeSet<(NodeId, NodeId)>,
    /// Members to and from which everything takes ten times as long.
    pub slow: BTreeSet<NodeId>,
}

impl World {
    pub fn transmit(&mut self, from: NodeId, to: NodeId, parcel: &Parcel) {
        let weather = &self.weather;
        if weather.cut.contains(&(from, to)) || (from != to && self.random.chance(weather.loss)) {
            return;
        }
        let copies = 1 + u32::from(self.random.chance(weather.duplication));
        for _ in 0..copies {
            let (least, most) = self.weather.delay;
            let extra = self.random.below((most - least).as_ns() + 1);
            let mut delay = least + Span::from_ns(extra);
            if self.weather.slow.contains(&from) || self.weather.slow.contains(&to) {
                delay = delay * 10;
            }
            let parcel = match self.random.chance(self.weather.damage) {
                true => damaged(parcel, &mut self.random),
                false => parcel.clone(),
            };
            self.schedule(self.now + delay, Happening::Arrival { to, parcel });
        }
    }
}

/// A parcel with a few bits turned over or its end missing.
fn damaged(parcel: &Parcel, random: &mut Stream) -> Parcel {
    let damage = |bytes: &Bytes, random: &mut Stream| {
        let mut bytes = bytes.to_vec();
        if random.below(4) == 0 {
            bytes.truncate(random.below(bytes.len() as u64) as usize);
        } else {
            for _ in 0..=random.below(3) {
                let bit = random.below(bytes.len() as u64 * 8) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
        Bytes::from(bytes)
    };
    match parcel {
        Parcel::Message(bytes) => Parcel::Message(damage(bytes, random)),
        Parcel::Request(bytes) => Parcel::Request(damage(bytes, random)),
        Parcel::Answer(bytes) => Parcel::Answer(damage(bytes, random)),
    }
}
