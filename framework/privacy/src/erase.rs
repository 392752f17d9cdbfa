//! Erasure of data subjects.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use factum_core::error::StoreError;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::snapshot::Snapshot;
use factum_core::store::Store;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::engine::Engine;
use factum_runtime::consumer::redact_errors;
use tracing::warn;

use crate::encrypt::subject_tag;
use crate::key_cache::KeyCache;
use crate::key_store::SharedKeyStore;

/// The result of an erasure: the events whose personal data became unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "cached states and read models may still contain the erased data"]
pub struct Erased {
    /// The time of the erasure; a second erasure of a subject returns the time of the first one.
    pub since: Timestamp,
    /// The streams with data of the subject; [evict](Engine::evict) their cached states.
    pub streams: BTreeSet<StreamId>,
    /// The event types with data of the subject; rebuild the read models of these event types.
    pub event_types: BTreeSet<String>,
    /// The number of events with data of the subject.
    pub events: u64,
}

/// Destroys the key of `subject`, and removes plain text that was derived from its events.
pub async fn erase(
    store: &impl Store,
    keys: &KeyCache,
    subject: &str,
) -> Result<Erased, StoreError> {
    let subject = keys.key_store().pseudonym(subject);
    let since = keys.key_store().erase(subject).await?;
    keys.clear();
    let mut erased = Erased {
        since,
        streams: BTreeSet::new(),
        event_types: BTreeSet::new(),
        events: 0,
    };
    let mut positions = BTreeSet::new();
    let mut read = Read::all(Query::any_tag([subject_tag(subject)?]));
    loop {
        let page = store.read(read.clone()).await?;
        read = read.after(page.through());
        for event in page.events {
            erased.events += 1;
            positions.insert(event.position);
            erased.event_types.insert(event.name.into_owned());
            erased.streams.insert(event.stream);
        }
        if !page.more {
            break;
        }
    }
    for stream in &erased.streams {
        invalidate_snapshot(store, stream).await?;
    }
    // The error of a dead letter may quote the event.
    redact_errors(store, &positions).await?;
    Ok(erased)
}

/// Replaces the snapshot of a stream with one that no code accepts.
///
/// A stream can have a snapshot with personal data from a time when its fields were not marked as personal.
async fn invalidate_snapshot(store: &impl Store, stream: &StreamId) -> Result<(), StoreError> {
    let Some(snapshot) = store.load_snapshot(stream).await? else {
        return Ok(());
    };
    let invalid = Snapshot {
        schema_version: 0,
        data: Bytes::from_static(b"null"),
        ..snapshot
    };
    store.save_snapshot(invalid).await
}

/// Evicts the cached states of `engine` after each erasure in another process; never returns.
pub async fn evict_erased(key_store: &SharedKeyStore, engine: Engine, every: Duration) {
    let (mut seen, mut evictions) = (None, 0);
    loop {
        match key_store.revision().await {
            Ok(revision) => {
                if seen != Some(revision) {
                    // The second eviction removes states that were being loaded during the first one.
                    (seen, evictions) = (Some(revision), 2);
                }
                if evictions > 0 {
                    evictions -= 1;
                    engine.evict_all();
                }
            }
            Err(error) => warn!(%error, "cannot check for erased data subjects; will retry"),
        }
        tokio::time::sleep(every).await;
    }
}
