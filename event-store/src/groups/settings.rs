//! [`GroupSettings`]: what a group delivers, how it distributes it, and its limits.

use std::time::Duration;

use factum::StreamId;
use factum::store::{Query, QueryItem, Read, RecordedEvent, StoreError, Tag};
use serde::{Deserialize, Serialize};

use super::error::GroupError;
use super::failure::FailureLimits;
use super::group_filter::GroupFilter;
use super::partition_key::PartitionKey;
use crate::access::{Permission, Principal};

/// The maximum number of partitions.
pub const MAX_PARTITIONS: u16 = 256;
/// The maximum number of items, event types and tags of the query of a group.
pub const MAX_GROUP_QUERY: usize = 1_000;
/// The maximum number of unanswered deliveries of a consumer.
pub const MAX_IN_FLIGHT: u32 = 1_000;
/// The maximum number of consumers of a group on one server.
pub const MAX_CONSUMERS: u32 = 1_000;
/// The maximum number of failed attempts before an event becomes a dead letter.
pub const MAX_ATTEMPTS: u32 = 1_000;
/// The longest time for an answer, and the longest first pause.
pub const MAX_ACK_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// The shortest time for an answer.
pub const MIN_ACK_TIMEOUT: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
pub const MAX_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// The settings of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupSettings {
    /// The events that are read.
    pub scope: GroupScope,
    /// A further filter for the events that are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<GroupFilter>,
    /// The number of partitions, 1 to [`MAX_PARTITIONS`].
    pub partitions: u16,
    /// The partition key.
    pub partition_key: PartitionKey,
    /// The distribution of the events over the consumers.
    #[serde(default)]
    pub distribution: Distribution,
    /// The time for an answer, in milliseconds.
    pub ack_timeout: u64,
    /// The number of failed attempts after which an event becomes a dead letter.
    pub max_attempts: u32,
    /// The pause before the second attempt, in milliseconds.
    pub min_backoff: u64,
    /// The longest pause, in milliseconds.
    pub max_backoff: u64,
    /// The maximum number of unanswered deliveries of a consumer.
    pub max_in_flight: u32,
    /// The maximum number of consumers on one server.
    pub max_consumers: u32,
    /// The settings of another protocol, which the engine keeps and does not read.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub protocol: serde_json::Value,
}

/// The events that a group reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupScope {
    /// The events of one stream.
    Stream(String),
    /// The events that match one of the items; without items, all events.
    Query(Vec<ScopeItem>),
}

/// An alternative of the query of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScopeItem {
    category: Option<String>,
    stream_prefix: Option<String>,
    event_types: Vec<String>,
    tags: Vec<Tag>,
}

/// The distribution of the events of a group over its consumers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Each partition belongs to one consumer.
    #[default]
    Exclusive,
    /// Each event goes to the next consumer.
    RoundRobin,
    /// Each event goes to the first consumer that can take it.
    First,
    /// The events of a stream go to the same consumer, as long as the consumers stay the same.
    PinnedByStream,
    /// The events with a correlation id go to the same consumer, as long as the consumers stay the same.
    PinnedByCorrelationId,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            scope: GroupScope::Query(Vec::new()),
            filter: None,
            partitions: 16,
            partition_key: PartitionKey::Stream,
            distribution: Distribution::Exclusive,
            ack_timeout: 30_000,
            max_attempts: 5,
            min_backoff: 1_000,
            max_backoff: 60_000,
            max_in_flight: 100,
            max_consumers: MAX_CONSUMERS,
            protocol: serde_json::Value::Null,
        }
    }
}

impl GroupScope {
    /// Creates the scope of a query.
    pub fn of_query(query: &Query) -> Self {
        let items = query.items().iter().map(|item| ScopeItem {
            category: item.category.clone(),
            stream_prefix: item.stream_prefix.clone(),
            event_types: item.event_types.clone(),
            tags: item.tags.clone(),
        });
        Self::Query(items.collect())
    }

    /// Returns the query; `None` for the scope of a stream.
    pub fn query(&self) -> Option<Query> {
        let Self::Query(items) = self else {
            return None;
        };
        let items = items.iter().map(|item| {
            Query::from(QueryItem {
                category: item.category.clone(),
                stream_prefix: item.stream_prefix.clone(),
                event_types: item.event_types.clone(),
                tags: item.tags.clone(),
            })
        });
        Some(items.reduce(Query::or).unwrap_or_default())
    }

    /// Requires that a caller may read all events of the scope.
    ///
    /// # Errors
    /// Returns [`StoreError::Denied`] without the permission.
    pub fn require_read(&self, principal: &Principal) -> Result<(), StoreError> {
        match (self, self.query()) {
            (Self::Stream(name), _) => principal.require(Permission::Read, name),
            (_, query) => principal.require_all(&query.unwrap_or_default()),
        }
    }

    /// Returns the read of the next events after `position`.
    ///
    /// # Errors
    /// Returns [`GroupError::Invalid`] if the name of the stream is not valid.
    pub fn read_after(&self, position: u64) -> Result<Read, GroupError> {
        let read = match (self, self.query()) {
            (Self::Stream(name), _) => Read::streams([stream_id(name)?]),
            (_, query) => Read::all(query.unwrap_or_default()),
        };
        Ok(read.after(position))
    }
}

fn stream_id(name: &str) -> Result<StreamId, GroupError> {
    let id = StreamId::try_from(name.to_owned());
    id.map_err(|error| GroupError::invalid("stream", error.rule))
}

impl GroupSettings {
    /// Returns whether each partition belongs to one consumer.
    pub fn is_exclusive(&self) -> bool {
        self.distribution == Distribution::Exclusive
    }

    /// Returns whether the group delivers `event`, which its scope contains.
    pub fn accepts(&self, event: &RecordedEvent) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| filter.matches(event))
    }

    /// Returns the limits for events that fail.
    pub fn failure_limits(&self, is_full: bool) -> FailureLimits {
        FailureLimits {
            max_attempts: self.max_attempts,
            min_backoff: self.min_backoff,
            max_backoff: self.max_backoff,
            is_full,
        }
    }

    /// Checks the limits that hold for every protocol.
    ///
    /// # Errors
    /// Returns [`GroupError::Invalid`] with the first field that violates a rule.
    pub fn check(&self) -> Result<(), GroupError> {
        if let GroupScope::Stream(name) = &self.scope {
            stream_id(name)?;
        }
        if let Some(query) = self.scope.query() {
            let size = |item: &QueryItem| 1 + item.event_types.len() + item.tags.len();
            let size: usize = query.items().iter().map(size).sum();
            if size > MAX_GROUP_QUERY {
                let rule = format!(
                    "expected at most {MAX_GROUP_QUERY} items, event types and tags, got {size}"
                );
                return Err(GroupError::invalid("settings.query", rule));
            }
            let checked = query.check();
            checked.map_err(|error| GroupError::invalid("settings.query", error))?;
        }
        if let PartitionKey::Tag(key) = &self.partition_key
            && (key.is_empty() || key.len() > 200 || key.contains(':'))
        {
            let rule = "expected 1 to 200 bytes without a colon";
            return Err(GroupError::invalid("settings.partition_tag", rule));
        }
        let millis = |duration: Duration| duration.as_millis() as u64;
        within(
            "partitions",
            self.partitions.into(),
            1,
            MAX_PARTITIONS.into(),
        )?;
        let timeouts = (millis(MIN_ACK_TIMEOUT), millis(MAX_ACK_TIMEOUT));
        within(
            "ack_timeout in ms",
            self.ack_timeout,
            timeouts.0,
            timeouts.1,
        )?;
        within(
            "max_attempts",
            self.max_attempts.into(),
            1,
            MAX_ATTEMPTS.into(),
        )?;
        within("min_backoff in ms", self.min_backoff, 0, timeouts.1)?;
        let most = millis(MAX_PAUSE);
        within(
            "max_backoff in ms",
            self.max_backoff,
            self.min_backoff,
            most,
        )?;
        within(
            "max_in_flight",
            self.max_in_flight.into(),
            1,
            MAX_IN_FLIGHT.into(),
        )?;
        within(
            "max_consumers",
            self.max_consumers.into(),
            1,
            MAX_CONSUMERS.into(),
        )
    }

    /// Checks that a group with these settings can get the settings `next`.
    ///
    /// # Errors
    /// Returns [`GroupError::Invalid`] if the partitions would change: events would lose their order.
    pub fn check_update(&self, next: &Self) -> Result<(), GroupError> {
        let fixed = |field, is_same: bool| match is_same {
            true => Ok(()),
            false => {
                let rule = "it cannot change; delete the group and create it again";
                Err(GroupError::invalid(field, rule))
            }
        };
        fixed("settings.partitions", self.partitions == next.partitions)?;
        let is_same = self.partition_key == next.partition_key;
        fixed("settings.partition_key", is_same)
    }
}

fn within(field: &str, value: u64, min: u64, max: u64) -> Result<(), GroupError> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => {
            let (name, unit) = field.split_once(" in ").unwrap_or((field, ""));
            let unit = if unit.is_empty() {
                String::new()
            } else {
                format!(" {unit}")
            };
            let rule = format!("expected {min} to {max}{unit}, got {value}");
            Err(GroupError::invalid(format!("settings.{name}"), rule))
        }
    }
}
