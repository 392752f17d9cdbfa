//! [`Query`]: which events, by category, stream prefix, name and tags.

use std::collections::BTreeSet;

use crate::record::RecordedEvent;
use crate::stream_id::StreamId;
use crate::tag::Tag;

/// Which events: those that match any of its items. A query without items matches every event.
///
/// ```
/// use factum::{Query, QueryItem, Tag};
/// let student = Tag::new("student", "ada")?;
/// let query = Query::all().or(QueryItem::default().tag(student).name("course.enrolled"));
/// # Ok::<(), factum::InvalidTag>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    items: Vec<QueryItem>,
}

/// One alternative of a [`Query`]: every part that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryItem {
    /// The category of the stream.
    pub category: Option<String>,
    /// What the stream id begins with.
    pub stream_prefix: Option<String>,
    /// The event has one of these stored names; empty: any.
    pub names: Vec<String>,
    /// The event carries all of these tags.
    pub tags: Vec<Tag>,
}

impl Query {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The events of streams in `category`.
    #[must_use]
    pub fn category(category: impl Into<String>) -> Self {
        Self::all().or(QueryItem {
            category: Some(category.into()),
            ..QueryItem::default()
        })
    }

    /// The events of streams whose id begins with `prefix`.
    #[must_use]
    pub fn stream_prefix(prefix: impl Into<String>) -> Self {
        Self::all().or(QueryItem {
            stream_prefix: Some(prefix.into()),
            ..QueryItem::default()
        })
    }

    /// The events with one of these stored names; no names: every event.
    #[must_use]
    pub fn names(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            return Self::all();
        }
        Self::all().or(QueryItem {
            names,
            ..QueryItem::default()
        })
    }

    /// The events that carry any of these tags.
    ///
    /// Without tags it matches every event.
    #[must_use]
    pub fn any_tag(tags: impl IntoIterator<Item = Tag>) -> Self {
        tags.into_iter().fold(Self::all(), |query, tag| {
            query.or(QueryItem::default().tag(tag))
        })
    }

    /// Also the events that match `item`.
    #[must_use]
    pub fn or(mut self, item: QueryItem) -> Self {
        self.items.push(item);
        self
    }

    /// The alternatives; empty: every event.
    #[must_use]
    pub fn items(&self) -> &[QueryItem] {
        &self.items
    }

    /// The same query, for events with one of these stored names only.
    #[must_use]
    pub fn restricted_to(mut self, names: &[&'static str]) -> Self {
        let names = || names.iter().map(|name| (*name).to_owned());
        if self.items.is_empty() {
            return Self::names(names());
        }
        for item in self.items.iter_mut().filter(|item| item.names.is_empty()) {
            item.names = names().collect();
        }
        self
    }

    /// Whether `event` matches.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.matches_parts(&event.stream, &event.name, &event.tags)
    }

    /// Whether an event of one of these stored names may match.
    pub fn may_name(&self, names: &BTreeSet<String>) -> bool {
        let named = |item: &QueryItem| {
            item.names.is_empty() || item.names.iter().any(|name| names.contains(name))
        };
        self.items.is_empty() || self.items.iter().any(named)
    }

    /// Whether an event of this stream, stored name and tags matches.
    #[must_use]
    pub fn matches_parts(&self, stream: &StreamId, name: &str, tags: &[Tag]) -> bool {
        self.items.is_empty()
            || self
                .items
                .iter()
                .any(|item| item.matches(stream, name, tags))
    }
}

impl QueryItem {
    /// Only events that carry `tag`, too.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Also events with this stored name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    fn matches(&self, stream: &StreamId, name: &str, tags: &[Tag]) -> bool {
        self.category
            .as_deref()
            .is_none_or(|category| stream.category() == category)
            && self
                .stream_prefix
                .as_deref()
                .is_none_or(|p| stream.as_str().starts_with(p))
            && (self.names.is_empty() || self.names.iter().any(|wanted| wanted == name))
            && self.tags.iter().all(|tag| tags.contains(tag))
    }
}
