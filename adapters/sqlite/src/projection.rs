//! [`SqliteProjection`]: read models in tables beside the events.

use async_trait::async_trait;
use factum::{Event, Projection, Recorded};
use sqlx::SqliteConnection;

/// Any error of a projection's own code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The tables of a projection whose read model lives in the file of its events.
///
/// The effect of an event and the checkpoint are one transaction: whatever happens, each event has its
/// effect exactly once. Hand it to [`SqliteStore::read_model`](crate::SqliteStore::read_model).
///
/// ```
/// use async_trait::async_trait;
/// use factum::prelude::*;
/// use factum_sqlite::{BoxError, SqliteConnection, SqliteProjection};
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # #[event(prefix = "account")]
/// # enum AccountEvent { Opened { owner: String }, Closed }
/// #[derive(Projection)]
/// #[projection(name = "owners", events = AccountEvent)]
/// struct Owners;
///
/// #[async_trait]
/// impl SqliteProjection for Owners {
///     async fn create(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
///         let sql = "create table if not exists owner (account text primary key, name text not null)";
///         sqlx::query(sql).execute(db).await?;
///         Ok(())
///     }
///
///     async fn drop(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
///         sqlx::query("drop table if exists owner").execute(db).await?;
///         Ok(())
///     }
///
///     async fn project(
///         &self,
///         event: &Recorded<AccountEvent>,
///         db: &mut SqliteConnection,
///     ) -> Result<(), BoxError> {
///         let account = event.record.stream.key();
///         match &event.event {
///             AccountEvent::Opened { owner } => {
///                 let sql = "insert into owner (account, name) values (?, ?)";
///                 sqlx::query(sql).bind(account).bind(owner).execute(db).await?;
///             }
///             AccountEvent::Closed => {
///                 sqlx::query("delete from owner where account = ?").bind(account).execute(db).await?;
///             }
///         }
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "the projection `{Self}` has no tables",
    label = "`impl SqliteProjection for {Self}` is missing",
    note = "write `#[async_trait] impl SqliteProjection for {Self}` with `create`, `drop` and `project`"
)]
pub trait SqliteProjection: Projection<Events: Event> {
    /// Creates the tables that are missing.
    ///
    /// # Errors
    /// What SQLite says; the projection is tried again, then stops.
    async fn create(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error>;

    /// Drops the tables that are there: before a rebuild, or when the
    /// [version](Projection::VERSION) was raised.
    ///
    /// # Errors
    /// What SQLite says; the projection is tried again, then stops.
    async fn drop(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error>;

    /// Takes `event` into the tables, through `db`: inside the transaction that also moves the checkpoint.
    /// Do not end that transaction, and do not wait for anything but `db`: nothing else is written to the
    /// file meanwhile.
    ///
    /// # Errors
    /// Anything; the transaction is rolled back and the page tried again, then the projection stops.
    async fn project(
        &self,
        event: &Recorded<Self::Events>,
        db: &mut SqliteConnection,
    ) -> Result<(), BoxError>;
}
