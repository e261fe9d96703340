//! XBZRLE in the format of QEMU (`docs/devel/migration/features.rst` and `migration/xbzrle.c` there describe it): a page is
//! a sequence of unchanged runs (length) and changed runs (length, bytes), lengths in ULEB128; a run of zeros at the end
//! is left out. What would not be shorter than the page is sent whole. Behind QEMU's own page header of 8 bytes and a
//! byte for the encoding come two bytes of length.

use longhaul_hde::PAGE_SIZE;

type Page = [u8; PAGE_SIZE];

const HEADER: usize = 8;
const WHOLE: u8 = 0;
const ENCODED: u8 = 1;

/// Appends a page.
pub fn encode(new: &Page, old: &Page, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; HEADER]);
    let start = out.len();
    out.extend_from_slice(&[ENCODED, 0, 0]);
    let mut at = 0;
    while at < PAGE_SIZE {
        let unchanged = run(new, old, at, |a, b| a == b);
        if at + unchanged == PAGE_SIZE {
            break;
        }
        let from = at + unchanged;
        let changed = run(new, old, from, |a, b| a != b);
        put(out, unchanged);
        put(out, changed);
        out.extend_from_slice(&new[from..from + changed]);
        at = from + changed;
    }
    let len = out.len() - start - 3;
    if len >= PAGE_SIZE {
        out.truncate(start);
        out.push(WHOLE);
        out.extend_from_slice(new);
    } else {
        out[start + 1..start + 3].copy_from_slice(&(len as u16).to_be_bytes());
    }
}

/// Brings a page up to date with what comes next.
pub fn decode(input: &mut &[u8], page: &mut Page) {
    take(input, HEADER);
    if take(input, 1)[0] == WHOLE {
        page.copy_from_slice(take(input, PAGE_SIZE));
        return;
    }
    let len = take(input, 2);
    let mut runs = take(input, usize::from(u16::from_be_bytes([len[0], len[1]])));
    let mut at = 0;
    while !runs.is_empty() {
        at += number(&mut runs);
        let changed = number(&mut runs);
        page[at..at + changed].copy_from_slice(take(&mut runs, changed));
        at += changed;
    }
}

/// How many bytes from `at` on are alike in this sense. Eight at a time where all are, as QEMU does.
fn run(new: &Page, old: &Page, at: usize, alike: impl Fn(u8, u8) -> bool) -> usize {
    let (new, old) = (&new[at..], &old[at..]);
    let words = new.chunks_exact(8).zip(old.chunks_exact(8));
    let whole = words
        .take_while(|(new, old)| new.iter().zip(*old).all(|(a, b)| alike(*a, *b)))
        .count()
        * 8;
    let rest = new[whole..].iter().zip(&old[whole..]);
    whole + rest.take_while(|(a, b)| alike(**a, **b)).count()
}

fn put(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(input: &mut &[u8]) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = take(input, 1)[0];
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}

fn take<'a>(input: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(len);
    *input = rest;
    taken
}
