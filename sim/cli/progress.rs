//! How far a run, or a set of runs, has got, on standard error: a bar on a terminal, else a line every ten seconds.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "progress is shown in wall time; no result depends on it"
)]

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use longhaul_core::time::{self, Span};
use longhaul_reports::human;
use longhaul_sweeps::estimate::Width;
use longhaul_sweeps::execute;

use crate::interrupt::Interrupt;
use crate::output;

/// Without a terminal, time between two lines.
const BETWEEN_LINES: Duration = Duration::from_secs(10);
/// On a terminal, time between two pictures.
const BETWEEN_PICTURES: Duration = Duration::from_millis(100);

/// Watches one run.
pub struct Progress {
    display: Display,
    horizon: Span,
    started: Instant,
    shown: Instant,
}

enum Display {
    Off,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    /// Starts to watch a run that ends at `horizon` at the latest; in silence if `quiet`.
    pub fn new(horizon: Span, quiet: bool) -> Progress {
        let display = if quiet {
            Display::Off
        } else if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("[{bar:30}] {msg}").expect("a valid template");
            Display::Bar(ProgressBar::new(horizon.as_ns()).with_style(style.progress_chars("=> ")))
        } else {
            Display::Lines
        };
        let started = Instant::now();
        Progress {
            display,
            horizon,
            started,
            shown: started,
        }
    }

    /// Shows where the run is, if it is time to.
    pub fn show(&mut self, now: time::Instant, events: u64) {
        let due = match self.display {
            Display::Off => return,
            Display::Lines => BETWEEN_LINES,
            Display::Bar(_) => BETWEEN_PICTURES,
        };
        if self.shown.elapsed() < due {
            return;
        }
        self.shown = Instant::now();
        let text = format!(
            "{} of {}, {}",
            human::span(now.as_ns()),
            human::span(self.horizon.as_ns()),
            self.speed(now, events)
        );
        match &self.display {
            Display::Bar(bar) => {
                bar.set_position(now.as_ns());
                bar.set_message(text);
            }
            _ => output::note(&format!("longhaul: {text}\n")),
        }
    }

    /// Simulated per wall time, and events per second of wall time.
    pub fn speed(&self, now: time::Instant, events: u64) -> String {
        // At least a nanosecond, so that there is something to divide by.
        let wall_ns = u64::try_from(self.started.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1);
        let per_s = u128::from(events) * 1_000_000_000 / u128::from(wall_ns);
        format!(
            "{} real time, {} events/s",
            human::factor(now.as_ns(), wall_ns),
            human::count(u64::try_from(per_s).unwrap_or(u64::MAX))
        )
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

/// Watches a set of runs that several threads work off.
pub struct Counter {
    display: Display,
    shown: Mutex<Instant>,
}

impl Counter {
    /// Starts to watch; in silence if `quiet`.
    pub fn new(quiet: bool) -> Counter {
        let display = if quiet {
            Display::Off
        } else if io::stderr().is_terminal() {
            let style =
                ProgressStyle::with_template("[{bar:30}] {pos} of {len} runs").expect("a valid template");
            Display::Bar(ProgressBar::new(0).with_style(style.progress_chars("=> ")))
        } else {
            Display::Lines
        };
        Counter {
            display,
            shown: Mutex::new(Instant::now()),
        }
    }

    /// Shows that `done` of `all` runs have finished, if it is time to.
    pub fn show(&self, done: u64, all: u64) {
        match &self.display {
            Display::Off => {}
            Display::Bar(bar) => {
                bar.set_length(all);
                bar.set_position(done);
            }
            Display::Lines => {
                // A thread that panicked leaves nothing half done here.
                let mut shown = self
                    .shown
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if shown.elapsed() >= BETWEEN_LINES {
                    *shown = Instant::now();
                    output::note(&format!("longhaul: {done} of {all} runs\n"));
                }
            }
        }
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

/// Watches a sweep: runs, simulated speed, the time that is left, and how well the worst point is known.
pub struct SweepProgress<'a> {
    interrupt: &'a Interrupt,
    /// Names of the sweep's metrics.
    metrics: Vec<String>,
    display: Display,
    started: Instant,
    shown: Mutex<Instant>,
}

impl SweepProgress<'_> {
    /// Starts to watch; in silence if `quiet`. Stops the sweep at the first signal.
    pub fn new(interrupt: &Interrupt, quiet: bool, metrics: Vec<String>) -> SweepProgress<'_> {
        let display = if quiet {
            Display::Off
        } else if io::stderr().is_terminal() {
            let template = "[{bar:30}] {pos} of {len} runs, {msg}";
            let style = ProgressStyle::with_template(template).expect("a valid template");
            Display::Bar(ProgressBar::new(0).with_style(style.progress_chars("=> ")))
        } else {
            Display::Lines
        };
        let started = Instant::now();
        SweepProgress {
            interrupt,
            metrics,
            display,
            started,
            shown: Mutex::new(started),
        }
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }

    fn text(&self, progress: &execute::Progress) -> String {
        // At least a nanosecond, so that there is something to divide by.
        let wall = u64::try_from(self.started.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1);
        let mut text = format!("{} real time", human::factor(progress.simulated_ns, wall));
        // What was reused took no time worth mentioning, and says nothing about what is left.
        let (fresh, left) = (progress.done - progress.reused, progress.all - progress.done);
        if left > 0
            && let Some(each) = wall.checked_div(fresh)
        {
            text.push_str(&format!(", {} left", human::span(each.saturating_mul(left))));
        }
        if let Some(widest) = progress.widest {
            let (half, unit) = match widest.width {
                Width::OfTheMean(share) => (share, "%"),
                Width::OfAShare(share) => (share, "percentage points"),
            };
            let name = self.metrics.get(widest.metric).map_or("", String::as_str);
            text.push_str(&format!(", widest interval ±{:.1} {unit} ({name})", half * 100.0));
        }
        if progress.failed > 0 {
            text.push_str(&format!(", {} failed", progress.failed));
        }
        text
    }
}

impl execute::Watch for SweepProgress<'_> {
    fn progress(&self, progress: &execute::Progress) {
        let due = match self.display {
            Display::Off => return,
            Display::Lines => BETWEEN_LINES,
            Display::Bar(_) => BETWEEN_PICTURES,
        };
        {
            // A thread that panicked leaves nothing half done here.
            let mut shown = self
                .shown
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if shown.elapsed() < due && progress.done > 0 {
                return;
            }
            *shown = Instant::now();
        }
        match &self.display {
            Display::Bar(bar) => {
                bar.set_length(progress.all);
                bar.set_position(progress.done);
                bar.set_message(self.text(progress));
            }
            _ if progress.done > 0 => output::note(&format!(
                "longhaul: {} of {} runs, {}\n",
                progress.done,
                progress.all,
                self.text(progress)
            )),
            _ => {}
        }
    }

    fn note(&self, message: &str) {
        let line = format!("longhaul: {message}\n");
        match &self.display {
            Display::Bar(bar) => bar.suspend(|| output::note(&line)),
            _ => output::note(&line),
        }
    }

    fn wants_end(&self) -> bool {
        self.interrupt.requested().is_some()
    }
}
