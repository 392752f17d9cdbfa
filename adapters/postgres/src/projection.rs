//! [`PostgresProjection`]: read models in tables beside the events.

use async_trait::async_trait;
use factum::{Event, Projection, Recorded};
use sqlx::postgres::PgConnection;

/// Any error of a projection's own code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The tables of a projection whose read model lives in the schema of its events.
///
/// The effect of an event and the checkpoint are one transaction: whatever happens, and however many processes
/// run the projection, each event has its effect exactly once. Names are taken to be of the store's schema. Hand
/// it to [`PostgresStore::read_model`](crate::PostgresStore::read_model).
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "the projection `{Self}` has no tables",
    label = "`impl PostgresProjection for {Self}` is missing",
    note = "write `#[async_trait] impl PostgresProjection for {Self}` with `create`, `drop` and `project`"
)]
pub trait PostgresProjection: Projection<Events: Event> {
    /// Creates the tables that are missing.
    ///
    /// # Errors
    /// What PostgreSQL says; the projection is tried again, then stops.
    async fn create(&self, db: &mut PgConnection) -> Result<(), sqlx::Error>;

    /// Drops the tables that are there: before a rebuild, or when the
    /// [version](Projection::VERSION) was raised.
    ///
    /// # Errors
    /// What PostgreSQL says; the projection is tried again, then stops.
    async fn drop(&self, db: &mut PgConnection) -> Result<(), sqlx::Error>;

    /// Takes `event` into the tables, through `db`: inside the transaction that also moves the checkpoint. Do not
    /// end that transaction.
    ///
    /// # Errors
    /// Anything; the transaction is rolled back and the page tried again, then the projection stops.
    async fn project(
        &self,
        event: &Recorded<Self::Events>,
        db: &mut PgConnection,
    ) -> Result<(), BoxError>;
}
