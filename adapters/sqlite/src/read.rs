//! Reading of pages, each from one snapshot of the file.

use factum_core::position::Position;
use factum_core::read::{Direction, Page, Read, Scope};
use factum_core::stream_id::StreamId;
use rusqlite::Connection;

use crate::error::BackendError;
use crate::query::SqlBuilder;
use crate::record::{COLUMNS, RecordDecoder};

/// Returns the position of the last event.
pub fn head(connection: &Connection) -> Result<Position, BackendError> {
    let sql = "select coalesce(max(position), 0) from factum_event";
    let mut statement = connection.prepare_cached(sql)?;
    let head: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(Position::new(head as u64))
}

/// Reads a page; must run in a transaction.
pub fn page(connection: &Connection, read: &Read) -> Result<Page, BackendError> {
    let head = head(connection)?;
    let limit = read.limit.max(1);
    let only = match &read.scope {
        Scope::Stream(stream) => Some(stream.clone()),
        Scope::Streams(_) | Scope::All(_) => None,
    };
    let mut decoder = RecordDecoder::new(connection, only);
    let (mut events, mut bytes, mut more) = (Vec::new(), 0, false);
    statement(read, limit)?.for_each(connection, |row| {
        if events.len() == limit || bytes >= read.max_bytes {
            more = true;
            return Ok(false);
        }
        let event = decoder.decode(row)?;
        bytes += event.size();
        events.push(event);
        Ok(true)
    })?;
    Ok(Page { events, head, more })
}

/// Builds the statement for the events of a page and the one after it.
fn statement(read: &Read, limit: usize) -> Result<SqlBuilder, BackendError> {
    let mut sql = SqlBuilder::default();
    sql.push("select ")
        .push(COLUMNS)
        .push(" from factum_event e where ");
    let cursor = i64::try_from(read.cursor).unwrap_or(i64::MAX);
    match &read.scope {
        Scope::Stream(stream) => {
            sql.push("e.stream = (select key from factum_stream where id = ")
                .bind(stream.as_str().to_owned())
                .push(") and ");
            push_cursor(&mut sql, read.direction, "e.version", cursor);
        }
        Scope::Streams(streams) => {
            let streams: Vec<&str> = streams.iter().map(StreamId::as_str).collect();
            let streams = serde_json::to_string(&streams).map_err(BackendError::corrupt)?;
            // The subquery sorts positions instead of whole events.
            sql.push(
                "e.position in (
                    select e.position
                    from factum_event e
                    where e.stream in (
                        select key from factum_stream where id in (select value from json_each(",
            )
            .bind(streams)
            .push("))) and ");
            push_cursor(&mut sql, read.direction, "e.position", cursor);
            push_order(&mut sql, read.direction, "e.position", limit);
            sql.push(")");
        }
        Scope::All(query) => {
            push_cursor(&mut sql, read.direction, "e.position", cursor);
            sql.push_query(query)?;
        }
    }
    let column = match &read.scope {
        Scope::Stream(_) => "e.version",
        Scope::Streams(_) | Scope::All(_) => "e.position",
    };
    push_order(&mut sql, read.direction, column, limit);
    Ok(sql)
}

fn push_cursor(sql: &mut SqlBuilder, direction: Direction, column: &'static str, cursor: i64) {
    sql.push(column).push(match direction {
        Direction::Forward => " > ",
        Direction::Backward => " < ",
    });
    sql.bind(cursor);
}

fn push_order(sql: &mut SqlBuilder, direction: Direction, column: &'static str, limit: usize) {
    sql.push(" order by ").push(column).push(match direction {
        Direction::Forward => " asc limit ",
        Direction::Backward => " desc limit ",
    });
    sql.bind(i64::try_from(limit).unwrap_or(i64::MAX - 1));
    // SQLite would prepare a statement again for each value of a bare parameter as the limit.
    sql.push(" + 1");
}
