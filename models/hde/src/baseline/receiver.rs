//! The receiver's half: decodes, keeps, and answers every frame.

use std::collections::BTreeMap;

use bytes::Bytes;
use longhaul_core::time::Instant;
use serde::{Deserialize, Serialize};

use crate::baseline::{BaselineStore, Refusal, Reply, Says, StoreOptions};
use crate::cost::DecodeWork;
use crate::dictionary::{Dictionary, DictionaryName};
use crate::object::{Object, ObjectDecoder, ObjectError, ObjectHeader, ObjectId, ObjectName, References};

/// Most dictionaries that a receiver holds.
const MAX_DICTIONARIES: usize = 64;

/// How a [`BaselineReceiver`] works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReceiverOptions {
    /// The largest object accepted, in bytes.
    pub max_object_bytes: usize,
    /// Most objects tracked; each takes a few hundred bytes beside its content.
    pub max_objects: usize,
    /// Memory for versions that may serve as baselines.
    pub store: StoreOptions,
}

impl Default for ReceiverOptions {
    /// Objects of up to 256 MiB, a hundred thousand of them.
    fn default() -> ReceiverOptions {
        ReceiverOptions {
            max_object_bytes: 256 << 20,
            max_objects: 100_000,
            store: StoreOptions::default(),
        }
    }
}

/// What became of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The version that it brought, if that is later than what was held.
    pub delivered: Option<Object>,
    /// What to send back; nothing to a frame that was damaged, since it does not say what it was.
    pub reply: Option<Bytes>,
    /// Why it was refused.
    pub refused: Option<ObjectError>,
    /// What decoding took; nothing if the frame was refused or of a version held already.
    pub work: DecodeWork,
}

/// What a receiver has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReceiverStats {
    /// Versions delivered.
    pub delivered: u64,
    /// Frames of versions that were held, or passed, already.
    pub stale: u64,
    /// Frames refused with a reason.
    pub refused: u64,
    /// Frames that were damaged, or none.
    pub damaged: u64,
}

/// Receives objects from one peer. See the [module](crate::baseline).
pub struct BaselineReceiver {
    options: ReceiverOptions,
    incarnation: u64,
    decoder: ObjectDecoder,
    /// The latest version of each object.
    latest: BTreeMap<ObjectId, ObjectName>,
    store: BaselineStore,
    dictionaries: BTreeMap<u32, Dictionary>,
    stats: ReceiverStats,
}

impl BaselineReceiver {
    /// A receiver that holds nothing. Its incarnation must be greater than that of any receiver that the same sender
    /// had before, such as the time at which it starts.
    pub fn new(options: ReceiverOptions, incarnation: u64) -> BaselineReceiver {
        BaselineReceiver {
            options,
            incarnation,
            decoder: ObjectDecoder::new(options.max_object_bytes),
            latest: BTreeMap::new(),
            store: BaselineStore::new(options.store),
            dictionaries: BTreeMap::new(),
            stats: ReceiverStats::default(),
        }
    }

    /// What to tell the sender when a connection begins, so that it learns that what an earlier incarnation held is
    /// lost. Without it the sender learns that from the next reply.
    pub fn hello(&self) -> Bytes {
        self.reply(Says::Hello)
    }

    /// A frame arrived.
    pub fn on_frame(&mut self, now: Instant, frame: &[u8]) -> Answer {
        let header = match ObjectHeader::parse(frame) {
            Ok(header) => header,
            Err(error) => {
                self.stats.damaged += 1;
                return Answer {
                    delivered: None,
                    reply: None,
                    refused: Some(error),
                    work: DecodeWork::default(),
                };
            }
        };
        if let Some(latest) = self.latest.get(&header.object.id) {
            if header.object.version <= latest.version {
                self.stats.stale += 1;
                let latest = latest.clone();
                return self.hold(None, latest);
            }
        } else if self.latest.len() >= self.options.max_objects {
            return self.refuse(header.object, Refusal::TooManyObjects, None);
        }
        let mut held = Held {
            store: &mut self.store,
            dictionaries: &self.dictionaries,
            now,
        };
        match self.decoder.decode(frame, &mut held) {
            Ok(decoded) => Answer {
                work: decoded.work,
                ..self.deliver(now, decoded.object)
            },
            Err(error) => {
                let why = match &error {
                    ObjectError::MissingReference(name) | ObjectError::WrongReference(name) => {
                        Refusal::Reference(name.as_ref().clone())
                    }
                    ObjectError::UnknownDictionary(name) | ObjectError::WrongDictionary(name) => {
                        Refusal::Dictionary(*name)
                    }
                    ObjectError::TooLarge { .. } => Refusal::TooLarge {
                        max_bytes: self.options.max_object_bytes as u64,
                    },
                    _ => Refusal::Undecodable,
                };
                self.refuse(header.object, why, Some(error))
            }
        }
    }

    /// The latest version of an object that was delivered. Its bytes may have left the store since.
    pub fn latest(&self, id: &ObjectId) -> Option<&ObjectName> {
        self.latest.get(id)
    }

    /// The object is no longer of interest. A frame that is still under way brings it back.
    pub fn remove(&mut self, id: &ObjectId) {
        self.latest.remove(id);
        self.store.remove(id);
    }

    /// The versions that may serve as baselines.
    pub fn store(&self) -> &BaselineStore {
        &self.store
    }

    /// What it has done so far.
    pub fn stats(&self) -> &ReceiverStats {
        &self.stats
    }

    fn deliver(&mut self, now: Instant, object: Object) -> Answer {
        match Dictionary::from_object(&object) {
            Ok(None) => {}
            Ok(Some(dictionary)) => {
                let id = dictionary.name().id;
                self.dictionaries.insert(id, dictionary);
                // A sender offers one at a time, so any other may make room. If it is offered again it is new.
                if self.dictionaries.len() > MAX_DICTIONARIES {
                    let other = self.dictionaries.keys().find(|other| **other != id);
                    let other = *other.expect("there are several");
                    self.dictionaries.remove(&other);
                    self.remove(&Dictionary::object_id(other));
                }
            }
            Err(_) => return self.refuse(object.name().clone(), Refusal::Undecodable, None),
        }
        self.latest.insert(object.id().clone(), object.name().clone());
        self.store.insert(now, object.clone());
        self.stats.delivered += 1;
        let name = object.name().clone();
        self.hold(Some(object), name)
    }

    fn hold(&self, delivered: Option<Object>, latest: ObjectName) -> Answer {
        Answer {
            delivered,
            reply: Some(self.reply(Says::Held(latest))),
            refused: None,
            work: DecodeWork::default(),
        }
    }

    fn refuse(&mut self, object: ObjectName, why: Refusal, error: Option<ObjectError>) -> Answer {
        self.stats.refused += 1;
        Answer {
            delivered: None,
            reply: Some(self.reply(Says::Refused { object, why })),
            refused: error,
            work: DecodeWork::default(),
        }
    }

    fn reply(&self, says: Says) -> Bytes {
        let incarnation = self.incarnation;
        Reply { incarnation, says }.encode().into()
    }
}

/// What a frame is decoded against, now.
struct Held<'a> {
    store: &'a mut BaselineStore,
    dictionaries: &'a BTreeMap<u32, Dictionary>,
    now: Instant,
}

impl References for Held<'_> {
    fn object(&mut self, name: &ObjectName) -> Option<Object> {
        self.store.get(self.now, &name.id, name.version)
    }

    fn dictionary(&mut self, name: &DictionaryName) -> Option<Dictionary> {
        let dictionary = self.dictionaries.get(&name.id)?;
        (dictionary.name().version == name.version).then(|| dictionary.clone())
    }
}
