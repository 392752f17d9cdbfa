//! [`PersonalField`]: what an event on its way into a store says of its personal data.

use std::fmt;

use serde::Serialize;

use super::Redacted;
use crate::codec;

/// A field of an event that is personal data, found by the derive when the event is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalField {
    /// The key of the field in the stored JSON.
    pub field: &'static str,
    /// Whose data it is.
    pub subject: Subject,
    /// What it reads as once the subject was forgotten, as JSON.
    pub redacted: String,
}

/// Whose data a personal field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Of whom the stream is about: the key of the stream is the subject's id.
    Stream,
    /// Of the subject with this id.
    Id(String),
}

/// What the derive knows of a personal field: its place among the fields that are written, and the rest of the mark.
#[doc(hidden)]
#[derive(Debug)]
pub struct Mark(usize, Subject, String);

/// The subject with this id.
#[doc(hidden)]
pub fn subject(id: impl fmt::Display) -> Subject {
    Subject::Id(id.to_string())
}

/// The mark of a field with the value `_value`.
///
/// # Errors
/// What the `Serialize` of the redacted value says.
#[doc(hidden)]
pub fn mark<T: Redacted + Serialize>(
    place: usize,
    subject: Subject,
    _value: &T,
) -> Result<Mark, serde_json::Error> {
    let redacted = serde_json::to_string(&T::redacted())?;
    Ok(Mark(place, subject, redacted))
}

/// The marked fields of `event` under the keys that serde writes. A field that is not written now is left out.
///
/// # Errors
/// If `event` is not written as a list of named fields.
#[doc(hidden)]
pub fn marked<T: Serialize>(
    event: &T,
    marks: Vec<Mark>,
) -> Result<Vec<PersonalField>, serde_json::Error> {
    let keys = codec::keys(event)?;
    let found = marks
        .into_iter()
        .filter_map(|Mark(place, subject, redacted)| {
            let field = keys.get(place).copied().flatten()?;
            Some(PersonalField {
                field,
                subject,
                redacted,
            })
        });
    Ok(found.collect())
}
