//! A sound store behind one fault, of those that stores really have.

#[path = "broken_documents.rs"]
mod broken_documents;
#[path = "peer_bugs.rs"]
mod peer_bugs;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use factum::append::AppendCondition;
use factum::record::MAX_EVENT_DATA;
use factum::{
    Append, AppendError, Appended, Conflict, Direction, EventStore, ExpectedVersion,
    IdempotencyKey, InvalidAppend, Page, Position, Query, QueryItem, Read, Scope, Snapshot,
    SnapshotStore, StoreError, StreamId, async_trait,
};
use factum_memory::MemoryStore;
use factum_testkit::Backend;
use peer_bugs::Peers;
use tokio::sync::watch;

/// What a store does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    AnswersLate,
    Blocks,
    ChangesAgain,
    ChangesBehindTheEvents,
    ChangesBlindly,
    ChangesData,
    ChangesDespiteConflicts,
    ChangesLoseTheLast,
    ChangesOneByOne,
    ChecksExistenceAhead,
    ChecksOnlyWhatItWrites,
    ConditionsIgnoreTags,
    CountsFromTheCursor,
    CursorsWrap,
    CutsIds,
    CutsLargePages,
    CutsQueries,
    CutsReadsOfStreams,
    DropsUndecodableRows,
    ForgetsDocumentsOnClose,
    ForgetsKeys,
    ForgetsKeysAndRevisions,
    ForgetsKeysOnClose,
    HearsOnlyItself,
    IgnoresConditions,
    IgnoresExpectations,
    KeepsOldSnapshots,
    KeepsTheLastSnapshot,
    KeepsWhatIsDeleted,
    KeysIgnoreCase,
    KeysNeedEvents,
    KeysOutliveConflicts,
    LosesTheTail,
    LowerPositionsCommitLater,
    MovesSnapshots,
    NumbersLoseDigits,
    PrefixesArePatterns,
    ReadsStale,
    RefusesSomeNeighbours,
    RefusesTheLargest,
    ReusesKeys,
    RevisionsStandStill,
    SaysThereIsNoMore,
    ScansComeAsStored,
    ScansIgnoreWhatIsBehind,
    SkipsAnEvent,
    SlowWritersRefuseOthers,
    SnapshotsLagBehindTheirState,
    SnapshotsLoseTheirForm,
    SortsStreams,
    StoresHalf,
    SwallowsConflicts,
    TagsAreOptional,
    TakesCommitsForFailures,
    TakesTheInvalid,
    VersionsWrap,
}

/// Where stores with the fault of this number are opened.
pub(crate) struct Place<const FAULT: usize>(Arc<Shared>);

struct Shared {
    sound: MemoryStore,
    appends: AtomicU64,
    /// How often the last handle was closed.
    closed: AtomicU64,
    handles: AtomicU64,
    snapshots: Mutex<HashMap<StreamId, Snapshot>>,
    peers: Peers,
}

/// A store with the fault of this number.
#[derive(Clone)]
pub(crate) struct Broken<const FAULT: usize>(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    /// The newest position that this handle has stored or read.
    known: AtomicU64,
    own: watch::Sender<Position>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, SeqCst) == 1 {
            self.shared.closed.fetch_add(1, SeqCst);
        }
    }
}

#[async_trait]
impl<const FAULT: usize> Backend for Place<FAULT> {
    type Store = Broken<FAULT>;

    async fn create() -> Self {
        Self(Arc::new(Shared {
            sound: MemoryStore::new(),
            appends: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            handles: AtomicU64::new(0),
            snapshots: Mutex::default(),
            peers: Peers::default(),
        }))
    }

    async fn open(&self) -> Self::Store {
        self.0.handles.fetch_add(1, SeqCst);
        Broken(Arc::new(Handle {
            shared: self.0.clone(),
            known: AtomicU64::new(0),
            own: watch::Sender::new(Position::ZERO),
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

    fn sound(&self) -> &MemoryStore {
        &self.0.shared.sound
    }

    fn key(&self, mut key: IdempotencyKey) -> IdempotencyKey {
        if Self::is(Fault::ReusesKeys) {
            key.fingerprint = Default::default();
        }
        if Self::is(Fault::KeysIgnoreCase) {
            key.key = key.key.to_lowercase();
        }
        if Self::is(Fault::ForgetsKeysOnClose) {
            let closed = self.0.shared.closed.load(SeqCst);
            key.key = format!("{closed}:{}", key.key);
        }
        key
    }

    /// What the store takes `append` for.
    fn taken_for(&self, mut append: Append) -> Append {
        let writes = append.count() > 0;
        if Self::is(Fault::IgnoresExpectations) {
            let parts = append.streams.iter_mut();
            parts.for_each(|part| part.expected = ExpectedVersion::Any);
        }
        if Self::is(Fault::ChecksOnlyWhatItWrites) && writes {
            append.streams.retain(|part| !part.events.is_empty());
        }
        if Self::is(Fault::SortsStreams) {
            append
                .streams
                .sort_by(|one, two| one.stream.cmp(&two.stream));
        }
        if Self::is(Fault::LosesTheTail) {
            let parts = append.streams.iter_mut();
            parts.for_each(|part| part.events.truncate(1_000));
        }
        if Self::is(Fault::ChangesData) {
            let events = append.streams.iter_mut().flat_map(|part| &mut part.events);
            events.for_each(|event| event.data = event.data.trim_ascii().to_vec().into());
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
        let forgets = Self::is(Fault::ForgetsKeys)
            || Self::is(Fault::ForgetsKeysAndRevisions)
            || Self::is(Fault::KeysNeedEvents) && !writes;
        append.key = append.key.filter(|_| !forgets).map(|key| self.key(key));
        append
    }

    /// The first stream, and then the rest.
    async fn store_in_halves(&self, mut append: Append) -> Result<Appended, AppendError> {
        let rest = append.streams.split_off(append.streams.len().min(1));
        let first = self.sound().append(append).await?;
        tokio::task::yield_now().await;
        let append = Append {
            streams: rest,
            ..Append::default()
        };
        let second = self.sound().append(append).await?;
        Ok(Appended {
            count: first.count + second.count,
            versions: [first.versions, second.versions].concat(),
            ..second
        })
    }

    fn reject(&self, append: &Append) -> Result<(), AppendError> {
        let number = self.0.shared.appends.fetch_add(1, SeqCst);
        if Self::is(Fault::RefusesSomeNeighbours) && number % 8 == 7 {
            let violations = Vec::new();
            return Err(Conflict { violations }.into());
        }
        let mut events = append.streams.iter().flat_map(|part| &part.events);
        if Self::is(Fault::RefusesTheLargest) && events.any(|e| e.data.len() >= MAX_EVENT_DATA) {
            let (bytes, limit) = (MAX_EVENT_DATA, MAX_EVENT_DATA - 1);
            return Err(InvalidAppend::DataTooLarge { bytes, limit }.into());
        }
        Ok(())
    }
}

fn each_item(query: &Query, mut change: impl FnMut(&mut QueryItem)) -> Query {
    let items = query.items().iter().cloned().map(|mut item| {
        change(&mut item);
        item
    });
    items.fold(Query::all(), Query::or)
}

#[async_trait]
impl<const FAULT: usize> EventStore for Broken<FAULT> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.check().is_err() && Self::is(Fault::TakesTheInvalid) {
            return self.sound().append(Append::default()).await;
        }
        self.reject(&append)?;
        let append = Self::mistaken(self.taken_for(append));
        let key = append.key.clone();
        let mut answer = self.append_with_documents(append).await;
        if let Err(AppendError::Conflict(_)) = answer {
            let nothing = Append::default();
            if Self::is(Fault::SwallowsConflicts) {
                answer = self.sound().append(nothing).await;
            } else if let (true, Some(key)) = (Self::is(Fault::KeysOutliveConflicts), key) {
                self.sound().append(nothing.once(key)).await?;
            }
        }
        let mut appended = answer?;
        if Self::is(Fault::AnswersLate) {
            tokio::task::yield_now().await;
            appended.position = *self.sound().watch().borrow();
        }
        self.0.known.fetch_max(appended.position.get(), SeqCst);
        self.0.own.send_replace(appended.position);
        Ok(appended)
    }

    async fn read(&self, mut read: Read) -> Result<Page, StoreError> {
        while Self::is(Fault::Blocks) {
            std::thread::park();
        }
        if Self::is(Fault::CountsFromTheCursor) && read.direction == Direction::Forward {
            read.cursor = read.cursor.saturating_sub(1);
        }
        Self::misread_place(&mut read);
        match &mut read.scope {
            Scope::Streams(streams) if Self::is(Fault::CutsReadsOfStreams) => {
                streams.truncate(1_000);
            }
            Scope::All(query) => *query = Self::misread(query),
            _ => {}
        }
        let mut page = self.sound().read(read).await?;
        self.lose_rows(&mut page);
        if Self::is(Fault::SkipsAnEvent) {
            page.events.retain(|event| event.position.get() % 50 != 0);
        }
        if Self::is(Fault::ReadsStale) {
            let known = self.0.known.fetch_max(page.head.get(), SeqCst);
            page.events.retain(|event| event.position.get() <= known);
            page.head = Position::new(known);
        }
        if Self::is(Fault::CutsLargePages) {
            let mut bytes = 0;
            page.events.retain(|event| {
                bytes += event.data.len();
                bytes <= 8 * 1024 * 1024
            });
        }
        page.more &= !Self::is(Fault::SaysThereIsNoMore);
        Ok(page)
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.sound().find(&self.key(key.clone())).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        match Self::is(Fault::HearsOnlyItself) {
            true => self.0.own.subscribe(),
            false => self.sound().watch(),
        }
    }
}

impl<const FAULT: usize> Broken<FAULT> {
    /// What the store takes the query of a read for.
    fn misread(query: &Query) -> Query {
        if Self::is(Fault::CutsQueries) {
            let items = query.items().iter().take(5).cloned();
            return items.fold(Query::all(), Query::or);
        }
        each_item(query, |item| {
            if Self::is(Fault::TagsAreOptional) {
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
        if Self::is(Fault::KeepsTheLastSnapshot) {
            let mut snapshots = self.0.shared.snapshots.lock().expect("a lock");
            snapshots.insert(snapshot.stream.clone(), snapshot);
            return Ok(());
        }
        let known = self.sound().load_snapshot(&snapshot.stream).await?;
        if Self::is(Fault::KeepsOldSnapshots) && known.is_some() {
            return Ok(());
        }
        if Self::is(Fault::SnapshotsLoseTheirForm) {
            snapshot.schema_version = 1;
        }
        if Self::is(Fault::MovesSnapshots) {
            snapshot.version = snapshot.version.plus(1);
        }
        Self::lag(&mut snapshot);
        self.sound().save_snapshot(snapshot).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        if Self::is(Fault::KeepsTheLastSnapshot) {
            let snapshots = self.0.shared.snapshots.lock().expect("a lock");
            return Ok(snapshots.get(stream).cloned());
        }
        self.sound().load_snapshot(stream).await
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        self.sound().clear_snapshots().await
    }
}
