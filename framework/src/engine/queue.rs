//! Commands that aim at the same stream wait for each other instead of racing.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::stream::StreamId;

const SHARDS: usize = 64;

type Shard = HashMap<StreamId, Arc<AsyncMutex<()>>>;

/// One waiting line for each stream in use, in order of arrival.
pub(crate) struct Queue {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

/// A place at the head of the lines of some streams, until dropped.
pub(crate) struct Turn<'q> {
    queue: &'q Queue,
    held: Vec<(StreamId, Option<OwnedMutexGuard<()>>)>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let shards = std::iter::repeat_with(Mutex::default)
            .take(SHARDS)
            .collect();
        Self {
            shards,
            hasher: RandomState::new(),
        }
    }

    /// Waits until the streams, each given once, are free, in the same order for everybody: nobody waits in
    /// a circle. Dropping the future gives up the places in line.
    pub(crate) async fn turn(&self, mut streams: Vec<StreamId>) -> Turn<'_> {
        streams.sort_unstable();
        let mut turn = Turn {
            queue: self,
            held: Vec::with_capacity(streams.len()),
        };
        for stream in streams {
            let line = self
                .shard(&stream)
                .entry(stream.clone())
                .or_default()
                .clone();
            turn.held.push((stream, None));
            let guard = line.lock_owned().await;
            if let Some((_, held)) = turn.held.last_mut() {
                *held = Some(guard);
            }
        }
        turn
    }

    fn shard(&self, stream: &StreamId) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(stream) as usize % SHARDS;
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn lines(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap().len())
            .sum()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for (stream, guard) in self.held.drain(..) {
            let mut shard = self.queue.shard(&stream);
            drop(guard);
            // Whoever waits holds the line as well; nobody can join while the shard is locked.
            if shard
                .get(&stream)
                .is_some_and(|line| Arc::strong_count(line) == 1)
            {
                shard.remove(&stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(key: u32) -> StreamId {
        StreamId::new("line", key).unwrap()
    }

    #[tokio::test]
    async fn a_line_is_gone_when_nobody_stands_in_it() {
        let queue = Queue::new();
        let turn = queue.turn(vec![stream(1), stream(2)]).await;
        {
            let second = queue.turn(vec![stream(2)]);
            tokio::pin!(second);
            assert!(futures_util::poll!(&mut second).is_pending());
            assert_eq!(queue.lines(), 2);
        }
        drop(turn);
        assert_eq!(queue.lines(), 0);
    }

    #[tokio::test]
    async fn opposite_orders_do_not_wait_for_each_other_in_a_circle() {
        let queue = Arc::new(Queue::new());
        let tasks = (0..64).map(|n| {
            let queue = queue.clone();
            let (a, b) = if n % 2 == 0 { (1, 2) } else { (2, 1) };
            tokio::spawn(async move {
                let turn = queue.turn(vec![stream(a), stream(b)]).await;
                tokio::task::yield_now().await;
                drop(turn);
            })
        });
        futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(queue.lines(), 0);
    }
}
