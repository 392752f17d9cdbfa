//! [`KeyStore`]: where the keys of the subjects are kept.

use async_trait::async_trait;

use super::key::Key;
use factum_core::document::Revision;
use factum_core::personal::Pseudonym;
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;

/// How it stands with the key of a subject.
#[derive(Debug, Clone)]
pub enum KeyState {
    /// It is there.
    Held(Key),
    /// It was destroyed at this time, and never comes again.
    Forgotten(Timestamp),
}

/// Where the keys of the subjects are kept: outside the log, so that they can be destroyed.
/// [`DocumentKeys`](super::DocumentKeys) keeps them in any [`DocumentStore`](factum_core::document::DocumentStore).
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// What stands for the subject `id` in the store: the same for ever, and not to be found by who does not hold a
    /// secret of this key store.
    fn pseudonym(&self, id: &str) -> Pseudonym;

    /// Changes whenever a subject is forgotten, in whatever process. It is asked for each time that keys are used.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails.
    async fn revision(&self) -> Result<Revision, StoreError>;

    /// How it stands with the keys of these subjects; one that never had a key is left out.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails, or a key is there and cannot be had.
    async fn find(&self, subjects: &[Pseudonym]) -> Result<Vec<(Pseudonym, KeyState)>, StoreError>;

    /// The same, behind giving a new key to each that never had one. Of many that do so at once, all get the same key.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails, or a key is there and cannot be had.
    async fn create(
        &self,
        subjects: &[Pseudonym],
    ) -> Result<Vec<(Pseudonym, KeyState)>, StoreError>;

    /// Destroys the key of a subject for ever, and says since when it is: one that is forgotten already keeps its
    /// time, and one that never had a key shall get none.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails.
    async fn forget(&self, subject: Pseudonym) -> Result<Timestamp, StoreError>;
}
