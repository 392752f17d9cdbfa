//! [`Aggregate`]: state that is folded from one stream.

use std::fmt;

use factum_core::snapshot::MAX_SNAPSHOT;
use factum_core::stream_id::{InvalidStreamId, StreamId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::event::Event;
use crate::domain::event_form::EventForm;

/// State that is folded from one stream.
///
/// Derive it, with the [keys of `#[aggregate(…)]`][keys], and implement [`Apply`].
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
///
/// [keys]: https://docs.rs/factum/latest/factum/derive.Aggregate.html
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "not an aggregate",
    note = "write `#[derive(Aggregate, Default, Clone)]` and `#[aggregate(category = \"…\", id = …, event = …)]` on it"
)]
pub trait Aggregate: Apply<Self::Applied> + Default + Clone + Send + Sync + 'static {
    /// The type of its id, whose text is the key of the stream.
    type Id: fmt::Display + Send + Sync;
    /// The type of its events.
    type Event: Event;
    /// The form in which [`Apply`] receives its events: `Self::Event`, or `Recorded<Self::Event>`.
    type Applied: EventForm<Event = Self::Event>;
    /// The category of its streams. It must not contain `-`.
    const CATEGORY: &'static str;
    /// The documentation comment of the type.
    const DOC: &'static str = "";
    /// The policy for snapshots of the state, or `None` for no snapshots.
    const SNAPSHOT: Option<SnapshotPolicy<Self>> = None;

    /// Returns the stream of the aggregate `id`.
    ///
    /// # Errors
    /// Returns [`InvalidStreamId`] if the text of `id` is empty, too long, or contains control characters.
    fn stream(id: &Self::Id) -> Result<StreamId, InvalidStreamId> {
        StreamId::new(Self::CATEGORY, id)
    }
}

/// Changes a state by one event: the function that folds a stream.
///
/// It must be pure and total: no I/O, no clock, no rejection. A stored event is a fact. If the state depends on the
/// position, the time or the metadata of its events, implement it for [`Recorded<E>`](EventForm).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how `{E}` changes it",
    label = "`impl Apply<{E}> for {Self}` is missing",
    note = "write `impl Apply<{E}> for {Self} {{ fn apply(&mut self, event: &{E}) {{ … }} }}`"
)]
pub trait Apply<E> {
    /// Applies `event` to the state.
    fn apply(&mut self, event: &E);
}

/// The default of [`SnapshotPolicy::max_bytes`]: 16 MiB.
const DEFAULT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The policy for snapshots of the state of an aggregate.
#[derive(Debug)]
pub struct SnapshotPolicy<A> {
    /// The number of events between snapshots, at least 1.
    pub every: u64,
    /// The schema version of the state.
    ///
    /// Raise it when the fields change. Earlier snapshots are then ignored.
    pub schema_version: u32,
    /// The maximum size of an encoded state in bytes; a larger state is not saved.
    ///
    /// While a store writes a large snapshot, appends wait: on SQLite all of them, elsewhere those on the same
    /// connection.
    pub max_bytes: usize,
    /// Serializes the state.
    pub encode: fn(&A) -> serde_json::Result<Vec<u8>>,
    /// Deserializes the state.
    pub decode: fn(&[u8]) -> serde_json::Result<A>,
    /// Returns whether two states are equal, or `None` if they cannot be compared.
    pub equals: fn(&A, &A) -> Option<bool>,
}

impl<A> SnapshotPolicy<A> {
    /// Sets the comparison of two states, which [`encode_checked`](Self::encode_checked) uses.
    #[must_use]
    pub const fn equals(mut self, equals: fn(&A, &A) -> Option<bool>) -> Self {
        self.equals = equals;
        self
    }

    /// Serializes the state, and checks that it is the same after it is loaded.
    ///
    /// The engine uses it in builds with debug assertions only, because a snapshot that does not decode is replaced by a
    /// replay.
    ///
    /// # Errors
    /// Returns an error if the state does not serialize, does not decode, or changes.
    pub fn encode_checked(&self, state: &A) -> serde_json::Result<Vec<u8>> {
        let encoded = (self.encode)(state)?;
        let decoded = (self.decode)(&encoded)?;
        match (self.equals)(state, &decoded) {
            Some(false) => Err(serde::ser::Error::custom(
                "the state changes when a snapshot of it is saved and loaded; make `Deserialize` restore every field that \
                 `Serialize` writes or skips",
            )),
            Some(true) | None => Ok(encoded),
        }
    }
}

impl<A: Serialize + DeserializeOwned> SnapshotPolicy<A> {
    /// Returns a policy that saves the state as JSON after every `every` events, up to 16 MiB.
    #[must_use]
    pub const fn json(every: u64, schema_version: u32) -> Self {
        assert!(
            every > 0,
            "invalid number of events between two snapshots: 0; expected at least 1"
        );
        Self {
            every,
            schema_version,
            max_bytes: DEFAULT_MAX_BYTES,
            encode: |state| factum_core::json::to_vec(state),
            decode: |json| serde_json::from_slice(json),
            equals: |_, _| None,
        }
    }

    /// Sets the maximum size of an encoded state in bytes, at most [`MAX_SNAPSHOT`].
    ///
    /// # Panics
    /// If `bytes` is greater than [`MAX_SNAPSHOT`].
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        assert!(
            bytes <= MAX_SNAPSHOT,
            "invalid maximum size of a snapshot; a store accepts at most 67108864 bytes"
        );
        self.max_bytes = bytes;
        self
    }
}
