//! Tests of database errors that another transaction can cause: they are conflicts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;

use factum::store::Metadata;
use factum::store::{
    Append, AppendError, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read,
    Violation,
};
use factum_postgres::PostgresStore;
use uuid::Uuid;

fn named(name: &'static str, stream: &str) -> Append {
    let event = NewEvent {
        id: Uuid::now_v7(),
        name: name.into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    Append::stream(stream.parse().unwrap(), ExpectedVersion::Any, vec![event])
}

/// A trigger that raises the name of an event as an error if it is an SQLSTATE.
const RAISE: &str = "
    create function raise_name() returns trigger language plpgsql as $$
    begin
        if new.name ~ '^[0-9A-Z]{5}$' then
            raise exception 'another transaction' using errcode = new.name;
        end if;
        return new;
    end
    $$;
    create trigger raise_name before insert on event for each row execute function raise_name();";

async fn append_conflicting(store: &PostgresStore, name: &'static str, stream: &str) {
    let rejected = store.append(named(name, stream)).await;
    let Err(AppendError::Conflict(conflict)) = rejected else {
        panic!("{name}: {rejected:?}")
    };
    let [Violation::Transaction { reason }] = &conflict.violations[..] else {
        panic!("{name}: {conflict:?}")
    };
    assert!(reason.contains(name), "{reason}");
}

#[tokio::test]
async fn transaction_errors_are_conflicts() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    sqlx::raw_sql(RAISE).execute(store.pool()).await.unwrap();
    for name in ["40001", "40P01", "23505"] {
        // First a new stream, then one in the cache of the writer.
        let stream = format!("race-{name}");
        append_conflicting(&store, name, &stream).await;
        store.append(named("ok", &stream)).await.unwrap();
        append_conflicting(&store, name, &stream).await;
        store.append(named("ok", &stream)).await.unwrap();
    }
    let page = store.read(Read::all(Query::all())).await.unwrap();
    let positions: Vec<u64> = page
        .events
        .iter()
        .map(|event| event.position.get())
        .collect();
    assert_eq!(positions, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn transaction_conflict_rejects_one_append_of_a_batch() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    sqlx::raw_sql(RAISE).execute(store.pool()).await.unwrap();
    let appends = (0..40).map(|number| {
        let name = if number % 10 == 3 { "23505" } else { "ok" };
        let (store, append) = (store.clone(), named(name, &format!("race-{number}")));
        tokio::spawn(async move { (name, store.append(append).await) })
    });
    for result in appends.collect::<Vec<_>>() {
        match result.await.unwrap() {
            ("ok", Ok(_)) | ("23505", Err(AppendError::Conflict(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}
