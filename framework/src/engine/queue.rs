//! Commands that aim at the same stream wait for each other instead of racing.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::ahead::{Ahead, Chain};
use super::cache::Warm;
use crate::place::{Position, Version};
use crate::stream::StreamId;

const SHARDS: usize = 64;

/// Holds what the command before has left, while its append is on the way.
type Line = AsyncMutex<Option<Ahead>>;
type Shard = HashMap<StreamId, Arc<Line>>;

/// One waiting line for each stream in use, in order of arrival.
pub(crate) struct Queue {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

/// A place at the head of the lines of some streams, until dropped.
pub(crate) struct Turn<'q> {
    queue: &'q Queue,
    /// In the order of the streams.
    held: Vec<(StreamId, Option<OwnedMutexGuard<Option<Ahead>>>)>,
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

    /// An append that went ahead is stored. Gives back the state that it left in line, unless another command
    /// goes on from there.
    pub(crate) fn stored(
        &self,
        stream: &StreamId,
        chain: &Arc<Chain>,
        (version, position): (Version, Position),
    ) -> Option<Warm> {
        let mut shard = self.shard(stream);
        chain.advance(version, position);
        let left = take_back(&mut shard, stream, chain, Some(version))?;
        Some(Warm {
            position,
            ..left.warm
        })
    }

    /// An append that went ahead is not stored: nobody shall go on from what it left.
    pub(crate) fn broken(&self, stream: &StreamId, chain: &Arc<Chain>) {
        let mut shard = self.shard(stream);
        chain.break_off();
        take_back(&mut shard, stream, chain, None);
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

/// What is left in line by `chain`, at `version` if that is given. Whoever holds the line now sees to it itself.
fn take_back(
    shard: &mut Shard,
    stream: &StreamId,
    chain: &Arc<Chain>,
    version: Option<Version>,
) -> Option<Ahead> {
    let mut held = shard.get(stream)?.try_lock().ok()?;
    let left = held.take_if(|left| {
        Arc::ptr_eq(&left.chain, chain)
            && version.is_none_or(|version| left.warm.version == version)
    });
    drop(held);
    remove_if_unused(shard, stream);
    left
}

/// Whoever waits holds the line as well; nobody can join while the shard is locked.
fn remove_if_unused(shard: &mut Shard, stream: &StreamId) {
    let unused = shard.get(stream).is_some_and(|line| {
        Arc::strong_count(line) == 1 && line.try_lock().is_ok_and(|left| left.is_none())
    });
    if unused {
        shard.remove(stream);
    }
}

impl Turn<'_> {
    /// What the command before left for the next, if its append has not failed.
    pub(crate) fn ahead(&mut self, stream: &StreamId) -> Option<Ahead> {
        let left = self.line(stream)?.as_ref()?;
        (!left.chain.is_broken()).then(|| left.clone())
    }

    /// Leaves a state for the next command, or none.
    pub(crate) fn leave(&mut self, stream: &StreamId, ahead: Option<Ahead>) {
        if let Some(line) = self.line(stream) {
            *line = ahead;
        }
    }

    /// Whether another command waits for one of the streams.
    pub(crate) fn is_awaited(&self) -> bool {
        // The shard and this turn hold each line.
        let lines = self.held.iter().filter_map(|(_, held)| held.as_ref());
        let mut lines = lines.map(OwnedMutexGuard::mutex);
        lines.any(|line| Arc::strong_count(line) > 2)
    }

    fn line(&mut self, stream: &StreamId) -> Option<&mut Option<Ahead>> {
        let place = self.held.binary_search_by(|(held, _)| held.cmp(stream));
        self.held[place.ok()?].1.as_deref_mut()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for (stream, held) in self.held.drain(..) {
            let mut shard = self.queue.shard(&stream);
            if let Some(mut held) = held {
                // Its append was answered while nobody else could take it back.
                held.take_if(|left| left.is_over());
            }
            remove_if_unused(&mut shard, &stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(key: u32) -> StreamId {
        StreamId::new("line", key).unwrap()
    }

    fn left(chain: &Arc<Chain>, version: u64) -> Option<Ahead> {
        let warm = Warm {
            state: Arc::new(()),
            version: Version::new(version),
            position: Position::ZERO,
            lags: false,
        };
        let chain = chain.clone();
        Some(Ahead { warm, chain })
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
            assert!(turn.is_awaited());
        }
        assert!(!turn.is_awaited());
        drop(turn);
        assert_eq!(queue.lines(), 0);
    }

    #[tokio::test]
    async fn what_is_left_in_line_stays_until_its_append_is_answered() {
        let queue = Queue::new();
        let (chain, place) = (Arc::new(Chain::new()), |version| {
            (Version::new(version), Position::new(version * 10))
        });
        let mut turn = queue.turn(vec![stream(1)]).await;
        turn.leave(&stream(1), left(&chain, 1));
        drop(turn);
        let mut turn = queue.turn(vec![stream(1)]).await;
        assert!(turn.ahead(&stream(1)).is_some());
        turn.leave(&stream(1), left(&chain, 2));
        drop(turn);
        assert!(queue.stored(&stream(1), &chain, place(1)).is_none());
        assert_eq!(queue.lines(), 1);
        let warm = queue.stored(&stream(1), &chain, place(2)).unwrap();
        assert_eq!(warm.position, Position::new(20));
        assert_eq!(queue.lines(), 0);

        // Answered while the next one looks at it.
        let mut turn = queue.turn(vec![stream(1)]).await;
        turn.leave(&stream(1), left(&chain, 3));
        assert!(queue.stored(&stream(1), &chain, place(3)).is_none());
        drop(turn);
        assert_eq!(queue.lines(), 0);

        let mut turn = queue.turn(vec![stream(1)]).await;
        turn.leave(&stream(1), left(&chain, 4));
        queue.broken(&stream(1), &chain);
        assert!(turn.ahead(&stream(1)).is_none());
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
