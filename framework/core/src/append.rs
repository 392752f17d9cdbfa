//! What a store is asked to append, and what it answers.

mod error;

use std::collections::HashSet;

use uuid::Uuid;

use crate::document::Changes;
use crate::position::{Position, Version};
use crate::query::Query;
use crate::record::{ContentType, MAX_EVENT_DATA, NewEvent};
use crate::stream_id::StreamId;
use crate::timestamp::Timestamp;

pub use error::{AppendError, Conflict, InvalidAppend, Violation};

/// The most events in one append.
pub const MAX_APPEND: usize = 10_000;
/// The longest idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY: usize = 256;

/// Events for any number of streams, to be stored all or not at all.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// The streams, each at most once.
    pub streams: Vec<StreamAppend>,
    /// What must not have happened meanwhile.
    pub condition: Option<AppendCondition>,
    /// Makes a repetition give the first answer again.
    pub key: Option<IdempotencyKey>,
    /// What changes of the documents with it; not again when the append is repeated.
    pub changes: Changes,
}

/// Events for one stream, and what that stream must look like for them.
#[derive(Debug, Clone)]
pub struct StreamAppend {
    /// Which stream.
    pub stream: StreamId,
    /// What its version must be.
    pub expected: ExpectedVersion,
    /// The events, in order; none: only the expectation is checked.
    pub events: Vec<NewEvent>,
}

/// What the version of a stream must be for an append to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Anything.
    Any,
    /// 0: the stream does not exist.
    NoStream,
    /// 1 or more.
    StreamExists,
    /// Exactly this.
    Exact(Version),
}

impl ExpectedVersion {
    /// Whether a stream at `actual` is as expected.
    #[must_use]
    pub fn allows(self, actual: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == Version::ZERO,
            Self::StreamExists => actual > Version::ZERO,
            Self::Exact(version) => actual == version,
        }
    }
}

/// "No event after `after` matches `query`": what makes a decision that was taken on a query safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendCondition {
    /// Which events.
    pub query: Query,
    /// Up to where the decision knows them.
    pub after: Position,
}

/// A caller's name for an append, and what it stands for: the same key with the same fingerprint gives
/// the first answer again, the same key with another fingerprint is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's key: 1 to 256 bytes.
    pub key: String,
    /// Identifies the content that the caller asked for.
    pub fingerprint: Uuid,
}

impl IdempotencyKey {
    /// `key` for the content `content`, whose UUIDv5 ([RFC 9562], 5.5) is the fingerprint.
    ///
    /// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562
    #[must_use]
    pub fn new(key: impl Into<String>, content: &[u8]) -> Self {
        Self {
            key: key.into(),
            fingerprint: Uuid::new_v5(&Uuid::NAMESPACE_OID, content),
        }
    }
}

/// A store's answer to an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The position of the last event; without events, the head of the store.
    pub position: Position,
    /// How many events were stored; they hold the positions up to `position` without a gap.
    pub count: u64,
    /// The new versions of the streams that got events, in the order of the append.
    pub versions: Vec<(StreamId, Version)>,
    /// When they were stored, by the store's clock.
    pub recorded_at: Timestamp,
    /// This is the first answer to the same idempotency key; nothing was stored now.
    pub repeated: bool,
}

impl Append {
    /// An append to one stream.
    #[must_use]
    pub fn stream(stream: StreamId, expected: ExpectedVersion, events: Vec<NewEvent>) -> Self {
        Self::default().and_stream(stream, expected, events)
    }

    /// Also these events, to another stream.
    #[must_use]
    pub fn and_stream(
        mut self,
        stream: StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Self {
        self.streams.push(StreamAppend {
            stream,
            expected,
            events,
        });
        self
    }

    /// Only if no event after `after` matches `query`.
    #[must_use]
    pub fn unless(mut self, query: Query, after: Position) -> Self {
        self.condition = Some(AppendCondition { query, after });
        self
    }

    /// Once only, under this key.
    #[must_use]
    pub fn once(mut self, key: IdempotencyKey) -> Self {
        self.key = Some(key);
        self
    }

    /// With these changes of documents: all of it takes effect together, or nothing.
    #[must_use]
    pub fn with_changes(mut self, changes: Changes) -> Self {
        self.changes = self.changes.with(changes);
        self
    }

    /// How many events it holds.
    #[must_use]
    pub fn count(&self) -> usize {
        self.streams.iter().map(|stream| stream.events.len()).sum()
    }

    /// Every expectation about a stream that does not hold, where `version` says where a stream stands. For a
    /// store to answer with.
    pub fn violations(&self, version: impl Fn(&StreamId) -> Version) -> Vec<Violation> {
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

    /// Checks what every store rejects; a store calls this first.
    ///
    /// # Errors
    /// [`InvalidAppend`]: a stream named twice, too many events, data or a key out of bounds, a name that
    /// is empty or holds control characters, JSON that is not UTF-8, personal data that nothing has sealed, changes of
    /// documents that no store makes.
    pub fn check(&self) -> Result<(), InvalidAppend> {
        let mut seen = HashSet::new();
        for stream in &self.streams {
            if self.streams.len() > 1 && !seen.insert(&stream.stream) {
                return Err(InvalidAppend::DuplicateStream {
                    stream: stream.stream.clone(),
                });
            }
            stream.events.iter().try_for_each(check_event)?;
        }
        self.changes.check()?;
        let count = self.count();
        if count > MAX_APPEND {
            return Err(InvalidAppend::TooManyEvents {
                count,
                limit: MAX_APPEND,
            });
        }
        match &self.key {
            Some(IdempotencyKey { key, .. })
                if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY =>
            {
                Err(InvalidAppend::Key {
                    bytes: key.len(),
                    limit: MAX_IDEMPOTENCY_KEY,
                })
            }
            _ => Ok(()),
        }
    }
}

fn has_control_characters(name: &str) -> bool {
    // Most names are plain, and looked at fast.
    !name.bytes().all(|byte| byte.is_ascii_graphic()) && name.contains(char::is_control)
}

fn check_event(event: &NewEvent) -> Result<(), InvalidAppend> {
    let bytes = event.data.len();
    if bytes > MAX_EVENT_DATA {
        return Err(InvalidAppend::DataTooLarge {
            bytes,
            limit: MAX_EVENT_DATA,
        });
    }
    if event.name.is_empty() || event.name.len() > 255 || has_control_characters(&event.name) {
        return Err(InvalidAppend::Name {
            name: event.name.chars().take(80).collect(),
        });
    }
    if let Some(personal) = event.personal.first() {
        return Err(InvalidAppend::Personal {
            name: event.name.to_string(),
            field: personal.field,
        });
    }
    if event.content_type == ContentType::Json && std::str::from_utf8(&event.data).is_err() {
        return Err(InvalidAppend::JsonNotUtf8 {
            name: event.name.to_string(),
        });
    }
    Ok(())
}
