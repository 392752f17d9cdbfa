//! Commands that aim at the same stream wait for each other instead of racing.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::oneshot;

use super::ahead::{Ahead, Chain};
use super::cache::Warm;
use crate::few::Few;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;

const SHARDS: usize = 64;

type Shard = HashMap<StreamId, Line, RandomState>;

/// One waiting line for each stream in use, in order of arrival.
pub struct Queue {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

/// The line of one stream. It is there as long as somebody is at its head, or something is left in it.
#[derive(Default)]
struct Line {
    /// Somebody is at its head, and sees to what is left.
    held: bool,
    /// What the command before has left, while its append is on the way.
    left: Option<Ahead>,
    waiting: VecDeque<oneshot::Sender<Option<Ahead>>>,
}

/// A place at the head of the lines of some streams, until dropped.
pub struct Turn<'q> {
    queue: &'q Queue,
    /// In the order of the streams, with what is left for the next command.
    held: Few<(StreamId, Option<Ahead>)>,
}

/// A place in a line behind others.
struct Waiting<'q> {
    queue: &'q Queue,
    stream: StreamId,
    called: oneshot::Receiver<Option<Ahead>>,
}

impl Queue {
    pub fn new() -> Self {
        let shards = std::iter::repeat_with(Mutex::default)
            .take(SHARDS)
            .collect();
        Self {
            shards,
            hasher: RandomState::default(),
        }
    }

    /// Waits until the streams, each given once, are free, in the same order for everybody: nobody waits in
    /// a circle. Dropping the future gives up the places in line.
    pub async fn turn(&self, mut streams: Few<StreamId>) -> Turn<'_> {
        streams.sort_unstable();
        let mut turn = Turn {
            queue: self,
            held: Few::new(),
        };
        for stream in streams {
            let left = match self.join(&stream) {
                Ok(left) => left,
                Err(mut waiting) => waiting.turn().await,
            };
            turn.held.push((stream, left));
        }
        turn
    }

    /// The turn, if nobody stands in the lines of the streams, and nothing is left there.
    pub fn turn_now(&self, streams: &[StreamId]) -> Option<Turn<'_>> {
        let mut turn = Turn {
            queue: self,
            held: Few::new(),
        };
        for stream in streams {
            let mut shard = self.shard(stream);
            let Entry::Vacant(free) = shard.entry(stream.clone()) else {
                return None;
            };
            free.insert(Line {
                held: true,
                ..Line::default()
            });
            turn.held.push((stream.clone(), None));
        }
        turn.held
            .sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Some(turn)
    }

    /// The head of the line with what was left there, or a place in it.
    fn join(&self, stream: &StreamId) -> Result<Option<Ahead>, Waiting<'_>> {
        let mut shard = self.shard(stream);
        let line = match shard.entry(stream.clone()) {
            Entry::Vacant(vacant) => vacant.insert(Line::default()),
            Entry::Occupied(line) => line.into_mut(),
        };
        if !line.held {
            line.held = true;
            return Ok(line.left.take());
        }
        let (call, called) = oneshot::channel();
        line.waiting.push_back(call);
        Err(Waiting {
            queue: self,
            stream: stream.clone(),
            called,
        })
    }

    /// Gives the head of the line to the next that still waits, with what is left.
    fn pass_on(&self, stream: &StreamId, mut left: Option<Ahead>) {
        let mut shard = self.shard(stream);
        let Some(line) = shard.get_mut(stream) else {
            return;
        };
        // Its append was answered while nobody else could take it back.
        left.take_if(|left| left.is_over());
        while let Some(next) = line.waiting.pop_front() {
            match next.send(left) {
                Ok(()) => return,
                Err(back) => left = back,
            }
        }
        if left.is_none() {
            shard.remove(stream);
        } else {
            (line.left, line.held) = (left, false);
        }
    }

    /// An append that went ahead is stored. Gives back the state that it left in line, unless another command
    /// goes on from there.
    pub fn stored(
        &self,
        stream: &StreamId,
        chain: &Arc<Chain>,
        (version, position): (Version, Position),
    ) -> Option<Warm> {
        let mut shard = self.shard(stream);
        chain.advance(version, position);
        let left = take_back(&mut shard, stream, |left| {
            Arc::ptr_eq(&left.chain, chain) && left.warm.version == version
        })?;
        Some(Warm {
            position,
            ..left.warm
        })
    }

    /// An append that went ahead is not stored: nobody shall go on from what it left.
    pub fn broken(&self, stream: &StreamId, chain: &Arc<Chain>) {
        let mut shard = self.shard(stream);
        chain.break_off();
        take_back(&mut shard, stream, |left| Arc::ptr_eq(&left.chain, chain));
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

/// What is left in a line at whose head nobody is. Whoever is there sees to it itself.
fn take_back(
    shard: &mut Shard,
    stream: &StreamId,
    mine: impl FnOnce(&Ahead) -> bool,
) -> Option<Ahead> {
    let line = shard.get_mut(stream).filter(|line| !line.held)?;
    let left = line.left.take_if(|left| mine(left))?;
    shard.remove(stream);
    Some(left)
}

impl Turn<'_> {
    /// What the command before left for the next, if its append has not failed.
    pub fn ahead(&mut self, stream: &StreamId) -> Option<Ahead> {
        let left = self.left(stream)?.as_ref()?;
        (!left.chain.is_broken()).then(|| left.clone())
    }

    /// Leaves a state for the next command, or none.
    pub fn leave(&mut self, stream: &StreamId, ahead: Option<Ahead>) {
        if let Some(left) = self.left(stream) {
            *left = ahead;
        }
    }

    /// Whether another command waits for one of the streams.
    pub fn is_awaited(&self) -> bool {
        self.held.iter().any(|(stream, _)| {
            let shard = self.queue.shard(stream);
            shard
                .get(stream)
                .is_some_and(|line| !line.waiting.is_empty())
        })
    }

    fn left(&mut self, stream: &StreamId) -> Option<&mut Option<Ahead>> {
        let place = self.held.binary_search_by(|(held, _)| held.cmp(stream));
        Some(&mut self.held[place.ok()?].1)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for (stream, left) in std::mem::take(&mut self.held) {
            self.queue.pass_on(&stream, left);
        }
    }
}

impl Waiting<'_> {
    async fn turn(&mut self) -> Option<Ahead> {
        // An error cannot be: whoever is at the head calls the next before the line is gone.
        (&mut self.called).await.unwrap_or_default()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.called.is_terminated() {
            return;
        }
        self.called.close();
        if let Ok(left) = self.called.try_recv() {
            // The turn came, and nobody was there to take it.
            self.queue.pass_on(&self.stream, left);
        } else if let Some(line) = self.queue.shard(&self.stream).get_mut(&self.stream) {
            line.waiting.retain(|call| !call.is_closed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(key: u32) -> StreamId {
        StreamId::new("line", key).unwrap()
    }

    fn streams<const N: usize>(keys: [u32; N]) -> Few<StreamId> {
        keys.into_iter().map(stream).collect()
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
        let turn = queue.turn(streams([1, 2])).await;
        {
            let second = queue.turn(streams([2]));
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
        let mut turn = queue.turn(streams([1])).await;
        turn.leave(&stream(1), left(&chain, 1));
        drop(turn);
        let mut turn = queue.turn(streams([1])).await;
        assert!(turn.ahead(&stream(1)).is_some());
        turn.leave(&stream(1), left(&chain, 2));
        drop(turn);
        assert!(queue.stored(&stream(1), &chain, place(1)).is_none());
        assert_eq!(queue.lines(), 1);
        let warm = queue.stored(&stream(1), &chain, place(2)).unwrap();
        assert_eq!(warm.position, Position::new(20));
        assert_eq!(queue.lines(), 0);

        // Answered while the next one looks at it.
        let mut turn = queue.turn(streams([1])).await;
        turn.leave(&stream(1), left(&chain, 3));
        assert!(queue.stored(&stream(1), &chain, place(3)).is_none());
        drop(turn);
        assert_eq!(queue.lines(), 0);

        let mut turn = queue.turn(streams([1])).await;
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
                let turn = queue.turn(streams([a, b])).await;
                tokio::task::yield_now().await;
                drop(turn);
            })
        });
        futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(queue.lines(), 0);
    }

    #[tokio::test]
    async fn whoever_is_called_and_gone_passes_the_turn_on_with_what_is_left() {
        let queue = Queue::new();
        let mut turn = queue.turn(streams([1])).await;
        let mut gone = Box::pin(queue.turn(streams([1])));
        let mut next = Box::pin(queue.turn(streams([1])));
        assert!(futures_util::poll!(&mut gone).is_pending());
        assert!(futures_util::poll!(&mut next).is_pending());
        turn.leave(&stream(1), left(&Arc::new(Chain::new()), 1));
        drop(turn);
        drop(gone);
        let mut turn = next.await;
        assert!(turn.ahead(&stream(1)).is_some());
        turn.leave(&stream(1), None);
        drop(turn);
        assert_eq!(queue.lines(), 0);
    }
}
