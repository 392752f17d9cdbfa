//! [`Redacted`]: what is left to read of a value whose subject was forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

/// What a value of this type reads as once its subject was forgotten: `"[redacted]"` for a text, `None` for an
/// option, nothing for a collection. It must not depend on the value.
///
/// A number, a date or a flag has no value that means nothing: such a field is an `Option`, or a type of its own.
///
/// ```
/// use factum::personal::Redacted;
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
