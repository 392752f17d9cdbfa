//! [`measure`]: the lag of all consumers, at the time of the call.

use factum_core::error::StoreError;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::timestamp::Timestamp;
use factum_engine::engine::Engine;

use super::consumers::set_gauges;
use crate::runtime::Runtime;

/// Records the lag of every consumer against the current head of the log.
///
/// Call it before the metrics are collected: a consumer that is paused or stopped records nothing while its lag grows. It
/// reads one event for each consumer.
///
/// # Errors
/// Returns [`StoreError`] if the store fails.
pub async fn measure(engine: &Engine, runtime: &Runtime) -> Result<(), StoreError> {
    for status in runtime.status() {
        let next = Read::all(Query::all()).after(status.position).limit(1);
        let page = engine.store().read(next).await?;
        let lag = page.head.get().saturating_sub(status.position.get());
        let age = page.events.first().map_or(0, |waiting| {
            Timestamp::now().as_micros() - waiting.recorded_at.as_micros()
        });
        set_gauges(&status, lag, age.max(0) as f64 / 1e6);
    }
    Ok(())
}
