//! [`TracedStore`]: the store of a call, with a span for each operation.

use std::sync::Arc;

use factum::store::{
    Append, AppendError, Appended, EventStore, EventTypeList, EventTypeSummary, IdempotencyKey,
    Page, Position, Read, Scope, Store, StoreError, StreamList, StreamSummary, Timestamp,
    async_trait,
};
use tokio::sync::watch;
use tracing::{Instrument as _, Level, Span, debug_span, field, span_enabled};

/// The store of a call, with a span for each operation below the span of the call.
///
/// The messages of a stream are handled after its call was answered, so the span of the call is kept.
pub struct TracedStore {
    store: Arc<dyn Store>,
    call: Span,
}

impl TracedStore {
    /// Adds spans to the store of the current call, if spans are recorded.
    #[must_use]
    pub fn wrap(store: Arc<dyn Store>) -> Arc<dyn Store> {
        match span_enabled!(Level::DEBUG) {
            true => Arc::new(Self {
                store,
                call: Span::current(),
            }),
            false => store,
        }
    }
}

#[async_trait]
impl EventStore for TracedStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let span = debug_span!(
            parent: &self.call,
            "append",
            events = append.events.len(),
            position = field::Empty,
        );
        let appended = self.store.append(append).instrument(span.clone()).await?;
        span.record("position", appended.position.get());
        Ok(appended)
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        let stream = match &read.scope {
            Scope::Stream(stream) => Some(field::display(stream.clone())),
            Scope::Streams(_) | Scope::All(_) => None,
        };
        let span = debug_span!(parent: &self.call, "read", stream, after = read.cursor);
        self.store.read(read).instrument(span).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        let span = debug_span!(parent: &self.call, "find");
        self.store.find(key).instrument(span).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }

    async fn list_streams(&self, list: StreamList) -> Result<Vec<StreamSummary>, StoreError> {
        let span = debug_span!(parent: &self.call, "list_streams");
        self.store.list_streams(list).instrument(span).await
    }

    async fn list_event_types(
        &self,
        list: EventTypeList,
    ) -> Result<Vec<EventTypeSummary>, StoreError> {
        let span = debug_span!(parent: &self.call, "list_event_types");
        self.store.list_event_types(list).instrument(span).await
    }

    async fn import(
        &self,
        append: Append,
        recorded_at: Timestamp,
    ) -> Result<Appended, AppendError> {
        let span = debug_span!(parent: &self.call, "import", events = append.events.len());
        let imported = self.store.import(append, recorded_at);
        imported.instrument(span).await
    }
}

factum::store::delegate!(snapshots, [] TracedStore, |this| this.store);
factum::store::delegate!(documents, [] TracedStore, |this| this.store);
