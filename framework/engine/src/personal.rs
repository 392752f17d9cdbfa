//! [`Redacted`]: the value of an erased field; and the personal fields of an event that the derive collects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hash};

use serde::Serialize;

use crate::codec;

pub use factum_core::personal::{PersonalField, Subject};

/// A type with a value that replaces personal data of an erased subject.
///
/// The value is `"[redacted]"` for a text, `None` for an option, and empty for a collection. It must not depend on the
/// original value.
///
/// Numbers, dates and flags do not implement the trait, because every value of them has a meaning. Make such a field an
/// `Option`, or implement the trait for a separate type:
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
    message = "`{Self}` has no redacted value, so it cannot be the type of a personal field",
    label = "does not implement `Redacted`",
    note = "make the field an `Option<{Self}>`, whose redacted value is `None`",
    note = "for a type of your own, write `impl Redacted for {Self}`"
)]
pub trait Redacted {
    /// Returns the value that readers get after the subject is erased.
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

/// A personal field before its JSON key is known.
#[doc(hidden)]
#[derive(Debug)]
pub struct IndexedPersonalField {
    /// The index of the field among the fields that serde serializes.
    index: usize,
    subject: Subject,
    redacted: String,
}

/// Returns the data subject with this id.
#[doc(hidden)]
pub fn subject(id: impl fmt::Display) -> Subject {
    Subject::Id(id.to_string())
}

/// Creates a personal field; `_value` only determines its type.
///
/// # Errors
/// Returns the error of serializing the redacted value.
#[doc(hidden)]
pub fn personal_field<T: Redacted + Serialize>(
    index: usize,
    subject: Subject,
    _value: &T,
) -> Result<IndexedPersonalField, serde_json::Error> {
    let redacted = factum_core::json::to_string(&T::redacted())?;
    Ok(IndexedPersonalField {
        index,
        subject,
        redacted,
    })
}

/// Returns the personal fields of `event` with their JSON keys, without fields that are not serialized.
///
/// # Errors
/// Returns an error if `event` does not serialize as named fields.
#[doc(hidden)]
pub fn personal_fields<T: Serialize>(
    event: &T,
    fields: Vec<IndexedPersonalField>,
) -> Result<Vec<PersonalField>, serde_json::Error> {
    let keys = codec::keys(event)?;
    let serialized = fields.into_iter().filter_map(|field| {
        Some(PersonalField {
            field: keys.get(field.index).copied().flatten()?,
            subject: field.subject,
            redacted: field.redacted,
        })
    });
    Ok(serialized.collect())
}
