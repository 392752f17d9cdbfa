//! [`StreamQueues`]: commands on the same stream wait for each other, so that they do not conflict.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use foldhash::fast::RandomState;
use tokio::sync::oneshot;

use crate::engine::append_chain::{AppendChain, PipelinedState};
use crate::state::cache::CachedState;

const SHARDS: usize = 64;

type Shard = HashMap<StreamId, WaitQueue, RandomState>;

/// The streams of a command; most commands use one or two.
pub type Streams = Vec<StreamId>;

/// The wait queues of all streams in use.
pub struct StreamQueues {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

/// The wait queue of one stream, in order of arrival.
///
/// It exists while a command holds the permit of the stream, or an append in flight has left a state in it.
#[derive(Default)]
struct WaitQueue {
    /// Set while a command holds the permit; the command then owns the pipelined state.
    has_holder: bool,
    /// The state that an append in flight will create.
    pipelined: Option<PipelinedState>,
    waiters: VecDeque<oneshot::Sender<Option<PipelinedState>>>,
}

/// The exclusive right to decide on one stream within this engine.
struct StreamPermit {
    stream: StreamId,
    /// The state for the next command, or the one that the previous command left.
    pipelined: Option<PipelinedState>,
}

/// The permits for all streams of a command, released when dropped.
pub struct StreamPermits<'q> {
    queues: &'q StreamQueues,
    /// Sorted by stream.
    permits: Vec<StreamPermit>,
}

/// A command that waits in the queue of a stream.
struct QueuedCommand<'q> {
    queues: &'q StreamQueues,
    stream: StreamId,
    granted: oneshot::Receiver<Option<PipelinedState>>,
}

impl StreamQueues {
    /// Creates queues without any commands.
    pub fn new() -> Self {
        let shards = std::iter::repeat_with(Mutex::default)
            .take(SHARDS)
            .collect();
        Self {
            shards,
            hasher: RandomState::default(),
        }
    }

    /// Acquires the permits for `streams`, which must be distinct.
    ///
    /// All commands acquire permits in the order of the streams, so a deadlock cannot occur. If the future is dropped,
    /// the command leaves the queues.
    pub async fn acquire(&self, mut streams: Streams) -> StreamPermits<'_> {
        streams.sort_unstable();
        let mut permits = self.permits();
        for stream in streams {
            let pipelined = match self.enqueue(&stream) {
                Ok(pipelined) => pipelined,
                Err(mut waiter) => waiter.wait().await,
            };
            permits.permits.push(StreamPermit { stream, pipelined });
        }
        permits
    }

    /// Acquires the permits for `streams`, if they are free.
    ///
    /// Returns `None` if another command uses one of the streams, or if an append in flight has left a state.
    pub fn try_acquire(&self, streams: &[StreamId]) -> Option<StreamPermits<'_>> {
        let mut permits = self.permits();
        for stream in streams {
            let mut shard = self.shard(stream);
            let Entry::Vacant(free) = shard.entry(stream.clone()) else {
                return None;
            };
            free.insert(WaitQueue {
                has_holder: true,
                ..WaitQueue::default()
            });
            permits.permits.push(StreamPermit {
                stream: stream.clone(),
                pipelined: None,
            });
        }
        let sorted = &mut permits.permits;
        sorted.sort_unstable_by(|one, other| one.stream.cmp(&other.stream));
        Some(permits)
    }

    fn permits(&self) -> StreamPermits<'_> {
        StreamPermits {
            queues: self,
            permits: Vec::new(),
        }
    }

    /// Takes the permit of `stream` with the pipelined state, or enters its queue.
    fn enqueue(&self, stream: &StreamId) -> Result<Option<PipelinedState>, QueuedCommand<'_>> {
        let mut shard = self.shard(stream);
        let queue = match shard.entry(stream.clone()) {
            Entry::Vacant(vacant) => vacant.insert(WaitQueue::default()),
            Entry::Occupied(queue) => queue.into_mut(),
        };
        if !queue.has_holder {
            queue.has_holder = true;
            return Ok(queue.pipelined.take());
        }
        let (grant, granted) = oneshot::channel();
        queue.waiters.push_back(grant);
        Err(QueuedCommand {
            queues: self,
            stream: stream.clone(),
            granted,
        })
    }

    /// Passes the permit of `stream`, with the pipelined state, to the next command that still waits.
    fn release(&self, stream: &StreamId, mut pipelined: Option<PipelinedState>) {
        let mut shard = self.shard(stream);
        let Some(queue) = shard.get_mut(stream) else {
            return;
        };
        // The append was resolved while a command held the permit, so `resolve_stored` could not remove the state.
        pipelined.take_if(|pipelined| pipelined.is_resolved());
        while let Some(next) = queue.waiters.pop_front() {
            match next.send(pipelined) {
                Ok(()) => return,
                Err(unsent) => pipelined = unsent,
            }
        }
        if pipelined.is_none() {
            shard.remove(stream);
        } else {
            (queue.pipelined, queue.has_holder) = (pipelined, false);
        }
    }

    /// Records that a pipelined append is stored, whose last event has this version and position.
    ///
    /// Returns the state that it left in the queue, unless another command has taken it.
    pub fn resolve_stored(
        &self,
        stream: &StreamId,
        chain: &Arc<AppendChain>,
        version: Version,
        position: Position,
    ) -> Option<CachedState> {
        let mut shard = self.shard(stream);
        chain.advance(version, position);
        let pipelined = remove_pipelined(&mut shard, stream, |pipelined| {
            Arc::ptr_eq(&pipelined.dependency.chain, chain) && pipelined.state.version == version
        })?;
        Some(CachedState {
            position,
            ..pipelined.state
        })
    }

    /// Records that a pipelined append failed, and removes the state that it left in the queue.
    pub fn resolve_failed(&self, stream: &StreamId, chain: &Arc<AppendChain>) {
        let mut shard = self.shard(stream);
        chain.mark_broken();
        remove_pipelined(&mut shard, stream, |pipelined| {
            Arc::ptr_eq(&pipelined.dependency.chain, chain)
        });
    }

    fn shard(&self, stream: &StreamId) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(stream) as usize % SHARDS;
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn queue_count(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap().len())
            .sum()
    }
}

/// Removes a matching pipelined state from a queue whose permit is free.
///
/// A command that holds the permit checks the state itself.
fn remove_pipelined(
    shard: &mut Shard,
    stream: &StreamId,
    matches: impl FnOnce(&PipelinedState) -> bool,
) -> Option<PipelinedState> {
    let queue = shard.get_mut(stream).filter(|queue| !queue.has_holder)?;
    let pipelined = queue.pipelined.take_if(|pipelined| matches(pipelined))?;
    shard.remove(stream);
    Some(pipelined)
}

impl StreamPermits<'_> {
    /// Acquires the permit for `stream` as well, if it is free.
    ///
    /// Returns `false` if another command has it. A command that would wait for it here could cause a deadlock.
    pub fn try_add(&mut self, stream: &StreamId) -> bool {
        let Err(index) = self.search(stream) else {
            return true;
        };
        let Ok(pipelined) = self.queues.enqueue(stream) else {
            return false;
        };
        let stream = stream.clone();
        self.permits
            .insert(index, StreamPermit { stream, pipelined });
        true
    }

    /// Releases the permits for other streams than `streams`.
    pub fn release_others(&mut self, streams: &[StreamId]) {
        let is_other = |permit: &mut StreamPermit| !streams.contains(&permit.stream);
        for permit in self.permits.extract_if(.., is_other) {
            self.queues.release(&permit.stream, permit.pipelined);
        }
    }

    /// Returns the state that the previous command left for `stream`, unless its append has failed.
    pub fn pipelined(&self, stream: &StreamId) -> Option<PipelinedState> {
        let pipelined = self.permits[self.index(stream)?].pipelined.as_ref()?;
        (!pipelined.dependency.chain.is_broken()).then(|| pipelined.clone())
    }

    /// Sets the state that the next command on `stream` starts from; `None` if it must load the state.
    pub fn set_pipelined(&mut self, stream: &StreamId, pipelined: Option<PipelinedState>) {
        if let Some(index) = self.index(stream) {
            self.permits[index].pipelined = pipelined;
        }
    }

    /// Returns whether another command waits for one of the streams.
    pub fn is_contended(&self) -> bool {
        self.permits.iter().any(|permit| {
            let shard = self.queues.shard(&permit.stream);
            shard
                .get(&permit.stream)
                .is_some_and(|queue| !queue.waiters.is_empty())
        })
    }

    fn index(&self, stream: &StreamId) -> Option<usize> {
        self.search(stream).ok()
    }

    /// Returns the index of the permit for `stream`, or the index at which it would be.
    fn search(&self, stream: &StreamId) -> Result<usize, usize> {
        self.permits
            .binary_search_by(|permit| permit.stream.cmp(stream))
    }
}

impl Drop for StreamPermits<'_> {
    fn drop(&mut self) {
        for permit in self.permits.drain(..) {
            self.queues.release(&permit.stream, permit.pipelined);
        }
    }
}

impl QueuedCommand<'_> {
    /// Waits for the permit, and returns the pipelined state.
    async fn wait(&mut self) -> Option<PipelinedState> {
        // This cannot fail: a queue with waiters is never removed.
        (&mut self.granted).await.unwrap_or_default()
    }
}

impl Drop for QueuedCommand<'_> {
    fn drop(&mut self) {
        if self.granted.is_terminated() {
            return;
        }
        self.granted.close();
        if let Ok(pipelined) = self.granted.try_recv() {
            // The permit was granted, but nobody has taken it.
            self.queues.release(&self.stream, pipelined);
        } else if let Some(queue) = self.queues.shard(&self.stream).get_mut(&self.stream) {
            queue.waiters.retain(|grant| !grant.is_closed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::append_chain::Dependency;

    fn stream(key: u32) -> StreamId {
        StreamId::new("queue", key).unwrap()
    }

    fn streams<const N: usize>(keys: [u32; N]) -> Streams {
        keys.into_iter().map(stream).collect()
    }

    fn pipelined(chain: &Arc<AppendChain>, version: u64) -> Option<PipelinedState> {
        let state = CachedState {
            state: Arc::new(()),
            version: Version::new(version),
            position: Position::ZERO,
            is_stale: false,
        };
        let dependency = Dependency {
            chain: chain.clone(),
            last_event: uuid::Uuid::nil(),
        };
        Some(PipelinedState { state, dependency })
    }

    #[tokio::test]
    async fn queue_is_removed_when_nobody_uses_it() {
        let queues = StreamQueues::new();
        let permits = queues.acquire(streams([1, 2])).await;
        {
            let second = queues.acquire(streams([2]));
            tokio::pin!(second);
            assert!(futures_util::poll!(&mut second).is_pending());
            assert_eq!(queues.queue_count(), 2);
            assert!(permits.is_contended());
        }
        assert!(!permits.is_contended());
        drop(permits);
        assert_eq!(queues.queue_count(), 0);
    }

    #[tokio::test]
    async fn pipelined_state_stays_until_its_append_is_resolved() {
        let queues = StreamQueues::new();
        let chain = Arc::new(AppendChain::new());
        let resolve = |version: u64| {
            let position = Position::new(version * 10);
            queues.resolve_stored(&stream(1), &chain, Version::new(version), position)
        };
        let mut permits = queues.acquire(streams([1])).await;
        permits.set_pipelined(&stream(1), pipelined(&chain, 1));
        drop(permits);
        let mut permits = queues.acquire(streams([1])).await;
        assert!(permits.pipelined(&stream(1)).is_some());
        permits.set_pipelined(&stream(1), pipelined(&chain, 2));
        drop(permits);
        assert!(resolve(1).is_none());
        assert_eq!(queues.queue_count(), 1);
        let state = resolve(2).unwrap();
        assert_eq!(state.position, Position::new(20));
        assert_eq!(queues.queue_count(), 0);

        // Resolved while the next command holds the permit.
        let mut permits = queues.acquire(streams([1])).await;
        permits.set_pipelined(&stream(1), pipelined(&chain, 3));
        assert!(resolve(3).is_none());
        drop(permits);
        assert_eq!(queues.queue_count(), 0);

        let mut permits = queues.acquire(streams([1])).await;
        permits.set_pipelined(&stream(1), pipelined(&chain, 4));
        queues.resolve_failed(&stream(1), &chain);
        assert!(permits.pipelined(&stream(1)).is_none());
        drop(permits);
        assert_eq!(queues.queue_count(), 0);
    }

    #[tokio::test]
    async fn commands_with_opposite_stream_orders_do_not_deadlock() {
        let queues = Arc::new(StreamQueues::new());
        let tasks = (0..64).map(|n| {
            let queues = queues.clone();
            let (a, b) = if n % 2 == 0 { (1, 2) } else { (2, 1) };
            tokio::spawn(async move {
                let permits = queues.acquire(streams([a, b])).await;
                tokio::task::yield_now().await;
                drop(permits);
            })
        });
        futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(queues.queue_count(), 0);
    }

    #[tokio::test]
    async fn permit_is_added_if_the_stream_is_free() {
        let queues = StreamQueues::new();
        let mut first = queues.acquire(streams([2])).await;
        let mut second = queues.acquire(streams([3])).await;
        assert!(first.try_add(&stream(1)) && first.try_add(&stream(1)));
        assert!(!second.try_add(&stream(1)) && !first.try_add(&stream(3)));
        assert!(!first.is_contended());
        second.release_others(&[]);
        assert!(first.try_add(&stream(3)));
        first.set_pipelined(&stream(1), pipelined(&Arc::new(AppendChain::new()), 1));
        drop(first);
        assert!(second.try_add(&stream(1)));
        assert!(second.pipelined(&stream(1)).is_some());
        second.set_pipelined(&stream(1), None);
        drop(second);
        assert_eq!(queues.queue_count(), 0);
    }

    #[tokio::test]
    async fn dropped_waiter_passes_its_permit_and_state_on() {
        let queues = StreamQueues::new();
        let mut permits = queues.acquire(streams([1])).await;
        let mut dropped = Box::pin(queues.acquire(streams([1])));
        let mut next = Box::pin(queues.acquire(streams([1])));
        assert!(futures_util::poll!(&mut dropped).is_pending());
        assert!(futures_util::poll!(&mut next).is_pending());
        permits.set_pipelined(&stream(1), pipelined(&Arc::new(AppendChain::new()), 1));
        drop(permits);
        drop(dropped);
        let mut permits = next.await;
        assert!(permits.pipelined(&stream(1)).is_some());
        permits.set_pipelined(&stream(1), None);
        drop(permits);
        assert_eq!(queues.queue_count(), 0);
    }
}
