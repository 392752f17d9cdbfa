//! [`Append`]: the events that a store appends together.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::appended::Appended;
use super::condition::{AppendCondition, ExpectedVersion};
use super::conflict::Violation;
use super::error::InvalidAppend;
use super::idempotency_key::IdempotencyKey;
use crate::document::DocumentChanges;
use crate::field::{check_count, check_size};
use crate::metadata::Metadata;
use crate::position::{Position, Version};
use crate::query::Query;
use crate::record::{Assigned, NewEvent};
use crate::stream_id::StreamId;

/// The maximum number of events in one append.
pub const MAX_APPEND: usize = 10_000;
/// The maximum number of streams in one append, and of the events that it requires.
///
/// Streams without events count, too.
pub const MAX_APPEND_STREAMS: usize = 10_000;
/// The maximum size of one append in bytes, by [`Append::size`]: 64 MiB.
pub const MAX_APPEND_BYTES: usize = 64 * 1024 * 1024;

/// Events for any number of streams, which are stored together or not at all.
///
/// ```
/// use factum_core::append::{Append, ExpectedVersion, IdempotencyKey};
/// use factum_core::position::Position;
/// use factum_core::query::Query;
///
/// let append = Append::stream("account-42".parse()?, ExpectedVersion::NoStream, Vec::new())
///     .condition(Query::category("account"), Position::new(17))
///     .idempotency_key(IdempotencyKey::new("request-7", b"open account 42"));
/// # assert_eq!(append.check(), Ok(()));
/// # Ok::<(), factum_core::stream_id::InvalidStreamId>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// The streams, each at most once.
    pub streams: Vec<ExpectedStream>,
    /// The events, in the order of their positions. Events of several streams may be mixed.
    pub events: Vec<AppendEvent>,
    /// The condition that the events of the store must meet.
    pub condition: Option<AppendCondition>,
    /// The ids of events that must be stored.
    ///
    /// An append that is sent before the response to another one depends on it in this way: a version alone may have
    /// been reached by other events. There are at most [`MAX_APPEND_STREAMS`].
    pub requires: Vec<Uuid>,
    /// The key that makes a repeated append return the first result.
    pub key: Option<IdempotencyKey>,
    /// The document changes to make in the same transaction; a repeated append does not make them again.
    pub changes: DocumentChanges,
}

/// A stream of an append, and the version that it must have.
#[derive(Debug, Clone)]
pub struct ExpectedStream {
    /// The stream.
    pub stream: StreamId,
    /// The version that the stream must have before the append.
    pub expected: ExpectedVersion,
}

/// An event of an append, and its stream.
#[derive(Debug, Clone)]
pub struct AppendEvent {
    /// The index of the stream in [`Append::streams`].
    pub stream: usize,
    /// The event.
    pub event: NewEvent,
}

impl Append {
    /// Creates an append to one stream.
    #[must_use]
    pub fn stream(stream: StreamId, expected: ExpectedVersion, events: Vec<NewEvent>) -> Self {
        Self::default().and_stream(stream, expected, events)
    }

    /// Adds another stream, with events that follow those of the append.
    ///
    /// If there are no events, only the version of the stream is checked. To mix the events of streams, add them with
    /// [`and_event`](Self::and_event).
    #[must_use]
    pub fn and_stream(
        mut self,
        stream: StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Self {
        let index = self.streams.len();
        self.streams.push(ExpectedStream { stream, expected });
        let events = events.into_iter();
        self.events.extend(events.map(|event| AppendEvent {
            stream: index,
            event,
        }));
        self
    }

    /// Adds an event of the stream with the index `stream`, which follows the events of the append.
    ///
    /// ```
    /// # use factum_core::append::{Append, ExpectedVersion};
    /// # use factum_core::record::{ContentType, NewEvent};
    /// # let event = |name: &'static str| NewEvent {
    /// #     id: factum_core::event_id::new_event_id(),
    /// #     name: name.into(),
    /// #     schema_version: 1,
    /// #     content_type: ContentType::Json,
    /// #     data: "{}".into(),
    /// #     tags: Vec::new(),
    /// #     metadata: Default::default(),
    /// #     personal: Vec::new(),
    /// # };
    /// let append = Append::stream("order-1".parse()?, ExpectedVersion::NoStream, Vec::new())
    ///     .and_stream("stock-7".parse()?, ExpectedVersion::Any, Vec::new())
    ///     .and_event(0, event("order.placed"))
    ///     .and_event(1, event("stock.reserved"))
    ///     .and_event(0, event("order.confirmed"));
    /// # assert_eq!(append.check(), Ok(()));
    /// # Ok::<(), factum_core::stream_id::InvalidStreamId>(())
    /// ```
    #[must_use]
    pub fn and_event(mut self, stream: usize, event: NewEvent) -> Self {
        self.events.push(AppendEvent { stream, event });
        self
    }

    /// Requires that the event with this id is stored.
    #[must_use]
    pub fn require(mut self, event: Uuid) -> Self {
        self.requires.push(event);
        self
    }

    /// Sets the append condition: no event after the position `after` matches `query`.
    #[must_use]
    pub fn condition(mut self, query: Query, after: Position) -> Self {
        self.condition = Some(AppendCondition { query, after });
        self
    }

    /// Sets the idempotency key, which makes a repeated append return the first result.
    #[must_use]
    pub fn idempotency_key(mut self, key: IdempotencyKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Adds document changes, which take effect together with the events or not at all.
    #[must_use]
    pub fn with_changes(mut self, changes: DocumentChanges) -> Self {
        self.changes = self.changes.with(changes);
        self
    }

    /// Returns the number of events.
    #[must_use]
    pub fn count(&self) -> usize {
        self.events.len()
    }

    /// Returns the approximate size of the events and document changes in a store, in bytes.
    ///
    /// A store that commits appends in batches limits the size of a batch with it.
    #[must_use]
    pub fn size(&self) -> usize {
        let events = self.events.iter().map(|event| event.event.size());
        events.sum::<usize>() + self.changes.size()
    }

    /// Returns the stream of `event`.
    ///
    /// # Panics
    /// If the append does not have the stream, which [`check`](Self::check) reports.
    #[must_use]
    pub fn stream_of(&self, event: &AppendEvent) -> &StreamId {
        &self.streams[event.stream].stream
    }

    /// Returns the indexes of the streams that receive events, in the order of their first events.
    ///
    /// This is the order of [`Appended::versions`]. Call [`check`](Self::check) first.
    #[must_use]
    pub fn written_streams(&self) -> Vec<usize> {
        let mut is_written = vec![false; self.streams.len()];
        let streams = self.events.iter().map(|event| event.stream);
        streams
            .filter(|stream| !std::mem::replace(&mut is_written[*stream], true))
            .collect()
    }

    /// Returns the values that a store has assigned to the events, by the result of the append.
    ///
    /// The result must not be that of an earlier append. Call [`check`](Self::check) first.
    #[must_use]
    pub fn assigned(&self, appended: &Appended) -> Vec<Assigned> {
        let mut next = vec![Version::ZERO; self.streams.len()];
        let written = self.written_streams().into_iter();
        for (stream, (_, version)) in written.zip(&appended.versions) {
            next[stream] = *version;
        }
        let mut position = appended.position;
        let mut assigned = Vec::with_capacity(self.events.len());
        // From the last event, whose version is known.
        for event in self.events.iter().rev() {
            let version = &mut next[event.stream];
            assigned.push(Assigned {
                position,
                version: *version,
                recorded_at: appended.recorded_at,
            });
            *version = Version::new(version.get().saturating_sub(1));
            position = Position::new(position.get().saturating_sub(1));
        }
        assigned.reverse();
        assigned
    }

    /// Returns a violation for every stream that is not at its expected version.
    ///
    /// `version` returns the actual version of a stream; it is called once for each stream, in the order of the append.
    /// A store reports the violations as a [`Conflict`](crate::append::Conflict).
    #[must_use]
    pub fn violations(&self, mut version: impl FnMut(&StreamId) -> Version) -> Vec<Violation> {
        let streams = self.streams.iter().filter_map(|part| {
            let actual = version(&part.stream);
            (!part.expected.allows(actual)).then(|| Violation::Version {
                stream: part.stream.clone(),
                expected: part.expected,
                actual,
            })
        });
        streams.collect()
    }

    /// Checks the rules that hold for every store; a store calls this first.
    ///
    /// # Errors
    /// Returns [`InvalidAppend`], which names the first rule that the append violates.
    pub fn check(&self) -> Result<(), InvalidAppend> {
        let count = self.streams.len();
        check_count("streams in one append", count, MAX_APPEND_STREAMS)?;
        let mut seen = HashSet::new();
        for ExpectedStream { stream, .. } in &self.streams {
            if count > 1 && !seen.insert(stream) {
                let stream = stream.clone();
                return Err(InvalidAppend::DuplicateStream { stream });
            }
        }
        let mut metadata: Option<&Arc<Metadata>> = None;
        for AppendEvent { stream, event } in &self.events {
            if *stream >= count {
                let (index, streams) = (*stream, count);
                return Err(InvalidAppend::UnknownStream { index, streams });
            }
            check_event(event)?;
            // The events of a command share their metadata.
            if metadata.is_none_or(|last| !Arc::ptr_eq(last, &event.metadata)) {
                event.metadata.check()?;
                metadata = Some(&event.metadata);
            }
        }
        self.changes.check()?;
        let required = self.requires.len();
        check_count(
            "required events in one append",
            required,
            MAX_APPEND_STREAMS,
        )?;
        check_count("events in one append", self.count(), MAX_APPEND)?;
        check_size("append", self.size(), MAX_APPEND_BYTES)?;
        if let Some(condition) = &self.condition {
            condition.query.check()?;
        }
        if let Some(key) = &self.key {
            key.check()?;
        }
        match self.repeated_event_id() {
            Some(id) => Err(InvalidAppend::DuplicateEventId { id }),
            None => Ok(()),
        }
    }

    /// Returns an event id that occurs twice.
    fn repeated_event_id(&self) -> Option<Uuid> {
        let ids = self.events.iter().map(|event| event.event.id);
        // Fast path: generated ids are in ascending order.
        if ids.clone().is_sorted_by(|id, next| id < next) {
            return None;
        }
        let mut seen = HashSet::new();
        ids.into_iter().find(|id| !seen.insert(*id))
    }
}

fn check_event(event: &NewEvent) -> Result<(), InvalidAppend> {
    event.check_fields()?;
    match event.personal.first() {
        None => Ok(()),
        Some(personal) => Err(InvalidAppend::Personal {
            name: event.name.to_string(),
            field: personal.field,
        }),
    }
}
