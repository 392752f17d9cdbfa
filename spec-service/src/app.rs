//! The application layer: the functions that both APIs call.

mod context;
mod cursor;
mod error;
mod limits;
mod list;
mod view;
mod watch;
mod write;

use std::sync::Arc;
use std::time::Duration;

use factum::engine::LoadError;
use factum::store::{Append, Read, RecordedEvent};
use factum::{Engine, Position, Runtime};
use tracing::warn;

use crate::domain::{DEFAULT_MAX_BYTES, Spec, SpecId, SpecRejection};

pub use context::RequestContext;
pub use cursor::{Cursor, InvalidCursor};
pub use error::AppError;
pub use limits::MAX_LIMIT;
pub use list::{ListPage, ListQuery, SpecList, SpecSummary};
pub use view::{Change, Health, SpecVersion, SpecView};
pub use watch::ChangeStream;
pub use write::{NewSpec, NewVersion, WriteResult};

/// The maximum time that a request waits for the list to catch up.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle to the specifications. Clones share one engine.
#[derive(Clone)]
pub struct Specs(Arc<SpecsState>);

struct SpecsState {
    engine: Engine,
    runtime: Runtime,
    list: Box<dyn SpecList>,
    max_content: usize,
}

impl Specs {
    /// Creates a handle to the store of `engine`. `runtime` must update `list`.
    #[must_use]
    pub fn new(engine: Engine, runtime: Runtime, list: impl SpecList) -> Self {
        Self(Arc::new(SpecsState {
            engine,
            runtime,
            list: Box::new(list),
            max_content: DEFAULT_MAX_BYTES,
        }))
    }

    /// Sets the maximum size of a content in bytes. The default is [`DEFAULT_MAX_BYTES`].
    ///
    /// The value is capped at [`MAX_BYTES_LIMIT`](crate::domain::MAX_BYTES_LIMIT).
    ///
    /// # Panics
    /// Panics if the handle was cloned.
    #[must_use]
    pub fn max_content(mut self, bytes: usize) -> Self {
        let inner = Arc::get_mut(&mut self.0);
        inner
            .expect("`max_content` must be set before the handle is cloned")
            .max_content = bytes;
        self
    }

    /// Returns a specification with one version of its content, also if it is deleted.
    ///
    /// Without `version`, the content is the published version, or the latest if none was published.
    ///
    /// # Errors
    /// Returns [`SpecRejection::NotFound`], [`SpecRejection::NoSuchVersion`], or an error of the store.
    pub async fn get(&self, id: SpecId, version: Option<u64>) -> Result<SpecView, AppError> {
        let engine = &self.0.engine;
        let spec = engine.load::<Spec>(&id).await?;
        let life = spec.life().ok_or(SpecRejection::NotFound)?;
        let latest = life.latest();
        let version = version.or(life.published).unwrap_or(latest);
        let content = life.content(version).ok_or(SpecRejection::NoSuchVersion {
            requested: version,
            latest,
        })?;
        let revision = spec.version().get();
        let (created, updated) =
            tokio::try_join!(self.event_at(&id, 1), self.event_at(&id, revision))?;
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

    /// Returns the event that created `revision`, which must exist.
    async fn event_at(&self, id: &SpecId, revision: u64) -> Result<RecordedEvent, AppError> {
        let stream = <Spec as factum::Aggregate>::stream(id).map_err(LoadError::from)?;
        let read = Read::stream(stream.clone()).after(revision - 1).limit(1);
        let page = self.0.engine.store().read(read).await?;
        page.events.into_iter().next().ok_or_else(|| {
            factum::store::StoreError::Corrupt(format!(
                "missing event: version {revision} of stream {stream}"
            ))
            .into()
        })
    }

    /// Returns all versions of the content with their author and time, version 1 first.
    ///
    /// # Errors
    /// Returns [`SpecRejection::NotFound`], or an error of the store.
    pub async fn versions(&self, id: SpecId) -> Result<Vec<SpecVersion>, AppError> {
        Ok(view::versions(&self.history(id).await?))
    }

    /// Returns all changes of the specification, oldest first.
    ///
    /// # Errors
    /// Returns [`SpecRejection::NotFound`], or an error of the store.
    pub async fn history(&self, id: SpecId) -> Result<Vec<Change>, AppError> {
        let events = self.0.engine.history::<Spec>(&id).await?;
        if events.is_empty() {
            return Err(SpecRejection::NotFound.into());
        }
        Ok(events
            .into_iter()
            .map(|event| Change { id, event })
            .collect())
    }

    /// Returns a page of specifications, in the order of their creation.
    ///
    /// Waits until the list has reached `query.min_position`.
    ///
    /// # Errors
    /// Returns [`AppError::InvalidLimit`], [`AppError::ListBehind`] if the list does not reach the position in time,
    /// or an error of the store.
    pub async fn list(&self, query: ListQuery) -> Result<ListPage, AppError> {
        query.check()?;
        if let Some(position) = query.min_position {
            let caught_up = self.0.runtime.wait_for(position);
            match tokio::time::timeout(LIST_TIMEOUT, caught_up).await {
                Ok(result) => result.map_err(|error| AppError::Unavailable(error.into()))?,
                Err(_) => return Err(AppError::ListBehind { position }),
            }
        }
        self.0.list.page(query).await
    }

    /// Returns the changes of all specifications, from position `from` on, followed by new changes.
    #[must_use]
    pub fn watch(&self, from: Position) -> ChangeStream {
        ChangeStream::new(&self.0.engine, from, self.0.max_content)
    }

    /// Stops the projections, and releases their leases, so that the next process continues at once.
    pub async fn stop(&self) {
        self.0.runtime.stop().await;
    }

    /// Checks whether the store accepts writes, and returns the status of the projections.
    pub async fn health(&self) -> Health {
        let empty_append = self.0.engine.store().append(Append::default()).await;
        let projections = self.0.runtime.status();
        Health {
            store: empty_append.map(drop).map_err(|error| error.to_string()),
            head: *self.0.engine.store().watch().borrow(),
            projections,
        }
    }

    /// Updates the lag metrics of the projections with the current head of the store.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn measure(&self) -> Result<(), factum::store::StoreError> {
        factum::metrics::measure(&self.0.engine, &self.0.runtime).await
    }

    /// Rebuilds the list from the events, and waits until it has reached the current head.
    ///
    /// # Errors
    /// Returns an error if the projection cannot be rebuilt.
    pub async fn rebuild_list(&self) -> Result<(), AppError> {
        let head = *self.0.engine.store().watch().borrow();
        for status in self.0.runtime.status() {
            self.0
                .runtime
                .projection_named(&status.name)?
                .rebuild()
                .await?;
        }
        self.0.runtime.wait_for(head).await.map_err(AppError::from)
    }

    /// Waits until the list has reached `position`. A failure is only logged, because the write is stored.
    async fn wait_for_list(&self, position: Position) {
        let caught_up = self.0.runtime.wait_for(position);
        match tokio::time::timeout(LIST_TIMEOUT, caught_up).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(%error, %position, "write stored, but the list does not show it");
            }
            Err(_) => {
                warn!(%position, timeout = ?LIST_TIMEOUT, "write stored, but the list has not caught up");
            }
        }
    }
}
