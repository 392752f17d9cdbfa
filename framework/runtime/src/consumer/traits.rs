//! The traits [`Consumer`] and [`ReadModel`].

use std::sync::Arc;

use factum_core::document::{DocumentStore, Revision};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_engine::record::RecordedEvent;

use super::batch::{Batch, BatchError};
use super::observer::ConsumerObserver;

/// A durable subscription: processes all events that match a query, in order, with a checkpoint.
///
/// The [runtime](crate::Runtime) runs consumers. Implement the asynchronous methods with `async fn`. A consumer whose effects are in the store's database changes them in
/// the transaction of the checkpoint, so that each event takes effect exactly once. Others process events at least
/// once.
pub trait Consumer: Send + Sync + 'static {
    /// Returns the name: 1 to 200 bytes without `/` or control characters.
    ///
    /// The checkpoint is stored under this name. It must not start with `process:` or `handler:`.
    fn name(&self) -> &str;

    /// Returns the filter of the events to process.
    fn query(&self) -> Query;

    /// Returns the position after which a new consumer starts.
    fn starts_after(&self) -> Position {
        Position::ZERO
    }

    /// Returns the number of partitions, at least 1.
    ///
    /// Streams are distributed over partitions, which several nodes process in parallel. The events of one stream stay
    /// in order.
    fn partitions(&self) -> u16 {
        1
    }

    /// Returns the correlation keys of `event`; `None` if they are unknown.
    ///
    /// A correlation key names a thing that the event is about, besides its stream. While the event is a dead letter,
    /// later events with one of these keys are blocked.
    fn correlation_keys(&self, event: &RecordedEvent) -> Option<Vec<String>> {
        let _ = event;
        None
    }

    /// Returns the policy for events and states with a newer schema version than this code knows.
    fn newer_events(&self) -> NewerEvents {
        NewerEvents::Fail
    }

    /// Notifies the consumer that this node has acquired a partition and will process its events.
    fn acquired(&self) {}

    /// Processes the events of `batch`, makes its document changes, and returns their revision.
    ///
    /// Both happen in one transaction if the effects are in the database of the documents; otherwise the effects come
    /// first.
    ///
    /// If the effects are not in that database, first decode all events, then commit the batch, then apply the events: a
    /// batch is repeated if one of its events fails.
    ///
    /// # Errors
    /// Returns [`BatchError`]. The document changes must not have been made then.
    fn handle(&self, batch: Batch<'_>)
    -> impl Future<Output = Result<Revision, BatchError>> + Send;
}

/// The policy for events and states that newer code has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewerEvents {
    /// The event fails, and the failure policy applies.
    Fail,
    /// The consumer waits before the event, and offers its lease to nodes that may run newer code.
    Wait,
}

/// A consumer with a read model that can be rebuilt.
///
/// A read model may exist in several *builds*: while a new build catches up, the old one serves readers. Builds are
/// numbered from 1, and a number is never used again. Keep the data of each build apart, by
/// [`Batch::build`](super::Batch::build): otherwise a rebuild applies each event a second time.
///
/// A read model that is lost when the program ends must return its own checkpoints in
/// [`local_documents`](Self::local_documents). Otherwise the checkpoint survives, and the lost events are not processed
/// again.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not specify where its read model is stored",
    label = "not a read model",
    note = "for memory use `InMemory::<{Self}>::new()`; for tables use `store.read_model(…)` with the store of the events"
)]
pub trait ReadModel: Consumer {
    /// Returns the version of the read model.
    ///
    /// A higher version is built from the first event, while the old build serves readers.
    fn version(&self) -> u32;

    /// Returns the store of the checkpoints if each node has a separate read model.
    ///
    /// Returns `None` if all nodes share one read model in the database of the events.
    fn local_documents(&self) -> Option<Arc<dyn DocumentStore>> {
        None
    }

    /// Notifies the read model that the runtime processes its events.
    #[doc(hidden)]
    fn started(&self, observer: ConsumerObserver) {
        let _ = observer;
    }

    /// Returns the documents of the read model's database, if it must be the database of the events.
    ///
    /// The runtime checks at its start that it is. By default, nothing is checked.
    fn shared_documents(&self) -> Option<Arc<dyn DocumentStore>> {
        None
    }

    /// Prepares `build` to process events, for example by creating its tables.
    ///
    /// It is called again for a build that is already prepared.
    ///
    /// A dropped build must not be created again: check [`is_build_wanted`](super::is_build_wanted) in the same
    /// transaction.
    ///
    /// # Errors
    /// Returns [`BatchError`] if it cannot be created.
    fn prepare(&self, build: u64) -> impl Future<Output = Result<(), BatchError>> + Send {
        let _ = build;
        async { Ok(()) }
    }

    /// Makes the build of `batch` the active build, which serves readers.
    ///
    /// This and the document changes of `batch` take effect together or not at all. The batch has no events.
    ///
    /// # Errors
    /// Returns [`BatchError`]; nothing has changed then.
    fn promote(
        &self,
        batch: Batch<'_>,
    ) -> impl Future<Output = Result<Revision, BatchError>> + Send {
        batch.commit()
    }

    /// Drops `build` completely.
    ///
    /// It is called again for a build that is already dropped.
    ///
    /// # Errors
    /// Returns [`BatchError`] if it cannot be dropped.
    fn drop_build(&self, build: u64) -> impl Future<Output = Result<(), BatchError>> + Send {
        let _ = build;
        async { Ok(()) }
    }
}
