//! A projection into tables whose version, partitions, failures and speed a test chooses.

use std::sync::Arc;
use std::time::Duration;

use factum::prelude::*;
use factum::runtime::{FailurePolicy, RuntimeBuilder};
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection};

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
    pub fn on(
        self,
        backend: &Backend,
        builder: RuntimeBuilder,
        policy: FailurePolicy,
    ) -> RuntimeBuilder {
        match backend {
            Backend::Sqlite(store) => builder.projection_with(store.read_model(self), policy),
            Backend::Postgres(store) => builder.projection_with(store.read_model(self), policy),
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
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        (self.on_event)(event)?;
        let fill = db.query(FILL).bind(event.record.stream.as_str());
        fill.bind(event.record.position).execute().await?;
        Ok(())
    }
}
