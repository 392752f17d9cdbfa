//! Persistent subscriptions.

use std::collections::HashSet;

use kurrentdb::{
    Client, Error, NakAction, PersistentSubscription, PersistentSubscriptionOptions,
    PersistentSubscriptionToAllOptions, StreamPosition, SubscriptionFilter, SystemConsumerStrategy,
};

use crate::support::{client, events, new_name, number, numbered, within};

async fn consumer(client: &Client, stream: &str, group: &str) -> PersistentSubscription {
    client
        .subscribe_to_persistent_subscription(stream, group, &Default::default())
        .await
        .unwrap()
}

/// Returns the numbers of the next events, which are acknowledged.
async fn acknowledged(consumer: &mut PersistentSubscription, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let event = within(consumer.next()).await.unwrap();
        consumer.ack(&event).await.unwrap();
        numbers.push(number(&event));
    }
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_created_updated_and_deleted() {
    let (client, stream) = (client(), new_name("hive"));
    let stream = stream.as_str();
    let mut options = PersistentSubscriptionOptions::default()
        .start_from(StreamPosition::Position(3))
        .consumer_strategy_name(SystemConsumerStrategy::Pinned);
    client
        .create_persistent_subscription(stream, "group", &options)
        .await
        .unwrap();
    let again = client
        .create_persistent_subscription(stream, "group", &options)
        .await;
    assert!(
        matches!(again, Err(Error::ResourceAlreadyExists)),
        "{again:?}"
    );
    options.settings_mut().max_retry_count = 1_000;
    client
        .update_persistent_subscription(stream, "group", &options)
        .await
        .unwrap();
    let info = client
        .get_persistent_subscription_info(stream, "group", &Default::default())
        .await
        .unwrap();
    assert_eq!(
        (info.event_source.as_str(), info.group_name.as_str()),
        (stream, "group")
    );
    let settings = info.settings.unwrap();
    assert_eq!(settings.max_retry_count, 1_000);
    assert_eq!(settings.start_from, StreamPosition::Position(3));
    client
        .delete_persistent_subscription(stream, "group", &Default::default())
        .await
        .unwrap();
    let missing = client
        .delete_persistent_subscription(stream, "group", &Default::default())
        .await;
    assert!(
        matches!(missing, Err(Error::ResourceNotFound)),
        "{missing:?}"
    );
    let missing = client
        .update_persistent_subscription(stream, "group", &options)
        .await;
    assert!(
        matches!(missing, Err(Error::ResourceNotFound)),
        "{missing:?}"
    );
    let missing = client
        .get_persistent_subscription_info(stream, "group", &Default::default())
        .await;
    assert!(
        matches!(missing, Err(Error::ResourceNotFound)),
        "{missing:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_on_the_log_are_created_updated_and_deleted() {
    let (client, group) = (client(), new_name("group"));
    let mut options = PersistentSubscriptionToAllOptions::default();
    client
        .create_persistent_subscription_to_all(&group, &options)
        .await
        .unwrap();
    options.settings_mut().max_retry_count = 1_000;
    client
        .update_persistent_subscription_to_all(&group, &options)
        .await
        .unwrap();
    let info = client
        .get_persistent_subscription_info_to_all(&group, &Default::default())
        .await
        .unwrap();
    assert_eq!(info.group_name, group);
    let settings = info.settings.unwrap();
    assert_eq!(settings.start_from, StreamPosition::End);
    assert_eq!(settings.max_retry_count, 1_000);
    client
        .delete_persistent_subscription_to_all(&group, &Default::default())
        .await
        .unwrap();
    let missing = client
        .delete_persistent_subscription_to_all(&group, &Default::default())
        .await;
    assert!(
        matches!(missing, Err(Error::ResourceNotFound)),
        "{missing:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_stream_are_consumed_once() {
    let (client, stream) = (client(), new_name("hive"));
    let options = PersistentSubscriptionOptions::default().start_from(StreamPosition::Start);
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(0..3))
        .await
        .unwrap();
    client
        .create_persistent_subscription(stream.as_str(), "group", &options)
        .await
        .unwrap();
    let mut first = consumer(&client, &stream, "group").await;
    assert_eq!(acknowledged(&mut first, 3).await, [0, 1, 2]);
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(3..6))
        .await
        .unwrap();
    assert_eq!(acknowledged(&mut first, 3).await, [3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_log_are_consumed_with_a_filter() {
    let (client, group, name) = (client(), new_name("group"), new_name("weighed"));
    let filter = SubscriptionFilter::on_event_type().add_prefix(&name);
    let options = PersistentSubscriptionToAllOptions::default()
        .start_from(StreamPosition::Start)
        .filter(filter);
    client
        .create_persistent_subscription_to_all(&group, &options)
        .await
        .unwrap();
    let mut consumer = client
        .subscribe_to_persistent_subscription_to_all(&group, &Default::default())
        .await
        .unwrap();
    for number in 0..3 {
        client
            .append_to_stream(new_name("hive"), &Default::default(), events(90..91))
            .await
            .unwrap();
        client
            .append_to_stream(
                new_name("hive"),
                &Default::default(),
                numbered(&name, number..number + 1),
            )
            .await
            .unwrap();
    }
    assert_eq!(acknowledged(&mut consumer, 3).await, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_events_are_delivered_again_or_parked() {
    let (client, stream) = (client(), new_name("hive"));
    let options = PersistentSubscriptionOptions::default().start_from(StreamPosition::Start);
    client
        .create_persistent_subscription(stream.as_str(), "group", &options)
        .await
        .unwrap();
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(0..3))
        .await
        .unwrap();
    let mut consumer = consumer(&client, &stream, "group").await;
    let mut answers = vec![
        (0, NakAction::Retry),
        (1, NakAction::Park),
        (2, NakAction::Skip),
    ];
    while !answers.is_empty() {
        let event = within(consumer.next()).await.unwrap();
        let number = number(&event);
        match answers.iter().position(|(answered, _)| *answered == number) {
            Some(index) => consumer
                .nack(&event, answers.remove(index).1, "test")
                .await
                .unwrap(),
            None => consumer.ack(&event).await.unwrap(),
        }
    }
    // The refused event may have been delivered again before the others.
    let parked = async || {
        let info = client
            .get_persistent_subscription_info(stream.as_str(), "group", &Default::default())
            .await;
        info.unwrap().stats.parked_message_count
    };
    within(async {
        while parked().await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    client
        .replay_parked_messages(&stream, "group", &Default::default())
        .await
        .unwrap();
    let mut again = HashSet::new();
    while !again.contains(&1) {
        again.extend(acknowledged(&mut consumer, 1).await);
    }
    within(async {
        while parked().await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!again.contains(&2), "a skipped event was delivered again");
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_events_of_the_log_are_replayed() {
    let (client, group, name) = (client(), new_name("group"), new_name("weighed"));
    let filter = SubscriptionFilter::on_event_type().add_prefix(&name);
    let options = PersistentSubscriptionToAllOptions::default().filter(filter);
    client
        .create_persistent_subscription_to_all(&group, &options)
        .await
        .unwrap();
    let mut consumer = client
        .subscribe_to_persistent_subscription_to_all(&group, &Default::default())
        .await
        .unwrap();
    client
        .append_to_stream(new_name("hive"), &Default::default(), numbered(&name, 0..2))
        .await
        .unwrap();
    for _ in 0..2 {
        let event = within(consumer.next()).await.unwrap();
        consumer
            .nack(&event, NakAction::Park, "test")
            .await
            .unwrap();
    }
    within(async {
        loop {
            let info = client
                .get_persistent_subscription_info_to_all(&group, &Default::default())
                .await;
            if info.unwrap().stats.parked_message_count == 2 {
                return;
            }
        }
    })
    .await;
    client
        .replay_parked_messages_to_all(&group, &Default::default())
        .await
        .unwrap();
    let mut again = acknowledged(&mut consumer, 2).await;
    again.sort_unstable();
    assert_eq!(again, [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed() {
    let (client, stream) = (client(), new_name("hive"));
    let groups: Vec<String> = (0..3).map(|_| new_name("group")).collect();
    for group in &groups {
        client
            .create_persistent_subscription(stream.as_str(), group, &Default::default())
            .await
            .unwrap();
        client
            .create_persistent_subscription_to_all(group, &Default::default())
            .await
            .unwrap();
    }
    let of_stream = client
        .list_persistent_subscriptions_for_stream(&stream, &Default::default())
        .await
        .unwrap();
    let mut found: Vec<String> = of_stream.into_iter().map(|info| info.group_name).collect();
    let mut expected = groups.clone();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let of_log = client
        .list_persistent_subscriptions_to_all(&Default::default())
        .await
        .unwrap();
    let found: HashSet<String> = of_log.into_iter().map(|info| info.group_name).collect();
    assert!(expected.iter().all(|group| found.contains(group)));
    let all = client
        .list_all_persistent_subscriptions(&Default::default())
        .await
        .unwrap();
    let found = all
        .iter()
        .filter(|info| info.event_source == stream)
        .count();
    assert_eq!(found, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_slashes_are_kept() {
    let client = client();
    let (stream, group) = (
        format!("/{}/foo", new_name("hive")),
        format!("/{}/foo", new_name("group")),
    );
    client
        .create_persistent_subscription(stream.as_str(), &group, &Default::default())
        .await
        .unwrap();
    let info = client
        .get_persistent_subscription_info(&stream, &group, &Default::default())
        .await
        .unwrap();
    assert_eq!((info.event_source, info.group_name), (stream, group));
}

#[tokio::test(flavor = "multi_thread")]
async fn connected_consumers_are_described() {
    let (client, stream) = (client(), new_name("hive"));
    client
        .create_persistent_subscription(stream.as_str(), "group", &Default::default())
        .await
        .unwrap();
    let mut consumer = consumer(&client, &stream, "group").await;
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(0..1))
        .await
        .unwrap();
    let event = within(consumer.next()).await.unwrap();
    let info = client
        .get_persistent_subscription_info(&stream, "group", &Default::default())
        .await
        .unwrap();
    assert_eq!(info.connections.len(), 1);
    consumer.ack(&event).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn subsystem_is_restarted() {
    client()
        .restart_persistent_subscription_subsystem(&Default::default())
        .await
        .unwrap();
}
