//! The content of a command, which an idempotency key compares.
//!
//! Two commands have the same content if they mean the same, in whatever order their fields, maps and sets are
//! serialized. `None` in a field of a struct is the same as a missing field. The derive leaves out more fields: those with
//! `#[fingerprint(skip)]`, and those with `#[serde(default)]` that have their default value.

mod canonical;
mod omitted_fields;

use serde::Serialize;

pub use canonical::{CanonicalError, canonical_bytes, canonical_fields};
pub use omitted_fields::OmittedFields;

/// Returns whether `value` has the same content as `default`.
///
/// A value that cannot be serialized has other content.
pub fn is_default<T: Serialize + ?Sized>(value: &T, default: &T) -> bool {
    match (canonical_bytes(value), canonical_bytes(default)) {
        (Ok(value), Ok(default)) => value == default,
        _ => false,
    }
}

/// Returns the fields that are left out.
///
/// These are the fields at the indexes `skipped`, and those in `defaults` that have their default value. `of` is the number of fields that serde serializes.
pub fn omitted_fields(of: usize, skipped: &[usize], defaults: &[(usize, bool)]) -> OmittedFields {
    let defaults = defaults.iter().filter(|(_, is_default)| *is_default);
    let indexes = skipped
        .iter()
        .copied()
        .chain(defaults.map(|(index, _)| *index));
    OmittedFields {
        of,
        indexes: indexes.collect(),
    }
}
