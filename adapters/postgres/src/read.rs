//! A page, in one statement.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use factum::{
    ContentType, Direction, Metadata, Page, Position, Read, RecordedEvent, Scope, Timestamp,
    Version,
};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, QueryBuilder, Row as _};

use crate::error::Fault;
use crate::query::and_matches;

/// The data in one page have about this many bytes at most, and one event at least.
const PAGE_BYTES: i64 = 16 * 1024 * 1024;

pub(crate) async fn page(connection: &mut PgConnection, read: &Read) -> Result<Page, Fault> {
    let limit = read.limit.max(1);
    let rows = statement(read, limit).build().fetch_all(connection).await?;
    let mut events = Vec::with_capacity(rows.len());
    let mut head = Position::ZERO;
    let mut count = 0;
    for row in &rows {
        head = Position::new(row.try_get::<i64, _>("head")? as u64);
        count = row.try_get::<i64, _>("found")? as usize;
        // The head comes even where no event does.
        if row.try_get::<Option<i64>, _>("position")?.is_some() {
            events.push(recorded(row, events.last())?);
        }
    }
    let more = count > limit || count > events.len();
    events.truncate(limit);
    Ok(Page { events, head, more })
}

/// The events of a page and the one behind it, each with the head and how many were found.
fn statement(read: &Read, limit: usize) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        "with page as (
            select e.*, s.id as stream_id
            from event e
            join stream s on s.key = e.stream
            where ",
    );
    match &read.scope {
        Scope::Stream(stream) => {
            sql.push("e.stream = (select key from stream where id = ");
            sql.push_bind(stream.to_string()).push(") and ");
        }
        Scope::Streams(streams) => {
            let ids: Vec<String> = streams.iter().map(ToString::to_string).collect();
            sql.push("s.id = any (").push_bind(ids).push(") and ");
        }
        Scope::All(_) => {}
    }
    let place = match read.scope {
        Scope::Stream(_) => "version",
        Scope::Streams(_) | Scope::All(_) => "position",
    };
    let (beyond, order) = match read.direction {
        Direction::Forward => (">", "asc"),
        Direction::Backward => ("<", "desc"),
    };
    sql.push(format_args!("e.{place} {beyond} "));
    sql.push_bind(i64::try_from(read.cursor).unwrap_or(i64::MAX));
    if let Scope::All(query) = &read.scope {
        and_matches(&mut sql, query);
    }
    sql.push(format_args!(" order by e.{place} {order} limit "));
    sql.push_bind(i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1);
    sql.push(format_args!(
        "), sized as (
            select *, sum(coalesce(octet_length(data), octet_length(bytes)))
                      over (order by position {order} rows between unbounded preceding and 1 preceding) as ahead
            from page
        )
        select h.position as head, (select count(*) from page) as found, e.position, e.stream_id, e.version, e.id,
               e.name, e.schema_version, e.content_type, e.data, e.bytes, e.metadata, e.tags, e.recorded_at
        from head h
        left join sized e on coalesce(e.ahead, 0) < "
    ));
    sql.push_bind(PAGE_BYTES);
    sql.push(format_args!(" order by e.position {order}"));
    sql
}

/// `before`: the event ahead of it, which often has the same stream and metadata.
fn recorded(row: &PgRow, before: Option<&RecordedEvent>) -> Result<RecordedEvent, Fault> {
    let position = row.try_get::<i64, _>("position")?;
    let corrupt = |what: &dyn std::fmt::Display| {
        Fault::corrupt(format!("event at position {position}: {what}"))
    };
    let stream: &str = row.try_get("stream_id")?;
    let stream = match before {
        Some(before) if before.stream.as_str() == stream => before.stream.clone(),
        _ => stream.parse().map_err(|error| corrupt(&error))?,
    };
    let content_type: Option<&str> = row.try_get("content_type")?;
    let data = match content_type {
        None => Bytes::from(row.try_get::<String, _>("data")?),
        Some(_) => Bytes::from(row.try_get::<Vec<u8>, _>("bytes")?),
    };
    let metadata: Metadata =
        serde_json::from_str(row.try_get("metadata")?).map_err(|error| corrupt(&error))?;
    let metadata = match before {
        Some(before) if *before.metadata == metadata => before.metadata.clone(),
        _ => Arc::new(metadata),
    };
    let tags: Option<&str> = row.try_get("tags")?;
    let tags = tags.map(|tags| {
        tags.split('\n')
            .map(|tag| tag.to_owned().try_into())
            .collect()
    });
    Ok(RecordedEvent {
        position: Position::new(position as u64),
        stream,
        version: Version::new(row.try_get::<i64, _>("version")? as u64),
        id: row.try_get("id")?,
        name: Cow::Owned(row.try_get("name")?),
        schema_version: u32::try_from(row.try_get::<i64, _>("schema_version")?)
            .map_err(|error| corrupt(&error))?,
        content_type: content_type.map_or(ContentType::Json, ContentType::from),
        data,
        tags: tags
            .transpose()
            .map_err(|error: factum::InvalidTag| corrupt(&error))?
            .unwrap_or_default(),
        metadata,
        recorded_at: Timestamp::from_micros(row.try_get("recorded_at")?),
    })
}
