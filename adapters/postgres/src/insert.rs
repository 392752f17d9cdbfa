//! [`NewRows`]: the rows of a batch for all tables, inserted by one statement.

use factum_core::position::Position;
use factum_core::timestamp::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::document::ChangeColumns;
use crate::error::BackendError;
use crate::event_columns::EventColumns;

/// The array arguments of `insert.sql` and `insert_events.sql`.
#[derive(Default)]
pub struct NewRows {
    pub stream_keys: Vec<i64>,
    pub stream_ids: Vec<String>,
    pub event_streams: Vec<i64>,
    pub versions: Vec<i64>,
    pub events: EventColumns,
    pub tags: Vec<String>,
    pub tag_positions: Vec<i64>,
    pub keys: Vec<Vec<u8>>,
    pub fingerprints: Vec<Uuid>,
    pub key_positions: Vec<i64>,
    pub counts: Vec<i64>,
    pub changes: ChangeColumns,
}

impl NewRows {
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.keys.is_empty() && self.changes.is_empty()
    }

    /// Inserts the rows if the head is `head_before`, and sets it to `head`.
    ///
    /// Returns the time of the events, or `None` if the head has moved and nothing was stored.
    pub async fn insert(
        self,
        connection: &mut PgConnection,
        (head_before, head): (Position, Position),
    ) -> Result<Option<Timestamp>, BackendError> {
        let has_changes = !self.changes.is_empty();
        let only_events =
            self.stream_keys.is_empty() && self.tags.is_empty() && self.keys.is_empty();
        let sql = match (only_events, has_changes) {
            (true, false) => concat!(include_str!("sql/insert_events.sql"), "from moved"),
            (false, false) => concat!(include_str!("sql/insert.sql"), "from moved"),
            // `moved` has one row or none, so `must_change` is called at most once.
            (true, true) => concat!(
                include_str!("sql/insert_events.sql"),
                ", must_change($13, $14, $15, $16) as revision from moved"
            ),
            (false, true) => concat!(
                include_str!("sql/insert.sql"),
                ", must_change($21, $22, $23, $24) as revision from moved"
            ),
        };
        let mut statement = sqlx::query(sql)
            .bind(head_before.get() as i64)
            .bind(head.get() as i64);
        if !only_events {
            statement = statement.bind(self.stream_keys).bind(self.stream_ids);
        }
        statement = statement.bind(self.event_streams).bind(self.versions);
        statement = self.events.bind(statement);
        if !only_events {
            statement = statement
                .bind(self.tags)
                .bind(self.tag_positions)
                .bind(self.keys)
                .bind(self.fingerprints)
                .bind(self.key_positions)
                .bind(self.counts);
        }
        if has_changes {
            statement = self.changes.bind(statement);
        }
        let Some(row) = statement.fetch_optional(connection).await? else {
            return Ok(None);
        };
        Ok(Some(Timestamp::from_micros(row.try_get("recorded_at")?)))
    }
}
