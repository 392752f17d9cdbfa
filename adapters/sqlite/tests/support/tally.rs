//! Amounts that are added, and a table of them: what the tests of inline projections write and read.

#![allow(dead_code, reason = "no test file needs all of it")]

use std::sync::Arc;

use async_trait::async_trait;
use factum::prelude::*;
use factum::Metadata;
use factum::store::{Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read};
use factum_sqlite::{
    BoxError, SqlitePool, SqliteProject, SqliteProjection, SqliteStore, Tables, sqlx,
};
use uuid::Uuid;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "tally")]
pub(crate) enum TallyEvent {
    Added {
        #[serde(deserialize_with = "read")]
        amount: u64,
    },
}

fn read<'d, D: serde::Deserializer<'d>>(from: D) -> Result<u64, D::Error> {
    let amount = u64::deserialize(from)?;
    assert!(amount != UNREADABLE, "it panics when it is read");
    Ok(amount)
}

/// An amount that the projection rejects.
pub(crate) const REFUSED: u64 = 1_000_001;
/// One that lets it panic.
pub(crate) const PANICS: u64 = 1_000_002;
/// One whose row the table rejects.
pub(crate) const NEGATIVE: u64 = 1_000_003;
/// One that ends what it asked of the connection half way.
pub(crate) const HASTY: u64 = 1_000_004;
/// One that cannot even be read without a panic.
pub(crate) const UNREADABLE: u64 = 1_000_005;

/// Keeps every event by its position, so that an event taken twice is an error; each amount `V` times.
#[derive(Clone, Default)]
pub(crate) struct Sums<const V: u32>;

impl<const V: u32> Projection for Sums<V> {
    type Events = TallyEvent;
    const NAME: &'static str = "sums";
    const VERSION: u32 = V;
}

#[async_trait]
impl<const V: u32> SqliteProjection for Sums<V> {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        let sql = "create table if not exists {added}
                   (position integer primary key, stream text, amount integer not null check (amount >= 0))";
        let sql = db.sql(sql);
        sqlx::query(sql).execute(&mut **db).await.map(drop)
    }
}

#[async_trait]
impl<const V: u32> SqliteProject<TallyEvent> for Sums<V> {
    async fn project(
        &self,
        event: &Recorded<TallyEvent>,
        db: &mut Tables<'_>,
    ) -> Result<(), BoxError> {
        let TallyEvent::Added { amount } = event.event;
        let row = match amount {
            NEGATIVE => -1,
            amount => amount as i64 * i64::from(V),
        };
        let sql = db.sql("insert into {added} (position, stream, amount) values (?, ?, ?)");
        let insert = sqlx::query(sql)
            .bind(event.record.position.get() as i64)
            .bind(event.record.stream.as_str())
            .bind(row);
        if amount == HASTY {
            tokio::select! {
                biased;
                inserted = insert.execute(&mut **db) => inserted.map(drop)?,
                () = std::future::ready(()) => {}
            }
            return Ok(());
        }
        insert.execute(&mut **db).await?;
        match amount {
            REFUSED => Err("it is rejected".into()),
            PANICS => panic!("it panics"),
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

pub(crate) fn added(stream: u64, amounts: &[u64]) -> Append {
    let events = amounts.iter().map(|amount| event(*amount)).collect();
    let stream = format!("tally-{stream}").parse().unwrap();
    Append::stream(stream, ExpectedVersion::Any, events)
}

/// How many events had their effect, and the sum of their amounts.
pub(crate) async fn seen(pool: &SqlitePool) -> (i64, i64) {
    let sql = "select count(*), coalesce(sum(amount), 0) from added";
    sqlx::query_as(sql).fetch_one(pool).await.unwrap()
}

pub(crate) async fn sees(pool: &SqlitePool, position: u64) -> bool {
    let sql = "select exists (select 1 from added where position = ?)";
    let found = sqlx::query_scalar(sql).bind(position as i64);
    found.fetch_one(pool).await.unwrap()
}

/// Compares the table with the log; how many events they hold.
pub(crate) async fn same(store: &SqliteStore) -> usize {
    let sql = "select position, stream, amount from added order by position";
    let table: Vec<(i64, String, i64)> = sqlx::query_as(sql).fetch_all(store.pool()).await.unwrap();
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
