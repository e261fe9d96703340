//! Doubts about virtual machines.

use crate::schema::{Memory, Mode, Vm};

use super::Lint;

impl Lint<'_> {
    pub(super) fn guests(&mut self) {
        let scenario = self.scenario;
        for (index, vm) in scenario.vms.iter().enumerate() {
            let mut migrations = scenario
                .migrations
                .iter()
                .filter(|migration| migration.vm == vm.name);
            let mut replications = scenario.replications.iter();
            let replicated = replications.any(|replication| replication.vms.contains(&vm.name));
            if migrations.clone().next().is_none() && !replicated {
                let message = format!("`{}` neither migrates nor is it replicated", vm.name);
                self.warn(&format!("vms[{index}]"), message);
            } else if migrations.all(|migration| migration.mode == Mode::PreCopy) && vm.reads.pages_per_s > 0
            {
                let message =
                    "without post-copy nobody waits for what the guest reads, so `reads` has no effect";
                self.warn(&format!("vms[{index}].reads"), message.to_owned());
            }
            if let Memory::Images { files, .. } = &vm.memory
                && files.len() == 1
            {
                let message = "one image never changes, so `interval` has no effect".to_owned();
                self.warn(&format!("vms[{index}].memory.interval"), message);
            }
            if never_writes(vm) {
                let fields = ["working_set", "locality", "bytes_per_write"];
                self.idle(index, "writes", &["memory", "dirty"], &fields);
            }
            if vm.reads.pages_per_s == 0 {
                self.idle(index, "reads", &["reads"], &["working_set", "locality"]);
            }
        }
    }

    /// Says of those of the `fields` that are written that nothing comes of them.
    fn idle(&mut self, vm: usize, does: &str, parents: &[&str], fields: &[&str]) {
        for field in fields {
            let path = [parents, &[*field]].concat();
            if self.written("vms", vm, &path) {
                let message = format!("the guest never {does}, so `{field}` has no effect");
                self.warn(&format!("vms[{vm}].{}", path.join(".")), message);
            }
        }
    }
}

/// Whether the guest leaves its memory as it is.
pub(super) fn never_writes(vm: &Vm) -> bool {
    match &vm.memory {
        Memory::Generated { dirty, .. } => dirty.pages_per_s == 0,
        Memory::Images { files, .. } => files.len() == 1,
    }
}
