//! Recovery of append results after the connection was lost before the reply arrived.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use factum_core::append::{Append, AppendEvent, Appended};
use factum_core::position::{Position, Version};
use factum_core::timestamp::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, Row as _};
use uuid::Uuid;

use crate::error::BackendError;
use crate::server::Server;

/// The time limit for connecting again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects again, and returns the connection with the result of each append.
///
/// A result is `None` if the append was not stored, or has no event. The lock of the head ensures that the lost
/// transaction has ended; the ids of the events say whether it was committed. `head_before` is a head before that
/// transaction.
pub async fn recover(
    server: &Server,
    head_before: Position,
    appends: &[&Append],
) -> Result<(PgConnection, Vec<Option<Appended>>), BackendError> {
    let ids: Vec<Uuid> = events(appends).map(|event| event.id).collect();
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        return Err(BackendError::corrupt("two events have the same id"));
    }
    let mut connection = connect(server).await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("select from head for update")
        .execute(&mut *transaction)
        .await?;
    let rows = sqlx::query(include_str!("sql/find_events.sql"))
        .bind(head_before.get() as i64)
        .bind(ids)
        .fetch_all(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    let rows = rows.iter().map(|row| Ok((row.try_get("id")?, row)));
    let rows: HashMap<Uuid, &PgRow> = rows.collect::<Result<_, sqlx::Error>>()?;
    let results = appends.iter().map(|append| result_of(append, &rows));
    let results = results.collect::<Result<_, BackendError>>()?;
    Ok((connection, results))
}

fn events<'a>(appends: &[&'a Append]) -> impl Iterator<Item = &'a factum_core::record::NewEvent> {
    let events = appends.iter().flat_map(|append| &append.events);
    events.map(|event| &event.event)
}

async fn connect(server: &Server) -> Result<PgConnection, BackendError> {
    let started = Instant::now();
    let mut delay = Duration::from_millis(10);
    loop {
        match server.connect().await {
            Err(error) if started.elapsed() > CONNECT_TIMEOUT => return Err(error.into()),
            Err(_) => tokio::time::sleep(delay).await,
            Ok(connection) => return Ok(connection),
        }
        delay = (delay * 2).min(Duration::from_millis(500));
    }
}

fn result_of(
    append: &Append,
    rows: &HashMap<Uuid, &PgRow>,
) -> Result<Option<Appended>, BackendError> {
    let Some(last) = events(&[append]).last().and_then(|last| rows.get(&last.id)) else {
        return Ok(None);
    };
    let mut last_events = vec![None; append.streams.len()];
    for AppendEvent { stream, event } in &append.events {
        last_events[*stream] = rows.get(&event.id);
    }
    let mut versions = Vec::new();
    for index in append.written_streams() {
        if let Some(row) = last_events[index] {
            let version = Version::new(row.try_get::<i64, _>("version")? as u64);
            versions.push((append.streams[index].stream.clone(), version));
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
