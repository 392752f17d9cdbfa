//! The functions on specifications that both APIs call.

mod list;
mod past_list;
mod read;
mod refusals;
mod view;
mod watch;
mod write;

use std::sync::Arc;

use factum::Position;

use crate::app::{AppError, Application, AsOf, Cursor, RequestContext, check_limit};
use crate::content::DEFAULT_MAX_BYTES;

pub use list::{ListPage, ListQuery, SpecList, SpecSummary};
pub use past_list::PastListPage;
pub use view::{Change, SpecVersion, SpecView, actor};
pub use watch::ChangeStream;
pub use write::{NewSpec, NewVersion, WriteResult};

/// A place in the list: after the specification whose creation has this position.
pub type ListCursor = Cursor<'p'>;

/// A place in the history of a specification: after this revision.
pub type HistoryCursor = Cursor<'r'>;

/// A place in the versions of a specification: after this version.
pub type VersionCursor = Cursor<'v'>;

/// A handle to the specifications. Clones share the application.
#[derive(Clone)]
pub struct Specs {
    app: Application,
    list: Arc<dyn SpecList>,
    max_content: usize,
    as_of: AsOf,
}

impl Specs {
    /// Creates a handle to the specifications of `app`, whose runtime must update `list`.
    #[must_use]
    pub fn new(app: Application, list: impl SpecList) -> Self {
        Self {
            app,
            list: Arc::new(list),
            max_content: DEFAULT_MAX_BYTES,
            as_of: AsOf::Now,
        }
    }

    /// Sets the maximum size of a content in bytes. The default is [`DEFAULT_MAX_BYTES`].
    ///
    /// The value is capped at [`MAX_BYTES_LIMIT`](crate::content::MAX_BYTES_LIMIT).
    #[must_use]
    pub fn max_content(mut self, bytes: usize) -> Self {
        self.max_content = bytes;
        self
    }

    /// Returns a handle that reads specifications as they were at a point in time.
    ///
    /// Writes, the list and the stream of changes do not depend on it.
    #[must_use]
    pub fn as_of(&self, as_of: AsOf) -> Self {
        Self {
            as_of,
            ..self.clone()
        }
    }

    /// Returns a page of specifications of the tenant, in the order of their creation.
    ///
    /// Waits until the list has reached `query.min_position`.
    ///
    /// # Errors
    /// Returns [`AppError::InvalidLimit`], [`AppError::ListBehind`] if the list does not reach the position in time,
    /// [`AppError::BeyondHead`] if the log does not have the position, or an error of the store.
    pub async fn list(
        &self,
        query: ListQuery,
        context: &RequestContext,
    ) -> Result<ListPage, AppError> {
        check_limit(query.limit)?;
        if let Some(position) = query.min_position {
            self.app.wait_until(position).await?;
        }
        self.list.page(context.tenant(), query).await
    }

    /// Returns the changes of all specifications of the tenant, from position `from` on.
    ///
    /// New changes follow the stored ones.
    #[must_use]
    pub fn watch(&self, from: Position, context: &RequestContext) -> ChangeStream {
        let tenant = context.tenant().clone();
        ChangeStream::new(self.app.engine().clone(), tenant, from, self.max_content)
    }
}
