//! A projection into tables whose version, partitions, failures and speed a test chooses.

use std::sync::Arc;
use std::time::Duration;

use factum::prelude::*;
use factum::projections::ProjectionsBuilder;
use factum::{FailurePolicy, async_trait};
use factum_postgres::{PostgresProject, PostgresProjection};
use factum_sqlite::{BoxError, SqliteProject, SqliteProjection, sqlx};

use crate::backend::{Backend, CREATE, FILL};
use crate::load::JarEvent;

/// A hook that returns an error for an event that must fail.
pub type OnEvent = Arc<dyn Fn(&Recorded<JarEvent>) -> Result<(), String> + Send + Sync>;

/// A [`CountJars`](crate::backend::CountJars) projection of version `V` with `P` partitions.
#[derive(Clone)]
pub struct Count<const V: u32 = 1, const P: u16 = 1> {
    /// A hook that is called for each event, inside the transaction.
    pub on_event: OnEvent,
    /// The time that each event takes.
    pub delay: Duration,
}

impl<const V: u32, const P: u16> Default for Count<V, P> {
    fn default() -> Self {
        Self {
            on_event: Arc::new(|_| Ok(())),
            delay: Duration::ZERO,
        }
    }
}

impl<const V: u32, const P: u16> Projection for Count<V, P> {
    const NAME: &'static str = "counts";
    const VERSION: u32 = V;
    const PARTITIONS: u16 = P;
    type Events = JarEvent;
}

impl<const V: u32, const P: u16> Count<V, P> {
    /// Adds the projection to `builder`, with its table in the store of `backend`.
    #[must_use]
    pub fn on(
        self,
        backend: &Backend,
        builder: ProjectionsBuilder,
        failures: FailurePolicy,
    ) -> ProjectionsBuilder {
        match backend {
            Backend::Sqlite(store) => builder.with_failures(store.read_model(self), failures),
            Backend::Postgres(store) => builder.with_failures(store.read_model(self), failures),
        }
    }
}

macro_rules! count {
    ($($adapter:ident: $projection:ident, $project:ident;)*) => {$(
        #[async_trait]
        impl<const V: u32, const P: u16> $projection for Count<V, P> {
            async fn create(&self, db: &mut $adapter::Tables<'_>) -> Result<(), sqlx::Error> {
                let create = db.sql(CREATE);
                sqlx::query(create).execute(&mut **db).await.map(drop)
            }
        }

        #[async_trait]
        impl<const V: u32, const P: u16> $project<JarEvent> for Count<V, P> {
            async fn project(
                &self,
                event: &Recorded<JarEvent>,
                db: &mut $adapter::Tables<'_>,
            ) -> Result<(), BoxError> {
                if !self.delay.is_zero() {
                    tokio::time::sleep(self.delay).await;
                }
                (self.on_event)(event)?;
                let fill = sqlx::query(db.sql(FILL)).bind(event.record.stream.as_str());
                let fill = fill.bind(event.record.position.get() as i64);
                Ok(fill.execute(&mut **db).await.map(drop)?)
            }
        }
    )*};
}

count! {
    factum_sqlite: SqliteProjection, SqliteProject;
    factum_postgres: PostgresProjection, PostgresProject;
}
