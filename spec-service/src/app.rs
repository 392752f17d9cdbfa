//! The application layer: the functions that both APIs call.

mod context;
mod cursor;
mod error;
mod limits;
mod list;
mod read;
mod view;
mod watch;
mod write;

use std::sync::Arc;
use std::time::Duration;

use factum::{Engine, Position, Runtime};
use factum_server::write_check::WriteCheck;
use tracing::warn;

use crate::domain::DEFAULT_MAX_BYTES;

pub use context::RequestContext;
pub use cursor::{Cursor, HistoryCursor, InvalidCursor, ListCursor, VersionCursor};
pub use error::AppError;
pub use limits::{DEFAULT_LIMIT, MAX_LIMIT};
pub use list::{ListPage, ListQuery, SpecList, SpecSummary};
pub use read::{ItemPage, PageQuery};
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
    write_check: WriteCheck,
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
            write_check: WriteCheck::new("spec-service/write-check"),
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

    /// Returns a page of specifications, in the order of their creation.
    ///
    /// Waits until the list has reached `query.min_position`.
    ///
    /// # Errors
    /// Returns [`AppError::InvalidLimit`], [`AppError::ListBehind`] if the list does not reach the position in time,
    /// [`AppError::BeyondHead`] if the log does not have the position, or an error of the store.
    pub async fn list(&self, query: ListQuery) -> Result<ListPage, AppError> {
        query.check()?;
        if let Some(position) = query.min_position {
            let caught_up = self.0.runtime.wait_for(position);
            match tokio::time::timeout(LIST_TIMEOUT, caught_up).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(error.into()),
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
        let store = self.0.write_check.run(&**self.0.engine.store()).await;
        let projections = self.0.runtime.status();
        Health {
            store,
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
