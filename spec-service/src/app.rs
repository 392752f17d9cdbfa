//! What the service does, behind both of its APIs: no rule lives in either of them.

mod context;
mod error;
mod list;
mod view;
mod watch;
mod write;

use std::sync::Arc;
use std::time::Duration;

use factum::{Append, Engine, Position, Projections, Read, RecordedEvent};
use tracing::warn;

use crate::domain::{DEFAULT_MAX_BYTES, Rejection, Spec, SpecId};

pub use context::Context;
pub use error::AppError;
pub use list::{Cursor, InvalidCursor, ListPage, ListQuery, MAX_LIMIT, SpecList, SpecSummary};
pub use view::{Change, Health, SpecVersion, SpecView};
pub use watch::Changes;
pub use write::{NewSpec, NewVersion, Written};

/// How long a write waits until lists show it.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// The specifications. A handle: clones share everything.
#[derive(Clone)]
pub struct Specs(Arc<Inner>);

struct Inner {
    engine: Engine,
    projections: Projections,
    list: Box<dyn SpecList>,
    max_content: usize,
}

impl Specs {
    /// Specifications in the store of `engine`. `projections` feeds `list`.
    #[must_use]
    pub fn new(engine: Engine, projections: Projections, list: impl SpecList) -> Self {
        Self(Arc::new(Inner {
            engine,
            projections,
            list: Box::new(list),
            max_content: DEFAULT_MAX_BYTES,
        }))
    }

    /// The same, with contents of up to `bytes` bytes instead of
    /// [`DEFAULT_MAX_BYTES`]; at most
    /// [`MAX_MAX_BYTES`](crate::domain::MAX_MAX_BYTES).
    ///
    /// # Panics
    /// Once the handle was cloned.
    #[must_use]
    pub fn max_content(mut self, bytes: usize) -> Self {
        let inner = Arc::get_mut(&mut self.0);
        inner
            .expect("settings come before the first clone")
            .max_content = bytes;
        self
    }

    /// The specification with the content of `version`; without one, with the content in force, or with the
    /// latest if none was ever published. A deleted one, too.
    ///
    /// # Errors
    /// [`Rejection::NotFound`], [`Rejection::NoSuchVersion`], or the store's.
    pub async fn get(&self, id: SpecId, version: Option<u64>) -> Result<SpecView, AppError> {
        let engine = &self.0.engine;
        let spec = engine.load::<Spec>(&id).await?;
        let life = spec.life().ok_or(Rejection::NotFound)?;
        let latest = life.latest();
        let version = version.or(life.published).unwrap_or(latest);
        let content = life.content(version).ok_or(Rejection::NoSuchVersion {
            asked: version,
            latest,
        })?;
        let revision = spec.version().get();
        let (created, updated) = tokio::try_join!(self.record(&id, 1), self.record(&id, revision))?;
        Ok(SpecView {
            id,
            name: life.name.clone(),
            description: life.description.clone(),
            content: content.clone(),
            version,
            latest_version: latest,
            published_version: life.published,
            state: life.state,
            created_at: created.recorded_at,
            created_by: view::actor(&created),
            updated_at: updated.recorded_at,
            updated_by: view::actor(&updated),
            revision,
        })
    }

    /// The event that made `revision`, which is there.
    async fn record(&self, id: &SpecId, revision: u64) -> Result<RecordedEvent, AppError> {
        let stream = <Spec as factum::Aggregate>::stream(id).map_err(factum::LoadError::from)?;
        let read = Read::stream(stream.clone()).after(revision - 1).limit(1);
        let page = self.0.engine.store().read(read).await?;
        page.events.into_iter().next().ok_or_else(|| {
            factum::StoreError::Corrupt(format!("{stream} has no event {revision}")).into()
        })
    }

    /// Every version of the content, version 1 first, with who made it and when.
    ///
    /// # Errors
    /// [`Rejection::NotFound`], or the store's.
    pub async fn versions(&self, id: SpecId) -> Result<Vec<SpecVersion>, AppError> {
        Ok(view::versions(&self.history(id).await?))
    }

    /// Everything that ever happened to the specification, oldest first.
    ///
    /// # Errors
    /// [`Rejection::NotFound`], or the store's.
    pub async fn history(&self, id: SpecId) -> Result<Vec<Change>, AppError> {
        let events = self.0.engine.history::<Spec>(&id).await?;
        if events.is_empty() {
            return Err(Rejection::NotFound.into());
        }
        Ok(events
            .into_iter()
            .map(|event| Change { id, event })
            .collect())
    }

    /// A page of specifications, in the order of their creation. Waits until it shows what `query.known` asks
    /// for.
    ///
    /// # Errors
    /// [`AppError::Limit`]; [`AppError::Behind`] if the list does not get there in time; or the store's.
    pub async fn list(&self, query: ListQuery) -> Result<ListPage, AppError> {
        query.check()?;
        if let Some(position) = query.known {
            let shown = self.0.projections.wait_for(position);
            match tokio::time::timeout(LIST_TIMEOUT, shown).await {
                Ok(shown) => shown.map_err(|error| AppError::Unavailable(error.into()))?,
                Err(_) => return Err(AppError::Behind { position }),
            }
        }
        self.0.list.page(query).await
    }

    /// The changes of all specifications: first those already made, from `from` on, which is included, then
    /// each as it is made.
    #[must_use]
    pub fn watch(&self, from: Position) -> Changes {
        Changes::new(&self.0.engine, from)
    }

    /// Whether the store takes writes, and how the read models stand.
    pub async fn health(&self) -> Health {
        let written = self.0.engine.store().append(Append::default()).await;
        let projections = self.0.projections.status();
        Health {
            store: written.map(drop).map_err(|error| error.to_string()),
            head: *self.0.engine.store().watch().borrow(),
            projections,
        }
    }

    /// Tells the metrics how far lists are behind the store as it is now.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn measure(&self) -> Result<(), factum::StoreError> {
        factum::metrics::measure(&self.0.engine, &self.0.projections).await
    }

    /// Fills the list anew from the events; returns once it has everything that was written before.
    ///
    /// # Errors
    /// What the read model says.
    pub async fn rebuild_list(&self) -> Result<(), AppError> {
        let head = *self.0.engine.store().watch().borrow();
        for status in self.0.projections.status() {
            self.0.projections.rebuild(&status.name).await?;
        }
        self.0
            .projections
            .wait_for(head)
            .await
            .map_err(AppError::from)
    }

    /// Waits until lists show what was written at `position`. What was written stays written if they do not.
    async fn shown(&self, position: Position) {
        let waiting = tokio::time::timeout(LIST_TIMEOUT, self.0.projections.wait_for(position));
        match waiting.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, %position, "written, but lists do not show it"),
            Err(_) => warn!(%position, "written, but lists do not show it in time"),
        }
    }
}
