//! Tests of queries with many items and of all their parts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::Position;
use factum::store::Metadata;
use factum::store::{
    Append, AppendError, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, QueryItem,
    Read, Tag,
};
use factum_sqlite::SqliteStore;
use uuid::Uuid;

fn tag(key: &str, value: usize) -> Tag {
    Tag::new(key, value).unwrap()
}

/// Returns event `number` with the tags `course:<number>`, `student:<number>` and `every:1`.
fn event(number: usize) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        name: format!("course.enrolled-{number}").into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "null".into(),
        tags: vec![
            tag("course", number),
            tag("student", number),
            tag("every", 1),
        ],
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    }
}

async fn store(events: usize) -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("school.db"))
        .await
        .unwrap();
    let stream = "school-1".parse().unwrap();
    let events = (1..=events).map(event).collect();
    let append = Append::stream(stream, ExpectedVersion::NoStream, events);
    store.append(append).await.unwrap();
    (dir, store)
}

async fn positions(store: &SqliteStore, query: &Query) -> Vec<u64> {
    let page = store.read(Read::all(query.clone())).await.unwrap();
    let positions = page.events.iter().map(|event| event.position.get());
    positions.collect()
}

/// Checks that `query` finds the events at `found`, and that it rejects an append as its condition.
async fn assert_finds(store: &SqliteStore, query: Query, found: &[u64]) {
    assert_eq!(positions(store, &query).await, found);
    let append = Append::stream(
        "school-2".parse().unwrap(),
        ExpectedVersion::Any,
        vec![event(99_999)],
    );
    let rejected = store.append(append.condition(query, Position::ZERO)).await;
    let Err(AppendError::Conflict(conflict)) = rejected else {
        panic!("not rejected: {rejected:?}");
    };
    let factum::store::Violation::Condition { found: last, .. } = &conflict.violations[0] else {
        panic!("{conflict:?}");
    };
    assert_eq!(Some(&last.get()), found.last());
}

#[tokio::test]
async fn query_may_have_thousands_of_items_with_two_tags() {
    let (_dir, store) = store(9).await;
    let both = |course, student| {
        let item = QueryItem::default().tag(tag("course", course));
        item.tag(tag("student", student))
    };
    let query = (5..5_000).fold(Query::none(), |query, number| {
        query.or(both(number, number)).or(both(number, number + 1))
    });
    assert_finds(&store, query, &[5, 6, 7, 8, 9]).await;
}

#[tokio::test]
async fn query_item_requires_all_its_tags() {
    let (_dir, store) = store(4).await;
    let item = |tags: &[Tag]| QueryItem {
        tags: tags.to_vec(),
        ..QueryItem::default()
    };
    let query = Query::from(item(&[
        tag("every", 1),
        tag("course", 2),
        tag("student", 2),
    ]))
    .or(item(&[
        tag("every", 1),
        tag("course", 3),
        tag("student", 4),
    ]))
    .or(item(&[tag("course", 4), tag("student", 4)]));
    assert_finds(&store, query, &[2, 4]).await;
}

#[tokio::test]
async fn query_may_have_a_thousand_different_items() {
    let (_dir, store) = store(9).await;
    let query = (7..1_007).fold(Query::none(), |query, number| {
        let item = QueryItem::default().event_type(format!("course.enrolled-{number}"));
        query.or(item.tag(tag("course", number)))
    });
    assert_finds(&store, query, &[7, 8, 9]).await;
    let query = (8..1_008).fold(Query::none(), |query, number| {
        query.or(QueryItem {
            stream_prefix: Some(format!("school-{}", number % 2)),
            event_types: vec![format!("course.enrolled-{number}")],
            ..QueryItem::default()
        })
    });
    assert_finds(&store, query, &[9]).await;
}

#[tokio::test]
async fn sql_numbers_are_exact_or_rejected() {
    let (_dir, store) = store(0).await;
    for number in [0.1, -0.0, 5e-324, f64::MAX, 1.0 / 3.0] {
        let query = store.query("select $1").bind(number);
        let read: f64 = query.fetch_one().await.unwrap();
        assert_eq!(read.to_bits(), number.to_bits());
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let query = store.query("select $1, $2").bind(1).bind(Some(number));
        let error = query.fetch_all::<(i64, f64)>().await.unwrap_err();
        let expected = format!("parameter $2 is {number}; bind a finite number, or an `Option`");
        assert_eq!(error.to_string(), expected);
    }
}
