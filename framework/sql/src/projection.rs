//! [`SqlProjection`] and [`SqlProject`]: read models in tables, written once for every database.

use factum_core::error::BoxError;
use factum_engine::event::Event;
use factum_engine::projection::Projection;
use factum_engine::record::Recorded;

use crate::error::SqlError;
use crate::sql::Sql;

/// A projection whose read model is in tables of the database that stores the events.
///
/// The effect of an event and the checkpoint change in one transaction. Each event takes effect exactly once, even if
/// several nodes run the projection. While the read model is rebuilt, the old tables serve readers. Names in braces are
/// the tables that are filled. Readers use the plain name, here `owner`, for the active tables.
///
/// ```
/// use factum::prelude::*;
/// use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # #[event(prefix = "account")]
/// # enum AccountEvent { Opened { owner: String }, Closed }
/// #[derive(Projection)]
/// #[projection(name = "owners", events = AccountEvent)]
/// struct Owners;
///
/// impl SqlProjection for Owners {
///     async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
///         db.execute("create table if not exists {owner} (account text primary key, name text not null)").await
///     }
/// }
///
/// impl SqlProject<AccountEvent> for Owners {
///     async fn project(&self, event: &Recorded<AccountEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
///         let account = event.record.stream.key();
///         match &event.event {
///             AccountEvent::Opened { owner } => {
///                 let insert = db.query("insert into {owner} (account, name) values ($1, $2)");
///                 insert.bind(account).bind(owner).execute().await?;
///             }
///             AccountEvent::Closed => {
///                 db.query("delete from {owner} where account = $1").bind(account).execute().await?;
///             }
///         }
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("bank.db");
/// let store = SqliteStore::open(file).await?; // or PostgresStore::open(url)
/// let engine = Engine::new(store.clone());
/// let runtime = Runtime::builder(&engine).projection(store.read_model(Owners)).start().await?;
/// runtime.wait_until_current().await?;
/// let names: Vec<String> = store.query("select name from owner").fetch_all().await?;
/// assert!(names.is_empty());
/// # runtime.stop().await;
/// # store.close().await;
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "the projection `{Self}` has no tables",
    label = "`impl SqlProjection for {Self}` is missing",
    note = "write `impl SqlProjection for {Self}` with `create`, and `impl SqlProject<…> for {Self}` for each event type"
)]
pub trait SqlProjection: Projection {
    /// Creates the tables and indexes, with their names in braces.
    ///
    /// It is called again when they exist, so write `create table if not exists`.
    ///
    /// # Errors
    /// Returns the error of the database. The projection retries, then stops.
    fn create(&self, db: &mut Sql<'_>) -> impl Future<Output = Result<(), SqlError>> + Send;
}

/// Defines how one event changes the tables of a projection.
///
/// A projection of several event types, `events = (A, B)`, implements it for each of them.
#[diagnostic::on_unimplemented(
    message = "the projection `{Self}` does not handle `{E}`",
    label = "`impl SqlProject<{E}> for {Self}` is missing",
    note = "write `impl SqlProject<{E}> for {Self}` with `async fn project(&self, event: &Recorded<{E}>, db: &mut Sql<'_>) -> Result<(), BoxError>`"
)]
pub trait SqlProject<E: Event>: SqlProjection {
    /// Applies `event` to the tables, in the transaction that also moves the checkpoint.
    ///
    /// Do not end the transaction, and do not wait for anything but `db`: nothing else is written to SQLite meanwhile. A
    /// command that is executed here fails with [`StoreError::InsideProjection`]: use an event handler or a process
    /// manager. If the code waits for five seconds without a statement, the event fails.
    ///
    /// On PostgreSQL a statement that fails undoes the whole transaction. Return its error, or avoid it with
    /// `on conflict` or a savepoint. If the error is ignored, the event fails.
    ///
    /// [`StoreError::InsideProjection`]: factum_core::error::StoreError::InsideProjection
    ///
    /// # Errors
    /// Returns any error. The transaction is rolled back, and the event is retried; then the
    /// [failure policy](factum_runtime::consumer::FailurePolicy) applies.
    fn project(
        &self,
        event: &Recorded<E>,
        db: &mut Sql<'_>,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;
}
