//! What became of appends whose connection was lost before their answer came.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use factum::{Append, Appended, Position, Timestamp, Version};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use uuid::Uuid;

use crate::error::Fault;

/// For how long the server is looked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A new connection, and what was stored: `None` for an append that was not, or that holds no event.
///
/// The lock makes sure that the lost transaction is over; the ids of the events tell whether it was committed.
/// `before` is a head from before it.
pub(crate) async fn found(
    server: &PgConnectOptions,
    before: Position,
    appends: &[&Append],
) -> Result<(PgConnection, Vec<Option<Appended>>), Fault> {
    let ids: Vec<Uuid> = events(appends).map(|event| event.id).collect();
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        return Err(Fault::corrupt("two events have one id"));
    }
    let mut connection = connect(server).await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("select from head for update")
        .execute(&mut *transaction)
        .await?;
    let rows = sqlx::query(include_str!("sql/lost.sql"))
        .bind(before.get() as i64)
        .bind(ids)
        .fetch_all(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    let rows = rows.iter().map(|row| Ok((row.try_get("id")?, row)));
    let rows: HashMap<Uuid, &PgRow> = rows.collect::<Result<_, sqlx::Error>>()?;
    let answers = appends.iter().map(|append| answer(append, &rows));
    let answers = answers.collect::<Result<_, Fault>>()?;
    Ok((connection, answers))
}

fn events<'a>(appends: &[&'a Append]) -> impl Iterator<Item = &'a factum::NewEvent> {
    let streams = appends.iter().flat_map(|append| &append.streams);
    streams.flat_map(|part| &part.events)
}

async fn connect(server: &PgConnectOptions) -> Result<PgConnection, Fault> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        match server.connect().await {
            Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => tokio::time::sleep(pause).await,
            Ok(connection) => return Ok(connection),
        }
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

fn answer(append: &Append, rows: &HashMap<Uuid, &PgRow>) -> Result<Option<Appended>, Fault> {
    let Some(last) = events(&[append]).last().and_then(|last| rows.get(&last.id)) else {
        return Ok(None);
    };
    let mut versions = Vec::new();
    for part in &append.streams {
        if let Some(row) = part.events.last().and_then(|last| rows.get(&last.id)) {
            let version = Version::new(row.try_get::<i64, _>("version")? as u64);
            versions.push((part.stream.clone(), version));
        }
    }
    Ok(Some(Appended {
        position: Position::new(last.try_get::<i64, _>("position")? as u64),
        count: append.count() as u64,
        versions,
        recorded_at: Timestamp::from_micros(last.try_get("recorded_at")?),
        repeated: false,
    }))
}
