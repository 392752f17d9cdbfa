//! A page, as one snapshot of the file.

use factum::{Direction, Page, Position, Read, Scope, StreamId};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::error::Fault;
use crate::query::Sql;
use crate::record::{COLUMNS, DATA, Records};

/// The data in one page have about this many bytes at most, and one event at least.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// The position of the newest event.
pub(crate) fn head(connection: &Connection) -> Result<Position, Fault> {
    let sql = "select coalesce(max(position), 0) from factum_event";
    let mut statement = connection.prepare_cached(sql)?;
    let head: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(Position::new(head as u64))
}

/// Within a transaction.
pub(crate) fn page(connection: &Connection, read: &Read) -> Result<Page, Fault> {
    let head = head(connection)?;
    let limit = read.limit.max(1);
    let only = match &read.scope {
        Scope::Stream(stream) => Some(stream.clone()),
        Scope::Streams(_) | Scope::All(_) => None,
    };
    let mut records = Records::new(connection, only);
    let (mut events, mut bytes, mut more) = (Vec::new(), 0, false);
    statement(read, limit)?.each(connection, |row| {
        if events.len() == limit || bytes >= PAGE_BYTES {
            more = true;
            return Ok(false);
        }
        bytes += size(row)?;
        events.push(records.take(row)?);
        Ok(true)
    })?;
    Ok(Page { events, head, more })
}

fn size(row: &Row<'_>) -> Result<usize, Fault> {
    Ok(match row.get_ref(DATA)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        _ => 0,
    })
}

/// The events of the page in their order and, if there is one, the next.
fn statement(read: &Read, limit: usize) -> Result<Sql, Fault> {
    let mut sql = Sql::default();
    sql.push("select ")
        .push(COLUMNS)
        .push(" from factum_event e where ");
    let cursor = i64::try_from(read.cursor).unwrap_or(i64::MAX);
    match &read.scope {
        Scope::Stream(stream) => {
            sql.push("e.stream = (select key from factum_stream where id = ")
                .bind(stream.as_str().to_owned())
                .push(") and ");
            span(&mut sql, read.direction, "e.version", cursor);
        }
        Scope::Streams(streams) => {
            let streams: Vec<&str> = streams.iter().map(StreamId::as_str).collect();
            let streams = serde_json::to_string(&streams).map_err(Fault::corrupt)?;
            // What is sorted are positions, not events.
            sql.push("e.position in (select e.position from factum_event e where e.stream in (select key from factum_stream where id in (select value from json_each(")
                .bind(streams)
                .push("))) and ");
            span(&mut sql, read.direction, "e.position", cursor);
            order(&mut sql, read.direction, "e.position", limit);
            sql.push(")");
        }
        Scope::All(query) => {
            span(&mut sql, read.direction, "e.position", cursor);
            sql.and_matches(query)?;
        }
    }
    let place = match &read.scope {
        Scope::Stream(_) => "e.version",
        Scope::Streams(_) | Scope::All(_) => "e.position",
    };
    order(&mut sql, read.direction, place, limit);
    Ok(sql)
}

fn span(sql: &mut Sql, direction: Direction, place: &'static str, cursor: i64) {
    sql.push(place).push(match direction {
        Direction::Forward => " > ",
        Direction::Backward => " < ",
    });
    sql.bind(cursor);
}

fn order(sql: &mut Sql, direction: Direction, place: &'static str, limit: usize) {
    sql.push(" order by ").push(place).push(match direction {
        Direction::Forward => " asc limit ",
        Direction::Backward => " desc limit ",
    });
    sql.bind(i64::try_from(limit).unwrap_or(i64::MAX - 1));
    // A bare parameter as the limit makes SQLite prepare the statement again for each value.
    sql.push(" + 1");
}
