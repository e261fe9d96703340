//! The longest IP packets that links carry, some of which change over time.

use longhaul_core::time::Instant;

use crate::course::Course;
use crate::link::LinkSpec;
use crate::routing::LinkId;

/// By link, as of a moment.
#[derive(Clone, Debug)]
pub(crate) struct Mtus {
    bytes: Vec<u32>,
    varying: Vec<Varying>,
    /// When one of them changes next.
    next: Instant,
}

#[derive(Clone, Debug)]
struct Varying {
    link: usize,
    course: Course<u32>,
    cursor: usize,
}

impl Mtus {
    /// Those of no link.
    pub(crate) fn new() -> Mtus {
        Mtus {
            bytes: Vec::new(),
            varying: Vec::new(),
            next: Instant::MAX,
        }
    }

    /// Adds that of the next link.
    pub(crate) fn push(&mut self, spec: &LinkSpec) {
        let steps = spec.changes.steps.as_deref();
        if let Some(course) = steps.and_then(|steps| steps.course(spec.mtu, |step| step.mtu)) {
            let link = self.bytes.len();
            self.varying.push(Varying {
                link,
                course,
                cursor: 0,
            });
            self.next = Instant::ZERO;
        }
        self.bytes.push(spec.mtu);
    }

    /// Brings all of them up to `now`.
    #[inline]
    pub(crate) fn move_to(&mut self, now: Instant) {
        if now >= self.next {
            self.change(now);
        }
    }

    #[cold]
    fn change(&mut self, now: Instant) {
        self.next = Instant::MAX;
        for varying in &mut self.varying {
            let stretch = varying.course.stretch(now, &mut varying.cursor);
            self.bytes[varying.link] = stretch.value;
            self.next = self.next.min(stretch.until);
        }
    }

    /// That of a link, as of the moment of the last [`Mtus::move_to`].
    #[inline]
    pub(crate) fn of(&self, link: LinkId) -> u32 {
        self.bytes[link.0 as usize]
    }
}
