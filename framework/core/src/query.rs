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
/// let enrolled = Query::from(QueryItem::default().tag(student).event_type("course.enrolled"));
/// let query = enrolled.or(Query::category("exam"));
/// # assert_eq!(query.items().len(), 2);
/// # Ok::<(), factum_core::tag::InvalidTag>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Query {
    items: Vec<QueryItem>,
}

/// An alternative of a [`Query`]; an event matches if it meets every criterion that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
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

    /// Creates a query that matches no event.
    #[must_use]
    pub fn none() -> Self {
        QueryItem::none().into()
    }

    /// Creates a query for the events of all streams in `category`.
    #[must_use]
    pub fn category(category: impl Into<String>) -> Self {
        Self::from(QueryItem {
            category: Some(category.into()),
            ..QueryItem::default()
        })
    }

    /// Creates a query for the events of all streams whose id begins with `prefix`.
    #[must_use]
    pub fn stream_prefix(prefix: impl Into<String>) -> Self {
        Self::from(QueryItem {
            stream_prefix: Some(prefix.into()),
            ..QueryItem::default()
        })
    }

    /// Creates a query for events of these event types.
    ///
    /// An empty list matches no event.
    #[must_use]
    pub fn event_types(event_types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let event_types: Vec<String> = event_types.into_iter().map(Into::into).collect();
        if event_types.is_empty() {
            return Self::none();
        }
        Self::from(QueryItem {
            event_types,
            ..QueryItem::default()
        })
    }

    /// Creates a query for events with this tag.
    #[must_use]
    pub fn tag(tag: Tag) -> Self {
        QueryItem::default().tag(tag).into()
    }

    /// Creates a query for events that have at least one of these tags.
    ///
    /// An empty list matches no event.
    #[must_use]
    pub fn any_tag(tags: impl IntoIterator<Item = Tag>) -> Self {
        let items: Vec<_> = tags
            .into_iter()
            .map(|tag| QueryItem::default().tag(tag))
            .collect();
        match items.is_empty() {
            true => Self::none(),
            false => Self { items },
        }
    }

    /// Returns a query for the events that match this query, the other one, or both.
    ///
    /// [`Query::all`] or anything else matches every event.
    #[must_use]
    pub fn or(mut self, other: impl Into<Self>) -> Self {
        let other = other.into();
        if self.matches_nothing() || other.items.is_empty() {
            return other;
        }
        if !self.items.is_empty() && !other.matches_nothing() {
            self.items.extend(other.items);
        }
        self
    }

    /// Returns a query for the events that match both this query and the other one.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        let other = other.into();
        match (&*self.items, &*other.items) {
            ([], _) => other,
            (_, []) => self,
            (own, others) => {
                let pairs = own
                    .iter()
                    .flat_map(|own| others.iter().map(move |other| own.and(other)));
                let items: Vec<_> = pairs.flatten().collect();
                match items.is_empty() {
                    true => Self::none(),
                    false => Self { items },
                }
            }
        }
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

    /// Returns whether no event can match, whatever the store contains.
    #[must_use]
    pub fn matches_nothing(&self) -> bool {
        let none = QueryItem::none();
        !self.items.is_empty() && self.items.iter().all(|item| *item == none)
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

impl From<QueryItem> for Query {
    fn from(item: QueryItem) -> Self {
        Self { items: vec![item] }
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

    /// Returns an item that no event matches, because a category never contains a `-`.
    fn none() -> Self {
        Self {
            category: Some("-".to_owned()),
            ..Self::default()
        }
    }

    /// Returns an item for the events that match both items; `None` if no event can.
    fn and(&self, other: &Self) -> Option<Self> {
        let category = match (&self.category, &other.category) {
            (Some(own), Some(other)) if own != other => return None,
            (own, other) => own.clone().or_else(|| other.clone()),
        };
        let stream_prefix = match (&self.stream_prefix, &other.stream_prefix) {
            (Some(own), Some(other)) if own.starts_with(other.as_str()) => Some(own.clone()),
            (Some(own), Some(other)) if other.starts_with(own.as_str()) => Some(other.clone()),
            (Some(_), Some(_)) => return None,
            (own, other) => own.clone().or_else(|| other.clone()),
        };
        let event_types = match (&*self.event_types, &*other.event_types) {
            (own, []) => own.to_vec(),
            ([], other) => other.to_vec(),
            (own, other) => {
                let both = own.iter().filter(|name| other.contains(name));
                let both: Vec<_> = both.cloned().collect();
                if both.is_empty() {
                    return None;
                }
                both
            }
        };
        let new = other.tags.iter().filter(|tag| !self.tags.contains(tag));
        let tags = self.tags.iter().chain(new).cloned().collect();
        Some(Self {
            category,
            stream_prefix,
            event_types,
            tags,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        Tag::try_from(text.to_owned()).expect("a tag")
    }

    /// Returns the queries and, for each of eight events, whether it matches.
    fn queries() -> Vec<(Query, [bool; 8])> {
        let event_type = |name: &str| Query::event_types([name]);
        let queries = [
            Query::all(),
            Query::none(),
            Query::category("a"),
            Query::category("b"),
            Query::stream_prefix("a-"),
            Query::stream_prefix("a-1"),
            event_type("x"),
            event_type("y"),
            Query::tag(tag("k:1")),
            Query::any_tag([tag("k:1"), tag("k:2")]),
            Query::any_tag([]),
            Query::event_types([""; 0]),
            QueryItem::default().tag(tag("k:1")).event_type("x").into(),
        ];
        queries
            .into_iter()
            .map(|query| {
                let matches = matches(&query);
                (query, matches)
            })
            .collect()
    }

    fn matches(query: &Query) -> [bool; 8] {
        std::array::from_fn(|index| {
            let stream = ["a-1", "b-1"][index & 1].parse().expect("a stream id");
            let event_type = ["x", "y"][index >> 1 & 1];
            let tags = [tag(["k:1", "k:2"][index >> 2])];
            query.matches_parts(&stream, event_type, &tags)
        })
    }

    #[test]
    fn combined_queries_match_as_their_names_say() {
        for (left, matches_left) in queries() {
            for (right, matches_right) in queries() {
                let either = std::array::from_fn(|i| matches_left[i] || matches_right[i]);
                let both = std::array::from_fn(|i| matches_left[i] && matches_right[i]);
                let (or, and) = (
                    left.clone().or(right.clone()),
                    left.clone().and(right.clone()),
                );
                assert_eq!(matches(&or), either, "{left:?} or {right:?}");
                assert_eq!(matches(&and), both, "{left:?} and {right:?}");
            }
        }
    }

    #[test]
    fn query_of_an_empty_list_matches_nothing() {
        for query in [
            Query::none(),
            Query::any_tag([]),
            Query::event_types([""; 0]),
            Query::category("a").and(Query::category("b")),
        ] {
            assert!(query.matches_nothing(), "{query:?}");
            assert_eq!(matches(&query), [false; 8]);
        }
        assert!(!Query::all().matches_nothing());
        assert_eq!(matches(&Query::all().or(Query::category("c"))), [true; 8]);
    }
}
