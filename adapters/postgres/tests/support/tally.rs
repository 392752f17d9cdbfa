//! Amounts that are added, and a table of them: what the tests of inline projections write and read.

#![allow(dead_code, reason = "no test file needs all of it")]

use std::sync::Arc;

use async_trait::async_trait;
use factum::prelude::*;
use factum::Metadata;
use factum::store::{Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read};
use factum_postgres::{
    BoxError, PgPool, PostgresProject, PostgresProjection, PostgresStore, Tables, sqlx,
};
use sqlx::Connection as _;
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
/// One that ends the connection to the server under it.
pub(crate) const KILLS: u64 = 1_000_003;
/// One whose row the table rejects.
pub(crate) const NEGATIVE: u64 = 1_000_004;
/// One that there may be once; the table rejects another when the transaction ends.
pub(crate) const ONCE: u64 = 1_000_005;

/// One behind which the projection goes on as if no statement had failed.
pub(crate) const IGNORES: u64 = 1_000_006;
/// The same, and behind it a transaction is begun, which is ignored as well.
pub(crate) const BLUNDERS: u64 = 1_000_007;
/// One for which a transaction is begun within.
pub(crate) const NESTS: u64 = 1_000_008;
/// One that cannot even be read without a panic.
pub(crate) const UNREADABLE: u64 = 1_000_009;
/// One at which a rule of the database raises when the transaction ends, if a test has made it.
pub(crate) const RAISES: u64 = 1_000_010;
/// One that is told of a deadlock, and tells of it in words of its own.
pub(crate) const DEADLOCKS: u64 = 1_000_011;

#[derive(Debug, thiserror::Error)]
#[error("the amount is not kept")]
struct NotKept(#[source] sqlx::Error);

/// Keeps every event by its position, so that an event taken twice is an error; each amount `V` times.
#[derive(Default)]
pub(crate) struct Sums<const V: u32>;

impl<const V: u32> Projection for Sums<V> {
    type Events = TallyEvent;
    const NAME: &'static str = "sums";
    const VERSION: u32 = V;
}

#[async_trait]
impl<const V: u32> PostgresProjection for Sums<V> {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        let sql = "create table if not exists {added}
                   (position bigint primary key, stream text, amount bigint not null check (amount >= 0),
                    once bigint unique deferrable initially deferred)";
        let sql = db.sql(sql);
        sqlx::query(sql).execute(&mut **db).await.map(drop)
    }
}

#[async_trait]
impl<const V: u32> PostgresProject<TallyEvent> for Sums<V> {
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
        let sql =
            db.sql("insert into {added} (position, stream, amount, once) values ($1, $2, $3, $4)");
        sqlx::query(sql)
            .bind(event.record.position.get() as i64)
            .bind(event.record.stream.as_str())
            .bind(row)
            .bind((amount == ONCE).then_some(row))
            .execute(&mut **db)
            .await?;
        match amount {
            REFUSED => Err("it is rejected".into()),
            PANICS => panic!("it panics"),
            KILLS => {
                let sql = "select pg_terminate_backend(pg_backend_pid())";
                sqlx::query(sql).execute(&mut **db).await?;
                Ok(())
            }
            IGNORES => {
                let failed = sqlx::query("select 1 / 0").execute(&mut **db).await;
                assert!(failed.is_err());
                Ok(())
            }
            BLUNDERS => {
                let failed = sqlx::query("select 1 / 0").execute(&mut **db).await;
                assert!(failed.is_err());
                for _ in 0..3 {
                    if let Ok(begun) = db.begin().await {
                        begun.commit().await?;
                    }
                }
                Ok(())
            }
            DEADLOCKS => {
                let sql = "do $$ begin raise exception using errcode = '40P01'; end $$";
                let raised = sqlx::query(sql).execute(&mut **db).await;
                Ok(raised.map(drop).map_err(NotKept)?)
            }
            NESTS => Ok(db.begin().await?.commit().await?),
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
pub(crate) async fn seen(pool: &PgPool) -> (i64, i64) {
    let sql = "select count(*), coalesce(sum(amount), 0)::bigint from added";
    sqlx::query_as(sql).fetch_one(pool).await.unwrap()
}

pub(crate) async fn sees(pool: &PgPool, position: u64) -> bool {
    let sql = "select exists (select from added where position = $1)";
    let found = sqlx::query_scalar(sql).bind(position as i64);
    found.fetch_one(pool).await.unwrap()
}

/// Compares the table with the log; how many events they hold.
pub(crate) async fn same(store: &PostgresStore) -> usize {
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
