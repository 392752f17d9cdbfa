//! [`SqlProjectSet`]: a projection of several event types; and [`BoxedProjection`], its object-safe twin.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use async_trait::async_trait;
use factum_core::error::{BoxError, panic_message};
use factum_core::record::RecordedEvent;
use factum_engine::error::DecodeError;
use factum_engine::event::Event;
use factum_engine::event_set::{EventSet as _, has_name};
use factum_engine::projection::EventsOf;
use factum_engine::record::{DecodeEvent as _, Recorded};
use factum_runtime::consumer::{BatchError, EventError};

use crate::error::SqlError;
use crate::projection::{SqlProject, SqlProjection};
use crate::sql::Sql;
use crate::user_code;

/// A projection that handles every event type of the list `L`.
///
/// `L` is [`EventsOf`](factum_engine::projection::EventsOf) the projection. The trait is implemented for every type
/// that implements [`SqlProject`] for each of these event types.
pub trait SqlProjectSet<L>: SqlProjection {
    /// Returns whether an event of the list is stored under `name`, apart from retired event types.
    fn reads(name: &str) -> bool;

    /// Decodes `record`, and applies its events to the tables.
    ///
    /// # Errors
    /// Returns [`BatchError`]; the transaction must be rolled back then.
    fn project_record(
        &self,
        record: &RecordedEvent,
        db: &mut Sql<'_>,
    ) -> impl Future<Output = Result<(), BatchError>> + Send;
}

impl<P: SqlProjection> SqlProjectSet<()> for P {
    fn reads(_: &str) -> bool {
        false
    }

    async fn project_record(
        &self,
        record: &RecordedEvent,
        _: &mut Sql<'_>,
    ) -> Result<(), BatchError> {
        Err(DecodeError::unknown(record).into())
    }
}

impl<P, E: Event, L> SqlProjectSet<(E, L)> for P
where
    P: SqlProject<E> + SqlProjectSet<L>,
{
    fn reads(name: &str) -> bool {
        has_name::<E>(name) || <P as SqlProjectSet<L>>::reads(name)
    }

    async fn project_record(
        &self,
        record: &RecordedEvent,
        db: &mut Sql<'_>,
    ) -> Result<(), BatchError> {
        // An event type that one event has retired may be in use in another.
        let is_retired = || !<P as SqlProjectSet<L>>::reads(&record.name) && record.is_a::<E>();
        if !has_name::<E>(&record.name) && !is_retired() {
            return SqlProjectSet::<L>::project_record(self, record, db).await;
        }
        let decoded = catch_unwind(AssertUnwindSafe(|| record.decode_all::<E>()));
        let events = match decoded {
            Ok(decoded) => decoded?,
            Err(panic) => {
                return Err(EventError::handler(record.position, panic_message(&*panic)).into());
            }
        };
        for event in events {
            let record = record.clone();
            let event = Recorded { event, record };
            let clock = db.clock();
            let projected = user_code::run(P::NAME, &clock, self.project(&event, db));
            let error: BoxError = match projected.await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(interrupted) => interrupted.into(),
            };
            return Err(match db.store_error(error) {
                Ok(error) => error.into(),
                Err(error) => EventError::handler(event.record.position, error).into(),
            });
        }
        Ok(())
    }
}

/// The object-safe twin of [`SqlProjection`]. For adapters.
#[async_trait]
pub trait BoxedProjection: Send + Sync + 'static {
    /// Returns the name of the projection.
    fn name(&self) -> &'static str;

    /// Returns its version.
    fn version(&self) -> u32;

    /// Returns the number of its partitions.
    fn partitions(&self) -> u16;

    /// Returns the event types that it handles.
    fn event_types(&self) -> Vec<&'static str>;

    /// Creates the tables.
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError>;

    /// Applies one event to the tables.
    async fn project(&self, record: &RecordedEvent, db: &mut Sql<'_>) -> Result<(), BatchError>;
}

#[async_trait]
impl<P: SqlProjectSet<EventsOf<P>>> BoxedProjection for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn version(&self) -> u32 {
        P::VERSION
    }

    fn partitions(&self) -> u16 {
        P::PARTITIONS
    }

    fn event_types(&self) -> Vec<&'static str> {
        P::Events::names()
    }

    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        SqlProjection::create(self, db).await
    }

    async fn project(&self, record: &RecordedEvent, db: &mut Sql<'_>) -> Result<(), BatchError> {
        self.project_record(record, db).await
    }
}

impl fmt::Debug for dyn BoxedProjection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
