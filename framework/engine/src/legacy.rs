//! [`LegacyEvent`]: events as they were stored once, and what they are today.

use std::fmt;

use crate::codec::{self, Decoded};
use crate::error::DecodeErrorKind;
use crate::event::Event;
use crate::event_set::{EventSet, has_name};
use crate::events::Events;
use crate::record::RecordedEvent;
use crate::upcast::UpcastError;

/// An event as it was stored once, in a type of its own, and which of today's events it stands for: one, several, or none.
///
/// It is named in `#[event(legacy = [...])]` of today's type. Several events of one stored event have its position
/// and version: an aggregate applies them all, and a projection takes them all in one step.
///
/// ```
/// use factum::prelude::*;
/// use factum::{LegacyEvent, UpcastError, upcast_legacy};
///
/// #[derive(Event, Debug, PartialEq, Serialize, Deserialize)]
/// #[event(prefix = "account", legacy = [OpenedWith], retired = ["account.nudged"])]
/// enum AccountEvent {
///     #[event(version = 2, upcast = upcast_legacy)]
///     Opened { owner: String },
///     Deposited { amount: u64 },
/// }
///
/// /// `account.opened` as it was: with the first deposit.
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(name = "account.opened")]
/// struct OpenedWith { owner: String, deposit: u64 }
///
/// impl LegacyEvent<AccountEvent> for OpenedWith {
///     fn into_current(self) -> Result<Events<AccountEvent>, UpcastError> {
///         let opened = AccountEvent::Opened { owner: self.owner };
///         Ok([opened, AccountEvent::Deposited { amount: self.deposit }].into())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which `{E}` it stands for",
    label = "`impl LegacyEvent<{E}> for {Self}` is missing",
    note = "write `impl LegacyEvent<{E}> for {Self} {{ fn into_current(self) -> Result<Events<{E}>, UpcastError> {{ … }} }}`"
)]
pub trait LegacyEvent<E>: Event {
    /// What it stands for. Pure, as every upcaster.
    ///
    /// # Errors
    /// [`UpcastError`] if it stands for nothing that is known: it cannot be decoded then, and is not skipped.
    fn into_current(self) -> Result<Events<E>, UpcastError>;
}

/// A type in `legacy`, as the derive names it.
pub struct LegacyDecoder<E> {
    pub names: fn() -> Vec<&'static str>,
    pub takes: fn(&str, u32) -> bool,
    pub decode: fn(&RecordedEvent) -> Result<Decoded<E>, DecodeErrorKind>,
}

impl<E: Event> LegacyDecoder<E> {
    /// The type `O`.
    #[must_use]
    pub const fn of<O: LegacyEvent<E>>() -> Self {
        Self {
            names: <O as EventSet>::names,
            takes: takes::<O>,
            decode: decode::<O, E>,
        }
    }
}

impl<E> fmt::Debug for LegacyDecoder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((self.names)()).finish()
    }
}

/// Whether `O` knows what was stored under `name` in this version.
fn takes<O: Event>(name: &str, version: u32) -> bool {
    let kind = O::TYPES.iter().find(|kind| kind.is_stored_as(name));
    match kind {
        Some(kind) => version <= kind.version,
        None => has_name::<O>(name) || O::RETIRED.contains(&name),
    }
}

fn decode<O: LegacyEvent<E>, E: Event>(
    record: &RecordedEvent,
) -> Result<Decoded<E>, DecodeErrorKind> {
    let mut events = Vec::new();
    for old in codec::forms::<O>(record)? {
        events.extend(old.into_current().map_err(DecodeErrorKind::Upcast)?);
    }
    Ok(Decoded::several(events))
}
