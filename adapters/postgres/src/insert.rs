//! [`Rows`]: rows into each table, in one statement.

use factum::document::Revision;
use factum::{Position, Timestamp};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::document::Columns;
use crate::error::Fault;
use crate::rows::EventRows;

/// The arrays that `insert.sql` takes, or `insert_plain.sql`.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) stream_keys: Vec<i64>,
    pub(crate) stream_ids: Vec<String>,
    pub(crate) event_streams: Vec<i64>,
    pub(crate) versions: Vec<i64>,
    pub(crate) events: EventRows,
    pub(crate) tags: Vec<String>,
    pub(crate) tag_positions: Vec<i64>,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) fingerprints: Vec<Uuid>,
    pub(crate) key_positions: Vec<i64>,
    pub(crate) counts: Vec<i64>,
    pub(crate) documents: Columns,
}

impl Rows {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.keys.is_empty() && self.documents.is_empty()
    }

    /// When they were recorded, and the revision of the documents that have changed; `None`: the head was not `committed` any
    /// more, nothing was stored.
    pub(crate) async fn insert(
        self,
        connection: &mut PgConnection,
        (committed, head): (Position, Position),
    ) -> Result<Option<(Timestamp, Revision)>, Fault> {
        let changes = !self.documents.is_empty();
        let plain = self.stream_keys.is_empty() && self.tags.is_empty() && self.keys.is_empty();
        let sql = match (plain, changes) {
            (true, false) => concat!(include_str!("sql/insert_plain.sql"), "from moved"),
            (false, false) => concat!(include_str!("sql/insert.sql"), "from moved"),
            // Of each row that has moved the head, which is one or none.
            (true, true) => concat!(
                include_str!("sql/insert_plain.sql"),
                ", must_change($13, $14, $15, $16) as revision from moved"
            ),
            (false, true) => concat!(
                include_str!("sql/insert.sql"),
                ", must_change($21, $22, $23, $24) as revision from moved"
            ),
        };
        let mut statement = sqlx::query(sql)
            .bind(committed.get() as i64)
            .bind(head.get() as i64);
        if !plain {
            statement = statement.bind(self.stream_keys).bind(self.stream_ids);
        }
        statement = statement.bind(self.event_streams).bind(self.versions);
        statement = self.events.bind(statement);
        if !plain {
            statement = statement
                .bind(self.tags)
                .bind(self.tag_positions)
                .bind(self.keys)
                .bind(self.fingerprints)
                .bind(self.key_positions)
                .bind(self.counts);
        }
        if changes {
            statement = self.documents.bind(statement);
        }
        let Some(row) = statement.fetch_optional(connection).await? else {
            return Ok(None);
        };
        let revision: i64 = match changes {
            true => row.try_get("revision")?,
            false => 0,
        };
        let recorded_at = Timestamp::from_micros(row.try_get("recorded_at")?);
        Ok(Some((recorded_at, Revision::new(revision as u64))))
    }
}
