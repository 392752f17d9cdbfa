//! [`KeyStore`]: the trait of a store for the keys of the data subjects.

use async_trait::async_trait;
use factum_core::document::Revision;
use factum_core::error::StoreError;
use factum_core::personal::Pseudonym;
use factum_core::timestamp::Timestamp;

use crate::encryption_key::EncryptionKey;

/// The state of the key of a data subject.
#[derive(Debug, Clone)]
pub enum KeyState {
    /// The key exists.
    Active(EncryptionKey),
    /// The key was destroyed at this time, and a new one is never created.
    Erased(Timestamp),
}

/// A store for the keys of the data subjects, outside the log, so that keys can be destroyed.
///
/// [`DocumentKeys`](crate::DocumentKeys) implements it for any
/// [`DocumentStore`](factum_core::document::DocumentStore).
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// Returns the pseudonym of the subject `id`.
    ///
    /// It must always be the same for an id, and must not be computable without a secret of this key store.
    fn pseudonym(&self, id: &str) -> Pseudonym;

    /// Returns the revision of the key store, which changes with each erasure in any process.
    ///
    /// It is read each time before keys are used.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails.
    async fn revision(&self) -> Result<Revision, StoreError>;

    /// Returns the state of the key of each subject, without subjects that never had a key.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails, or if a key exists but cannot be read.
    async fn find(&self, subjects: &[Pseudonym]) -> Result<Vec<(Pseudonym, KeyState)>, StoreError>;

    /// Returns the state of the key of each subject, after creating a key for subjects that never had one.
    ///
    /// Concurrent calls for a subject must all return the same key.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails, or if a key exists but cannot be read.
    async fn find_or_create(
        &self,
        subjects: &[Pseudonym],
    ) -> Result<Vec<(Pseudonym, KeyState)>, StoreError>;

    /// Destroys the key of a subject permanently, and returns the time of the erasure.
    ///
    /// A subject that is already erased keeps its time. A subject that never had a key must not get one afterwards.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails.
    async fn erase(&self, subject: Pseudonym) -> Result<Timestamp, StoreError>;
}
