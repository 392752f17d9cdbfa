//! [`WriterCache`]: the writer's copy of the head and of the versions of streams.

use std::collections::HashMap;

use factum_core::append::Append;
use factum_core::position::Position;
use factum_core::stream_id::StreamId;
use quick_cache::unsync::Cache;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::database_append::{BatchOutcome, encode_condition};
use crate::error::BackendError;
use crate::stream_state::StreamState;

const CAPACITY: usize = 65_536;

/// The writer's copy of the head and of the versions of streams.
///
/// It is valid as long as the head of the database is the same, that is, as long as no other process appends.
pub struct WriterCache {
    /// Set if no other process has appended lately, so that using the cache pays.
    sole_writer: bool,
    pub head: Position,
    streams: Cache<StreamId, StreamState>,
}

impl WriterCache {
    pub fn new(head: Position) -> Self {
        Self {
            sole_writer: false,
            head,
            streams: Cache::new(CAPACITY),
        }
    }

    /// Returns whether checking `appends` with this cache is faster than letting the database check them.
    pub fn pays_for(&self, appends: &[&Append]) -> bool {
        let is_cached = |append: &&Append| {
            let mut streams = append.streams.iter().map(|part| &part.stream);
            streams.all(|stream| self.streams.peek(stream).is_some())
        };
        self.sole_writer && (appends.len() > 2 || appends.iter().all(is_cached))
    }

    /// Adds the outcome of appends that the database has checked.
    pub fn add(&mut self, outcome: &BatchOutcome) {
        match outcome.head_before == self.head {
            true => self.sole_writer = true,
            false => self.invalidate(),
        }
        let streams = outcome.streams.iter().cloned();
        self.commit(outcome.head, streams);
    }

    /// Sets the head and the states of `streams` after a commit of this process.
    pub fn commit(
        &mut self,
        head: Position,
        streams: impl IntoIterator<Item = (StreamId, StreamState)>,
    ) {
        self.head = head;
        for (id, stream) in streams {
            self.streams.insert(id, stream);
        }
    }

    /// Removes all streams, because another process has appended.
    pub fn invalidate(&mut self) {
        self.sole_writer = false;
        self.streams.clear();
    }

    /// Returns the states of the streams `ids`, and loads the states that are not cached.
    ///
    /// The ids must be distinct. Returns `None` and invalidates the cache if the head has moved.
    pub async fn load_streams<'a>(
        &mut self,
        connection: &mut PgConnection,
        ids: &[&'a StreamId],
    ) -> Result<Option<HashMap<&'a StreamId, StreamState>>, BackendError> {
        let mut states = HashMap::with_capacity(ids.len());
        let mut missing: Vec<&StreamId> = Vec::new();
        for id in ids {
            let cached = self.streams.get(*id).copied();
            if cached.is_none() {
                missing.push(id);
            }
            states.insert(*id, cached.unwrap_or(StreamState::ABSENT));
        }
        if missing.is_empty() {
            return Ok(Some(states));
        }
        let names: Vec<&str> = missing.iter().map(|id| id.as_str()).collect();
        let rows = sqlx::query(include_str!("sql/load_streams.sql"))
            .bind(&names)
            .fetch_all(connection)
            .await?;
        for row in rows {
            if row.try_get::<i64, _>("head")? as u64 != self.head.get() {
                self.invalidate();
                return Ok(None);
            }
            let Some(id) = row.try_get::<Option<&str>, _>("id")? else {
                continue;
            };
            let id: StreamId = id.parse().map_err(BackendError::corrupt)?;
            let loaded = StreamState {
                key: Some(row.try_get("key")?),
                version: row.try_get::<i64, _>("version")? as u64,
                last_event: None,
            };
            if let Some(state) = states.get_mut(&id) {
                *state = loaded;
            }
        }
        // Also streams that do not exist, so that they are not looked up again.
        for id in missing {
            self.streams.insert(id.clone(), states[id]);
        }
        Ok(Some(states))
    }

    /// Returns for each append the newest stored event that violates its condition.
    ///
    /// Returns `None` and invalidates the cache if the head has moved.
    pub async fn newest_matches(
        &mut self,
        connection: &mut PgConnection,
        appends: &[&Append],
    ) -> Result<Option<Vec<Option<Position>>>, BackendError> {
        let mut newest = vec![None; appends.len()];
        let to_check = |append: &&Append| {
            let condition = append.condition.as_ref()?;
            (condition.after < self.head).then(|| encode_condition(condition))
        };
        let conditions = appends.iter().map(to_check).enumerate();
        let (indexes, conditions): (Vec<usize>, Vec<String>) = conditions
            .filter_map(|(index, condition)| Some((index, condition?)))
            .unzip();
        if indexes.is_empty() {
            return Ok(Some(newest));
        }
        let rows = sqlx::query(include_str!("sql/newest_matches.sql"))
            .bind(conditions)
            .fetch_all(connection)
            .await?;
        for (row, index) in rows.iter().zip(indexes) {
            if row.try_get::<i64, _>("head")? as u64 != self.head.get() {
                self.invalidate();
                return Ok(None);
            }
            let position: Option<i64> = row.try_get("newest")?;
            newest[index] = position.map(|position| Position::new(position as u64));
        }
        Ok(Some(newest))
    }
}
