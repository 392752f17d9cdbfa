//! [`Inlines`]: the projections that have their effect in the transaction that appends.

mod inside;
mod store;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use factum::projections::inline::{self, Inline, Standing};
use factum::{AppendError, EventsOf, Projection, RecordedEvent, StepError, StoreError};
use sqlx::postgres::PgConnection;

use crate::PostgresProjectSet;
use crate::error::BackendError;
use crate::ignored_errors::{ErrorProbe, is_ignored_error};
use crate::read_model;
use crate::stream_ids::StreamIds;
use crate::tables::Tables;
use crate::transaction::{begin_append, commit, roll_back};
use inside::Inside;

/// A projection, whatever its events are.
#[async_trait]
pub(crate) trait Inlined: fmt::Debug + Send + Sync {
    fn inline(&self) -> Inline;

    async fn prepare(&self, db: &mut PgConnection, build: u64) -> Result<(), StepError>;

    async fn project(
        &self,
        (tables, probes): (&mut Tables<'_>, ErrorProbe),
        events: &[RecordedEvent],
    ) -> Result<(), StepError>;
}

pub(crate) struct OfProjection<P>(pub(crate) P);

impl<P: Projection> fmt::Debug for OfProjection<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(P::NAME)
    }
}

#[async_trait]
impl<P: PostgresProjectSet<EventsOf<P>>> Inlined for OfProjection<P> {
    fn inline(&self) -> Inline {
        Inline::of::<P>()
    }

    async fn prepare(&self, db: &mut PgConnection, build: u64) -> Result<(), StepError> {
        read_model::make_ready(db, &self.0, build).await
    }

    async fn project(
        &self,
        (tables, probes): (&mut Tables<'_>, ErrorProbe),
        events: &[RecordedEvent],
    ) -> Result<(), StepError> {
        for record in events {
            self.0.take(record, tables).await?;
            probes.check(record, tables).await?;
        }
        Ok(())
    }
}

/// Why appends are not stored.
pub(crate) enum Failure {
    Backend(BackendError),
    /// By an inline projection, for the append at this place; behind the last of them: whose fault it is is not known.
    Rejected {
        error: AppendError,
        place: usize,
    },
}

impl Failure {
    /// Whether a projection has ignored an error, which one and where is not known.
    fn is_ignored(&self) -> bool {
        match self {
            Self::Backend(error) => error.follows_ignored_error(),
            Self::Rejected { error, .. } => is_ignored_error(error),
        }
    }

    fn rejected(error: impl Into<AppendError>) -> Self {
        let error = error.into();
        let place = usize::MAX;
        Self::Rejected { error, place }
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

/// The inline projections of one store.
pub(crate) struct Inlines {
    models: Vec<Model>,
    /// Of the streams that its transactions have read.
    names: StreamIds,
}

struct Model {
    inline: Inline,
    inlined: Arc<dyn Inlined>,
}

impl Inlines {
    pub(crate) fn new(inlined: &[Arc<dyn Inlined>]) -> Result<Self, StoreError> {
        let models = inlined.iter().map(|inlined| Model {
            inline: inlined.inline(),
            inlined: inlined.clone(),
        });
        let models = inline::in_order(models.collect(), |model: &Model| &model.inline)?;
        let names = StreamIds::new();
        Ok(Self { models, names })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Takes what is stored, page by page, each in a transaction of its own.
    pub(crate) async fn build(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        for model in &self.models {
            while self.build_on(connection, model).await? {}
        }
        Ok(())
    }

    /// `true`: there is more.
    async fn build_on(
        &self,
        connection: &mut PgConnection,
        model: &Model,
    ) -> Result<bool, StoreError> {
        let built = match self.try_build(connection, (model, ErrorProbe::Off)).await? {
            Err(error) if is_ignored_error(&error) => {
                self.try_build(connection, (model, ErrorProbe::AfterEachEvent))
                    .await?
            }
            built => built,
        };
        model.inline.builds_on(built)
    }

    async fn try_build(
        &self,
        connection: &mut PgConnection,
        (model, probes): (&Model, ErrorProbe),
    ) -> Result<Result<Standing, StepError>, StoreError> {
        let head = begin_append(connection)
            .await
            .map_err(BackendError::into_not_executed)?;
        let mut inside = Inside::new(connection, &self.names, (model, probes));
        let built = model.inline.build(&mut inside, head).await;
        let ended = match &built {
            Ok(_) => commit(connection).await,
            Err(_) => {
                self.names.clear();
                roll_back(connection).await
            }
        };
        ended.map_err(BackendError::into_not_executed)?;
        Ok(built)
    }
}
