//! [`Redacted`]: the value of an erased field; and how the derive marks fields with personal data.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hash};

use serde::Serialize;

use crate::codec;

pub use factum_core::personal::{PersonalField, Subject};

/// What a value of this type reads as once its subject was forgotten: `"[redacted]"` for a text, `None` for an
/// option, nothing for a collection. It must not depend on the value.
///
/// A number, a date or a flag has no value that means nothing: such a field is an `Option`, or a type of its own.
///
/// ```
/// use factum::privacy::Redacted;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Address { street: String, country: Option<String> }
///
/// impl Redacted for Address {
///     fn redacted() -> Self {
///         Self { street: Redacted::redacted(), country: None }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it reads as once its subject was forgotten",
    label = "personal, and not `Redacted`",
    note = "make the field an `Option<{Self}>`, which then reads as `None`",
    note = "or, for a type of your own, write `impl Redacted for {Self}`"
)]
pub trait Redacted {
    /// What is left to read.
    fn redacted() -> Self;
}

impl Redacted for String {
    fn redacted() -> Self {
        "[redacted]".to_owned()
    }
}

impl<T> Redacted for Option<T> {
    fn redacted() -> Self {
        None
    }
}

impl<T> Redacted for Vec<T> {
    fn redacted() -> Self {
        Self::new()
    }
}

impl<T: Redacted> Redacted for Box<T> {
    fn redacted() -> Self {
        Self::new(T::redacted())
    }
}

impl<K: Ord, V> Redacted for BTreeMap<K, V> {
    fn redacted() -> Self {
        Self::new()
    }
}

impl<T: Ord> Redacted for BTreeSet<T> {
    fn redacted() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> Redacted for HashMap<K, V, S> {
    fn redacted() -> Self {
        Self::default()
    }
}

impl<T: Eq + Hash, S: BuildHasher + Default> Redacted for HashSet<T, S> {
    fn redacted() -> Self {
        Self::default()
    }
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
