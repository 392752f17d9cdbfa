//! [`VirtualStream`]: the streams `$ce-CATEGORY` and `$et-TYPE`, and the resolution of links.
//!
//! A virtual stream contains a link to each event of a category or event type. It is not stored: a link is made when its event
//! is read. The revision of a link is the position of its event. The revisions of a virtual stream increase and have gaps.

use bytes::Bytes;
use factum::store::{Metadata, Query, Read, RecordedEvent, Store, StoreError, StreamId, Version};
use factum_compatible_protocols::kurrentdb::client::streams::{ReadResp, read_resp};
use uuid::Uuid;

use super::event::{UuidNotation, client_id, link_metadata, recorded, revision};

/// The prefix of the streams of categories.
const CATEGORY: &str = "$ce-";
/// The prefix of the streams of event types.
const EVENT_TYPE: &str = "$et-";
/// The type of a link.
const LINK: &str = "$>";

/// A stream of links to the events that match a query.
#[derive(Debug, Clone)]
pub struct VirtualStream {
    stream: StreamId,
    query: Query,
}

impl VirtualStream {
    /// Returns the virtual stream with the name of `stream`; `None` if it is an ordinary one.
    #[must_use]
    pub fn named(stream: &StreamId) -> Option<Self> {
        let name = stream.as_str();
        let query = match (name.strip_prefix(CATEGORY), name.strip_prefix(EVENT_TYPE)) {
            (Some(category), _) if !category.is_empty() => Query::category(category),
            (_, Some(event_type)) if !event_type.is_empty() => Query::event_types([event_type]),
            _ => return None,
        };
        Some(Self {
            stream: stream.clone(),
            query,
        })
    }

    /// Returns the name.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Returns the query that the events match.
    #[must_use]
    pub fn query(&self) -> Query {
        self.query.clone()
    }

    /// Returns the link to an event.
    #[must_use]
    pub fn link(&self, event: &RecordedEvent) -> RecordedEvent {
        let data = format!("{}@{}", revision(event), event.stream);
        let mut metadata = Metadata::default();
        metadata.foreign = link_metadata(event);
        RecordedEvent {
            stream: self.stream.clone(),
            version: Version::new(event.position.get()).plus(1),
            id: Uuid::new_v5(&client_id(event), self.stream.as_str().as_bytes()),
            name: LINK.into(),
            content_type: "application/octet-stream".into(),
            data: Bytes::from(data),
            tags: Vec::new(),
            metadata: metadata.into(),
            ..event.clone()
        }
    }
}

/// An event as a read returns it.
#[derive(Debug, Clone)]
pub struct ResolvedEvent {
    /// The event; `None` if a link was resolved whose event is not visible.
    pub event: Option<RecordedEvent>,
    /// The link through which the event was found.
    pub link: Option<RecordedEvent>,
}

impl ResolvedEvent {
    /// Resolves `event` if it is a link and `resolve_links` is set.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub async fn new(
        store: &dyn Store,
        event: RecordedEvent,
        resolve_links: bool,
    ) -> Result<Self, StoreError> {
        if !resolve_links || event.name != LINK {
            return Ok(Self {
                event: Some(event),
                link: None,
            });
        }
        let target = target(&event.data);
        let target = match target {
            Some((stream, revision)) => {
                let read = Read::stream(stream).after(revision).limit(1);
                let found = store.read(read).await?.events.pop();
                found.filter(|found| found.version.get() == revision + 1)
            }
            None => None,
        };
        Ok(Self {
            event: target,
            link: Some(event),
        })
    }

    /// Returns an event of a virtual stream.
    #[must_use]
    pub fn of_virtual(stream: &VirtualStream, event: RecordedEvent, resolve_links: bool) -> Self {
        let link = stream.link(&event);
        match resolve_links {
            true => Self {
                event: Some(event),
                link: Some(link),
            },
            false => Self {
                event: Some(link),
                link: None,
            },
        }
    }

    /// Returns the message of the event.
    #[must_use]
    pub fn message(&self, notation: UuidNotation) -> ReadResp {
        let found = self.link.as_ref().or(self.event.as_ref());
        let position = found.map_or(0, |event| event.position.get());
        let message =
            |event: &Option<RecordedEvent>| event.as_ref().map(|event| recorded(event, notation));
        let event = read_resp::ReadEvent {
            event: message(&self.event),
            link: message(&self.link),
            position: Some(read_resp::read_event::Position::CommitPosition(position)),
        };
        ReadResp {
            content: Some(read_resp::Content::Event(event)),
        }
    }
}

/// Returns the stream and the revision to which a link points: `REVISION@STREAM`.
fn target(data: &[u8]) -> Option<(StreamId, u64)> {
    let (revision, stream) = std::str::from_utf8(data).ok()?.split_once('@')?;
    Some((stream.parse().ok()?, revision.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_virtual_streams_have_a_prefix() {
        let is_virtual = |name: &str| VirtualStream::named(&name.parse().unwrap()).is_some();
        assert!(is_virtual("$ce-hive") && is_virtual("$et-weighed"));
        assert!(!is_virtual("$ce-") && !is_virtual("hive-1") && !is_virtual("$ceh"));
    }

    #[test]
    fn link_names_the_revision_and_the_stream() {
        let (stream, revision) = target(b"12@hive@home").unwrap();
        assert_eq!((stream.as_str(), revision), ("hive@home", 12));
        for data in [&b"hive"[..], b"x@hive", b"1@", b"\xff@a"] {
            assert_eq!(target(data), None);
        }
    }
}
