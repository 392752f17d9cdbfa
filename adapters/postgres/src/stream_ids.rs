//! [`StreamIds`]: a cache of stream ids by their integer keys.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use factum_core::stream_id::StreamId;
use quick_cache::unsync::Cache;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::error::BackendError;

const CAPACITY: usize = 65_536;

/// A cache of stream ids by their integer keys.
///
/// Key and id of a stream never change, so a cached id saves the join for each event.
pub struct StreamIds(Mutex<Cache<i64, StreamId>>);

impl StreamIds {
    pub fn new() -> Self {
        Self(Mutex::new(Cache::new(CAPACITY)))
    }

    /// Removes all entries.
    ///
    /// Call it after a rollback: streams that were read inside of the transaction may not exist.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the stream ids of `keys`, as far as they exist.
    pub async fn resolve(
        &self,
        connection: &mut PgConnection,
        keys: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, StreamId>, BackendError> {
        let mut ids = HashMap::new();
        let missing = self.add_cached(keys, &mut ids);
        if missing.is_empty() {
            return Ok(ids);
        }
        let rows = sqlx::query("select key, id from stream where key = any ($1)")
            .bind(missing)
            .fetch_all(connection)
            .await?;
        let mut cached = self.lock();
        for row in rows {
            let key: i64 = row.try_get(0)?;
            let id: &str = row.try_get(1)?;
            // The caller reports a key without a valid id together with the event.
            if let Ok(id) = id.parse::<StreamId>() {
                cached.insert(key, id.clone());
                ids.insert(key, id);
            }
        }
        Ok(ids)
    }

    /// Adds the cached ids to `ids`, and returns the keys that are not cached.
    fn add_cached(
        &self,
        keys: impl Iterator<Item = i64>,
        ids: &mut HashMap<i64, StreamId>,
    ) -> Vec<i64> {
        let cached = self.lock();
        let mut missing = Vec::new();
        let mut previous = None;
        for key in keys {
            if previous == Some(key) || ids.contains_key(&key) {
                continue;
            }
            previous = Some(key);
            match cached.peek(&key) {
                Some(id) => _ = ids.insert(key, id.clone()),
                None => missing.push(key),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    fn lock(&self) -> MutexGuard<'_, Cache<i64, StreamId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
