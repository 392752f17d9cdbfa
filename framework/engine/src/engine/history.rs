//! The events of one aggregate, typed.

use crate::record::DecodeEvent as _;
use std::future::IntoFuture;
use std::marker::PhantomData;

use futures_util::future::BoxFuture;

use super::source::{LoadError, Source};
use crate::aggregate::Aggregate;
use crate::record::Recorded;
use factum_core::position::Version;
use factum_core::read::{MAX_PAGE, Read};

/// A history on its way; await it. Made by [`Engine::history`](crate::engine::Engine::history).
#[must_use = "a history does nothing until awaited"]
pub struct History<'e, A: Aggregate> {
    source: &'e Source,
    id: &'e A::Id,
    after: Version,
    limit: usize,
    aggregate: PhantomData<fn() -> A>,
}

impl<'e, A: Aggregate> History<'e, A> {
    pub fn new(source: &'e Source, id: &'e A::Id) -> Self {
        Self {
            source,
            id,
            after: Version::ZERO,
            limit: usize::MAX,
            aggregate: PhantomData,
        }
    }

    /// Only what came behind `version`.
    pub fn after(mut self, version: impl Into<Version>) -> Self {
        self.after = version.into();
        self
    }

    /// At most `limit` stored events; without it, all. One that was split since is several here.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    async fn run(self) -> Result<Vec<Recorded<A::Event>>, LoadError> {
        let stream = A::stream(self.id)?;
        let (mut after, mut events) = (self.after, Vec::new());
        while events.len() < self.limit {
            let size = (self.limit - events.len()).min(MAX_PAGE);
            let page = self
                .source
                .store
                .read(Read::stream(stream.clone()).after(after).limit(size))
                .await?;
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
