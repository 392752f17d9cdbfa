//! The description of a group.

use factum::store::Store;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::SubscriptionInfo;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::subscription_info::ConnectionInfo;

use super::group::PersistentGroup;
use super::settings::ProtocolSettings;
use crate::groups::catalog::GroupProgress;
use crate::groups::consumer::ConnectedConsumer;
use crate::groups::error::GroupError;

/// Describes a group. Rates and totals are not measured.
pub async fn describe(
    store: &dyn Store,
    group: &PersistentGroup,
    progress: &GroupProgress,
    consumers: Vec<ConnectedConsumer>,
) -> Result<SubscriptionInfo, GroupError> {
    let settings = ProtocolSettings::stored(&progress.group.settings.protocol);
    let settings = settings.ok_or_else(|| GroupError::NotFound {
        name: group.name.as_str().to_owned(),
    })?;
    let place = |at: i64| match group.is_all() {
        true => format!("C:{at}/P:{at}"),
        false => at.to_string(),
    };
    let known = |at: Option<u64>| at.map_or_else(String::new, |at| place(at as i64));
    let (position, head) = (progress.position(), progress.head);
    let (checkpoint, last) = match group.is_all() {
        true => (
            (position > 0).then_some(position),
            (head > 0).then_some(head),
        ),
        false => (
            group.revision_at(store, position).await?,
            group.revision_at(store, head).await?,
        ),
    };
    let in_flight = consumers
        .iter()
        .map(|consumer| consumer.in_flight)
        .sum::<u32>() as i32;
    let connections = consumers.into_iter().map(|consumer| ConnectionInfo {
        username: "anonymous".to_owned(),
        available_slots: consumer.free_slots as i32,
        in_flight_messages: consumer.in_flight as i32,
        connection_name: consumer.name,
        ..ConnectionInfo::default()
    });
    Ok(SubscriptionInfo {
        event_source: group.stream.clone(),
        group_name: group.group.clone(),
        status: "Live".to_owned(),
        connections: connections.collect(),
        last_checkpointed_event_position: known(checkpoint),
        last_known_event_position: known(last),
        resolve_link_tos: settings.resolve_links,
        start_from: place(settings.start),
        message_timeout_milliseconds: settings.message_timeout,
        extra_statistics: settings.extra_statistics,
        max_retry_count: settings.max_retry_count,
        live_buffer_size: settings.live_buffer_size,
        buffer_size: settings.history_buffer_size,
        read_batch_size: settings.read_batch_size,
        check_point_after_milliseconds: settings.checkpoint_after,
        min_check_point_count: settings.min_checkpoint_count,
        max_check_point_count: settings.max_checkpoint_count,
        total_in_flight_messages: in_flight,
        outstanding_messages_count: in_flight,
        named_consumer_strategy: settings.strategy,
        max_subscriber_count: settings.max_subscriber_count,
        parked_message_count: progress.dead_letters() as i64,
        ..SubscriptionInfo::default()
    })
}
