//! [`Inline`]: the inline projections on the thread that writes; [`factum_sql::inline`] applies the events.
//!
//! The batch calls it before and after it stores its appends.

use std::sync::Arc;

use factum_core::append::AppendError;
use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_sql::BoxedProjection;
use factum_sql::inline::{InlineBuild, InlineProjections};
use rusqlite::Connection;
use tokio::runtime::Handle;

use crate::error::BackendError;
use crate::transaction::SqliteTransaction;
use crate::write_request::WriteRequest;

pub struct Inline {
    projections: InlineProjections,
    /// The runtime that the code of projections finds on the writer's thread.
    runtime: Handle,
}

impl Inline {
    pub fn new(
        projections: &[Arc<dyn BoxedProjection>],
        runtime: Handle,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            projections: InlineProjections::new(projections)?,
            runtime,
        })
    }

    /// Returns the names of the projections.
    pub fn names(&self) -> Vec<String> {
        self.projections.names()
    }

    /// Returns the builds that appends after `head` update.
    pub fn begin(
        &self,
        db: &mut Connection,
        head: Position,
    ) -> Result<Vec<InlineBuild<'_>>, BackendError> {
        if self.projections.is_empty() {
            return Ok(Vec::new());
        }
        let mut db = SqliteTransaction(db);
        let begun = self.projections.begin(&mut db, head);
        self.runtime.block_on(begun).map_err(rejected)
    }

    /// Applies the appends that were stored to `builds`.
    pub fn finish(
        &self,
        db: &mut Connection,
        builds: Vec<InlineBuild<'_>>,
        requests: &[WriteRequest],
    ) -> Result<(), BackendError> {
        if builds.is_empty() {
            return Ok(());
        }
        let mut db = SqliteTransaction(db);
        let stored = requests.iter().filter_map(WriteRequest::stored);
        let finished = self.projections.finish(&mut db, builds, stored);
        self.runtime
            .block_on(finished)
            .map_err(|error| rejected(error.error))
    }
}

fn rejected(error: impl Into<AppendError>) -> BackendError {
    BackendError::Rejected(Arc::new(error.into()))
}
