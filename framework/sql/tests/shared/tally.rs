//! Amounts that are added, and a table of them: the projection of the tests of inline projections.
//!
//! The crate that includes it has a module `adapter` with `Store`, and `special`, which applies amounts that only one
//! database knows.

#![allow(dead_code, reason = "no test uses all items")]

use std::sync::Arc;
use std::time::Duration;

use factum::prelude::*;
use factum::runtime::ConsumerState;
use factum::store::Metadata;
use factum::store::{Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read};
use factum_sql::{BoxError, Dialect, Sql, SqlError, SqlProject, SqlProjection};
use uuid::Uuid;

use crate::adapter::{Store, special};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "tally")]
pub enum TallyEvent {
    Added {
        #[serde(deserialize_with = "decode")]
        amount: u64,
    },
}

fn decode<'d, D: serde::Deserializer<'d>>(from: D) -> Result<u64, D::Error> {
    let amount = u64::deserialize(from)?;
    assert!(amount != UNDECODABLE, "it panics while it is decoded");
    Ok(amount)
}

/// An amount that the projection rejects.
pub const REJECTED: u64 = 1_000_001;
/// An amount on which the projection panics.
pub const PANICS: u64 = 1_000_002;
/// An amount whose row the table rejects.
pub const NEGATIVE: u64 = 1_000_003;
/// An amount whose decoding panics.
pub const UNDECODABLE: u64 = 1_000_004;
/// Larger amounts are special: the module `adapter` applies them.
pub const SPECIAL: u64 = 2_000_000;

/// Stores every event under its position, each amount `V` times.
///
/// An event that takes effect twice is an error.
#[derive(Clone, Default)]
pub struct Sums<const V: u32>;

impl<const V: u32> Projection for Sums<V> {
    type Events = TallyEvent;
    const NAME: &'static str = "sums";
    const VERSION: u32 = V;
}

impl<const V: u32> SqlProjection for Sums<V> {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(
            "create table if not exists {added} (
                 position bigint primary key,
                 stream   text not null,
                 amount   bigint not null check (amount >= 0)
             )",
        )
        .await?;
        if db.dialect() == Dialect::Postgres {
            db.execute(
                "alter table {added} add column if not exists once bigint unique deferrable initially deferred",
            )
            .await?;
        }
        Ok(())
    }
}

impl<const V: u32> SqlProject<TallyEvent> for Sums<V> {
    async fn project(
        &self,
        event: &Recorded<TallyEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let TallyEvent::Added { amount } = event.event;
        let row = match amount {
            NEGATIVE => -1,
            amount => amount as i64 * i64::from(V),
        };
        let insert = db.query("insert into {added} (position, stream, amount) values ($1, $2, $3)");
        let insert = insert
            .bind(event.record.position)
            .bind(&event.record.stream);
        insert.bind(row).execute().await?;
        match amount {
            REJECTED => Err("it is rejected".into()),
            PANICS => panic!("it panics"),
            SPECIAL.. => special(amount, event.record.position, db).await,
            _ => Ok(()),
        }
    }
}

fn event(amount: u64) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        name: "tally.added".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: format!(r#"{{"amount":{amount}}}"#).into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    }
}

pub fn added(stream: u64, amounts: &[u64]) -> Append {
    let events = amounts.iter().map(|amount| event(*amount)).collect();
    let stream = format!("tally-{stream}").parse().unwrap();
    Append::stream(stream, ExpectedVersion::Any, events)
}

/// Returns how many events have taken effect, and the sum of their amounts.
pub async fn totals(store: &Store) -> (i64, i64) {
    let sql = "select count(*), cast(coalesce(sum(amount), 0) as bigint) from added";
    store.query(sql).fetch_one().await.unwrap()
}

/// Returns whether the event at `position` has taken effect.
pub async fn has_effect(store: &Store, position: u64) -> bool {
    let sql = "select count(*) from added where position = $1";
    let rows: i64 = store
        .query(sql)
        .bind(position as i64)
        .fetch_one()
        .await
        .unwrap();
    rows == 1
}

/// Compares the table with the log, and returns how many events both contain.
pub async fn compare(store: &Store) -> usize {
    let sql = "select position, stream, amount from added order by position";
    let table: Vec<(i64, String, i64)> = store.query(sql).fetch_all().await.unwrap();
    let mut log = Vec::new();
    let mut position = 0_u64;
    loop {
        let read = Read::all(Query::all()).after(position);
        let page = store.read(read).await.unwrap();
        log.extend(page.events.iter().map(|event| {
            let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
            let amount = data["amount"].as_i64().unwrap();
            let position = event.position.get() as i64;
            (position, event.stream.to_string(), amount)
        }));
        position = page.through().get();
        if !page.more {
            break;
        }
    }
    assert_eq!(table, log);
    log.len()
}

/// Starts a runtime with the projection, and waits until it has processed every event.
pub async fn run<const V: u32>(store: &Store) -> Runtime {
    let engine = Engine::new(store.clone());
    let builder = Runtime::builder(&engine).projection(store.read_model(Sums::<V>));
    let runtime = builder.lease(Duration::from_secs(2)).start().await.unwrap();
    let sums = runtime.projection_named("sums").unwrap();
    sums.wait_until_current().await.unwrap();
    let mut status = sums.watch();
    let live = status.wait_for(|status| status.state == ConsumerState::Live);
    live.await.unwrap();
    runtime
}

/// Builds the tables of the projection, so that appends update them.
pub async fn build<const V: u32>(store: &Store) {
    run::<V>(store).await.stop().await;
}
