//! Appends, reads, deletions and batches.

use kurrentdb::{
    CurrentRevision, Error, EventData, Position, ReadAllOptions, ReadEvent, ReadStreamOptions,
    StreamPosition, StreamState, Streaming, SubscriptionFilter,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{append, client, events, new_name, number, numbered, numbers};

fn at(position: StreamPosition<u64>) -> ReadStreamOptions {
    ReadStreamOptions::default().position(position)
}

#[tokio::test(flavor = "multi_thread")]
async fn append_checks_each_expected_state() {
    let (client, stream) = (client(), new_name("hive"));
    let append = async |state, numbers| append(&client, &stream, state, events(numbers)).await;
    let wrong = |expected, current| Error::WrongExpectedVersion { expected, current };
    for state in [StreamState::StreamExists, StreamState::StreamRevision(0)] {
        let refused = append(state, 0..1).await.unwrap_err();
        let expected = wrong(state, CurrentRevision::NoStream);
        assert_eq!(refused.to_string(), expected.to_string());
    }
    let first = append(StreamState::NoStream, 0..2).await.unwrap();
    assert_eq!(first.next_expected_version, 1);
    assert_eq!(first.position.commit, first.position.prepare);
    for state in [
        StreamState::NoStream,
        StreamState::StreamRevision(0),
        StreamState::StreamRevision(2),
    ] {
        let refused = append(state, 2..3).await.unwrap_err();
        let expected = wrong(state, CurrentRevision::Current(1));
        assert_eq!(refused.to_string(), expected.to_string());
    }
    let mut last = first.position;
    for (state, number) in [
        (StreamState::StreamRevision(1), 2),
        (StreamState::StreamExists, 3),
        (StreamState::Any, 4),
    ] {
        let written = append(state, number..number + 1).await.unwrap();
        assert_eq!(written.next_expected_version, number);
        assert!(written.position > last);
        last = written.position;
    }
    let read = client
        .read_stream(stream.as_str(), &Default::default())
        .await;
    assert_eq!(numbers(read).await, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_append_returns_the_first_result() {
    let (client, stream) = (client(), new_name("hive"));
    let with_id = |event: EventData| event.id(Uuid::new_v4());
    let sent: Vec<EventData> = events(0..3).into_iter().map(with_id).collect();
    let append =
        async |state, sent: &[EventData]| append(&client, &stream, state, sent.to_vec()).await;
    let first = append(StreamState::NoStream, &sent[..2]).await.unwrap();
    append(StreamState::StreamRevision(1), &sent[2..])
        .await
        .unwrap();
    for state in [StreamState::NoStream, StreamState::Any] {
        let again = append(state, &sent[..2]).await.unwrap();
        assert_eq!(again.next_expected_version, 1);
        assert_eq!(again.position, first.position);
    }
    assert!(append(StreamState::NoStream, &events(0..2)).await.is_err());
    let read = client
        .read_stream(stream.as_str(), &Default::default())
        .await;
    assert_eq!(numbers(read).await, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_return_as_they_were_sent() {
    let (client, stream) = (client(), new_name("hive"));
    let (binary_id, json_id) = (Uuid::new_v4(), Uuid::new_v4());
    let bytes: Vec<u8> = (0..=255).collect();
    let sent = [
        EventData::binary("photographed", bytes.clone().into())
            .id(binary_id)
            .metadata(vec![0xff, 0].into()),
        EventData::json("weighed", &json!({ "grams": 12.5 }))
            .unwrap()
            .id(json_id)
            .metadata_as_json(&json!({ "by": "ada" }))
            .unwrap(),
    ];
    let written = client
        .append_to_stream(
            stream.as_str(),
            &Default::default(),
            Streaming(sent.into_iter()),
        )
        .await
        .unwrap();
    let mut read = client
        .read_stream(stream.as_str(), &Default::default())
        .await
        .unwrap();
    let first = read.next().await.unwrap().unwrap();
    let first = first.get_original_event();
    assert_eq!(
        (first.id, first.revision, first.is_json),
        (binary_id, 0, false)
    );
    assert_eq!(
        (&first.data[..], &first.custom_metadata[..]),
        (&bytes[..], &[0xff, 0][..])
    );
    assert_eq!(first.event_type, "photographed");
    assert_eq!(first.stream_id(), stream);
    let second = read.next().await.unwrap().unwrap();
    assert!(!second.is_resolved());
    let second = second.get_original_event();
    assert_eq!(
        (second.id, second.revision, second.is_json),
        (json_id, 1, true)
    );
    assert_eq!(second.position, written.position);
    assert_eq!(
        second.as_json::<serde_json::Value>().unwrap(),
        json!({ "grams": 12.5 })
    );
    assert_eq!(second.custom_metadata, r#"{"by":"ada"}"#);
    let age = std::time::SystemTime::now().duration_since(second.created.into());
    assert!(age.unwrap() < std::time::Duration::from_secs(60));
    assert!(read.next().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_is_read_from_each_position() {
    let (client, stream) = (client(), new_name("hive"));
    client
        .append_to_stream(stream.as_str(), &Default::default(), events(0..5))
        .await
        .unwrap();
    for (options, expected) in [
        (at(StreamPosition::Start), vec![0, 1, 2, 3, 4]),
        (at(StreamPosition::Start).max_count(2), vec![0, 1]),
        (at(StreamPosition::Position(3)), vec![3, 4]),
        (at(StreamPosition::Position(5)), vec![]),
        (at(StreamPosition::End), vec![4, 3, 2, 1, 0]),
        (at(StreamPosition::End).max_count(1), vec![4]),
        (at(StreamPosition::Position(2)).backwards(), vec![2, 1, 0]),
        (
            at(StreamPosition::Position(9)).backwards().max_count(2),
            vec![4, 3],
        ),
    ] {
        let read = client.read_stream(stream.as_str(), &options).await;
        assert_eq!(numbers(read).await, expected);
    }
    let mut read = client
        .read_stream(stream.as_str(), &at(StreamPosition::Start))
        .await
        .unwrap();
    let mut last = None;
    while let Some(event) = read.next_read_event().await.unwrap() {
        if let ReadEvent::LastStreamPosition(position) = event {
            last = Some(position);
        }
    }
    assert_eq!(last, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_stream_is_not_found() {
    let client = client();
    let mut read = client
        .read_stream(new_name("hive"), &Default::default())
        .await
        .unwrap();
    assert!(matches!(read.next().await, Err(Error::ResourceNotFound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_is_filtered_and_read_in_both_directions() {
    let client = client();
    let (category, name) = (
        format!("log{}", Uuid::new_v4().simple()),
        new_name("weighed"),
    );
    let streams = [
        format!("{category}-1"),
        format!("{category}-2"),
        new_name("other"),
    ];
    let mut positions: Vec<Position> = Vec::new();
    for (stream, first) in streams.iter().zip([0, 10, 20]) {
        let mut sent = numbered(&name, first..first + 2);
        sent.extend(numbered("unrelated", first + 2..first + 3));
        let written = client
            .append_to_stream(stream.as_str(), &Default::default(), sent)
            .await;
        positions.push(written.unwrap().position);
    }
    let of_type = || SubscriptionFilter::on_event_type().add_prefix(&name);
    let of_stream = || SubscriptionFilter::on_stream_name().add_prefix(&category);
    let all = |filter| ReadAllOptions::default().filter(filter);
    for (options, expected) in [
        (all(of_type()), vec![0, 1, 10, 11, 20, 21]),
        (all(of_type()).max_count(3), vec![0, 1, 10]),
        (
            all(SubscriptionFilter::on_event_type().regex(format!("^{name}$"))),
            vec![0, 1, 10, 11, 20, 21],
        ),
        (all(of_stream()), vec![0, 1, 2, 10, 11, 12]),
        (
            all(SubscriptionFilter::on_stream_name().regex(format!("^{category}-[2-9]"))),
            vec![10, 11, 12],
        ),
        (
            all(of_stream()).position(StreamPosition::End),
            vec![12, 11, 10, 2, 1, 0],
        ),
        (
            all(of_stream()).position(StreamPosition::End).max_count(2),
            vec![12, 11],
        ),
        (
            all(of_type()).position(StreamPosition::Position(positions[0])),
            vec![10, 11, 20, 21],
        ),
        (
            all(of_type())
                .position(StreamPosition::Position(positions[1]))
                .backwards(),
            vec![11, 10, 1, 0],
        ),
    ] {
        assert_eq!(numbers(client.read_all(&options).await).await, expected);
    }
    let mut everything = client.read_all(&ReadAllOptions::default()).await.unwrap();
    assert!(everything.next().await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_stream_continues_and_tombstone_ends_it() {
    let (client, stream) = (client(), new_name("hive"));
    let append = async |state, numbers| append(&client, &stream, state, events(numbers)).await;
    append(StreamState::NoStream, 0..2).await.unwrap();
    let options = |state| kurrentdb::DeleteStreamOptions::default().stream_state(state);
    let refused = client
        .delete_stream(stream.as_str(), &options(StreamState::StreamRevision(0)))
        .await;
    assert!(refused.is_err());
    let deleted = client
        .delete_stream(stream.as_str(), &options(StreamState::StreamRevision(1)))
        .await;
    assert!(deleted.unwrap().is_some());
    let mut read = client
        .read_stream(stream.as_str(), &Default::default())
        .await
        .unwrap();
    assert!(matches!(read.next().await, Err(Error::ResourceNotFound)));
    let written = append(StreamState::NoStream, 2..3).await.unwrap();
    assert_eq!(written.next_expected_version, 2);
    let read = client
        .read_stream(stream.as_str(), &Default::default())
        .await;
    assert_eq!(numbers(read).await, [2]);

    let ended = client
        .tombstone_stream(stream.as_str(), &Default::default())
        .await;
    assert!(ended.unwrap().is_some());
    let read = match client
        .read_stream(stream.as_str(), &Default::default())
        .await
    {
        Ok(mut read) => read.next().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(read, Err(Error::ResourceDeleted)), "{read:?}");
    for state in [
        StreamState::Any,
        StreamState::NoStream,
        StreamState::StreamRevision(2),
    ] {
        let refused = append(state, 3..4).await;
        assert!(
            matches!(refused, Err(Error::ResourceDeleted)),
            "{state}: {refused:?}"
        );
    }
    let again = client
        .tombstone_stream(stream.as_str(), &Default::default())
        .await;
    assert!(matches!(again, Err(Error::ResourceDeleted)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_written_and_wrong_states_refused() {
    let client = client();
    let batch = client.batch_append(&Default::default()).await.unwrap();
    let stream = new_name("hive");
    for (state, number, revision) in [
        (StreamState::NoStream, 0, 2),
        (StreamState::StreamRevision(2), 3, 5),
        (StreamState::Any, 6, 8),
    ] {
        let written = batch
            .append_to_stream(&stream, state, events(number..number + 3))
            .await
            .unwrap();
        assert_eq!(written.stream_name(), stream);
        assert_eq!(written.current_revision(), Some(revision));
        assert!(written.current_position().is_some());
    }
    let streams: Vec<String> = (0..8).map(|_| new_name("hive")).collect();
    let appends = streams
        .iter()
        .map(|stream| batch.append_to_stream(stream, StreamState::NoStream, events(0..1)));
    for append in appends.map(Box::pin).collect::<Vec<_>>() {
        append.await.unwrap();
    }
    let refused = batch
        .append_to_stream(&stream, StreamState::NoStream, events(9..10))
        .await;
    assert!(refused.is_err(), "{refused:?}");
    let read = client
        .read_stream(stream.as_str(), &Default::default())
        .await;
    assert_eq!(numbers(read).await, (0..9).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_and_event_types_are_streams_of_links() {
    let client = client();
    let category = format!("links{}", Uuid::new_v4().simple());
    let name = new_name("weighed");
    for number in 0..3 {
        let stream = format!("{category}-{number}");
        client
            .append_to_stream(
                stream,
                &Default::default(),
                numbered(&name, number..number + 1),
            )
            .await
            .unwrap();
    }
    let options = ReadStreamOptions::default().resolve_link_tos();
    for links in [format!("$ce-{category}"), format!("$et-{name}")] {
        let mut read = client.read_stream(links.as_str(), &options).await.unwrap();
        let mut found = Vec::new();
        while let Some(event) = read.next().await.unwrap() {
            assert!(event.is_resolved());
            assert_eq!(event.get_original_stream_id(), links);
            let data: serde_json::Value = event.event.as_ref().unwrap().as_json().unwrap();
            found.push(data["number"].as_u64().unwrap());
        }
        assert_eq!(found, [0, 1, 2]);
    }
    let stored = client
        .read_stream(format!("{category}-1"), &Default::default())
        .await
        .unwrap()
        .next()
        .await;
    assert_eq!(number(&stored.unwrap().unwrap()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_describes_itself() {
    let info = client().server_info().await.unwrap();
    assert!(info.version().major() >= 23, "{:?}", info.version());
}
