//! [`PostgresProjectSet`]: a projection that takes events of several types.

use std::panic::{AssertUnwindSafe, catch_unwind};

use factum::error::panic_message;
use factum::{
    DecodeError, DecodeEvent as _, Event, EventError, Recorded, RecordedEvent, StepError,
    StoreError,
};
use futures_util::FutureExt as _;

use crate::error::is_transient;
use crate::{BoxError, PostgresProject, PostgresProjection, Tables};

/// A projection into tables that takes each event of the list `L`, which is [`EventsOf`](factum::EventsOf) it; implemented
/// for whatever implements [`PostgresProject`] for each of them.
pub trait PostgresProjectSet<L>: PostgresProjection {
    /// Takes the events that `record` stands for into the tables.
    ///
    /// # Errors
    /// [`StepError`]; the transaction must be rolled back then.
    fn take(
        &self,
        record: &RecordedEvent,
        db: &mut Tables<'_>,
    ) -> impl Future<Output = Result<(), StepError>> + Send;
}

impl<P: PostgresProjection> PostgresProjectSet<()> for P {
    async fn take(&self, record: &RecordedEvent, _: &mut Tables<'_>) -> Result<(), StepError> {
        Err(DecodeError::unknown(record).into())
    }
}

impl<P, E: Event, L> PostgresProjectSet<(E, L)> for P
where
    P: PostgresProject<E> + PostgresProjectSet<L>,
{
    async fn take(&self, record: &RecordedEvent, db: &mut Tables<'_>) -> Result<(), StepError> {
        if !record.is_a::<E>() {
            return PostgresProjectSet::<L>::take(self, record, db).await;
        }
        let decoded = catch_unwind(AssertUnwindSafe(|| record.decode_all::<E>()));
        let events = match decoded {
            Ok(decoded) => decoded?,
            Err(panic) => return Err(failed(record, panic_message(&*panic).into())),
        };
        for event in events {
            let record = record.clone();
            let event = Recorded { event, record };
            let projected = AssertUnwindSafe(self.project(&event, db));
            let error = match projected.catch_unwind().await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(panic) => panic_message(&*panic).into(),
            };
            return Err(failed(&event.record, error));
        }
        Ok(())
    }
}

/// What the server or another transaction is the reason of is no fault of the event.
fn failed(record: &RecordedEvent, error: BoxError) -> StepError {
    match is_transient(&*error) {
        true => StoreError::Unavailable(error).into(),
        false => EventError::new(record.position, error).into(),
    }
}
