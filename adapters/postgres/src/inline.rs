//! [`Inlines`]: the projections that have their effect in the transaction that appends.

mod inside;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use factum::projections::inline::{self, Current, Inline, Standing};
use factum::{
    Append, AppendError, Appended, EventsOf, Position, Projection, RecordedEvent, StepError,
    StoreError,
};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::PostgresProjectSet;
use crate::append::{self, Judged};
use crate::error::{Fault, store_error};
use crate::names::Names;
use crate::read_model::{self, BEGIN};
use crate::tables::Tables;
use inside::Inside;

/// A projection, whatever its events are.
#[async_trait]
pub(crate) trait Inlined: fmt::Debug + Send + Sync {
    fn inline(&self) -> Inline;

    async fn prepare(&self, db: &mut PgConnection, build: u64) -> Result<(), StepError>;

    async fn project(
        &self,
        tables: &mut Tables<'_>,
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
        tables: &mut Tables<'_>,
        events: &[RecordedEvent],
    ) -> Result<(), StepError> {
        for record in events {
            self.0.take(record, tables).await?;
        }
        Ok(())
    }
}

/// Why appends are not stored.
pub(crate) enum Failure {
    Fault(Fault),
    /// By an inline projection, for the append at this place; behind the last of them: whose fault it is is not known.
    Refused {
        error: AppendError,
        place: usize,
    },
}

impl Failure {
    fn refused(error: impl Into<AppendError>) -> Self {
        let error = error.into();
        let place = usize::MAX;
        Self::Refused { error, place }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The inline projections of one store.
pub(crate) struct Inlines {
    models: Vec<Model>,
    /// Of the streams that its transactions have read.
    names: Names,
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
        let names = Names::new();
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
        let begun = connection.begin_with(BEGIN).await;
        let mut transaction = begun.map_err(store_error)?;
        let head = lock(&mut transaction).await.map_err(store_error)?;
        let mut inside = Inside::new(&mut transaction, &self.names, model);
        let built = model.inline.build(&mut inside, head).await;
        let ended = match &built {
            Ok(_) => transaction.commit().await,
            Err(_) => {
                self.names.forget();
                transaction.rollback().await
            }
        };
        ended.map_err(store_error)?;
        model.inline.builds_on(built)
    }

    /// As [`append::store`], and with the effects of the projections. Until the commit is on its way, nothing was done.
    pub(crate) async fn store(
        &self,
        connection: &mut PgConnection,
        appends: &[&Append],
    ) -> Result<Judged, Failure> {
        let in_vain = |error| Fault::from(error).in_vain();
        let begun = connection.begin_with(BEGIN).await;
        let mut transaction = begun.map_err(in_vain)?;
        let stored = self.store_inside(&mut transaction, appends).await;
        if stored.is_err() {
            self.names.forget();
            transaction.rollback().await.map_err(in_vain)?;
            return stored;
        }
        if let Err(error) = transaction.commit().await {
            self.names.forget();
            return Err(self.not_committed(error));
        }
        stored
    }

    /// Only tables of projections have rules that are checked as late as that.
    fn not_committed(&self, error: sqlx::Error) -> Failure {
        let fault = Fault::from(error);
        if !fault.is_of_the_content() {
            return fault.into();
        }
        let names: Vec<&str> = self
            .models
            .iter()
            .map(|model| model.inline.name())
            .collect();
        Failure::refused(AppendError::Projection {
            name: names.join(", "),
            error: Box::new(StoreError::from(fault)),
        })
    }

    async fn store_inside(
        &self,
        db: &mut PgConnection,
        appends: &[&Append],
    ) -> Result<Judged, Failure> {
        let head = lock(db).await;
        let head = head.map_err(|error| Fault::from(error).in_vain())?;
        let mut current: Vec<(&Model, Current)> = Vec::with_capacity(self.models.len());
        for model in &self.models {
            let mut inside = Inside::new(db, &self.names, model);
            let standing = model.inline.catch_up(&mut inside, head).await;
            if let Standing::Current(standing) = standing.map_err(Failure::refused)? {
                current.push((model, standing));
            }
        }
        let judged = append::store(db, appends).await.map_err(Fault::in_vain)?;
        if judged.head > head {
            for (model, standing) in current {
                let mut inside = Inside::new(db, &self.names, model);
                let taken = model.inline.take(&mut inside, standing).await;
                taken.map_err(|error| Failure::Refused {
                    place: place(&error, &judged),
                    error,
                })?;
            }
        }
        Ok(judged)
    }
}

/// The place of the append with the event that a projection cannot take.
fn place(error: &AppendError, judged: &Judged) -> usize {
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
    let place = judged.verdicts.iter().position(holds);
    place.unwrap_or(usize::MAX)
}

/// Takes the lock that puts appends in order; the head.
async fn lock(db: &mut PgConnection) -> Result<Position, sqlx::Error> {
    let sql = "select position from head for update";
    let head: i64 = sqlx::query_scalar(sql).fetch_one(db).await?;
    Ok(Position::new(head as u64))
}
