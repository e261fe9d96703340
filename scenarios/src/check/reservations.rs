//! Mistakes in reservations that show only between items.

use crate::decode::Decoded;
use crate::schema::Reservation;

use super::Report;
use super::work::starts_in_time;

/// Everything about reservations.
pub fn reservations(decoded: &Decoded, report: &mut Report) {
    for (index, reservation) in &decoded.reservations.good {
        starts_in_time(
            decoded,
            reservation.start,
            &format!("reservations[{index}].start"),
            report,
        );
    }
    let transfers = decoded.transfers.good.iter();
    let transfers = transfers.map(|(index, it)| ("transfers", *index, &it.from, &it.to, &it.reservation));
    let streams = decoded.datagrams.good.iter();
    let streams = streams.map(|(index, it)| ("datagrams", *index, &it.from, &it.to, &it.reservation));
    for (list, index, from, to, name) in transfers.chain(streams) {
        let of = |reservation: &&(usize, Reservation)| Some(&reservation.1.name) == name.as_ref();
        let Some((_, reservation)) = decoded.reservations.good.iter().find(of) else {
            continue;
        };
        let path = format!("{list}[{index}].reservation");
        if (&reservation.from, &reservation.to) != (from, to) {
            let message = format!(
                "`{}` is reserved from `{}` to `{}`",
                reservation.name, reservation.from, reservation.to
            );
            report.error(&path, message);
        }
        let joined = decoded
            .overlays
            .good
            .iter()
            .find(|(_, overlay)| overlay.joins(from, to));
        if let Some((_, overlay)) = joined {
            let message = format!(
                "traffic from `{from}` to `{to}` crosses the overlay `{}`",
                overlay.name
            );
            report.error(&path, message);
        }
    }
}
