//! Commands on a stream in demand do not wait for each other's commit: while one append is on its way, the next
//! command decides on the state that it will leave, and goes out right behind.
//!
//! Nothing is promised on such a state. The append that rests on it expects the version that it would have, so it
//! fails together with the one before; and a rejection waits until the state is stored.

use std::sync::Arc;

use tokio::sync::watch;

use super::Inner;
use super::cache::Warm;
use super::queue::Turn;
use crate::boundary::Part;
use factum_core::position::{Position, Version};
use factum_core::snapshot::Snapshot;
use factum_core::stream_id::StreamId;

/// The state of a stream behind an append that is on its way.
#[derive(Clone)]
pub struct Ahead {
    pub warm: Warm,
    pub chain: Arc<Chain>,
}

impl Ahead {
    /// Whether its append was answered.
    pub fn is_over(&self) -> bool {
        let link = self.chain.0.borrow();
        link.broken || link.version >= self.warm.version
    }
}

/// Appends to one stream, each resting on the one before, none of them sure to be stored.
pub struct Chain(watch::Sender<Link>);

#[derive(Clone, Copy, Default)]
struct Link {
    /// What is stored of it.
    version: Version,
    position: Position,
    /// An append has failed, and with it all behind it.
    broken: bool,
}

impl Chain {
    pub fn new() -> Self {
        Self(watch::Sender::default())
    }

    pub fn advance(&self, version: Version, position: Position) {
        self.0.send_modify(|link| {
            if version > link.version {
                (link.version, link.position) = (version, position);
            }
        });
    }

    pub fn break_off(&self) {
        self.0.send_modify(|link| link.broken = true);
    }

    pub fn is_broken(&self) -> bool {
        self.0.borrow().broken
    }

    /// The position of the newest event that is stored.
    pub fn position(&self) -> Position {
        self.0.borrow().position
    }

    /// Waits until `version` is stored. `false`: it will not be.
    pub async fn is_stored(&self, version: Version) -> bool {
        let mut link = self.0.subscribe();
        let answered = link.wait_for(|link| link.broken || link.version >= version);
        // An error cannot be: the sender is here.
        answered.await.is_ok_and(|link| link.version >= version)
    }
}

/// A command whose append is on its way, while others go on from the states that it leaves. Unless it is said to
/// be stored, it has failed.
pub struct GoneAhead<'q> {
    inner: &'q Inner,
    parts: Vec<Gone>,
}

/// What it leaves for one stream.
struct Gone {
    stream: StreamId,
    chain: Arc<Chain>,
    version: Version,
    /// How far behind the head ahead of the append its newest event stands.
    behind: u64,
    snapshot: Option<Snapshot>,
}

impl<'q> GoneAhead<'q> {
    pub fn new(inner: &'q Inner) -> Self {
        Self {
            inner,
            parts: Vec::new(),
        }
    }

    /// Leaves the new state of `part`, which was at `seen` before the decision and rests on `chain`, if on any. A state
    /// that was only looked at is the business of whoever made it.
    pub fn leave(
        &mut self,
        part: &mut dyn Part,
        turn: &mut Turn<'_>,
        (seen, chain): (Version, Option<Arc<Chain>>),
    ) {
        let Some(stream) = part.stream().cloned() else {
            return;
        };
        let (is_new, behind) = (part.version() > seen, part.position().get());
        let snapshot = part.snapshot(seen);
        let Some(warm) = part.give_away() else { return };
        let version = warm.version;
        let leave = |chain: &Arc<Chain>| {
            let chain = chain.clone();
            Some(Ahead { warm, chain })
        };
        match (is_new, chain) {
            (true, chain) => {
                let chain = chain.unwrap_or_else(|| Arc::new(Chain::new()));
                turn.leave(&stream, leave(&chain));
                self.parts.push(Gone {
                    stream,
                    chain,
                    version,
                    behind,
                    snapshot,
                });
            }
            (false, Some(chain)) => turn.leave(&stream, leave(&chain)),
            (false, None) => {}
        }
    }

    /// The append is stored, behind `head`.
    pub fn stored(mut self, head: Position) {
        let Inner { source, queue, .. } = self.inner;
        for gone in self.parts.drain(..) {
            let position = head.plus(gone.behind);
            let place = (gone.version, position);
            if let Some(warm) = queue.stored(&gone.stream, &gone.chain, place) {
                source.cache.put(&gone.stream, warm);
            }
            if let Some(snapshot) = gone.snapshot {
                source.save(Snapshot {
                    position,
                    ..snapshot
                });
            }
        }
    }
}

impl Drop for GoneAhead<'_> {
    fn drop(&mut self) {
        for gone in self.parts.drain(..) {
            self.inner.queue.broken(&gone.stream, &gone.chain);
            self.inner.source.cache.doubt(&gone.stream);
        }
    }
}
