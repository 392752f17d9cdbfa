//! Reads and subscriptions, message by message.

use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::streams::ReadReq;
use factum_compatible_protocols::kurrentdb::client::streams::read_req::options::all_options::AllOption;
use factum_compatible_protocols::kurrentdb::client::streams::read_req::options::stream_options::RevisionOption;
use factum_compatible_protocols::kurrentdb::client::streams::read_req::options::{
    AllOptions, ControlOption, CountOption, FilterOption, FilterOptions, ReadDirection,
    StreamOption, SubscriptionOptions, filter_options,
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

fn prefixes(prefix: &str) -> filter_options::Expression {
    filter_options::Expression {
        regex: String::new(),
        prefix: vec![prefix.to_owned()],
    }
}

fn filtered(filter: filter_options::Filter) -> Option<FilterOption> {
    Some(FilterOption::Filter(FilterOptions {
        filter: Some(filter),
        window: Some(filter_options::Window::Max(1)),
        checkpoint_interval_multiplier: 1,
    }))
}

/// Returns the streams of the events among the messages of a read.
fn streams(contents: &[Content]) -> Vec<String> {
    let streams = events(contents).into_iter().map(|event| {
        let name = event.stream_identifier.clone().unwrap().stream_name;
        String::from_utf8(name.to_vec()).unwrap()
    });
    streams.collect()
}

#[tokio::test]
async fn filters_select_events_of_the_log_in_both_directions() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append("hive-1", &[1]).await;
    connected.append("bee-1", &[2]).await;
    connected.append("hive-2", &[3]).await;
    let mut options = of_all();
    options.filter_option = filtered(filter_options::Filter::StreamIdentifier(prefixes("hive-")));
    let found = connected.read(options.clone()).await.unwrap();
    assert_eq!(streams(&found), ["hive-1", "hive-2"]);
    options.set_read_direction(ReadDirection::Backwards);
    options.stream_option = Some(StreamOption::All(AllOptions {
        all_option: Some(AllOption::End(Empty {})),
    }));
    let found = connected.read(options.clone()).await.unwrap();
    assert_eq!(streams(&found), ["hive-2", "hive-1"]);
    for (regex, count) in [("^weigh", 3), ("^sting", 0)] {
        let expression = filter_options::Expression {
            regex: regex.to_owned(),
            prefix: Vec::new(),
        };
        options.filter_option = filtered(filter_options::Filter::EventType(expression));
        let found = connected.read(options.clone()).await.unwrap();
        assert_eq!(events(&found).len(), count, "{regex}");
    }
}

#[tokio::test]
async fn virtual_streams_contain_links_to_events() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append("hive-1", &[1]).await;
    connected.append("bee-1", &[2]).await;
    connected.append("hive-2", &[3]).await;
    for (stream, expected) in [
        ("$ce-hive", vec!["hive-1", "hive-2"]),
        ("$et-weighed", vec!["hive-1", "bee-1", "hive-2"]),
        ("$ce-none", vec![]),
    ] {
        let mut options = of_stream(stream);
        options.resolve_links = true;
        let found = connected.read(options.clone()).await.unwrap();
        assert_eq!(streams(&found), expected, "{stream}");
        let links = found.iter().filter_map(|content| match content {
            Content::Event(event) => event.link.as_ref(),
            _ => None,
        });
        assert_eq!(links.count(), expected.len(), "{stream}");
        options.set_read_direction(ReadDirection::Backwards);
        if let Some(StreamOption::Stream(stream)) = &mut options.stream_option {
            stream.revision_option = Some(RevisionOption::End(Empty {}));
        }
        let found = connected.read(options).await.unwrap();
        let reversed: Vec<_> = expected.iter().rev().copied().collect();
        assert_eq!(streams(&found), reversed, "{stream}");
    }
}

#[tokio::test]
async fn filtered_subscription_reports_how_far_it_searched() {
    let dir = tempfile::tempdir().unwrap();
    let mut connected = Connected::start(dir.path()).await;
    connected.append("bee", &[1, 2]).await;
    let mut options = of_all();
    options.count_option = Some(CountOption::Subscription(SubscriptionOptions {}));
    options.filter_option = filtered(filter_options::Filter::StreamIdentifier(prefixes("hive")));
    let request = ReadReq {
        options: Some(options),
    };
    let mut messages = connected.streams.read(request).await.unwrap().into_inner();
    let mut next = async || {
        let message = timeout(LIMIT, messages.message()).await.unwrap();
        message.unwrap().unwrap().content.unwrap()
    };
    assert!(matches!(next().await, Content::Confirmation(_)));
    let mut searched = 0;
    while searched < 2 {
        match next().await {
            Content::Checkpoint(checkpoint) => searched = checkpoint.commit_position,
            Content::CaughtUp(_) => {}
            other => panic!("{other:?}"),
        }
    }
    connected.append("hive", &[3]).await;
    let event = loop {
        if let Content::Event(event) = next().await {
            break event.event.unwrap();
        }
    };
    assert_eq!(event.stream_identifier, name("hive"));
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
