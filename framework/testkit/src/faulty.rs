//! [`Faulty`]: a store that fails as stores behind a network do, where a seed says so.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::faults::{Fate, Faults};
use factum_core::append::{Append, AppendError, Appended, ExpectedVersion, IdempotencyKey};
use factum_core::position::{Position, Version};
use factum_core::read::{Page, Read};
use factum_core::snapshot::{Snapshot, SnapshotStore};
use factum_core::store::{EventStore, Store};
use factum_core::stream_id::StreamId;
use factum_engine::error::StoreError;

/// A store that fails where a seed says so, around any store: for testing what an application does when its
/// store is not there, and for testing adapters that add something to another store.
///
/// The fate of a call depends on the seed, on what is called, and on how many calls of that kind went before;
/// so the same calls in the same order fail in the same way. An injected error names its seed and its call.
///
/// Clones share the count of calls. [`store`](Self::store) is the way around the faults.
///
/// ```ignore
/// use factum_testkit::{Faults, Faulty};
/// use factum_memory::MemoryStore;
///
/// let store = MemoryStore::new();
/// let engine = Engine::new(Faulty::new(store.clone(), 7, Faults::default()));
/// // … what the application does, and then: what `store` holds.
/// ```
pub struct Faulty<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    seed: u64,
    faults: Faults,
    calls: [AtomicU64; 5],
    injected: AtomicU64,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Append,
    Read,
    Snapshot,
    Watch,
    Change,
}

/// One call, and what is thrown for it.
#[derive(Clone)]
pub(super) struct Call {
    number: u64,
    kind: Kind,
    pub(super) dice: Rng,
}

impl<S: Store> Faulty<S> {
    /// `store`, with the faults that `seed` chooses.
    #[must_use]
    pub fn new(store: S, seed: u64, faults: Faults) -> Self {
        Self(Arc::new(Inner {
            store,
            seed,
            faults,
            calls: Default::default(),
            injected: AtomicU64::new(0),
        }))
    }

    /// The store below, without faults.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// How many calls have met a fault so far, pauses and wake-ups left out.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.0.injected.load(Relaxed)
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(super) fn call(&self, kind: Kind) -> Call {
        let number = self.0.calls[kind as usize].fetch_add(1, Relaxed) + 1;
        let mut seeds = Rng::with_seed(self.0.seed);
        let own = seeds.u64(..).rotate_left(kind as u32 * 16);
        let dice = Rng::with_seed(own ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Call { number, kind, dice }
    }

    pub(super) async fn pause(&self, call: &mut Call) {
        let faults = &self.0.faults;
        let (pauses, sleeps) = (call.dice.f64() < faults.pauses, call.dice.bool());
        let length = faults.longest_pause.mul_f64(call.dice.f64());
        match (pauses, sleeps) {
            (false, _) => {}
            (true, false) => yield_now().await,
            (true, true) => sleep(length).await,
        }
    }

    /// An error that says what happened, counted.
    fn fault(&self, call: &Call, what: &str) -> Box<dyn std::error::Error + Send + Sync> {
        self.0.injected.fetch_add(1, Relaxed);
        let kind = match call.kind {
            Kind::Append => "append",
            Kind::Read => "read",
            Kind::Snapshot => "snapshot call",
            Kind::Watch => "watch",
            Kind::Change => "change of documents",
        };
        format!("seed {}, {kind} {}: {what}", self.0.seed, call.number).into()
    }

    pub(super) fn unavailable(&self, call: &Call, what: &str) -> StoreError {
        StoreError::Unavailable(self.fault(call, what))
    }

    pub(super) fn interrupted(&self, call: &Call, what: &str) -> StoreError {
        StoreError::Interrupted(self.fault(call, what))
    }

    /// What may be asked again without harm, but for the answer that may be lost.
    pub(super) async fn ask<T, E: From<StoreError>>(
        &self,
        kind: Kind,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut call = self.call(kind);
        self.pause(&mut call).await;
        let fails = call.dice.f64() < self.0.faults.reads;
        let answer = match (fails, call.dice.u8(..3)) {
            (false, _) => work.await,
            (true, 0) => Err(self.unavailable(&call, "turned away").into()),
            (true, 1) => Err(self.interrupted(&call, "lost on its way").into()),
            (true, _) => {
                work.await?;
                Err(self.interrupted(&call, "the answer was lost").into())
            }
        };
        self.pause(&mut call).await;
        answer
    }

    async fn meet(
        &self,
        fate: Fate,
        append: Append,
        call: &mut Call,
    ) -> Result<Appended, AppendError> {
        let store = &self.0.store;
        let error = match fate {
            Fate::Sound => return store.append(append).await,
            Fate::Twice if append.key.is_none() => return store.append(append).await,
            Fate::Twice => return self.deliver_twice(append, call).await,
            Fate::Rejected => self.unavailable(call, "turned away"),
            Fate::RolledBack => {
                self.roll_back(append).await?;
                self.unavailable(call, "taken back")
            }
            Fate::Unsent => self.interrupted(call, "lost on its way"),
            Fate::Unanswered => {
                store.append(append).await?;
                self.interrupted(call, "the answer was lost")
            }
            Fate::Dropped => {
                let turns = call.dice.u8(..4);
                let cut = async {
                    for _ in 0..turns {
                        yield_now().await;
                    }
                    self.pause(call).await;
                };
                tokio::select! {
                    biased;
                    answer = store.append(append) => drop(answer?),
                    () = cut => {}
                }
                self.interrupted(call, "dropped")
            }
        };
        Err(error.into())
    }

    /// Lets the store below judge an append that it must not take.
    async fn roll_back(&self, mut append: Append) -> Result<(), AppendError> {
        if let Some(part) = append.streams.first_mut() {
            part.expected = ExpectedVersion::Exact(Version::MAX);
            match self.0.store.append(append).await {
                Ok(_) | Err(AppendError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn deliver_twice(
        &self,
        append: Append,
        call: &mut Call,
    ) -> Result<Appended, AppendError> {
        let store = &self.0.store;
        let first = store.append(append.clone()).await?;
        self.0.injected.fetch_add(1, Relaxed);
        if call.dice.u8(..3) == 0 {
            let (late, mut call) = (self.clone(), call.clone());
            tokio::spawn(async move {
                late.pause(&mut call).await;
                // Nobody waits for this answer.
                let _ = late.0.store.append(append).await;
            });
            return Ok(first);
        }
        self.pause(call).await;
        let second = store.append(append).await;
        if call.dice.bool() {
            return Ok(first);
        }
        second.map_err(|error| match error {
            // Something was done, by the first delivery.
            AppendError::Store(StoreError::Unavailable(cause)) => {
                StoreError::Interrupted(cause).into()
            }
            other => other,
        })
    }
}

impl<S> Clone for Faulty<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("seed", &self.0.seed)
            .field("faults", &self.0.faults)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: Store> EventStore for Faulty<S> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let mut call = self.call(Kind::Append);
        self.pause(&mut call).await;
        let fate = self.0.faults.fate(call.dice.f64());
        let answer = self.meet(fate, append, &mut call).await;
        self.pause(&mut call).await;
        answer
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.ask(Kind::Read, self.0.store.read(read)).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.ask(Kind::Read, self.0.store.find(key)).await
    }

    /// # Panics
    /// Outside a tokio runtime, if wake-ups are to fail.
    fn watch(&self) -> watch::Receiver<Position> {
        let mut below = self.0.store.watch();
        let Faults {
            wakes,
            longest_pause,
            ..
        } = self.0.faults;
        if wakes <= 0.0 {
            return below;
        }
        let mut dice = self.call(Kind::Watch).dice;
        let (wake, woken) = watch::channel(*below.borrow_and_update());
        tokio::spawn(async move {
            loop {
                if dice.f64() < wakes {
                    wake.send_modify(|_| {});
                }
                tokio::select! {
                    changed = below.changed() => if changed.is_err() { return },
                    () = wake.closed() => return,
                }
                if dice.f64() < wakes {
                    sleep(longest_pause.mul_f64(dice.f64())).await;
                }
                wake.send_replace(*below.borrow_and_update());
            }
        });
        woken
    }
}

#[async_trait]
impl<S: Store> SnapshotStore for Faulty<S> {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let save = self.0.store.save_snapshot(snapshot);
        self.ask(Kind::Snapshot, save).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let load = self.0.store.load_snapshot(stream);
        self.ask(Kind::Snapshot, load).await
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        let clear = self.0.store.clear_snapshots();
        self.ask(Kind::Snapshot, clear).await
    }
}
