//! [`EventStore`]: what a backend must do to keep events.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::append::{Append, AppendError, Appended, IdempotencyKey};
use crate::document::DocumentStore;
use crate::error::StoreError;
use crate::position::Position;
use crate::read::{Page, Read};
use crate::snapshot::SnapshotStore;

/// Keeps events. Bytes in, bytes out: codecs and types live above.
///
/// A store is a handle: cheap to clone, safe to share. What each method promises is said
/// beside it; [`conformance_suite!`](crate::conformance_suite) checks it.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Stores all events of `append`, or none.
    ///
    /// When it returns `Ok`, the events are durable and every reader sees them. Positions are assigned in
    /// commit order without gaps. The append's changes of documents are made with it: whoever sees the one sees the
    /// other. Every violated expectation is reported in one error. If the future is
    /// dropped, the append has happened as a whole or not at all, and which is not known.
    ///
    /// An idempotency key that is known gives the first answer again, before any expectation is judged.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] if an expectation or the condition is violated,
    /// [`AppendError::KeyReused`] if the idempotency key stands for other content,
    /// [`AppendError::Invalid`] for what no store takes, [`AppendError::Store`] if the backend fails.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// One page. A stream that does not exist is empty.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails or what it holds cannot be read.
    async fn read(&self, read: Read) -> Result<Page, StoreError>;

    /// The first answer under `key`, if it was used.
    ///
    /// # Errors
    /// [`AppendError::KeyReused`] if the key stands for other content.
    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError>;

    /// Wakes a reader when the head may have moved, in this process or another. The value is the head as
    /// far as this handle knows it; it may lag behind other processes, by at most a tenth of a second where
    /// the backend cannot push.
    fn watch(&self) -> watch::Receiver<Position>;
}

/// Everything that the [`Engine`](crate::Engine) and the runtime need of a backend.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store",
    label = "not a store",
    note = "open one, e.g. `SqliteStore::open(\"bank.db\").await?`; a store of your own implements `EventStore`, `SnapshotStore` and `DocumentStore`"
)]
pub trait Store: EventStore + SnapshotStore + DocumentStore {}

#[diagnostic::do_not_recommend]
impl<T: EventStore + SnapshotStore + DocumentStore> Store for T {}
