//! What does not go with a controller of routes.

use crate::decode::Decoded;

use super::Report;

/// Everything about the controller of routes.
pub fn route_control(decoded: &Decoded, report: &mut Report) {
    if decoded.route_control.flatten().is_none() {
        return;
    }
    if decoded.routing.is_some_and(|routing| routing.multipath) {
        let message = "a controller installs one route for each pair of regions".to_owned();
        report.error("routing.multipath", message);
    }
    if let Some((index, _)) = decoded.reservations.good.first() {
        let message = "a reservation lays paths of its own beside the controller's".to_owned();
        report.error(&format!("reservations[{index}]"), message);
    }
    if let Some((index, _)) = decoded.demands.good.first() {
        let message = "demands follow the routers or `engineering`, not a controller of routes".to_owned();
        report.error(&format!("demands[{index}]"), message);
    }
    for (index, overlay) in &decoded.overlays.good {
        for (place, path) in overlay.paths.iter().enumerate() {
            if path.via.is_none() {
                let message = "the path goes where routers lead, and a controller leads only connections and sockets: name its regions in `via`";
                report.error(&format!("overlays[{index}].paths[{place}]"), message.to_owned());
            }
        }
    }
}
