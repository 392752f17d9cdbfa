//! [`DecisionContext`]: the permits of a command, and the appends in flight that its state depends on.

use std::sync::Arc;

use factum_core::stream_id::StreamId;

use crate::command::boundary::Boundary;
use crate::command::part::{BoundaryPart, BoundaryParts};
use crate::command::{Command, Decide};
use crate::engine::append_chain::AppendChain;
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
    /// For each part, the chain of appends in flight that its state depends on.
    pub chains: Vec<Option<Arc<AppendChain>>>,
    /// Set if all parts were up to date at one moment after the command started.
    pub is_current: bool,
}

impl<'e> DecisionContext<'e> {
    /// Loads all parts from the cache, if no other command uses the streams. Needs no I/O and no waiting.
    pub fn from_cache<C: Decide>(
        engine: &'e EngineCore,
        streams: &[StreamId],
        parts: &mut Parts<C>,
    ) -> Option<Self> {
        let permits = engine.queues.try_acquire(streams)?;
        let mut chains = Vec::new();
        for part in list_parts::<C>(parts) {
            match part.load_cached(&engine.loader)? {
                CacheHit::Usable => chains.push(None),
                CacheHit::Stale => return None,
            }
        }
        Some(Self {
            permits,
            chains,
            is_current: false,
        })
    }

    /// Waits for the permits, and loads each part from a pipelined append, the cache or the store.
    pub async fn load<C: Decide>(
        engine: &'e EngineCore,
        streams: Streams,
        parts: &mut Parts<C>,
    ) -> Result<Self, LoadError> {
        let permits = engine.queues.acquire(streams).await;
        let mut chains = Vec::new();
        let mut parts = list_parts::<C>(parts);
        // A single read is a state that was current when it was read. Several reads may be of different times.
        let mut is_current = parts.len() == 1;
        for part in &mut parts {
            if part.as_query().is_some() {
                chains.push(None);
                continue;
            }
            let loaded = load_part(engine, &permits, *part).await?;
            is_current &= matches!(loaded, LoadSource::FromStore);
            chains.push(match loaded {
                LoadSource::Pipelined(chain) => Some(chain),
                LoadSource::FromCache | LoadSource::FromStore => None,
            });
        }
        refresh_queries(&mut parts, &engine.loader).await?;
        Ok(Self {
            permits,
            chains,
            is_current,
        })
    }

    /// Waits for the appends in flight that the state depends on, then applies newer stored events.
    ///
    /// Returns whether the state has changed. If it has not, it was the current state at some time.
    pub async fn refresh<C: Decide>(
        &mut self,
        engine: &EngineCore,
        parts: &mut Parts<C>,
    ) -> Result<bool, LoadError> {
        let loader = &engine.loader;
        let mut has_changed = false;
        let mut parts = list_parts::<C>(parts);
        for (part, chain) in parts.iter_mut().zip(&mut self.chains) {
            if part.as_query().is_some() {
                continue;
            }
            match chain.take() {
                Some(chain) if chain.wait_until_stored(part.version()).await => {
                    part.set_position(chain.position());
                    has_changed |= part.refresh(loader).await?;
                    part.keep(loader, part.version());
                }
                Some(_broken) => {
                    part.load(loader).await?;
                    has_changed = true;
                }
                None => has_changed |= part.refresh(loader).await?,
            }
        }
        has_changed |= refresh_queries(&mut parts, loader).await?;
        Ok(has_changed)
    }
}

/// The source of a part's state.
enum LoadSource {
    Pipelined(Arc<AppendChain>),
    FromCache,
    FromStore,
}

async fn load_part(
    engine: &EngineCore,
    permits: &StreamPermits<'_>,
    part: &mut dyn BoundaryPart,
) -> Result<LoadSource, LoadError> {
    let pipelined = part.stream().and_then(|stream| permits.pipelined(stream));
    if let Some(pipelined) = pipelined
        && part.restore(pipelined.state)
    {
        return Ok(LoadSource::Pipelined(pipelined.chain));
    }
    let loader = &engine.loader;
    match part.load_cached(loader) {
        Some(CacheHit::Usable) => Ok(LoadSource::FromCache),
        Some(CacheHit::Stale) => {
            part.refresh(loader).await?;
            Ok(LoadSource::FromCache)
        }
        None => {
            part.load(loader).await?;
            Ok(LoadSource::FromStore)
        }
    }
}
