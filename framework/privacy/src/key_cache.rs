//! [`KeyCache`]: the most recently used keys, valid until the next erasure.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use factum_core::document::Revision;
use factum_core::error::StoreError;
use factum_core::personal::Pseudonym;
use quick_cache::unsync::Cache;

use crate::key_store::{KeyState, KeyStore, SharedKeyStore};

/// The maximum number of cached keys.
const CAPACITY: usize = 10_000;

/// A cache in front of a [`KeyStore`].
pub struct KeyCache {
    key_store: SharedKeyStore,
    entries: Mutex<CachedKeys>,
}

struct CachedKeys {
    /// The revision of the key store at which all entries were valid.
    revision: Revision,
    states: Cache<Pseudonym, KeyState>,
}

/// The states of the keys of some data subjects.
pub type KeyStates = HashMap<Pseudonym, KeyState>;

#[derive(Clone, Copy)]
enum MissingKey {
    Omit,
    Create,
}

impl KeyCache {
    pub fn new(key_store: impl KeyStore) -> Self {
        let entries = Mutex::new(CachedKeys {
            revision: Revision::ABSENT,
            states: Cache::new(CAPACITY),
        });
        Self {
            key_store: SharedKeyStore::new(key_store),
            entries,
        }
    }

    /// Returns the key store.
    pub fn key_store(&self) -> &SharedKeyStore {
        &self.key_store
    }

    /// Returns the states of the keys of `subjects`, without subjects that never had a key.
    pub async fn find(&self, subjects: Vec<Pseudonym>) -> Result<KeyStates, StoreError> {
        self.states(subjects, MissingKey::Omit).await
    }

    /// Returns the states of the keys of `subjects`, after creating missing keys.
    pub async fn find_or_create(&self, subjects: Vec<Pseudonym>) -> Result<KeyStates, StoreError> {
        self.states(subjects, MissingKey::Create).await
    }

    async fn states(
        &self,
        mut subjects: Vec<Pseudonym>,
        missing: MissingKey,
    ) -> Result<KeyStates, StoreError> {
        subjects.sort_unstable();
        subjects.dedup();
        // The revision is read before the keys: a key that is read later was also valid at this revision.
        let revision = self.key_store.revision().await?;
        let mut states = KeyStates::with_capacity(subjects.len());
        {
            let mut entries = self.entries();
            entries.set_revision(revision);
            subjects.retain(|subject| match entries.states.get(subject) {
                Some(state) => {
                    states.insert(*subject, state.clone());
                    false
                }
                None => true,
            });
        }
        if subjects.is_empty() {
            return Ok(states);
        }
        let found = match missing {
            MissingKey::Omit => self.key_store.find(&subjects).await?,
            MissingKey::Create => self.key_store.find_or_create(&subjects).await?,
        };
        let mut entries = self.entries();
        for (subject, state) in found {
            if entries.revision == revision {
                entries.states.insert(subject, state.clone());
            }
            states.insert(subject, state);
        }
        Ok(states)
    }

    /// Removes all keys from the cache.
    pub fn clear(&self) {
        self.entries().states.clear();
    }

    fn entries(&self) -> MutexGuard<'_, CachedKeys> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedKeys {
    fn set_revision(&mut self, revision: Revision) {
        // A later revision may be smaller, so any difference clears the cache. A slow call may set an older revision
        // again, which only costs an additional read of the keys.
        if revision != self.revision {
            self.revision = revision;
            self.states.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use factum_core::timestamp::Timestamp;

    use super::*;
    use crate::encryption_key::EncryptionKey;

    /// A key store with one subject, which is erased at every revision except 5.
    struct SingleSubject(Arc<AtomicU64>);

    impl KeyStore for SingleSubject {
        fn pseudonym(&self, _: &str) -> Pseudonym {
            Pseudonym::new([1; 16])
        }

        async fn revision(&self) -> Result<Revision, StoreError> {
            Ok(Revision::new(self.0.load(SeqCst)))
        }

        async fn find(&self, of: &[Pseudonym]) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
            let state = match self.0.load(SeqCst) {
                5 => KeyState::Active(EncryptionKey::new(&[2; 32])),
                _ => KeyState::Erased(Timestamp::from_micros(0)),
            };
            Ok(of.iter().map(|subject| (*subject, state.clone())).collect())
        }

        async fn find_or_create(
            &self,
            of: &[Pseudonym],
        ) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
            self.find(of).await
        }

        async fn erase(&self, _: Pseudonym) -> Result<Timestamp, StoreError> {
            Ok(Timestamp::from_micros(0))
        }
    }

    /// Two concurrent changes may get their revisions in one order and be executed in the other.
    #[tokio::test]
    async fn destroyed_key_is_not_used_after_smaller_revision() {
        let revision = Arc::new(AtomicU64::new(5));
        let cache = KeyCache::new(SingleSubject(revision.clone()));
        let subject = Pseudonym::new([1; 16]);
        let is_active = async || {
            let states = cache.find(vec![subject]).await.unwrap();
            matches!(states[&subject], KeyState::Active(_))
        };
        assert!(is_active().await);
        revision.store(4, SeqCst);
        assert!(!is_active().await);
    }
}
