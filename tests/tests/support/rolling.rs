//! Support for tests that deploy a new version of a read model under load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::prelude::*;
use factum::runtime::{ControlError, FailurePolicy, ProjectionHandle, WaitError};
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::PATIENT;

use crate::check;

/// The lease, long enough for heartbeats that wait for busy writers of a SQLite file.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

pub(crate) async fn run<const V: u32, const P: u16>(backend: &Backend, engine: &Engine) -> Runtime {
    let builder = Runtime::builder(engine).retry(PATIENT).lease(LEASE);
    let count = Count::<V, P>::default();
    count
        .on(backend, builder, FailurePolicy::DeadLetter)
        .start()
        .await
        .unwrap()
}

/// Reads the active build repeatedly and returns the number of reads.
///
/// Waits for `pause` between two reads, until `end` is set. Asserts that no read fails and that the count of no
/// stream decreases.
#[allow(dead_code, reason = "not used by every test")]
pub(crate) async fn assert_counts_never_decrease(
    backend: Backend,
    end: Arc<AtomicBool>,
    pause: Duration,
) -> u64 {
    let mut seen = BTreeMap::new();
    let mut reads = 0;
    while !end.load(SeqCst) {
        let jars = backend.jars().await.unwrap();
        for (stream, before) in &seen {
            let now = jars.get(stream).map_or(0, |(count, _): &(i64, i64)| *count);
            assert!(now >= *before, "{stream}: {now} after {before}");
        }
        seen = jars
            .into_iter()
            .map(|(stream, (count, _))| (stream, count))
            .collect();
        reads += 1;
        tokio::time::sleep(pause).await;
    }
    reads
}

/// Returns the handle of the projection that [`run`] starts.
#[allow(dead_code, reason = "not used by every test")]
pub(crate) fn counts(runtime: &Runtime) -> ProjectionHandle {
    runtime.projection::<Count>().unwrap()
}

/// Returns the reason why a projection did not become current.
#[allow(dead_code, reason = "not used by every test")]
pub(crate) fn wait_error(waited: Result<(), ControlError>) -> WaitError {
    match waited {
        Err(ControlError::Wait(error)) => error,
        waited => panic!("{waited:?}"),
    }
}

pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(30), work).await;
    done.unwrap_or_else(|_| panic!("timeout: {what}"))
}

pub(crate) async fn assert_equals_replay(backend: &Backend, engine: &Engine) {
    let events = check::all_events(engine).await;
    let head = Position::new(events.len() as u64);
    assert_eq!(
        backend.jars().await.unwrap(),
        check::expected_jars(&events, head)
    );
}
