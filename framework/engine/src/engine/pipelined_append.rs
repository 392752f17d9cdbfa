//! [`PipelinedAppend`]: an append in flight whose future states other commands already decide on.
//!
//! Commands on a busy stream do not wait for each other's commit. While an append is in flight, the next command decides
//! on the state that the append will create, and its own append follows immediately.
//!
//! Nothing depends on such a state before it is stored: the next append requires that the last event of the previous
//! append is stored. The version alone would not do, because another engine may reach it with other events. A rejection
//! waits until the state is stored.

use std::sync::Arc;

use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;

use crate::command::part::BoundaryPart;
use crate::engine::append_chain::{AppendChain, Dependency, PipelinedState};
use crate::engine::core::EngineCore;
use crate::engine::stream_queues::StreamPermits;
use crate::state::due_snapshot::DueSnapshot;

/// An append in flight whose future states other commands already decide on.
///
/// If it is dropped before [`resolve_stored`](Self::resolve_stored), it counts as failed.
pub struct PipelinedAppend<'e> {
    engine: &'e EngineCore,
    streams: Vec<PipelinedStream>,
}

/// A stream that the append changes.
struct PipelinedStream {
    stream: StreamId,
    chain: Arc<AppendChain>,
    /// The version after the append.
    version: Version,
    /// The number of events in the append up to and including the last event of this stream.
    offset: u64,
    /// The snapshot that is due after the append. Its position is not known yet.
    snapshot: Option<DueSnapshot>,
}

impl<'e> PipelinedAppend<'e> {
    /// Creates an append that changes no streams yet.
    pub fn new(engine: &'e EngineCore) -> Self {
        Self {
            engine,
            streams: Vec::new(),
        }
    }

    /// Passes the state of `part` after the decision to the next command on its stream.
    ///
    /// `previous` is the version before the decision. If the decision has not changed the state, `dependency` is the
    /// earlier append that created it.
    pub fn publish(
        &mut self,
        part: &mut dyn BoundaryPart,
        previous: Version,
        dependency: Dependency,
        permits: &mut StreamPermits<'_>,
    ) {
        let Some(stream) = part.stream().cloned() else {
            return;
        };
        let has_changed = part.version() > previous;
        // The decision was applied from position 0, so this counts the events of the append.
        let offset = part.position().get();
        let snapshot = part.due_snapshot(previous);
        let Some(state) = part.take() else { return };
        let version = state.version;
        let chain = dependency.chain.clone();
        let pipelined = PipelinedState { state, dependency };
        permits.set_pipelined(&stream, Some(pipelined));
        if has_changed {
            self.streams.push(PipelinedStream {
                stream,
                chain,
                version,
                offset,
                snapshot,
            });
        }
    }

    /// Records that the append is stored; `head` is the position before its first event.
    pub fn resolve_stored(mut self, head: Position) {
        let EngineCore { loader, queues, .. } = self.engine;
        for pipelined in self.streams.drain(..) {
            let PipelinedStream {
                stream,
                chain,
                version,
                offset,
                snapshot,
            } = pipelined;
            let position = head.plus(offset);
            if let Some(state) = queues.resolve_stored(&stream, &chain, version, position) {
                loader.cache.put(&stream, state);
            }
            if let Some(snapshot) = snapshot {
                loader.save_snapshot(snapshot.at(position));
            }
        }
    }
}

impl Drop for PipelinedAppend<'_> {
    fn drop(&mut self) {
        for pipelined in self.streams.drain(..) {
            let PipelinedStream { stream, chain, .. } = pipelined;
            self.engine.queues.resolve_failed(&stream, &chain);
            // Other appends of the chain may be stored, so the cached state may be old.
            self.engine.loader.cache.mark_stale(&stream);
        }
    }
}
