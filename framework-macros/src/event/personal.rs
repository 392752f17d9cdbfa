//! `#[personal]` on a field.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Field, Fields, Ident, Lit, Meta, Result};

use super::serde_shape::first;
use crate::attr::{Once, Place};
use crate::errors::Errors;
use crate::field::Spot;

static PLACE: Place = Place {
    name: "personal",
    title: "`#[personal(…)]` on a field",
    keys: &["subject"],
    example: "#[personal(subject = customer)]",
};

/// They change what is written of a field.
const ON_FIELD: &[&str] = &[
    "with",
    "serialize_with",
    "deserialize_with",
    "skip",
    "skip_serializing",
    "skip_deserializing",
];

/// A field that holds personal data.
pub(super) struct Personal {
    pub(super) name: String,
    pub(super) place: Spot,
    pub(super) ty: Span,
    /// Its place among the fields that are written.
    pub(super) written: usize,
    /// The field with the id of the subject; `None`: it is the key of the stream.
    pub(super) subject: Option<Spot>,
}

/// The fields with a `#[personal]`.
pub(super) fn personal(fields: &Fields, errors: &mut Errors) -> Vec<Personal> {
    if !fields.iter().any(is_personal) {
        return Vec::new();
    }
    let flat = fields
        .iter()
        .find_map(|field| first(&field.attrs, &["flatten"]));
    if let Some(flat) = flat {
        let message =
            "beside personal data every field is stored under its own name: remove `flatten`";
        errors.at(flat, message);
    }
    let (mut found, mut written) = (Vec::new(), 0);
    for (index, field) in fields.iter().enumerate() {
        if is_personal(field) {
            found.extend(one(fields, (index, field), written, errors));
        }
        if first(&field.attrs, &["skip", "skip_serializing"]).is_none() {
            written += 1;
        }
    }
    found
}

fn is_personal(field: &Field) -> bool {
    attrs(field).next().is_some()
}

fn attrs(field: &Field) -> impl Iterator<Item = &Attribute> {
    let attrs = field.attrs.iter();
    attrs.filter(|attr| attr.path().is_ident("personal"))
}

fn one(
    fields: &Fields,
    (index, field): (usize, &Field),
    written: usize,
    errors: &mut Errors,
) -> Option<Personal> {
    let subject = subject(field, errors);
    let Some(ident) = &field.ident else {
        errors.at(
            attrs(field).next(),
            "personal data are sealed under the name of their field: give the fields names",
        );
        return None;
    };
    if let Some(tag) = field.attrs.iter().find(|attr| attr.path().is_ident("tag")) {
        let message = "a tag is stored as it is, for everybody to search: remove `#[tag]`, and tag the field \
                       with the id of the subject instead";
        errors.at(tag, message);
    }
    if let Some(key) = first(&field.attrs, ON_FIELD) {
        let message = format!("what is personal must be written as its type is: remove `{key}`");
        errors.at(key, message);
    }
    let member = |ident: &Ident| syn::Member::Named(ident.clone());
    let subject = match subject {
        None => None,
        Some(named) => {
            let mut members = fields.iter().enumerate();
            let found = members.find(|(_, field)| field.ident.as_ref() == Some(&named));
            let Some((place, holder)) = found else {
                let message = format!(
                    "there is no field `{named}` beside it: name the field with the id of the subject, or write \
                     `#[personal]` where that is the key of the stream"
                );
                errors.at(&named, message);
                return None;
            };
            if is_personal(holder) {
                let message =
                    "the id of the subject must stay readable: it cannot be personal data itself";
                errors.at(&named, message);
                return None;
            }
            let mut spot = Spot::new(place, member(&named), holder);
            spot.span = named.span();
            Some(spot)
        }
    };
    Some(Personal {
        name: ident.unraw().to_string(),
        place: Spot::new(index, member(ident), field),
        ty: field.ty.span(),
        written,
        subject,
    })
}

/// The name behind `subject`, if it is given.
fn subject(field: &Field, errors: &mut Errors) -> Option<Ident> {
    let bare = attrs(field).find(|attr| matches!(attr.meta, Meta::Path(_)));
    if let Some(bare) = bare {
        for repeated in attrs(field).filter(|attr| !std::ptr::eq(*attr, bare)) {
            errors.at(
                repeated,
                "one `#[personal]` on a field is enough: remove this one",
            );
        }
        return None;
    }
    let mut subject = Once::default();
    PLACE.read(&field.attrs, errors, |key, input| {
        subject.equals(key, input, name)
    });
    subject.get().cloned()
}

fn name(input: ParseStream<'_>) -> Result<Ident> {
    if input.peek(Lit) {
        let literal: Lit = input.parse()?;
        let message = "write the name of a field here, without quotes";
        return Err(Error::new_spanned(literal, message));
    }
    input.call(Ident::parse_any)
}
