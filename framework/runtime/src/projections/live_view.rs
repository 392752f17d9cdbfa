//! Live queries of read models in a database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use futures_util::{FutureExt as _, Stream};
use tokio::sync::watch;

use super::Served;
use factum_core::position::Position;
use factum_core::store::Store;
use factum_engine::error::StoreError;

/// How soon it is looked again for what has just been appended; then after twice as long, and so on.
const SOON: Duration = Duration::from_millis(2);
/// How long what changes without an event, a switch to another build or a retry, may go unseen.
const IDLE: Duration = Duration::from_secs(1);

/// A read model in a database whose readers can see it as of one position.
#[async_trait]
pub trait Views: Send + Sync + 'static {
    /// The read model, as it was at one moment.
    type View: Send;

    /// Opens one; `None`: there is nothing to be seen yet.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    async fn open(&self) -> Result<(Served, Option<Self::View>), StoreError>;
}

/// What `look` finds in the newest of `views`, and then what it finds whenever that has become something else, each with the
/// position of the view; without what stands at or ahead of `after`. Whoever works on the read model: it is seen by its
/// documents in `store`.
///
/// It never goes back behind a position that it has told. With partitions, what is found may be ahead of its position; it is
/// told once more when every partition has come to where the farthest was. An error does not end it: ask again, and it goes
/// on. It ends once the store is closed.
pub fn live<V, R, L, F>(
    (views, store): (V, Arc<dyn Store>),
    after: Option<Position>,
    look: L,
) -> impl Stream<Item = Result<(R, Position), StoreError>> + Send + use<V, R, L, F>
where
    V: Views,
    R: PartialEq + Clone + Send + 'static,
    L: Fn(V::View) -> F + Send + Sync + 'static,
    F: Future<Output = Result<R, StoreError>> + Send + 'static,
{
    let live = Live {
        views,
        head: store.watch(),
        store,
        look: Box::new(move |view| look(view).boxed()),
        after,
        seen: None,
        told: None,
        farthest: Position::ZERO,
    };
    unfold(live, |mut live| async move {
        live.next().await.map(|next| (next, live))
    })
}

type Look<V, R> =
    Box<dyn Fn(<V as Views>::View) -> BoxFuture<'static, Result<R, StoreError>> + Send + Sync>;

struct Live<V: Views, R> {
    views: V,
    store: Arc<dyn Store>,
    head: watch::Receiver<Position>,
    look: Look<V, R>,
    after: Option<Position>,
    seen: Option<Served>,
    told: Option<(R, Position)>,
    /// Where the farthest partition was in what was told.
    farthest: Position,
}

impl<V: Views, R: PartialEq + Clone> Live<V, R> {
    async fn next(&mut self) -> Option<Result<(R, Position), StoreError>> {
        loop {
            match self.step().await {
                Ok(Some(next)) => return Some(Ok(next)),
                Ok(None) => {}
                Err(StoreError::Closed) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    async fn step(&mut self) -> Result<Option<(R, Position)>, StoreError> {
        if let Some(seen) = &self.seen {
            changed(&*self.store, &mut self.head, seen).await?;
        }
        let (served, view) = self.views.open().await?;
        let position = served.position();
        let is_news = self.after.is_none_or(|after| position > after)
            && self.told.as_ref().is_none_or(|(_, at)| position >= *at);
        let mut found = None;
        if let Some(view) = view.filter(|_| is_news) {
            let result = (self.look)(view).await?;
            let is_new = self.told.as_ref().is_none_or(|(told, at)| {
                let has_caught_up = *at < self.farthest && position >= self.farthest;
                *told != result || has_caught_up
            });
            found = is_new.then_some((result, position));
        }
        // Not ahead of an error: then it is looked again at once.
        let farthest = served.farthest();
        self.seen = Some(served);
        if found.is_some() {
            self.told.clone_from(&found);
            self.farthest = farthest;
        }
        Ok(found)
    }
}

/// Waits until readers may see something else than what was `seen`.
async fn changed(
    store: &dyn Store,
    head: &mut watch::Receiver<Position>,
    seen: &Served,
) -> Result<(), StoreError> {
    let keys = seen.keys();
    let mut pause = SOON;
    loop {
        let is_back = *head.borrow_and_update() > seen.position();
        if !seen.stands(&store.find_documents(&keys).await?) {
            return Ok(());
        }
        if is_back {
            tokio::time::sleep(pause).await;
            pause = IDLE.min(pause * 2);
            continue;
        }
        tokio::select! {
            changed = head.changed() => changed.map_err(|_| StoreError::Closed)?,
            () = tokio::time::sleep(IDLE) => {}
        }
    }
}
