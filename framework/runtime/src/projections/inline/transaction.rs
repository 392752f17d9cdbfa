//! [`InlineTransaction`]: what an inline projection needs of the transaction that appends.

use async_trait::async_trait;

use crate::consumer::BatchError;
use factum_core::document::{ChangeError, Changes, Document, Revision};
use factum_core::read::{Page, Read};
use factum_engine::error::StoreError;
use factum_engine::record::RecordedEvent;

/// A transaction that appends, as one inline projection sees it.
#[async_trait]
pub trait InlineTransaction: Send {
    /// Those of the documents `keys` that exist; nobody else changes them until the transaction ends.
    async fn find(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError>;

    /// As [`DocumentStore::change_documents`](factum_core::document::DocumentStore::change_documents), within the transaction.
    async fn change(&mut self, changes: &Changes) -> Result<Revision, ChangeError>;

    /// A page of events, those of the transaction included.
    async fn read(&mut self, read: &Read) -> Result<Page, StoreError>;

    /// Creates the tables of `build` that are missing, and notes them down.
    async fn prepare(&mut self, build: u64) -> Result<(), BatchError>;

    /// Takes `events` into the tables of `build`.
    async fn project(&mut self, build: u64, events: &[RecordedEvent]) -> Result<(), BatchError>;

    /// From now on readers see `build`.
    async fn show(&mut self, build: u64) -> Result<(), BatchError>;

    /// Begins a part that can be undone alone: a savepoint.
    async fn begin_part(&mut self) -> Result<(), StoreError>;

    /// Ends it; what it did stays, if it is `kept`.
    async fn end_part(&mut self, kept: bool) -> Result<(), StoreError>;
}
