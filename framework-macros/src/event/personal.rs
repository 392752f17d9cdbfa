//! [`PersonalFieldModel`]: a field with `#[personal]`, validated.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Field, Fields, Ident, Member, Meta, Result};

use crate::attr::{AttrArg, AttrSpec};
use crate::errors::Errors;
use crate::field::FieldBinding;
use crate::parse::check_unquoted;
use crate::serde_keys::find_serde_key;

static ON_FIELD: AttrSpec = AttrSpec {
    name: "personal",
    title: "`#[personal(…)]` on a field",
    keys: &["subject"],
    example: "#[personal(subject = customer)]",
};

/// The serde attributes that change the serialized value of a field.
const SERDE_KEYS: &[&str] = &[
    "with",
    "serialize_with",
    "deserialize_with",
    "skip",
    "skip_serializing",
    "skip_deserializing",
];

/// A field that holds personal data.
pub struct PersonalFieldModel {
    pub name: String,
    pub binding: FieldBinding,
    pub ty_span: Span,
    /// The index of the field among those that serde serializes.
    pub serialized_index: usize,
    /// The field with the id of the data subject; if `None`, the id is the key of the stream.
    pub subject: Option<FieldBinding>,
}

/// Returns the fields with `#[personal]`.
pub fn personal_fields(fields: &Fields, errors: &mut Errors) -> Vec<PersonalFieldModel> {
    if !fields.iter().any(is_personal) {
        return Vec::new();
    }
    let flatten = fields
        .iter()
        .find_map(|field| find_serde_key(&field.attrs, &["flatten"]));
    if let Some(flatten) = flatten {
        let message = "an event with personal data cannot have a flattened field: personal data is encrypted under \
                       the name of its field; remove `flatten`";
        errors.push_at(flatten, message);
    }
    let personal = fields.iter().enumerate();
    let personal = personal.filter(|(_, field)| is_personal(field));
    personal
        .filter_map(|(index, _)| personal_field(fields, index, errors))
        .collect()
}

fn is_personal(field: &Field) -> bool {
    personal_attrs(field).next().is_some()
}

fn personal_attrs(field: &Field) -> impl Iterator<Item = &Attribute> {
    let attrs = field.attrs.iter();
    attrs.filter(|attr| attr.path().is_ident("personal"))
}

fn personal_field(
    fields: &Fields,
    index: usize,
    errors: &mut Errors,
) -> Option<PersonalFieldModel> {
    let field = fields.iter().nth(index)?;
    let subject = subject_name(field, errors);
    let Some(ident) = &field.ident else {
        let message = "a personal field must have a name, because personal data is encrypted under that name; use \
                       named fields";
        errors.push_at(personal_attrs(field).next(), message);
        return None;
    };
    check_other_attributes(field, errors);
    let subject = match subject {
        None => None,
        Some(name) => Some(subject_field(fields, &name, errors)?),
    };
    Some(PersonalFieldModel {
        name: ident.unraw().to_string(),
        binding: FieldBinding::new(index, Member::Named(ident.clone()), field),
        ty_span: field.ty.span(),
        serialized_index: fields.iter().take(index).filter(is_serialized).count(),
        subject,
    })
}

fn is_serialized(field: &&Field) -> bool {
    find_serde_key(&field.attrs, &["skip", "skip_serializing"]).is_none()
}

/// Checks that no other attribute of a personal field is in conflict with the encryption of its value.
fn check_other_attributes(field: &Field, errors: &mut Errors) {
    if let Some(tag) = field.attrs.iter().find(|attr| attr.path().is_ident("tag")) {
        let message = "a personal field cannot be a tag, because tags are not encrypted; remove `#[tag]`, and tag \
                       the field with the id of the data subject instead";
        errors.push_at(tag, message);
    }
    if let Some(key) = find_serde_key(&field.attrs, SERDE_KEYS) {
        let message = format!(
            "a personal field must be serialized by the impl of its own type; remove `{key}`"
        );
        errors.push_at(key, message);
    }
}

/// Returns the field `name`, which holds the id of the data subject.
fn subject_field(fields: &Fields, name: &Ident, errors: &mut Errors) -> Option<FieldBinding> {
    let mut candidates = fields.iter().enumerate();
    let found = candidates.find(|(_, field)| field.ident.as_ref() == Some(name));
    let Some((index, field)) = found else {
        let message = format!(
            "unknown field `{name}`; name the field with the id of the data subject, or write `#[personal]` if that \
             id is the key of the stream"
        );
        errors.push_at(name, message);
        return None;
    };
    if is_personal(field) {
        let message = format!(
            "the id of the data subject cannot be personal data itself; remove `#[personal]` from `{name}`, or name \
             another field"
        );
        errors.push_at(name, message);
        return None;
    }
    let binding = FieldBinding::new(index, Member::Named(name.clone()), field);
    Some(binding.with_span(name.span()))
}

/// Returns the value of the key `subject`, if there is one.
fn subject_name(field: &Field, errors: &mut Errors) -> Option<Ident> {
    let without_keys = personal_attrs(field).find(|attr| matches!(attr.meta, Meta::Path(_)));
    if let Some(without_keys) = without_keys {
        for duplicate in personal_attrs(field).filter(|attr| !std::ptr::eq(*attr, without_keys)) {
            errors.push_at(
                duplicate,
                "duplicate attribute `#[personal]`; remove this one",
            );
        }
        return None;
    }
    let mut subject = AttrArg::default();
    ON_FIELD.parse(&field.attrs, errors, |key, input| {
        subject.parse_assignment(key, input, parse_field_name)
    });
    subject.value().cloned()
}

fn parse_field_name(input: ParseStream<'_>) -> Result<Ident> {
    check_unquoted(input, "the name of a field")?;
    input.call(Ident::parse_any)
}
