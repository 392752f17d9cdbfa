//! [`StateLoader`]: loads states from the cache, snapshots and events.

use std::sync::Arc;

use factum_core::position::{Position, Version};
use factum_core::read::{Page, Read};
use factum_core::store::Store;
use factum_core::stream_id::StreamId;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tracing::{Instrument as _, debug, debug_span, warn};

use crate::domain::aggregate::Aggregate;
use crate::domain::error::StoreError;
use crate::domain::record::{DecodeEvent as _, RecordedEvent};
use crate::state::aggregate_state::AggregateState;
use crate::state::cache::AggregateCache;
use crate::state::due_snapshot::{DueSnapshot, due_snapshot};
use crate::state::load_error::LoadError;

/// Loads the states of aggregates, and saves them in the cache and as snapshots.
pub struct StateLoader {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The cached states.
    pub cache: AggregateCache,
}

/// The permitted use of a state from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheHit {
    /// A command may decide on the state, because the append checks its version.
    Usable,
    /// The newer events must be read first.
    Stale,
}

impl StateLoader {
    /// Loads the current state of `stream` from its snapshot and the later events.
    ///
    /// Without a valid snapshot, all events are applied.
    pub async fn load<A: Aggregate>(
        &self,
        stream: StreamId,
    ) -> Result<AggregateState<A>, LoadError> {
        let snapshot = self.load_snapshot::<A>(&stream).await;
        let snapshot_version = snapshot.as_ref().map(|state| state.version);
        if let Some(mut state) = snapshot
            && self.continue_snapshot(&mut state, |_| true).await?
        {
            self.keep(&mut state, snapshot_version.unwrap_or_default());
            return Ok(state);
        }
        let mut state = AggregateState::new(stream);
        self.apply_newer(&mut state, |_| true).await?;
        self.keep(&mut state, Version::ZERO);
        Ok(state)
    }

    /// Applies the newer events of the stream to `state`, and returns whether the state has changed.
    ///
    /// If the log was restored from a backup and ends before the state, the state is loaded again.
    pub async fn refresh<A: Aggregate>(
        &self,
        state: &mut AggregateState<A>,
    ) -> Result<bool, LoadError> {
        let previous = state.version;
        let head = self.apply_newer(state, |_| true).await?;
        if head < state.position {
            let (stream, position) = (state.stream.clone(), state.position);
            warn!(%stream, %position, %head, "cached state is beyond the head of the log; loading it again");
            self.cache.remove(&stream);
            *state = self.load(stream).await?;
            return Ok(true);
        }
        if state.version == previous {
            return Ok(false);
        }
        self.keep(state, previous);
        Ok(true)
    }

    /// Applies the newer events of the stream to `state`, up to the first event that `includes` rejects.
    ///
    /// Returns the head of the log when the last page was read.
    pub async fn apply_newer<A: Aggregate>(
        &self,
        state: &mut AggregateState<A>,
        includes: impl Fn(&RecordedEvent) -> bool,
    ) -> Result<Position, LoadError> {
        loop {
            let page = self.read_after(&state.stream, state.version).await?;
            let is_complete = apply_events(state, &page.events, &includes)?;
            if !is_complete || !page.more {
                return Ok(page.head);
            }
        }
    }

    /// Applies the events after a snapshot to its `state`, up to the first event that `includes` rejects.
    ///
    /// Returns `false` if the last event of the snapshot is not in the stream: the log was restored from a backup.
    /// Then the state is not valid.
    pub async fn continue_snapshot<A: Aggregate>(
        &self,
        state: &mut AggregateState<A>,
        includes: impl Fn(&RecordedEvent) -> bool,
    ) -> Result<bool, LoadError> {
        let before = Version::new(state.version.get().saturating_sub(1));
        let page = self.read_after(&state.stream, before).await?;
        let newer = match page.events.split_first() {
            Some((last, newer)) if last.position == state.position => newer,
            _ => {
                let (stream, version) = (&state.stream, state.version);
                warn!(%stream, %version, "snapshot is not of the stored events; replaying all events");
                return Ok(false);
            }
        };
        if apply_events(state, newer, &includes)? && page.more {
            self.apply_newer(state, includes).await?;
        }
        Ok(true)
    }

    async fn read_after(&self, stream: &StreamId, version: Version) -> Result<Page, StoreError> {
        let read = Read::stream(stream.clone()).after(version);
        let span = debug_span!("read", %stream, after = version.get());
        self.store.read(read).instrument(span).await
    }

    /// Loads the state of the latest snapshot. A snapshot that cannot be used is ignored.
    pub async fn load_snapshot<A: Aggregate>(
        &self,
        stream: &StreamId,
    ) -> Option<AggregateState<A>> {
        let policy = A::SNAPSHOT?;
        let snapshot = match self.store.load_snapshot(stream).await {
            Ok(snapshot) => snapshot?,
            Err(error) => {
                warn!(%stream, %error, "cannot load the snapshot; replaying all events");
                return None;
            }
        };
        if snapshot.schema_version != policy.schema_version {
            return None;
        }
        match (policy.decode)(&snapshot.data) {
            Ok(state) => Some(AggregateState {
                stream: stream.clone(),
                state: Arc::new(state),
                version: snapshot.version,
                position: snapshot.position,
                cache_entry: None,
            }),
            Err(error) => {
                warn!(%stream, %error, "cannot decode the snapshot; replaying all events");
                None
            }
        }
    }

    /// Loads the cached state of the stream into `state`. Returns `None` if there is none.
    pub fn load_cached<A: Aggregate>(&self, state: &mut AggregateState<A>) -> Option<CacheHit> {
        let entry = self.cache.get(&state.stream)?;
        let cached = entry.get()?;
        let hit = match cached.is_stale {
            true => CacheHit::Stale,
            false => CacheHit::Usable,
        };
        state.restore(cached).then(|| {
            state.cache_entry = Some(entry);
            hit
        })
    }

    /// Saves the state in the cache, and as a snapshot if one is due since the version `previous`.
    pub fn keep<A: Aggregate>(&self, state: &mut AggregateState<A>, previous: Version) {
        match &state.cache_entry {
            Some(entry) => entry.put(state.to_cached()),
            None => state.cache_entry = self.cache.put(&state.stream, state.to_cached()),
        }
        if let Some(snapshot) = due_snapshot(state, previous) {
            self.save_snapshot(snapshot);
        }
    }

    /// Encodes and saves a snapshot in the background.
    ///
    /// A failure is only logged, because every state can be loaded from its events. Outside a Tokio runtime, no
    /// snapshot is saved.
    pub fn save_snapshot(&self, snapshot: DueSnapshot) {
        let store = self.store.clone();
        let (stream, version) = (snapshot.stream.clone(), snapshot.version);
        let Ok(runtime) = Handle::try_current() else {
            debug!(%stream, %version, "no snapshot saved outside a Tokio runtime");
            return;
        };
        let save = async move {
            // A large state is encoded for a long time.
            let encoded = spawn_blocking(move || snapshot.encode()).await;
            let encoded = match encoded {
                Ok(Ok(encoded)) => encoded,
                Ok(Err(error)) => {
                    warn!(%stream, %version, %error, "cannot encode the state; no snapshot saved");
                    return;
                }
                Err(error) => {
                    warn!(%stream, %version, %error, "encoding of the state ended; no snapshot saved");
                    return;
                }
            };
            match store.save_snapshot(encoded).await {
                Ok(()) => debug!(%stream, %version, "snapshot saved"),
                Err(error) => warn!(%stream, %version, %error, "cannot save the snapshot"),
            }
        };
        runtime.spawn(save.in_current_span());
    }
}

/// Applies the events to `state`, up to the first event that `includes` rejects.
///
/// Returns whether there is no such event.
fn apply_events<A: Aggregate>(
    state: &mut AggregateState<A>,
    events: &[RecordedEvent],
    includes: &impl Fn(&RecordedEvent) -> bool,
) -> Result<bool, LoadError> {
    for record in events {
        if !includes(record) {
            return Ok(false);
        }
        check_succession(state.version, record)?;
        // Decoded before the first event is applied, so that an error leaves the state unchanged.
        let events = record.decode_all()?;
        state.apply(events, record);
    }
    Ok(true)
}

/// Checks that `record` is the next event after `version`.
///
/// Without this check, a missing event would cause a wrong state without an error.
fn check_succession(version: Version, record: &RecordedEvent) -> Result<(), StoreError> {
    if record.version == version.plus(1) {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!(
        "event at position {}: version {} of {} follows version {version}",
        record.position, record.version, record.stream
    )))
}
