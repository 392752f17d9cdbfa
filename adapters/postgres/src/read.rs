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
    let mut page = Page {
        events: Vec::with_capacity(rows.len()),
        head: Position::ZERO,
        more: false,
    };
    let mut before = None;
    for row in &rows {
        page.head = Position::new(row.try_get::<i64, _>(0)? as u64);
        // The head comes even where no event does.
        if row.try_get::<Option<i64>, _>(1)?.is_none() {
            continue;
        }
        if page.events.len() == limit || row.try_get::<Option<bool>, _>(13)? != Some(true) {
            page.more = true;
            break;
        }
        page.events.push(recorded(row, before, page.events.last())?);
        before = Some(row);
    }
    Ok(page)
}

/// The events of a page and the one behind it, each with the head. What is beyond the size of a page comes without
/// its data.
///
/// The limit is a part of the text: a plan that holds for any limit would sort instead of following the index.
fn statement(read: &Read, limit: usize) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        "select h.position as head, e.position, s.id as stream_id, e.version, e.id, e.name, e.schema_version,
                e.content_type, case when e.fits then e.data end as data, case when e.fits then e.bytes end as bytes,
                case when e.fits then e.metadata end as metadata, e.tags, e.recorded_at, e.fits
         from (select position from head limit 1) h
         left join lateral (select e.*, coalesce(sum(coalesce(octet_length(e.data), octet_length(e.bytes))) over (",
    );
    let place = match read.scope {
        Scope::Stream(_) => "version",
        Scope::Streams(_) | Scope::All(_) => "position",
    };
    let (beyond, order) = match read.direction {
        Direction::Forward => (">", "asc"),
        Direction::Backward => ("<", "desc"),
    };
    sql.push(format_args!(
        "order by e.{place} {order} rows between unbounded preceding and 1 preceding), 0) < {PAGE_BYTES} as fits
         from event e where e.{place} {beyond} "
    ));
    sql.push_bind(i64::try_from(read.cursor).unwrap_or(i64::MAX));
    match &read.scope {
        Scope::Stream(stream) => {
            sql.push(" and e.stream = (select key from stream where id = ");
            sql.push_bind(stream.to_string()).push(")");
        }
        Scope::Streams(streams) => {
            let ids: Vec<String> = streams.iter().map(ToString::to_string).collect();
            sql.push(" and e.stream in (select key from stream where id = any (");
            sql.push_bind(ids).push("))");
        }
        Scope::All(query) => and_matches(&mut sql, query),
    }
    let most = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
    sql.push(format_args!(
        " order by e.{place} {order} limit {most}) e on true
         left join stream s on s.key = e.stream
         order by e.position {order}"
    ));
    sql
}

/// `before`, `last`: the row ahead of it and what was read from that, which often has the same stream and metadata.
fn recorded(
    row: &PgRow,
    before: Option<&PgRow>,
    last: Option<&RecordedEvent>,
) -> Result<RecordedEvent, Fault> {
    let position = row.try_get::<i64, _>(1)?;
    let corrupt = |what: &dyn std::fmt::Display| {
        Fault::corrupt(format!("event at position {position}: {what}"))
    };
    let stream: &str = row.try_get(2)?;
    let stream = match last {
        Some(last) if last.stream.as_str() == stream => last.stream.clone(),
        _ => stream.parse().map_err(|error| corrupt(&error))?,
    };
    let content_type: Option<&str> = row.try_get(7)?;
    let data = match content_type {
        None => Bytes::from(row.try_get::<String, _>(8)?),
        Some(_) => Bytes::from(row.try_get::<Vec<u8>, _>(9)?),
    };
    let text: &str = row.try_get(10)?;
    let same = match before {
        Some(before) => before.try_get::<&str, _>(10)? == text,
        None => false,
    };
    let metadata = match last {
        Some(last) if same => last.metadata.clone(),
        _ => Arc::new(serde_json::from_str::<Metadata>(text).map_err(|error| corrupt(&error))?),
    };
    let tags: Option<&str> = row.try_get(11)?;
    let tags = tags.map(|tags| {
        tags.split('\n')
            .map(|tag| tag.to_owned().try_into())
            .collect()
    });
    Ok(RecordedEvent {
        position: Position::new(position as u64),
        stream,
        version: Version::new(row.try_get::<i64, _>(3)? as u64),
        id: row.try_get(4)?,
        name: Cow::Owned(row.try_get(5)?),
        schema_version: u32::try_from(row.try_get::<i64, _>(6)?)
            .map_err(|error| corrupt(&error))?,
        content_type: content_type.map_or(ContentType::Json, ContentType::from),
        data,
        tags: tags
            .transpose()
            .map_err(|error: factum::InvalidTag| corrupt(&error))?
            .unwrap_or_default(),
        metadata,
        recorded_at: Timestamp::from_micros(row.try_get(12)?),
    })
}
