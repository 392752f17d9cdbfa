//! [`KeyStore`]: the trait of a store for the keys of the data subjects.

use std::sync::Arc;

use factum_core::document::Revision;
use factum_core::error::StoreError;
use factum_core::personal::Pseudonym;
use factum_core::timestamp::Timestamp;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

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
/// [`DocumentStore`](factum_core::document::DocumentStore). Implement the asynchronous methods with `async fn`.
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
    fn revision(&self) -> impl Future<Output = Result<Revision, StoreError>> + Send;

    /// Returns the state of the key of each subject, without subjects that never had a key.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails, or if a key exists but cannot be read.
    fn find(
        &self,
        subjects: &[Pseudonym],
    ) -> impl Future<Output = Result<Vec<(Pseudonym, KeyState)>, StoreError>> + Send;

    /// Returns the state of the key of each subject, after creating a key for subjects that never had one.
    ///
    /// Concurrent calls for a subject must all return the same key.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails, or if a key exists but cannot be read.
    fn find_or_create(
        &self,
        subjects: &[Pseudonym],
    ) -> impl Future<Output = Result<Vec<(Pseudonym, KeyState)>, StoreError>> + Send;

    /// Destroys the key of a subject permanently, and returns the time of the erasure.
    ///
    /// A subject that is already erased keeps its time. A subject that never had a key must not get one afterwards.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails.
    fn erase(
        &self,
        subject: Pseudonym,
    ) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;
}

/// A key store of any type. Clones share one key store.
#[derive(Clone)]
pub struct SharedKeyStore(Arc<dyn BoxedKeyStore>);

impl SharedKeyStore {
    /// Shares `key_store`.
    pub fn new(key_store: impl KeyStore) -> Self {
        Self(Arc::new(key_store))
    }

    /// See [`KeyStore::pseudonym`].
    pub fn pseudonym(&self, id: &str) -> Pseudonym {
        self.0.boxed_pseudonym(id)
    }

    /// See [`KeyStore::revision`].
    pub async fn revision(&self) -> Result<Revision, StoreError> {
        self.0.boxed_revision().await
    }

    /// See [`KeyStore::find`].
    pub async fn find(
        &self,
        subjects: &[Pseudonym],
    ) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
        self.0.boxed_find(subjects).await
    }

    /// See [`KeyStore::find_or_create`].
    pub async fn find_or_create(
        &self,
        subjects: &[Pseudonym],
    ) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
        self.0.boxed_find_or_create(subjects).await
    }

    /// See [`KeyStore::erase`].
    pub async fn erase(&self, subject: Pseudonym) -> Result<Timestamp, StoreError> {
        self.0.boxed_erase(subject).await
    }
}

type KeyStates<'a> = BoxFuture<'a, Result<Vec<(Pseudonym, KeyState)>, StoreError>>;

/// The object-safe twin of [`KeyStore`].
trait BoxedKeyStore: Send + Sync {
    fn boxed_pseudonym(&self, id: &str) -> Pseudonym;
    fn boxed_revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>>;
    fn boxed_find<'a>(&'a self, subjects: &'a [Pseudonym]) -> KeyStates<'a>;
    fn boxed_find_or_create<'a>(&'a self, subjects: &'a [Pseudonym]) -> KeyStates<'a>;
    fn boxed_erase(&self, subject: Pseudonym) -> BoxFuture<'_, Result<Timestamp, StoreError>>;
}

impl<K: KeyStore> BoxedKeyStore for K {
    fn boxed_pseudonym(&self, id: &str) -> Pseudonym {
        self.pseudonym(id)
    }

    fn boxed_revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        self.revision().boxed()
    }

    fn boxed_find<'a>(&'a self, subjects: &'a [Pseudonym]) -> KeyStates<'a> {
        self.find(subjects).boxed()
    }

    fn boxed_find_or_create<'a>(&'a self, subjects: &'a [Pseudonym]) -> KeyStates<'a> {
        self.find_or_create(subjects).boxed()
    }

    fn boxed_erase(&self, subject: Pseudonym) -> BoxFuture<'_, Result<Timestamp, StoreError>> {
        self.erase(subject).boxed()
    }
}
