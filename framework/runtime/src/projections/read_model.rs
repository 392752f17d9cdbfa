//! [`ReadModel`]: where the effects of a projection go, together with its checkpoint.

use std::sync::Arc;

use async_trait::async_trait;

use super::ProjectionError;
use super::dead_letter::Waits;
use crate::process_managers::Newer;
use factum_core::document::{ChangeError, Changes, DocumentStore, Revision};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_engine::error::{DecodeError, DecodeErrorKind, StoreError};
use factum_engine::record::RecordedEvent;

/// Where the effects of a projection go, together with its checkpoint.
///
/// A read model may exist several times at once, in *builds*: while a new one is filled, the old one goes on
/// serving. Builds are numbered from 1 and never again given the same number. What a build is at, and who
/// works on it, is kept as documents; a read model changes them when it takes events.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say where its read model is kept",
    label = "not a read model",
    note = "in memory it is `InMemory::<{Self}>::new()`; in tables it is `store.read_model(…)`, with the store that holds the events"
)]
pub trait ReadModel: Send + Sync + 'static {
    /// The name of the projection: 1 to 200 bytes without `/` or control characters.
    fn name(&self) -> &str;

    /// The version of the read model. Raised, it is built anew beside the old one.
    fn version(&self) -> u32;

    /// The events that it takes.
    fn query(&self) -> Query;

    /// Where it begins when it is new: behind this position.
    fn starts_after(&self) -> Position {
        Position::ZERO
    }

    /// Over how many partitions its streams are spread, at least 1. Partitions are worked on at the same time, and by
    /// several instances; the events of one stream stay in order. Each build keeps the number that it was begun with.
    fn partitions(&self) -> u16 {
        1
    }

    /// Where it is kept how far it has come, if every instance has a read model of its own; `None`: they have one together,
    /// so that is kept in the store, and one of them works on each partition.
    fn own_documents(&self) -> Option<Arc<dyn DocumentStore>> {
        None
    }

    /// What `event` is about, besides its stream: while it is parked, later events about the same wait behind it. `None`:
    /// that is not known.
    fn about(&self, event: &RecordedEvent) -> Option<Vec<String>> {
        let _ = event;
        None
    }

    /// Whether an event of a newer version than this code knows is left to newer code: nothing is taken behind it, and
    /// others are given the chance to work on it. Otherwise it is an event that fails.
    fn leaves_newer(&self) -> bool {
        false
    }

    /// Makes `build` ready to take events; it may be there already. What others see must not be made again once the build
    /// was dropped: ask [`wants`](super::wants) in the same transaction.
    ///
    /// # Errors
    /// [`ProjectionError`] if it cannot be made ready.
    async fn prepare(&self, build: u64) -> Result<(), ProjectionError> {
        let _ = build;
        Ok(())
    }

    /// Takes the events of `step`, and makes its changes: where both are in one database, in one transaction, otherwise
    /// the events first. Gives back the revision of the changes.
    ///
    /// # Errors
    /// [`StepError`]. Nothing has changed then, where that can be.
    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError>;

    /// From now on readers see `build`; and makes the changes of `step`, which holds no events, both or neither.
    ///
    /// # Errors
    /// [`StepError`]; nothing has changed then.
    async fn serve(&self, step: Step<'_>) -> Result<Revision, StepError> {
        step.change().await
    }

    /// Drops `build`, of which nothing may be left; it may be gone already.
    ///
    /// # Errors
    /// [`ProjectionError`] if it cannot be dropped.
    async fn discard(&self, build: u64) -> Result<(), ProjectionError> {
        let _ = build;
        Ok(())
    }
}

/// Events for one build, and the changes of documents that go with them.
#[derive(Clone)]
pub struct Step<'a> {
    /// Which build.
    pub build: u64,
    /// The events, in order.
    pub events: &'a [RecordedEvent],
    /// The first event that is parked and of which it is not known what it is [about](ReadModel::about).
    pub obscure: Option<Position>,
    /// What changes with them: the checkpoint, and what was parked. It fails if another has taken over.
    pub changes: Changes,
    /// Where the changes are made, unless the read model makes them in a transaction of its own.
    pub documents: &'a dyn DocumentStore,
}

impl Step<'_> {
    /// Makes the changes of the step alone.
    ///
    /// # Errors
    /// [`StepError::Lost`], or [`StepError::Store`].
    pub async fn change(self) -> Result<Revision, StepError> {
        Ok(self.documents.change_documents(self.changes).await?)
    }
}

/// A step was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// One event could not be decoded or handled.
    #[error(transparent)]
    Failed(#[from] EventError),
    /// Another instance has taken over.
    #[error("another instance has taken over")]
    Lost,
    /// The read model cannot have the tables that it asks for.
    #[error(transparent)]
    Taken(#[from] super::TableTaken),
    /// What the changes or the read model live in failed, whatever the events are.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The read model is torn: only a rebuild helps.
    #[error("{0}; the read model may be torn: rebuild it")]
    Torn(String),
}

/// One event could not be decoded or handled.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct EventError {
    /// Which event.
    pub position: Position,
    /// Why.
    #[source]
    pub error: ProjectionError,
}

impl EventError {
    /// The event at `position` failed with `error`.
    #[must_use]
    pub fn new(position: Position, error: impl Into<ProjectionError>) -> Self {
        Self {
            position,
            error: error.into(),
        }
    }
}

impl EventError {
    /// The event was stored by newer code, or what it is for was kept by it.
    pub fn is_newer(&self) -> bool {
        match &self.error {
            ProjectionError::Decode(error) => {
                matches!(error.kind, DecodeErrorKind::NewerVersion { .. })
            }
            ProjectionError::Handler(error) => error.is::<Newer>(),
            _ => false,
        }
    }

    /// Nothing is wrong with the event: it waits for one that is parked.
    pub fn waits(&self) -> bool {
        matches!(&self.error, ProjectionError::Handler(error) if error.is::<Waits>())
    }
}

impl From<ProjectionError> for StepError {
    fn from(error: ProjectionError) -> Self {
        match error {
            ProjectionError::Store(error) => Self::Store(error),
            ProjectionError::Decode(error) => error.into(),
            ProjectionError::Handler(error) => match error.downcast() {
                Ok(error) => *error,
                Err(error) => Self::Store(StoreError::Failed(error)),
            },
        }
    }
}

impl From<StepError> for ProjectionError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Failed(error) => error.error,
            StepError::Store(error) => Self::Store(error),
            error => Self::Handler(error.into()),
        }
    }
}

impl From<DecodeError> for StepError {
    fn from(error: DecodeError) -> Self {
        Self::Failed(EventError::new(error.position, error))
    }
}

impl From<ChangeError> for StepError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Moved { .. } => Self::Lost,
            error => Self::Store(error.into_store_error()),
        }
    }
}
