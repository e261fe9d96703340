//! What a frame's body says: copies and literals, laid out column by column.
//!
//! An object is the concatenation of *steps*: some literal bytes, then a copy. Copies address one space in which the
//! referenced objects lie one after the other and the result itself comes last, as far as it has been built (the
//! address space of VCDIFF, RFC 3284 section 2, with more than one source). An address is written as its distance from
//! the place where the last copy would have gone on, so a change in place costs one zero.
//!
//! Body: three columns (literal lengths, copy lengths, address distances), each a varint length and varints, then
//! all literals. The last step copies nothing and carries the rest; it has no entry in the other columns.

use crate::object::ObjectError;
use crate::varint;

/// A shorter copy than this is never written: its step would cost as much.
pub(super) const MIN_COPY: usize = 8;

/// Literal bytes of the target, then a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// Literal bytes before the copy.
    pub(super) literal: usize,
    /// Bytes copied.
    pub(super) copy: usize,
    /// From where in the address space.
    pub(super) from: usize,
}

/// The lengths of the sources, as one address space.
#[derive(Clone, Debug)]
pub(super) struct AddressSpace {
    /// Where each source ends.
    ends: Vec<usize>,
}

impl AddressSpace {
    /// The space of sources with these lengths.
    pub(super) fn new(lengths: impl Iterator<Item = usize>) -> AddressSpace {
        let mut end = 0;
        let ends = lengths.map(|len| {
            end += len;
            end
        });
        AddressSpace { ends: ends.collect() }
    }

    /// Where the result begins.
    pub(super) fn result_start(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Where a source begins.
    pub(super) fn start(&self, source: usize) -> usize {
        if source == 0 { 0 } else { self.ends[source - 1] }
    }

    /// The source in which an address lies, and where in it; `None` for the result.
    fn locate(&self, address: usize) -> Option<(usize, usize)> {
        let source = self.ends.partition_point(|end| *end <= address);
        (source < self.ends.len()).then(|| (source, address - self.start(source)))
    }
}

/// Takes sources from which nothing is copied out of the address space of `steps`; says which ones stay.
pub(super) fn drop_unused(steps: &mut [Step], lengths: &[usize]) -> Vec<bool> {
    let space = AddressSpace::new(lengths.iter().copied());
    let mut used = vec![false; lengths.len()];
    for step in steps.iter() {
        if let Some((source, _)) = space.locate(step.from) {
            used[source] = true;
        }
    }
    // How far each source moves down, and the result behind them all.
    let mut dropped = 0;
    let mut moves = Vec::with_capacity(lengths.len() + 1);
    for (len, used) in lengths.iter().zip(&used) {
        moves.push(dropped);
        dropped += if *used { 0 } else { *len };
    }
    moves.push(dropped);
    for step in steps {
        let source = space
            .locate(step.from)
            .map_or(lengths.len(), |(source, _)| source);
        step.from -= moves[source];
    }
    used
}

/// Writes steps and the literals between them into `body`.
///
/// `target` is the whole object; its bytes after the last step are literals.
pub(super) fn write(steps: &[Step], target: &[u8], body: &mut Vec<u8>) {
    let mut columns: [Vec<u8>; 3] = [const { Vec::new() }; 3];
    let mut expected = 0;
    for step in steps {
        varint::put(&mut columns[0], step.literal as u64);
        varint::put(&mut columns[1], step.copy as u64);
        let expected_from = expected + step.literal;
        let distance = step.from.cast_signed() - expected_from.cast_signed();
        varint::put_signed(&mut columns[2], distance as i64);
        expected = step.from + step.copy;
    }
    for column in &columns {
        varint::put(body, column.len() as u64);
        body.extend_from_slice(column);
    }
    let mut at = 0;
    for step in steps {
        body.extend_from_slice(&target[at..at + step.literal]);
        at += step.literal + step.copy;
    }
    body.extend_from_slice(&target[at..]);
}

/// Builds the object that `body` describes from `sources`. It must come to `result_len` bytes, which the caller has
/// bounded.
pub(super) fn apply(body: &[u8], sources: &[&[u8]], result_len: usize) -> Result<Vec<u8>, ObjectError> {
    let mut rest = body;
    let mut column = || {
        let len = varint::take(&mut rest).and_then(|len| usize::try_from(len).ok())?;
        let (column, after) = rest.split_at_checked(len)?;
        rest = after;
        Some(column)
    };
    let columns = (column(), column(), column());
    let (Some(mut literal_lengths), Some(mut copy_lengths), Some(mut distances)) = columns else {
        return Err(ObjectError::Malformed("columns cut off"));
    };
    let mut literals = rest;
    let space = AddressSpace::new(sources.iter().map(|source| source.len()));
    // The literals are there and bound what they can give; copies are checked one by one against the length.
    let mut result = Vec::with_capacity(result_len);
    let mut expected = 0usize;
    while !copy_lengths.is_empty() {
        let step = take_step(&mut literal_lengths, &mut copy_lengths, &mut distances, expected)
            .ok_or(ObjectError::Malformed("step"))?;
        let (literal, after) = literals
            .split_at_checked(step.literal)
            .ok_or(ObjectError::Malformed("literals cut off"))?;
        literals = after;
        let room = result_len - result.len();
        if step.literal.checked_add(step.copy).is_none_or(|len| len > room) {
            return Err(ObjectError::Malformed("steps beyond the length of the object"));
        }
        result.extend_from_slice(literal);
        copy(&space, sources, step, &mut result).ok_or(ObjectError::Malformed("copy from nowhere"))?;
        expected = step.from + step.copy;
    }
    if !literal_lengths.is_empty() || !distances.is_empty() {
        return Err(ObjectError::Malformed("columns of different lengths"));
    }
    if literals.len() != result_len - result.len() {
        return Err(ObjectError::Malformed("literals do not fill the object"));
    }
    result.extend_from_slice(literals);
    Ok(result)
}

/// The next step; `None` for one that no encoder writes.
fn take_step(
    literal_lengths: &mut &[u8],
    copy_lengths: &mut &[u8],
    distances: &mut &[u8],
    expected: usize,
) -> Option<Step> {
    let literal = usize::try_from(varint::take(literal_lengths)?).ok()?;
    let copy = usize::try_from(varint::take(copy_lengths)?).ok()?;
    let distance = isize::try_from(varint::take_signed(distances)?).ok()?;
    let from = expected.checked_add(literal)?.checked_add_signed(distance)?;
    // The end must be an address as well: the next one is counted from there.
    from.checked_add(copy)?;
    (copy >= MIN_COPY).then_some(Step { literal, copy, from })
}

/// Appends what a step copies; `None` if that is not within one source or within the result so far.
fn copy(space: &AddressSpace, sources: &[&[u8]], step: Step, result: &mut Vec<u8>) -> Option<()> {
    match space.locate(step.from) {
        Some((source, at)) => {
            let piece = sources[source].get(at..at + step.copy)?;
            result.extend_from_slice(piece);
        }
        None => {
            let at = step.from - space.result_start();
            if at + step.copy > result.len() {
                return None;
            }
            result.extend_from_within(at..at + step.copy);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(literal: usize, copy: usize, from: usize) -> Step {
        Step { literal, copy, from }
    }

    #[test]
    fn steps_copy_from_every_source_and_from_the_result() {
        let sources: [&[u8]; 3] = [b"0123456789", b"", b"abcdefghij"];
        let steps = [step(2, 8, 1), step(0, 8, 12), step(1, 10, 20)];
        let target = b"xy12345678cdefghijzxy12345678!";
        let mut body = Vec::new();
        write(&steps, target, &mut body);
        assert_eq!(apply(&body, &sources, target.len()).unwrap(), target);
    }

    #[test]
    fn sources_that_are_not_used_leave_the_address_space() {
        let sources: [&[u8]; 4] = [b"0123456789", b"", b"abcdefghij", b"ABCDEFGHIJ"];
        let mut steps = [step(2, 8, 12), step(0, 9, 30)];
        let target = b"xycdefghijxycdefghi!";
        let lengths = sources.map(<[u8]>::len);
        let used = drop_unused(&mut steps, &lengths);
        assert_eq!(used, [false, false, true, false]);
        assert_eq!(steps, [step(2, 8, 2), step(0, 9, 10)]);
        let mut body = Vec::new();
        write(&steps, target, &mut body);
        assert_eq!(apply(&body, &[sources[2]], target.len()).unwrap(), target);
    }

    #[test]
    fn a_copy_must_lie_within_one_source_or_what_was_built() {
        let sources: [&[u8]; 2] = [b"0123456789", b"abcdefghij"];
        for from in [3, 13, 19, 20, 21, 100] {
            let mut body = Vec::new();
            write(&[step(2, 8, from)], b"xy--------", &mut body);
            assert_eq!(
                apply(&body, &sources, 10),
                Err(ObjectError::Malformed("copy from nowhere")),
                "from {from}"
            );
        }
    }

    #[test]
    fn a_change_in_place_costs_three_bytes_and_its_literal() {
        let target = [7; 100];
        let mut body = Vec::new();
        write(&[step(0, 50, 0), step(1, 49, 51)], &target, &mut body);
        assert_eq!(body.len(), 3 + 2 * 3 + 1);
    }
}
