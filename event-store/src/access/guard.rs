//! [`GuardedStore`]: the store as one caller may use it.

use std::sync::Arc;

use factum::store::{
    Append, AppendError, Appended, Document, DocumentChange, DocumentChanges, DocumentError,
    DocumentStore, EventStore, EventTypeList, EventTypeSummary, IdempotencyKey, Page, Position,
    Query, Read, Revision, Scan, Snapshot, SnapshotStore, Store, StoreError, StreamId, StreamList,
    StreamSummary, Timestamp, async_trait, scan_event_types,
};
use tokio::sync::watch;

use super::grants::{DocumentAccess, Grants, Missing};
use super::permission::Permission;
use super::principal::Principal;
use super::visible_streams::list_visible;

/// A store that refuses what its caller may not do, and hides the events that its caller may not read.
///
/// Each request is checked by the permissions of that moment.
pub struct GuardedStore {
    store: Arc<dyn Store>,
    caller: Principal,
}

impl GuardedStore {
    /// Creates the store of a caller.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, caller: Principal) -> Self {
        Self { store, caller }
    }

    /// Returns the first result of an idempotency key only to a caller who could have received it.
    ///
    /// For others, the key belongs to other content.
    fn first_result(&self, appended: Appended, key: Option<&str>) -> Result<Appended, AppendError> {
        let is_own = self.caller.ask(|grants| {
            let mut streams = appended.versions.iter().map(|(stream, _)| stream.as_str());
            Ok(streams.all(|stream| grants.require(Permission::Append, stream).is_ok()))
        })?;
        match is_own.unwrap_or(true) {
            true => Ok(appended),
            false => Err(AppendError::KeyReused {
                key: key.unwrap_or_default().to_owned(),
            }),
        }
    }
}

/// Requires the permissions for every part of an append.
fn check_append(grants: &Grants, append: &Append) -> Result<(), Missing> {
    let mut receives_events = vec![false; append.streams.len()];
    for event in &append.events {
        // The store rejects an index without a stream.
        if let Some(receives) = receives_events.get_mut(event.stream) {
            *receives = true;
        }
    }
    for (part, receives) in append.streams.iter().zip(receives_events) {
        // Without events, the append only learns whether the stream has a version.
        match receives {
            true => grants.require(Permission::Append, part.stream.as_str())?,
            false => grants.require_version(part.stream.as_str())?,
        }
    }
    if let Some(condition) = &append.condition {
        grants.require_all(&condition.query)?;
    }
    check_changes(grants, append.changes.as_slice())
}

fn check_changes(grants: &Grants, changes: &[DocumentChange]) -> Result<(), Missing> {
    let mut keys = changes.iter().map(|change| &change.key);
    keys.try_for_each(|key| grants.require_document(key, DocumentAccess::Change))
}

#[async_trait]
impl EventStore for GuardedStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.caller.check(|grants| check_append(grants, &append))?;
        let key = append.key.as_ref().map(|key| key.key.clone());
        let appended = self.store.append(append).await?;
        match appended.repeated {
            true => self.first_result(appended, key.as_deref()),
            false => Ok(appended),
        }
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(self.caller.visible(read)?).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.caller.check(|_| Ok(()))?;
        let found = self.store.find(key).await?;
        let found = found.map(|found| self.first_result(found, Some(&key.key)));
        found.transpose()
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }

    async fn list_streams(&self, list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        let named = list
            .category
            .clone()
            .map_or_else(Query::all, Query::category);
        let prefixes = self.caller.ask(|grants| {
            grants.visible(named)?;
            Ok((!grants.read().is_everything()).then(|| grants.read().clone()))
        })?;
        match prefixes.flatten() {
            None => self.store.list_streams(list).await,
            Some(prefixes) => list_visible(&*self.store, list, &prefixes).await,
        }
    }

    async fn list_event_types(
        &self,
        list: EventTypeList,
    ) -> Result<Vec<EventTypeSummary>, StoreError> {
        let reads_everything = self.caller.ask(|grants| {
            grants.visible(Query::all())?;
            Ok(grants.read().is_everything())
        })?;
        match reads_everything.unwrap_or(true) {
            true => self.store.list_event_types(list).await,
            // Only the events that the caller may read.
            false => scan_event_types(self, &list).await,
        }
    }

    async fn import(
        &self,
        append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.caller.require(Permission::Admin, "import")?;
        self.store.import(append, recorded_at).await
    }
}

#[async_trait]
impl SnapshotStore for GuardedStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let stream = snapshot.stream.as_str();
        self.caller.require(Permission::Append, stream)?;
        self.store.save_snapshot(snapshot).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.caller.require(Permission::Read, stream.as_str())?;
        self.store.load_snapshot(stream).await
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        self.caller.require(Permission::Admin, "clear snapshots")?;
        self.store.clear_snapshots().await
    }
}

#[async_trait]
impl DocumentStore for GuardedStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.caller
            .check(|grants| check_changes(grants, changes.as_slice()))?;
        self.store.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.caller.check(|grants| {
            let mut keys = keys.iter();
            keys.try_for_each(|key| grants.require_document(key, DocumentAccess::Read))
        })?;
        self.store.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.caller
            .check(|grants| grants.require_documents(&scan.prefix))?;
        self.store.scan_documents(scan).await
    }
}
