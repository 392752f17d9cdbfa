//! Live queries: a result, and then each change of it.

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;

use super::InMemory;
use factum_core::position::Position;
use factum_engine::projection::Projection;

impl<P: Projection> InMemory<P> {
    /// What `look` finds, and then what it finds whenever that has become something else; each with the position of
    /// the newest event that had its effect; of a projection with several partitions, that up to which each of them has come.
    /// Keep it, to go on [behind it](Self::live_after) later.
    ///
    /// A result that was replaced before it was asked for is passed over: the newest counts. It never goes back behind a
    /// position that it has told, and is silent behind a `reset` until that is passed. The stream ends with the
    /// read model's last handle. `look` is called while the projection waits, so it should be short.
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
    pub fn live<R, L>(&self, look: L) -> impl Stream<Item = (R, Position)> + Send + use<P, R, L>
    where
        L: Fn(&P) -> R + Send + Sync + 'static,
        R: PartialEq + Clone + Send + 'static,
    {
        self.follow(None, look)
    }

    /// The same, without what stands at or ahead of `position`, which the caller has seen.
    pub fn live_after<R, L>(
        &self,
        position: Position,
        look: L,
    ) -> impl Stream<Item = (R, Position)> + Send + use<P, R, L>
    where
        L: Fn(&P) -> R + Send + Sync + 'static,
        R: PartialEq + Clone + Send + 'static,
    {
        self.follow(Some(position), look)
    }

    fn follow<R, L>(
        &self,
        seen: Option<Position>,
        look: L,
    ) -> impl Stream<Item = (R, Position)> + Send + use<P, R, L>
    where
        L: Fn(&P) -> R + Send + Sync + 'static,
        R: PartialEq + Clone + Send + 'static,
    {
        let look: Box<dyn Fn(&P) -> R + Send + Sync> = Box::new(look);
        let live = Live {
            changes: self.changes(),
            model: self.downgrade(),
            look,
            seen,
            told: None,
        };
        unfold(live, |mut live| async move {
            live.next().await.map(|next| (next, live))
        })
    }
}

struct Live<P, R> {
    model: super::in_memory::Weak<P>,
    changes: watch::Receiver<()>,
    look: Box<dyn Fn(&P) -> R + Send + Sync>,
    seen: Option<Position>,
    told: Option<(R, Position)>,
}

impl<P: Projection, R: PartialEq + Clone> Live<P, R> {
    async fn next(&mut self) -> Option<(R, Position)> {
        loop {
            // Marked as seen before the look: what changes meanwhile wakes the wait below.
            self.changes.borrow_and_update();
            let (result, position) = self.model.upgrade()?.read_at(&self.look);
            let told = self.told.as_ref();
            let news = self.seen.is_none_or(|seen| position > seen)
                && told.is_none_or(|(told, at)| position >= *at && *told != result);
            if news {
                self.told = Some((result, position));
                return self.told.clone();
            }
            self.changes.changed().await.ok()?;
        }
    }
}
