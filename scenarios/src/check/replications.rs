//! Replications against the rest of the scenario.

use std::collections::BTreeMap;

use crate::decode::Decoded;
use crate::path::locate;
use crate::schema::Vm;

use super::Report;
use super::work::starts_in_time;

/// Where VMs are, which of them are taken, and what comes too late.
pub fn replications(decoded: &Decoded, report: &mut Report) {
    let vm_named = |name: &str| {
        decoded
            .vms
            .good
            .iter()
            .find(|(_, vm)| vm.name == name)
            .map(|(_, vm)| vm)
    };
    let mut taken: BTreeMap<&str, String> = BTreeMap::new();
    for (index, migration) in &decoded.migrations.good {
        taken.insert(&migration.vm, format!("migrations[{index}].vm"));
    }
    for (index, replication) in &decoded.replications.good {
        let mut first: Option<&Vm> = None;
        for (place, name) in replication.vms.iter().enumerate() {
            let path = format!("replications[{index}].vms[{place}]");
            if let Some(before) = taken.insert(name, path.clone()) {
                let message = format!("`{name}` is moved or replicated elsewhere in this scenario");
                let error = report.at(&path, message);
                let before = locate(report.root, &before);
                report.sink.push(error.related(before, "here"));
            }
            let Some(vm) = vm_named(name) else { continue };
            if vm.region == replication.to {
                report.error(&path, format!("`{name}` runs in `{}` already", vm.region));
            }
            match first {
                Some(first) if first.region != vm.region => {
                    let message = format!(
                        "`{name}` runs in `{}`, and `{}` in `{}`: a replication starts from one region",
                        vm.region, first.name, first.region
                    );
                    report.error(&path, message);
                }
                Some(_) => {}
                None => first = Some(vm),
            }
        }
        starts_in_time(
            decoded,
            replication.at,
            &format!("replications[{index}].at"),
            report,
        );
    }
}
