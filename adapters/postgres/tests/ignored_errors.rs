//! Tests of projections that continue after a database error.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::DeadLetterState;
use factum::store::{Append, ContentType, EventStore as _, ExpectedVersion, NewEvent};
use factum::{Position, StreamId};
use factum_postgres::sqlx::{self, Connection as _};
use factum_postgres::{
    BoxError, PgConnection, PostgresStore, Sql, SqlError, SqlProject, SqlProjection,
};
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

impl SqlProjection for Guests {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {guest} (name text primary key)")
            .await
    }
}

impl SqlProject<GuestEvent> for Guests {
    async fn project(
        &self,
        event: &Recorded<GuestEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let GuestEvent::Came { name } = &event.event;
        let insert = db.query("insert into {guest} (name) values ($1)");
        let inserted = insert.bind(name).execute().await;
        let Err(SqlError::Driver(error)) = inserted else {
            return Ok(inserted.map(drop)?);
        };
        let error = error.downcast::<sqlx::Error>().unwrap();
        let error = error.as_database_error().unwrap();
        assert!(error.is_unique_violation(), "{error}");
        if self.begins_transaction {
            let db: &mut PgConnection = db.driver().unwrap();
            if let Ok(begun) = db.begin().await {
                begun.commit().await?;
            }
        }
        Ok(())
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
    let runtime = Runtime::builder(&Engine::new(store.clone()))
        .projection(store.read_model(Guests { begins_transaction }))
        .retry(RetryPolicy {
            attempts: 2,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(1),
        })
        .start()
        .await
        .unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(20), runtime.wait_for(last)).await;
    waited.expect("the projection continues").unwrap();
    let sql = "select name from guest order by name";
    let guests: Vec<String> = sqlx::query_scalar(sql)
        .fetch_all(store.pool())
        .await
        .unwrap();
    assert_eq!(guests, ["ada", "bob", "eve"]);
    let dead_letters = runtime
        .projection::<Guests>()
        .unwrap()
        .dead_letters()
        .await
        .unwrap();
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
    runtime.stop().await;
}
