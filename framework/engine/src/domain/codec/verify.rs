//! The check that an encoded event can be read back, before it is stored.

use factum_core::personal::JsonObject;
use factum_core::record::NewEvent;

use crate::domain::event::Event;

/// The reason why an event would be stored, but could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The stored JSON does not decode.
    #[error(
        "the event would be stored, but could not be read: {0}; make `Deserialize` accept the output of `Serialize`"
    )]
    Decode(serde_json::Error),
    /// The decoded event differs from the original.
    #[error(
        "the event changes when it is stored and read; make `Deserialize` restore every field that `Serialize` writes or skips"
    )]
    Changed,
    /// The event does not decode after its data subject is erased.
    #[error(
        "the event could not be read after its data subject is erased: {0}; make the field accept its redacted value"
    )]
    Redacted(serde_json::Error),
}

/// Checks that `encoded` decodes to an event that equals `event`.
///
/// With its personal fields redacted, it must decode, too.
pub fn verify<E: Event>(event: &E, encoded: &NewEvent) -> Result<(), Unreadable> {
    let index = event.type_index();
    let decoded = E::from_json(index, &encoded.data).map_err(Unreadable::Decode)?;
    if event.equals(&decoded) == Some(false) {
        return Err(Unreadable::Changed);
    }
    if encoded.personal.is_empty() {
        return Ok(());
    }
    let redacted = redact(encoded).map_err(Unreadable::Redacted)?;
    E::from_json(index, &redacted).map_err(Unreadable::Redacted)?;
    Ok(())
}

/// Returns the data of `encoded` with all personal fields redacted.
fn redact(encoded: &NewEvent) -> Result<Vec<u8>, serde_json::Error> {
    let mut object: JsonObject = serde_json::from_slice(&encoded.data)?;
    for personal in &encoded.personal {
        let mut fields = object.0.iter_mut();
        if let Some((_, value)) = fields.find(|(key, _)| key == personal.field) {
            *value = serde_json::value::RawValue::from_string(personal.redacted.clone())?;
        }
    }
    serde_json::to_vec(&object)
}

/// Two values that a derive compares if their type implements `PartialEq`.
///
/// The compiler prefers [`ViaPartialEq`], which needs one reference less than [`ViaNothing`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Compared<'e, E>(pub &'e E, pub &'e E);

/// The comparison of values whose type implements `PartialEq`.
#[doc(hidden)]
pub trait ViaPartialEq {
    /// Returns whether the values are equal.
    fn compare(&self) -> Option<bool>;
}

/// The comparison of values of another type.
#[doc(hidden)]
pub trait ViaNothing {
    /// Returns `None`, because the values cannot be compared.
    fn compare(&self) -> Option<bool>;
}

impl<E: PartialEq> ViaPartialEq for Compared<'_, E> {
    fn compare(&self) -> Option<bool> {
        Some(self.0 == self.1)
    }
}

impl<E> ViaNothing for &Compared<'_, E> {
    fn compare(&self) -> Option<bool> {
        None
    }
}
