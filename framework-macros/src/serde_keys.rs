//! Finds the keys of serde attributes that the derives depend on.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, Ident, LitStr, Meta, Path, Token};

use crate::attr::skip_argument;

/// The default of a missing field: a function, or `Default` of the type.
pub enum SerdeDefault {
    Trait,
    Function(Path),
}

struct SerdeKey {
    name: Ident,
    value: Option<LitStr>,
}

/// Returns the first key in `#[serde(…)]` that is one of `searched`.
pub fn find_serde_key(attrs: &[Attribute], searched: &[&str]) -> Option<Ident> {
    let mut keys = serde_keys(attrs).map(|key| key.name);
    keys.find(|key| searched.iter().any(|searched| key == searched))
}

/// Returns the value of `#[serde(default)]`, if there is one that serde accepts.
pub fn serde_default(attrs: &[Attribute]) -> Option<SerdeDefault> {
    let key = serde_keys(attrs).find(|key| key.name == "default")?;
    match key.value {
        None => Some(SerdeDefault::Trait),
        Some(function) => function.parse().ok().map(SerdeDefault::Function),
    }
}

fn serde_keys(attrs: &[Attribute]) -> impl Iterator<Item = SerdeKey> {
    let attrs = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    attrs.flat_map(|attr| match &attr.meta {
        Meta::List(list) => list.parse_args_with(parse_keys).unwrap_or_default(),
        // The derives of serde report this error.
        Meta::Path(_) | Meta::NameValue(_) => Vec::new(),
    })
}

fn parse_keys(input: ParseStream<'_>) -> syn::Result<Vec<SerdeKey>> {
    let mut keys = Vec::new();
    while !input.is_empty() {
        let name = input.call(Ident::parse_any)?;
        let has_text = input.peek(Token![=]) && input.peek2(LitStr);
        let value = match has_text {
            true => {
                input.parse::<Token![=]>()?;
                Some(input.parse()?)
            }
            false => None,
        };
        keys.push(SerdeKey { name, value });
        skip_argument(input);
    }
    Ok(keys)
}
