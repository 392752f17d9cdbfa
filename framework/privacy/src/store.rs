//! [`PersonalDataStore`]: a decorator that encrypts the personal data in any store.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use factum_core::append::{Append, AppendError, Appended, IdempotencyKey};
use factum_core::error::StoreError;
use factum_core::event_type_list::{EventTypeList, EventTypeSummary};
use factum_core::position::Position;
use factum_core::read::{Page, Read};
use factum_core::snapshot::{Snapshot, SnapshotStore};
use factum_core::store::{EventStore, Store};
use factum_core::stream_id::StreamId;
use factum_core::stream_list::{StreamList, StreamSummary};
use factum_core::timestamp::Timestamp;
use factum_engine::engine::Engine;
use tokio::sync::watch;

use crate::append_order::AppendOrder;
use crate::decrypt::decrypt;
use crate::encrypt::encrypt;
use crate::erase::{self, Erased};
use crate::error::KeyError;
use crate::key_cache::KeyCache;
use crate::key_store::KeyStore;
use crate::log_keys::claim_log;
use crate::personal_categories::PersonalCategories;

/// A store that encrypts fields marked `#[personal]` on append, and decrypts them on read.
///
/// ```
/// # use factum::privacy::{DocumentKeys, PersonalDataStore};
/// # use factum::Engine;
/// # use factum::store::Store;
/// # async fn run<S: Store + Clone>(
/// #     events: S, keys: impl Store, master_key: &str, customer: u32, runtime: factum::Runtime,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let keys = DocumentKeys::open(keys, master_key.parse()?).await?;
/// let store = PersonalDataStore::open(events.clone(), keys).await?;
/// let engine = Engine::new(store.clone());
/// // …
/// let erased = store.erase(customer).await?;
/// engine.evict(&erased.streams);
/// runtime.rebuild_erased(&erased.event_types).await?;
/// # Ok(()) }
/// ```
///
/// Events without personal data are stored unchanged. Aggregates whose events contain personal data have no snapshots,
/// because a snapshot would contain the data in plain text.
///
/// This type does not close the inner store or the store of the keys: keep a clone of each to close it.
#[derive(Clone)]
pub struct PersonalDataStore<S> {
    store: S,
    shared: Arc<PrivacyState>,
}

/// The state that all clones of a [`PersonalDataStore`] share.
struct PrivacyState {
    keys: KeyCache,
    order: AppendOrder,
    categories: PersonalCategories,
}

impl<S: Store> PersonalDataStore<S> {
    /// Opens a decorator for `store`, with the keys of the data subjects in `keys`.
    ///
    /// The first call stores a fingerprint of the key store in a document of `store`. Later calls compare it, so that a
    /// key store of another log, or an empty one by mistake, is noticed before it encrypts or erases anything.
    ///
    /// # Errors
    /// Returns [`KeyError::OtherKeyStore`] if the log was opened with another key store before, and
    /// [`KeyError::Store`] if a backend fails.
    pub async fn open(store: S, keys: impl KeyStore) -> Result<Self, KeyError> {
        let keys = KeyCache::new(keys);
        claim_log(&store, keys.key_store()).await?;
        let shared = PrivacyState {
            keys,
            order: AppendOrder::default(),
            categories: PersonalCategories::default(),
        };
        Ok(Self {
            store,
            shared: Arc::new(shared),
        })
    }

    /// Returns the inner store, which returns personal data encrypted.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Erases a data subject: destroys its key permanently.
    ///
    /// `subject` is the id of the subject, or the text of the id. The events stay in the store. A read that starts
    /// after this call, in any process, returns the personal fields of the subject redacted. An append with personal
    /// data of the subject is rejected.
    ///
    /// The cost is one write, a read of the events with data of this subject, and a read of the dead letters. The
    /// errors of dead letters about these events are blanked. An erasure can be repeated; this completes one that
    /// failed.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend of the keys or of the events fails. The key may already be destroyed then.
    pub async fn erase(&self, subject: impl fmt::Display) -> Result<Erased, StoreError> {
        erase::erase(&self.store, &self.shared.keys, &subject.to_string()).await
    }

    /// Evicts the cached states of `engine` after each erasure in another process.
    ///
    /// It checks for erasures once in each interval `every`, and never returns: spawn it once in each process.
    ///
    /// # Panics
    /// Panics if `every` is zero.
    pub async fn evict_erased(self, engine: Engine, every: Duration) {
        assert!(
            !every.is_zero(),
            "invalid interval between two checks for erasures: 0; expected for example 1 second"
        );
        erase::evict_erased(self.shared.keys.key_store(), engine, every).await;
    }
}

impl PrivacyState {
    /// Returns `key` with a keyed hash of its fingerprint.
    ///
    /// The fingerprint of a command is a hash of all its fields. Without a secret, a guess of the fields could be
    /// tested.
    fn protect_fingerprint(&self, key: IdempotencyKey) -> IdempotencyKey {
        let fingerprint = format!("fingerprint {}", key.fingerprint);
        let hash = self.keys.key_store().pseudonym(&fingerprint);
        key.with_content_hash(*hash.as_bytes())
    }
}

#[async_trait]
impl<S: Store> EventStore for PersonalDataStore<S> {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        let shared = &*self.shared;
        let mut ticket = shared.order.enter();
        append.key = append.key.map(|key| shared.protect_fingerprint(key));
        let append = encrypt(append, &shared.keys, &shared.categories).await?;
        ticket.wait().await;
        // The inner store accepts an append when it is first polled; the next append may follow then.
        let mut appending = pin!(self.store.append(append));
        let first = poll_fn(|context| Poll::Ready(appending.as_mut().poll(context))).await;
        drop(ticket);
        match first {
            Poll::Ready(result) => result,
            Poll::Pending => appending.await,
        }
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let mut page = self.store.read(read).await?;
        decrypt(&mut page.events, &self.shared.keys, &self.shared.categories).await?;
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        let key = self.shared.protect_fingerprint(key.clone());
        self.store.find(&key).await
    }

    async fn import(
        &self,
        mut append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        let shared = &*self.shared;
        append.key = append.key.map(|key| shared.protect_fingerprint(key));
        let append = encrypt(append, &shared.keys, &shared.categories).await?;
        self.store.import(append, recorded_at).await
    }

    async fn list_streams(&self, list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        self.store.list_streams(list).await
    }

    async fn list_event_types(
        &self,
        list: EventTypeList,
    ) -> Result<Vec<EventTypeSummary>, StoreError> {
        self.store.list_event_types(list).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

#[async_trait]
impl<S: Store> SnapshotStore for PersonalDataStore<S> {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        // The caller has read or appended the events of the state through this store, so their category is known.
        if self.shared.categories.contains(snapshot.stream.category()) {
            return Ok(());
        }
        self.store.save_snapshot(snapshot).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.store.load_snapshot(stream).await
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        self.store.clear_snapshots().await
    }
}

factum_core::delegate!(documents, [S: Store] PersonalDataStore<S>, |this| this.store);

impl<S: fmt::Debug> fmt::Debug for PersonalDataStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonalDataStore")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
