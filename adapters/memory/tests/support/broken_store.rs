//! [`Broken`]: a correct store with one injected fault, of a kind that real stores have had.

#[path = "broken_documents.rs"]
mod broken_documents;
#[path = "peer_bugs.rs"]
mod peer_bugs;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use factum::store::AppendCondition;
use factum::store::MAX_EVENT_DATA;
use factum::store::{
    Append, AppendError, AppendEvent, Appended, Conflict, Direction, EventStore, ExpectedVersion,
    IdempotencyKey, InvalidAppend, InvalidField, NewEvent, Page, Query, QueryItem, Read, Scope,
    Snapshot, SnapshotStore, StoreError,
};
use factum::store::{EventTypeList, EventTypeSummary, StreamList, StreamSummary, Timestamp};
use factum::store::{async_trait, new_event_id};
use factum::{Position, StreamId};
use factum_memory::MemoryStore;
use factum_testkit::Backend;
use peer_bugs::PeerState;
use tokio::sync::watch;

/// The fault of a broken store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    AcceptsInvalid,
    BlocksThread,
    CategoriesNeedDash,
    ChangesData,
    ChangesDocumentsAfterEvents,
    ChangesDocumentsDespiteConflict,
    ChangesDocumentsOneByOne,
    ChecksExistenceBeforeTransaction,
    ChecksOnlyWrittenStreams,
    ComparesSchemaVersions,
    ConditionsIgnoreTags,
    CursorsWrap,
    DropsUndecodableRows,
    EventTypeListsAreCached,
    GroupsEventsByStream,
    IgnoresConditions,
    IgnoresDeletes,
    IgnoresEventIds,
    IgnoresExpectedVersions,
    IgnoresFingerprints,
    IgnoresKeys,
    IgnoresKeysAndRevisions,
    IgnoresPageSizes,
    IgnoresRequiredEvents,
    IgnoresRevisions,
    ImportsIgnoreTimes,
    IncludesCursor,
    KeepsFirstSnapshot,
    KeepsLastSavedSnapshot,
    KeysIgnoreCase,
    KeysNeedEvents,
    ListsIgnoreCategories,
    LosesDigits,
    LosesDocumentsOnClose,
    LosesKeysOnClose,
    LosesLastChange,
    LowerPositionsCommitLater,
    NotifiesOnlyOwnCommits,
    ParsesForeignMetadata,
    PrefixesArePatterns,
    ReadsStale,
    RejectsLargestEvent,
    RejectsSomeAppends,
    ReleasesLivenessLocks,
    RepeatsDocumentChanges,
    ReportsCommitsAsFailures,
    ReportsHeadAsPosition,
    ReportsNoMoreEvents,
    ReturnsConstantRevision,
    ReturnsWholePages,
    ScansIgnoreAfter,
    ScansInStorageOrder,
    ShiftsSnapshotVersion,
    SkipsEvents,
    SlowWritersRejectOthers,
    SnapshotVersionLagsState,
    SnapshotsLoseSchemaVersion,
    SortsStreams,
    StoresKeysOfConflicts,
    StoresPartially,
    SwallowsConflicts,
    TruncatesAppends,
    TruncatesIds,
    TruncatesLargePages,
    TruncatesQueries,
    TruncatesStreamLists,
    UsesOnlyFirstTag,
    VersionsWrap,
}

/// The backend of stores with fault number `FAULT`.
pub struct Place<const FAULT: usize>(Arc<Shared>);

struct Shared {
    correct: MemoryStore,
    appends: AtomicU64,
    /// The number of times that the last handle was closed.
    closed: AtomicU64,
    handles: AtomicU64,
    snapshots: Mutex<HashMap<StreamId, Snapshot>>,
    peers: PeerState,
}

/// A store with fault number `FAULT`.
#[derive(Clone)]
pub struct Broken<const FAULT: usize>(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    /// The highest position that this handle has stored or read.
    known: AtomicU64,
    own: watch::Sender<Position>,
    /// The first list of event types.
    event_types: Mutex<Option<Vec<EventTypeSummary>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, SeqCst) == 1 {
            self.shared.closed.fetch_add(1, SeqCst);
        }
    }
}

impl<const FAULT: usize> Backend for Place<FAULT> {
    type Store = Broken<FAULT>;

    async fn create() -> Self {
        Self(Arc::new(Shared {
            correct: MemoryStore::new(),
            appends: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            handles: AtomicU64::new(0),
            snapshots: Mutex::default(),
            peers: PeerState::default(),
        }))
    }

    async fn open(&self) -> Self::Store {
        self.0.handles.fetch_add(1, SeqCst);
        Broken(Arc::new(Handle {
            shared: self.0.clone(),
            known: AtomicU64::new(0),
            own: watch::Sender::new(Position::ZERO),
            event_types: Mutex::default(),
        }))
    }
}

impl<const FAULT: usize> Broken<FAULT> {
    fn is(fault: Fault) -> bool {
        FAULT == fault as usize
    }

    fn was_closed(&self) -> bool {
        self.0.shared.closed.load(SeqCst) > 0
    }

    fn correct(&self) -> &MemoryStore {
        &self.0.shared.correct
    }

    fn key(&self, mut key: IdempotencyKey) -> IdempotencyKey {
        if Self::is(Fault::IgnoresFingerprints) {
            key.fingerprint = Default::default();
        }
        if Self::is(Fault::ComparesSchemaVersions) {
            key = IdempotencyKey::new(key.key, key.fingerprint.as_bytes());
        }
        if Self::is(Fault::KeysIgnoreCase) {
            key.key = key.key.to_lowercase();
        }
        if Self::is(Fault::LosesKeysOnClose) {
            let closed = self.0.shared.closed.load(SeqCst);
            key.key = format!("{closed}:{}", key.key);
        }
        key
    }

    /// Returns `append` as the broken store understands it.
    fn misread_append(&self, mut append: Append) -> Append {
        let writes = append.count() > 0;
        if Self::is(Fault::IgnoresExpectedVersions) {
            let parts = append.streams.iter_mut();
            parts.for_each(|part| part.expected = ExpectedVersion::Any);
        }
        if Self::is(Fault::ChecksOnlyWrittenStreams) && writes {
            let written = append.written_streams();
            append = grouped(append, &written);
        }
        if Self::is(Fault::SortsStreams) {
            let mut order: Vec<usize> = (0..append.streams.len()).collect();
            order.sort_by_key(|index| &append.streams[*index].stream);
            append = grouped(append, &order);
        }
        if Self::is(Fault::GroupsEventsByStream) {
            append = grouped_by_stream(append);
        }
        if Self::is(Fault::TruncatesAppends) {
            append.events.truncate(1_000);
        }
        if Self::is(Fault::ChangesData) {
            let events = append.events.iter_mut().map(|event| &mut event.event);
            events.for_each(|event| event.data = event.data.trim_ascii().to_vec().into());
        }
        if Self::is(Fault::ParsesForeignMetadata) {
            let events = append.events.iter_mut().map(|event| &mut event.event);
            events.for_each(parse_foreign_metadata);
        }
        if Self::is(Fault::IgnoresEventIds) {
            let events = append.events.iter_mut().map(|event| &mut event.event);
            events.for_each(|event| event.id = new_event_id());
        }
        if Self::is(Fault::IgnoresRequiredEvents) {
            append.requires.clear();
        }
        if Self::is(Fault::IgnoresConditions) {
            append.condition = None;
        }
        if Self::is(Fault::ConditionsIgnoreTags) {
            append.condition = append.condition.map(|condition| AppendCondition {
                query: each_item(&condition.query, |item| item.tags.clear()),
                ..condition
            });
        }
        let ignores_key = Self::is(Fault::IgnoresKeys)
            || Self::is(Fault::IgnoresKeysAndRevisions)
            || Self::is(Fault::KeysNeedEvents) && !writes;
        append.key = append.key.filter(|_| !ignores_key).map(|key| self.key(key));
        append
    }

    /// Stores the first stream, and then the others.
    async fn store_in_two_appends(&self, append: Append) -> Result<Appended, AppendError> {
        let order: Vec<usize> = (0..append.streams.len()).collect();
        let (first, rest) = order.split_at(order.len().min(1));
        let nothing = Append::default();
        let rest = Append {
            condition: nothing.condition,
            requires: nothing.requires,
            key: nothing.key,
            changes: nothing.changes,
            ..grouped(append.clone(), rest)
        };
        let first = self.correct().append(grouped(append, first)).await?;
        tokio::task::yield_now().await;
        let second = self.correct().append(rest).await?;
        Ok(Appended {
            count: first.count + second.count,
            versions: [first.versions, second.versions].concat(),
            ..second
        })
    }

    fn reject(&self, append: &Append) -> Result<(), AppendError> {
        let number = self.0.shared.appends.fetch_add(1, SeqCst);
        if Self::is(Fault::RejectsSomeAppends) && number % 8 == 7 {
            let violations = Vec::new();
            return Err(Conflict { violations }.into());
        }
        let mut events = append.events.iter().map(|event| &event.event);
        if Self::is(Fault::RejectsLargestEvent) && events.any(|e| e.data.len() >= MAX_EVENT_DATA) {
            let too_large = InvalidField::TooLarge {
                field: "data".into(),
                bytes: MAX_EVENT_DATA,
                limit: MAX_EVENT_DATA - 1,
            };
            return Err(InvalidAppend::from(too_large).into());
        }
        Ok(())
    }
}

/// Returns `append` with only the streams of `order`, and their events one stream after the other.
fn grouped(append: Append, order: &[usize]) -> Append {
    let events = order.iter().enumerate().flat_map(|(stream, old)| {
        let events = append.events.iter();
        let events = events.filter(move |event| event.stream == *old);
        events.map(move |event| AppendEvent {
            stream,
            event: event.event.clone(),
        })
    });
    Append {
        events: events.collect(),
        streams: order
            .iter()
            .map(|old| append.streams[*old].clone())
            .collect(),
        ..append
    }
}

fn grouped_by_stream(append: Append) -> Append {
    let order: Vec<usize> = (0..append.streams.len()).collect();
    grouped(append, &order)
}

/// Stores foreign metadata as a JSON value, which loses its white space, its order and other data.
fn parse_foreign_metadata(event: &mut NewEvent) {
    let foreign = &mut Arc::make_mut(&mut event.metadata).foreign;
    let json = serde_json::from_slice::<serde_json::Value>(foreign);
    *foreign = json.map(|json| json.to_string()).unwrap_or_default().into();
}

fn each_item(query: &Query, mut change: impl FnMut(&mut QueryItem)) -> Query {
    let items = query.items().iter().cloned().map(|mut item| {
        change(&mut item);
        item
    });
    one_of(items)
}

fn one_of(items: impl Iterator<Item = QueryItem>) -> Query {
    let queries = items.map(Query::from);
    queries.reduce(Query::or).unwrap_or_else(Query::all)
}

#[async_trait]
impl<const FAULT: usize> EventStore for Broken<FAULT> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.check().is_err() && Self::is(Fault::AcceptsInvalid) {
            return self.correct().append(Append::default()).await;
        }
        self.reject(&append)?;
        let append = Self::misread_by_peer(self.misread_append(append));
        let key = append.key.clone();
        let mut answer = self.append_with_documents(append).await;
        if let Err(AppendError::Conflict(_)) = answer {
            let nothing = Append::default();
            if Self::is(Fault::SwallowsConflicts) {
                answer = self.correct().append(nothing).await;
            } else if let (true, Some(key)) = (Self::is(Fault::StoresKeysOfConflicts), key) {
                self.correct().append(nothing.idempotency_key(key)).await?;
            }
        }
        let mut appended = answer?;
        if Self::is(Fault::ReportsHeadAsPosition) {
            tokio::task::yield_now().await;
            appended.position = *self.correct().watch().borrow();
        }
        self.0.known.fetch_max(appended.position.get(), SeqCst);
        self.0.own.send_replace(appended.position);
        Ok(appended)
    }

    async fn read(&self, mut read: Read) -> Result<Page, StoreError> {
        while Self::is(Fault::BlocksThread) {
            std::thread::park();
        }
        if Self::is(Fault::IncludesCursor) && read.direction == Direction::Forward {
            read.cursor = read.cursor.saturating_sub(1);
        }
        Self::misread_cursor(&mut read);
        match &mut read.scope {
            Scope::Streams(streams) if Self::is(Fault::TruncatesStreamLists) => {
                streams.truncate(1_000);
            }
            Scope::All(query) => *query = Self::misread_query(query),
            _ => {}
        }
        if read.check().is_err() && Self::is(Fault::AcceptsInvalid) {
            read.scope = Scope::Streams(Vec::new());
        }
        if Self::is(Fault::IgnoresPageSizes) {
            read = read.max_bytes(usize::MAX);
        }
        let mut page = self.correct().read(read.clone()).await?;
        while Self::is(Fault::ReturnsWholePages) && page.more && page.events.len() < read.limit {
            read.cursor = page.events.last().map_or(0, |last| match read.scope {
                Scope::Stream(_) => last.version.get(),
                _ => last.position.get(),
            });
            let next = self.correct().read(read.clone()).await?;
            page.events.extend(next.events);
            page.more = next.more;
        }
        self.lose_rows(&mut page);
        if Self::is(Fault::SkipsEvents) {
            page.events.retain(|event| event.position.get() % 50 != 0);
        }
        if Self::is(Fault::ReadsStale) {
            let known = self.0.known.fetch_max(page.head.get(), SeqCst);
            page.events.retain(|event| event.position.get() <= known);
            page.head = Position::new(known);
        }
        if Self::is(Fault::TruncatesLargePages) {
            let mut bytes = 0;
            page.events.retain(|event| {
                bytes += event.data.len();
                bytes <= 8 * 1024 * 1024
            });
        }
        page.more &= !Self::is(Fault::ReportsNoMoreEvents);
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.correct().find(&self.key(key.clone())).await
    }

    async fn import(
        &self,
        append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        match Self::is(Fault::ImportsIgnoreTimes) {
            true => self.correct().append(append).await,
            false => {
                let append = self.misread_append(append);
                self.correct().import(append, recorded_at).await
            }
        }
    }

    async fn list_streams(&self, mut list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        if Self::is(Fault::ListsIgnoreCategories) {
            list.category = None;
        }
        let needs_dash = Self::is(Fault::CategoriesNeedDash) && list.category.is_some();
        let mut streams = self.correct().list_streams(list).await?;
        streams.retain(|found| !needs_dash || found.stream.as_str().contains('-'));
        Ok(streams)
    }

    async fn list_event_types(
        &self,
        list: EventTypeList,
    ) -> Result<Vec<EventTypeSummary>, StoreError> {
        let types = self.correct().list_event_types(list).await?;
        if !Self::is(Fault::EventTypeListsAreCached) || types.is_empty() {
            return Ok(types);
        }
        let mut first = self.0.event_types.lock().expect("no test panics here");
        Ok(first.get_or_insert(types).clone())
    }

    fn watch(&self) -> watch::Receiver<Position> {
        match Self::is(Fault::NotifiesOnlyOwnCommits) {
            true => self.0.own.subscribe(),
            false => self.correct().watch(),
        }
    }
}

impl<const FAULT: usize> Broken<FAULT> {
    /// Returns `query` as the broken store understands it.
    fn misread_query(query: &Query) -> Query {
        if Self::is(Fault::TruncatesQueries) {
            let items = query.items().iter().take(5).cloned();
            return one_of(items);
        }
        each_item(query, |item| {
            if Self::is(Fault::UsesOnlyFirstTag) {
                item.tags.truncate(1);
            }
            if let (true, Some(prefix)) = (
                Self::is(Fault::PrefixesArePatterns),
                &mut item.stream_prefix,
            ) {
                prefix.truncate(prefix.find('%').unwrap_or(prefix.len()));
            }
        })
    }
}

#[async_trait]
impl<const FAULT: usize> SnapshotStore for Broken<FAULT> {
    async fn save_snapshot(&self, mut snapshot: Snapshot) -> Result<(), StoreError> {
        if Self::is(Fault::AcceptsInvalid) && snapshot.check().is_err() {
            return Ok(());
        }
        if Self::is(Fault::KeepsLastSavedSnapshot) {
            let mut snapshots = self.0.shared.snapshots.lock().expect("a lock");
            snapshots.insert(snapshot.stream.clone(), snapshot);
            return Ok(());
        }
        let known = self.correct().load_snapshot(&snapshot.stream).await?;
        if Self::is(Fault::KeepsFirstSnapshot) && known.is_some() {
            return Ok(());
        }
        if Self::is(Fault::SnapshotsLoseSchemaVersion) {
            snapshot.schema_version = 1;
        }
        if Self::is(Fault::ShiftsSnapshotVersion) {
            snapshot.version = snapshot.version.plus(1);
            // The engine ignores a snapshot whose position is not the one of its version.
            snapshot.position = snapshot.position.plus(1);
        }
        Self::lag(&mut snapshot);
        self.correct().save_snapshot(snapshot).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        if Self::is(Fault::KeepsLastSavedSnapshot) {
            let snapshots = self.0.shared.snapshots.lock().expect("a lock");
            return Ok(snapshots.get(stream).cloned());
        }
        self.correct().load_snapshot(stream).await
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        self.correct().clear_snapshots().await
    }
}
