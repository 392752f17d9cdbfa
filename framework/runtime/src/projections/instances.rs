//! [`Instances`]: who else works on the same store, and which partitions are whose share.
//!
//! Each instance has a document that it writes again and again: which partitions it could work on, and which it does.
//! Whoever sees one unchanged for the time of its lease, by its own clock, takes its instance for dead. A mistake costs
//! work done twice in vain, and nothing else: the fence is the revision of each lease.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan, encode_document,
};
use factum_core::event_id::new_event_id;
use factum_engine::error::StoreError;

const PREFIX: &str = "instance/";
/// How many leases lie between two offers.
const OFFERS: u32 = 20;

pub struct Instances {
    me: Uuid,
    /// What outlives the process.
    name: Option<String>,
    lease: Duration,
    known: Mutex<Known>,
    looked: watch::Sender<bool>,
    /// Others should know of what this instance works on.
    news: Notify,
}

/// What an instance tells the others.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Sign {
    /// How long others wait for the next one.
    lease_ms: u64,
    /// The partitions that it could work on.
    wants: BTreeSet<String>,
    /// How many it works on.
    holds: usize,
    /// What it is called, also when it is started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Default)]
struct Known {
    others: HashMap<Uuid, Seen>,
    /// The partitions that this instance could work on, those that it does, and of these what others shall have.
    wants: BTreeSet<String>,
    held: BTreeSet<String>,
    gifts: BTreeSet<String>,
    gave: Option<Instant>,
    /// Of these, what others may do who have newer code, and what is in the way here; and when that was last so.
    offers: HashMap<String, String>,
    offered: HashMap<String, Instant>,
    /// Since when a partition that this instance has no share in is free.
    free: HashMap<String, Instant>,
}

struct Seen {
    revision: Revision,
    changed: Instant,
    lease: Duration,
    wants: BTreeSet<String>,
    holds: usize,
    name: Option<String>,
    /// Another has come in its place, unless it gives a sign yet.
    replaced: bool,
}

impl Seen {
    /// Nothing but its name is known.
    fn unknown(lease: Duration) -> Self {
        Self {
            revision: Revision::ABSENT,
            changed: Instant::now(),
            lease,
            wants: BTreeSet::new(),
            holds: 0,
            name: None,
            replaced: false,
        }
    }

    fn read(document: &Document, lease: Duration) -> Self {
        // Whatever stands there, somebody has written it.
        let sign: Sign = document.decode().unwrap_or_default();
        let theirs = Duration::from_millis(sign.lease_ms);
        Self {
            revision: document.revision,
            lease: if theirs.is_zero() { lease } else { theirs },
            wants: sign.wants,
            holds: sign.holds,
            name: sign.name,
            ..Self::unknown(lease)
        }
    }

    fn without_share(self) -> Self {
        Self {
            revision: Revision::ABSENT,
            wants: BTreeSet::new(),
            holds: 0,
            ..self
        }
    }

    fn lives(&self) -> bool {
        !self.replaced && self.changed.elapsed() < self.lease
    }

    fn wants(&self, key: &str) -> bool {
        self.lives() && self.wants.contains(key)
    }
}

impl Instances {
    pub fn new(lease: Duration, name: Option<String>) -> Self {
        Self {
            me: new_event_id(),
            name,
            lease,
            known: Mutex::default(),
            looked: watch::Sender::new(false),
            news: Notify::new(),
        }
    }

    /// One instance alone, for what nobody shares.
    pub fn alone(lease: Duration) -> Self {
        let alone = Self::new(lease, None);
        alone.looked.send_replace(true);
        alone
    }

    pub fn me(&self) -> Uuid {
        self.me
    }

    /// How often to look, and to show that one lives.
    pub fn beat(&self) -> Duration {
        self.lease / 3
    }

    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Waits until it was looked once who else there is.
    pub async fn ready(&self) {
        let mut looked = self.looked.subscribe();
        // The sender lives as long as `self`.
        let _ = looked.wait_for(|looked| *looked).await;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `instance` has given a sign within its lease. One that nobody knows gets the time to.
    pub fn lives(&self, instance: Uuid) -> bool {
        let mut known = self.known();
        let seen = known.others.entry(instance);
        instance == self.me || seen.or_insert_with(|| Seen::unknown(self.lease)).lives()
    }

    /// Whether this instance may work on the free partition `key`: it has its share not yet, or nobody else wants it.
    pub fn may_take(&self, key: &str) -> bool {
        let mut known = self.known();
        let mine = known.held.len();
        let mut rivals = known.others.values().filter(|other| other.wants(key));
        // Who has just given it away must not be the first to take it again.
        if !rivals.any(|other| other.holds < mine) {
            return true;
        }
        let now = Instant::now();
        let since = *known.free.entry(key.to_owned()).or_insert(now);
        now.duration_since(since) >= self.lease
    }

    /// The partition `key` is not free.
    pub fn is_taken(&self, key: &str) {
        self.known().free.remove(key);
    }

    /// Whether another instance shall have `key`, which this one works on.
    pub fn gives(&self, key: &str) -> bool {
        self.known().gifts.contains(key)
    }

    /// What there is to do for `key` is for newer code, and `why`: if another instance wants it, it shall have it. Not
    /// again and again, since that one may know no more.
    pub fn offer(&self, key: &str, why: &str) {
        let mut known = self.known();
        let lately = known.offered.get(key);
        let lately = lately.is_some_and(|at| at.elapsed() < self.lease * OFFERS);
        let wanted = known.others.values().any(|other| other.wants(key));
        if wanted && !lately && known.held.contains(key) {
            known.offered.insert(key.to_owned(), Instant::now());
            known.offers.insert(key.to_owned(), why.to_owned());
        }
    }

    /// Why another instance shall try to work on `key`, if it shall.
    pub fn offers(&self, key: &str) -> Option<String> {
        self.known().offers.get(key).cloned()
    }

    /// This instance could work on `key`.
    pub fn want(&self, key: &str) {
        self.known().wants.insert(key.to_owned());
        self.news.notify_one();
    }

    /// This instance has no more to do with `key`.
    pub fn unwant(&self, key: &str) {
        self.known().wants.remove(key);
        self.news.notify_one();
    }

    pub fn hold(&self, key: &str) {
        let mut known = self.known();
        known.free.remove(key);
        known.held.insert(key.to_owned());
        self.news.notify_one();
    }

    pub fn let_go(&self, key: &str) {
        let mut known = self.known();
        known.held.remove(key);
        known.gifts.remove(key);
        known.offers.remove(key);
        known.free.remove(key);
        self.news.notify_one();
    }

    /// Shows that this instance lives, and looks who else does, until it is dropped.
    pub async fn run(self: Arc<Self>, documents: Arc<dyn DocumentStore>) {
        let mut ticks = tokio::time::interval(self.beat());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.news.notified() => {}
            }
            match self.look(&*documents).await {
                Ok(()) => drop(self.looked.send_replace(true)),
                Err(StoreError::Closed) => return,
                Err(error) => warn!(%error, "the other instances are not seen"),
            }
        }
    }

    async fn look(&self, documents: &dyn DocumentStore) -> Result<(), StoreError> {
        let own = format!("{PREFIX}{}", self.me);
        let found = documents.scan_documents(Scan::prefix(PREFIX)).await?;
        let changes = {
            let mut known = self.known();
            let found = found.iter().filter(|document| document.key != own);
            let dead = known.see(found, self.lease);
            if !*self.looked.borrow() {
                known.replace(self.name.as_deref());
            }
            known.choose_gifts(self.lease);
            let sign = Sign {
                lease_ms: u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX),
                wants: known.wants.clone(),
                holds: known.held.len(),
                name: self.name.clone(),
            };
            let sign = DocumentChanges::new().put(own, encode_document(&sign)?);
            dead.into_iter().fold(sign, DocumentChanges::delete)
        };
        match documents.change_documents(changes).await {
            Ok(_) => Ok(()),
            Err(DocumentError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Failed(error.into())),
        }
    }

    /// This instance is no more.
    pub async fn leave(&self, documents: &dyn DocumentStore) {
        let gone = DocumentChanges::new().delete(format!("{PREFIX}{}", self.me));
        if let Err(error) = documents.change_documents(gone).await {
            warn!(%error, "others will notice only after a while that this instance has ended");
        }
    }
}

impl Known {
    /// Takes note of the others, and gives back the documents of those that are long dead.
    fn see<'d>(
        &mut self,
        found: impl Iterator<Item = &'d Document>,
        lease: Duration,
    ) -> Vec<String> {
        let mut others = HashMap::new();
        let mut dead = Vec::new();
        for document in found {
            let Ok(id) = document.key[PREFIX.len()..].parse::<Uuid>() else {
                continue;
            };
            let seen = match self.others.remove(&id) {
                Some(seen) if seen.revision == document.revision => seen,
                _ => Seen::read(document, lease),
            };
            if seen.changed.elapsed() > seen.lease * 20 {
                dead.push(document.key.clone());
            }
            others.insert(id, seen);
        }
        // They have ended in order, or have shown nothing yet but a lease of theirs.
        let quiet = self.others.drain().filter(|(_, seen)| seen.lives());
        others.extend(quiet.map(|(id, seen)| (id, seen.without_share())));
        self.others = others;
        dead
    }

    /// Whoever was called `name` before is no more. Whether that is so decides the fence of each lease; and if it lives, it
    /// gives another sign.
    fn replace(&mut self, name: Option<&str>) {
        for other in self.others.values_mut() {
            other.replaced = name.is_some() && other.name.as_deref() == name;
        }
    }

    /// What this instance works on and a poorer one could as well.
    fn choose_gifts(&mut self, lease: Duration) {
        if self.gave.is_some_and(|gave| gave.elapsed() < lease) {
            // It takes that long at most until they have been taken.
            return;
        }
        let live = self.others.values().filter(|other| other.lives());
        let mut others: Vec<_> = live.map(|other| (other.holds, &other.wants)).collect();
        let mut mine = self.held.len();
        for key in &self.held {
            let wanting = others.iter_mut().filter(|(_, wants)| wants.contains(key));
            let Some(poorest) = wanting.min_by_key(|(holds, _)| *holds) else {
                continue;
            };
            if poorest.0 + 1 < mine {
                poorest.0 += 1;
                mine -= 1;
                self.gifts.insert(key.clone());
                self.gave = Some(Instant::now());
            }
        }
    }
}
