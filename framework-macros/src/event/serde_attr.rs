//! Rejects serde attributes that an event cannot have.

use syn::{DataEnum, DeriveInput};

use crate::errors::Errors;
use crate::serde_keys::find_serde_key;

/// The keys that change the representation of an enum.
const ON_ENUM: &[&str] = &[
    "tag",
    "content",
    "untagged",
    "from",
    "try_from",
    "into",
    "remote",
    "transparent",
    "variant_identifier",
    "field_identifier",
];

/// The keys that change the index of variants, or the representation of one variant.
const ON_VARIANT: &[&str] = &[
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "other",
    "untagged",
];

/// Checks that serde represents each variant of an event enum by its index and its fields.
pub fn check_serde_attributes(input: &DeriveInput, data: &DataEnum, errors: &mut Errors) {
    if let Some(key) = find_serde_key(&input.attrs, ON_ENUM) {
        let message = format!(
            "an event enum must have serde's default representation, because the event type is stored apart from \
             the fields; remove `{key}`"
        );
        errors.push_at(&key, message);
    }
    for variant in &data.variants {
        if let Some(key) = find_serde_key(&variant.attrs, ON_VARIANT) {
            let message = format!(
                "every variant of an event is stored and loaded under its own event type; remove `{key}`"
            );
            errors.push_at(&key, message);
        }
    }
}
