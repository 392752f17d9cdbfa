//! The locks of the shared states of DCB queries.

use crate::command::part::BoundaryPart;
use crate::state::cache::{AggregateCache, QueryKey};
use crate::state::load_error::LoadError;
use crate::state::loader::StateLoader;

/// Locks the states of the queries in `parts` and applies newer stored events.
///
/// Returns whether a state has changed. The locks are held until the command has decided. A command acquires the permits
/// for its streams first, and waits for nothing but the store while it holds the locks.
pub async fn refresh_queries(
    parts: &mut [&mut dyn BoundaryPart],
    loader: &StateLoader,
) -> Result<bool, LoadError> {
    lock_queries(parts, &loader.cache).await;
    let mut has_changed = false;
    for part in parts {
        if part.as_query().is_some() {
            has_changed |= part.refresh(loader).await?;
        }
    }
    Ok(has_changed)
}

/// Locks the states of the queries in `parts`, unless the command already holds the locks.
///
/// All commands acquire locks in the order of their addresses, so that no two wait for each other.
async fn lock_queries(parts: &mut [&mut dyn BoundaryPart], cache: &AggregateCache) {
    let queries = parts.iter_mut().filter_map(|part| part.as_query());
    let mut queries: Vec<_> = queries.collect();
    if queries.iter().all(|query| query.is_locked()) {
        return;
    }
    queries.iter_mut().for_each(|query| query.release());
    let mut keys: Vec<QueryKey> = Vec::new();
    let mut found = Vec::new();
    for query in queries {
        let key = query.key();
        // A command cannot lock one state twice, so each of its equal queries has a state of its own.
        let copy = keys.iter().filter(|other| **other == key).count();
        keys.push(key.clone());
        found.push((query.find(cache, QueryKey { copy, ..key }), query));
    }
    found.sort_by_key(|(address, _)| *address);
    for (_, query) in found {
        query.lock().await;
    }
}
