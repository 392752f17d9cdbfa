//! [`Held`]: the keys used last, for as long as nobody was forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::unsync::Cache;

use super::key_store::{KeyState, KeyStore};
use factum_core::document::Revision;
use factum_core::personal::Pseudonym;
use factum_engine::error::StoreError;

const ROOM: usize = 10_000;

pub struct Held {
    pub keys: Arc<dyn KeyStore>,
    known: Mutex<Known>,
}

struct Known {
    /// They were all asked for since the key store had this revision, and before it had another.
    revision: Revision,
    states: Cache<Pseudonym, KeyState>,
}

pub type States = HashMap<Pseudonym, KeyState>;

/// What becomes of a subject that has no key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    LeftOut,
    Made,
}

impl Held {
    pub fn new(keys: Arc<dyn KeyStore>) -> Self {
        let known = Mutex::new(Known {
            revision: Revision::ABSENT,
            states: Cache::new(ROOM),
        });
        Self { keys, known }
    }

    /// How it stands with the keys of `wanted` at some moment during the call.
    pub async fn states(
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

    pub fn drop_all(&self) {
        self.known().states.clear();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn bring_to(&mut self, revision: Revision) {
        // Not every later one is greater. A look that took long may bring back one from before: then it is asked once more
        // in vain.
        if revision != self.revision {
            self.revision = revision;
            self.states.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use async_trait::async_trait;

    use super::*;
    use crate::Key;
    use factum_core::timestamp::Timestamp;

    /// One subject, who is forgotten once the revision is not 5 any more.
    struct One(Arc<AtomicU64>);

    #[async_trait]
    impl KeyStore for One {
        fn pseudonym(&self, _: &str) -> Pseudonym {
            Pseudonym::new([1; 16])
        }

        async fn revision(&self) -> Result<Revision, StoreError> {
            Ok(Revision::new(self.0.load(SeqCst)))
        }

        async fn find(&self, of: &[Pseudonym]) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
            let state = match self.0.load(SeqCst) {
                5 => KeyState::Held(Key::new(&[2; 32])),
                _ => KeyState::Forgotten(Timestamp::from_micros(0)),
            };
            Ok(of.iter().map(|subject| (*subject, state.clone())).collect())
        }

        async fn create(&self, of: &[Pseudonym]) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
            self.find(of).await
        }

        async fn forget(&self, _: Pseudonym) -> Result<Timestamp, StoreError> {
            Ok(Timestamp::from_micros(0))
        }
    }

    /// Two changes at once may get their revisions in the one order and be made in the other.
    #[tokio::test]
    async fn a_destroyed_key_is_not_used_again_though_the_revision_is_smaller() {
        let revision = Arc::new(AtomicU64::new(5));
        let held = Held::new(Arc::new(One(revision.clone())));
        let subject = Pseudonym::new([1; 16]);
        let look = async || {
            let states = held.states(vec![subject], Missing::LeftOut).await.unwrap();
            matches!(states[&subject], KeyState::Held(_))
        };
        assert!(look().await);
        revision.store(4, SeqCst);
        assert!(!look().await);
    }
}
