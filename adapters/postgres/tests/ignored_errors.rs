//! Tests of projections that continue after a database error.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use factum::prelude::*;
use factum::{
    Append, ContentType, DeadLetterState, EventStore as _, ExpectedVersion, NewEvent, Position,
    RetryPolicy, StreamId,
};
use factum_postgres::{BoxError, PostgresProject, PostgresProjection, PostgresStore, Tables};
use sqlx::Connection as _;
use uuid::Uuid;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "guest")]
enum GuestEvent {
    Came { name: String },
}

/// A projection that ignores unique violations, which is valid for other databases.
#[derive(Projection)]
#[projection(name = "guests", events = GuestEvent)]
struct Guests {
    /// Set if the projection then begins a nested transaction, and ignores that this fails too.
    begins_transaction: bool,
}

#[async_trait]
impl PostgresProjection for Guests {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        let sql = db.sql("create table if not exists {guest} (name text primary key)");
        sqlx::query(sql).execute(&mut **db).await.map(drop)
    }
}

#[async_trait]
impl PostgresProject<GuestEvent> for Guests {
    async fn project(
        &self,
        event: &Recorded<GuestEvent>,
        db: &mut Tables<'_>,
    ) -> Result<(), BoxError> {
        let GuestEvent::Came { name } = &event.event;
        let sql = db.sql("insert into {guest} (name) values ($1)");
        let inserted = sqlx::query(sql).bind(name).execute(&mut **db).await;
        match inserted {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                if self.begins_transaction
                    && let Ok(begun) = db.begin().await
                {
                    begun.commit().await?;
                }
                Ok(())
            }
            inserted => Ok(inserted.map(drop)?),
        }
    }
}

async fn add_guests(store: &PostgresStore, house: u64, names: &[&str]) -> Position {
    let event = |name: &&str| NewEvent {
        id: Uuid::now_v7(),
        name: "guest.came".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: format!(r#"{{"name":"{name}"}}"#).into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    };
    let stream = StreamId::new("house", house).unwrap();
    let append = Append::stream(
        stream,
        ExpectedVersion::Any,
        names.iter().map(event).collect(),
    );
    store.append(append).await.unwrap().position
}

#[tokio::test]
async fn event_with_ignored_error_is_dead_lettered() {
    check_dead_letter(false).await;
}

#[tokio::test]
async fn event_with_failed_nested_transaction_is_dead_lettered() {
    check_dead_letter(true).await;
}

async fn check_dead_letter(begins_transaction: bool) {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    add_guests(&store, 1, &["ada", "bob"]).await;
    add_guests(&store, 2, &["ada"]).await;
    let last = add_guests(&store, 3, &["eve"]).await;
    let projections = Projections::builder(&Engine::new(store.clone()))
        .with(store.read_model(Guests { begins_transaction }))
        .retry(RetryPolicy {
            attempts: 2,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(1),
        })
        .start();
    let waited = tokio::time::timeout(Duration::from_secs(20), projections.wait_for(last)).await;
    waited.expect("the projection continues").unwrap();
    let sql = "select name from guest order by name";
    let guests: Vec<String> = sqlx::query_scalar(sql)
        .fetch_all(store.pool())
        .await
        .unwrap();
    assert_eq!(guests, ["ada", "bob", "eve"]);
    let dead_letters = projections.dead_letters("guests").await.unwrap();
    let [dead_letter] = &dead_letters[..] else {
        panic!("{dead_letters:?}");
    };
    assert_eq!(dead_letter.position, Position::new(3));
    let DeadLetterState::Failed { error, attempts } = &dead_letter.state else {
        panic!("{dead_letter:?}");
    };
    assert_eq!(*attempts, 2);
    assert!(
        error.contains("ignored an error of the database"),
        "{error}"
    );
    projections.stop().await;
}
