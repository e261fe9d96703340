//! What the benchmarks of the engine share: measuring time, and the median.

/// Measures processor time where the system tells it, since other work on the machine disturbs that less, and
/// wall time elsewhere.
#[expect(clippy::disallowed_types, reason = "a benchmark measures time")]
pub struct Stopwatch {
    wall: std::time::Instant,
    processor_ns: Option<u64>,
}

impl Stopwatch {
    #[expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "a benchmark measures time"
    )]
    pub fn start() -> Stopwatch {
        Stopwatch {
            processor_ns: processor_ns(),
            wall: std::time::Instant::now(),
        }
    }

    /// Nanoseconds since the start.
    pub fn elapsed_ns(&self) -> f64 {
        let wall = self.wall.elapsed().as_nanos() as f64;
        match (self.processor_ns, processor_ns()) {
            (Some(start), Some(end)) => (end - start) as f64,
            _ => wall,
        }
    }
}

/// Processor time of this process, which has one thread. Linux alone tells it in nanoseconds.
fn processor_ns() -> Option<u64> {
    // Reading `stat` makes the kernel bring the figure in `schedstat` up to date.
    std::fs::read_to_string("/proc/self/stat").ok()?;
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The middle value; the upper one of two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
