//! Forgetting a subject.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

use super::seal::tag;
use super::store::PersonalDataStore;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::snapshot::Snapshot;
use factum_core::store::Store;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::engine::Engine;
use factum_engine::error::StoreError;
use factum_runtime::consumer::redact_errors;

/// What became unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "warm states and read models may still hold what was forgotten"]
pub struct Forgotten {
    /// Since when. A subject that was forgotten before keeps its time.
    pub since: Timestamp,
    /// The streams that hold events with data of the subject: [`Engine::evict`] them.
    pub streams: BTreeSet<StreamId>,
    /// The stored names of these events, for [`Projections::forget`](crate::Projections::forget).
    pub names: BTreeSet<String>,
    /// How many events there are.
    pub events: u64,
}

impl<S: Store> PersonalDataStore<S> {
    /// Destroys the key of `subject`, an id or its text, for ever. Every event stays; a read that begins behind this, in
    /// whatever process, finds its personal fields redacted, and no personal data of the subject is taken any more.
    ///
    /// It costs one write, and a read of the events with data of this subject, however many others there are, and of the
    /// dead letters, whose errors are blanked where they are about one of these events. Done again it does no harm: what
    /// was left undone when it failed is done then.
    ///
    /// # Errors
    /// [`StoreError`] if the backend of the keys or of the events fails. The key may be destroyed then.
    pub async fn forget(&self, subject: impl Display) -> Result<Forgotten, StoreError> {
        let held = &self.shared.held;
        let of = held.keys.pseudonym(&subject.to_string());
        let since = held.keys.forget(of).await?;
        held.drop_all();
        let mut forgotten = Forgotten {
            since,
            streams: BTreeSet::new(),
            names: BTreeSet::new(),
            events: 0,
        };
        let mut positions = BTreeSet::new();
        let mut read = Read::all(Query::any_tag([tag(of)?]));
        loop {
            let page = self.store.read(read.clone()).await?;
            read = read.after(page.through());
            for event in page.events {
                forgotten.events += 1;
                positions.insert(event.position);
                forgotten.names.insert(event.name.into_owned());
                forgotten.streams.insert(event.stream);
            }
            if !page.more {
                break;
            }
        }
        for stream in &forgotten.streams {
            self.void(stream).await?;
        }
        // An error may quote what it was about.
        redact_errors(&self.store, &positions).await?;
        Ok(forgotten)
    }

    /// A snapshot from before the events had personal fields: overwritten with one that fits no code.
    async fn void(&self, stream: &StreamId) -> Result<(), StoreError> {
        let Some(snapshot) = self.store.load_snapshot(stream).await? else {
            return Ok(());
        };
        let void = Snapshot {
            schema_version: 0,
            data: Bytes::from_static(b"null"),
            ..snapshot
        };
        self.store.save_snapshot(void).await
    }

    /// Evicts the warm states of `engine` whenever a subject was forgotten in another process, at most `every` later.
    /// Runs for ever: spawn it, once in each process.
    pub async fn evict_forgotten(self, engine: Engine, every: Duration) {
        let keys = &self.shared.held.keys;
        let (mut known, mut evictions) = (None, 0);
        loop {
            match keys.revision().await {
                Ok(revision) => {
                    if known != Some(revision) {
                        // And once more: a state that was being read meanwhile comes late.
                        (known, evictions) = (Some(revision), 2);
                    }
                    if evictions > 0 {
                        evictions -= 1;
                        engine.evict_all();
                    }
                }
                Err(error) => warn!(%error, "it is not known whether a subject was forgotten"),
            }
            tokio::time::sleep(every).await;
        }
    }
}
