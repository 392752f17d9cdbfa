//! A projection into tables in several versions and partitions, that fails and dawdles as a test says.

use std::sync::Arc;
use std::time::Duration;

use factum::FailurePolicy;
use factum::prelude::*;
use factum::projections::ProjectionsBuilder;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection};

use crate::backend::{Backend, CREATE, FILL};
use crate::load::JarEvent;

/// Says whether an event can be taken.
pub type Taking = Arc<dyn Fn(&Recorded<JarEvent>) -> Result<(), String> + Send + Sync>;

/// Counts as [`CountJars`](crate::backend::CountJars) does, in version `V`, over `P` partitions.
#[derive(Clone)]
pub struct Count<const V: u32 = 1, const P: u16 = 1> {
    /// Called for each event, inside the transaction.
    pub taking: Taking,
    /// How long each event takes.
    pub slow: Duration,
}

impl<const V: u32, const P: u16> Default for Count<V, P> {
    fn default() -> Self {
        Self {
            taking: Arc::new(|_| Ok(())),
            slow: Duration::ZERO,
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
    /// Adds it to what is to run on `backend`.
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

impl<const V: u32, const P: u16> SqlProjection for Count<V, P> {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(CREATE).await
    }
}

impl<const V: u32, const P: u16> SqlProject<JarEvent> for Count<V, P> {
    async fn project(&self, event: &Recorded<JarEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        if !self.slow.is_zero() {
            tokio::time::sleep(self.slow).await;
        }
        (self.taking)(event)?;
        let fill = db.query(FILL).bind(event.record.stream.as_str());
        fill.bind(event.record.position).execute().await?;
        Ok(())
    }
}
