//! [`LegacyEvent`]: earlier shapes of events, and their conversion into current events.

use factum_core::record::RecordedEvent;

use crate::domain::codec;
use crate::domain::decoded::Decoded;
use crate::domain::error::DecodeErrorKind;
use crate::domain::event::{Event, has_name};
use crate::domain::event_form::EventForm;
use crate::domain::event_set::EventSet;
use crate::domain::events::Events;
use crate::domain::upcast::UpcastError;

pub use crate::domain::event::LegacyDecoder;

/// An event in an earlier shape that becomes one, several or no current events.
///
/// It has a separate Rust type. List it in `#[event(legacy = [...])]` of the current type. If one stored event becomes
/// several, all of them have its position and version: an aggregate applies all of them, and a projection handles all
/// of them in one step.
///
/// If the conversion needs the position, the time or the metadata of the event, list `Recorded<Old>`, and implement the
/// trait for this type.
///
/// ```
/// use factum::prelude::*;
/// use factum::event::{LegacyEvent, UpcastError, upcast_legacy};
///
/// #[derive(Event, Debug, PartialEq, Serialize, Deserialize)]
/// #[event(prefix = "account", legacy = [OpenedWith], retired = ["account.nudged"])]
/// enum AccountEvent {
///     #[event(version = 2, upcast = upcast_legacy)]
///     Opened { owner: String },
///     Deposited { amount: u64 },
/// }
///
/// /// `account.opened` in version 1 contained the first deposit.
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
    message = "`{Self}` has no conversion into the current events of `{E}`",
    label = "`impl LegacyEvent<{E}> for {Self}` is missing",
    note = "write `impl LegacyEvent<{E}> for {Self} {{ fn into_current(self) -> Result<Events<{E}>, UpcastError> {{ … }} }}`"
)]
pub trait LegacyEvent<E>: EventForm {
    /// Converts the event into current events. Must be pure, like every upcaster.
    ///
    /// # Errors
    /// Returns [`UpcastError`] if the event cannot be converted. Decoding then fails; the event is not skipped.
    fn into_current(self) -> Result<Events<E>, UpcastError>;
}

impl<E: Event> LegacyDecoder<E> {
    /// Returns the decoder of the legacy type `L`.
    #[must_use]
    pub const fn of<L: LegacyEvent<E>>() -> Self {
        Self {
            stored_names: <L::Event as Event>::STORED_NAMES,
            names: <L as EventSet>::names,
            accepts: accepts::<L::Event>,
            decode: decode::<L, E>,
        }
    }
}

/// Returns whether `L` decodes events of the type `name` in this schema version.
fn accepts<L: Event>(name: &str, version: u32) -> bool {
    let kind = L::TYPES.iter().find(|kind| kind.is_stored_as(name));
    match kind {
        Some(kind) => version <= kind.version,
        None => has_name::<L>(name) || L::RETIRED.contains(&name),
    }
}

fn decode<L: LegacyEvent<E>, E: Event>(
    record: &RecordedEvent,
) -> Result<Decoded<E>, DecodeErrorKind> {
    let mut events = Vec::new();
    for legacy in codec::try_decode::<L::Event>(record)? {
        let legacy = L::stored(legacy, record);
        events.extend(legacy.into_current().map_err(DecodeErrorKind::Upcast)?);
    }
    Ok(Decoded::several(events))
}
