//! The sender's half: which version the peer holds, and what to send it next.

mod report;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use longhaul_core::time::{Instant, Span};

use crate::baseline::similar::SimilarObjects;
use crate::baseline::{BaselineStore, CadenceClock, Refusal, Reply, ReplyError, Says};
use crate::dictionary::{Dictionary, OBJECT_ID_PREFIX};
use crate::object::{Object, ObjectEncoder, ObjectHeader, ObjectId, ObjectName, ObjectOptions, ObjectStats};

pub use report::{SenderEvent, SenderOptions, SenderOutput, SenderStats};

/// Brings one peer up to the latest version of every object. See the [module](crate::baseline).
pub struct BaselineSender {
    options: SenderOptions,
    /// The peer's incarnation, once it has said something.
    peer: Option<u64>,
    encoder: ObjectEncoder,
    /// The dictionary that the peer is to have, and the object that brings it there.
    offered: Option<(Dictionary, ObjectName)>,
    objects: BTreeMap<ObjectId, State>,
    /// Objects to send, by when.
    due: BTreeSet<(Instant, ObjectId)>,
    /// Versions that were sent.
    history: BaselineStore,
    /// The objects of which the peer holds the latest version.
    similar: SimilarObjects,
    events: VecDeque<SenderEvent>,
    stats: SenderStats,
}

struct State {
    latest: Object,
    /// The latest version that the peer has acknowledged.
    held: Option<ObjectName>,
    /// Whether that may serve as a baseline: not once the peer has said that it no longer does.
    usable: bool,
    /// The last frame sent, until it is answered or given up.
    in_flight: Option<ObjectHeader>,
    /// When it is in `due`.
    due: Option<Instant>,
    /// Attempts at the latest version so far.
    attempts: u32,
    /// Whether the next frame must need nothing that the peer might not have.
    plain: bool,
    cadence: CadenceClock,
}

impl BaselineSender {
    /// A sender to a peer of which nothing is known.
    pub fn new(options: SenderOptions) -> BaselineSender {
        BaselineSender {
            options,
            peer: None,
            encoder: ObjectEncoder::new(options.encoding),
            offered: None,
            objects: BTreeMap::new(),
            due: BTreeSet::new(),
            history: BaselineStore::new(options.history),
            similar: SimilarObjects::default(),
            events: VecDeque::new(),
            stats: SenderStats::default(),
        }
    }

    /// There is a new version of an object. Whether it counts: not if a version at least as late was given before.
    pub fn update(&mut self, now: Instant, object: Object) -> bool {
        let id = object.id().clone();
        let state = match self.objects.get_mut(&id) {
            Some(state) if object.version() <= state.latest.version() => return false,
            Some(state) => {
                if state.attempts == 0 && state.held.as_ref() != Some(state.latest.name()) {
                    self.stats.superseded += 1;
                }
                state.latest = object;
                state.attempts = 0;
                state
            }
            None => self.objects.entry(id.clone()).or_insert(State {
                latest: object,
                held: None,
                usable: false,
                in_flight: None,
                due: None,
                attempts: 0,
                plain: false,
                cadence: CadenceClock::default(),
            }),
        };
        self.stats.updates += 1;
        // With a frame in flight it waits for the reply, or for the time at which that is given up.
        if state.in_flight.is_none() || state.due.is_none() {
            state.schedule(&mut self.due, &id, Some(now));
        }
        true
    }

    /// From now on objects are encoded like this. What the peer holds stays what it was.
    ///
    /// # Panics
    /// If the level is outside 1 to 19.
    pub fn set_encoding(&mut self, encoding: ObjectOptions) {
        if encoding != self.options.encoding {
            self.options.encoding = encoding;
            self.encoder.set_options(encoding);
        }
    }

    /// How objects are encoded.
    pub fn encoding(&self) -> &ObjectOptions {
        &self.options.encoding
    }

    /// The channel was interrupted and is there again: what is in flight of this object is sent anew.
    pub fn send_again(&mut self, now: Instant, id: &ObjectId) {
        if let Some(state) = self.objects.get_mut(id)
            && state.in_flight.take().is_some()
        {
            state.attempts = 0;
            state.schedule(&mut self.due, id, Some(now));
        }
    }

    /// The object is no longer to be kept up to date.
    pub fn remove(&mut self, id: &ObjectId) {
        if let Some(mut state) = self.objects.remove(id) {
            state.schedule(&mut self.due, id, None);
            self.history.remove(id);
            self.similar.remove(id);
        }
    }

    /// The peer is to have this dictionary, instead of another one. It travels like an object and is used once the
    /// peer holds it. Whether it counts: not if a version at least as late of it was given before.
    pub fn offer_dictionary(&mut self, now: Instant, dictionary: Dictionary) -> bool {
        let object = dictionary.to_object();
        let name = object.name().clone();
        let counts = self.update(now, object);
        if counts {
            self.offered = Some((dictionary, name));
        }
        counts
    }

    /// A reply arrived.
    ///
    /// # Errors
    /// If these bytes are no reply; nothing changes.
    pub fn on_reply(&mut self, now: Instant, reply: &[u8]) -> Result<(), ReplyError> {
        let reply = Reply::decode(reply)?;
        match self.peer.replace(reply.incarnation) {
            // The peer has started anew since it said this.
            Some(peer) if reply.incarnation < peer => {
                self.peer = Some(peer);
                return Ok(());
            }
            Some(peer) if reply.incarnation > peer => self.start_anew(now),
            Some(_) | None => {}
        }
        match reply.says {
            Says::Hello => {}
            Says::Held(name) => self.on_held(now, name),
            Says::Refused { object, why } => self.on_refused(now, &object, why),
        }
        Ok(())
    }

    /// The next thing to do.
    pub fn poll(&mut self, now: Instant) -> SenderOutput {
        if let Some(event) = self.events.pop_front() {
            return SenderOutput::Event(event);
        }
        match self.due.first() {
            None => SenderOutput::Idle,
            Some((at, _)) if *at > now => SenderOutput::WakeAt(*at),
            Some((_, id)) => {
                let id = id.clone();
                self.send(now, &id)
            }
        }
    }

    /// The peer's incarnation, once it has said something.
    pub fn peer(&self) -> Option<u64> {
        self.peer
    }

    /// The version of an object that the peer is known to hold.
    pub fn held(&self, id: &ObjectId) -> Option<&ObjectName> {
        self.objects.get(id)?.held.as_ref()
    }

    /// Whether the peer is known to hold the latest version of every object.
    pub fn is_converged(&self) -> bool {
        let mut states = self.objects.values();
        states.all(|state| state.held.as_ref() == Some(state.latest.name()))
    }

    /// What it has done so far.
    pub fn stats(&self) -> &SenderStats {
        &self.stats
    }

    /// What its encoder has done so far.
    pub fn encoder_stats(&self) -> &ObjectStats {
        self.encoder.stats()
    }

    /// The versions that may serve as baselines.
    pub fn history(&self) -> &BaselineStore {
        &self.history
    }

    /// The peer has lost what it held: everything is sent again.
    fn start_anew(&mut self, now: Instant) {
        self.similar.clear();
        for (id, state) in &mut self.objects {
            state.held = None;
            state.in_flight = None;
            state.attempts = 0;
            state.schedule(&mut self.due, id, Some(now));
        }
    }

    fn on_held(&mut self, now: Instant, name: ObjectName) {
        let Some(state) = self.objects.get_mut(&name.id) else {
            return;
        };
        let answered = state
            .in_flight
            .take_if(|header| header.object.version <= name.version)
            .is_some();
        let news = state.held.as_ref().is_none_or(|held| held.version < name.version);
        if !news && !answered {
            return;
        }
        state.plain = false;
        let latest = state.latest.name();
        let event = if name == *latest {
            // What is in the dictionary needs no other reference.
            if self.options.similar && !is_dictionary(&name.id) {
                self.similar.insert(&name.id, state.latest.sketch());
            }
            Some(SenderEvent::Converged(name.clone()))
        } else if name.version >= latest.version {
            Some(SenderEvent::PeerAhead { held: name.clone() })
        } else {
            None
        };
        let next = match (&event, &state.in_flight) {
            (Some(_), _) => {
                state.in_flight = None;
                None
            }
            // A late answer: the one to the latest frame is still to come.
            (None, Some(_)) => state.due,
            (None, None) => Some(now),
        };
        self.events.extend(event);
        let id = name.id.clone();
        state.held = Some(name);
        state.usable = true;
        state.schedule(&mut self.due, &id, next);
    }

    fn on_refused(&mut self, now: Instant, object: &ObjectName, why: Refusal) {
        let Some(state) = self.objects.get_mut(&object.id) else {
            return;
        };
        // Only the frame in flight counts, and only if it needs what is refused: the rest is repeated or late.
        let Some(header) = state.in_flight.take_if(|header| {
            header.object == *object
                && match &why {
                    Refusal::Reference(name) => header.references.contains(name),
                    Refusal::Dictionary(name) => header.dictionary == Some(*name),
                    Refusal::TooLarge { .. } | Refusal::TooManyObjects | Refusal::Undecodable => true,
                }
        }) else {
            return;
        };
        self.stats.refusals += 1;
        let mut next = Some(now);
        let (mut lost_reference, mut lost_dictionary) = (None, None);
        match why {
            Refusal::Reference(name) => lost_reference = Some(name),
            Refusal::Dictionary(name) => lost_dictionary = Some(name),
            Refusal::Undecodable if !state.plain => state.plain = true,
            Refusal::TooLarge { .. } | Refusal::TooManyObjects | Refusal::Undecodable => {
                // A later version may fare better.
                if header.object == *state.latest.name() {
                    next = None;
                }
                self.events.push_back(SenderEvent::Rejected {
                    object: header.object,
                    why,
                });
            }
        }
        state.schedule(&mut self.due, &object.id, next);
        if let Some((dictionary, name)) = &self.offered
            && Some(dictionary.name()) == lost_dictionary
            && let Some(state) = self.objects.get_mut(&name.id)
            && state.held.take().is_some()
        {
            state.schedule(&mut self.due, &name.id, Some(now));
        }
        // It may be that of another object.
        if let Some(lost) = lost_reference
            && let Some(state) = self.objects.get_mut(&lost.id)
            && state.held == Some(lost)
        {
            state.usable = false;
            self.similar.remove(state.latest.id());
        }
    }

    fn send(&mut self, now: Instant, id: &ObjectId) -> SenderOutput {
        let reference = self.reference(now, id);
        let dictionary = self.usable_dictionary();
        let state = self.objects.get_mut(id).expect("what is due is known");
        let dictionary = dictionary.filter(|_| !state.plain);
        let references = reference.as_slice().iter().collect::<Vec<_>>();
        let encoded = self
            .encoder
            .encode(&state.latest, &references, dictionary.as_ref());
        let builds_on_itself = reference.is_some_and(|reference| reference.id() == id);
        state.cadence.sent(now, !builds_on_itself);
        self.stats.frames += 1;
        self.stats.retries += u64::from(state.attempts > 0);
        let wait = self.options.retry.saturating_mul(1 << state.attempts.min(32));
        let wait = wait.min(self.options.retry_max).max(Span::from_ns(1));
        state.attempts = state.attempts.saturating_add(1);
        state.in_flight = Some(encoded.header.clone());
        self.history.insert(now, state.latest.clone());
        state.schedule(&mut self.due, id, Some(now.saturating_add(wait)));
        SenderOutput::Send {
            header: encoded.header,
            frame: encoded.frame,
            work: encoded.work,
        }
    }

    /// What the next frame of an object may build on: the version of it that the peer holds, if the cadence allows, or
    /// another object if it is the first.
    fn reference(&mut self, now: Instant, id: &ObjectId) -> Option<Object> {
        let state = &self.objects[id];
        if state.plain {
            return None;
        }
        if state.held.is_none() {
            let similar = self.similar.most_similar(&state.latest.sketch())?;
            let held = self.objects[similar].held.as_ref()?;
            return self.history.get_exact(now, held);
        }
        let held = state.held.as_ref().filter(|_| state.usable)?;
        let baseline = self.history.get_exact(now, held)?;
        if !state.cadence.allows_delta(&self.options.cadence, now) {
            self.stats.full_by_cadence += 1;
            return None;
        }
        Some(baseline)
    }

    /// The dictionary, if the peer holds it.
    fn usable_dictionary(&self) -> Option<Dictionary> {
        let (dictionary, name) = self.offered.as_ref()?;
        (self.held(&name.id) == Some(name)).then(|| dictionary.clone())
    }
}

fn is_dictionary(id: &ObjectId) -> bool {
    id.as_str().starts_with(OBJECT_ID_PREFIX)
}

impl State {
    /// Moves the object to another place in `due`.
    fn schedule(&mut self, due: &mut BTreeSet<(Instant, ObjectId)>, id: &ObjectId, at: Option<Instant>) {
        if let Some(before) = self.due.take() {
            due.remove(&(before, id.clone()));
        }
        if let Some(at) = at {
            due.insert((at, id.clone()));
        }
        self.due = at;
    }
}
