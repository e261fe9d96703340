//! What disks suffer, as orders at given times.

use longhaul_chaos::{Effective, Overlay};
use longhaul_core::disk::DiskCondition;
use longhaul_core::units::BitRate;

use super::Target;
use super::services::{ChaosOrder, OrderAt};

/// How well the disk of a target does, whenever that changes.
pub(super) fn orders(overlay: &Overlay<Target>, target: Target, orders: &mut Vec<OrderAt>) {
    let mut before = DiskCondition::default();
    for at in overlay.changes(&target) {
        let felt = overlay.effective(&target, at, BitRate::from_bits_per_s(0));
        let now = condition(&felt);
        if now != before {
            let order = ChaosOrder::Disk(now);
            orders.push(OrderAt { at, target, order });
        }
        before = now;
    }
}

fn condition(felt: &Effective) -> DiskCondition {
    DiskCondition {
        slowdown: felt.disk.0,
        full: felt.full_disks > 0,
        failed: felt.failed_disks > 0,
    }
}
