//! [`PostgresProjection`] and [`PostgresProject`]: read models in tables beside the events.

use async_trait::async_trait;
use factum::{Event, Projection, Recorded};

use crate::Tables;

/// Any error of a projection's own code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The tables of a projection whose read model lives in the schema of its events.
///
/// The effect of an event and the checkpoint are one transaction: whatever happens, and however many processes
/// run the projection, each event has its effect exactly once. While the read model is built anew, the old one goes on
/// serving: names in braces, see [`Tables::sql`], are those of the tables that are being filled, and readers use the plain
/// names for those that are full. Names are taken to be of the store's schema. Hand
/// it to [`PostgresStore::read_model`](crate::PostgresStore::read_model).
///
/// ```
/// use factum_core::async_trait;
/// use factum::prelude::*;
/// use factum_postgres::{BoxError, PostgresProject, PostgresProjection, Tables, sqlx};
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # #[event(prefix = "account")]
/// # enum AccountEvent { Opened { owner: String }, Closed }
/// #[derive(Projection)]
/// #[projection(name = "owners", events = AccountEvent)]
/// struct Owners;
///
/// #[async_trait]
/// impl PostgresProjection for Owners {
///     async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
///         let sql = "create table if not exists {owner} (account text primary key, name text not null)";
///         sqlx::query(db.sql(sql)).execute(&mut **db).await?;
///         Ok(())
///     }
/// }
///
/// #[async_trait]
/// impl PostgresProject<AccountEvent> for Owners {
///     async fn project(
///         &self,
///         event: &Recorded<AccountEvent>,
///         db: &mut Tables<'_>,
///     ) -> Result<(), BoxError> {
///         let account = event.record.stream.key();
///         match &event.event {
///             AccountEvent::Opened { owner } => {
///                 let sql = db.sql("insert into {owner} (account, name) values ($1, $2)");
///                 sqlx::query(sql).bind(account).bind(owner).execute(&mut **db).await?;
///             }
///             AccountEvent::Closed => {
///                 let sql = db.sql("delete from {owner} where account = $1");
///                 sqlx::query(sql).bind(account).execute(&mut **db).await?;
///             }
///         }
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "the projection `{Self}` has no tables",
    label = "`impl PostgresProjection for {Self}` is missing",
    note = "write `#[async_trait] impl PostgresProjection for {Self}` with `create`, and `impl PostgresProject<…> for {Self}` for each event type"
)]
pub trait PostgresProjection: Projection {
    /// Creates the tables and indexes that are missing, whose names stand in braces. It is called when they are there,
    /// too, so write `create table if not exists`.
    ///
    /// # Errors
    /// What PostgreSQL says; the projection is tried again, then stops.
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error>;
}

/// What one event does to the tables of a projection. One that takes events of several types, `events = (A, B)`, says it for
/// each of them.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "the projection `{Self}` does not say what `{E}` does to its tables",
    label = "`impl PostgresProject<{E}> for {Self}` is missing",
    note = "write `#[async_trait] impl PostgresProject<{E}> for {Self}` with `async fn project(&self, event: &Recorded<{E}>, db: &mut Tables<'_>) -> Result<(), BoxError>`"
)]
pub trait PostgresProject<E: Event>: PostgresProjection {
    /// Takes `event` into the tables, through `db`: inside the transaction that also moves the checkpoint. Do not
    /// end that transaction, and do not wait for anything but `db`: after five seconds without a statement the
    /// server takes the transaction back, so that others can take over from a process that hangs.
    ///
    /// A statement that fails undoes the whole transaction, so do not go on behind one: avoid it by `on conflict`, or
    /// by a savepoint, or return its error. What goes on all the same counts as an event that cannot be taken.
    ///
    /// # Errors
    /// Anything; the transaction is rolled back and the event tried again, and then parked, or what else was chosen by
    /// [`FailurePolicy`](factum::FailurePolicy).
    async fn project(&self, event: &Recorded<E>, db: &mut Tables<'_>) -> Result<(), BoxError>;
}
