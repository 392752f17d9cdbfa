//! [`CausalTree`]: the events that followed from one request, as a tree.

mod display;
mod start;
mod tree;

use std::future::IntoFuture;

use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::{MAX_PAGE, Read};
use factum_core::store::EventStore;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::causality::tree::{FoundEvents, belongs_to};
use crate::domain::error::StoreError;

pub use crate::causality::tree::{CausalEvent, CausalTree};

/// The maximum number of events in a tree, unless set.
const DEFAULT_LIMIT: usize = 10_000;

/// A [`CausalTree`], read when awaited.
///
/// Created by [`Engine::causality`](crate::engine::Engine::causality).
#[must_use = "a tree does nothing until awaited"]
pub struct Causality<'e> {
    store: &'e dyn EventStore,
    correlation: Uuid,
    after: Option<Position>,
    until: Position,
    limit: usize,
}

impl<'e> Causality<'e> {
    pub(crate) fn new(store: &'e dyn EventStore, correlation: Uuid) -> Self {
        Self {
            store,
            correlation,
            after: None,
            until: Position::MAX,
            limit: DEFAULT_LIMIT,
        }
    }

    /// Reads only the events after `position`; 0 reads from the first event of the log.
    ///
    /// The default is the time in the id. Set the position if the id has no time. Also set it if the clock that created
    /// the id is more than a minute fast, compared with the store's clock.
    pub fn after(mut self, position: impl Into<Position>) -> Self {
        self.after = Some(position.into());
        self
    }

    /// Reads only the events up to and including `position`.
    pub fn until(mut self, position: impl Into<Position>) -> Self {
        self.until = position.into();
        self
    }

    /// Sets the maximum number of events in the tree; the oldest are kept. The default is 10,000.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    async fn run(self) -> Result<CausalTree, StoreError> {
        let start = match self.after {
            Some(after) => after,
            None => start::position_before(self.store, self.correlation).await?,
        };
        let mut found = FoundEvents {
            events: Vec::new(),
            after: start,
            through: start,
            complete: true,
        };
        while let remaining @ 1.. = self.until.get().saturating_sub(found.through.get()) {
            let size = remaining.min(MAX_PAGE as u64) as usize;
            let read = Read::all(Query::all()).after(found.through).limit(size);
            let page = self.store.read(read).await?;
            let records = page
                .events
                .iter()
                .filter(|record| belongs_to(record, self.correlation));
            for record in records.take_while(|record| record.position <= self.until) {
                if found.events.len() == self.limit {
                    found.complete = false;
                    return Ok(CausalTree::new(self.correlation, found));
                }
                found.events.push(CausalEvent::new(record));
                found.through = record.position;
            }
            found.through = page.through().min(self.until).max(found.through);
            if !page.more {
                break;
            }
        }
        Ok(CausalTree::new(self.correlation, found))
    }
}

impl<'e> IntoFuture for Causality<'e> {
    type Output = Result<CausalTree, StoreError>;
    type IntoFuture = BoxFuture<'e, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
