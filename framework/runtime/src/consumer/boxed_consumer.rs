//! [`BoxedConsumer`] and [`BoxedReadModel`]: the object-safe twins of [`Consumer`] and [`ReadModel`].

use std::sync::Arc;

use factum_core::document::{DocumentStore, Revision};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_engine::record::RecordedEvent;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::batch::{Batch, BatchError};
use super::observer::ConsumerObserver;
use super::traits::{Consumer, NewerEvents, ReadModel};

/// The object-safe twin of [`Consumer`].
pub trait BoxedConsumer: Send + Sync + 'static {
    /// See [`Consumer::name`].
    fn name(&self) -> &str;
    /// See [`Consumer::query`].
    fn query(&self) -> Query;
    /// See [`Consumer::starts_after`].
    fn starts_after(&self) -> Position;
    /// See [`Consumer::partitions`].
    fn partitions(&self) -> u16;
    /// See [`Consumer::correlation_keys`].
    fn correlation_keys(&self, event: &RecordedEvent) -> Option<Vec<String>>;
    /// See [`Consumer::newer_events`].
    fn newer_events(&self) -> NewerEvents;
    /// See [`Consumer::acquired`].
    fn acquired(&self);
    /// See [`Consumer::handle`].
    fn handle<'a>(&'a self, batch: Batch<'a>) -> BoxFuture<'a, Result<Revision, BatchError>>;
    /// Returns the read model; `None` if the consumer is not a [`ReadModel`].
    fn read_model(&self) -> Option<&dyn BoxedReadModel>;
}

/// The object-safe twin of [`ReadModel`].
pub trait BoxedReadModel: Send + Sync {
    /// See [`ReadModel::version`].
    fn version(&self) -> u32;
    /// See [`ReadModel::local_documents`].
    fn local_documents(&self) -> Option<Arc<dyn DocumentStore>>;
    /// See [`ReadModel::started`].
    fn started(&self, observer: ConsumerObserver);
    /// See [`ReadModel::shared_documents`].
    fn shared_documents(&self) -> Option<Arc<dyn DocumentStore>>;
    /// See [`ReadModel::prepare`].
    fn prepare(&self, build: u64) -> BoxFuture<'_, Result<(), BatchError>>;
    /// See [`ReadModel::promote`].
    fn promote<'a>(&'a self, batch: Batch<'a>) -> BoxFuture<'a, Result<Revision, BatchError>>;
    /// See [`ReadModel::drop_build`].
    fn drop_build(&self, build: u64) -> BoxFuture<'_, Result<(), BatchError>>;
}

/// Boxes a consumer without a read model.
pub fn box_consumer(consumer: impl Consumer) -> Arc<dyn BoxedConsumer> {
    Arc::new(ConsumerBox {
        consumer,
        read_model: |_| None,
    })
}

/// Boxes a consumer with a read model.
pub fn box_read_model(model: impl ReadModel) -> Arc<dyn BoxedConsumer> {
    Arc::new(ConsumerBox {
        consumer: model,
        read_model: |model| Some(model),
    })
}

struct ConsumerBox<C> {
    consumer: C,
    read_model: fn(&C) -> Option<&dyn BoxedReadModel>,
}

impl<C: Consumer> BoxedConsumer for ConsumerBox<C> {
    fn name(&self) -> &str {
        self.consumer.name()
    }

    fn query(&self) -> Query {
        self.consumer.query()
    }

    fn starts_after(&self) -> Position {
        self.consumer.starts_after()
    }

    fn partitions(&self) -> u16 {
        self.consumer.partitions()
    }

    fn correlation_keys(&self, event: &RecordedEvent) -> Option<Vec<String>> {
        self.consumer.correlation_keys(event)
    }

    fn newer_events(&self) -> NewerEvents {
        self.consumer.newer_events()
    }

    fn acquired(&self) {
        self.consumer.acquired();
    }

    fn handle<'a>(&'a self, batch: Batch<'a>) -> BoxFuture<'a, Result<Revision, BatchError>> {
        self.consumer.handle(batch).boxed()
    }

    fn read_model(&self) -> Option<&dyn BoxedReadModel> {
        (self.read_model)(&self.consumer)
    }
}

impl<M: ReadModel> BoxedReadModel for M {
    fn version(&self) -> u32 {
        ReadModel::version(self)
    }

    fn local_documents(&self) -> Option<Arc<dyn DocumentStore>> {
        ReadModel::local_documents(self)
    }

    fn started(&self, observer: ConsumerObserver) {
        ReadModel::started(self, observer);
    }

    fn shared_documents(&self) -> Option<Arc<dyn DocumentStore>> {
        ReadModel::shared_documents(self)
    }

    fn prepare(&self, build: u64) -> BoxFuture<'_, Result<(), BatchError>> {
        ReadModel::prepare(self, build).boxed()
    }

    fn promote<'a>(&'a self, batch: Batch<'a>) -> BoxFuture<'a, Result<Revision, BatchError>> {
        ReadModel::promote(self, batch).boxed()
    }

    fn drop_build(&self, build: u64) -> BoxFuture<'_, Result<(), BatchError>> {
        ReadModel::drop_build(self, build).boxed()
    }
}
