//! [`Inside`]: what an inline projection does in a transaction.

use async_trait::async_trait;
use factum::document::{ChangeError, Changes, Document, Revision};
use factum::projections::inline::InlineTransaction;
use factum::{Page, ProjectionError, Read, RecordedEvent, StepError, StoreError};
use sqlx::postgres::PgConnection;

use super::Model;
use crate::error::{BackendError, store_error};
use crate::ignored_errors::{ErrorProbe, IgnoredError, is_ignored_error};
use crate::stream_ids::StreamIds;
use crate::tables::{self, Tables};
use crate::transaction::execute_rollback;

pub(super) struct Inside<'t> {
    db: &'t mut PgConnection,
    names: &'t StreamIds,
    model: &'t Model,
    probes: ErrorProbe,
    /// An error was ignored, and at which event is not known.
    unnamed: bool,
}

impl<'t> Inside<'t> {
    pub(super) fn new(
        db: &'t mut PgConnection,
        names: &'t StreamIds,
        (model, probes): (&'t Model, ErrorProbe),
    ) -> Self {
        Self {
            db,
            names,
            model,
            probes,
            unnamed: false,
        }
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = sqlx::raw_sql(sql).execute(&mut *self.db).await;
        done.map(drop).map_err(store_error)
    }
}

#[async_trait]
impl InlineTransaction for Inside<'_> {
    async fn find(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        crate::document::find_for_update(self.db, keys).await
    }

    async fn change(&mut self, changes: &Changes) -> Result<Revision, ChangeError> {
        crate::document::change(self.db, changes).await
    }

    async fn read(&mut self, read: &Read) -> Result<Page, StoreError> {
        let page = crate::read::page(self.db, self.names, read).await;
        page.map_err(|fault| BackendError::into_not_executed(fault).into())
    }

    async fn prepare(&mut self, build: u64) -> Result<(), StepError> {
        self.model.inlined.prepare(self.db, build).await
    }

    async fn project(&mut self, build: u64, events: &[RecordedEvent]) -> Result<(), StepError> {
        let mut tables = Tables::new(self.db, build);
        let inlined = &self.model.inlined;
        let projected = inlined.project((&mut tables, self.probes), events).await;
        let ignored = projected
            .as_ref()
            .is_err_and(|error| is_ignored_error(error));
        self.unnamed = ignored && self.probes == ErrorProbe::Off;
        projected
    }

    async fn show(&mut self, build: u64) -> Result<(), StepError> {
        tables::show(self.db, self.model.inline.name(), build).await
    }

    async fn begin_part(&mut self) -> Result<(), StoreError> {
        self.execute("savepoint part").await
    }

    async fn end_part(&mut self, kept: bool) -> Result<(), StoreError> {
        if kept {
            return self.execute("release savepoint part").await;
        }
        if self.unnamed {
            // For the whole to be done again, with probes.
            return Err(StoreError::Failed(
                ProjectionError::Handler(IgnoredError.into()).into(),
            ));
        }
        let sql = "rollback to savepoint part; release savepoint part";
        execute_rollback(self.db, sql).await.map_err(store_error)
    }
}
