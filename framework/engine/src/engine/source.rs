//! Where states come from: the cache, a snapshot, the events.

use crate::record::DecodeEvent as _;
use std::sync::Arc;

use bytes::Bytes;
use tracing::{Instrument as _, debug, debug_span, warn};

use super::cache::Cache;
use crate::aggregate::{Aggregate, SnapshotPolicy};
use crate::boundary::{Part, Slot};
use crate::error::{DecodeError, StoreError};
use crate::record::RecordedEvent;
use factum_core::position::Version;
use factum_core::read::Read;
use factum_core::snapshot::Snapshot;
use factum_core::store::Store;
use factum_core::stream_id::StreamId;

/// The store, and the warm states of aggregates.
pub struct Source {
    pub store: Arc<dyn Store>,
    pub cache: Cache,
}

/// A state could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event cannot be read by this code.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The id is no key of a stream.
    #[error(transparent)]
    InvalidStreamId(#[from] factum_core::stream_id::InvalidStreamId),
    /// The stream has not come to the version that was asked for.
    #[error("{stream} is at version {actual}, there is no version {asked} yet")]
    NoSuchVersion {
        /// Which stream.
        stream: StreamId,
        /// The version that was asked for.
        asked: Version,
        /// Its version.
        actual: Version,
    },
}

/// A state that leaves an event out would be wrong without a sign of it.
fn follows(version: Version, record: &RecordedEvent) -> Result<(), StoreError> {
    if record.version == version.plus(1) {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!(
        "event at position {}: version {} of {} follows version {version}",
        record.position, record.version, record.stream
    )))
}

impl Source {
    /// The state of `stream` now: from its snapshot, if there is one that fits, and the events behind it.
    pub async fn load<A: Aggregate>(&self, stream: StreamId) -> Result<Slot<A>, LoadError> {
        let mut slot = match A::SNAPSHOT {
            Some(policy) => self.restore(&policy, stream).await,
            None => Slot::new(stream),
        };
        let seen = slot.version;
        self.fold(&mut slot, |_| true).await?;
        self.keep(&mut slot, seen);
        Ok(slot)
    }

    /// Reads what is new in the stream of `slot`. `true`: there was something.
    pub async fn catch_up<A: Aggregate>(&self, slot: &mut Slot<A>) -> Result<bool, LoadError> {
        let known = slot.version;
        self.fold(slot, |_| true).await?;
        if slot.version == known {
            return Ok(false);
        }
        self.keep(slot, known);
        Ok(true)
    }

    /// Folds the events behind the version of `slot` into it, as long as `wanted` says so.
    pub async fn fold<A: Aggregate>(
        &self,
        slot: &mut Slot<A>,
        wanted: impl Fn(&RecordedEvent) -> bool,
    ) -> Result<(), LoadError> {
        loop {
            let read = Read::stream(slot.stream.clone()).after(slot.version);
            let span = debug_span!("read", stream = %slot.stream, after = slot.version.get());
            let page = self.store.read(read).instrument(span).await?;
            for record in &page.events {
                if !wanted(record) {
                    return Ok(());
                }
                follows(slot.version, record)?;
                // All at once, before any is applied.
                let events = record.decode_all()?;
                slot.take_all(events, record.position);
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    /// The state of the newest snapshot. One that cannot be used is ignored: the events have it all.
    pub async fn restore<A: Aggregate>(
        &self,
        policy: &SnapshotPolicy<A>,
        stream: StreamId,
    ) -> Slot<A> {
        let snapshot = match self.store.load_snapshot(&stream).await {
            Ok(Some(snapshot)) if snapshot.schema_version == policy.schema_version => snapshot,
            Ok(_) => return Slot::new(stream),
            Err(error) => {
                warn!(%stream, %error, "snapshot not loaded, replaying instead");
                return Slot::new(stream);
            }
        };
        match (policy.decode)(&snapshot.data) {
            Ok(state) => Slot {
                stream,
                state: Arc::new(state),
                version: snapshot.version,
                position: snapshot.position,
                kept: None,
            },
            Err(error) => {
                warn!(%stream, %error, "snapshot does not decode, replaying instead");
                Slot::new(stream)
            }
        }
    }

    /// Takes the state of `part` from the cache, which may lag behind the store. `false`: it is not there.
    pub async fn load_warm(&self, part: &mut dyn Part) -> Result<bool, LoadError> {
        let Some(lags) = self.take_warm(part) else {
            return Ok(false);
        };
        if lags {
            part.refresh(self).await?;
        }
        Ok(true)
    }

    /// Takes the state of `part` from the cache, and says whether it is known to lag. `None`: it is not there.
    pub fn take_warm(&self, part: &mut dyn Part) -> Option<bool> {
        let kept = self.cache.find(part.stream()?)?;
        let warm = kept.get()?;
        let lags = warm.lags;
        part.take_warm(warm).then(|| {
            part.is_kept(kept);
            lags
        })
    }

    /// Keeps the state warm, and as a snapshot if one is due.
    pub fn keep<A: Aggregate>(&self, slot: &mut Slot<A>, seen: Version) {
        match &slot.kept {
            Some(kept) => kept.put(slot.warm()),
            None => slot.kept = self.cache.put(&slot.stream, slot.warm()),
        }
        if let Some(snapshot) = Self::snapshot(slot, seen) {
            self.save(snapshot);
        }
    }

    /// A snapshot, if the version of `slot` has passed a multiple of the policy's number since `seen`.
    pub fn snapshot<A: Aggregate>(slot: &Slot<A>, seen: Version) -> Option<Snapshot> {
        let policy = A::SNAPSHOT?;
        let every = policy.every.max(1);
        if seen >= slot.version || slot.version.get() / every == seen.get() / every {
            return None;
        }
        let data = match (policy.encode)(&slot.state) {
            Ok(data) => Bytes::from(data),
            Err(error) => {
                warn!(stream = %slot.stream, %error, "snapshot not taken: the state does not serialize");
                return None;
            }
        };
        Some(Snapshot {
            stream: slot.stream.clone(),
            version: slot.version,
            position: slot.position,
            schema_version: policy.schema_version,
            data,
        })
    }

    pub fn save(&self, snapshot: Snapshot) {
        let store = self.store.clone();
        let save = async move {
            let (stream, version) = (snapshot.stream.clone(), snapshot.version);
            match store.save_snapshot(snapshot).await {
                Ok(()) => debug!(%stream, %version, "snapshot taken"),
                Err(error) => warn!(%stream, %version, %error, "snapshot not taken"),
            }
        };
        tokio::spawn(save.in_current_span());
    }
}
