//! Which of several paths a flow takes: all packets of a flow the same one, flows evenly or by weight, and as few
//! flows as possible another one when the set of paths changes.
//!
//! Rendezvous hashing (D. G. Thaler and C. V. Ravishankar, 1998): every choice gets a score from a hash of the flow
//! and of the choice's own key, and the highest wins. A choice that leaves takes only its own flows along, one that
//! joins takes its share from each of the others, and no choice depends on the order of the list. With weights the score is
//! −w / ln(h), for h uniform in (0, 1).

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What tells flows apart. IPv4 addresses are written as IPv4-mapped IPv6 addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FlowKey {
    /// Source address.
    pub source: u128,
    /// Destination address.
    pub destination: u128,
    /// Source port; 0 where the protocol has none.
    pub source_port: u16,
    /// Destination port; 0 where the protocol has none.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
}

impl FlowKey {
    /// A hash that depends on every part and on the seed. Routers in a row need different seeds, or the second
    /// sees only flows that the first sorted, and sends all of them one way ("hash polarisation").
    pub fn hash(&self, seed: u64) -> u64 {
        let mut bytes = [0; 37];
        bytes[..16].copy_from_slice(&self.source.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.destination.to_le_bytes());
        bytes[32..34].copy_from_slice(&self.source_port.to_le_bytes());
        bytes[34..36].copy_from_slice(&self.destination_port.to_le_bytes());
        bytes[36] = self.protocol;
        xxh3_64_with_seed(&bytes, seed)
    }
}

/// The place of the choice that a flow takes, by the [hash](FlowKey::hash) of the flow and the keys of the choices
/// (such as [`crate::Link::key`]), all equally likely. `None` if there are no choices.
pub fn choose(flow: u64, keys: impl IntoIterator<Item = u64>) -> Option<usize> {
    let scored = keys
        .into_iter()
        .enumerate()
        .map(|(place, key)| (mix(flow, key), key, place));
    scored.max().map(|(_, _, place)| place)
}

/// As [`choose`], with each choice as likely as its weight says; one of weight 0 is never taken.
pub fn choose_weighted(flow: u64, choices: impl IntoIterator<Item = (u64, u64)>) -> Option<usize> {
    let mut best: Option<(f64, u64, usize)> = None;
    for (place, (key, weight)) in choices.into_iter().enumerate() {
        if weight == 0 {
            continue;
        }
        // Odd multiples of 2^-54: never 0 or 1.
        let uniform = ((mix(flow, key) >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64);
        let score = weight as f64 / -libm::log(uniform);
        if best.is_none_or(|(known, known_key, _)| (score, key) > (known, known_key)) {
            best = Some((score, key, place));
        }
    }
    best.map(|(_, _, place)| place)
}

/// `total` in parts proportional to the weights, which add up to it exactly: each is rounded down, and what is left
/// goes to the largest remainders, of equal ones to the first. All parts are 0 if all weights are.
pub fn split(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    // Weights are halved until the product with the total fits.
    let shift = (128 - sum.leading_zeros()).saturating_sub(64);
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight >> shift)).sum();
    let share = |weight: u64| u128::from(total) * u128::from(weight >> shift);
    let mut parts: Vec<u64> = weights
        .iter()
        .map(|&weight| (share(weight) / sum) as u64)
        .collect();
    let left = total - parts.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&place| (std::cmp::Reverse(share(weights[place]) % sum), place));
    for &place in order.iter().take(left as usize) {
        parts[place] += 1;
    }
    parts
}

/// A hash of two hashes: the finaliser of SplitMix64 over their combination.
fn mix(flow: u64, key: u64) -> u64 {
    let mut x = flow ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
