//! A scenario slowed down: all rates divided by a factor and all times multiplied by it, so that every window, queue and
//! burst keeps its size in packets, and a slow machine can replay it. TCP's own timers do not scale, nor does the speed
//! of processors: those of a replay are real.

use std::sync::Arc;

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use thiserror::Error;

use crate::diagnose::Diagnostics;
use crate::schema::{
    Amount, Arrivals, Bound, Failover, Fault, Federation, Jitter, Link, Memory, Migration, Mode, Policy,
    Queue, Rate, Replication, Scenario, Spread, Start, StopRule, Switch, Throttle, Value, Within,
};
use crate::source::Source;
use crate::{Loaded, load, show};

/// Why a scenario cannot be scaled.
#[derive(Debug, Error)]
pub enum ScaleError {
    /// A rate that is recorded in a file.
    #[error("--scale cannot slow down the recorded rate of {link}")]
    Recorded {
        /// Its link.
        link: String,
    },
    /// A fault that a replay cannot do anyway.
    #[error("--scale cannot slow down the fault {fault}, which is only simulated")]
    Fault {
        /// Its name.
        fault: String,
    },
    /// What comes out is no scenario.
    #[error("slowed down by {factor}, the scenario is refused:\n{mistakes}")]
    Refused {
        /// The factor.
        factor: u64,
        /// Why.
        mistakes: Box<Diagnostics>,
    },
}

/// The scenario, slower by `factor`, which is at least 1.
///
/// # Errors
/// [`ScaleError`]
pub fn scaled(loaded: &Loaded, factor: u64) -> Result<Loaded, ScaleError> {
    let mut scenario = loaded.scenario.clone();
    Scale { factor }.scenario(&mut scenario)?;
    let source = Source {
        name: "the scaled scenario".to_owned(),
        text: show::canonical(&scenario),
        base_dir: loaded.base_dir.clone(),
    };
    load(&source, &[], None).map_err(|mistakes| ScaleError::Refused {
        factor,
        mistakes: Box::new(mistakes),
    })
}

struct Scale {
    factor: u64,
}

impl Scale {
    fn time(&self, span: &mut Span) {
        *span = span.saturating_mul(self.factor);
    }

    /// Rounded up: no rate becomes zero.
    fn rate(&self, rate: &mut BitRate) {
        *rate = BitRate::from_bits_per_s(rate.as_bits_per_s().div_ceil(self.factor));
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::Time(span) => self.time(span),
            Value::Rate(rate) => self.rate(rate),
            Value::Size(_) | Value::Share(_) | Value::Number(_) => {}
        }
    }

    fn scenario(&self, scenario: &mut Scenario) -> Result<(), ScaleError> {
        self.time(&mut scenario.horizon);
        self.time(&mut scenario.sample_interval);
        self.time(&mut scenario.reroute_after);
        for link in &mut scenario.links {
            self.link(link)?;
        }
        for vm in &mut scenario.vms {
            match &mut vm.memory {
                Memory::Generated { dirty, .. } => {
                    dirty.pages_per_s = dirty.pages_per_s.div_ceil(self.factor);
                }
                Memory::Images { interval, .. } => self.time(interval),
            }
            vm.reads.pages_per_s = vm.reads.pages_per_s.div_ceil(self.factor);
        }
        for migration in &mut scenario.migrations {
            self.migration(migration);
        }
        for replication in &mut scenario.replications {
            self.replication(replication);
        }
        for federation in &mut scenario.federations {
            self.federation(federation);
        }
        for transfer in &mut scenario.transfers {
            self.time(&mut transfer.at);
            if let Amount::Duration(duration) = &mut transfer.amount {
                self.time(duration);
            }
        }
        for fault in &mut scenario.faults {
            let (at, duration) = match fault {
                Fault::LinkDown(down) => (&mut down.at, &mut down.duration),
                Fault::Pause(pause) => (&mut pause.at, &mut pause.duration),
                Fault::Kill(kill) => (&mut kill.at, &mut kill.duration),
                Fault::Reset(reset) => (&mut reset.at, &mut reset.every),
                Fault::Network(fault) => {
                    return Err(ScaleError::Fault {
                        fault: fault.name.clone(),
                    });
                }
                // There is none without such a fault.
                Fault::Recover(_) => continue,
            };
            self.time(at);
            duration.iter_mut().for_each(|duration| self.time(duration));
        }
        for assertion in &mut scenario.assertions {
            let (Bound::AtMost(value) | Bound::AtLeast(value)) = &mut assertion.bound;
            self.value(value);
        }
        for margin in scenario.replay.iter_mut().flat_map(|replay| &mut replay.margins) {
            if let Within::Absolute(value) = &mut margin.within {
                self.value(value);
            }
        }
        Ok(())
    }

    fn replication(&self, replication: &mut Replication) {
        let Replication {
            at,
            policy,
            rpo_target,
            snapshot_pause,
            max_bandwidth,
            heartbeat,
            backoff,
            failover,
            restore_rate,
            resume_time,
            ..
        } = replication;
        match policy {
            Policy::Interval(interval) => self.time(interval),
            Policy::Continuous { least } => self.time(least),
            Policy::Adaptive { least, most } => {
                self.time(least);
                self.time(most);
            }
        }
        if let Failover::Manual { at, after } = failover {
            at.iter_mut().chain(after).for_each(|span| self.time(span));
        }
        let times = [
            at,
            rpo_target,
            snapshot_pause,
            &mut heartbeat.interval,
            &mut backoff.first,
            &mut backoff.most,
            resume_time,
        ];
        times.into_iter().for_each(|span| self.time(span));
        max_bandwidth
            .iter_mut()
            .chain(restore_rate)
            .for_each(|rate| self.rate(rate));
    }

    fn federation(&self, federation: &mut Federation) {
        let Federation {
            at,
            duration,
            state,
            commands,
            settings,
            ..
        } = federation;
        let connection = &mut settings.connection;
        let mut times = vec![
            at,
            duration,
            &mut settings.sync.interval,
            &mut settings.encoding.baseline_interval,
            &mut connection.connect_timeout,
            &mut connection.retry_interval,
            &mut connection.keepalive,
            &mut connection.answer_timeout,
            &mut settings.recovery_timeout,
            &mut settings.metrics_interval,
            &mut settings.objectives.latency,
            &mut settings.durable_after,
        ];
        times.extend(state.as_mut().map(|load| &mut load.every));
        times.extend(commands.as_mut().map(|load| &mut load.every));
        if let Some(log) = &mut settings.consensus {
            times.extend([
                &mut log.timeout,
                &mut log.batch_interval,
                &mut log.election_timeout,
                &mut log.heartbeat,
                &mut log.disk_sync,
            ]);
        }
        times.into_iter().for_each(|span| self.time(span));
    }

    fn migration(&self, migration: &mut Migration) {
        match &mut migration.start {
            Start::At(at) => self.time(at),
            Start::After { pause, .. } => self.time(pause),
        }
        migration.cancel_after.iter_mut().for_each(|span| self.time(span));
        self.time(&mut migration.orchestration.before);
        self.time(&mut migration.orchestration.after);
        if let Mode::Hybrid {
            switch: Switch::After(span),
        } = &mut migration.mode
        {
            self.time(span);
        }
        match &mut migration.stop {
            StopRule::Downtime { limit } => self.time(limit),
            StopRule::Xen { .. } => {}
            StopRule::DynamicRate {
                lowest,
                highest,
                step,
                ..
            } => [lowest, highest, step]
                .into_iter()
                .for_each(|rate| self.rate(rate)),
        }
        if let Throttle::DirtyLimit(limit) = &mut migration.throttle {
            limit.bytes_per_s = limit.bytes_per_s.div_ceil(self.factor);
        }
        let limits = [
            &mut migration.max_bandwidth,
            &mut migration.max_postcopy_bandwidth,
        ];
        limits.into_iter().flatten().for_each(|rate| self.rate(rate));
        migration
            .recover
            .iter_mut()
            .for_each(|recover| self.time(&mut recover.delay));
        self.time(&mut migration.stall_after);
        self.time(&mut migration.resume_time);
    }

    fn link(&self, link: &mut Link) -> Result<(), ScaleError> {
        let name = link.name();
        match &mut link.rate {
            Rate::Constant(rate) | Rate::Poisson(rate) => self.rate(rate),
            Rate::Deliveries { .. } | Rate::Recorded { .. } => {
                return Err(ScaleError::Recorded { link: name });
            }
        }
        self.time(&mut link.delay);
        let spread = |spread: &mut Spread| {
            self.time(&mut spread.mean);
            self.time(&mut spread.sd);
        };
        match &mut link.jitter {
            Jitter::None => {}
            Jitter::Normal(law) | Jitter::Pareto(law) | Jitter::ParetoNormal(law) => spread(law),
            Jitter::Table { spread: law, .. } => spread(law),
            Jitter::Uniform { max } => self.time(max),
            Jitter::Measured { .. } => return Err(ScaleError::Recorded { link: name }),
        }
        match &mut link.queue {
            Queue::CoDel(queue) => {
                self.time(&mut queue.target);
                self.time(&mut queue.interval);
            }
            Queue::FqCoDel(queue) => {
                self.time(&mut queue.target);
                self.time(&mut queue.interval);
            }
            Queue::Htb(queue) => {
                let queue = Arc::make_mut(queue);
                self.rate(&mut queue.rate);
                for class in &mut queue.classes {
                    self.rate(&mut class.rate);
                    self.rate(&mut class.ceil);
                }
            }
            _ => {}
        }
        for step in &mut link.changes {
            self.time(&mut step.at);
            step.delay.iter_mut().for_each(|delay| self.time(delay));
            step.rate.iter_mut().for_each(|rate| self.rate(rate));
        }
        link.period.iter_mut().for_each(|period| self.time(period));
        if let Some(background) = &mut link.background {
            self.rate(&mut background.rate);
            if let Arrivals::OnOff {
                mean_on, mean_off, ..
            } = &mut background.arrivals
            {
                self.time(mean_on);
                self.time(mean_off);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::compare::tests::{loaded, run};

    #[test]
    fn what_counts_in_packets_stays_and_time_runs_slower() {
        let fast = loaded(&[
            "vms=[]",
            "migrations=[]",
            // HyStart looks at delays in milliseconds.
            r#"transfers=[(name: "bulk", from: "b", to: "a", size: "300 kB", tcp: (hystart: false))]"#,
            r#"replay=(margins: [(metric: TransferCompletionTime, within: "1 ms")])"#,
        ]);
        let slow = scaled(&fast, 4).unwrap();
        let link = &slow.scenario.links[0];
        assert_eq!(
            (link.delay, link.rate.mean()),
            (Span::from_ms(40), Some(BitRate::from_bits_per_s(5_000_000)))
        );
        assert_eq!(link.queue, fast.scenario.links[0].queue);
        assert_ne!(slow.hash, fast.hash);
        let margin = &slow.scenario.replay.as_ref().unwrap().margins[0];
        assert_eq!(margin.within, Within::Absolute(Value::Time(Span::from_ms(4))));
        // Without a timer of TCP in play everything just takes four times as long.
        let (fast, slow) = (run(&fast), run(&slow));
        let time = |run: &longhaul_core::record::RunRecord| run.transfers[0].completion_ns.unwrap() as f64;
        let ratio = time(&slow) / time(&fast);
        assert!((3.8..4.2).contains(&ratio), "{ratio}");
        assert_eq!(slow.transfers[0].segments, fast.transfers[0].segments);
    }

    #[test]
    fn a_recorded_rate_cannot_be_slowed_down() {
        let recorded = loaded(&[r#"links[0].rate=Recorded(file: "rates.txt")"#]);
        let error = scaled(&recorded, 2).unwrap_err().to_string();
        assert_eq!(error, "--scale cannot slow down the recorded rate of a->b");
    }

    #[test]
    fn a_factor_of_one_changes_nothing() {
        let loaded = loaded(&[]);
        assert_eq!(scaled(&loaded, 1).unwrap().hash, loaded.hash);
    }
}
