//! Live queries of read models in memory: a result, then each later result that differs.

use factum_core::position::Position;
use factum_engine::projection::Projection;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;

use super::in_memory::{InMemory, WeakInMemory};
use crate::consumer::{ConsumerObserver, WaitError};

impl<P: Projection> InMemory<P> {
    /// Returns a stream: the result of `query`, then each later result that differs.
    ///
    /// Each result has the position of the newest processed event. With several partitions, it is the position that
    /// every partition has reached. Store it to continue [after it](Self::live_after) later. Results that were replaced
    /// before they were requested are skipped. Positions never decrease; after a `reset`, the stream pauses until the
    /// last position is reached again. `query` blocks the projection, so it must be short.
    ///
    /// The stream ends when the last handle of the read model is dropped. It ends after an error if no later result can
    /// arrive: [`WaitError::ShutDown`] if the runtime was stopped or the store was closed, and
    /// [`WaitError::BeyondHead`] if the log ends before the last position, for example after a restore from a backup.
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
    ///     while let Some(next) = open.next().await {
    ///         match next {
    ///             Ok((count, position)) => println!("{count} accounts are open at position {position}"),
    ///             Err(error) => println!("no more results: {error}"),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn live<R, L>(
        &self,
        query: L,
    ) -> impl Stream<Item = Result<(R, Position), WaitError>> + Send + use<P, R, L>
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
    ) -> impl Stream<Item = Result<(R, Position), WaitError>> + Send + use<P, R, L>
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
    ) -> impl Stream<Item = Result<(R, Position), WaitError>> + Send + use<P, R, L>
    where
        L: Fn(&P) -> R + Send + Sync + 'static,
        R: PartialEq + Clone + Send + 'static,
    {
        let query: Box<dyn Fn(&P) -> R + Send + Sync> = Box::new(query);
        let live = ModelLiveQuery {
            changes: self.changes(),
            observer: self.observer(),
            model: self.downgrade(),
            query,
            seen,
            last: None,
            has_failed: false,
        };
        unfold(live, |mut live| async move {
            live.next().await.map(|next| (next, live))
        })
    }
}

struct ModelLiveQuery<P, R> {
    model: WeakInMemory<P>,
    changes: watch::Receiver<()>,
    observer: watch::Receiver<Option<ConsumerObserver>>,
    query: Box<dyn Fn(&P) -> R + Send + Sync>,
    seen: Option<Position>,
    last: Option<(R, Position)>,
    /// Set after an error, which ends the stream.
    has_failed: bool,
}

impl<P: Projection, R: PartialEq + Clone> ModelLiveQuery<P, R> {
    async fn next(&mut self) -> Option<Result<(R, Position), WaitError>> {
        if self.has_failed {
            return None;
        }
        let next = self.try_next().await;
        self.has_failed = matches!(next, Some(Err(_)));
        next
    }

    async fn try_next(&mut self) -> Option<Result<(R, Position), WaitError>> {
        loop {
            // Marked as seen before the query: a change during the query ends the wait below.
            self.changes.borrow_and_update();
            let observer = self.observer.borrow_and_update().clone();
            let has_ended = observer.as_ref().is_some_and(ConsumerObserver::has_ended);
            let (result, position) = self.model.upgrade()?.read_at(&self.query);
            let last = self.last.as_ref();
            let is_new = self.seen.is_none_or(|seen| position > seen)
                && last.is_none_or(|(last, at)| position >= *at && *last != result);
            if is_new {
                self.last = Some((result, position));
                return self.last.clone().map(Ok);
            }
            if let Some(observer) = &observer {
                let seen = self.seen.into_iter().chain(last.map(|(_, at)| *at)).max();
                if let Some(seen) = seen.filter(|seen| *seen > position)
                    && let Err(error) = observer.check_position(seen).await
                {
                    return Some(Err(error));
                }
                if has_ended {
                    return Some(Err(observer.error()));
                }
            }
            let ended = async {
                match observer {
                    Some(observer) => observer.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                started = self.observer.changed() => started.ok()?,
                () = ended => {}
            }
        }
    }
}
