//! Inline projections: read models that are updated in the transaction that appends. For adapters.
//!
//! An append updates a build if its checkpoint is at the head, or at most one page of events before it. The ordinary
//! consumer does all other work: building, catching up, dead letters and their retries. While a build lags, is paused
//! or has dead letters, appends do not update it.
//!
//! An adapter calls [`InlineProjections::begin`] before it stores the appends of a transaction, and
//! [`InlineProjections::finish`] after it. The transaction must hold the lock under which positions are assigned.

mod appended_events;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use factum_core::append::{Append, AppendError, Appended};
use factum_core::document::{Document, DocumentChanges, Revision, encode_document};
use factum_core::error::{StoreError, error_chain};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::{MAX_PAGE, Read};
use factum_core::record::RecordedEvent;
use factum_runtime::consumer::{
    BatchError, Build, Checkpoint, VersionedControl, checkpoint_of, control_key, lease_key,
};
use tracing::warn;

use crate::connection::SqlTransaction;
use crate::projection_set::BoxedProjection;
use crate::read_model::project;
use crate::tables::execute;

pub use appended_events::recorded;

/// The inline projections of a store.
#[derive(Debug)]
pub struct InlineProjections(Vec<InlineProjection>);

#[derive(Debug)]
struct InlineProjection {
    projection: Arc<dyn BoxedProjection>,
    query: Query,
    /// The keys of the documents that the last append has read.
    ///
    /// The next append usually needs the same documents.
    keys: Mutex<Vec<String>>,
    /// The checkpoint after which an event failed.
    ///
    /// The consumer then updates the build, until it has moved the checkpoint.
    failed_after: AtomicU64,
}

/// A build that the appends of a transaction update.
#[derive(Debug)]
pub struct InlineBuild<'p> {
    projection: &'p InlineProjection,
    build: u64,
    key: String,
    revision: Revision,
    checkpoint: Checkpoint,
    /// The head before the appends.
    head: Position,
}

/// The appends of a transaction must be rolled back.
#[derive(Debug)]
pub struct InlineError {
    /// The error of the append that is the cause.
    pub error: AppendError,
    /// The position of the event that a projection rejected, if that is the reason.
    pub position: Option<Position>,
}

impl<E: Into<AppendError>> From<E> for InlineError {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            position: None,
        }
    }
}

impl InlineProjections {
    /// Creates the inline projections of a store.
    ///
    /// # Errors
    /// Returns [`StoreError::CannotOpen`] if two have the same name.
    pub fn new(projections: &[Arc<dyn BoxedProjection>]) -> Result<Self, StoreError> {
        let mut projections = projections.to_vec();
        // The order in which their documents are locked.
        projections.sort_by_key(|projection| projection.name());
        let mut pairs = projections.windows(2);
        if let Some(pair) = pairs.find(|pair| pair[0].name() == pair[1].name()) {
            let name = pair[0].name();
            let reason = format!("two inline projections have the name {name:?}; rename one");
            return Err(StoreError::CannotOpen(reason));
        }
        let projections = projections.into_iter().map(|projection| InlineProjection {
            query: Query::event_types(projection.event_types()),
            keys: Mutex::new(vec![control_key(projection.name())]),
            failed_after: AtomicU64::new(u64::MAX),
            projection,
        });
        Ok(Self(projections.collect()))
    }

    /// Returns whether the store has no inline projections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names of the projections, in ascending order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let names = self.0.iter().map(|it| it.projection.name().to_owned());
        names.collect()
    }

    /// Returns the builds that appends after `head` can update.
    ///
    /// These builds process the events up to `head` first.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the database fails.
    pub async fn begin(
        &self,
        db: &mut dyn SqlTransaction,
        head: Position,
    ) -> Result<Vec<InlineBuild<'_>>, StoreError> {
        let mut builds = Vec::new();
        for projection in &self.0 {
            for build in projection.builds(db, head).await? {
                if build.catch_up(db).await? {
                    builds.push(build);
                }
            }
        }
        Ok(builds)
    }

    /// Applies `appended` to `builds`, and moves their checkpoints to the new head.
    ///
    /// # Errors
    /// Returns [`InlineError`]: its error is [`AppendError::Projection`] if a projection rejects an event.
    pub async fn finish<'a>(
        &self,
        db: &mut dyn SqlTransaction,
        builds: Vec<InlineBuild<'_>>,
        appended: impl IntoIterator<Item = (&'a Append, &'a Appended)>,
    ) -> Result<(), InlineError> {
        if builds.is_empty() {
            return Ok(());
        }
        let events = recorded(appended)?;
        let mut changes = DocumentChanges::new();
        for build in builds {
            build
                .apply(db, &events)
                .await
                .map_err(|error| match error {
                    BatchError::Store(error) => InlineError::from(error),
                    error => InlineError {
                        position: match &error {
                            BatchError::Event(failed) => Some(failed.position),
                            _ => None,
                        },
                        error: AppendError::Projection {
                            name: build.projection.projection.name().to_owned(),
                            error: error.into(),
                        },
                    },
                })?;
            let last = events.last();
            let head = last.map_or(build.head, |event| event.position);
            if build.checkpoint.position < head {
                let newest = last.map(|event| event.recorded_at);
                let next = Checkpoint {
                    position: head,
                    newest: newest.or(build.checkpoint.newest),
                    stopped: None,
                    ..build.checkpoint
                };
                changes = changes.put_if(build.key, build.revision, encode_document(&next)?);
            }
        }
        if !changes.is_empty() {
            db.change_documents(&changes).await?;
        }
        Ok(())
    }
}

impl InlineProjection {
    /// Returns the builds of this code's version that appends may update.
    async fn builds(
        &self,
        db: &mut dyn SqlTransaction,
        head: Position,
    ) -> Result<Vec<InlineBuild<'_>>, StoreError> {
        let name = self.projection.name();
        let mut keys = self.lock_keys().clone();
        loop {
            let found = db.lock_documents(&keys).await?;
            let control_key = control_key(name);
            let control = found.iter().find(|document| document.key == control_key);
            let control = VersionedControl::decode(control)?.control;
            if control.paused {
                return Ok(Vec::new());
            }
            let own: Vec<Build> = control
                .builds_of(self.projection.version())
                .filter(|build| build.partitions == 1 && !build.retired)
                .copied()
                .collect();
            let mut needed = vec![control_key];
            needed.extend(own.iter().map(|build| lease_key(name, build.number, 0)));
            if needed.iter().all(|key| keys.contains(key)) {
                self.lock_keys().clone_from(&needed);
                let builds = own.iter().map(|build| self.build(build, &found, head));
                return builds.filter_map(Result::transpose).collect();
            }
            keys = needed;
        }
    }

    /// Returns `build` if the consumer has prepared it, and it has no dead letters.
    fn build(
        &self,
        build: &Build,
        found: &[Document],
        head: Position,
    ) -> Result<Option<InlineBuild<'_>>, StoreError> {
        let key = lease_key(self.projection.name(), build.number, 0);
        let (revision, checkpoint) = checkpoint_of(found, &key, Position::ZERO)?;
        let is_ready = revision != Revision::ABSENT
            && checkpoint.dead_letters == 0
            // The log was restored from a backup: the consumer has stopped, or will stop.
            && !checkpoint.is_beyond_head()
            && checkpoint.position <= head
            && checkpoint.position.get() != self.failed_after.load(Relaxed);
        Ok(is_ready.then_some(InlineBuild {
            projection: self,
            build: build.number,
            key,
            revision,
            checkpoint,
            head,
        }))
    }

    fn lock_keys(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InlineBuild<'_> {
    /// Processes the events between the checkpoint and the head.
    ///
    /// Returns `false`, without any effect, if they are more than a page or one of them fails.
    async fn catch_up(&self, db: &mut dyn SqlTransaction) -> Result<bool, StoreError> {
        let position = self.checkpoint.position;
        if position >= self.head {
            return Ok(true);
        }
        let read = Read::all(self.projection.query.clone());
        let mut page = db
            .read_events(&read.after(position).limit(MAX_PAGE))
            .await?;
        if page.more {
            return Ok(false);
        }
        // The encryption keys are not available in the transaction.
        factum_core::personal::redact(&mut page.events)?;
        execute(db, "savepoint catch_up").await?;
        let error = match self.apply(db, &page.events).await {
            Ok(()) => {
                execute(db, "release savepoint catch_up").await?;
                return Ok(true);
            }
            Err(BatchError::Store(error)) => return Err(error),
            Err(error) => error_chain(&error),
        };
        db.roll_back_to("catch_up").await?;
        let name = self.projection.projection.name();
        warn!(
            name,
            error, "inline projection failed on a stored event; its consumer must process it"
        );
        self.projection.failed_after.store(position.get(), Relaxed);
        Ok(false)
    }

    async fn apply(
        &self,
        db: &mut dyn SqlTransaction,
        events: &[RecordedEvent],
    ) -> Result<(), BatchError> {
        for event in events {
            if self.projection.query.matches(event) {
                project(&*self.projection.projection, self.build, event, db).await?;
            }
        }
        Ok(())
    }
}
