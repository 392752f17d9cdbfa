//! Reads and subscriptions, message by message.

use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::streams::ReadReq;
use factum_compatible_protocols::kurrentdb::client::streams::read_req::options::{
    ControlOption, CountOption, FilterOption, FilterOptions, ReadDirection, StreamOption,
    SubscriptionOptions, filter_options,
};
use factum_compatible_protocols::kurrentdb::client::streams::read_resp::Content;
use factum_compatible_protocols::kurrentdb::client::uuid;
use tokio::time::timeout;
use tonic::Code;

use crate::client::{Connected, events, name, of_all, of_stream};
use crate::server::LIMIT;

#[tokio::test]
async fn positions_of_a_stream_follow_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append("hive", &[1, 2, 3]).await;
    let plain = connected.read(of_stream("hive")).await.unwrap();
    assert_eq!(plain.len(), 3);
    let mut options = of_stream("hive");
    options.control_option = Some(ControlOption { compatibility: 1 });
    let found = connected.read(options).await.unwrap();
    assert_eq!(found.last(), Some(&Content::LastStreamPosition(2)));
    let missing = connected.read(of_stream("bee")).await.unwrap();
    let [Content::StreamNotFound(missing)] = &*missing else {
        panic!("{missing:?}");
    };
    assert_eq!(missing.stream_identifier, name("bee"));
}

#[tokio::test]
async fn ids_are_numbers_unless_text_is_requested() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append("hive", &[(5 << 64) | 7]).await;
    let found = connected.read(of_stream("hive")).await.unwrap();
    let id = events(&found)[0].id.clone().unwrap();
    let Some(uuid::Value::Structured(bits)) = id.value else {
        panic!("{id:?}");
    };
    assert_eq!(
        (bits.most_significant_bits, bits.least_significant_bits),
        (5, 7)
    );
}

#[tokio::test]
async fn invalid_reads_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let filter = |window| {
        let expression = filter_options::Expression {
            regex: "a".to_owned(),
            prefix: Vec::new(),
        };
        Some(FilterOption::Filter(FilterOptions {
            filter: Some(filter_options::Filter::EventType(expression)),
            window: Some(window),
            checkpoint_interval_multiplier: 1,
        }))
    };
    let mut unknown_direction = of_all();
    unknown_direction.read_direction = 9;
    let mut backward_subscription = of_all();
    backward_subscription.set_read_direction(ReadDirection::Backwards);
    backward_subscription.count_option = Some(CountOption::Subscription(SubscriptionOptions {}));
    let mut filtered_stream = of_stream("hive");
    filtered_stream.filter_option = filter(filter_options::Window::Count(Empty {}));
    let mut empty_window = of_all();
    empty_window.filter_option = filter(filter_options::Window::Max(0));
    let mut without_count = of_all();
    without_count.count_option = None;
    let mut without_stream = of_all();
    without_stream.stream_option = None;
    let mut without_start = of_stream("hive");
    if let Some(StreamOption::Stream(stream)) = &mut without_start.stream_option {
        stream.revision_option = None;
    }
    for options in [
        unknown_direction,
        backward_subscription,
        filtered_stream,
        empty_window,
        without_count,
        without_stream,
        without_start,
        of_stream(""),
    ] {
        let status = connected.read(options.clone()).await.unwrap_err();
        assert_eq!(
            status.code(),
            Code::InvalidArgument,
            "{options:?}: {status}"
        );
    }
    let status = connected.streams.read(ReadReq { options: None }).await;
    assert_eq!(status.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn subscription_confirms_then_replays_then_follows() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append("hive", &[1]).await;
    let mut options = of_stream("hive");
    options.count_option = Some(CountOption::Subscription(SubscriptionOptions {}));
    let request = ReadReq {
        options: Some(options),
    };
    let mut messages = connected.streams.read(request).await.unwrap().into_inner();
    let mut next = async || {
        let message = timeout(LIMIT, messages.message()).await.unwrap();
        message.unwrap().unwrap().content.unwrap()
    };
    assert!(matches!(next().await, Content::Confirmation(_)));
    assert!(matches!(next().await, Content::Event(_)));
    let Content::CaughtUp(caught_up) = next().await else {
        panic!("expected that the subscription has caught up");
    };
    assert_eq!(
        (caught_up.stream_revision, caught_up.position),
        (Some(0), None)
    );
    assert!(caught_up.timestamp.is_some());
    connected.append("bee", &[2]).await;
    connected.append("hive", &[3]).await;
    let Content::Event(event) = next().await else {
        panic!("expected an event");
    };
    assert_eq!(event.event.unwrap().stream_revision, 1);
}

#[tokio::test]
async fn subscription_ends_when_the_server_stops() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    let mut options = of_all();
    options.count_option = Some(CountOption::Subscription(SubscriptionOptions {}));
    let request = ReadReq {
        options: Some(options),
    };
    let mut messages = connected.streams.read(request).await.unwrap().into_inner();
    connected.server.signal("-TERM");
    let status = loop {
        match timeout(LIMIT, messages.message()).await.unwrap() {
            Ok(message) => assert!(message.is_some(), "the call ended without an error"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(connected.server.wait().await.success());
}
