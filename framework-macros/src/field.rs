//! `#[id]` and `#[tag]` on a field.

use std::collections::BTreeMap;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Field, Fields, Ident, LitStr, Member, Meta, Result};

use crate::errors::Errors;
use crate::naming::tag_key_fault;
use crate::value::check;

/// A field that carries a tag.
pub(crate) struct Tagged {
    pub(crate) key: String,
    pub(crate) place: Spot,
    /// The attribute, for messages.
    pub(crate) attr: Attribute,
}

/// Where a field stands: errors about what is generated from it land there.
pub(crate) struct Spot {
    member: Member,
    index: usize,
    pub(crate) span: Span,
}

impl Spot {
    pub(crate) fn new(index: usize, member: Member, field: &Field) -> Self {
        let span = field
            .ident
            .as_ref()
            .map_or_else(|| field.ty.span(), Spanned::span);
        Self {
            member,
            index,
            span,
        }
    }

    /// The name of the field behind [`pattern`].
    pub(crate) fn binding(&self) -> Ident {
        format_ident!("field_{}", self.index, span = self.span)
    }
}

/// `path { field: binding, .. }`
pub(crate) fn pattern<'a>(
    path: &TokenStream,
    spots: impl Iterator<Item = &'a Spot>,
) -> TokenStream {
    let spots: BTreeMap<_, _> = spots.map(|spot| (spot.index, spot)).collect();
    let fields = spots.values().map(|spot| {
        let (member, binding) = (&spot.member, spot.binding());
        quote!(#member: #binding,)
    });
    quote!(#path { #(#fields)* .. })
}

/// The fields with a `#[tag]`.
pub(crate) fn tagged(fields: &Fields, errors: &mut Errors) -> Vec<Tagged> {
    let mut found = Vec::new();
    for (index, (member, field)) in fields.members().zip(fields).enumerate() {
        let mut attrs = named(&field.attrs, "tag");
        let Some(attr) = attrs.next() else { continue };
        match key(attr, field) {
            Ok(key) => {
                let place = Spot::new(index, member, field);
                found.push(Tagged {
                    key,
                    place,
                    attr: attr.clone(),
                });
            }
            Err(error) => errors.push(error),
        }
        for repeated in attrs {
            errors.at(repeated, "a field carries one tag: remove this one");
        }
    }
    found
}

fn key(attr: &Attribute, field: &Field) -> Result<String> {
    match (&attr.meta, &field.ident) {
        (Meta::Path(_), Some(ident)) => Ok(ident.unraw().to_string()),
        (Meta::Path(path), None) => {
            let message = "a field without a name needs the key of its tag: `#[tag(\"course\")]`";
            Err(Error::new_spanned(path, message))
        }
        (Meta::List(list), _) => {
            let key: LitStr = list.parse_args().map_err(|error| {
                Error::new(error.span(), "write `#[tag]` or `#[tag(\"course\")]`")
            })?;
            check(&key, "the key of a tag", tag_key_fault)?;
            Ok(key.value())
        }
        (Meta::NameValue(meta), _) => Err(Error::new_spanned(
            meta,
            "write `#[tag]` or `#[tag(\"course\")]`",
        )),
    }
}

/// A field with an `#[id]`.
pub(crate) struct Identified {
    pub(crate) place: Spot,
    /// The attribute, for messages.
    pub(crate) attr: Attribute,
}

/// The fields with an `#[id]`.
pub(crate) fn identified(fields: &Fields, errors: &mut Errors) -> Vec<Identified> {
    let mut found = Vec::new();
    for (index, (member, field)) in fields.members().zip(fields).enumerate() {
        let mut attrs = named(&field.attrs, "id");
        let Some(attr) = attrs.next() else { continue };
        if !matches!(attr.meta, Meta::Path(_)) {
            errors.at(&attr.meta, "`id` takes nothing here: write `#[id]`");
        }
        found.push(Identified {
            place: Spot::new(index, member, field),
            attr: attr.clone(),
        });
        for repeated in attrs {
            errors.at(
                repeated,
                "one `#[id]` on a field is enough: remove this one",
            );
        }
    }
    found
}

fn named<'a>(attrs: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a Attribute> {
    attrs.iter().filter(move |attr| attr.path().is_ident(name))
}
