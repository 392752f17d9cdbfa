//! [`Faulty`], a store that injects seeded faults into another store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::faults::{Faults, InjectedFault};
use factum_core::append::{Append, AppendError, Appended, ExpectedVersion, IdempotencyKey};
use factum_core::event_type_list::{EventTypeList, EventTypeSummary};
use factum_core::position::{Position, Version};
use factum_core::read::{Page, Read};
use factum_core::snapshot::{Snapshot, SnapshotStore};
use factum_core::store::{EventStore, Store};
use factum_core::stream_id::StreamId;
use factum_core::stream_list::{StreamList, StreamSummary};
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;

/// A store that wraps another store and injects faults as a seed determines.
///
/// Use it to test how an application behaves when its store fails, and to test stores that wrap another store.
///
/// The fault of a call depends on the seed, on the operation and on the number of earlier calls of that operation.
/// So the same calls in the same order fail in the same way. The text of an injected error names the seed and the
/// call.
///
/// Clones share the count of calls. [`store`](Self::store) gives access to the inner store without faults.
///
/// ```ignore
/// use factum_testkit::{Faults, Faulty};
/// use factum_memory::MemoryStore;
///
/// let store = MemoryStore::new();
/// let engine = Engine::new(Faulty::new(store.clone(), 7, Faults::default()));
/// // Run the application on `engine`, then check the events in `store`.
/// ```
pub struct Faulty<S>(Arc<FaultyState<S>>);

pub(super) const UNREACHABLE: &str = "the store was unavailable";
pub(super) const REQUEST_LOST: &str = "the request was lost";
pub(super) const RESPONSE_LOST: &str = "the response was lost";

struct FaultyState<S> {
    store: S,
    seed: u64,
    faults: Faults,
    calls: [AtomicU64; 5],
    injected: AtomicU64,
}

#[derive(Clone, Copy)]
pub(super) enum StoreCall {
    Append,
    Read,
    Snapshot,
    Watch,
    Change,
}

/// One call, with the random numbers that decide its faults.
#[derive(Clone)]
pub(super) struct Call {
    number: u64,
    operation: StoreCall,
    pub(super) rng: Rng,
}

impl<S: Store> Faulty<S> {
    /// Wraps `store` and injects `faults` as `seed` determines.
    #[must_use]
    pub fn new(store: S, seed: u64, faults: Faults) -> Self {
        Self(Arc::new(FaultyState {
            store,
            seed,
            faults,
            calls: Default::default(),
            injected: AtomicU64::new(0),
        }))
    }

    /// Returns the inner store, which injects no faults.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// Returns the number of injected faults so far; pauses and wake-ups do not count.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.0.injected.load(Relaxed)
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(super) fn start_call(&self, operation: StoreCall) -> Call {
        let number = self.0.calls[operation as usize].fetch_add(1, Relaxed) + 1;
        let mut seeds = Rng::with_seed(self.0.seed);
        let own = seeds.u64(..).rotate_left(operation as u32 * 16);
        let rng = Rng::with_seed(own ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Call {
            number,
            operation,
            rng,
        }
    }

    pub(super) async fn pause(&self, call: &mut Call) {
        let faults = &self.0.faults;
        let (pauses, sleeps) = (call.rng.f64() < faults.pauses, call.rng.bool());
        let length = faults.longest_pause.mul_f64(call.rng.f64());
        match (pauses, sleeps) {
            (false, _) => {}
            (true, false) => yield_now().await,
            (true, true) => sleep(length).await,
        }
    }

    /// Counts an injected fault and returns its error.
    fn fault(&self, call: &Call, what: &str) -> Box<dyn std::error::Error + Send + Sync> {
        self.0.injected.fetch_add(1, Relaxed);
        let operation = match call.operation {
            StoreCall::Append => "append",
            StoreCall::Read => "read",
            StoreCall::Snapshot => "snapshot call",
            StoreCall::Watch => "watch",
            StoreCall::Change => "document change",
        };
        let (seed, number) = (self.0.seed, call.number);
        format!("injected fault in {operation} {number} with seed {seed}: {what}").into()
    }

    pub(super) fn unavailable(&self, call: &Call, what: &str) -> StoreError {
        StoreError::Unavailable(self.fault(call, what).into())
    }

    pub(super) fn interrupted(&self, call: &Call, what: &str) -> StoreError {
        StoreError::Interrupted(self.fault(call, what).into())
    }

    /// Runs an idempotent call with pauses, and fails at the rate of reads.
    pub(super) async fn call<T, E: From<StoreError>>(
        &self,
        operation: StoreCall,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut call = self.start_call(operation);
        self.pause(&mut call).await;
        let fails = call.rng.f64() < self.0.faults.reads;
        let result = match (fails, call.rng.u8(..3)) {
            (false, _) => work.await,
            (true, 0) => Err(self.unavailable(&call, UNREACHABLE).into()),
            (true, 1) => Err(self.interrupted(&call, REQUEST_LOST).into()),
            (true, _) => {
                work.await?;
                Err(self.interrupted(&call, RESPONSE_LOST).into())
            }
        };
        self.pause(&mut call).await;
        result
    }

    async fn append_with(
        &self,
        fault: InjectedFault,
        append: Append,
        call: &mut Call,
    ) -> Result<Appended, AppendError> {
        let store = &self.0.store;
        let error = match fault {
            InjectedFault::None => return store.append(append).await,
            InjectedFault::Twice if append.key.is_none() => return store.append(append).await,
            InjectedFault::Twice => return self.append_twice(append, call).await,
            InjectedFault::Rejected => self.unavailable(call, UNREACHABLE),
            InjectedFault::RolledBack => {
                self.roll_back(append).await?;
                self.unavailable(call, "the append was rolled back")
            }
            InjectedFault::Unsent => self.interrupted(call, REQUEST_LOST),
            InjectedFault::Unanswered => {
                store.append(append).await?;
                self.interrupted(call, RESPONSE_LOST)
            }
            InjectedFault::Dropped => {
                let yields = call.rng.u8(..4);
                let cancellation = async {
                    for _ in 0..yields {
                        yield_now().await;
                    }
                    self.pause(call).await;
                };
                tokio::select! {
                    biased;
                    result = store.append(append) => drop(result?),
                    () = cancellation => {}
                }
                self.interrupted(call, "the future of the append was dropped")
            }
        };
        Err(error.into())
    }

    /// Sends an append with a version that cannot match, so that the inner store rolls it back.
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

    async fn append_twice(&self, append: Append, call: &mut Call) -> Result<Appended, AppendError> {
        let store = &self.0.store;
        let first = store.append(append.clone()).await?;
        self.0.injected.fetch_add(1, Relaxed);
        if call.rng.u8(..3) == 0 {
            let (faulty, mut call) = (self.clone(), call.clone());
            tokio::spawn(async move {
                faulty.pause(&mut call).await;
                // The caller already has the first result.
                let _ = faulty.0.store.append(append).await;
            });
            return Ok(first);
        }
        self.pause(call).await;
        let second = store.append(append).await;
        if call.rng.bool() {
            return Ok(first);
        }
        second.map_err(|error| match error {
            // The first append was stored, so the caller must not conclude that nothing happened.
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
        let mut call = self.start_call(StoreCall::Append);
        self.pause(&mut call).await;
        let fault = self.0.faults.pick(call.rng.f64());
        let result = self.append_with(fault, append, &mut call).await;
        self.pause(&mut call).await;
        result
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.call(StoreCall::Read, self.0.store.read(read)).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.call(StoreCall::Read, self.0.store.find(key)).await
    }

    async fn import(
        &self,
        append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.0.store.import(append, recorded_at).await
    }

    async fn list_streams(&self, list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        let streams = self.0.store.list_streams(list);
        self.call(StoreCall::Read, streams).await
    }

    async fn list_event_types(
        &self,
        list: EventTypeList,
    ) -> Result<Vec<EventTypeSummary>, StoreError> {
        let types = self.0.store.list_event_types(list);
        self.call(StoreCall::Read, types).await
    }

    /// Watches the head of the inner store, with the wake-up faults.
    ///
    /// # Panics
    /// If wake-up faults are enabled and the call is made outside a Tokio runtime.
    fn watch(&self) -> watch::Receiver<Position> {
        let mut inner = self.0.store.watch();
        let Faults {
            wakes,
            longest_pause,
            ..
        } = self.0.faults;
        if wakes <= 0.0 {
            return inner;
        }
        let mut rng = self.start_call(StoreCall::Watch).rng;
        let (sender, receiver) = watch::channel(*inner.borrow_and_update());
        tokio::spawn(async move {
            loop {
                if rng.f64() < wakes {
                    sender.send_modify(|_| {});
                }
                tokio::select! {
                    changed = inner.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
                if rng.f64() < wakes {
                    sleep(longest_pause.mul_f64(rng.f64())).await;
                }
                sender.send_replace(*inner.borrow_and_update());
            }
        });
        receiver
    }
}

#[async_trait]
impl<S: Store> SnapshotStore for Faulty<S> {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let save = self.0.store.save_snapshot(snapshot);
        self.call(StoreCall::Snapshot, save).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let load = self.0.store.load_snapshot(stream);
        self.call(StoreCall::Snapshot, load).await
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        let clear = self.0.store.clear_snapshots();
        self.call(StoreCall::Snapshot, clear).await
    }
}
