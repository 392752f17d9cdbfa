//! Fields with `#[id]` or `#[tag]`, and the patterns that bind fields to variables.

use std::collections::BTreeMap;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Field, Fields, Ident, LitStr, Member, Meta, PathArguments, Result, Type,
};

use crate::container::Container;
use crate::errors::Errors;
use crate::naming::check_tag_key;
use crate::parse::check_string;

/// A field whose value the generated code uses.
#[derive(Clone)]
pub struct FieldBinding {
    member: Member,
    index: usize,
    span: Span,
}

impl FieldBinding {
    /// Creates the binding of the field with this index.
    pub fn new(index: usize, member: Member, field: &Field) -> Self {
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

    /// Sets the span that compile errors about the value of the field point at.
    pub fn with_span(self, span: Span) -> Self {
        Self { span, ..self }
    }

    /// Returns the span that compile errors about the value of the field point at.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Returns the variable that [`fields_pattern`] binds the field to.
    pub fn variable(&self) -> Ident {
        format_ident!("field_{}", self.index, span = self.span)
    }
}

/// Returns the pattern `path { field: variable, .. }`.
pub fn fields_pattern<'a>(
    path: &TokenStream,
    bindings: impl Iterator<Item = &'a FieldBinding>,
) -> TokenStream {
    let bindings: BTreeMap<_, _> = bindings.map(|binding| (binding.index, binding)).collect();
    let fields = bindings.values().map(|binding| {
        let (member, variable) = (&binding.member, binding.variable());
        quote!(#member: #variable,)
    });
    quote!(#path { #(#fields)* .. })
}

/// A field with `#[tag]`.
#[derive(Clone)]
pub struct TagField {
    /// The key of the tag.
    pub key: String,
    pub binding: FieldBinding,
    /// Set if the field holds any number of values, each of which is a tag.
    pub is_collection: bool,
    /// The attribute, for error messages.
    pub attr: Attribute,
}

impl TagField {
    /// Creates the tag of the field with this index.
    pub fn new(key: String, index: usize, member: Member, field: &Field, attr: &Attribute) -> Self {
        Self {
            key,
            binding: FieldBinding::new(index, member, field),
            is_collection: is_collection(&field.ty),
            attr: attr.clone(),
        }
    }
}

/// The collections whose values can be tags, by the name of the type.
const TAG_COLLECTIONS: [&str; 5] = ["Option", "Vec", "HashSet", "BTreeSet", "IndexSet"];

/// Returns whether the name of the type is that of a collection of tags.
fn is_collection(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| {
        let has_arguments = matches!(last.arguments, PathArguments::AngleBracketed(_));
        has_arguments && TAG_COLLECTIONS.iter().any(|name| last.ident == name)
    })
}

/// Returns an expression for the tags of the fields: an array of results, or an iterator of them.
pub fn tag_values(container: &Container<'_>, tags: &[TagField]) -> TokenStream {
    let values = tags.iter().map(|tag| {
        let (key, value, span) = (&tag.key, tag.binding.variable(), tag.binding.span());
        let private = container.private_at(span);
        match tag.is_collection {
            true => quote_spanned!(span=> #private::each_tag(#key, #value)),
            false => quote_spanned!(span=> #private::Tag::new(#key, #value)),
        }
    });
    if tags.iter().all(|tag| !tag.is_collection) {
        return quote!([#(#values),*]);
    }
    let parts = values
        .zip(tags)
        .map(|(value, tag)| match tag.is_collection {
            true => quote!(.chain(#value)),
            false => quote!(.chain([#value])),
        });
    quote!(::core::iter::empty() #(#parts)*)
}

/// Returns the fields with `#[tag]`.
pub fn tag_fields(fields: &Fields, errors: &mut Errors) -> Vec<TagField> {
    let mut tag_fields = Vec::new();
    for (index, (member, field)) in fields.members().zip(fields).enumerate() {
        let mut attrs = attributes(field, "tag");
        let Some(attr) = attrs.next() else { continue };
        match literal_key(attr).and_then(|key| tag_key(attr, key.as_ref(), field)) {
            Ok(key) => tag_fields.push(TagField::new(key, index, member, field, attr)),
            Err(error) => errors.push(error),
        }
        for duplicate in attrs {
            let message = "duplicate attribute `#[tag]`; a field has one tag, remove this one";
            errors.push_at(duplicate, message);
        }
    }
    tag_fields
}

/// Returns the key in the attribute, if there is one.
fn literal_key(attr: &Attribute) -> Result<Option<LitStr>> {
    let syntax = "expected `#[tag]` or `#[tag(\"course\")]`";
    match &attr.meta {
        Meta::Path(_) => Ok(None),
        Meta::List(list) => {
            let key = list.parse_args();
            Ok(Some(key.map_err(|error| Error::new(error.span(), syntax))?))
        }
        Meta::NameValue(meta) => Err(Error::new_spanned(meta, syntax)),
    }
}

/// Returns the tag key of a field: the text in the attribute, or the name of the field.
pub fn tag_key(attr: &Attribute, key: Option<&LitStr>, field: &Field) -> Result<String> {
    match (key, &field.ident) {
        (Some(key), _) => {
            check_string(key, "a tag key", check_tag_key)?;
            Ok(key.value())
        }
        (None, Some(ident)) => Ok(ident.unraw().to_string()),
        (None, None) => {
            let message = "missing tag key on an unnamed field; write `#[tag(\"course\")]`";
            Err(Error::new_spanned(&attr.meta, message))
        }
    }
}

/// A field with `#[id]`.
pub struct IdField {
    pub binding: FieldBinding,
    /// The attribute, for error messages.
    pub attr: Attribute,
}

/// Returns the fields with `#[id]`.
pub fn id_fields(fields: &Fields, errors: &mut Errors) -> Vec<IdField> {
    let mut id_fields = Vec::new();
    for (index, (member, field)) in fields.members().zip(fields).enumerate() {
        let mut attrs = attributes(field, "id");
        let Some(attr) = attrs.next() else { continue };
        if !matches!(attr.meta, Meta::Path(_)) {
            errors.push_at(
                &attr.meta,
                "`id` on a field has no arguments; write `#[id]`",
            );
        }
        id_fields.push(IdField {
            binding: FieldBinding::new(index, member, field),
            attr: attr.clone(),
        });
        for duplicate in attrs {
            errors.push_at(duplicate, "duplicate attribute `#[id]`; remove this one");
        }
    }
    id_fields
}

/// Returns the attributes of the field with this name.
pub fn attributes<'a>(field: &'a Field, name: &'a str) -> impl Iterator<Item = &'a Attribute> {
    field
        .attrs
        .iter()
        .filter(move |attr| attr.path().is_ident(name))
}
