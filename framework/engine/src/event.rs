//! [`Event`]: immutable facts and their stored names.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::legacy::LegacyDecoder;
use crate::upcast::Upcaster;
use factum_core::personal::PersonalField;
use factum_core::tag::{InvalidTag, Tag};

/// An immutable fact. Its stored names are contracts with the events already stored.
///
/// Derive it on an enum, or on a struct for a single fact, with the keys of `#[event(…)]`.
///
/// ```
/// use factum::prelude::*;
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(prefix = "account")]
/// enum AccountEvent {
///     Opened { owner: String },          // stored as account.opened
///     #[event(name = "account.paid_in")] // where the Rust name has changed since
///     Deposited { amount: u64 },
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "write `#[derive(Event, Serialize, Deserialize)]` on it"
)]
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Every kind of event in this type, in the order of the variants.
    const TYPES: &'static [EventType];

    /// The types that hold what was stored once and is not stored any more.
    const LEGACY: &'static [LegacyDecoder<Self>] = &[];

    /// The stored names of events that are skipped wherever they are met, because nobody needs them any more.
    const RETIRED: &'static [&'static str] = &[];

    /// Which of [`Self::TYPES`] this event is.
    fn type_index(&self) -> usize;

    /// The tags of this event.
    ///
    /// # Errors
    /// [`InvalidTag`] if a tagged field's text breaks the rules of a tag.
    fn tags(&self) -> Result<Vec<Tag>, InvalidTag>;

    /// The personal data in this event.
    ///
    /// # Errors
    /// What the `Serialize` of a field says.
    fn personal(&self) -> Result<Vec<PersonalField>, serde_json::Error> {
        Ok(Vec::new())
    }

    /// The stored form of the fields, as JSON.
    ///
    /// # Errors
    /// What the `Serialize` of the type or of a field says.
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error>;

    /// The event of type `index` from the stored form of its fields.
    ///
    /// # Errors
    /// What the `Deserialize` of the type or of a field says.
    fn from_json(index: usize, json: &[u8]) -> Result<Self, serde_json::Error>;

    /// The kind of this event.
    fn event_type(&self) -> &'static EventType {
        &Self::TYPES[self.type_index()]
    }
}

/// One kind of event: its stored name, the version of its stored form, and the way up from older forms.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// The stored name, e.g. `account.opened`.
    pub name: &'static str,
    /// The names under which it was stored before; they are read as ever.
    pub aliases: &'static [&'static str],
    /// The version of the stored form that this code writes, from 1.
    pub version: u32,
    /// `upcasters[n - 1]` turns version n into n + 1; there are `version - 1`.
    pub upcasters: &'static [Upcaster],
    /// The keys of its tags, in the order of the fields.
    pub tags: &'static [&'static str],
    /// The names of its fields with personal data, in their order.
    pub personal: &'static [&'static str],
}

impl EventType {
    /// Whether this kind of event is or was stored under `name`.
    #[must_use]
    pub fn is_stored_as(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}
