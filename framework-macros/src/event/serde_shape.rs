//! Which of serde's attributes an event enum cannot bear.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, DataEnum, DeriveInput, Ident, Meta};

use crate::attr::skip_entry;
use crate::errors::Errors;

/// They change what stands for the whole enum.
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

/// They take a variant out of the numbering, or out of the shape of the others.
const ON_VARIANT: &[&str] = &[
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "other",
    "untagged",
];

/// Rejects attributes under which a variant is not its fields alone.
pub(super) fn check(input: &DeriveInput, data: &DataEnum, errors: &mut Errors) {
    if let Some(key) = first(&input.attrs, ON_ENUM) {
        errors.at(
            &key,
            format!(
                "the fields of an event are stored under its stored name, so the enum needs serde's \
                 default shape: remove `{key}`"
            ),
        );
    }
    for variant in &data.variants {
        if let Some(key) = first(&variant.attrs, ON_VARIANT) {
            let message = format!(
                "every kind of event is written and read under its stored name: remove `{key}`"
            );
            errors.at(&key, message);
        }
    }
}

/// The first of serde's keys in `attrs` that is one of `rejected`.
pub(super) fn first(attrs: &[Attribute], rejected: &[&str]) -> Option<Ident> {
    let lists = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    let mut keys = lists.flat_map(|attr| match &attr.meta {
        Meta::List(list) => list.parse_args_with(keys).unwrap_or_default(),
        // Not serde's grammar; its own derive says so.
        Meta::Path(_) | Meta::NameValue(_) => Vec::new(),
    });
    keys.find(|key| rejected.iter().any(|rejected| key == rejected))
}

fn keys(input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let mut keys = Vec::new();
    while !input.is_empty() {
        keys.push(input.call(Ident::parse_any)?);
        skip_entry(input);
    }
    Ok(keys)
}
