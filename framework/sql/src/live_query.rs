//! Live queries of SQL read models.

use std::sync::Arc;
use std::time::Duration;

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::Store;
use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use futures_util::{FutureExt as _, Stream};
use tokio::sync::watch;

use crate::active_build::ActiveBuild;
use crate::error::SqlError;
use crate::read_model::SqlReadModel;
use crate::view::View;

/// The first pause before the read model is read again after an append; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest time until changes without an event are visible: a promotion or a retry.
const MAX_PAUSE: Duration = Duration::from_secs(1);

impl SqlReadModel {
    /// Returns a stream: the result of `query` on a [view](Self::view), then each result that differs.
    ///
    /// Each result has the position of its view. The stream waits if the read model does not exist yet.
    ///
    /// Store the position to continue [after it](Self::live_after) later. Results that were replaced before they were
    /// requested are skipped. Positions never decrease, also after a promotion. An error does not end the stream: the
    /// next item continues. The stream ends when the store is closed. It also ends after the error
    /// [`StoreError::BeyondHead`]: the log ends before the last position, for example after a restore from a backup.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// use futures_util::StreamExt as _;
    /// # use factum_sql::SqlReadModel;
    ///
    /// # async fn show(owners: SqlReadModel) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut live = pin!(owners.live(|mut view| async move {
    ///     view.query("select count(*) from {owner}").fetch_one::<i64>().await
    /// }));
    /// while let Some(next) = live.next().await {
    ///     let (count, position) = next?;
    ///     println!("{count} accounts are open at position {position}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn live<R, L, F>(
        &self,
        query: L,
    ) -> impl Stream<Item = Result<(R, Position), StoreError>> + Send + use<R, L, F>
    where
        R: PartialEq + Clone + Send + 'static,
        L: Fn(View) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, SqlError>> + Send + 'static,
    {
        self.follow(None, query)
    }

    /// Returns the results of [`live`](Self::live), except those at or before `position`.
    ///
    /// The caller has already seen these results.
    pub fn live_after<R, L, F>(
        &self,
        position: Position,
        query: L,
    ) -> impl Stream<Item = Result<(R, Position), StoreError>> + Send + use<R, L, F>
    where
        R: PartialEq + Clone + Send + 'static,
        L: Fn(View) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, SqlError>> + Send + 'static,
    {
        self.follow(Some(position), query)
    }

    /// Returns the results of [`live`](Self::live), without those at or before `after`.
    ///
    /// The documents of the store show when the read model may have changed, whichever node processes it. With several
    /// partitions, a result may contain effects of events after its position; it is repeated when every partition has
    /// reached the position that the first had.
    fn follow<R, L, F>(
        &self,
        after: Option<Position>,
        query: L,
    ) -> impl Stream<Item = Result<(R, Position), StoreError>> + Send + use<R, L, F>
    where
        R: PartialEq + Clone + Send + 'static,
        L: Fn(View) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, SqlError>> + Send + 'static,
    {
        let store: Arc<dyn Store> = self.database.clone();
        let query = move |view| {
            let result = query(view).map(|result| {
                result.map_err(|error| match error {
                    SqlError::Store(error) => error,
                    error => StoreError::Failed(error.into()),
                })
            });
            result.boxed()
        };
        let live = SqlLiveQuery {
            model: self.clone(),
            head: store.watch(),
            store,
            query: Box::new(query),
            after,
            seen: None,
            last: None,
            highest: Position::ZERO,
            has_ended: false,
        };
        unfold(live, |mut live| async move {
            live.next().await.map(|next| (next, live))
        })
    }
}

type ViewQuery<R> = Box<dyn Fn(View) -> BoxFuture<'static, Result<R, StoreError>> + Send + Sync>;

struct SqlLiveQuery<R> {
    model: SqlReadModel,
    store: Arc<dyn Store>,
    head: watch::Receiver<Position>,
    query: ViewQuery<R>,
    after: Option<Position>,
    seen: Option<ActiveBuild>,
    last: Option<(R, Position)>,
    /// The highest position of a partition in the last result.
    highest: Position,
    /// Set after an error that ends the stream.
    has_ended: bool,
}

impl<R: PartialEq + Clone> SqlLiveQuery<R> {
    async fn next(&mut self) -> Option<Result<(R, Position), StoreError>> {
        while !self.has_ended {
            match self.step().await {
                Ok(Some(next)) => return Some(Ok(next)),
                Ok(None) => {}
                Err(StoreError::Closed) => return None,
                Err(error) => {
                    self.has_ended = matches!(error, StoreError::BeyondHead { .. });
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// Checks that the log contains the position of the read model and the last seen position.
    async fn check_position(&mut self, reached: Position) -> Result<(), StoreError> {
        let last = self.last.as_ref().map(|(_, at)| *at);
        let seen = self.after.max(last).unwrap_or_default();
        let position = seen.max(reached);
        if position <= *self.head.borrow() {
            return Ok(());
        }
        // Another node may have stored events that this handle has not been notified of.
        let newest = Read::all(Query::all()).backward().limit(1);
        let head = self.store.read(newest).await?.head;
        match head < position {
            true => Err(StoreError::BeyondHead { position, head }),
            false => Ok(()),
        }
    }

    async fn step(&mut self) -> Result<Option<(R, Position)>, StoreError> {
        if let Some(seen) = &self.seen {
            wait_for_change(&*self.store, &mut self.head, seen).await?;
        }
        let (active, view) = self.model.open().await?;
        let position = active.position();
        let is_newer = self.after.is_none_or(|after| position > after)
            && self.last.as_ref().is_none_or(|(_, at)| position >= *at);
        let mut found = None;
        let view = view.filter(|_| is_newer);
        if view.is_none() {
            self.check_position(position).await?;
        }
        if let Some(view) = view {
            let result = (self.query)(view).await?;
            let is_different = self.last.as_ref().is_none_or(|(last, at)| {
                let has_caught_up = *at < self.highest && position >= self.highest;
                *last != result || has_caught_up
            });
            found = is_different.then_some((result, position));
        }
        // Not before an error: then the read model is read again at once.
        let highest = active.highest();
        self.seen = Some(active);
        if found.is_some() {
            self.last.clone_from(&found);
            self.highest = highest;
        }
        Ok(found)
    }
}

/// Waits until readers may see another state than `seen`.
async fn wait_for_change(
    store: &dyn Store,
    head: &mut watch::Receiver<Position>,
    seen: &ActiveBuild,
) -> Result<(), StoreError> {
    let keys = seen.sources();
    let mut pause = FIRST_PAUSE;
    loop {
        let lags = *head.borrow_and_update() > seen.position();
        if !seen.is_current(&store.find_documents(&keys).await?) {
            return Ok(());
        }
        if lags {
            tokio::time::sleep(pause).await;
            pause = MAX_PAUSE.min(pause * 2);
            continue;
        }
        tokio::select! {
            changed = head.changed() => changed.map_err(|_| StoreError::Closed)?,
            () = tokio::time::sleep(MAX_PAUSE) => {}
        }
    }
}
