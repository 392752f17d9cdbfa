//! The load of a command that finds streams in the state of others.
//!
//! The permits of all streams must be acquired in one order, but the streams are known only after the first ones are
//! loaded. So the command takes the permits of the found streams if they are free. Otherwise it releases its permits,
//! waits for all of them in the usual order, and looks again.
//!
//! The permits only prevent conflicts. The append expects the version of each stream, also of those without events, so a
//! decision on streams that are no longer the right ones is never stored.

use crate::command::Decide;
use crate::command::boundary::Boundary as _;
use crate::command::part::{BoundaryParts, streams_of};
use crate::engine::core::EngineCore;
use crate::engine::decision_context::{DecisionContext, Parts, list_parts};
use crate::engine::execute_error::ExecuteError;
use crate::engine::query_locks::refresh_queries;
use crate::engine::stream_queues::Streams;
use crate::state::load_error::LoadError;
use crate::state::loader::CacheHit;

/// A command that finds streams, with its parts.
pub struct FindStreams<'c, 'e, C: Decide> {
    /// The engine.
    pub engine: &'e EngineCore,
    /// The command.
    pub command: &'c C,
    /// The streams that the command names.
    pub named: &'c Streams,
    /// The parts, with the streams that were found last.
    pub parts: &'c mut Parts<C>,
}

impl<'e, C: Decide> FindStreams<'_, 'e, C> {
    /// Finds and loads all parts in the cache. Needs no I/O and no waiting.
    ///
    /// Returns `None` if a state is not in the cache, or if another command uses a stream.
    pub fn load_cached(mut self) -> Option<DecisionContext<'e>> {
        let streams = self.streams();
        let mut context = DecisionContext::from_cache::<C>(self.engine, &streams, self.parts)?;
        let has_changed = self.find().ok()?;
        if has_changed {
            let loader = &self.engine.loader;
            for part in found_parts::<C>(self.parts, self.named) {
                let is_free = part.stream().is_some_and(|stream| {
                    context.permits.try_add(stream) && context.permits.pipelined(stream).is_none()
                });
                if !is_free || part.load_cached(loader) != Some(CacheHit::Usable) {
                    return None;
                }
            }
            context.permits.release_others(&self.streams());
        }
        Some(context)
    }

    /// Waits for the permits, then finds and loads all parts.
    pub async fn load(mut self) -> Result<DecisionContext<'e>, ExecuteError<C::Error>> {
        loop {
            let permits = self.engine.queues.acquire(self.streams()).await;
            let mut context = DecisionContext::new(permits);
            for part in named_parts::<C>(self.parts, self.named) {
                context.load_part(self.engine, part).await?;
            }
            self.find_current(&mut context).await?;
            if self.load_found(&mut context).await? {
                context.permits.release_others(&self.streams());
                let mut parts = list_parts::<C>(self.parts);
                refresh_queries(&mut parts, &self.engine.loader).await?;
                return Ok(context);
            }
        }
    }

    /// Finds the streams of the command.
    ///
    /// An error waits until the state is known to be stored and current.
    async fn find_current(
        &mut self,
        context: &mut DecisionContext<'e>,
    ) -> Result<(), ExecuteError<C::Error>> {
        while let Err(error) = self.find() {
            let mut has_changed = false;
            for part in named_parts::<C>(self.parts, self.named) {
                has_changed |= context.refresh_part(self.engine, part).await?;
            }
            if !has_changed {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Loads the found parts. Returns `false` if another command uses one of their streams.
    async fn load_found(&mut self, context: &mut DecisionContext<'e>) -> Result<bool, LoadError> {
        for part in found_parts::<C>(self.parts, self.named) {
            let is_free = part
                .stream()
                .is_some_and(|stream| context.permits.try_add(stream));
            if !is_free {
                return Ok(false);
            }
            context.load_part(self.engine, part).await?;
        }
        Ok(true)
    }

    /// Finds the streams in the state of the parts, and returns whether they are others than before.
    pub fn find(&mut self) -> Result<bool, ExecuteError<C::Error>> {
        Ok(C::On::find(self.parts, self.command.target())?)
    }

    /// Returns the streams of all parts.
    fn streams(&mut self) -> Streams {
        streams_of(&list_parts::<C>(self.parts))
    }
}

/// Returns the parts that the command names.
fn named_parts<'p, C: Decide>(parts: &'p mut Parts<C>, named: &Streams) -> BoundaryParts<'p> {
    let mut list = list_parts::<C>(parts);
    list.retain(|part| part.stream().is_some_and(|stream| named.contains(stream)));
    list
}

/// Returns the parts that were found last.
fn found_parts<'p, C: Decide>(parts: &'p mut Parts<C>, named: &Streams) -> BoundaryParts<'p> {
    let mut list = list_parts::<C>(parts);
    list.retain(|part| part.stream().is_some_and(|stream| !named.contains(stream)));
    list
}
