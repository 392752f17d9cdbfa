//! [`DecisionContext`]: the permits of a command, and the appends in flight that its state depends on.

use factum_core::stream_id::StreamId;

use crate::command::boundary::Boundary;
use crate::command::part::{BoundaryPart, BoundaryParts};
use crate::command::{Command, Decide};
use crate::engine::append_chain::Dependencies;
use crate::engine::core::EngineCore;
use crate::engine::query_locks::refresh_queries;
use crate::engine::stream_queues::{StreamPermits, Streams};
use crate::state::load_error::LoadError;
use crate::state::loader::CacheHit;

/// The states of the parts of a command's boundary.
pub type Parts<C> = <<C as Command>::On as Boundary>::Parts;

/// The decision of a command.
pub type Decision<C> = <<C as Command>::On as Boundary>::Decision;

/// Returns the parts as a list.
pub fn list_parts<C: Decide>(parts: &mut Parts<C>) -> BoundaryParts<'_> {
    let mut list = BoundaryParts::new();
    C::On::list_parts(parts, &mut list);
    list
}

/// The permits of a command, and the appends in flight that its state depends on.
pub struct DecisionContext<'e> {
    /// The permits for the streams of the command.
    pub permits: StreamPermits<'e>,
    /// The appends in flight that its state depends on.
    pub dependencies: Dependencies,
    /// Set if all parts were up to date at one moment after the command started.
    pub is_current: bool,
}

impl<'e> DecisionContext<'e> {
    /// Creates a context in which nothing is loaded.
    pub fn new(permits: StreamPermits<'e>) -> Self {
        Self {
            permits,
            dependencies: Dependencies::default(),
            is_current: false,
        }
    }

    /// Loads all parts from the cache, if no other command uses the streams. Needs no I/O and no waiting.
    pub fn from_cache<C: Decide>(
        engine: &'e EngineCore,
        streams: &[StreamId],
        parts: &mut Parts<C>,
    ) -> Option<Self> {
        let permits = engine.queues.try_acquire(streams)?;
        for part in list_parts::<C>(parts) {
            match part.load_cached(&engine.loader)? {
                CacheHit::Usable => {}
                CacheHit::Stale => return None,
            }
        }
        Some(Self::new(permits))
    }

    /// Waits for the permits, and loads each part from a pipelined append, the cache or the store.
    pub async fn load<C: Decide>(
        engine: &'e EngineCore,
        streams: Streams,
        parts: &mut Parts<C>,
    ) -> Result<Self, LoadError> {
        let mut context = Self::new(engine.queues.acquire(streams).await);
        let mut parts = list_parts::<C>(parts);
        // A single read is a state that was current when it was read. Several reads may be of different times.
        context.is_current = parts.len() == 1;
        for part in &mut parts {
            if part.as_query().is_none() {
                let source = context.load_part(engine, *part).await?;
                context.is_current &= matches!(source, LoadSource::Store);
            }
        }
        refresh_queries(&mut parts, &engine.loader).await?;
        Ok(context)
    }

    /// Loads `part` from a pipelined append, the cache or the store.
    pub async fn load_part(
        &mut self,
        engine: &EngineCore,
        part: &mut dyn BoundaryPart,
    ) -> Result<LoadSource, LoadError> {
        if let Some(stream) = part.stream().cloned()
            && let Some(pipelined) = self.permits.pipelined(&stream)
            && part.restore(pipelined.state)
        {
            self.dependencies.add(stream, pipelined.dependency);
            return Ok(LoadSource::Memory);
        }
        let loader = &engine.loader;
        match part.load_cached(loader) {
            Some(CacheHit::Usable) => Ok(LoadSource::Memory),
            Some(CacheHit::Stale) => {
                part.refresh(loader).await?;
                Ok(LoadSource::Memory)
            }
            None => {
                part.load(loader).await?;
                Ok(LoadSource::Store)
            }
        }
    }

    /// Waits for the appends in flight that the state depends on, then applies newer stored events.
    ///
    /// Returns whether the state has changed. If it has not, it was the current state at some time.
    pub async fn refresh<C: Decide>(
        &mut self,
        engine: &EngineCore,
        parts: &mut Parts<C>,
    ) -> Result<bool, LoadError> {
        let mut has_changed = false;
        let mut parts = list_parts::<C>(parts);
        for part in &mut parts {
            if part.as_query().is_none() {
                has_changed |= self.refresh_part(engine, *part).await?;
            }
        }
        has_changed |= refresh_queries(&mut parts, &engine.loader).await?;
        Ok(has_changed)
    }

    /// Applies newer stored events to `part`, after the append in flight that its state depends on.
    ///
    /// Returns whether the state has changed.
    pub async fn refresh_part(
        &mut self,
        engine: &EngineCore,
        part: &mut dyn BoundaryPart,
    ) -> Result<bool, LoadError> {
        let loader = &engine.loader;
        let dependency = part
            .stream()
            .and_then(|stream| self.dependencies.take(stream));
        match dependency.map(|dependency| dependency.chain) {
            Some(chain) if chain.wait_until_stored(part.version()).await => {
                part.set_position(chain.position());
                let has_changed = part.refresh(loader).await?;
                part.keep(loader, part.version());
                Ok(has_changed)
            }
            Some(_broken) => {
                part.load(loader).await?;
                Ok(true)
            }
            None => part.refresh(loader).await,
        }
    }
}

/// The source of a part's state.
pub enum LoadSource {
    /// A pipelined append, or the cache.
    Memory,
    Store,
}
