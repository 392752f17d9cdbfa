//! Live queries of read models in memory: a result, then each later result that differs.

use factum_core::position::Position;
use factum_engine::projection::Projection;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;

use super::in_memory::{InMemory, WeakInMemory};

impl<P: Projection> InMemory<P> {
    /// Returns a stream: the result of `query`, then each later result that differs.
    ///
    /// Each result has the position of the newest processed event. With several partitions, it is the position that
    /// every partition has reached. Store it to continue [after it](Self::live_after) later. Results that were replaced
    /// before they were requested are skipped. Positions never decrease; after a `reset`, the stream pauses until the
    /// last position is reached again. The stream ends when the last handle of the read model is dropped. `query`
    /// blocks the projection, so it must be short.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// use factum::prelude::*;
    /// use futures_util::StreamExt as _;
    ///
    /// # #[derive(Event, Serialize, Deserialize)]
    /// # enum AccountEvent { Opened }
    /// #[derive(Projection, Default)]
    /// #[projection(events = AccountEvent)]
    /// struct Open(u64);
    ///
    /// async fn show(model: InMemory<Open>) {
    ///     let mut open = pin!(model.live(|open| open.0));
    ///     while let Some((count, position)) = open.next().await {
    ///         println!("{count} accounts are open at position {position}");
    ///     }
    /// }
    /// ```
    pub fn live<R, L>(&self, query: L) -> impl Stream<Item = (R, Position)> + Send + use<P, R, L>
    where
        L: Fn(&P) -> R + Send + Sync + 'static,
        R: PartialEq + Clone + Send + 'static,
    {
        self.follow(None, query)
    }

    /// Returns the results of [`live`](Self::live), except those at or before `position`.
    ///
    /// The caller has already seen these results.
    pub fn live_after<R, L>(
        &self,
        position: Position,
        query: L,
    ) -> impl Stream<Item = (R, Position)> + Send + use<P, R, L>
    where
        L: Fn(&P) -> R + Send + Sync + 'static,
        R: PartialEq + Clone + Send + 'static,
    {
        self.follow(Some(position), query)
    }

    fn follow<R, L>(
        &self,
        seen: Option<Position>,
        query: L,
    ) -> impl Stream<Item = (R, Position)> + Send + use<P, R, L>
    where
        L: Fn(&P) -> R + Send + Sync + 'static,
        R: PartialEq + Clone + Send + 'static,
    {
        let query: Box<dyn Fn(&P) -> R + Send + Sync> = Box::new(query);
        let live = ModelLiveQuery {
            changes: self.changes(),
            model: self.downgrade(),
            query,
            seen,
            last: None,
        };
        unfold(live, |mut live| async move {
            live.next().await.map(|next| (next, live))
        })
    }
}

struct ModelLiveQuery<P, R> {
    model: WeakInMemory<P>,
    changes: watch::Receiver<()>,
    query: Box<dyn Fn(&P) -> R + Send + Sync>,
    seen: Option<Position>,
    last: Option<(R, Position)>,
}

impl<P: Projection, R: PartialEq + Clone> ModelLiveQuery<P, R> {
    async fn next(&mut self) -> Option<(R, Position)> {
        loop {
            // Marked as seen before the query: a change during the query ends the wait below.
            self.changes.borrow_and_update();
            let (result, position) = self.model.upgrade()?.read_at(&self.query);
            let last = self.last.as_ref();
            let is_new = self.seen.is_none_or(|seen| position > seen)
                && last.is_none_or(|(last, at)| position >= *at && *last != result);
            if is_new {
                self.last = Some((result, position));
                return self.last.clone();
            }
            self.changes.changed().await.ok()?;
        }
    }
}
