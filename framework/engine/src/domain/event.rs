//! [`Event`]: immutable facts and their event types.

use std::fmt;

use factum_core::personal::PersonalField;
use factum_core::record::RecordedEvent;
use factum_core::tag::{InvalidTag, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::decoded::Decoded;
use crate::domain::error::DecodeErrorKind;
use crate::domain::upcast::EventUpcaster;

/// An immutable fact.
///
/// Derive it on an enum, or on a struct for a single event type, with the [keys of `#[event(…)]`][keys]. The event
/// types are a contract: the program must be able to decode every type that was ever stored.
///
/// ```
/// use factum::prelude::*;
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(prefix = "account")]
/// enum AccountEvent {
///     Opened { owner: String },          // stored as account.opened
///     #[event(name = "account.paid_in")] // keeps its event type although the variant was renamed
///     Deposited { amount: u64 },
/// }
/// ```
///
/// [keys]: https://docs.rs/factum/latest/factum/derive.Event.html
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "write `#[derive(Event, Serialize, Deserialize)]` on it"
)]
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The event types of this Rust type, in the order of the variants.
    const TYPES: &'static [EventType];

    /// The decoders of legacy events, which are stored but no longer written.
    const LEGACY: &'static [LegacyDecoder<Self>] = &[];

    /// The retired event types: stored events of these types are skipped.
    const RETIRED: &'static [&'static str] = &[];

    /// The path of this Rust type, for errors.
    #[doc(hidden)]
    const RUST_TYPE: &'static str = "an event";

    /// The names under which legacy events are stored.
    #[doc(hidden)]
    const LEGACY_NAMES: &'static [StoredNames] = &[];

    /// The names under which events of this Rust type are stored, which no other type may have.
    #[doc(hidden)]
    const STORED_NAMES: StoredNames = StoredNames {
        rust_type: Self::RUST_TYPE,
        types: Self::TYPES,
        legacy: Self::LEGACY_NAMES,
    };

    /// Returns the index of this event's type in [`Self::TYPES`].
    fn type_index(&self) -> usize;

    /// Returns the tags of this event.
    ///
    /// # Errors
    /// Returns [`InvalidTag`] if the text of a tagged field is not a valid tag.
    fn tags(&self) -> Result<Vec<Tag>, InvalidTag>;

    /// Returns the fields of this event that contain personal data.
    ///
    /// # Errors
    /// Returns an error if a field does not serialize.
    fn personal(&self) -> Result<Vec<PersonalField>, serde_json::Error> {
        Ok(Vec::new())
    }

    /// Serializes the fields of this event as JSON.
    ///
    /// # Errors
    /// Returns an error if a field does not serialize.
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error>;

    /// Deserializes the event with the type `TYPES[index]` from the JSON of its fields.
    ///
    /// # Errors
    /// Returns an error if the JSON does not fit the fields.
    fn from_json(index: usize, json: &[u8]) -> Result<Self, serde_json::Error>;

    /// Returns whether this event equals `other`, or `None` if its type does not implement `PartialEq`.
    #[doc(hidden)]
    fn equals(&self, _other: &Self) -> Option<bool> {
        None
    }

    /// Returns the type of this event.
    fn event_type(&self) -> &'static EventType {
        &Self::TYPES[self.type_index()]
    }
}

/// An event type: its name, its schema version and the upcasters from earlier schema versions.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// The name under which events are stored, for example `account.opened`.
    pub name: &'static str,
    /// The name of the variant of the enum, or of the struct.
    pub variant: &'static str,
    /// Earlier names, which are still decoded.
    pub aliases: &'static [&'static str],
    /// The schema version that this program writes, from 1.
    pub version: u32,
    /// The upcasters: `upcasters[n - 1]` converts version n to n + 1. There are `version - 1`.
    pub upcasters: &'static [EventUpcaster],
    /// The keys of its tags, in the order of the fields.
    pub tags: &'static [&'static str],
    /// The names of the fields with personal data, in their order.
    pub personal: &'static [&'static str],
}

impl EventType {
    /// Returns whether events of this type are, or were, stored under `name`.
    #[must_use]
    pub fn is_stored_as(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// The names under which events of one Rust type are, or were, stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredNames {
    /// The Rust type, for errors.
    pub rust_type: &'static str,
    /// The current event types.
    pub types: &'static [EventType],
    /// The legacy types.
    pub legacy: &'static [Self],
}

/// A type listed in `#[event(legacy = […])]`, as an entry of [`Event::LEGACY`].
pub struct LegacyDecoder<E> {
    /// The names under which events of the legacy type are stored.
    #[doc(hidden)]
    pub stored_names: StoredNames,
    /// Returns the event types of the legacy type, aliases included.
    #[doc(hidden)]
    pub names: fn() -> Vec<&'static str>,
    /// Returns whether the legacy type decodes the event type in that schema version.
    #[doc(hidden)]
    pub accepts: fn(&str, u32) -> bool,
    /// Decodes a record into current events.
    #[doc(hidden)]
    pub decode: fn(&RecordedEvent) -> Result<Decoded<E>, DecodeErrorKind>,
}

impl<E> fmt::Debug for LegacyDecoder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((self.names)()).finish()
    }
}

/// Returns whether `name` is a current, aliased or legacy event type of `E`.
#[doc(hidden)]
#[must_use]
pub fn has_name<E: Event>(name: &str) -> bool {
    E::TYPES.iter().any(|kind| kind.is_stored_as(name))
        || (E::LEGACY.iter()).any(|legacy| (legacy.names)().contains(&name))
}
