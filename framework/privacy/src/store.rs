//! [`PersonalDataStore`]: any store, in which nobody can read personal data without the keys.

use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;

use async_trait::async_trait;
use tokio::sync::watch;
use uuid::Uuid;

use super::held::Held;
use super::in_order::InOrder;
use super::key_store::KeyStore;
use factum_core::append::{Append, AppendError, Appended, IdempotencyKey};
use factum_core::position::Position;
use factum_core::read::{Page, Read};
use factum_core::snapshot::{Snapshot, SnapshotStore};
use factum_core::store::{EventStore, Store};
use factum_core::stream_id::StreamId;
use factum_engine::error::StoreError;

/// Any store, in which nobody can read personal data without the keys: what is marked `#[personal]` is encrypted when
/// it is appended and decrypted when it is read.
///
/// ```
/// # use factum::privacy::{DocumentKeys, PersonalDataStore};
/// # use factum::{Engine, Store};
/// # async fn run<S: Store + Clone>(
/// #     events: S, keys: impl Store, master_key: &str, customer: u32, projections: factum::Projections,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let keys = DocumentKeys::open(keys, master_key.parse()?).await?;
/// let store = PersonalDataStore::new(events.clone(), keys);
/// let engine = Engine::new(store.clone());
/// // …
/// let forgotten = store.forget(customer).await?;
/// engine.evict(&forgotten.streams);
/// projections.rebuild("customers").await?;
/// # Ok(()) }
/// ```
///
/// It holds the stores, and does not close them: keep a clone of each for that.
///
/// Events without personal data pass as they are. Of aggregates whose events have any, no snapshot is kept: their
/// state may hold what is to be forgotten.
#[derive(Clone)]
pub struct PersonalDataStore<S> {
    pub store: S,
    pub shared: Arc<Shared>,
}

/// What the handles on one store share.
pub struct Shared {
    pub held: Held,
    order: InOrder,
    /// The categories of streams in which personal data were seen.
    personal: RwLock<HashSet<String>>,
}

impl<S: Store> PersonalDataStore<S> {
    /// `store`, with the keys of the subjects in `keys`.
    #[must_use]
    pub fn new(store: S, keys: impl KeyStore) -> Self {
        let shared = Shared {
            held: Held::new(Arc::new(keys)),
            order: InOrder::default(),
            personal: RwLock::default(),
        };
        Self {
            store,
            shared: Arc::new(shared),
        }
    }

    /// The store inside, where personal data are sealed.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }
}

impl Shared {
    pub fn is_personal(&self, category: &str) {
        if !self.has_personal(category) {
            let mut personal = self
                .personal
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            personal.insert(category.to_owned());
        }
    }

    fn has_personal(&self, category: &str) -> bool {
        let personal = self.personal.read().unwrap_or_else(PoisonError::into_inner);
        personal.contains(category)
    }

    /// The fingerprint of a command is a hash of all its fields, which could be guessed at: with a key it cannot.
    fn keyed(&self, key: IdempotencyKey) -> IdempotencyKey {
        let hash = format!("fingerprint {}", key.fingerprint);
        let hash = self.held.keys.pseudonym(&hash);
        IdempotencyKey {
            fingerprint: Uuid::from_bytes(*hash.as_bytes()),
            ..key
        }
    }
}

#[async_trait]
impl<S: Store> EventStore for PersonalDataStore<S> {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        let mut turn = self.shared.order.enter();
        append.key = append.key.map(|key| self.shared.keyed(key));
        let append = self.shared.sealed(append).await?;
        turn.comes().await;
        let mut appending = pin!(self.store.append(append));
        let first = poll_fn(|context| Poll::Ready(appending.as_mut().poll(context))).await;
        drop(turn);
        match first {
            Poll::Ready(answer) => answer,
            Poll::Pending => appending.await,
        }
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let mut page = self.store.read(read).await?;
        self.shared.open(&mut page.events).await?;
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(&self.shared.keyed(key.clone())).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

#[async_trait]
impl<S: Store> SnapshotStore for PersonalDataStore<S> {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        // Whoever folded the state has read or appended its events here.
        if self.shared.has_personal(snapshot.stream.category()) {
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
