//! A page, in one statement and one row.

use factum::{Direction, Page, Position, Read, Scope, StreamId};
use sqlx::{Row as _, SqliteConnection};

use crate::error::Fault;
use crate::packed;
use crate::query::Sql;

/// The data in one page have about this many bytes at most, and one event at least.
const PAGE_BYTES: i64 = 16 * 1024 * 1024;

pub(crate) async fn page(connection: &mut SqliteConnection, read: &Read) -> Result<Page, Fault> {
    let row = statement(read)?.fetch_one(connection).await?;
    let head: i64 = row.try_get(0)?;
    let found: i64 = row.try_get(1)?;
    let mut events = packed::unpack(row.try_get(2)?)?;
    let limit = read.limit.max(1);
    let more = found as usize > limit || (found as usize) > events.len();
    events.truncate(limit);
    Ok(Page {
        events,
        head: Position::new(head as u64),
        more,
    })
}

/// Head, number of events that were found (at most one more than the limit), and the events in one text:
/// the driver pays for each row.
fn statement(read: &Read) -> Result<Sql, Fault> {
    let mut sql = Sql::default();
    sql.push(
        "with page as materialized (
            select e.position, octet_length(e.data) as bytes
            from factum_event e
            where ",
    );
    scope(&mut sql, &read.scope)?;
    let cursor = i64::try_from(read.cursor).unwrap_or(i64::MAX);
    let place = match read.scope {
        Scope::Stream(_) => "e.version",
        Scope::Streams(_) | Scope::All(_) => "e.position",
    };
    let (beyond, order) = match read.direction {
        Direction::Forward => (" > ", " asc limit "),
        Direction::Backward => (" < ", " desc limit "),
    };
    sql.push(place).push(beyond).bind(cursor)?;
    if let Scope::All(query) = &read.scope {
        sql.and_matches(query)?;
    }
    sql.push(" order by ").push(place).push(order);
    sql.bind(i64::try_from(read.limit.max(1)).unwrap_or(i64::MAX - 1) + 1)?;
    sql.push(
        "), sized as (
            select position, sum(bytes) over (order by position",
    );
    sql.push(match read.direction {
        Direction::Forward => "",
        Direction::Backward => " desc",
    });
    sql.push(
        " rows between unbounded preceding and 1 preceding) as ahead
            from page
        )
        select coalesce((select max(position) from factum_event), 0),
               (select count(*) from page),
               json_group_array(json_array(
                   e.position, s.id, e.version, e.id, e.name, e.schema_version, e.content_type,
                   iif(e.content_type is null, e.data, hex(e.data)), e.metadata, e.tags, e.recorded_at
               ))
        from sized
        cross join factum_event e on e.position = sized.position
        cross join factum_stream s on s.key = e.stream
        where coalesce(sized.ahead, 0) < ",
    );
    sql.bind(PAGE_BYTES)?;
    Ok(sql)
}

/// Ends with `and` where it says anything.
fn scope(sql: &mut Sql, scope: &Scope) -> Result<(), Fault> {
    match scope {
        Scope::Stream(stream) => {
            sql.push("e.stream = (select key from factum_stream where id = ");
            sql.bind(stream.as_str())?.push(") and ");
        }
        Scope::Streams(streams) => {
            let streams: Vec<&str> = streams.iter().map(StreamId::as_str).collect();
            let streams = serde_json::to_string(&streams).map_err(Fault::corrupt)?;
            sql.push(
                "e.stream in (select key from factum_stream where id in (select value from json_each(",
            );
            sql.bind(streams)?.push("))) and ");
        }
        Scope::All(_) => {}
    }
    Ok(())
}
