//! [`ProtocolSettings`]: the settings of a group as clients write and read them.

use std::time::Duration;

use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::{
    create_req, update_req,
};
use serde::{Deserialize, Serialize};

use super::group::{ALL, PersistentGroup};
use crate::groups::GroupFilter;
use crate::groups::partition_key::PartitionKey;
use crate::groups::settings::{
    Distribution, GroupSettings, MAX_ACK_TIMEOUT, MAX_ATTEMPTS, MAX_CONSUMERS, MAX_IN_FLIGHT,
};
use crate::kurrentdb::request::Start;

/// The minimum time for an answer.
///
/// KurrentDB looks for timeouts once in a second, so its clients may collect acknowledgements for some hundred
/// milliseconds even if the message timeout is shorter.
const MIN_MESSAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of units of 100 nanoseconds in a millisecond.
const TICKS: i64 = 10_000;

/// The names of the strategies, in the order of their numbers.
const STRATEGIES: [&str; 3] = ["DispatchToSingle", "RoundRobin", "Pinned"];

/// The settings of a group in this protocol. Those about buffers and checkpoints have no effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProtocolSettings {
    /// The name of the stream, or `$all`.
    pub stream: String,
    /// The name of the group.
    pub group: String,
    /// Where the group began: a revision or a position, or -1 for the end.
    pub start: i64,
    /// Set if links are delivered with their events.
    pub resolve_links: bool,
    /// Set if the client asked for statistics.
    pub extra_statistics: bool,
    /// The maximum number of deliveries after the first one.
    pub max_retry_count: i32,
    /// The minimum number of events between two checkpoints.
    pub min_checkpoint_count: i32,
    /// The maximum number of events between two checkpoints.
    pub max_checkpoint_count: i32,
    /// The maximum number of consumers; 0 for no limit.
    pub max_subscriber_count: i32,
    /// The maximum number of new events in memory.
    pub live_buffer_size: i32,
    /// The number of stored events in one read.
    pub read_batch_size: i32,
    /// The maximum number of stored events in memory.
    pub history_buffer_size: i32,
    /// The time for an answer, in milliseconds.
    pub message_timeout: i32,
    /// The time after which a checkpoint is stored, in milliseconds.
    pub checkpoint_after: i32,
    /// The name of the strategy.
    pub strategy: String,
}

macro_rules! protocol_settings {
    ($settings:ident, $request:ident, $group:ident, $start:ident, $strategy:expr) => {{
        use $request::settings::{CheckpointAfter, MessageTimeout};
        let millis = |ticks: i64| i32::try_from(ticks / TICKS).unwrap_or(i32::MAX);
        ProtocolSettings {
            stream: $group.stream.clone(),
            group: $group.group.clone(),
            start: match $start {
                Start::First => 0,
                Start::End => -1,
                Start::At(at) => at as i64,
            },
            resolve_links: $settings.resolve_links,
            extra_statistics: $settings.extra_statistics,
            max_retry_count: $settings.max_retry_count,
            min_checkpoint_count: $settings.min_checkpoint_count,
            max_checkpoint_count: $settings.max_checkpoint_count,
            max_subscriber_count: $settings.max_subscriber_count,
            live_buffer_size: $settings.live_buffer_size,
            read_batch_size: $settings.read_batch_size,
            history_buffer_size: $settings.history_buffer_size,
            message_timeout: match $settings.message_timeout {
                Some(MessageTimeout::MessageTimeoutMs(time)) => time,
                Some(MessageTimeout::MessageTimeoutTicks(ticks)) => millis(ticks),
                None => 0,
            },
            checkpoint_after: match $settings.checkpoint_after {
                Some(CheckpointAfter::CheckpointAfterMs(time)) => time,
                Some(CheckpointAfter::CheckpointAfterTicks(ticks)) => millis(ticks),
                None => 0,
            },
            strategy: $strategy,
        }
    }};
}

fn numbered_strategy(number: i32) -> String {
    let name = usize::try_from(number)
        .ok()
        .and_then(|at| STRATEGIES.get(at));
    (*name.unwrap_or(&STRATEGIES[1])).to_owned()
}

impl ProtocolSettings {
    /// Converts the settings of a new group.
    #[expect(deprecated, reason = "old clients send the number of the strategy")]
    pub fn of_create(
        settings: &create_req::Settings,
        group: &PersistentGroup,
        start: Start,
    ) -> Self {
        let strategy = match &*settings.consumer_strategy {
            "" => numbered_strategy(settings.named_consumer_strategy),
            name => name.to_owned(),
        };
        protocol_settings!(settings, create_req, group, start, strategy)
    }

    /// Converts the new settings of a group.
    pub fn of_update(
        settings: &update_req::Settings,
        group: &PersistentGroup,
        start: Start,
    ) -> Self {
        let strategy = numbered_strategy(settings.named_consumer_strategy);
        protocol_settings!(settings, update_req, group, start, strategy)
    }

    /// Decodes the settings that the group keeps; `None` if another protocol created it.
    pub fn stored(json: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(json.clone()).ok()
    }

    /// Returns the group with these settings; `None` if its names are not valid.
    pub fn persistent_group(&self) -> Option<PersistentGroup> {
        let stream = match &*self.stream {
            ALL => None,
            stream => Some(stream.parse().ok()?),
        };
        PersistentGroup::named(stream.as_ref(), &self.group).ok()
    }

    /// Returns the settings of the consumer group.
    ///
    /// # Errors
    /// Returns the reason if the strategy is not known, or a number is not valid.
    pub fn group_settings(
        &self,
        group: &PersistentGroup,
        filter: Option<GroupFilter>,
    ) -> Result<GroupSettings, String> {
        let distribution = match &*self.strategy {
            "DispatchToSingle" => Distribution::First,
            "RoundRobin" => Distribution::RoundRobin,
            "Pinned" => Distribution::PinnedByStream,
            "PinnedByCorrelation" => Distribution::PinnedByCorrelationId,
            other => return Err(format!("Consumer strategy {other} does not exist.")),
        };
        let count = |name: &str, value: i32| {
            let invalid = |_| format!("invalid {name}: {value}; expected at least 0");
            u32::try_from(value).map_err(invalid)
        };
        let (batch, buffer) = (self.read_batch_size, self.history_buffer_size);
        if batch > 0 && batch >= buffer {
            return Err(format!(
                "invalid read batch size: {batch}; expected less than the history buffer size, {buffer}"
            ));
        }
        let timeout = match count("message timeout", self.message_timeout)? {
            0 => MAX_ACK_TIMEOUT.as_millis() as u64,
            timeout => u64::from(timeout),
        };
        let limits = (
            MIN_MESSAGE_TIMEOUT.as_millis() as u64,
            MAX_ACK_TIMEOUT.as_millis() as u64,
        );
        let retries = count("maximum retry count", self.max_retry_count)?;
        let max_consumers = match count("maximum subscriber count", self.max_subscriber_count)? {
            0 => MAX_CONSUMERS,
            limit => limit.min(MAX_CONSUMERS),
        };
        Ok(GroupSettings {
            scope: group.scope.clone(),
            filter,
            partitions: 1,
            partition_key: PartitionKey::None,
            distribution,
            ack_timeout: timeout.clamp(limits.0, limits.1),
            max_attempts: retries.saturating_add(1).min(MAX_ATTEMPTS),
            min_backoff: 0,
            max_backoff: 0,
            max_in_flight: MAX_IN_FLIGHT,
            max_consumers,
            protocol: serde_json::to_value(self).unwrap_or_default(),
        })
    }
}
