//! Catch-up subscriptions.

use kurrentdb::{
    StreamPosition, SubscribeToAllOptions, SubscribeToStreamOptions, Subscription,
    SubscriptionEvent, SubscriptionFilter,
};

use crate::support::{client, events, new_name, number, numbered, within};

/// Returns the numbers of the next events.
async fn next_numbers(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        numbers.push(number(&within(subscription.next()).await.unwrap()));
    }
    numbers
}

/// Waits until the subscription has sent all stored events, and returns their numbers.
async fn numbers_until_caught_up(subscription: &mut Subscription) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        match within(subscription.next_subscription_event())
            .await
            .unwrap()
        {
            SubscriptionEvent::EventAppeared(event) => numbers.push(number(&event)),
            SubscriptionEvent::CaughtUp(_) => return numbers,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_is_followed_from_each_start() {
    let (client, stream) = (client(), new_name("hive"));
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(0..3))
        .await
        .unwrap();
    let starts = [
        StreamPosition::Start,
        StreamPosition::Position(1),
        StreamPosition::End,
    ];
    let stored = [vec![0, 1, 2], vec![2], vec![]];
    let mut subscriptions = Vec::new();
    for (start, stored) in starts.into_iter().zip(stored) {
        let options = SubscribeToStreamOptions::default().start_from(start);
        let mut subscription = client.subscribe_to_stream(stream.as_str(), &options).await;
        assert_eq!(numbers_until_caught_up(&mut subscription).await, stored);
        subscriptions.push(subscription);
    }
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(3..6))
        .await
        .unwrap();
    for subscription in &mut subscriptions {
        assert_eq!(next_numbers(subscription, 3).await, [3, 4, 5]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_stream_is_followed_from_its_first_event() {
    let (client, stream) = (client(), new_name("hive"));
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Start);
    let mut subscription = client.subscribe_to_stream(stream.as_str(), &options).await;
    assert_eq!(numbers_until_caught_up(&mut subscription).await, [0; 0]);
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(0..2))
        .await
        .unwrap();
    assert_eq!(next_numbers(&mut subscription, 2).await, [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_is_followed_with_a_filter() {
    let (client, name) = (client(), new_name("weighed"));
    let filter = SubscriptionFilter::on_event_type().add_prefix(&name);
    let options = SubscribeToAllOptions::default()
        .position(StreamPosition::Start)
        .filter(filter);
    client
        .append_to_stream(new_name("hive"), &Default::default(), numbered(&name, 0..2))
        .await
        .unwrap();
    let mut subscription = client.subscribe_to_all(&options).await;
    assert_eq!(next_numbers(&mut subscription, 2).await, [0, 1]);
    for number in 2..5 {
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
    assert_eq!(next_numbers(&mut subscription, 3).await, [2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn system_events_are_excluded() {
    let (client, stream) = (client(), new_name("hive"));
    let metadata = kurrentdb::StreamMetadataBuilder::new().max_count(9).build();
    client
        .set_stream_metadata(stream.as_str(), &Default::default(), &metadata)
        .await
        .unwrap();
    let written = client
        .append_to_stream(stream.as_str(), &Default::default(), events(0..1))
        .await
        .unwrap();
    let filter = SubscriptionFilter::on_event_type().exclude_system_events();
    let options = SubscribeToAllOptions::default()
        .position(StreamPosition::Start)
        .filter(filter);
    let mut subscription = client.subscribe_to_all(&options).await;
    loop {
        let event = within(subscription.next()).await.unwrap();
        let event = event.get_original_event();
        assert!(!event.event_type.starts_with('$'), "{}", event.event_type);
        if event.position == written.position {
            return;
        }
    }
}
