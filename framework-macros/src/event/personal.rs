//! `#[personal]` on a field.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Field, Fields, Ident, Lit, Meta, Result};

use super::Model;
use super::serde_shape::first;
use crate::attr::{Once, Place};
use crate::errors::Errors;
use crate::field::{Spot, pattern};
use crate::item::Item;

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
    place: Spot,
    ty: Span,
    /// Its place among the fields that are written.
    written: usize,
    /// The field with the id of the subject; `None`: it is the key of the stream.
    subject: Option<Spot>,
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

/// The function `personal` of the impl, if there is any personal data.
pub(super) fn function(item: &Item<'_>, model: &Model<'_>) -> Option<TokenStream> {
    if model.kinds.iter().all(|kind| kind.personal.is_empty()) {
        return None;
    }
    let (factum, ok) = (&item.factum, quote!(::core::result::Result::Ok));
    let private = quote!(#factum::__private);
    let with = model.kinds.iter().filter(|kind| !kind.personal.is_empty());
    let arms = with.map(|kind| {
        let fields = kind.personal.iter();
        let spots = fields.flat_map(|field| [Some(&field.place), field.subject.as_ref()]);
        let pattern = pattern(&super::expand::path(model, kind), spots.flatten());
        let marks = kind.personal.iter().map(|field| mark(item, field));
        quote!(#pattern => ::std::vec![#(#marks),*],)
    });
    let without = model.kinds.iter().any(|kind| kind.personal.is_empty());
    let rest = without.then(|| quote!(_ => return #ok(::std::vec::Vec::new()),));
    let result = quote! {
        ::core::result::Result<::std::vec::Vec<#private::PersonalField>, #private::serde_json::Error>
    };
    Some(quote! {
        fn personal(&self) -> #result {
            fn marked<E: #factum::Event>(event: &E, marks: ::std::vec::Vec<#private::Mark>) -> #result {
                #private::marked(event, marks)
            }
            marked(self, match self { #(#arms)* #rest })
        }
    })
}

fn mark(item: &Item<'_>, field: &Personal) -> TokenStream {
    let factum = &item.factum;
    let subject = match &field.subject {
        None => quote!(#factum::__private::Subject::Stream),
        Some(spot) => {
            let (id, factum) = (spot.binding(), item.factum_at(spot.span));
            quote_spanned!(spot.span=> #factum::__private::subject(#id))
        }
    };
    let (written, span) = (field.written, field.ty);
    let mut value = field.place.binding();
    value.set_span(span.resolved_at(value.span()));
    let factum = item.factum_at(span);
    quote_spanned!(span=> #factum::__private::mark(#written, #subject, #value)?)
}
