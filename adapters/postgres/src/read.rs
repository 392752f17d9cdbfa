//! Reading of pages, each in one statement that returns one row.

use bytes::Bytes;
use factum_core::position::Position;
use factum_core::read::{Direction, MAX_PAGE, MAX_PAGE_BYTES, Page, Read, Scope};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, QueryBuilder, Row as _, ValueRef as _};

use crate::error::BackendError;
use crate::event_row::{self, EventRow, PACK_EVENTS};
use crate::query::push_query;
use crate::record::{self, PageStreams};
use crate::stream_ids::StreamIds;

/// The maximum size of a small event in any page; a page of small events stays below the maximum.
pub const SMALL_EVENT_BYTES: usize = MAX_PAGE_BYTES / MAX_PAGE;
/// The maximum size of small events together, as a multiple of the size at which a page ends.
const SMALL_EVENTS: usize = 4;
/// The SQL expression for the size of the columns whose size varies.
pub const SIZE: &str = "(coalesce(octet_length(e.data), octet_length(e.bytes))
    + octet_length(e.metadata) + coalesce(octet_length(e.tags), 0))";

/// The encoded events of a page.
pub struct PackedPage {
    pub head: Position,
    count: usize,
    packed: Bytes,
}

/// The rule by which a row includes its data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SizeLimit {
    /// The event is small.
    SmallEvents,
    /// The events before it do not fill the page.
    PageBytes,
}

pub async fn page(
    connection: &mut PgConnection,
    stream_ids: &StreamIds,
    read: &Read,
) -> Result<Page, BackendError> {
    // Adding up the sizes takes as long as reading, and most events are small.
    let page = fetch(connection, read, SizeLimit::SmallEvents).await?;
    let rows = page.rows()?;
    if rows.iter().all(|row| row.fits) {
        return resolve(connection, stream_ids, read, (&page, &rows)).await;
    }
    let page = fetch(connection, read, SizeLimit::PageBytes).await?;
    let rows = page.rows()?;
    resolve(connection, stream_ids, read, (&page, &rows)).await
}

/// Decodes a page, after loading the ids of its streams.
async fn resolve(
    connection: &mut PgConnection,
    stream_ids: &StreamIds,
    read: &Read,
    (page, rows): (&PackedPage, &[EventRow<'_>]),
) -> Result<Page, BackendError> {
    let streams = match &read.scope {
        Scope::Stream(stream) => PageStreams::One(stream),
        _ => {
            let keys = rows.iter().map(|row| row.stream);
            PageStreams::Many(stream_ids.resolve(connection, keys).await?)
        }
    };
    page.decode(rows, read, &streams)
}

impl PackedPage {
    /// Reads the columns head, count and packed events of `row`.
    pub fn from_row(row: &PgRow) -> Result<Self, BackendError> {
        let head = row.try_get::<Option<i64>, _>(0)?;
        let head = head.and_then(|head| u64::try_from(head).ok());
        let packed = row.try_get_raw(2)?;
        Ok(Self {
            head: Position::new(head.ok_or_else(|| BackendError::corrupt("no head"))?),
            count: row.try_get::<i64, _>(1)? as usize,
            packed: match packed.is_null() {
                true => Bytes::new(),
                false => Bytes::copy_from_slice(packed.as_bytes().map_err(BackendError::corrupt)?),
            },
        })
    }

    /// Returns all rows of the page.
    pub fn rows(&self) -> Result<Vec<EventRow<'_>>, BackendError> {
        let rows = event_row::decode(&self.packed)?;
        match rows.len() == self.count {
            true => Ok(rows),
            false => Err(BackendError::corrupt(format!(
                "truncated page: {} of {} events",
                rows.len(),
                self.count
            ))),
        }
    }

    /// Decodes the leading `rows` that include their data, up to the limit of `read`.
    pub fn decode(
        &self,
        rows: &[EventRow<'_>],
        read: &Read,
        streams: &PageStreams<'_>,
    ) -> Result<Page, BackendError> {
        let limited = rows.iter().take(read.limit.max(1));
        let fit = limited.take_while(|row| row.fits).count();
        let mut events = record::decode(&self.packed, &rows[..fit], streams)?;
        let mut bytes = 0;
        let full = events.iter().position(|event| {
            bytes += event.size();
            bytes >= read.max_bytes
        });
        events.truncate(full.map_or(fit, |full| full + 1));
        Ok(Page {
            more: events.len() < rows.len(),
            events,
            head: self.head,
        })
    }
}

async fn fetch(
    connection: &mut PgConnection,
    read: &Read,
    size_limit: SizeLimit,
) -> Result<PackedPage, BackendError> {
    let mut statement = statement(read, size_limit);
    let row = statement.build().fetch_one(connection).await?;
    PackedPage::from_row(&row)
}

/// Builds the statement for the events of a page and the one after it.
///
/// Events beyond the size limit come without their data. The row limit is part of the text, because a plan for an
/// unknown limit would sort instead of following the index.
fn statement(read: &Read, size_limit: SizeLimit) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("select (select position from head limit 1), count(*), ");
    sql.push(PACK_EVENTS);
    let column = match read.scope {
        Scope::Stream(_) => "version",
        Scope::Streams(_) | Scope::All(_) => "position",
    };
    let (comparison, order) = match read.direction {
        Direction::Forward => (">", "asc"),
        Direction::Backward => ("<", "desc"),
    };
    sql.push(" from (select e.*, ");
    match size_limit {
        SizeLimit::SmallEvents => {
            let small = (SMALL_EVENTS * read.max_bytes / read.limit.max(1)).min(SMALL_EVENT_BYTES);
            sql.push(format_args!("{SIZE} <= {small} as fits"))
        }
        SizeLimit::PageBytes => sql.push(format_args!(
            "coalesce(sum({SIZE}) over (order by e.{column} {order} rows between unbounded preceding and 1 preceding), 0)
             < {} as fits",
            read.max_bytes
        )),
    };
    sql.push(format_args!(" from event e where e.{column} {comparison} "));
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
        Scope::All(query) => push_query(&mut sql, query),
    }
    let limit = i64::try_from(read.limit.max(1)).unwrap_or(i64::MAX - 1) + 1;
    sql.push(format_args!(
        " order by e.{column} {order} limit {limit}) e"
    ));
    sql
}
