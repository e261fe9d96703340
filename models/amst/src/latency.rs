//! How long chunks take from a stream to their acknowledgement.

use longhaul_core::time::Span;

/// Mean and deviation of the time that chunks take, weighted as TCP weights its round trips (RFC 6298, section 2).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    mean: Option<Span>,
    deviation: Span,
}

impl Latency {
    pub fn sample(&mut self, taken: Span) {
        let Some(mean) = self.mean else {
            self.mean = Some(taken);
            self.deviation = taken / 2;
            return;
        };
        let off = mean.max(taken).saturating_sub(mean.min(taken));
        self.deviation = (self.deviation.saturating_mul(3).saturating_add(off)) / 4;
        self.mean = Some(mean.saturating_mul(7).saturating_add(taken) / 8);
    }

    /// After what time a chunk is late, sooner if streams have nothing else to do; unknown before the first
    /// acknowledgement.
    pub fn late_after(&self, idle: bool) -> Option<Span> {
        let mean = self.mean?;
        let late = mean
            .saturating_mul(2)
            .max(mean.saturating_add(self.deviation.saturating_mul(4)));
        Some(if idle { late } else { late.saturating_mul(2) })
    }
}
