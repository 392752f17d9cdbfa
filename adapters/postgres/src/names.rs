//! [`Names`]: the ids of streams, by their keys.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use factum::StreamId;
use quick_cache::unsync::Cache;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::error::Fault;

const MOST: usize = 65_536;

/// A stream keeps its key and its id for ever, so that what was read once need not be joined to each event.
pub(crate) struct Names(Mutex<Cache<i64, StreamId>>);

impl Names {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Cache::new(MOST)))
    }

    /// What was read in a transaction that was rolled back may never have been.
    pub(crate) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The ids of those of `keys` that are streams.
    pub(crate) async fn of(
        &self,
        connection: &mut PgConnection,
        keys: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, StreamId>, Fault> {
        let mut names = HashMap::new();
        let missing = self.known(keys, &mut names);
        if missing.is_empty() {
            return Ok(names);
        }
        let rows = sqlx::query("select key, id from stream where key = any ($1)")
            .bind(missing)
            .fetch_all(connection)
            .await?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let key: i64 = row.try_get(0)?;
            let id: &str = row.try_get(1)?;
            // Whose id cannot be read is not known; who needs it says where.
            if let Ok(id) = id.parse::<StreamId>() {
                known.insert(key, id.clone());
                names.insert(key, id);
            }
        }
        Ok(names)
    }

    /// Gives back the keys that are not known here.
    fn known(
        &self,
        keys: impl Iterator<Item = i64>,
        names: &mut HashMap<i64, StreamId>,
    ) -> Vec<i64> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing = Vec::new();
        let mut before = None;
        for key in keys {
            if before == Some(key) || names.contains_key(&key) {
                continue;
            }
            before = Some(key);
            match known.peek(&key) {
                Some(id) => _ = names.insert(key, id.clone()),
                None => missing.push(key),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}
