//! [`Instances`]: who else works on the same store, and how many partitions are each one's share.
//!
//! Each instance has a document that it writes again and again. Whoever sees one unchanged for the time of a lease, by
//! its own clock, takes its instance for dead. A mistake costs work done twice in vain, and nothing else: the
//! fence is the revision of each lease.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

use crate::document::{Changes, DocumentStore, Revision, Scan};
use crate::error::StoreError;
use crate::unique::uuid_v7;

const PREFIX: &str = "instance/";

pub(crate) struct Instances {
    me: Uuid,
    lease: Duration,
    known: Mutex<Known>,
    looked: watch::Sender<bool>,
}

#[derive(Default)]
struct Known {
    others: HashMap<Uuid, Seen>,
    /// The partitions that this instance could work on, and those that it does.
    all: usize,
    held: HashSet<String>,
    /// Since when a partition that this instance has no share in is free.
    free: HashMap<String, Instant>,
}

struct Seen {
    revision: Revision,
    changed: Instant,
}

impl Instances {
    pub(crate) fn new(lease: Duration) -> Self {
        Self {
            me: uuid_v7(),
            lease,
            known: Mutex::default(),
            looked: watch::Sender::new(false),
        }
    }

    /// One instance alone, for what nobody shares.
    pub(crate) fn alone(lease: Duration) -> Self {
        let alone = Self::new(lease);
        alone.looked.send_replace(true);
        alone
    }

    pub(crate) fn me(&self) -> Uuid {
        self.me
    }

    /// How often to look, and to show that one lives.
    pub(crate) fn beat(&self) -> Duration {
        self.lease / 3
    }

    /// Waits until it was looked once who else there is.
    pub(crate) async fn ready(&self) {
        let mut looked = self.looked.subscribe();
        // The sender lives as long as `self`.
        let _ = looked.wait_for(|looked| *looked).await;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lives(&self, instance: Uuid) -> bool {
        let known = self.known();
        let seen = known.others.get(&instance);
        instance == self.me || seen.is_some_and(|seen| seen.changed.elapsed() < self.lease)
    }

    /// Whether this instance may work on the free partition `key`: it has its share not yet, or nobody else wants it.
    pub(crate) fn may_take(&self, key: &str) -> bool {
        let mut known = self.known();
        let share = known.share(self.lease);
        if known.held.len() < share {
            return true;
        }
        let now = Instant::now();
        let since = *known.free.entry(key.to_owned()).or_insert(now);
        now.duration_since(since) >= self.lease
    }

    /// Whether this instance works on more than its share.
    pub(crate) fn has_too_many(&self) -> bool {
        let known = self.known();
        known.held.len() > known.share(self.lease)
    }

    /// One partition more, or less, that this instance could work on.
    pub(crate) fn count(&self, more: bool) {
        let mut known = self.known();
        known.all = if more {
            known.all + 1
        } else {
            known.all.saturating_sub(1)
        };
    }

    pub(crate) fn hold(&self, key: &str) {
        let mut known = self.known();
        known.free.remove(key);
        known.held.insert(key.to_owned());
    }

    pub(crate) fn let_go(&self, key: &str) {
        let mut known = self.known();
        known.held.remove(key);
        known.free.remove(key);
    }

    /// Shows that this instance lives, and looks who else does, until it is dropped.
    pub(crate) async fn run(self: Arc<Self>, documents: Arc<dyn DocumentStore>) {
        let mut ticks = tokio::time::interval(self.beat());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.look(&*documents).await {
                Ok(()) => drop(self.looked.send_replace(true)),
                Err(StoreError::Closed) => return,
                Err(error) => warn!(%error, "the other instances are not seen"),
            }
        }
    }

    async fn look(&self, documents: &dyn DocumentStore) -> Result<(), StoreError> {
        let own = format!("{PREFIX}{}", self.me);
        let mut changes = Changes::new().put(&own, "{}");
        let found = documents.scan_documents(Scan::prefix(PREFIX)).await?;
        {
            let mut known = self.known();
            let mut others = HashMap::with_capacity(found.len());
            for document in found.iter().filter(|document| document.key != own) {
                let Ok(id) = document.key[PREFIX.len()..].parse::<Uuid>() else {
                    continue;
                };
                let before = known.others.remove(&id);
                let seen = match before {
                    Some(seen) if seen.revision == document.revision => seen,
                    _ => Seen {
                        revision: document.revision,
                        changed: Instant::now(),
                    },
                };
                // Long dead: nobody needs to know of it.
                if seen.changed.elapsed() > self.lease * 20 {
                    changes = changes.delete(&document.key);
                }
                others.insert(id, seen);
            }
            known.others = others;
        }
        match documents.change_documents(changes).await {
            Ok(_) => Ok(()),
            Err(crate::document::ChangeError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Failed(error.into())),
        }
    }

    /// This instance is no more.
    pub(crate) async fn leave(&self, documents: &dyn DocumentStore) {
        let gone = Changes::new().delete(format!("{PREFIX}{}", self.me));
        if let Err(error) = documents.change_documents(gone).await {
            warn!(%error, "others will notice only after a while that this instance has ended");
        }
    }
}

impl Known {
    fn share(&self, lease: Duration) -> usize {
        let live = self
            .others
            .values()
            .filter(|seen| seen.changed.elapsed() < lease);
        self.all.div_ceil(1 + live.count()).max(1)
    }
}
