//! [`Query`]: a filter for events by category, stream prefix, event type and tags.

use std::collections::BTreeSet;

use crate::field::{InvalidField, check_count, check_name, check_text};
use crate::record::{MAX_EVENT_TYPE, RecordedEvent};
use crate::stream_id::{MAX_STREAM_ID, StreamId};
use crate::tag::Tag;

/// The maximum number of items, event types and tags of a query, all together.
pub const MAX_QUERY: usize = 50_000;

/// A filter for events.
///
/// An event matches a query if it matches at least one of its items. A query without items matches every event.
///
/// ```
/// use factum_core::query::{Query, QueryItem};
/// use factum_core::tag::Tag;
///
/// let student = Tag::new("student", "ada")?;
/// let query = Query::all().or(QueryItem::default().tag(student).event_type("course.enrolled"));
/// # assert_eq!(query.items().len(), 1);
/// # Ok::<(), factum_core::tag::InvalidTag>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    items: Vec<QueryItem>,
}

/// An alternative of a [`Query`]; an event matches if it meets every criterion that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryItem {
    /// The category of the stream; `None` matches every category.
    pub category: Option<String>,
    /// The prefix of the stream id; `None` matches every stream.
    pub stream_prefix: Option<String>,
    /// The accepted event types; an empty list matches every event type.
    pub event_types: Vec<String>,
    /// The tags that the event must have, all of them.
    pub tags: Vec<Tag>,
}

impl Query {
    /// Creates a query that matches every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Creates a query for the events of all streams in `category`.
    #[must_use]
    pub fn category(category: impl Into<String>) -> Self {
        Self::all().or(QueryItem {
            category: Some(category.into()),
            ..QueryItem::default()
        })
    }

    /// Creates a query for the events of all streams whose id begins with `prefix`.
    #[must_use]
    pub fn stream_prefix(prefix: impl Into<String>) -> Self {
        Self::all().or(QueryItem {
            stream_prefix: Some(prefix.into()),
            ..QueryItem::default()
        })
    }

    /// Creates a query for events of these event types.
    ///
    /// An empty list matches every event.
    #[must_use]
    pub fn event_types(event_types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let event_types: Vec<String> = event_types.into_iter().map(Into::into).collect();
        if event_types.is_empty() {
            return Self::all();
        }
        Self::all().or(QueryItem {
            event_types,
            ..QueryItem::default()
        })
    }

    /// Creates a query for events that have at least one of these tags.
    ///
    /// An empty list matches every event.
    #[must_use]
    pub fn any_tag(tags: impl IntoIterator<Item = Tag>) -> Self {
        tags.into_iter().fold(Self::all(), |query, tag| {
            query.or(QueryItem::default().tag(tag))
        })
    }

    /// Adds an alternative.
    #[must_use]
    pub fn or(mut self, item: QueryItem) -> Self {
        self.items.push(item);
        self
    }

    /// Returns the alternatives; if there are none, the query matches every event.
    #[must_use]
    pub fn items(&self) -> &[QueryItem] {
        &self.items
    }

    /// Checks the rules that hold for every store: the size of the query, and its texts.
    ///
    /// # Errors
    /// Returns [`InvalidField`], which names the first field that violates a rule.
    pub fn check(&self) -> Result<(), InvalidField> {
        let size = |item: &QueryItem| 1 + item.event_types.len() + item.tags.len();
        let size = self.items.iter().map(size).sum();
        check_count("items, event types and tags in a query", size, MAX_QUERY)?;
        for item in &self.items {
            if let Some(category) = &item.category {
                check_text("category of a query", category, MAX_STREAM_ID)?;
            }
            if let Some(prefix) = &item.stream_prefix {
                check_text("stream prefix of a query", prefix, MAX_STREAM_ID)?;
            }
            for event_type in &item.event_types {
                check_name("event type of a query", event_type, MAX_EVENT_TYPE)?;
            }
        }
        Ok(())
    }

    /// Restricts every item without event types to these event types.
    #[doc(hidden)]
    #[must_use]
    pub fn restricted_to_event_types(mut self, event_types: &[&'static str]) -> Self {
        let event_types = || {
            event_types
                .iter()
                .map(|event_type| (*event_type).to_owned())
        };
        if self.items.is_empty() {
            return Self::event_types(event_types());
        }
        for item in &mut self.items {
            if item.event_types.is_empty() {
                item.event_types = event_types().collect();
            }
        }
        self
    }

    /// Returns whether `event` matches.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.matches_parts(&event.stream, &event.name, &event.tags)
    }

    /// Returns whether an event of one of these event types may match.
    #[doc(hidden)]
    #[must_use]
    pub fn may_match_event_types(&self, event_types: &BTreeSet<String>) -> bool {
        let may_match = |item: &QueryItem| {
            let mut accepted = item.event_types.iter();
            item.event_types.is_empty() || accepted.any(|accepted| event_types.contains(accepted))
        };
        self.items.is_empty() || self.items.iter().any(may_match)
    }

    /// Returns whether an event with this stream, event type and tags matches.
    #[must_use]
    pub fn matches_parts(&self, stream: &StreamId, event_type: &str, tags: &[Tag]) -> bool {
        let mut items = self.items.iter();
        self.items.is_empty() || items.any(|item| item.matches(stream, event_type, tags))
    }
}

impl QueryItem {
    /// Adds a tag that the event must have.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Adds an event type to the accepted event types.
    #[must_use]
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_types.push(event_type.into());
        self
    }

    fn matches(&self, stream: &StreamId, event_type: &str, tags: &[Tag]) -> bool {
        self.category
            .as_deref()
            .is_none_or(|category| stream.category() == category)
            && self
                .stream_prefix
                .as_deref()
                .is_none_or(|prefix| stream.as_str().starts_with(prefix))
            && (self.event_types.is_empty()
                || self
                    .event_types
                    .iter()
                    .any(|accepted| accepted == event_type))
            && self.tags.iter().all(|tag| tags.contains(tag))
    }
}
