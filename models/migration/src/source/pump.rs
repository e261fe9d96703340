//! From dirty pages to the transport, through threads that take their time if encoding costs any.

use longhaul_amst::Priority;
use longhaul_core::time::{Instant, Span};
use longhaul_memory::GuestMemory;

use super::accounts::Bound;
use super::{Source, State};
use crate::cost::Pipeline;
use crate::frames::Made;

impl<M: GuestMemory> Source<M> {
    /// Hands the next frame to the transport, or begins to encode one; whether there was one and it could.
    pub(super) fn pump(&mut self) -> bool {
        if self.pipeline.is_none() {
            if !self.may_push() {
                return false;
            }
            self.memory.advance(self.now, &mut self.log);
            let made = self.copier.next_frame(&self.memory);
            return made.is_some_and(|made| self.push(made));
        }
        if self.may_push()
            && let Some(made) = self.pipeline.as_mut().and_then(|pipeline| pipeline.pop(self.now))
        {
            return self.push(made);
        }
        if self
            .pipeline
            .as_ref()
            .is_some_and(|pipeline| pipeline.has_room(self.now))
        {
            self.memory.advance(self.now, &mut self.log);
            if let (Some(made), Some(pipeline)) = (self.copier.next_frame(&self.memory), &mut self.pipeline) {
                pipeline.submit(self.now, made.takes, made);
                return true;
            }
        }
        false
    }

    fn may_push(&self) -> bool {
        self.link.sender().wants_more() && self.pacer.is_free(self.now)
    }

    fn push(&mut self, made: Made) -> bool {
        self.pacer.sent(self.now, made.content.len());
        self.link.push(made.content, Priority::Bulk);
        true
    }

    /// Sends a frame that somebody waits for, once it is encoded.
    pub(super) fn push_urgent(&mut self, made: Made) {
        match &mut self.urgent {
            Some(pipeline) => pipeline.submit(self.now, made.takes, made),
            None => self.link.push(made.content, Priority::Control),
        }
    }

    /// Hands over what somebody waits for and is encoded; whether there was anything.
    pub(super) fn pump_urgent(&mut self) -> bool {
        let made = self.urgent.as_mut().and_then(|pipeline| pipeline.pop(self.now));
        made.is_some_and(|made| {
            self.link.push(made.content, Priority::Control);
            true
        })
    }

    /// Whether nothing is left to be encoded or handed over.
    pub(super) fn is_pumped_dry(&self) -> bool {
        let is_empty = |pipeline: &Option<Pipeline<Made>>| pipeline.as_ref().is_none_or(Pipeline::is_empty);
        self.copier.remaining_pages() == 0 && is_empty(&self.pipeline) && is_empty(&self.urgent)
    }

    /// Pages that are being encoded.
    pub(super) fn pages_in_pipeline(&self) -> u64 {
        let pipelines = self.pipeline.iter().chain(&self.urgent);
        pipelines.flat_map(Pipeline::iter).map(|made| made.pages).sum()
    }

    /// Pages of frames that were handed to the transport.
    pub(super) fn pages_handed_over(&self) -> u64 {
        self.copier.pages_handed_out() - self.pages_in_pipeline()
    }

    /// When a thread or a limit lets something happen.
    pub(super) fn pump_wake(&self) -> Option<Instant> {
        let free =
            (self.link.sender().wants_more() && !self.pacer.is_free(self.now)).then(|| self.pacer.free_at());
        // What is done and cannot be sent yet waits for the transport, not for a thread.
        let encoded = self
            .pipeline
            .as_ref()
            .and_then(|pipeline| pipeline.next_change(self.now));
        let urgent = self.urgent.as_ref().and_then(Pipeline::next_done);
        [free, encoded, urgent].into_iter().flatten().min()
    }

    /// Thread time that encoding took.
    pub(super) fn encoding_time(&self) -> Span {
        let pipelines = self.pipeline.iter().chain(&self.urgent);
        pipelines.fold(Span::ZERO, |sum, pipeline| sum + pipeline.busy())
    }

    /// What bounds the migration now.
    pub(super) fn bound(&self) -> Option<Bound> {
        if !matches!(self.state, State::Active | State::Stopped | State::Postcopy) {
            return None;
        }
        let pipeline = self.pipeline.as_ref();
        let encodes = pipeline.is_some_and(|pipeline| !pipeline.is_empty());
        // Whatever waits behind them, threads that all work are as fast as they can be.
        let busy = pipeline.is_some_and(|pipeline| pipeline.is_busy(self.now));
        Some(if busy {
            Bound::Processor
        } else if !self.link.sender().wants_more() {
            Bound::Network
        } else if !self.pacer.is_free(self.now) {
            Bound::BandwidthLimit
        } else if encodes {
            Bound::Processor
        } else {
            Bound::Idle
        })
    }
}
