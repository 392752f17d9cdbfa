//! Groups, settings and dead letters as messages.

use std::time::{Duration, SystemTime};

use factum::store::RecordedEvent;
use factum_store_protocol::{event, query, time, v1};
use v1::PartitionKey as KeyMessage;

use crate::groups::catalog::GroupProgress;
use crate::groups::consumer::{ConnectedConsumer, ReportedProgress, StopReason, Stopped};
use crate::groups::dead_letters::DeadLetterDocument;
use crate::groups::error::GroupError;
use crate::groups::group_document::GroupName;
use crate::groups::partition_key::PartitionKey;
use crate::groups::settings::{GroupScope, GroupSettings};

/// The maximum size of the name of a group, in bytes.
const MAX_NAME: usize = 200;

/// Checks the name of a new group.
pub fn new_name(name: &str) -> Result<GroupName, GroupError> {
    if name.len() > MAX_NAME {
        let rule = format!("expected at most {MAX_NAME} bytes, got {}", name.len());
        return Err(GroupError::invalid("name", rule));
    }
    GroupName::new("name", name)
}

/// Converts the settings of a group. Values that are not set get their defaults.
pub fn settings(message: v1::GroupSettings) -> Result<GroupSettings, GroupError> {
    let defaults = GroupSettings::default();
    let invalid_query = |error: factum_store_protocol::invalid::InvalidMessage| {
        GroupError::invalid(format!("settings.query.{}", error.field), error.rule)
    };
    let query = query::from_message(message.query).map_err(invalid_query)?;
    let partition_key = match KeyMessage::try_from(message.partition_key) {
        Ok(KeyMessage::Unspecified | KeyMessage::Stream) => PartitionKey::Stream,
        Ok(KeyMessage::CorrelationId) => PartitionKey::CorrelationId,
        Ok(KeyMessage::Tag) => PartitionKey::Tag(message.partition_tag.clone()),
        Ok(KeyMessage::None) => PartitionKey::None,
        Err(_) => {
            let rule = format!("unknown value {}", message.partition_key);
            return Err(GroupError::invalid("settings.partition_key", rule));
        }
    };
    if !message.partition_tag.is_empty() && !matches!(partition_key, PartitionKey::Tag(_)) {
        let rule = "it needs PARTITION_KEY_TAG";
        return Err(GroupError::invalid("settings.partition_tag", rule));
    }
    let partitions = u16::try_from(message.partitions).unwrap_or(u16::MAX);
    let min_backoff = millis("min_backoff", message.min_backoff, defaults.min_backoff)?;
    if min_backoff == 0 {
        let rule = "expected 1 ms to 1 h";
        return Err(GroupError::invalid("settings.min_backoff", rule));
    }
    let max_backoff = defaults.max_backoff.max(min_backoff);
    let settings = GroupSettings {
        scope: GroupScope::of_query(&query),
        partitions: or_default(partitions, defaults.partitions),
        partition_key,
        ack_timeout: millis("ack_timeout", message.ack_timeout, defaults.ack_timeout)?,
        max_attempts: or_default(message.max_attempts, defaults.max_attempts),
        min_backoff,
        max_backoff: millis("max_backoff", message.max_backoff, max_backoff)?,
        max_in_flight: or_default(message.max_in_flight, defaults.max_in_flight),
        max_consumers: or_default(message.max_consumers, defaults.max_consumers),
        ..defaults
    };
    settings.check()?;
    Ok(settings)
}

fn or_default<T: Default + PartialEq>(value: T, default: T) -> T {
    match value == T::default() {
        true => default,
        false => value,
    }
}

fn millis(
    field: &str,
    message: Option<prost_types::Duration>,
    default: u64,
) -> Result<u64, GroupError> {
    let Some(message) = message else {
        return Ok(default);
    };
    let duration = duration(&format!("settings.{field}"), message)?;
    Ok(duration.as_millis() as u64)
}

/// Converts a duration.
pub fn duration(field: &str, message: prost_types::Duration) -> Result<Duration, GroupError> {
    let duration = Duration::try_from(message);
    let duration =
        duration.map_err(|_| GroupError::invalid(field, "expected a positive duration"))?;
    match duration <= Duration::from_secs(366 * 24 * 60 * 60) {
        true => Ok(duration),
        false => Err(GroupError::invalid(field, "the duration is too long")),
    }
}

fn settings_message(settings: &GroupSettings) -> v1::GroupSettings {
    let query = match &settings.scope {
        GroupScope::Stream(name) => factum::store::Query::stream_prefix(name),
        scope @ GroupScope::Query(_) => scope.query().unwrap_or_default(),
    };
    let (partition_key, partition_tag) = match &settings.partition_key {
        PartitionKey::Stream => (KeyMessage::Stream, ""),
        PartitionKey::CorrelationId => (KeyMessage::CorrelationId, ""),
        PartitionKey::Tag(key) => (KeyMessage::Tag, &**key),
        PartitionKey::None => (KeyMessage::None, ""),
    };
    let duration = |millis| Duration::from_millis(millis).try_into().ok();
    v1::GroupSettings {
        query: Some(query::to_message(&query)),
        start: None,
        partitions: settings.partitions.into(),
        partition_key: partition_key.into(),
        partition_tag: partition_tag.to_owned(),
        ack_timeout: duration(settings.ack_timeout),
        max_attempts: settings.max_attempts,
        min_backoff: duration(settings.min_backoff),
        max_backoff: duration(settings.max_backoff),
        max_in_flight: settings.max_in_flight,
        max_consumers: settings.max_consumers,
    }
}

/// Converts a group with its progress.
pub fn group(progress: &GroupProgress, consumers: Vec<ConnectedConsumer>) -> v1::Group {
    let position = progress.position();
    let head = progress.head.max(position);
    let stopped = progress.group.stopped.as_ref();
    let stopped = stopped.map(|stop| v1::Stopped {
        reason: stop_reason(stop.cause.into()).into(),
        message: stop.message.clone(),
        position: stop.position,
    });
    let partitions = progress.partitions.iter().enumerate();
    let partitions = partitions.map(|(partition, state)| v1::GroupPartition {
        partition: partition as u32,
        position: state.position,
        settled_after: state.settled.len() as u32,
        dead_letters: state.dead_letters,
        node: state
            .holder
            .map(|node| node.to_string())
            .unwrap_or_default(),
        fence: state.fence,
    });
    let consumers = consumers.into_iter().map(|consumer| v1::Consumer {
        name: consumer.name,
        partitions: consumer.partitions.into_iter().map(u32::from).collect(),
        in_flight: consumer.in_flight,
        last_seen: SystemTime::now()
            .checked_sub(consumer.silent_for)
            .map(Into::into),
    });
    v1::Group {
        name: progress.name.as_str().to_owned(),
        settings: Some(settings_message(&progress.group.settings)),
        generation: progress.group.generation,
        position,
        head,
        lag: head - position,
        dead_letters: progress.dead_letters(),
        consumers: consumers.collect(),
        stopped,
        partitions: partitions.collect(),
    }
}

/// Converts the progress of a group.
pub fn checkpoint(progress: ReportedProgress) -> v1::GroupCheckpoint {
    v1::GroupCheckpoint {
        position: progress.position,
        head: progress.head,
        lag: progress.head.saturating_sub(progress.position),
        dead_letters: progress.dead_letters,
    }
}

/// Converts a dead letter.
pub fn dead_letter(
    letter: DeadLetterDocument,
    event: Option<&RecordedEvent>,
) -> v1::GroupDeadLetter {
    v1::GroupDeadLetter {
        event: event.map(event::to_message),
        position: letter.position,
        partition: letter.partition.into(),
        attempts: letter.attempts,
        reason: letter.reason,
        failed_at: Some(time::to_message(letter.failed_at)),
    }
}

/// Converts the end of a consumer.
pub fn stopped(stopped: Stopped) -> v1::Stopped {
    v1::Stopped {
        reason: stop_reason(stopped.reason).into(),
        message: stopped.message,
        position: stopped.position,
    }
}

fn stop_reason(reason: StopReason) -> v1::StopReason {
    match reason {
        StopReason::ServerStopping => v1::StopReason::ServerStopping,
        StopReason::GroupDeleted => v1::StopReason::GroupDeleted,
        StopReason::ConsumerRequest => v1::StopReason::ConsumerRequest,
        StopReason::BeyondHead => v1::StopReason::BeyondHead,
        StopReason::ConsumerSilent => v1::StopReason::ConsumerSilent,
        StopReason::ConsumerSlow => v1::StopReason::ConsumerSlow,
        StopReason::StoreFailed => v1::StopReason::StoreFailed,
        StopReason::ConsumerLeft => v1::StopReason::ConsumerLeft,
        StopReason::InvalidRequest => v1::StopReason::InvalidRequest,
        StopReason::AccessRevoked => v1::StopReason::AccessRevoked,
    }
}
