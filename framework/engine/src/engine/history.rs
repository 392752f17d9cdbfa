//! [`History`]: the events of one aggregate.

use std::future::IntoFuture;
use std::marker::PhantomData;

use factum_core::position::Version;
use factum_core::read::{MAX_PAGE, Read};
use futures_util::future::BoxFuture;

use crate::domain::aggregate::Aggregate;
use crate::domain::record::{DecodeEvent as _, Recorded};
use crate::state::load_error::LoadError;
use crate::state::loader::StateLoader;

/// The events of one aggregate, read when awaited.
///
/// Created by [`Engine::history`](crate::engine::Engine::history).
#[must_use = "a history does nothing until awaited"]
pub struct History<'e, A: Aggregate> {
    loader: &'e StateLoader,
    id: &'e A::Id,
    after: Version,
    limit: usize,
    aggregate: PhantomData<fn() -> A>,
}

impl<'e, A: Aggregate> History<'e, A> {
    pub(crate) fn new(loader: &'e StateLoader, id: &'e A::Id) -> Self {
        Self {
            loader,
            id,
            after: Version::ZERO,
            limit: usize::MAX,
            aggregate: PhantomData,
        }
    }

    /// Skips the events up to and including `version`.
    pub fn after(mut self, version: impl Into<Version>) -> Self {
        self.after = version.into();
        self
    }

    /// Sets the maximum number of stored events; the default is all.
    ///
    /// A stored event may represent several events.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    async fn run(self) -> Result<Vec<Recorded<A::Event>>, LoadError> {
        let stream = A::stream(self.id)?;
        let (mut after, mut events) = (self.after, Vec::new());
        while events.len() < self.limit {
            let size = (self.limit - events.len()).min(MAX_PAGE);
            let read = Read::stream(stream.clone()).after(after).limit(size);
            let page = self.loader.store.read(read).await?;
            for record in page.events {
                after = record.version;
                let decoded = record.decode_all()?;
                events.extend(decoded.map(|event| Recorded {
                    event,
                    record: record.clone(),
                }));
            }
            if !page.more {
                break;
            }
        }
        Ok(events)
    }
}

impl<'e, A: Aggregate> IntoFuture for History<'e, A> {
    type Output = Result<Vec<Recorded<A::Event>>, LoadError>;
    type IntoFuture = BoxFuture<'e, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
