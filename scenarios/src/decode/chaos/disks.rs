//! Faults of disks and clocks.

use longhaul_chaos::Slowdown;
use longhaul_core::time::Span;

use crate::decode::context::{At, Context, Fields, Variant, no_content, variant};
use crate::decode::names::reference;
use crate::decode::network::region_name;
use crate::decode::value;
use crate::schema::{DiskPlace, DiskSuffering, Effect, WrongClock};

/// The slowest disk: what takes a microsecond otherwise takes a second.
const MOST_TIMES: i64 = 1_000_000;
/// The most that a wall clock is off: a year.
const MOST_SKEW: Span = Span::from_s(365 * 24 * 3_600);
/// A clock that loses its whole speed stands still, and what waits for it waits for ever.
const WHOLE_SPEED_PPM: i64 = 1_000_000;

/// A disk that suffers.
pub fn disk(cx: &mut Context, fields: &Fields) -> Option<Effect> {
    let disk = match (fields.get("federation"), fields.get("replication")) {
        (Some(_), Some(at)) => cx.refuse(
            &at,
            "one disk: of a member of a `federation` or of a `replication`",
        ),
        (None, Some(_)) => {
            if let Some(at) = fields.get("member") {
                cx.refuse::<()>(&at, "a replication has one disk, and no members");
            }
            let replication = fields.required(cx, "replication", |cx, at| {
                reference(cx, at, "replication", |names| &names.replications)
            });
            replication.map(|replication| DiskPlace::Replica { replication })
        }
        _ => member(cx, fields).map(|(federation, member)| DiskPlace::Cluster { federation, member }),
    };
    let suffers = fields.required(cx, "suffers", suffering);
    Some(Effect::Disk {
        disk: disk?,
        suffers: suffers?,
    })
}

/// A clock that is wrong.
pub fn clock(cx: &mut Context, fields: &Fields) -> Option<Effect> {
    let member = member(cx, fields);
    let given = ["ahead", "behind", "drift_ppm"].map(|name| fields.get(name));
    if let [Some(_), Some(second), _] | [Some(_), _, Some(second)] | [_, Some(_), Some(second)] = given {
        return cx.refuse(
            &second,
            "one of `ahead`, `behind` and `drift_ppm`: two faults can overlap",
        );
    }
    let wrong = if given[2].is_some() {
        let ppb = fields.required(cx, "drift_ppm", drift);
        ppb.map(|ppb| WrongClock::Drift { ppb })
    } else if given[1].is_some() {
        fields.required(cx, "behind", skew).map(WrongClock::Behind)
    } else {
        fields.required(cx, "ahead", skew).map(WrongClock::Ahead)
    };
    let (federation, member) = member?;
    Some(Effect::Clock {
        federation,
        member,
        wrong: wrong?,
    })
}

/// A federation, and the region of one of its clusters.
fn member(cx: &mut Context, fields: &Fields) -> Option<(String, String)> {
    let federation = fields.required(cx, "federation", |cx, at| {
        reference(cx, at, "federation", |names| &names.federations)
    });
    let member = fields.required(cx, "member", region_name);
    Some((federation?, member?))
}

fn suffering(cx: &mut Context, at: &At) -> Option<DiskSuffering> {
    let variants = [
        ("Slow", "Slow(times: 20)"),
        ("Full", "Full"),
        ("Failed", "Failed"),
    ];
    let variants = variants.map(|(name, form)| Variant { name, form });
    match variant(cx, at, "what a disk suffers", &variants)? {
        "Full" => no_content(cx, at).map(|()| DiskSuffering::Full),
        "Failed" => no_content(cx, at).map(|()| DiskSuffering::Failed),
        name => {
            let fields = Fields::of(cx, at, "a slow disk", Some(name), &["times"])?;
            let times = fields.required(cx, "times", |cx, at| {
                let millionths = value::millionths(cx, at, value::MILLION, MOST_TIMES * value::MILLION)?;
                if millionths % 1_000 != 0 {
                    return cx.refuse(at, "at most three decimals");
                }
                u32::try_from(millionths / 1_000).ok()
            })?;
            Some(DiskSuffering::Slow(Slowdown(times)))
        }
    }
}

fn skew(cx: &mut Context, at: &At) -> Option<Span> {
    value::quantity_within(cx, at, &Span::from_ns(1), &MOST_SKEW)
}

/// In parts per billion.
fn drift(cx: &mut Context, at: &At) -> Option<i64> {
    let most = WHOLE_SPEED_PPM * value::MILLION;
    let millionths = value::millionths(cx, at, -most, most)?;
    if millionths % 1_000 != 0 {
        return cx.refuse(at, "at most three decimals");
    }
    if millionths == -most {
        return cx.refuse(at, "a clock that loses its whole speed stands still");
    }
    Some(millionths / 1_000)
}
