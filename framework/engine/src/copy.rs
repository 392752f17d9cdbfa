//! [`copy_events`]: copies the events of a store into another one, and compares both.

mod tag_mapping;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::IntoFuture;

use factum_core::append::{Append, AppendError, AppendEvent, ExpectedStream, ExpectedVersion};
use factum_core::error::{BoxError, StoreError};
use factum_core::personal::EncryptedFields;
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::record::{NewEvent, RecordedEvent};
use factum_core::store::EventStore;
use factum_core::stream_id::StreamId;
use factum_core::tag::Tag;
use futures_util::future::BoxFuture;

use crate::domain::event::Event;

use tag_mapping::{TagMapping, is_subject, tags_of};

/// The maximum number of events, and of bytes of their data, that are stored together.
const MAX_EVENTS: usize = 500;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The result of a copy: both stores contain the same events up to the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The number of events that were stored; the others were there before.
    pub stored: u64,
    /// The head of the source at the start of the copy.
    pub head: Position,
}

/// A copy of events failed. Repeat it to continue after the last event that was stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// An event of the source was not read.
    #[error("cannot read the source after position {after}")]
    Source {
        /// The position before the first event that was not read.
        after: Position,
        /// The error of the source.
        #[source]
        error: StoreError,
    },
    /// An event of the target was not read.
    #[error("cannot read the target after position {after}")]
    Target {
        /// The position before the first event that was not read.
        after: Position,
        /// The error of the target.
        #[source]
        error: StoreError,
    },
    /// The target did not store events.
    #[error("cannot store the events after position {after} in the target")]
    Append {
        /// The position before the first event that was not stored.
        after: Position,
        /// The error of the target.
        #[source]
        error: AppendError,
    },
    /// The source has decrypted personal data.
    #[error(
        "the source has decrypted the personal data of the event at position {position}; \
         copy from the store that `PersonalDataStore::store` returns"
    )]
    Decrypted {
        /// The position of the event.
        position: Position,
    },
    /// The tags of a copy were not determined.
    #[error("cannot determine the tags of the event {name} at position {position}")]
    Tags {
        /// The position of the event.
        position: Position,
        /// The event type.
        name: String,
        /// The error of the mapping, for example a `DecodeError`.
        #[source]
        error: BoxError,
    },
    /// The target contains other events than the source.
    #[error(
        "the target differs from the source at position {position}, in {field}; \
         copy into an empty store, or with the same tags as before"
    )]
    Different {
        /// The position of the first event that differs.
        position: Position,
        /// The part that differs, for example `data`.
        field: &'static str,
    },
}

/// Copies the events of `source` into `target`, and compares both stores.
///
/// Await the returned [`CopyEvents`]. The copies have the positions, ids and times of the originals.
///
/// The target must be empty, or contain the first events of the source from an earlier copy. Nothing else may write to
/// it meanwhile. Events that are appended to the source during the copy are not copied: repeat the call to copy them.
///
/// Only events are copied. Snapshots are created again. The documents of the runtime, idempotency keys and read models
/// are not copied: stop the runtime on the source first, and let its process managers and deadlines finish their work.
/// A store of personal data is copied without its decorator, so that the data stays encrypted for the same keys.
///
/// ```no_run
/// # use factum_core::store::EventStore;
/// # use factum_engine::copy::copy_events;
/// # async fn run(sqlite: impl EventStore, postgres: impl EventStore) -> Result<(), Box<dyn std::error::Error>> {
/// let copied = copy_events(&sqlite, &postgres).await?;
/// println!("copied {} events", copied.stored);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Awaiting it returns [`CopyError`], which contains the position of the copy. A target that cannot
/// [import](EventStore::import) is an error of its append.
pub fn copy_events<'c>(source: &'c dyn EventStore, target: &'c dyn EventStore) -> CopyEvents<'c> {
    CopyEvents {
        source,
        target,
        tags: TagMapping::default(),
    }
}

/// A copy that runs when it is awaited, created by [`copy_events`].
#[must_use = "a copy does nothing until it is awaited"]
pub struct CopyEvents<'c> {
    source: &'c dyn EventStore,
    target: &'c dyn EventStore,
    tags: TagMapping<'c>,
}

impl fmt::Debug for CopyEvents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyEvents").finish_non_exhaustive()
    }
}

impl<'c> CopyEvents<'c> {
    /// Gives the events of `E` the tags that the present code gives them, also after upcasting.
    ///
    /// So a DCB query by a new tag finds old events, too. Call it for each event enum whose tags have changed. Retired
    /// events and events of other types keep their tags, and so do all events the tags of their data subjects. An
    /// encrypted field has its redacted value meanwhile.
    ///
    /// ```no_run
    /// # use factum_core::store::EventStore;
    /// # use factum_engine::copy::copy_events;
    /// # async fn run<SeatEvent: factum_engine::event::Event>(
    /// #     old: impl EventStore, new: impl EventStore,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// copy_events(&old, &new).retag::<SeatEvent>().await?;
    /// # Ok(()) }
    /// ```
    pub fn retag<E: Event>(mut self) -> Self {
        self.tags.add(tags_of::<E>);
        self
    }

    /// Gives each event the tags that `tags` returns for it, which are all its tags.
    ///
    /// The tags of data subjects are kept. To continue a copy that was interrupted, `tags` must return the same again.
    ///
    /// ```no_run
    /// # use factum_core::{store::EventStore, tag::Tag};
    /// # use factum_engine::copy::copy_events;
    /// # async fn run(old: impl EventStore, new: impl EventStore) -> Result<(), Box<dyn std::error::Error>> {
    /// copy_events(&old, &new)
    ///     .map_tags(|event| match &*event.name {
    ///         "seat.reserved" => Ok(vec![Tag::new("stream", &event.stream)?]),
    ///         _ => Ok(event.tags.clone()),
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn map_tags(
        mut self,
        tags: impl Fn(&RecordedEvent) -> Result<Vec<Tag>, BoxError> + Send + Sync + 'c,
    ) -> Self {
        self.tags.add(move |event| tags(event).map(Some));
        self
    }

    async fn run(self) -> Result<Copied, CopyError> {
        let Self {
            source,
            target,
            tags,
        } = self;
        let head = head_of(source).await.map_err(|error| CopyError::Source {
            after: Position::ZERO,
            error,
        })?;
        let before = head_of(target).await.map_err(|error| CopyError::Target {
            after: Position::ZERO,
            error,
        })?;
        // Before anything is stored.
        compare(
            EventReader::new(source, Position::ZERO, before).mapped(&tags),
            target,
        )
        .await?;
        let mut events = EventReader::new(source, before, head).mapped(&tags);
        let mut batch = CopyBatch::default();
        while let Some(event) = events.next().await? {
            if is_decrypted(&event) {
                let position = event.position;
                return Err(CopyError::Decrypted { position });
            }
            if !batch.accepts(&event) {
                batch.store(target).await?;
            }
            batch.add(event);
        }
        batch.store(target).await?;
        compare(
            EventReader::new(source, Position::ZERO, head).mapped(&tags),
            target,
        )
        .await?;
        let stored = head.get().saturating_sub(before.get());
        Ok(Copied { stored, head })
    }
}

impl<'c> IntoFuture for CopyEvents<'c> {
    type Output = Result<Copied, CopyError>;
    type IntoFuture = BoxFuture<'c, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

async fn head_of(store: &dyn EventStore) -> Result<Position, StoreError> {
    let newest = Read::all(Query::all()).backward().limit(1);
    Ok(store.read(newest).await?.head)
}

/// Returns whether a store of personal data has decrypted the event.
///
/// Such an event must not be stored as it is.
fn is_decrypted(event: &RecordedEvent) -> bool {
    event.tags.iter().any(is_subject) && matches!(EncryptedFields::of(event), Ok(None))
}

/// Compares the events of `expected` with those of the target.
async fn compare(mut expected: EventReader<'_>, target: &dyn EventStore) -> Result<(), CopyError> {
    let head = expected.head;
    let mut actual = EventReader::new(target, Position::ZERO, head);
    let mut position = Position::ZERO;
    while position < head {
        position = position.plus(1);
        let expected = expected.next().await?;
        let actual = actual.next().await.map_err(CopyError::of_target)?;
        let field = match (&expected, &actual) {
            (Some(expected), Some(actual)) => difference(expected, actual),
            _ => Some("the number of events"),
        };
        if let Some(field) = field {
            return Err(CopyError::Different { position, field });
        }
    }
    Ok(())
}

/// Returns the name of the first part in which two events differ.
fn difference(expected: &RecordedEvent, actual: &RecordedEvent) -> Option<&'static str> {
    let parts = [
        ("the position", expected.position == actual.position),
        ("the stream", expected.stream == actual.stream),
        ("the version", expected.version == actual.version),
        ("the id", expected.id == actual.id),
        ("the event type", expected.name == actual.name),
        (
            "the schema version",
            expected.schema_version == actual.schema_version,
        ),
        (
            "the content type",
            expected.content_type == actual.content_type,
        ),
        ("the data", expected.data == actual.data),
        ("the tags", expected.tags == actual.tags),
        ("the metadata", expected.metadata == actual.metadata),
        ("the time", expected.recorded_at == actual.recorded_at),
    ];
    let mut different = parts.into_iter().filter(|(_, is_equal)| !is_equal);
    different.next().map(|(name, _)| name)
}

/// Reads the events between two positions, page by page.
struct EventReader<'s> {
    store: &'s dyn EventStore,
    events: VecDeque<RecordedEvent>,
    after: Position,
    head: Position,
    tags: Option<&'s TagMapping<'s>>,
}

impl<'s> EventReader<'s> {
    fn new(store: &'s dyn EventStore, after: Position, head: Position) -> Self {
        Self {
            store,
            events: VecDeque::new(),
            after,
            head,
            tags: None,
        }
    }

    /// Gives the events the tags of their copies.
    fn mapped(mut self, tags: &'s TagMapping<'s>) -> Self {
        self.tags = Some(tags);
        self
    }

    async fn next(&mut self) -> Result<Option<RecordedEvent>, CopyError> {
        if self.events.is_empty() && self.after < self.head {
            let after = self.after;
            let page = self.store.read(Read::all(Query::all()).after(after)).await;
            let page = page.map_err(|error| CopyError::Source { after, error })?;
            self.after = page.through();
            self.events = page.events.into();
        }
        let event = self.events.pop_front();
        let Some(mut event) = event.filter(|event| event.position <= self.head) else {
            return Ok(None);
        };
        if let Some(tags) = self.tags {
            let mapped = tags.apply(&mut event);
            mapped.map_err(|error| CopyError::Tags {
                position: event.position,
                name: event.name.to_string(),
                error,
            })?;
        }
        Ok(Some(event))
    }
}

impl CopyError {
    /// Returns the error of a reader as an error of the target.
    fn of_target(self) -> Self {
        match self {
            Self::Source { after, error } => Self::Target { after, error },
            other => other,
        }
    }
}

/// Events that the target stores together.
#[derive(Default)]
struct CopyBatch {
    /// The position before the first event.
    after: Position,
    append: Append,
    /// The index of each stream of the append.
    streams: HashMap<StreamId, usize>,
    first: Option<RecordedEvent>,
    bytes: usize,
}

impl CopyBatch {
    /// Returns whether `event` can be stored together with the others, at the position that follows theirs.
    fn accepts(&self, event: &RecordedEvent) -> bool {
        let Some(first) = &self.first else {
            return true;
        };
        // A store compares the time of an append with that of the previous event only.
        first.recorded_at == event.recorded_at
            && self.append.count() < MAX_EVENTS
            && self.bytes + event.data.len() <= MAX_BYTES
    }

    fn add(&mut self, event: RecordedEvent) {
        if self.first.is_none() {
            self.after = Position::new(event.position.get() - 1);
            self.first = Some(event.clone());
        }
        self.bytes += event.data.len();
        let stream = match self.streams.get(&event.stream) {
            Some(stream) => *stream,
            None => self.add_stream(&event),
        };
        let event = NewEvent::from(event);
        self.append.events.push(AppendEvent { stream, event });
    }

    /// Adds the stream of `event`, its first one in the batch, and returns the index of the stream.
    fn add_stream(&mut self, event: &RecordedEvent) -> usize {
        let index = self.append.streams.len();
        self.append.streams.push(ExpectedStream {
            stream: event.stream.clone(),
            expected: match Version::new(event.version.get() - 1) {
                Version::ZERO => ExpectedVersion::NoStream,
                version => ExpectedVersion::Exact(version),
            },
        });
        self.streams.insert(event.stream.clone(), index);
        index
    }

    /// Stores the events, and empties the batch.
    async fn store(&mut self, target: &dyn EventStore) -> Result<(), CopyError> {
        let batch = std::mem::take(self);
        let Some(first) = batch.first else {
            return Ok(());
        };
        let after = batch.after;
        let expected = after.plus(batch.append.count() as u64);
        let imported = target.import(batch.append, first.recorded_at).await;
        let imported = imported.map_err(|error| CopyError::Append { after, error })?;
        if imported.position != expected {
            return Err(CopyError::Different {
                position: after.plus(1),
                field: "the position",
            });
        }
        Ok(())
    }
}
