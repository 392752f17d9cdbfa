//! A page, in one statement and one row: the driver pays for each row.

use factum::{Direction, Page, Position, Read, RecordedEvent, Scope, StreamId};
use sqlx::{Row as _, SqliteConnection};

use crate::error::Fault;
use crate::packed;
use crate::query::Sql;

/// The data in one page have about this many bytes at most, and one event at least.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

const HEAD: &str = "select coalesce((select max(position) from factum_event), 0), ";

/// A JSON array of the columns that [`packed`] takes.
const PACKED: &str = "json_group_array(json_array(
    e.position, s.id, e.version, e.id, e.name, e.schema_version, e.content_type,
    iif(e.content_type is null, e.data, hex(e.data)), e.metadata, e.tags, e.recorded_at
))";

/// An event whose stream is missing is there all the same: it is an error, not an event less.
const EVENTS: &str = "
    cross join factum_event e on e.position = page.position
    left join factum_stream s on s.key = e.stream";

pub(crate) async fn page(connection: &mut SqliteConnection, read: &Read) -> Result<Page, Fault> {
    match whole(connection, read).await {
        Err(fault) if fault.is_of_the_data() => Err(locate(connection, read, fault).await?),
        done => done,
    }
}

/// `fault` with the position of the event that has it: each is read by itself.
async fn locate(
    connection: &mut SqliteConnection,
    read: &Read,
    fault: Fault,
) -> Result<Fault, Fault> {
    let mut sql = Sql::default();
    positions(&mut sql, read, read.limit.max(1))?;
    for row in sql.fetch_all(connection).await? {
        let position: i64 = row.try_get(0)?;
        if let Err(fault) = alone(connection, position).await {
            let what = format!("event at position {position}: {fault}");
            return Ok(Fault::corrupt(what));
        }
    }
    Ok(fault)
}

async fn alone(connection: &mut SqliteConnection, position: i64) -> Result<(), Fault> {
    let mut sql = Sql::default();
    sql.push("select ").push(PACKED).push(" from (select ");
    sql.bind(position)?.push(" as position) page").push(EVENTS);
    let row = sql.fetch_one(connection).await?;
    packed::unpack(row.try_get(0)?).map(drop)
}

async fn whole(connection: &mut SqliteConnection, read: &Read) -> Result<Page, Fault> {
    let limit = read.limit.max(1);
    let found = match small(connection, read, limit).await? {
        Some(found) => found,
        None => large(connection, read, limit).await?,
    };
    let Found {
        head,
        count,
        mut events,
    } = found;
    let more = count > limit || count > events.len();
    match read.direction {
        Direction::Forward => events.sort_by_key(|event| event.position),
        Direction::Backward => events.sort_by_key(|event| std::cmp::Reverse(event.position)),
    }
    events.truncate(limit);
    Ok(Page { events, head, more })
}

struct Found {
    head: Position,
    /// How many events there are, at most one more than the limit; not all of them may be in `events`.
    count: usize,
    events: Vec<RecordedEvent>,
}

/// The page, unless an event is so large that a page of such events would be too large.
async fn small(
    connection: &mut SqliteConnection,
    read: &Read,
    limit: usize,
) -> Result<Option<Found>, Fault> {
    let most = (PAGE_BYTES / (limit + 1)) as i64;
    let mut sql = Sql::default();
    sql.push(HEAD)
        .push("count(*), count(*) filter (where octet_length(e.data) > ");
    sql.bind(most)?.push("), ").push(PACKED);
    sql.push(" filter (where octet_length(e.data) <= ");
    sql.bind(most)?.push(") from (");
    positions(&mut sql, read, limit)?;
    sql.push(") page").push(EVENTS);
    let row = sql.fetch_one(connection).await?;
    let too_large: i64 = row.try_get(2)?;
    if too_large > 0 {
        return Ok(None);
    }
    Ok(Some(Found {
        head: Position::new(row.try_get::<i64, _>(0)? as u64),
        count: row.try_get::<i64, _>(1)? as usize,
        events: packed::unpack(row.try_get(3)?)?,
    }))
}

/// The page, cut where its data come to [`PAGE_BYTES`]. Costs a table of its own, so it comes second.
async fn large(
    connection: &mut SqliteConnection,
    read: &Read,
    limit: usize,
) -> Result<Found, Fault> {
    let mut sql = Sql::default();
    sql.push("with page as materialized (");
    positions(&mut sql, read, limit)?;
    sql.push(
        "), sized as (
            select position, sum(octet_length(data)) over (order by position",
    );
    sql.push(match read.direction {
        Direction::Forward => "",
        Direction::Backward => " desc",
    });
    sql.push(
        " rows between unbounded preceding and 1 preceding) as ahead
            from page cross join factum_event using (position)
        ) ",
    );
    sql.push(HEAD)
        .push("(select count(*) from page), ")
        .push(PACKED);
    sql.push(" from sized page")
        .push(EVENTS)
        .push(" where coalesce(page.ahead, 0) < ");
    sql.bind(PAGE_BYTES as i64)?;
    let row = sql.fetch_one(connection).await?;
    Ok(Found {
        head: Position::new(row.try_get::<i64, _>(0)? as u64),
        count: row.try_get::<i64, _>(1)? as usize,
        events: packed::unpack(row.try_get(2)?)?,
    })
}

/// The positions of the page and, if there is one, of the next event.
fn positions(sql: &mut Sql, read: &Read, limit: usize) -> Result<(), Fault> {
    sql.push("select e.position from factum_event e where ");
    scope(sql, &read.scope)?;
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
    sql.bind(i64::try_from(limit).unwrap_or(i64::MAX - 1))?;
    // A bare parameter as the limit makes SQLite prepare the statement again for each value.
    sql.push(" + 1");
    Ok(())
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
