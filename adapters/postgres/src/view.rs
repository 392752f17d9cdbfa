//! [`View`]: a read model as it was at one position, and live queries of it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use async_trait::async_trait;
use factum::projections::{Served, Views, control_key, fill_in, live};
use factum::Projection;
use factum_core::error::StoreError;
use factum_core::position::Position;
use futures_util::Stream;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use crate::PostgresReadModel;
use crate::document::find;
use crate::error::store_error;

/// A read model as it was at one [position](Self::position), however long it is looked at, and whatever is written
/// meanwhile; reads like the connection.
///
/// It is a transaction that only reads. Do not hold it for long: the server keeps what it may see. A plain name of a
/// table may be that of a newer build, so write names in braces.
pub struct View {
    transaction: Transaction<'static, Postgres>,
    build: u64,
    position: Position,
}

impl View {
    /// Every event up to here has had its effect on the rows, or is parked. With one partition no other event has; with
    /// several, some may be ahead.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// `sql`, with the names of tables in braces filled in: those of the build that readers see at this position, as
    /// [`Tables::sql`](crate::Tables::sql) fills them in for who writes.
    #[must_use]
    pub fn sql(&self, sql: &'static str) -> AssertSqlSafe<String> {
        AssertSqlSafe(fill_in(sql, self.build, |_| {}))
    }
}

impl Deref for View {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for View {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("build", &self.build)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl<P: Projection> PostgresReadModel<P> {
    /// The read model that readers see, as it is now; `None`: there is none yet. Who works on it does not matter.
    ///
    /// ```
    /// # use factum_postgres::{PostgresProjection, PostgresReadModel};
    /// # async fn show<P: PostgresProjection>(owners: PostgresReadModel<P>) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(mut view) = owners.view().await? {
    ///     let sql = view.sql("select account, name from {owner}");
    ///     let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut *view).await?;
    ///     println!("{rows:?} at position {}", view.position());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn view(&self) -> Result<Option<View>, StoreError> {
        Ok(self.open().await?.1)
    }

    /// What `look` finds in a [view](Self::view), and then what it finds whenever that has become something else; each with
    /// the position of the view. Keep that, to go on [behind it](Self::live_after) later. Before there is a read model, it
    /// waits.
    ///
    /// A result that was replaced before it was asked for is passed over: the newest counts. It never goes back behind a
    /// position that it has told, not when readers are switched to another build either. An error does not end it: ask
    /// again, and it goes on. The stream ends once the store is closed.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// use futures_util::StreamExt as _;
    /// # use factum_postgres::{PostgresProjection, PostgresReadModel};
    ///
    /// # async fn show<P: PostgresProjection>(owners: PostgresReadModel<P>) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut live = pin!(owners.live(|mut view| async move {
    ///     let sql = view.sql("select count(*) from {owner}");
    ///     sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *view).await
    /// }));
    /// while let Some(next) = live.next().await {
    ///     let (count, position) = next?;
    ///     println!("{count} accounts are open at position {position}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn live<R, L, F>(
        &self,
        look: L,
    ) -> impl Stream<Item = Result<(R, Position), StoreError>> + Send + use<P, R, L, F>
    where
        R: PartialEq + Clone + Send + 'static,
        L: Fn(View) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, sqlx::Error>> + Send + 'static,
    {
        self.follow(None, look)
    }

    /// The same, without what stands at or ahead of `position`, which the caller has seen.
    pub fn live_after<R, L, F>(
        &self,
        position: Position,
        look: L,
    ) -> impl Stream<Item = Result<(R, Position), StoreError>> + Send + use<P, R, L, F>
    where
        R: PartialEq + Clone + Send + 'static,
        L: Fn(View) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, sqlx::Error>> + Send + 'static,
    {
        self.follow(Some(position), look)
    }

    fn follow<R, L, F>(
        &self,
        after: Option<Position>,
        look: L,
    ) -> impl Stream<Item = Result<(R, Position), StoreError>> + Send + use<P, R, L, F>
    where
        R: PartialEq + Clone + Send + 'static,
        L: Fn(View) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, sqlx::Error>> + Send + 'static,
    {
        let store = Arc::new(self.store.clone());
        live((self.clone(), store), after, move |view| {
            let found = look(view);
            async move { found.await.map_err(store_error) }
        })
    }
}

#[async_trait]
impl<P: Projection> Views for PostgresReadModel<P> {
    type View = View;

    async fn open(&self) -> Result<(Served, Option<View>), StoreError> {
        let sql = "begin isolation level repeatable read, read only";
        let begun = self.store.pool().begin_with(sql).await;
        let mut transaction = begun.map_err(store_error)?;
        let control = find(&mut *transaction, &[control_key(P::NAME)]).await?;
        let served = Served::new(P::NAME, control.first())?;
        let Some(build) = served.build() else {
            return Ok((served, None));
        };
        let found = find(&mut *transaction, served.checkpoints()).await?;
        let served = served.at(&found)?;
        let view = View {
            transaction,
            build,
            position: served.position(),
        };
        Ok((served, Some(view)))
    }
}
