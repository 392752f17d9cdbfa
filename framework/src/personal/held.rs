//! [`Held`]: the keys used last, for as long as nobody was forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::unsync::Cache;

use super::key::Pseudonym;
use super::key_store::{KeyState, KeyStore};
use crate::document::Revision;
use crate::error::StoreError;

const ROOM: usize = 10_000;

pub(super) struct Held {
    pub(super) keys: Arc<dyn KeyStore>,
    known: Mutex<Known>,
}

struct Known {
    /// They were all asked for since the key store had this revision, and before it had another.
    revision: Revision,
    states: Cache<Pseudonym, KeyState>,
}

pub(super) type States = HashMap<Pseudonym, KeyState>;

/// What becomes of a subject that has no key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    LeftOut,
    Made,
}

impl Held {
    pub(super) fn new(keys: Arc<dyn KeyStore>) -> Self {
        let known = Mutex::new(Known {
            revision: Revision::ABSENT,
            states: Cache::new(ROOM),
        });
        Self { keys, known }
    }

    /// How it stands with the keys of `wanted` at some moment during the call.
    pub(super) async fn states(
        &self,
        mut wanted: Vec<Pseudonym>,
        missing: Missing,
    ) -> Result<States, StoreError> {
        wanted.sort_unstable();
        wanted.dedup();
        // Ahead of the keys: one that is found later was there at this revision, too, or is gone.
        let revision = self.keys.revision().await?;
        let mut states = States::with_capacity(wanted.len());
        {
            let mut known = self.known();
            known.bring_to(revision);
            wanted.retain(|subject| match known.states.get(subject) {
                Some(state) => {
                    states.insert(*subject, state.clone());
                    false
                }
                None => true,
            });
        }
        if wanted.is_empty() {
            return Ok(states);
        }
        let found = match missing {
            Missing::LeftOut => self.keys.find(&wanted).await?,
            Missing::Made => self.keys.create(&wanted).await?,
        };
        let mut known = self.known();
        for (subject, state) in found {
            if known.revision == revision {
                known.states.insert(subject, state.clone());
            }
            states.insert(subject, state);
        }
        Ok(states)
    }

    pub(super) fn drop_all(&self) {
        self.known().states.clear();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn bring_to(&mut self, revision: Revision) {
        // A look that took long may come with an older one.
        if revision > self.revision {
            self.revision = revision;
            self.states.clear();
        }
    }
}
