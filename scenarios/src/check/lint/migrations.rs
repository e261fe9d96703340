//! Doubts about migrations.

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};

use crate::decode::PAGE;
use crate::schema::{Encoding, Memory, Migration, Mode, Pattern, Start, StopRule, Throttle, Vm};

use super::guests::never_writes;
use super::{Lint, Path, in_flight};

impl Lint<'_> {
    pub(super) fn migrations(&mut self) {
        let scenario = self.scenario;
        let mut earliest_end = BTreeMap::new();
        for (index, migration) in scenario.migrations.iter().enumerate() {
            let mut vms = scenario.vms.iter();
            let vm = vms
                .find(|vm| vm.name == migration.vm)
                .expect("a checked reference");
            let path = self.path(scenario.origin(index), &migration.to);
            let transport = migration.transport;
            let flight = in_flight(transport.streams.most(), transport.tcp).min(transport.window.as_bytes());
            self.fills(&format!("migrations[{index}].transport"), flight, &path);
            self.converges(index, migration, vm, &path);
            self.effects(index, migration, vm);
            earliest_end.insert(
                migration.name.as_str(),
                (least_time(migration, &vm.memory, &path), migration),
            );
        }
        for (index, migration) in scenario.migrations.iter().enumerate() {
            let start = earliest_start(migration, &earliest_end);
            let (least, _) = earliest_end[migration.name.as_str()];
            self.ends_in_time(&format!("migrations[{index}]"), start, least);
        }
    }

    /// Whether pre-copy without help can end at all.
    fn converges(&mut self, index: usize, migration: &Migration, vm: &Vm, path: &Path) {
        let (Mode::PreCopy, Throttle::None, Encoding::Raw) =
            (migration.mode, migration.throttle, migration.encoding)
        else {
            return;
        };
        // The other rules give up after some time.
        let (StopRule::Downtime { limit }, Memory::Generated { size, dirty, .. }) =
            (migration.stop, &vm.memory)
        else {
            return;
        };
        let pages = size.as_bytes() / PAGE;
        let working_set =
            u128::from(pages) * u128::from(dirty.working_set.as_parts()) / u128::from(Probability::PARTS);
        let rate = copy_rate(migration, path);
        let fits = u128::from(rate.bytes_in(limit)) >= working_set * u128::from(PAGE);
        // Writes to a page that is dirty already cost nothing, so this is a bound, reached by a large working set.
        let dirtied = BitRate::from_bits_per_s(dirty.pages_per_s.saturating_mul(8 * PAGE));
        if !fits && dirtied >= rate {
            let message =
                format!("may never converge: the guest dirties up to {dirtied}, and the path carries {rate}");
            self.warn(&format!("migrations[{index}].encoding"), message);
        }
    }

    /// Settings that change nothing.
    fn effects(&mut self, index: usize, migration: &Migration, vm: &Vm) {
        let mut doubts: Vec<(&[&str], &str)> = Vec::new();
        match migration.mode {
            Mode::PreCopy => {
                let why = "there is no post-copy, so this has no effect";
                doubts.extend([(&["preempt"][..], why), (&["max_postcopy_bandwidth"], why)]);
            }
            Mode::PostCopy => {
                let why = "there is no pre-copy, so this has no effect";
                let fields: [&[&str]; 4] =
                    [&["downtime_limit"], &["stop"], &["throttle"], &["max_bandwidth"]];
                doubts.extend(fields.map(|field| (field, why)));
            }
            Mode::Hybrid { .. } => {}
        }
        if migration.mode != Mode::PreCopy && never_writes(vm) && vm.reads.pages_per_s == 0 {
            let why = "the guest touches no memory, so it never waits for a page";
            doubts.push((&["mode"], why));
        }
        if migration.mode != Mode::PostCopy && migration.throttle != Throttle::None && never_writes(vm) {
            doubts.push((&["throttle"], "the guest never writes, so this has no effect"));
        }
        if migration.recover.is_some() && self.scenario.faults.is_empty() {
            doubts.push((&["recover"], "nothing fails, so this has no effect"));
        }
        for (field, why) in doubts {
            if self.written("migrations", index, field) {
                self.warn(
                    &format!("migrations[{index}].{}", field.join(".")),
                    why.to_owned(),
                );
            }
        }
    }
}

/// The rate at which a migration's memory can be copied.
fn copy_rate(migration: &Migration, path: &Path) -> BitRate {
    let limit = match migration.mode {
        Mode::PreCopy => migration.max_bandwidth,
        Mode::PostCopy => migration.max_postcopy_bandwidth,
        Mode::Hybrid { .. } => migration
            .max_bandwidth
            .zip(migration.max_postcopy_bandwidth)
            .map(|(before, after)| before.max(after)),
    };
    limit.map_or(path.rate, |limit| limit.min(path.rate))
}

/// The least time that a migration takes: what no encoding can take away from its memory, at the rate of its path, or
/// until it is cancelled. The shares are those of the patterns' entropy, or of their pages that are not zero.
fn least_time(migration: &Migration, memory: &Memory, path: &Path) -> Span {
    let bytes = least_bytes(migration.encoding, memory);
    let copying = copy_rate(migration, path).time_for(bytes);
    let around = migration
        .orchestration
        .before
        .saturating_add(migration.orchestration.after);
    let whole = copying.saturating_add(path.round_trip).saturating_add(around);
    migration
        .cancel_after
        .map_or(whole, |cancelled| cancelled.min(whole))
}

/// What no encoding can take away from a memory.
pub(super) fn least_bytes(encoding: Encoding, memory: &Memory) -> u64 {
    let percent = match (encoding, memory) {
        (_, Memory::Images { .. }) => 0,
        (encoding, Memory::Generated { pattern, .. }) => match (encoding, pattern) {
            (_, Pattern::Constant) => 100,
            (Encoding::Raw | Encoding::Xbzrle { .. }, Pattern::Sinusoidal) => 100,
            (Encoding::Raw | Encoding::Xbzrle { .. }, Pattern::RealWorld) => 69,
            (Encoding::Zstd { .. } | Encoding::Hde { .. }, Pattern::RealWorld) => 24,
            // Its runs are drawn at random: in a small memory there may be none.
            (_, Pattern::Bursty) | (Encoding::Zstd { .. } | Encoding::Hde { .. }, Pattern::Sinusoidal) => 0,
        },
    };
    let size = match memory {
        Memory::Generated { size, .. } => size.as_bytes(),
        Memory::Images { .. } => 0,
    };
    size / 100 * percent
}

/// The earliest start of a migration, if everything before it takes its least time.
fn earliest_start(migration: &Migration, least: &BTreeMap<&str, (Span, &Migration)>) -> Span {
    let mut start = Span::ZERO;
    let mut here = migration;
    loop {
        match &here.start {
            Start::At(at) => return start.saturating_add(*at),
            Start::After { migration, pause } => {
                let (time, before) = least[migration.as_str()];
                start = start.saturating_add(*pause).saturating_add(time);
                here = before;
            }
        }
    }
}
