//! What is open in a stack: calls, and for each the tree of layers that it has entered. Both live in slabs, so that nothing
//! is allocated once as many have been open before.

use longhaul_core::time::Instant;

use crate::breaker::Permit;
use crate::bulkhead::Place;
use crate::call::Priority;

/// No frame, no call.
pub(super) const NONE: u32 = u32::MAX;

/// What a frame is doing.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Free,
    /// The call itself.
    Root,
    /// An attempt; the frame's `child` is the next attempt of the same call.
    Attempt {
        number: u32,
    },
    /// A layer that only looks at the result.
    Pass,
    Breaker(Permit),
    /// In a bulkhead's queue.
    Waiting(Place),
    /// Has a bulkhead's permit, and is about to go on.
    Started,
    /// Has a bulkhead's permit.
    Running,
    Retry {
        done: u32,
    },
    Timeout,
    Hedge {
        sent: u32,
    },
}

/// A layer that a call has entered, or one of its attempts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub call: u32,
    pub parent: u32,
    /// The first of what it has begun.
    pub child: u32,
    /// The next of what its parent has begun.
    pub sibling: u32,
    pub layer: u16,
    pub state: State,
    pub began: Instant,
    /// When something around it ends it; [`Instant::MAX`] if nothing does.
    pub limit: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Frames {
    frames: Vec<Frame>,
    free: u32,
}

impl Frames {
    pub fn new() -> Frames {
        Frames {
            frames: Vec::new(),
            free: NONE,
        }
    }

    /// The place that the next frame will have.
    #[inline]
    pub fn next(&self) -> u32 {
        if self.free == NONE {
            self.frames.len() as u32
        } else {
            self.free
        }
    }

    /// Adds a frame as the first child of its parent.
    #[inline]
    pub fn add(
        &mut self,
        parent: u32,
        call: u32,
        layer: usize,
        began: Instant,
        limit: Instant,
        state: State,
    ) -> u32 {
        let place = self.next();
        let sibling = if parent == NONE {
            NONE
        } else {
            std::mem::replace(&mut self.frames[parent as usize].child, place)
        };
        let frame = Frame {
            call,
            parent,
            child: NONE,
            sibling,
            // A stack has far fewer layers.
            layer: layer as u16,
            state,
            began,
            limit,
        };
        if self.free == NONE {
            self.frames.push(frame);
        } else {
            let slot = &mut self.frames[place as usize];
            self.free = slot.sibling;
            *slot = frame;
        }
        place
    }

    /// Takes a frame out, which has no children.
    #[inline]
    pub fn remove(&mut self, place: u32) {
        let Frame { parent, sibling, .. } = self.frames[place as usize];
        if parent != NONE {
            let above = &mut self.frames[parent as usize];
            if above.child == place {
                above.child = sibling;
            } else {
                let mut at = above.child;
                while self.frames[at as usize].sibling != place {
                    at = self.frames[at as usize].sibling;
                }
                self.frames[at as usize].sibling = sibling;
            }
        }
        let slot = &mut self.frames[place as usize];
        slot.state = State::Free;
        slot.sibling = self.free;
        self.free = place;
    }
}

impl std::ops::Index<u32> for Frames {
    type Output = Frame;
    #[inline]
    fn index(&self, place: u32) -> &Frame {
        &self.frames[place as usize]
    }
}

impl std::ops::IndexMut<u32> for Frames {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut Frame {
        &mut self.frames[place as usize]
    }
}

/// An open call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub id: u64,
    pub idempotent: bool,
    pub priority: Priority,
    /// Attempts so far.
    pub attempts: u32,
    /// The first of the attempts that run; in a free slot the next free one.
    pub leaves: u32,
    /// Its frame of all.
    pub root: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Calls {
    calls: Vec<Open>,
    free: u32,
}

impl Calls {
    pub fn new() -> Calls {
        Calls {
            calls: Vec::new(),
            free: NONE,
        }
    }

    #[inline]
    pub fn add(&mut self, call: Open) -> u32 {
        if self.free == NONE {
            self.calls.push(call);
            return self.calls.len() as u32 - 1;
        }
        let place = self.free;
        let slot = &mut self.calls[place as usize];
        self.free = slot.leaves;
        *slot = call;
        place
    }

    #[inline]
    pub fn remove(&mut self, place: u32) -> Open {
        let slot = &mut self.calls[place as usize];
        let call = *slot;
        slot.leaves = self.free;
        self.free = place;
        call
    }
}

impl std::ops::Index<u32> for Calls {
    type Output = Open;
    #[inline]
    fn index(&self, place: u32) -> &Open {
        &self.calls[place as usize]
    }
}

impl std::ops::IndexMut<u32> for Calls {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut Open {
        &mut self.calls[place as usize]
    }
}
