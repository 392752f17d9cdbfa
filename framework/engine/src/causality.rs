//! [`CausalTree`]: everything that followed from one request, as a tree.

mod begin;
mod print;
mod tree;

use std::future::IntoFuture;

use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::error::StoreError;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::{MAX_PAGE, Read};
use factum_core::store::EventStore;

pub use tree::{CausalEvent, CausalTree};
use tree::{Found, belongs};

/// What is kept of a tree where nobody says how much.
const MOST_EVENTS: usize = 10_000;

/// A [`CausalTree`] on its way; await it. Made by [`Engine::causality`](crate::engine::Engine::causality).
#[must_use = "a tree does nothing until awaited"]
pub struct Causality<'e> {
    store: &'e dyn EventStore,
    correlation: Uuid,
    after: Option<Position>,
    until: Position,
    limit: usize,
}

impl<'e> Causality<'e> {
    pub fn new(store: &'e dyn EventStore, correlation: Uuid) -> Self {
        Self {
            store,
            correlation,
            after: None,
            until: Position::MAX,
            limit: MOST_EVENTS,
        }
    }

    /// Only events behind `position`; 0: from the first event of the store. In place of what the id says of its time,
    /// for an id that does not say it, or was made by a clock that is ahead of the store's.
    pub fn after(mut self, position: impl Into<Position>) -> Self {
        self.after = Some(position.into());
        self
    }

    /// Only events up to `position`, which is included.
    pub fn until(mut self, position: impl Into<Position>) -> Self {
        self.until = position.into();
        self
    }

    /// At most the `limit` oldest events of the tree. Default 10,000.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    async fn run(self) -> Result<CausalTree, StoreError> {
        let begin = match self.after {
            Some(after) => after,
            None => begin::before(self.store, self.correlation).await?,
        };
        let mut tree = Found {
            events: Vec::new(),
            begin,
            through: begin,
            complete: true,
        };
        // No more than is wanted, where the end is near.
        while let left @ 1.. = self.until.get().saturating_sub(tree.through.get()) {
            let size = left.min(MAX_PAGE as u64) as usize;
            let read = Read::all(Query::all()).after(tree.through).limit(size);
            let page = self.store.read(read).await?;
            let records = page
                .events
                .iter()
                .filter(|record| belongs(record, self.correlation));
            for record in records.take_while(|record| record.position <= self.until) {
                if tree.events.len() == self.limit {
                    tree.complete = false;
                    return Ok(CausalTree::new(self.correlation, tree));
                }
                tree.events.push(CausalEvent::new(record));
                tree.through = record.position;
            }
            tree.through = page.through().min(self.until).max(tree.through);
            if !page.more {
                break;
            }
        }
        Ok(CausalTree::new(self.correlation, tree))
    }
}

impl<'e> IntoFuture for Causality<'e> {
    type Output = Result<CausalTree, StoreError>;
    type IntoFuture = BoxFuture<'e, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
