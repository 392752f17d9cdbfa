//! How appends are stored together with their effects.

use factum::document::{Changes, Revision};
use factum::projections::inline::{Current, Standing, recorded};
use factum::{Append, AppendError, Appended, Position, StepError, StoreError};
use sqlx::postgres::PgConnection;

use super::{Failure, Inlines, Inside, Model};
use crate::append::{self, AppendOutcome};
use crate::batch::{Batch, LocalResult};
use crate::error::BackendError;
use crate::ignored_errors::ErrorProbe;
use crate::transaction::{begin, begin_append, commit, roll_back, roll_back_after_ignored_error};
use crate::writer_cache::WriterCache;

/// The inline projections that have taken every event.
type Standings<'i> = Vec<(&'i Model, Current)>;

impl Inlines {
    /// All of them, if this process knows how they stand behind the event at `head`.
    fn expected(&self, head: Position) -> Option<Standings<'_>> {
        let expected = self.models.iter();
        let expected = expected.map(|model| Some((model, model.inline.expected(head)?)));
        expected.collect()
    }

    /// Stores those of `appends` whose expectations hold, judged on what is known. `None`: nothing was stored, since somebody
    /// else has written, or since there is nothing to store by which one could tell.
    pub(crate) async fn store_known(
        &self,
        (connection, known): (&mut PgConnection, &mut WriterCache),
        appends: &[&Append],
    ) -> Result<Option<Vec<LocalResult>>, Failure> {
        let Some(expected) = self.expected(known.head) else {
            return Ok(None);
        };
        let Some(mut batch) = Batch::check(connection, known, appends).await? else {
            return Ok(None);
        };
        match self.insert(connection, &mut batch, expected).await? {
            true => Ok(Some(batch.into_results(known))),
            false => {
                known.invalidate();
                Ok(None)
            }
        }
    }

    /// As [`Batch::insert`], and with the effects of the projections, if they stand as `expected`. `false`: nothing was
    /// stored. Until the commit is on its way, nothing was done.
    async fn insert(
        &self,
        connection: &mut PgConnection,
        batch: &mut Batch<'_>,
        expected: Standings<'_>,
    ) -> Result<bool, Failure> {
        let head = batch.head;
        if head == batch.head_before {
            return Ok(batch.insert(connection, &Changes::new()).await?.is_some());
        }
        let mut moves = Changes::new();
        for (_, current) in &expected {
            moves = moves.with(current.moves(head).map_err(Failure::rejected)?);
        }
        if !batch.allows(&moves) {
            return Ok(false);
        }
        let takes = |append| expected.iter().any(|(model, _)| model.inline.takes(append));
        let has_effect = batch.stored().any(|(append, _)| takes(append));
        let inserted = match has_effect {
            false => batch.insert(connection, &moves).await?,
            true => {
                begin(connection)
                    .await
                    .map_err(BackendError::into_not_executed)?;
                let inside = self.insert_inside(connection, batch, (&expected, &moves));
                let Some(done) = inside.await.transpose() else {
                    roll_back(connection)
                        .await
                        .map_err(BackendError::into_not_executed)?;
                    return Ok(false);
                };
                Some(self.end(connection, done).await?)
            }
        };
        let Some(revision) = inserted else {
            return Ok(false);
        };
        for (model, current) in expected {
            model.inline.committed(current.moved(head, revision));
        }
        Ok(true)
    }

    async fn insert_inside(
        &self,
        db: &mut PgConnection,
        batch: &mut Batch<'_>,
        (expected, moves): (&Standings<'_>, &Changes),
    ) -> Result<Option<Revision>, Failure> {
        let inserted = batch.insert(db, moves).await;
        let Some(revision) = inserted.map_err(BackendError::into_not_executed)? else {
            return Ok(None);
        };
        let events = recorded(batch.stored()).map_err(Failure::rejected)?;
        for (model, current) in expected {
            let mut inside = Inside::new(db, &self.names, (model, ErrorProbe::Off));
            let projected = model.inline.project(&mut inside, current, &events).await;
            projected.map_err(Failure::rejected)?;
        }
        Ok(Some(revision))
    }

    /// As [`append::store`], and with the effects of the projections. Until the commit is on its way, nothing was done.
    pub(crate) async fn store(
        &self,
        connection: &mut PgConnection,
        appends: &[&Append],
    ) -> Result<AppendOutcome, Failure> {
        match self.try_store(connection, appends, ErrorProbe::Off).await {
            Err(failure) if failure.is_ignored() => {
                self.try_store(connection, appends, ErrorProbe::AfterEachEvent)
                    .await
            }
            stored => stored,
        }
    }

    async fn try_store(
        &self,
        connection: &mut PgConnection,
        appends: &[&Append],
        probes: ErrorProbe,
    ) -> Result<AppendOutcome, Failure> {
        let head = begin_append(connection)
            .await
            .map_err(BackendError::into_not_executed)?;
        let done = self.store_inside(connection, (head, probes), appends).await;
        let (judged, standings) = self.end(connection, done).await?;
        for (model, current) in standings {
            model.inline.committed(current);
        }
        Ok(judged)
    }

    async fn store_inside(
        &self,
        db: &mut PgConnection,
        (head, probes): (Position, ErrorProbe),
        appends: &[&Append],
    ) -> Result<(AppendOutcome, Standings<'_>), Failure> {
        let mut standings = Vec::with_capacity(self.models.len());
        for model in &self.models {
            let mut inside = Inside::new(db, &self.names, (model, probes));
            let standing = model.inline.catch_up(&mut inside, head).await;
            if let Standing::Current(current) = standing.map_err(Failure::rejected)? {
                standings.push((model, current));
            }
        }
        let judged = append::store(db, appends)
            .await
            .map_err(BackendError::into_not_executed)?;
        if judged.head == head || standings.is_empty() {
            return Ok((judged, standings));
        }
        let told = appends.iter().copied().zip(&judged.results);
        let stored = told.filter_map(|(append, told)| Some((append, told.as_ref().ok()?)));
        let events = recorded(stored).map_err(Failure::rejected)?;
        let mut taken = Vec::with_capacity(standings.len());
        for (model, current) in standings {
            let mut inside = Inside::new(db, &self.names, (model, probes));
            let current = model.inline.take(&mut inside, current, &events).await;
            let current = current.map_err(|error| Failure::Rejected {
                place: place(&error, &judged),
                error,
            });
            taken.push((model, current?));
        }
        Ok((judged, taken))
    }

    /// Makes durable what was done, or undoes it.
    async fn end<T>(
        &self,
        connection: &mut PgConnection,
        done: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let failure = match done {
            Ok(done) => match commit(connection).await {
                Ok(()) => return Ok(done),
                Err(fault) => self.not_committed(fault),
            },
            Err(failure) => {
                self.names.clear();
                let rolled_back = match failure.is_ignored() {
                    true => roll_back_after_ignored_error(connection).await,
                    false => roll_back(connection).await,
                };
                rolled_back.map_err(BackendError::into_not_executed)?;
                return Err(failure);
            }
        };
        self.names.clear();
        Err(failure)
    }

    /// Only tables of projections have rules that are checked as late as that.
    fn not_committed(&self, fault: BackendError) -> Failure {
        if !fault.is_rejected_at_commit() {
            return fault.into();
        }
        let names = self.models.iter().map(|model| model.inline.name());
        let names: Vec<&str> = names.collect();
        Failure::rejected(AppendError::Projection {
            name: names.join(", "),
            error: Box::new(StoreError::from(fault)),
        })
    }
}

/// The place of the append with the event that a projection cannot take.
fn place(error: &AppendError, judged: &AppendOutcome) -> usize {
    let AppendError::Projection { error, .. } = error else {
        return usize::MAX;
    };
    let Some(StepError::Failed(failed)) = error.downcast_ref() else {
        return usize::MAX;
    };
    let at = failed.position.get();
    let holds = |verdict: &Result<Appended, AppendError>| {
        let stored = verdict.as_ref().ok().filter(|appended| !appended.repeated);
        stored.is_some_and(|appended| {
            let last = appended.position.get();
            at <= last && last < at + appended.count
        })
    };
    let place = judged.results.iter().position(holds);
    place.unwrap_or(usize::MAX)
}
