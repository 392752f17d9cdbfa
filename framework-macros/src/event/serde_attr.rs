//! Finds serde attributes, and rejects those that an event cannot have.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, DataEnum, DeriveInput, Ident, Meta};

use crate::attr::skip_argument;
use crate::errors::Errors;

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

/// Returns the first key in `#[serde(…)]` that is one of `searched`.
pub fn find_serde_key(attrs: &[Attribute], searched: &[&str]) -> Option<Ident> {
    let attrs = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    let mut keys = attrs.flat_map(|attr| match &attr.meta {
        Meta::List(list) => list.parse_args_with(parse_keys).unwrap_or_default(),
        // The derives of serde report this error.
        Meta::Path(_) | Meta::NameValue(_) => Vec::new(),
    });
    keys.find(|key| searched.iter().any(|searched| key == searched))
}

fn parse_keys(input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let mut keys = Vec::new();
    while !input.is_empty() {
        keys.push(input.call(Ident::parse_any)?);
        skip_argument(input);
    }
    Ok(keys)
}
