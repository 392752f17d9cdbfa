//! A page, in one statement that answers with one row.

use bytes::Bytes;
use factum::{Direction, Page, Position, Read, Scope};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, QueryBuilder, Row as _, ValueRef as _};

use crate::error::Fault;
use crate::names::Names;
use crate::packed::{self, PACKED, Row};
use crate::query::and_matches;
use crate::recorded::{self, Streams};

/// The data in one page have about this many bytes at most, and one event at least.
const PAGE_BYTES: i64 = 16 * 1024 * 1024;
/// A page of events no larger than this has not too many bytes, whatever is in it.
pub(crate) const SMALL: i64 = PAGE_BYTES / 1_000;

/// Events as they came from the server.
pub(crate) struct Found {
    pub(crate) head: Position,
    pub(crate) count: usize,
    pub(crate) packed: Bytes,
}

/// What the page may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// Events that are small.
    Small,
    /// As many as have room.
    Room,
}

pub(crate) async fn page(
    connection: &mut PgConnection,
    names: &Names,
    read: &Read,
) -> Result<Page, Fault> {
    // To add up sizes takes as long as to read, and most events are small.
    let found = find(connection, read, Bound::Small).await?;
    let rows = rows_of(&found)?;
    if rows.iter().all(|row| row.fits) {
        return made(connection, names, read, (&found, &rows)).await;
    }
    let found = find(connection, read, Bound::Room).await?;
    let rows = rows_of(&found)?;
    made(connection, names, read, (&found, &rows)).await
}

async fn made(
    connection: &mut PgConnection,
    names: &Names,
    read: &Read,
    (found, rows): (&Found, &[Row<'_>]),
) -> Result<Page, Fault> {
    let streams = match &read.scope {
        Scope::Stream(stream) => Streams::One(stream),
        _ => {
            let keys = rows.iter().map(|row| row.stream);
            Streams::Many(names.of(connection, keys).await?)
        }
    };
    page_of(found, rows, (read, &streams))
}

/// The page of those events that come first and fit.
pub(crate) fn page_of(
    found: &Found,
    rows: &[Row<'_>],
    (read, streams): (&Read, &Streams<'_>),
) -> Result<Page, Fault> {
    let limited = rows.iter().take(read.limit.max(1));
    let fit = limited.take_while(|row| row.fits).count();
    Ok(Page {
        events: recorded::events(&found.packed, &rows[..fit], streams)?,
        head: found.head,
        more: fit < rows.len(),
    })
}

/// The events in `found`, all of them.
pub(crate) fn rows_of(found: &Found) -> Result<Vec<Row<'_>>, Fault> {
    let rows = packed::rows(&found.packed)?;
    match rows.len() == found.count {
        true => Ok(rows),
        false => Err(Fault::corrupt(format!(
            "{} of {} events in a page",
            rows.len(),
            found.count
        ))),
    }
}

async fn find(connection: &mut PgConnection, read: &Read, bound: Bound) -> Result<Found, Fault> {
    let row = statement(read, bound).build().fetch_one(connection).await?;
    found(&row)
}

/// The columns head, count, packed.
pub(crate) fn found(row: &PgRow) -> Result<Found, Fault> {
    let head = row.try_get::<Option<i64>, _>(0)?;
    let head = head.and_then(|head| u64::try_from(head).ok());
    let packed = row.try_get_raw(2)?;
    Ok(Found {
        head: Position::new(head.ok_or_else(|| Fault::corrupt("no head"))?),
        count: row.try_get::<i64, _>(1)? as usize,
        packed: match packed.is_null() {
            true => Bytes::new(),
            false => Bytes::copy_from_slice(packed.as_bytes().map_err(Fault::corrupt)?),
        },
    })
}

/// The events of a page and the one behind it. What is beyond the bound comes without its data.
///
/// The limit is a part of the text: a plan that holds for any limit would sort instead of following the index.
fn statement(read: &Read, bound: Bound) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("select (select position from head limit 1), count(*), ");
    sql.push(PACKED);
    let place = match read.scope {
        Scope::Stream(_) => "version",
        Scope::Streams(_) | Scope::All(_) => "position",
    };
    let (beyond, order) = match read.direction {
        Direction::Forward => (">", "asc"),
        Direction::Backward => ("<", "desc"),
    };
    let size = "coalesce(octet_length(e.data), octet_length(e.bytes))";
    sql.push(" from (select e.*, ");
    match bound {
        Bound::Small => sql.push(format_args!("{size} <= {SMALL} as fits")),
        Bound::Room => sql.push(format_args!(
            "coalesce(sum({size}) over (order by e.{place} {order} rows between unbounded preceding and 1 preceding), 0)
             < {PAGE_BYTES} as fits"
        )),
    };
    sql.push(format_args!(" from event e where e.{place} {beyond} "));
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
    let most = i64::try_from(read.limit.max(1)).unwrap_or(i64::MAX - 1) + 1;
    sql.push(format_args!(" order by e.{place} {order} limit {most}) e"));
    sql
}
