//! Frames of pages: each the next of its lane, decoded, and installed where it belongs.

use longhaul_amst::Priority;
use longhaul_hde::{BodyForm, DecodeWork, Decoder, FrameHeader, PAGE_SIZE};
use longhaul_memory::GuestMemory;

use super::incoming::Incoming;
use super::{Destination, State};
use crate::DestinationFailure;
use crate::frames::MADE_AFTER_STOP;
use crate::store::Alone;
use crate::xbzrle::codec as xbzrle;

/// Which frames come next, and what real ones took to decode.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    bulk: u64,
    urgent: u64,
    /// What the bodies of real frames came to: bytes of them, bytes out of the entropy decoder.
    bodies: (u64, u64),
}

impl Sequences {
    /// Frames of the bulk lane so far.
    pub fn bulk(&self) -> u64 {
        self.bulk
    }

    /// A new attempt: frames are numbered from 0 again.
    pub fn restart(&mut self) {
        (self.bulk, self.urgent) = (0, 0);
    }

    /// What it takes to decode a frame. Before it is decoded nobody knows what comes out of the entropy decoder: as
    /// much per byte as with real ones so far.
    pub fn work_of(&self, incoming: &Incoming) -> DecodeWork {
        let Ok((header, _)) = FrameHeader::parse(&incoming.real) else {
            let pages = xbzrle::header(&incoming.real).map_or(0, |(_, pages)| pages.len());
            return DecodeWork {
                frames: 1,
                rebuilt: (pages * PAGE_SIZE) as u64,
                ..DecodeWork::default()
            };
        };
        let rebuilt = (header.page_count() * PAGE_SIZE) as u64;
        let (bodies, out) = self.bodies;
        let scaled = u128::from(header.body_len) * u128::from(out) / u128::from(bodies.max(1));
        let entropy = u64::try_from(scaled).unwrap_or(u64::MAX);
        DecodeWork {
            frames: 1,
            entropy,
            rebuilt,
            hashed: entropy.max(u64::from(header.body_len)).min(rebuilt),
        }
    }
}

impl<M: GuestMemory> Destination<M> {
    pub(super) fn on_frame(
        &mut self,
        priority: Priority,
        incoming: &Incoming,
    ) -> Result<(), DestinationFailure> {
        if xbzrle::is_meant(&incoming.real) && priority == Priority::Bulk && incoming.synthetic == 0 {
            return self.on_xbzrle_frame(incoming);
        }
        let (header, header_len) = FrameHeader::parse(&incoming.real).map_err(refused)?;
        self.check_sequence(priority, header.sequence)?;
        // The runs ascend.
        if let Some(run) = header.runs.last().filter(|run| run.end() > self.options.pages) {
            return Err(DestinationFailure::NoSuchPage { page: run.end() - 1 });
        }
        let is_synthetic = header.form == BodyForm::Synthetic;
        let length = if is_synthetic {
            header_len == incoming.real.len() && u64::from(header.body_len) == incoming.synthetic
        } else {
            incoming.synthetic == 0
        };
        if !length {
            return Err(DestinationFailure::Message);
        }
        match (priority, is_synthetic) {
            (Priority::Bulk, true) => header.pages().for_each(|page| self.store.install_synthetic(page)),
            (Priority::Bulk, false) => {
                let decoded = self.decoder.decode(&incoming.real, &mut self.store);
                let decoded = decoded.map_err(refused)?;
                self.sequences.bodies.0 += u64::from(header.body_len);
                self.sequences.bodies.1 += decoded.work.entropy;
            }
            (Priority::Control, true) => {
                for page in header.pages() {
                    self.overtakes(page, None);
                }
            }
            (Priority::Control, false) => {
                let mut alone = Alone::default();
                // Each builds on nothing, and they overtake each other.
                let decoded = Decoder::new().decode(&incoming.real, &mut alone);
                decoded.map_err(refused)?;
                for (page, content) in alone.0 {
                    self.overtakes(page, Some(&content));
                }
            }
        }
        if priority == Priority::Bulk {
            let before = header.sequence & MADE_AFTER_STOP == 0;
            header.pages().for_each(|page| self.arrives(page, before));
        }
        self.count_frame(priority, header.page_count() as u64, is_synthetic);
        self.finish_postcopy()
    }

    fn on_xbzrle_frame(&mut self, incoming: &Incoming) -> Result<(), DestinationFailure> {
        let refused = |error: xbzrle::FrameError| DestinationFailure::Frame {
            error: error.to_string(),
        };
        let (sequence, pages) = xbzrle::header(&incoming.real).map_err(refused)?;
        self.check_sequence(Priority::Bulk, sequence)?;
        if let Some(page) = pages.last().filter(|page| **page >= self.options.pages) {
            return Err(DestinationFailure::NoSuchPage { page: *page });
        }
        xbzrle::decode(&incoming.real, &mut self.store).map_err(refused)?;
        let before = sequence & MADE_AFTER_STOP == 0;
        pages.iter().for_each(|page| self.arrives(*page, before));
        self.count_frame(Priority::Bulk, pages.len() as u64, false);
        self.finish_postcopy()
    }

    fn check_sequence(&self, priority: Priority, number: u64) -> Result<(), DestinationFailure> {
        let found = number & !MADE_AFTER_STOP;
        let expected = match priority {
            Priority::Bulk => self.sequences.bulk,
            // Nothing overtakes as long as the guest has not been stopped.
            Priority::Control if self.state == State::Receiving => return Err(DestinationFailure::Message),
            Priority::Control => self.sequences.urgent,
        };
        if found == expected {
            Ok(())
        } else {
            Err(DestinationFailure::Sequence { expected, found })
        }
    }

    fn count_frame(&mut self, priority: Priority, pages: u64, is_synthetic: bool) {
        match priority {
            Priority::Bulk => self.sequences.bulk += 1,
            Priority::Control => self.sequences.urgent += 1,
        }
        self.statistics.frames += 1;
        if is_synthetic {
            self.statistics.synthetic_pages += pages;
        } else {
            self.statistics.real_pages += pages;
        }
    }

    fn arrives(&mut self, page: u64, before: bool) {
        if self.store.arrived(page, before) {
            self.wake_guest(page);
        }
    }

    fn overtakes(&mut self, page: u64, content: Option<&[u8; PAGE_SIZE]>) {
        if self.store.install_overtaking(page, content) {
            self.wake_guest(page);
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
fn refused(error: longhaul_hde::DecodeError) -> DestinationFailure {
    DestinationFailure::Frame {
        error: error.to_string(),
    }
}
