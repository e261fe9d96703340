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
use longhaul_reports::console::Style;
use longhaul_reports::human;
use longhaul_sweeps::estimate::Width;
use longhaul_sweeps::execute;

use crate::interrupt::Interrupt;
use crate::output;

/// Without a terminal, time between two lines.
const BETWEEN_LINES: Duration = Duration::from_secs(10);
/// On a terminal, time between two pictures.
const BETWEEN_PICTURES: Duration = Duration::from_millis(100);
/// Most and least columns of a bar.
const BAR: std::ops::RangeInclusive<usize> = 5..=30;

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
            Display::Bar(bare())
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
        let reached = format!(
            "{} of {}",
            human::span(now.as_ns()),
            human::span(self.horizon.as_ns())
        );
        let parts = [reached, self.speed(now, events)];
        match &self.display {
            Display::Bar(bar) => {
                bar.set_message(picture(now.as_ns(), self.horizon.as_ns(), &parts, columns()));
            }
            _ => output::note(&format!("longhaul: {}\n", parts.join(", "))),
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

/// A line that is written anew with each picture.
fn bare() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").expect("a valid template");
    ProgressBar::new(0).with_style(style)
}

/// Columns of the terminal but the last: some wrap as soon as that is written.
fn columns() -> usize {
    usize::from(Style::of_stderr(false).width).saturating_sub(1)
}

/// A bar and as many of the parts, the most important ones first, as there is room for.
fn picture(done: u64, all: u64, parts: &[String], columns: usize) -> String {
    let mut text = String::new();
    for part in parts {
        let more = if text.is_empty() {
            part.clone()
        } else {
            format!(", {part}")
        };
        if text.chars().count() + more.chars().count() > columns {
            break;
        }
        text.push_str(&more);
    }
    // Brackets and a space stand around it.
    let room = columns.saturating_sub(text.chars().count() + 3).min(*BAR.end());
    if room < *BAR.start() {
        return text;
    }
    let filled = u128::from(done.min(all)) * room as u128 / u128::from(all.max(1));
    let filled = usize::try_from(filled).unwrap_or(room);
    let head = if filled < room { ">" } else { "" };
    let bar = format!("{}{head}", "=".repeat(filled));
    format!("[{bar:room$}] {text}")
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
            Display::Bar(bare())
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

    /// What there is to say, the most important first.
    fn parts(&self, progress: &execute::Progress) -> Vec<String> {
        // At least a nanosecond, so that there is something to divide by.
        let wall = u64::try_from(self.started.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1);
        let mut parts = vec![format!("{} of {} runs", progress.done, progress.all)];
        // What was reused took no time worth mentioning, and says nothing about what is left.
        let (fresh, left) = (progress.done - progress.reused, progress.all - progress.done);
        if left > 0
            && let Some(each) = wall.checked_div(fresh)
        {
            parts.push(format!("{} left", human::span(each.saturating_mul(left))));
        }
        if progress.failed > 0 {
            parts.push(format!("{} failed", progress.failed));
        }
        if let Some(widest) = progress.widest {
            let (half, unit) = match widest.width {
                Width::OfTheMean(share) => (share, "%"),
                Width::OfAShare(share) => (share, "percentage points"),
            };
            let name = self.metrics.get(widest.metric).map_or("", String::as_str);
            parts.push(format!("widest interval ±{:.1} {unit} ({name})", half * 100.0));
        }
        parts.push(format!(
            "{} real time",
            human::factor(progress.simulated_ns, wall)
        ));
        parts
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
                let parts = self.parts(progress);
                bar.set_message(picture(progress.done, progress.all, &parts, columns()));
            }
            _ if progress.done > 0 => {
                output::note(&format!("longhaul: {}\n", self.parts(progress).join(", ")));
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_wraps_and_says_what_matters_first() {
        let parts = [
            "12345 of 100000 runs",
            "12.3 min left",
            "12 failed",
            "widest interval ±12.3 %",
            "1234.56× real time",
        ]
        .map(str::to_owned);
        let line = |columns| picture(25_000, 100_000, &parts, columns);
        assert_eq!(
            line(79),
            "[=>   ] 12345 of 100000 runs, 12.3 min left, 12 failed, widest interval ±12.3 %"
        );
        assert_eq!(line(40), "12345 of 100000 runs, 12.3 min left");
        let wide = line(200);
        assert!(
            wide.starts_with(&format!("[{}>{}] 12345 of ", "=".repeat(7), " ".repeat(22))),
            "{wide}"
        );
        assert!(wide.ends_with(", 1234.56× real time"), "{wide}");
        for columns in 0..150 {
            let line = line(columns);
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
        assert!(picture(3, 3, &parts, 150).starts_with(&format!("[{}] ", "=".repeat(30))));
    }
}
