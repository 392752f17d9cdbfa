//! [`EventStore`] and [`Store`]: the traits of a backend.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::append::{Append, AppendError, Appended, IdempotencyKey};
use crate::document::DocumentStore;
use crate::error::StoreError;
use crate::event_type_list::{EventTypeIndex, EventTypeList, EventTypeSummary};
use crate::position::Position;
use crate::query::Query;
use crate::read::{Page, Read};
use crate::snapshot::SnapshotStore;
use crate::stream_list::{StreamCollector, StreamList, StreamSummary};
use crate::timestamp::Timestamp;

/// Stores events as bytes; codecs and domain types belong to the layers above.
///
/// A store is a handle: cheap to clone and safe to share. The conformance suite of `factum-testkit`,
/// `conformance_suite!`, tests the guarantees of every method.
///
/// Implement it with [`async_trait`](macro@crate::async_trait), so that the methods are `async fn`:
///
/// ```
/// # use factum_core::append::{Append, AppendError, Appended, IdempotencyKey};
/// # use factum_core::{async_trait, error::StoreError, position::Position, read::{Page, Read}, store::EventStore};
/// # use tokio::sync::watch;
/// # struct MyStore;
/// #[async_trait]
/// impl EventStore for MyStore {
///     async fn append(&self, append: Append) -> Result<Appended, AppendError> {
///         append.check()?; // the rules of every store
/// #       unimplemented!() /*
///         …
/// # */
///     }
///     async fn read(&self, read: Read) -> Result<Page, StoreError> {
/// #       unimplemented!() /*
///         …
/// # */
///     }
///     async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
/// #       unimplemented!() /*
///         …
/// # */
///     }
///     fn watch(&self) -> watch::Receiver<Position> {
/// #       unimplemented!() /*
///         …
/// # */
///     }
/// }
/// ```
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Stores all events of `append`, or none.
    ///
    /// When it returns `Ok`, the events are durable and visible to every reader. Positions are assigned in commit order
    /// without gaps. The document changes of the append become visible together with its events. If expectations are
    /// violated, one error reports all of them. If the future is dropped, the append was stored completely or not at
    /// all, and the caller does not know which.
    ///
    /// If the idempotency key is known, the store returns the first result and checks no expectations.
    ///
    /// # Errors
    /// - [`AppendError::Conflict`]: an expected version, the append condition or an expected revision is violated.
    /// - [`AppendError::KeyReused`]: the idempotency key belongs to other content.
    /// - [`AppendError::EventIdReused`]: an event with the same id is stored already, in any stream.
    /// - [`AppendError::Invalid`]: the append violates a rule that holds for every store.
    /// - [`AppendError::Projection`]: an inline projection failed on one of the events.
    /// - [`AppendError::Store`]: the backend failed.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Reads one page of events; a stream that does not exist has none.
    ///
    /// # Errors
    /// Returns [`StoreError::Invalid`] if the request violates a rule that holds for every store, and another error if the
    /// backend fails or contains corrupt data.
    async fn read(&self, read: Read) -> Result<Page, StoreError>;

    /// Returns the first result of the idempotency key, or `None` if the key was not used.
    ///
    /// # Errors
    /// Returns [`AppendError::KeyReused`] if the key belongs to other content, [`AppendError::Invalid`] if the key is not
    /// valid, and [`AppendError::Store`] if the backend fails.
    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError>;

    /// Returns a receiver that wakes when the head may have changed, in this process or in another one.
    ///
    /// The value is the last head that this handle knows. If the backend cannot push changes, it may be up to a tenth
    /// of a second old.
    fn watch(&self) -> watch::Receiver<Position>;

    /// Lists streams with their versions, in the byte order of their ids.
    ///
    /// By default, the whole log is read.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails or contains corrupt data.
    async fn list_streams(&self, list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        let query = match &list.category {
            Some(category) => Query::category(category),
            None => Query::all(),
        };
        let (mut read, mut streams) = (Read::all(query), StreamCollector::new(list));
        loop {
            let page = self.read(read.clone()).await?;
            read = read.after(page.through());
            streams.add(page.events);
            if !page.more {
                return Ok(streams.into_page());
            }
        }
    }

    /// Lists event types with the positions of their last events, in the byte order of their names.
    ///
    /// By default, the whole log is read.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails or contains corrupt data.
    async fn list_event_types(
        &self,
        list: EventTypeList,
    ) -> Result<Vec<EventTypeSummary>, StoreError> {
        scan_event_types(self, &list).await
    }

    /// Stores events like [`append`](Self::append), with the time at which another store recorded them.
    ///
    /// The time of an event is never earlier than that of the previous event, and never in the future: another time is
    /// replaced by the nearest one. The operation is optional.
    ///
    /// # Errors
    /// Returns the errors of [`append`](Self::append), or [`StoreError::Unsupported`] if the store cannot import.
    async fn import(
        &self,
        append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        let _ = (append, recorded_at);
        let operation = "import";
        Err(StoreError::Unsupported { operation }.into())
    }
}

/// Returns the event types that `list` selects, by a read of the whole log.
///
/// # Errors
/// Returns the errors of [`EventStore::read`].
pub async fn scan_event_types<S: EventStore + ?Sized>(
    store: &S,
    list: &EventTypeList,
) -> Result<Vec<EventTypeSummary>, StoreError> {
    let (mut read, index) = (Read::all(Query::all()), EventTypeIndex::new());
    loop {
        let page = store.read(read.clone()).await?;
        read = read.after(page.through());
        let types = page.events.iter();
        let types = types.map(|event| (event.name.to_string(), event.position));
        index.add(types, page.through());
        if !page.more {
            return Ok(index.page(list));
        }
    }
}

/// A store with everything that the engine and the runtime need.
///
/// It is implemented for every type that implements its three supertraits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store",
    label = "not a store",
    note = "open one, e.g. `SqliteStore::open(\"bank.db\").await?`; a store of your own implements `EventStore`, `SnapshotStore` and `DocumentStore`"
)]
pub trait Store: EventStore + SnapshotStore + DocumentStore {}

#[diagnostic::do_not_recommend]
impl<T: EventStore + SnapshotStore + DocumentStore> Store for T {}
