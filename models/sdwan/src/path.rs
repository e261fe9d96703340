//! One path: its session, its probes, its trains, and what follows from them.

use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

use crate::bandwidth::{TrainReceiver, TrainSender};
use crate::bfd::{Change, Diagnostic, Session, State};
use crate::config::{Config, PathConfig};
use crate::event::{Cause, PathReport};
use crate::probe::{self, Liveness, Prober};
use crate::score::{Attributes, Quality, monitor};
use crate::select::Candidate;
use crate::standing::Trust;
use crate::wire::Message;

/// The greatest delay of the first train.
const FIRST_TRAIN_WITHIN: Span = Span::from_s(10);

/// What has come of a look at a path.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Looked {
    /// It has come up, after so long.
    pub up: Option<Option<Span>>,
    /// It has gone down, after so long.
    pub down: Option<(Cause, Span)>,
    /// Its standing has changed: traffic may want to move.
    pub turned: bool,
}

/// One path of an edge.
#[derive(Debug)]
pub(crate) struct Path {
    pub config: PathConfig,
    session: Option<Session>,
    prober: Prober,
    trains: Option<TrainSender>,
    /// It reports the other end's trains also if this end sends none.
    train_receiver: TrainReceiver,
    disabled: bool,
    /// Nothing is known of the site where it leads.
    stranger: bool,
    up: bool,
    /// Since when it is as it is; `None` before it has been up.
    changed_at: Option<Instant>,
    /// Going down sooner than this after coming up is a flap.
    pub hold: Span,
    trust: Trust,
    quality: Option<Quality>,
    score: f64,
    /// What the session said since the last look.
    session_change: Option<Change>,
    outcome: bool,
    /// When the edge looks at it next.
    pub due: Instant,
}

impl Path {
    /// A path that begins at `now`. `number` is its own and above zero.
    pub fn new(config: &Config, path: PathConfig, number: u32, now: Instant, stream: &mut Stream) -> Path {
        let trust = match config.redundancy.get(&path.site) {
            Some(redundancy) => Some(redundancy.hysteresis()),
            None => config.hysteresis,
        };
        // Random phases, so that what is periodic does not fall together.
        let mut phase = |within: Span| now + Span::from_ns(stream.below(within.as_ns()));
        let first_probe = phase(config.probe.interval);
        let trains = config.bandwidth.map(|bandwidth| {
            let first = phase(bandwidth.interval.min(FIRST_TRAIN_WITHIN));
            TrainSender::new(bandwidth, path.rate, first)
        });
        let train_timeout = config.bandwidth.unwrap_or_default().timeout;
        Path {
            config: path,
            session: config.bfd.map(|bfd| Session::new(bfd, number, now, stream)),
            prober: Prober::new(config.probe, first_probe),
            trains,
            train_receiver: TrainReceiver::new(train_timeout),
            disabled: false,
            stranger: false,
            up: false,
            changed_at: None,
            hold: trust.unwrap_or_default().hold,
            trust: Trust::new(trust),
            quality: None,
            score: 0.0,
            session_change: None,
            outcome: false,
            due: now,
        }
    }

    /// A message arrived over this path. Answers go to `out`; returns what a train has measured.
    pub fn receive(
        &mut self,
        now: Instant,
        message: &Message,
        stream: &mut Stream,
        out: &mut Vec<Message>,
    ) -> Option<BitRate> {
        match message {
            Message::Probe { sequence } => out.push(Message::Echo { sequence: *sequence }),
            Message::Echo { sequence } => {
                self.outcome |= self.prober.answer(now, *sequence).is_some();
            }
            Message::Control(control) => {
                if let Some(session) = &mut self.session {
                    let change = session.receive(now, control, stream);
                    self.session_change = change.or(self.session_change);
                }
            }
            Message::Train(packet) => {
                let report = self.train_receiver.packet(now, packet);
                out.extend(report.map(Message::Report));
            }
            Message::Report(report) => {
                return self.trains.as_mut().and_then(|trains| trains.report(report));
            }
        }
        None
    }

    /// It leads to a site of which nothing is known: it does nothing until a new path takes its place.
    pub fn estrange(&mut self) {
        self.stranger = true;
    }

    /// Whether it does.
    pub fn leads_to_stranger(&self) -> bool {
        self.stranger
    }

    /// It takes the place of one that led to a stranger.
    pub fn follow(&mut self, before: &Path) {
        self.changed_at = before.changed_at;
    }

    /// Takes it out of service or puts it back.
    pub fn administer(&mut self, enabled: bool) {
        self.disabled = !enabled;
        if let Some(session) = &mut self.session {
            let change = session.administer(enabled);
            self.session_change = change.or(self.session_change);
        }
    }

    /// Does everything that is due and takes note of what has changed. Messages go to `out`.
    pub fn look(&mut self, now: Instant, stream: &mut Stream, out: &mut Vec<Message>) -> Looked {
        if self.stranger {
            let mut looked = self.judge(now);
            self.trust.update(now, false, 0.0);
            looked.turned = looked.down.is_some();
            self.due = Instant::MAX;
            return looked;
        }
        if let Some(session) = &mut self.session {
            let change = session.detect(now);
            self.session_change = change.or(self.session_change);
            while let Some(control) = session.transmit(now, stream) {
                out.push(Message::Control(control));
            }
        }
        self.outcome |= self.prober.expire(now);
        out.extend(self.prober.send(now).map(|sequence| Message::Probe { sequence }));
        self.trains(now, out);
        if std::mem::take(&mut self.outcome) {
            self.quality = Quality::of(&self.prober.statistics(now));
            self.score = monitor(self.quality);
        }
        let mut looked = self.judge(now);
        looked.turned = self.trust.update(now, self.up, self.score);
        let change = looked.up.is_some() || looked.down.is_some();
        looked.turned |= change;
        self.due = self.next_due();
        looked
    }

    fn trains(&mut self, now: Instant, out: &mut Vec<Message>) {
        out.extend(self.train_receiver.expire(now).map(Message::Report));
        let trains = self.trains.as_mut().filter(|_| self.up);
        if let Some(train) = trains.and_then(|trains| trains.send(now)) {
            out.extend(train.map(Message::Train));
        }
    }

    /// Whether it is up, and what that has changed.
    fn judge(&mut self, now: Instant) -> Looked {
        let change = self.session_change.take();
        let liveness = self.prober.liveness();
        let up = !self.disabled
            && !self.stranger
            && match &self.session {
                Some(session) => session.state() == State::Up && liveness != Liveness::Dead,
                None => liveness == Liveness::Alive,
            };
        let mut looked = Looked::default();
        if up == self.up {
            return looked;
        }
        self.up = up;
        let since = self.changed_at.replace(now).map(|at| now.saturating_since(at));
        if up {
            looked.up = Some(since);
        } else {
            looked.down = Some((self.cause(now, change), since.unwrap_or_default()));
        }
        looked
    }

    fn cause(&self, now: Instant, change: Option<Change>) -> Cause {
        if self.stranger {
            return Cause::Stranger;
        }
        if self.disabled {
            return Cause::Disabled;
        }
        match (change, &self.session) {
            (Some(Change::Down(Diagnostic::ControlDetectionTimeExpired)), Some(session)) => Cause::Silence {
                silent_for: session
                    .heard_at()
                    .map_or(Span::ZERO, |at| now.saturating_since(at)),
                detection_time: session.detection_time().unwrap_or_default(),
            },
            (Some(Change::Down(diagnostic)), _) => Cause::Neighbour { diagnostic },
            _ => Cause::MissedProbes {
                missed: self.prober.lost_in_row(),
            },
        }
    }

    fn next_due(&self) -> Instant {
        let session = self.session.as_ref().map(Session::due);
        let trains = self.trains.as_ref().filter(|_| self.up).map(TrainSender::due);
        let receiver = self.train_receiver.due();
        let others = [session, trains, receiver, self.trust.due()];
        others.into_iter().flatten().fold(self.prober.due(), Instant::min)
    }

    /// What has happened to its probes.
    pub fn probes(&self) -> probe::Counters {
        self.prober.counters()
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// The path as a candidate, under its place.
    pub fn candidate(&self, path: usize, now: Instant) -> Candidate {
        Candidate {
            path,
            standing: self.trust.standing(),
            proven: self.trust.is_proven(now),
            score: self.score,
            attributes: Attributes {
                quality: self.quality,
                rate: self.rate(),
                microdollars_per_gb: self.config.microdollars_per_gb,
            },
        }
    }

    fn rate(&self) -> Option<BitRate> {
        match &self.trains {
            Some(trains) => trains.rate(),
            None => self.config.rate,
        }
    }

    /// Its figures.
    pub fn report(&mut self, now: Instant, flows: u64) -> PathReport {
        let statistics = self.prober.statistics(now);
        PathReport {
            path: self.config.peer,
            site: self.config.site,
            up: self.up,
            rtt_mean: statistics.rtt_mean,
            rtt_stddev: statistics.rtt_stddev,
            jitter_rfc3550_ns: statistics.jitter_rfc3550_ns,
            loss: statistics.loss(),
            score: self.score,
            measured_rate: self.trains.as_ref().and_then(TrainSender::measured),
            flows,
            probes: self.prober.counters(),
        }
    }
}
