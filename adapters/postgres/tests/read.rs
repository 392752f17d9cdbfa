//! Tests of pages: large events, corrupt rows, and concurrent reads.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use factum::StreamId;
use factum::store::Metadata;
use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read, StoreError,
};
use factum_postgres::PostgresStore;
use tokio::task::JoinSet;
use uuid::Uuid;

fn event(content_type: ContentType, data: Vec<u8>) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        name: "account.opened".into(),
        schema_version: 1,
        content_type,
        data: data.into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    }
}

fn stream(number: usize) -> StreamId {
    StreamId::new("account", number).unwrap()
}

async fn put(store: &PostgresStore, number: usize, events: Vec<NewEvent>) {
    let append = Append::stream(stream(number), ExpectedVersion::Any, events);
    store.append(append).await.unwrap();
}

fn json(length: usize) -> NewEvent {
    let text = format!("\"{}\"", "x".repeat(length - 2));
    event(ContentType::Json, text.into_bytes())
}

#[tokio::test]
async fn pages_are_limited_in_bytes_and_lose_no_event() {
    const LARGE: usize = 7 * 1024 * 1024;
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let bytes = || event(ContentType::from("application/cbor"), vec![0; 20_000]);
    let sizes = [10, 16_777, LARGE, LARGE, LARGE, LARGE, 20_000, 10];
    for size in sizes {
        let event = if size == 20_000 { bytes() } else { json(size) };
        put(&store, 1, vec![event]).await;
    }
    for read in [Read::all(Query::all()), Read::stream(stream(1))] {
        let (mut found, mut pages, mut cursor) = (Vec::new(), 0, 0);
        loop {
            let page = store.read(read.clone().after(cursor)).await.unwrap();
            let page_sizes = page.events.iter().map(|event| event.data.len());
            assert!(page_sizes.clone().sum::<usize>() < 16 * 1024 * 1024 + LARGE);
            found.extend(page_sizes);
            pages += 1;
            if !page.more {
                break;
            }
            cursor = page.events.last().unwrap().version.get();
        }
        assert_eq!((&found[..], pages), (&sizes[..], 2));
    }
}

#[tokio::test]
async fn corrupt_event_is_an_error_with_its_position() {
    for damage in [
        "update event set version = -1 where position = 2",
        "update event set data = null where position = 2",
        "update event set metadata = '{' where position = 2",
        "update event set schema_version = -1 where position = 2",
        "update event set tags = '' where position = 2",
        "update event set content_type = 'text/plain' where position = 2",
    ] {
        let Some(options) = server::fresh() else {
            return;
        };
        let store = options.open().await.unwrap();
        put(&store, 1, vec![json(10), json(10), json(10)]).await;
        sqlx::query(damage).execute(store.pool()).await.unwrap();
        let reads = [
            Read::all(Query::all()),
            Read::streams([stream(1)]),
            Read::stream(stream(1)).backward(),
            Read::stream(stream(1)),
        ];
        // A forward read of a stream starts after version 0, and does not find a negative version.
        let found = reads.len() - usize::from(damage.contains("set version"));
        for read in &reads[..found] {
            let error = store.read(read.clone()).await.unwrap_err();
            let StoreError::Corrupt(text) = &error else {
                panic!("{damage}: {error:?}")
            };
            assert!(
                text.starts_with("event at position 2: "),
                "{damage}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn missing_stream_id_is_an_error_with_the_position() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    put(&store, 1, vec![json(10)]).await;
    let damage = sqlx::query("delete from stream");
    damage.execute(store.pool()).await.unwrap();
    let error = store.read(Read::all(Query::all())).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt(text) if text.starts_with("event at position 1: ")),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_reads_return_their_own_stream() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    for number in 0..40 {
        // From none to more than a batched read may return.
        let events = (0..number * 3).map(|_| json(10)).collect();
        put(&store, number, events).await;
    }
    for round in 0..20 {
        let mut reading = JoinSet::new();
        let mut aborted = Vec::new();
        for number in 0..120 {
            let store = store.clone();
            let task = reading.spawn(async move {
                let (number, after) = (number % 40, number as u64 % 3);
                let read = Read::stream(stream(number)).after(after);
                let page = store.read(read).await.unwrap();
                assert!(
                    page.events
                        .iter()
                        .all(|event| event.stream == stream(number))
                );
                let versions: Vec<u64> = page.events.iter().map(|e| e.version.get()).collect();
                let expected: Vec<u64> = (after + 1..=number as u64 * 3).collect();
                assert_eq!((versions, page.more), (expected, false));
            });
            if number % 7 == round % 7 {
                aborted.push(task);
            }
        }
        reading.join_next().await.unwrap().unwrap();
        for task in &aborted {
            task.abort();
        }
        while let Some(result) = reading.join_next().await {
            assert!(result.is_ok() || result.is_err_and(|error| error.is_cancelled()));
        }
    }
}

#[tokio::test]
async fn page_requested_after_an_append_has_its_event() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let mut writing = JoinSet::new();
    for number in 0..32 {
        let store = store.clone();
        writing.spawn(async move {
            for version in 1..=20 {
                put(&store, number, vec![json(10)]).await;
                let page = store.read(Read::stream(stream(number))).await.unwrap();
                assert_eq!(page.events.len(), version);
                assert!(page.head >= page.events[version - 1].position);
            }
        });
    }
    while let Some(written) = writing.join_next().await {
        written.unwrap();
    }
}

#[tokio::test]
async fn listener_reconnects_by_itself() {
    let Some(options) = server::fresh() else {
        return;
    };
    let one = options.clone().open().await.unwrap();
    let other = options.open().await.unwrap();
    let mut head = other.watch();
    for number in 0..3_u64 {
        let terminated = async {
            let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                 where application_name = current_setting('application_name') and query like 'LISTEN%'";
            while sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(one.pool())
                .await
                .unwrap()
                < 2
            {}
        };
        let terminated = tokio::time::timeout(Duration::from_secs(20), terminated);
        terminated.await.expect("two listeners are terminated");
        put(&one, 1, vec![json(10)]).await;
        head.wait_for(|head| head.get() > number).await.unwrap();
    }
}
