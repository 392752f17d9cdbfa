//! [`Aggregate`]: state folded from one stream, and the boundary of a rule.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::Event;
use factum_core::stream_id::{InvalidStreamId, StreamId};

/// State folded from one stream.
///
/// Derive it, with the keys of `#[aggregate(…)]`; write [`Apply`] by hand.
///
/// ```
/// use factum::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum LampEvent { Switched { on: bool } }
/// #[derive(Aggregate, Default, Clone)]
/// #[aggregate(category = "lamp", id = u32, event = LampEvent)]
/// struct Lamp { on: bool }
///
/// impl Apply<LampEvent> for Lamp {
///     fn apply(&mut self, event: &LampEvent) {
///         let LampEvent::Switched { on } = event;
///         self.on = *on;
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "not an aggregate",
    note = "write `#[derive(Aggregate, Default, Clone)]` and `#[aggregate(category = \"…\", id = …, event = …)]` on it"
)]
pub trait Aggregate: Apply<Self::Event> + Default + Clone + Send + Sync + 'static {
    /// What tells one from another; its text is the key of the stream.
    type Id: fmt::Display + Send + Sync;
    /// What happens to it.
    type Event: Event;
    /// The category of its streams; holds no `-`.
    const CATEGORY: &'static str;
    /// What it is, in its documentation comment.
    const DOC: &'static str = "";
    /// When and how its state is kept as a snapshot; `None`: never.
    const SNAPSHOT: Option<SnapshotPolicy<Self>> = None;

    /// The stream of the aggregate `id`.
    ///
    /// # Errors
    /// [`InvalidStreamId`] if the text of `id` is empty, too long, or holds control characters.
    fn stream(id: &Self::Id) -> Result<StreamId, InvalidStreamId> {
        StreamId::new(Self::CATEGORY, id)
    }
}

/// How one event changes a state: the function that folds a stream.
///
/// Pure and total: no I/O, no clock, no rejection. What is stored has happened.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how `{E}` changes it",
    label = "`impl Apply<{E}> for {Self}` is missing",
    note = "write `impl Apply<{E}> for {Self} {{ fn apply(&mut self, event: &{E}) {{ … }} }}`"
)]
pub trait Apply<E> {
    /// Takes `event` into the state.
    fn apply(&mut self, event: &E);
}

/// When and how the state of an aggregate is kept as a snapshot.
#[derive(Debug)]
pub struct SnapshotPolicy<A> {
    /// A snapshot is taken whenever the version passes a multiple of this; at least 1.
    pub every: u64,
    /// The version of the state's form: raise it when the fields change, and old snapshots are void.
    pub schema_version: u32,
    pub encode: fn(&A) -> serde_json::Result<Vec<u8>>,
    pub decode: fn(&[u8]) -> serde_json::Result<A>,
}

impl<A: Serialize + DeserializeOwned> SnapshotPolicy<A> {
    /// Snapshots as JSON, every `every` events.
    #[must_use]
    pub const fn json(every: u64, schema_version: u32) -> Self {
        Self {
            every,
            schema_version,
            encode: |state| serde_json::to_vec(state),
            decode: |json| serde_json::from_slice(json),
        }
    }
}
