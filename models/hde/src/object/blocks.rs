//! Block delta: fixed blocks by position, and the arithmetic of the system that it comes from.

use crate::object::ops::Step;

/// Bytes of a block.
pub const BLOCK_SIZE: usize = 4096;

/// The original system used a block delta if at most this share of the bytes had changed, in percent.
pub const SEED_EFFICIENT_CHANGE: u64 = 70;

/// The steps that build `target` from the blocks of `baseline` at the same positions.
pub(super) fn find_steps(target: &[u8], baseline: &[u8]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut literal_start = 0;
    // The last block of the baseline may be short; it is copied only where the target has the same short block.
    for (number, (block, old)) in target
        .chunks(BLOCK_SIZE)
        .zip(baseline.chunks(BLOCK_SIZE))
        .enumerate()
    {
        if block != old || block.len() < super::ops::MIN_COPY {
            continue;
        }
        let position = number * BLOCK_SIZE;
        match steps.last_mut() {
            Some(last) if literal_start == position => last.copy += block.len(),
            _ => steps.push(Step {
                literal: position - literal_start,
                copy: block.len(),
                from: position,
            }),
        }
        literal_start = position + block.len();
    }
    steps
}

/// The size of the block delta that the original system would have sent, in bytes; `None` where it sent the whole.
///
/// Its encoding was: the id and its length (1 byte), a count (4), per block of the longer version a kind, a position and
/// a length (17), and per changed block its length (4) and its bytes, whole. It was used if at most 70 % of the
/// bytes lay in changed blocks and the delta came to less than half of the data. Ours differs: unchanged neighbours
/// are one copy of a few bytes, the literals are compressed, and there is a header with the names and hashes of baseline
/// and result, which the original lacked; shrinking, which it could not encode, is a length.
pub fn seed_block_delta(id_len: usize, old: &[u8], new: &[u8]) -> Option<u64> {
    let blocks = old.len().max(new.len()).div_ceil(BLOCK_SIZE) as u64;
    let (mut changed_bytes, mut encoded) = (0u64, id_len as u64 + 1 + 4 + 17 * blocks);
    for (number, block) in new.chunks(BLOCK_SIZE).enumerate() {
        if old.chunks(BLOCK_SIZE).nth(number) != Some(block) {
            changed_bytes += block.len() as u64;
            encoded += 4 + block.len() as u64;
        }
    }
    let len = new.len() as u64;
    let efficient = changed_bytes * 100 <= len * SEED_EFFICIENT_CHANGE && encoded * 2 < len;
    efficient.then_some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arithmetic_of_the_original_block_delta() {
        let old = vec![1; 64 << 10];
        let mut new = old.clone();
        new[30_000] = 2;
        assert_eq!(seed_block_delta(11, &old, &new), Some(4388));

        let old = vec![1; 1 << 20];
        let mut new = old.clone();
        new[5] = 2;
        assert_eq!(seed_block_delta(11, &old, &new), Some(8468));
        for block in 0..64 {
            new[block * 4 * BLOCK_SIZE] = 3;
        }
        assert_eq!(seed_block_delta(11, &old, &new), Some(266_768));
        for block in 0..180 {
            new[block * BLOCK_SIZE] = 4;
        }
        assert_eq!(seed_block_delta(11, &old, &new), None, "more than 70 % changed");
    }

    #[test]
    fn neighbouring_blocks_are_one_copy() {
        let old = vec![1; 10 * BLOCK_SIZE + 100];
        let mut new = old.clone();
        new[4 * BLOCK_SIZE] = 2;
        let steps = find_steps(&new, &old);
        let copy = |literal, copy, from| Step { literal, copy, from };
        assert_eq!(
            steps,
            [
                copy(0, 4 * BLOCK_SIZE, 0),
                copy(BLOCK_SIZE, 5 * BLOCK_SIZE + 100, 5 * BLOCK_SIZE)
            ]
        );
    }
}
